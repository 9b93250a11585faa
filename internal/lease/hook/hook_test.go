package hook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/hook"
	"github.com/coredhcp-netboot/suite/internal/logtest"
)

// lab is a hook that runs.
type lab struct {
	*hook.Hook
	registry *prometheus.Registry
	said     logtest.Text
}

func start(t *testing.T, c hook.Config) *lab {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	l := &lab{registry: prometheus.NewRegistry()}
	log := logrus.New()
	log.SetOutput(&l.said)
	l.Hook = hook.Start(c, func(s int64) time.Time { return time.Unix(s, 0) }, logrus.NewEntry(log), hook.NewCounts(l.registry))
	return l
}

func (l *lab) counts(t *testing.T, done, failed, dropped int) {
	t.Helper()
	want := fmt.Sprintf(`
		# HELP netboot_lease_hook_events_total Lease events for hooks, by what became of them.
		# TYPE netboot_lease_hook_events_total counter
		netboot_lease_hook_events_total{result="done"} %d
		netboot_lease_hook_events_total{result="dropped"} %d
		netboot_lease_hook_events_total{result="failed"} %d
	`, done, dropped, failed)
	if err := testutil.GatherAndCompare(l.registry, strings.NewReader(want), hook.Metric); err != nil {
		t.Error(err)
	}
}

// leased is a client whose texts would do harm in a shell.
func leased(n int) lease.Event {
	mac := string([]byte{0x52, 0x54, 0, 0xaa, 0xbb, byte(n)})
	return lease.Event{Kind: lease.Leased, Lease: lease.Lease{
		Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), State: lease.Active, Start: 1_800_000_000, End: 1_800_003_601,
		Client: lease.Client{Owner: "\x01" + mac, MAC: mac, ID: "\x01" + mac, Hostname: "$(touch pwned)\n`x`", CircuitID: "eth0\x00"},
	}}
}

func program(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "on-lease")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+"\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

func TestAProgramFindsTheLeaseInItsEnvironment(t *testing.T) {
	path, dir := program(t, "env | grep ^LEASE_ | sort >told-$LEASE_ADDRESS\n")
	l := start(t, hook.Config{Run: []string{path}})
	l.Tell(leased(1))
	l.Tell(lease.Event{Kind: lease.Offered, Lease: leased(2).Lease})
	l.Close()
	l.counts(t, 1, 0, 0)
	got, err := os.ReadFile(filepath.Join(dir, "told-192.0.2.1"))
	want := `LEASE_ADDRESS=192.0.2.1
LEASE_CIRCUIT_ID=eth0\000
LEASE_CLIENT_ID=01:52:54:00:aa:bb:01
LEASE_ENDS=1800003601
LEASE_EVENT=leased
LEASE_HOSTNAME=\044\050touch pwned\051\012\140x\140
LEASE_MAC=52:54:00:aa:bb:01
LEASE_OWNER=01:52:54:00:aa:bb:01
LEASE_STARTS=1800000000
LEASE_STATE=active
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
}

func TestTheEventsOfAnAddressComeInTheirOrder(t *testing.T) {
	path, dir := program(t, "echo $LEASE_EVENT >>told-$LEASE_ADDRESS\n")
	l := start(t, hook.Config{Run: []string{path}, Events: []lease.Kind{lease.Offered, lease.Leased, lease.Released, lease.Declined, lease.Expired}})
	for _, k := range []lease.Kind{lease.Offered, lease.Leased, lease.Declined, lease.Expired, lease.Leased, lease.Released} {
		for n := range 8 {
			l.Tell(lease.Event{Kind: k, Lease: leased(n).Lease})
		}
	}
	l.Close()
	l.counts(t, 48, 0, 0)
	for n := range 8 {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("told-192.0.2.", n)))
		if want := "offered\nleased\ndeclined\nexpired\nleased\nreleased\n"; err != nil || string(got) != want {
			t.Errorf("%d: %v: %q", n, err, got)
		}
	}
}

func TestAProgramThatFailsOrHangsIsCountedAndLogged(t *testing.T) {
	path, _ := program(t, "echo out of \x1b paper >&2\nexit 3\n")
	l := start(t, hook.Config{Run: []string{path}})
	l.Tell(leased(1))
	l.Close()
	l.counts(t, 0, 1, 0)
	if !strings.Contains(l.said.String(), "exit status 3") || !strings.Contains(l.said.String(), "out of") || strings.Contains(l.said.String(), "\x1b") {
		t.Errorf("%s", l.said.String())
	}
	// What it leaves behind when it ends well is not waited for, and no failure of its own.
	path, _ = program(t, "sleep 5 & exit 0\n")
	l = start(t, hook.Config{Run: []string{path}})
	l.Tell(leased(1))
	l.Close()
	l.counts(t, 1, 0, 0)
	// What it started goes with it, or the wait would take a minute.
	path, _ = program(t, "sleep 60 & sleep 60\n")
	l = start(t, hook.Config{Run: []string{path}, Timeout: 100 * time.Millisecond})
	began := time.Now()
	l.Tell(leased(1))
	l.Close()
	l.counts(t, 0, 1, 0)
	if !strings.Contains(l.said.String(), "killed: it took longer than 100ms") || time.Since(began) > 30*time.Second {
		t.Errorf("after %s: %s", time.Since(began), l.said.String())
	}
}

func TestWhatIsTooMuchIsDroppedAndTheTellerNeverWaits(t *testing.T) {
	path, _ := program(t, "exec sleep 60\n")
	l := start(t, hook.Config{Run: []string{path}, AtOnce: 1, Queue: 10, Timeout: time.Hour})
	for range 1000 {
		l.Tell(leased(1))
	}
	l.Close() // gives up those that wait when its time is over
	l.counts(t, 0, 1, 999)
	if n := strings.Count(l.said.String(), "events are dropped"); n != 1 {
		t.Errorf("logged %d times: %s", n, l.said.String())
	}
	l = start(t, hook.Config{Run: []string{path}})
	l.Close()
	l.Tell(leased(1)) // too late, and no harm
}

func TestJSONIsPosted(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/leases", http.StatusTemporaryRedirect)
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/json":
			got = append(got, string(b))
		}
	}))
	defer server.Close()
	l := start(t, hook.Config{URL: server.URL + "/leases"})
	l.Tell(leased(1))
	l.Close()
	l.counts(t, 1, 0, 0)
	want := `{"event":"leased","address":"192.0.2.1","state":"active","owner":"01:52:54:00:aa:bb:01","mac":"52:54:00:aa:bb:01",` +
		`"client_id":"01:52:54:00:aa:bb:01","hostname":"\\044\\050touch pwned\\051\\012\\140x\\140","circuit_id":"eth0\\000",` +
		`"starts":"2027-01-15T08:00:00Z","ends":"2027-01-15T09:00:01Z"}`
	if len(got) != 1 || got[0] != want || !json.Valid([]byte(got[0])) {
		t.Errorf("%q", got)
	}
	l = start(t, hook.Config{URL: server.URL + "/moved"})
	l.Tell(leased(1))
	l.Close()
	l.counts(t, 0, 1, 0)
	if len(got) != 1 || !strings.Contains(l.said.String(), "307") {
		t.Errorf("a redirect is followed: %q\n%s", got, l.said.String())
	}
}

func TestEachMistakeIsExplained(t *testing.T) {
	for word, want := range map[string]string{
		"/nowhere/on-lease": `the hook "/nowhere/on-lease" is no program (no such file or directory); name one that the daemon's user can run`,
		"sh":                `the hook "sh" has no whole path; write it from / on`,
		"ftp://x/y":         "is no URL to post to; write one like http://",
		"http:///y":         "is no URL to post to",
	} {
		if c, err := hook.Parse(word); err == nil {
			err = c.Check()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", word, err)
			}
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", word, err)
		}
	}
	c := hook.Config{Run: []string{"/bin/true"}, URL: "http://x", Timeout: -1, AtOnce: 65, Queue: 1 << 21}
	if err := c.Check(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not every mistake: %v", err)
	}
	if c, err := hook.Parse("/bin/true"); err != nil || !c.On() || new(hook.Config).On() {
		t.Error(err)
	}
}
