package daemon_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// get asks over a connection that dial opens.
func get(t *testing.T, network, addr, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	r, err := client.Get("http://daemon" + path)
	must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(t, err)
	return r.StatusCode, string(body)
}

func TestHealthIsTrueWhenEveryTaskIsReady(t *testing.T) {
	log, _ := newLog()
	l, err := daemon.ListenMetrics("127.0.0.1:0", "--metrics", log)
	must(t, err)
	dhcp, files := newTask("dhcp"), newTask("tftp :69")
	m := daemon.NewMetrics(l, prometheus.NewRegistry(), dhcp, files)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	health := func(status int, text string) {
		t.Helper()
		if got, body := get(t, "tcp", l.Addr().String(), "/healthz"); got != status || body != text {
			t.Errorf("is %d %q, want %d %q", got, body, status, text)
		}
	}
	health(503, "not ready: dhcp, tftp :69\n")
	close(dhcp.ready)
	health(503, "not ready: tftp :69\n")
	close(files.ready)
	health(200, "ok\n")
	stop()
	must(t, <-ended)
}

func TestMetricsOnASocketAreForItsOwnerAndGroup(t *testing.T) {
	log, journal := newLog()
	path := filepath.Join(t.TempDir(), "m.sock")
	listen := func() net.Listener {
		t.Helper()
		l, err := daemon.ListenMetrics("unix:"+path, "--metrics", log)
		must(t, err)
		return l
	}
	// One that was killed leaves its socket behind.
	dead := listen()
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, dead.Close())
	l := listen()
	if st, err := os.Stat(path); err != nil || st.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	m := daemon.NewMetrics(l, daemon.NewRegistry())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	<-m.Ready()
	if status, body := get(t, "unix", path, "/metrics"); status != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("%d %s", status, body)
	}
	if _, err := daemon.ListenMetrics("unix:"+path, "--metrics", log); err == nil || err.Error() != "listen unix "+path+": another process serves it; stop it or choose another --metrics path" {
		t.Errorf("a second one: %v", err)
	}
	stop()
	must(t, <-ended)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	select {
	case line := <-journal:
		t.Errorf("logged %s", line)
	default:
	}
}

func TestASocketsPathThatCannotBeIsExplained(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("precious"), 0o600))
	log, _ := newLog()
	for path, want := range map[string]string{
		"":                                   "listen unix : has no path; write --metrics like unix:/run/netboot/metrics.sock",
		dir + "/file":                        "listen unix DIR/file: is there and is no socket; remove it or choose another --metrics path",
		dir + "/no/m":                        "listen unix DIR/no/m: its directory does not exist; create it or choose another --metrics path",
		dir + "/" + strings.Repeat("l", 120): "listen unix DIR/" + strings.Repeat("l", 120) + ": a socket's path has at most 107 bytes; choose a shorter --metrics path",
	} {
		_, err := daemon.ListenMetrics("unix:"+path, "--metrics", log)
		if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
			t.Errorf("says %v, want %s", err, want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

func TestMetricsForEverybodyAreWarnedAbout(t *testing.T) {
	log, journal := newLog()
	l, err := daemon.ListenMetrics(":0", "--metrics", log)
	must(t, err)
	defer l.Close()
	journal.says(t, "metrics can be read by everybody who reaches this address")
}
