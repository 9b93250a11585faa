package live_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/internal/live"
)

// A desk has one file on it, which is read again when it changes: "bad" is not taken.
type desk struct {
	t     *testing.T
	dir   string
	value *live.Value[string]
	reads atomic.Int32
	hook  *logtest.Hook
	reg   *prometheus.Registry
}

// content is a file's, or that of all files in a directory that are not hidden.
func content(path string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(path, "[^.]*"))
	if err != nil || len(files) == 0 {
		return os.ReadFile(path)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

func newDesk(t *testing.T, lay func(dir string) (path string)) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), reg: prometheus.NewRegistry()}
	path := lay(d.dir)
	read := func() (*string, error) {
		b, err := content(path)
		if err == nil && strings.HasPrefix(string(b), "bad") {
			err = errors.New("f:1: one mistake\nf:2: another")
		}
		s := string(b)
		return &s, err
	}
	first, err := read()
	if err != nil {
		t.Fatal(err)
	}
	d.value = live.NewValue(first)
	log, hook := logtest.NewNullLogger()
	d.hook = hook
	r := live.NewReloader(log, d.reg)
	r.Add(path, func() error {
		d.reads.Add(1)
		return d.value.Replace(read)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-r.Ready()
	return d
}

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) rename(from, to string) {
	d.t.Helper()
	if err := os.Rename(filepath.Join(d.dir, from), filepath.Join(d.dir, to)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) link(target, name string) {
	d.t.Helper()
	if err := os.Symlink(target, filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// becomes waits until the value is text.
func (d *desk) becomes(text string) {
	d.t.Helper()
	d.until("the value is "+text, func() bool { return *d.value.Load() == text })
}

func (d *desk) until(what string, holds func() bool) {
	d.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			d.t.Fatalf("after 20 s it is not so that %s; the value is %q", what, *d.value.Load())
		}
	}
}

func (d *desk) logged(level logrus.Level, message string) bool {
	for _, e := range d.hook.AllEntries() {
		if e.Level == level && e.Message == message {
			return true
		}
	}
	return false
}

func plain(t *testing.T) *desk {
	return newDesk(t, func(dir string) string {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte("one"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	})
}

func TestFileWrittenInPlaceIsReadAgain(t *testing.T) {
	d := plain(t)
	d.write("f", "two")
	d.becomes("two")
}

func TestFileThatIsReplacedIsReadAgainEachTime(t *testing.T) {
	d := plain(t)
	for _, text := range []string{"two", "three", "four"} {
		d.write("new", text)
		d.rename("new", "f")
		d.becomes(text)
	}
}

func TestFileThatComesBackIsReadAgain(t *testing.T) {
	d := plain(t)
	d.rename("f", "away")
	d.until("its loss is logged", func() bool { return d.logged(logrus.WarnLevel, "is gone: what was loaded before is served on") })
	d.write("f", "back")
	d.becomes("back")
}

// Kubernetes puts a new version into a directory of its own and turns a link to it; the file is a link through that one.
func TestLinkThatIsTurnedIsFollowed(t *testing.T) {
	d := newDesk(t, func(dir string) string {
		for _, v := range []string{"v1", "v2", "v3"} {
			if err := os.Mkdir(filepath.Join(dir, v), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, v, "f"), []byte(v), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Symlink("v1", filepath.Join(dir, "..data")), os.Symlink("..data/f", filepath.Join(dir, "f"))); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "f")
	})
	for _, v := range []string{"v2", "v3"} {
		d.link(v, "new")
		d.rename("new", "..data")
		d.becomes(v)
	}
	d.write("v3/f", "behind the links")
	d.becomes("behind the links")
}

func TestBrokenFileKeepsTheOldValueAndEachMistakeIsLogged(t *testing.T) {
	d := plain(t)
	d.write("f", "bad")
	d.until("the mistakes are logged", func() bool {
		return d.logged(logrus.ErrorLevel, "f:1: one mistake") && d.logged(logrus.ErrorLevel, "f:2: another") &&
			d.logged(logrus.ErrorLevel, "not taken: what was loaded before is served on")
	})
	if got := *d.value.Load(); got != "one" {
		t.Errorf("the value is %q", got)
	}
	d.gauges("0", "1")
	d.write("f", "good")
	d.becomes("good")
	d.until("the gauge is 1 again", func() bool { return d.gauge("netboot_config_last_reload_successful") == 1 })
	d.gauges("1", "2")
}

func (d *desk) gauge(name string) float64 {
	families, err := d.reg.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	d.t.Fatalf("there is no gauge %s", name)
	return 0
}

func (d *desk) gauges(successful, generation string) {
	d.t.Helper()
	path := filepath.Join(d.dir, "f")
	want := `# HELP netboot_config_generation How often the file was taken.
# TYPE netboot_config_generation gauge
netboot_config_generation{file="` + path + `"} ` + generation + `
# HELP netboot_config_last_reload_successful Whether the file was taken when it was last read: 1 or 0.
# TYPE netboot_config_last_reload_successful gauge
netboot_config_last_reload_successful{file="` + path + `"} ` + successful + `
`
	if err := testutil.GatherAndCompare(d.reg, strings.NewReader(want), "netboot_config_generation", "netboot_config_last_reload_successful"); err != nil {
		d.t.Error(err)
	}
}

func TestBusyNeighboursDoNotDelayAChange(t *testing.T) {
	d := plain(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for n := byte(0); ctx.Err() == nil; n++ { // as a lease file is written
			_ = os.WriteFile(filepath.Join(d.dir, "leases"), []byte{n}, 0o644)
		}
	}()
	d.write("f", "two")
	d.becomes("two")
}

func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	d := plain(t)
	f, err := os.OpenFile(filepath.Join(d.dir, "f"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tick := time.NewTicker(20 * time.Millisecond) // a slow copy
	defer tick.Stop()
	for range 20 {
		if _, err := f.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		<-tick.C
		if got := *d.value.Load(); got != "one" {
			t.Fatalf("took %q, which is half of it", got)
		}
	}
	d.becomes(strings.Repeat("x", 20))
}

func TestHangupReadsEvenWhatDidNotChange(t *testing.T) {
	d := plain(t)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.until("the file was read", func() bool { return d.reads.Load() == 1 })
}

// Opening a FIFO waits for its writer, and no other file would be read again meanwhile.
func TestAFIFOInTheFilesPlaceDelaysNothing(t *testing.T) {
	d := plain(t)
	if err := syscall.Mkfifo(filepath.Join(d.dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.rename("fifo", "f")
	d.until("its loss is logged", func() bool { return d.logged(logrus.WarnLevel, "is gone: what was loaded before is served on") })
	d.write("new", "two")
	d.rename("new", "f")
	d.becomes("two")
}

func TestSameContentIsNotReadAgain(t *testing.T) {
	d := plain(t)
	d.write("f", "one")
	d.write("other", "x")
	d.write("f", "two")
	d.becomes("two")
	if n := d.reads.Load(); n != 1 {
		t.Errorf("was read %d times", n)
	}
}

func TestFixedFileIsOnlyTalkedAbout(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	r := live.NewReloader(log, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-r.Ready()
	r.AddFixed(path) // also while it runs
	d := &desk{t: t, dir: dir, hook: hook, value: live.NewValue(new(string))}
	d.write("config.yml", "b")
	d.until("the change is logged", func() bool {
		return d.logged(logrus.WarnLevel, "changed: listeners and the order of plugins need a restart; what was loaded before is served on")
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Both families read one map; what one of them refuses must show, though the other took it.
func TestAFileOfTwoReadersIsTakenWhenBothTookIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	d := &desk{t: t, dir: dir, hook: hook, reg: prometheus.NewRegistry(), value: live.NewValue(new(string))}
	r := live.NewReloader(log, d.reg)
	refuse := atomic.Bool{}
	for _, fails := range []func() bool{refuse.Load, func() bool { return false }} {
		r.Add(path, func() error {
			d.reads.Add(1)
			if fails() {
				return errors.New("f:1: one mistake")
			}
			return nil
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-r.Ready()
	d.write("f", "two")
	d.until("both read it", func() bool { return d.reads.Load() == 2 && d.gauge(live.MetricGeneration) == 2 })
	refuse.Store(true)
	d.write("f", "three")
	d.until("the mistake is logged", func() bool {
		return d.logged(logrus.ErrorLevel, "f:1: one mistake") && d.logged(logrus.ErrorLevel, "not taken: what was loaded before is served on")
	})
	d.gauges("0", "2")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	want := "# HELP netboot_config_reloads_total How often the file was read again, by file and by result: taken or refused.\n# TYPE netboot_config_reloads_total counter\n" +
		"netboot_config_reloads_total{file=\"" + path + "\",result=\"refused\"} 1\nnetboot_config_reloads_total{file=\"" + path + "\",result=\"taken\"} 1\n"
	if err := testutil.GatherAndCompare(d.reg, strings.NewReader(want), live.MetricReloads); err != nil {
		t.Error(err)
	}
}

func TestADirectoryOfFilesIsReadAgainWhenOneChangesComesOrGoes(t *testing.T) {
	d := newDesk(t, func(dir string) string {
		path := filepath.Join(dir, "scripts")
		if err := errors.Join(os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "a"), []byte("1"), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	})
	d.write("scripts/a", "2")
	d.becomes("2")
	d.write("scripts/b", "3")
	d.becomes("23")
	d.rename("scripts/b", "scripts/.b")
	d.becomes("2")
	d.write("scripts/a", "bad")
	d.until("it is told", func() bool { return d.logged(logrus.ErrorLevel, "f:2: another") })
	if *d.value.Load() != "2" {
		t.Error("the bad directory was taken")
	}
}

// A Kubernetes volume: the files are links through ..data, which is switched.
func TestAGiantFileAmongTheOthersIsNotReadThrough(t *testing.T) {
	dir := t.TempDir()
	image, err := os.Create(filepath.Join(dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	resize := func(size int64) {
		if err := image.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	resize(1 << 40) // to read so many zeros takes many minutes
	log, _ := logtest.NewNullLogger()
	r := live.NewReloader(log, nil)
	read := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		r.Add(dir, func() error { read <- struct{}{}; return nil })
		ended <- r.Run(ctx)
	}()
	within := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s takes for ever", what)
		}
	}
	within("the first look", r.Ready())
	resize(1<<40 + 1)
	within("to see the change", read)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestADirectoryOfLinksIsReadAgainWhenTheyLeadElsewhere(t *testing.T) {
	d := newDesk(t, func(dir string) string {
		for _, generation := range []string{"1", "2"} {
			at := filepath.Join(dir, "volume", ".."+generation)
			if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, "a"), []byte(generation), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "volume")
		if err := errors.Join(os.Symlink("..1", filepath.Join(path, "..data")), os.Symlink("..data/a", filepath.Join(path, "a"))); err != nil {
			t.Fatal(err)
		}
		return path
	})
	d.link("..2", "volume/..next")
	d.rename("volume/..next", "volume/..data")
	d.becomes("2")
	d.write("volume/..2/a", "3")
	d.becomes("3")
}
