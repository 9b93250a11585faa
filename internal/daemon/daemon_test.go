package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// patient bounds a wait for something that must happen.
const patient = 20 * time.Second

// role makes this test program, started again, another process that a test needs.
const role = "DAEMON_TEST_ROLE"

func TestMain(m *testing.M) {
	switch kind, arg, _ := strings.Cut(os.Getenv(role), " "); kind {
	case "hold": // a UDP or TCP port, until standard input ends
		network, addr, _ := strings.Cut(arg, " ")
		_, err := listen(network, addr)
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString("holding\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "stubborn": // a task that does not end
		t := newTask("stubborn")
		t.run = func(ctx context.Context) error {
			<-ctx.Done()
			select {}
		}
		close(t.ready)
		log := logrus.New()
		log.SetOutput(os.Stdout) // "ready", then "stopping"
		_ = daemon.Run(context.Background(), log, t)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startAs starts this program in a role and waits for its first line.
func startAs(t *testing.T, text string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), role+"="+text)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() { in.Close(); _ = c.Process.Kill(); _ = c.Wait() })
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	must(t, err)
	return c, lines
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen opens a UDP or TCP socket.
func listen(network, addr string) (io.Closer, error) {
	if strings.HasPrefix(network, "udp") {
		return net.ListenPacket(network, addr)
	}
	return net.Listen(network, addr)
}

// task is a Task made of a function.
type task struct {
	name  string
	ready chan struct{}
	run   func(context.Context) error
	began chan struct{}
	ended atomic.Bool
}

func newTask(name string) *task {
	t := &task{name: name, ready: make(chan struct{}), began: make(chan struct{})}
	t.run = func(ctx context.Context) error { <-ctx.Done(); return nil }
	return t
}

func (t *task) String() string         { return t.name }
func (t *task) Ready() <-chan struct{} { return t.ready }
func (t *task) Run(ctx context.Context) error {
	defer t.ended.Store(true)
	close(t.began)
	return t.run(ctx)
}

// journal passes each log line on.
type journal chan string

func (j journal) Write(p []byte) (int, error) { j <- string(p); return len(p), nil }

func newLog() (*logrus.Logger, journal) {
	j := make(journal, 10)
	log := logrus.New()
	log.SetOutput(j)
	return log, j
}

func (j journal) says(t *testing.T, what string) {
	t.Helper()
	select {
	case line := <-j:
		if !strings.Contains(line, what) {
			t.Fatalf("logged %q, want %q", line, what)
		}
	case <-time.After(patient):
		t.Fatalf("%q is not logged", what)
	}
}

func TestReadyIsLoggedWhenEveryTaskIs(t *testing.T) {
	log, lines := newLog()
	one, two := newTask("one"), newTask("two")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- daemon.Run(ctx, log, one, two) }()
	<-one.began
	<-two.began
	close(two.ready)
	if len(lines) > 0 {
		t.Errorf("logged %q before one is ready", <-lines)
	}
	close(one.ready)
	lines.says(t, `msg=ready tasks="[one two]"`)
	stop()
	if err := <-ended; err != nil || !one.ended.Load() || !two.ended.Load() {
		t.Errorf("Run ends with %v, tasks ended: %v, %v", err, one.ended.Load(), two.ended.Load())
	}
}

func TestTheFirstErrorStopsAllAndIsReturned(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{{errors.New("disk on fire"), "bad: disk on fire"}, {nil, "bad: ended by itself"}} {
		log, _ := newLog()
		good, bad := newTask("good"), newTask("bad")
		bad.run = func(context.Context) error { return c.err }
		if err := daemon.Run(context.Background(), log, good, bad); err == nil || err.Error() != c.want {
			t.Errorf("Run ends with %v, want %s", err, c.want)
		}
		if !good.ended.Load() {
			t.Error("the good task is still running")
		}
	}
}

func TestASignalStopsAll(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		log, lines := newLog()
		one := newTask("one")
		close(one.ready)
		ended := make(chan error)
		go func() { ended <- daemon.Run(context.Background(), log, one) }()
		lines.says(t, "ready")
		must(t, syscall.Kill(os.Getpid(), s))
		lines.says(t, "msg=stopping signal="+s.String())
		if err := <-ended; err != nil || !one.ended.Load() {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestASecondSignalKills(t *testing.T) {
	c, lines := startAs(t, "stubborn")
	must(t, c.Process.Signal(syscall.SIGTERM))
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "stopping") {
		t.Fatalf("the first signal: %q, %v", line, err)
	}
	must(t, c.Process.Signal(syscall.SIGTERM))
	_, _ = io.Copy(io.Discard, lines)
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ends with %v", err)
	}
}

func TestMetricsAreServed(t *testing.T) {
	l, err := daemon.Listen("127.0.0.1:0", "--metrics")
	must(t, err)
	m := daemon.NewMetrics(l, daemon.NewRegistry())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	get := func(path string) (int, string) {
		r, err := http.Get("http://" + l.Addr().String() + path)
		must(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		must(t, err)
		return r.StatusCode, string(body)
	}
	if status, body := get("/metrics"); status != 200 || !strings.Contains(body, "process_start_time_seconds") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get("/"); status != 404 {
		t.Errorf("%d on another path", status)
	}
	stop()
	must(t, <-ended)
	if want := "metrics " + l.Addr().String(); m.String() != want {
		t.Errorf("the task is %s, want %s", m, want)
	}
}
