package live

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// settle is the time between two looks at a file; it is read when both saw the same. Editors and copies write in several
// steps, and half a map may be a map too. Other files of the directory may change all the time (leases do).
const settle = 100 * time.Millisecond

// Reloader reads tables again when their files change, and all of them on SIGHUP. It is a task of the daemon.
//
// Directories are watched and not files, so that a file that is replaced (by rename, or by a symbolic link that points
// elsewhere, as Kubernetes does) is still seen.
type Reloader struct {
	log   logrus.FieldLogger
	ready chan struct{}
	added chan struct{} // a table is new
	hung  chan os.Signal

	mu     sync.Mutex
	tables []*table

	successful, timestamp, generation *prometheus.GaugeVec
	reloads                           *prometheus.CounterVec
}

// Names of the metrics, for code, tests and dashboards. All are by file.
const (
	MetricSuccessful = "netboot_config_last_reload_successful"
	MetricTimestamp  = "netboot_config_last_reload_success_timestamp_seconds"
	MetricGeneration = "netboot_config_generation"
	MetricReloads    = "netboot_config_reloads_total" // by result too: taken or refused
)

// table is one file, or a directory of files, and what is made of it.
type table struct {
	path   string
	reload []func() error    // none: only a restart takes a change
	seen   [sha256.Size]byte // of the content that was last read, good or bad
	latest [sha256.Size]byte // of the content at the last look

	generation int // how often it was taken
}

// NewReloader has no tables yet. From now on SIGHUP does not end the process: one that comes while it starts is served by Run.
// Its gauges tell of each file whether its last reload was successful, when the last
// successful one was, and how many there were.
func NewReloader(log logrus.FieldLogger, r prometheus.Registerer) *Reloader {
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"file"})
		if r != nil {
			r.MustRegister(g)
		}
		return g
	}
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: MetricReloads, Help: "How often the file was read again, by file and by result: taken or refused.",
	}, []string{"file", "result"})
	if r != nil {
		r.MustRegister(reloads)
	}
	hung := make(chan os.Signal, 1)
	signal.Notify(hung, syscall.SIGHUP)
	return &Reloader{
		reloads: reloads, hung: hung,
		log: log, ready: make(chan struct{}), added: make(chan struct{}, 1),
		successful: gauge(MetricSuccessful, "Whether the file was taken when it was last read: 1 or 0."),
		timestamp:  gauge(MetricTimestamp, "When the file was last taken."),
		generation: gauge(MetricGeneration, "How often the file was taken."),
	}
}

// Add watches the file at path, or the files in the directory there, which have just been loaded; reload is called after
// each change of their content, and its error tells why it was not taken. A file may be added for several
// readers: it counts as taken when all took it.
func (r *Reloader) Add(path string, reload func() error) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if r.join(path, reload) {
		return
	}
	t := &table{path: path, reload: []func() error{reload}}
	r.taken(t)
	r.add(t)
}

// join adds a reader to a table that is there.
func (r *Reloader) join(path string, reload func() error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tables {
		if t.path == path && t.reload != nil {
			t.reload = append(t.reload, reload)
			return true
		}
	}
	return false
}

// AddFixed watches a file that only a restart takes again, and says so when it changes.
func (r *Reloader) AddFixed(path string) {
	r.add(&table{path: path})
}

func (r *Reloader) add(t *table) {
	t.seen, _ = fingerprint(t.path)
	t.latest = t.seen
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables = append(r.tables, t)
	select {
	case r.added <- struct{}{}:
	default: // it is known already
	}
}

func (r *Reloader) taken(t *table) {
	r.successful.WithLabelValues(t.path).Set(1)
	r.timestamp.WithLabelValues(t.path).SetToCurrentTime()
	t.generation++
	r.generation.WithLabelValues(t.path).Set(float64(t.generation))
}

// String names the task.
func (r *Reloader) String() string { return "reload" }

// Ready is closed when changes are seen.
func (r *Reloader) Ready() <-chan struct{} { return r.ready }

// Run watches until ctx ends.
func (r *Reloader) Run(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w; raise fs.inotify.max_user_instances", err)
	}
	defer w.Close()
	defer signal.Stop(r.hung)
	look := time.NewTimer(settle)
	defer look.Stop()
	looking := true // the timer runs
	lookSoon := func() {
		if !looking {
			look.Reset(settle)
			looking = true
		}
	}

	r.watch(w)
	close(r.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hung:
			r.readAll(true)
		case <-r.added:
			lookSoon()
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
			lookSoon()
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			// The kernel's queue overflowed: anything may have changed.
			r.log.WithField("because", err.Error()).Warn("watching files")
			lookSoon()
		case <-look.C:
			looking = false
			// What changed before its directory was watched is seen by one more look.
			if changing := r.readAll(false); r.watch(w) || changing {
				lookSoon()
			}
		}
	}
}

// watch watches the directory of each file, and of each link on the way to it; it tells whether one is new. A directory
// that is gone is tried again at the next look.
func (r *Reloader) watch(w *fsnotify.Watcher) (more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := w.WatchList()
	for _, t := range r.tables {
		for _, dir := range watched(t.path) {
			if slices.Contains(before, dir) {
				continue
			}
			err := w.Add(dir)
			more = more || err == nil
			before = append(before, dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				r.log.WithFields(logrus.Fields{"file": t.path, "because": err.Error()}).Warn("cannot watch; use SIGHUP after changes")
			}
		}
	}
	return more
}

// readAll reads the files that changed, or all. It tells whether one is still changing.
func (r *Reloader) readAll(asked bool) (changing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tables {
		now, err := fingerprint(t.path)
		switch {
		case now == t.seen && (!asked || t.reload == nil):
		case !asked && now != t.latest:
			changing = true
		case t.reload == nil:
			t.seen = now
			r.log.WithField("file", t.path).Warn("changed: listeners and the order of plugins need a restart; what was loaded before is served on")
		case err != nil && !asked:
			t.seen = now // say it once
			r.log.WithFields(logrus.Fields{"file": t.path, "because": err.Error()}).Warn("is gone: what was loaded before is served on")
		default:
			t.seen = now
			r.read(t)
		}
		t.latest = now
	}
	return changing
}

func (r *Reloader) read(t *table) {
	var said []string
	for _, reload := range t.reload {
		if err := reload(); err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !slices.Contains(said, line) { // readers of one file find the same mistakes
					said = append(said, line)
				}
			}
		}
	}
	log := r.log.WithField("file", t.path)
	if len(said) > 0 {
		r.successful.WithLabelValues(t.path).Set(0)
		r.reloads.WithLabelValues(t.path, "refused").Inc()
		for _, line := range said {
			log.Error(line)
		}
		log.Error("not taken: what was loaded before is served on")
		return
	}
	r.reloads.WithLabelValues(t.path, "taken").Inc()
	r.taken(t)
	log.Info("reloaded")
}
