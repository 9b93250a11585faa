package tftpd_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/logtest"
	"github.com/coredhcp-netboot/suite/tftpd"
)

// patient bounds a wait for something that must happen; no passing test takes that long.
const patient = 20 * time.Second

// lab is a running service over a directory, with a secret beside the directory.
type lab struct {
	t      testing.TB
	root   string
	dirs   *tftpd.Dirs
	config tftpd.Config
	sendBy string // empty: the best way
	server *tftpd.TFTP
	diary  *diary
	reg    *prometheus.Registry
	stop   context.CancelFunc
	ended  chan error
}

// newLab prepares everything but the socket.
func newLab(t testing.TB) *lab {
	t.Helper()
	root := filepath.Join(t.TempDir(), "boot")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "..", "secret"), []byte("secret"), 0o644))
	dirs, err := tftpd.OpenDirs(root)
	must(t, err)
	t.Cleanup(dirs.Close)
	l := &lab{t: t, root: root, dirs: dirs, diary: newDiary(), reg: prometheus.NewRegistry(), ended: make(chan error, 8)}
	l.config = tftpd.Config{Files: dirs, Log: l.diary.log, Metrics: tftpd.NewMetrics(l.reg)}
	return l
}

// has puts a file below the root.
func (l *lab) has(name string, content []byte) {
	l.t.Helper()
	full := filepath.Join(l.root, name)
	must(l.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(l.t, os.WriteFile(full, content, 0o644))
}

// tftp starts the TFTP service on an address with port 0.
func (l *lab) tftp(addr string) *net.UDPAddr {
	l.t.Helper()
	conns, err := tftpd.ListenTFTP(addr)
	must(l.t, err)
	at := conns[0].LocalAddr().(*net.UDPAddr)
	l.server = tftpd.NewTFTP(conns[0], l.config)
	l.server.SendBy(either(l.sendBy, "UDP_SEGMENT"))
	l.run(l.server)
	return at
}

// http starts the HTTP service.
func (l *lab) http(addr string) string {
	l.t.Helper()
	ln, err := net.Listen("tcp", addr)
	must(l.t, err)
	l.run(tftpd.NewHTTP(ln, l.config))
	return ln.Addr().String()
}

type task interface {
	Run(context.Context) error
	Ready() <-chan struct{}
}

func (l *lab) run(s task) {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	var once sync.WaitGroup
	once.Add(1)
	go func() { defer once.Done(); l.ended <- s.Run(ctx) }()
	<-s.Ready()
	l.t.Cleanup(func() { stop(); once.Wait() })
}

// metric is the sum of a metric's values with these label values.
func (l *lab) metric(name string, labels ...string) float64 {
	l.t.Helper()
	families, err := l.reg.Gather()
	must(l.t, err)
	var sum float64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			matched := 0
			for _, pair := range m.GetLabel() {
				for _, want := range labels {
					if pair.GetValue() == want {
						matched++
					}
				}
			}
			if f.GetName() == name && matched == len(labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}

// diary keeps what was logged.
type diary struct {
	log  *logrus.Logger
	text logtest.Text

	mu      sync.Mutex
	entries []*logrus.Entry
	written chan struct{} // closed and replaced at each entry
}

func newDiary() *diary {
	d := &diary{log: logrus.New(), written: make(chan struct{})}
	d.log.SetLevel(logrus.DebugLevel)
	d.log.SetOutput(&d.text)
	d.log.AddHook(d)
	return d
}

func (d *diary) Levels() []logrus.Level { return logrus.AllLevels }

func (d *diary) Fire(e *logrus.Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
	close(d.written)
	d.written = make(chan struct{})
	return nil
}

// entry waits for the n-th entry, from 1.
func (d *diary) entry(t testing.TB, n int) *logrus.Entry {
	t.Helper()
	timeout := time.After(patient)
	for {
		d.mu.Lock()
		entries, written := d.entries, d.written
		d.mu.Unlock()
		if len(entries) >= n {
			return entries[n-1]
		}
		select {
		case <-written:
		case <-timeout:
			t.Fatalf("no log entry %d; have %v", n, entries)
		}
	}
}

// all are the entries so far.
func (d *diary) all() []*logrus.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*logrus.Entry(nil), d.entries...)
}

func (d *diary) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// random is the same bytes in every run.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{1}), b)
	return b
}

// eventually waits for a condition that has no event to wait for.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for timeout := time.After(patient); !holds(); {
		select {
		case <-again.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}
