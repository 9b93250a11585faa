package dhcpdleases_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/dhcpdleases"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

var began = time.Now().Truncate(time.Second)

func wall(second int64) time.Time { return began.Add(time.Duration(second) * time.Second) }

// site are leases as a Book has them.
type site struct {
	mu     sync.Mutex
	leases map[netip.Addr]lease.Lease
	told   []string
}

func (s *site) Wall(second int64) time.Time { return wall(second) }

func (s *site) Leases() iter.Seq[lease.Lease] {
	return func(yield func(lease.Lease) bool) {
		s.mu.Lock()
		var all []lease.Lease
		for _, l := range s.leases {
			all = append(all, l)
		}
		s.mu.Unlock()
		slices.SortFunc(all, func(a, b lease.Lease) int { return a.Addr.Compare(b.Addr) })
		for _, l := range all {
			if !yield(l) {
				return
			}
		}
	}
}

// machine is one that sends what no program should take for more than bytes.
func machine(n int) lease.Lease {
	mac := string([]byte{0x52, 0x54, 0, 0xaa, byte(n >> 8), byte(n)})
	return lease.Lease{
		Addr: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), State: lease.Active, Start: 0, End: 3600,
		Client: lease.Client{
			Owner: "\x01" + mac, MAC: mac, ID: "\x01" + mac, Hostname: "pi-" + fmt.Sprint(n) + "\"; } lease 1.2.3.4 {\n\\\xff",
			CircuitID: "eth0\x00", RemoteID: "\x02sw",
		},
	}
}

var infiniband = strings.Repeat("\x12", 20)

func (s *site) set(l lease.Lease, tell func(lease.Event)) {
	s.mu.Lock()
	s.leases[l.Addr] = l
	s.mu.Unlock()
	kind := map[lease.State]lease.Kind{lease.Active: lease.Leased, lease.Free: lease.Released, lease.Abandoned: lease.Declined}[l.State]
	tell(lease.Event{Kind: kind, Lease: l})
}

func keep(t *testing.T, s *site) (*dhcpdleases.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dhcpd.leases")
	f, err := dhcpdleases.Keep(path, s, func(err error) {
		s.mu.Lock()
		s.told = append(s.told, err.Error())
		s.mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// until waits for what the writer does.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestABlockIsAsDHCPDWritesIt(t *testing.T) {
	at := time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC)
	l := view.Lease{
		Address: netip.MustParseAddr("192.0.2.100"), State: "active", MAC: "52:54:00:aa:bb:01", ClientID: "01:52:54:00:22",
		Hostname: "old-dell", CircuitID: "Gi1/0/1", Starts: at, Ends: at.Add(time.Hour),
	}
	active := `lease 192.0.2.100 {
  starts 2 2026/11/24 18:00:00;
  ends 2 2026/11/24 19:00:00;
  cltt 2 2026/11/24 18:00:00;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 52:54:00:aa:bb:01;
  uid "\001RT\000\042";
  option agent.circuit-id "Gi1/0/1";
  client-hostname "old-dell";
}
`
	if got := string(dhcpdleases.Append(nil, l)); got != active {
		t.Errorf("%s", got)
	}
	quarantined := view.Lease{Address: l.Address, State: "abandoned", Starts: at, Ends: at.Add(24 * time.Hour)}
	if got := string(dhcpdleases.Append(nil, quarantined)); got != `lease 192.0.2.100 {
  starts 2 2026/11/24 18:00:00;
  ends 3 2026/11/25 18:00:00;
  cltt 2 2026/11/24 18:00:00;
  binding state abandoned;
}
` {
		t.Errorf("%s", got)
	}
	l.Ends = at.Add(1 << 32 * time.Second) // as a Book has a lease without an end
	if got, want := string(dhcpdleases.Append(nil, l)), strings.Replace(active, "2 2026/11/24 19:00:00", "never", 1); got != want {
		t.Errorf("%s", got)
	}
	if got := dhcpdleases.Append(nil, view.Lease{Address: netip.MustParseAddr("2001:db8::1")}); len(got) > 0 {
		t.Errorf("%s", got)
	}
}

func TestTheFileFollowsTheLeases(t *testing.T) {
	s := &site{leases: map[netip.Addr]lease.Lease{}}
	old := machine(1)
	s.leases[old.Addr] = old
	f, path := keep(t, s)
	if text := read(t, path); !strings.HasPrefix(text, dhcpdleases.Head) || strings.Count(text, "\nlease 10.0.0.1 {") != 1 {
		t.Fatalf("%s", text)
	}
	old.State = lease.Free
	s.set(old, f.Tell)
	s.set(machine(2), f.Tell)
	f.Tell(lease.Event{Kind: lease.Offered, Lease: machine(3)})
	until(t, "the second machine is there", func() bool { return strings.Contains(read(t, path), "lease 10.0.0.2 {") })
	text := read(t, path)
	if last := text[strings.LastIndex(text, "lease 10.0.0.1 {"):]; !strings.Contains(last, "binding state free") || strings.Contains(text, "10.0.0.3") {
		t.Errorf("%s", text)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Two machines come and go until the file has been written anew, which each step must survive.
func TestTheFileDoesNotGrowForEver(t *testing.T) {
	s := &site{leases: map[netip.Addr]lease.Lease{}}
	f, path := keep(t, s)
	largest, anew := int64(0), false
	for n := 0; !anew; n++ {
		l := machine(n % 2)
		l.End = int64(n)
		s.set(l, f.Tell)
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		anew = st.Size() < largest
		if largest = max(largest, st.Size()); largest > 4<<20 {
			t.Fatalf("%d bytes", largest)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text := read(t, path)
	for n := range 2 {
		a := machine(n).Addr
		want := string(dhcpdleases.Append(nil, view.Of(s.leases[a], wall)))
		if at := strings.LastIndex(text, "lease "+a.String()+" {"); at < 0 || !strings.HasPrefix(text[at:], want) {
			t.Errorf("%s has not its last lease", a)
		}
	}
}

// nasty is a file with leases in every state, for programs of others to read.
func nasty(t *testing.T) string {
	t.Helper()
	s := &site{leases: map[netip.Addr]lease.Lease{}}
	for n := range 300 {
		l := machine(n)
		switch n % 5 {
		case 1:
			l.State, l.End = lease.Free, -60
		case 2:
			l.State, l.Client = lease.Abandoned, lease.Client{}
		case 3:
			l.MAC = infiniband
		case 4:
			l.End = 1 << 32
		}
		s.leases[l.Addr] = l
	}
	f, path := keep(t, s)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDHCPDItselfReadsTheFile(t *testing.T) {
	path := nasty(t)
	conf := filepath.Join(t.TempDir(), "dhcpd.conf")
	if err := os.WriteFile(conf, []byte("subnet 10.0.0.0 netmask 255.255.0.0 { range 10.0.0.0 10.0.1.255; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// -T reads the leases, too.
	out, err := exec.Command("dhcpd", "-4", "-T", "-cf", conf, "-lf", path, "--no-pid").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), path+" line") || strings.Count(string(out), "no subnet") > 0 {
		t.Errorf("%s", out)
	}
	broken := path + ".broken"
	if err := os.WriteFile(broken, []byte(strings.Replace(read(t, path), "binding state active;", "binding state active", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command("dhcpd", "-4", "-T", "-cf", conf, "-lf", broken, "--no-pid").CombinedOutput(); !strings.Contains(string(out), "line") {
		t.Errorf("it does not notice a broken one: %s", out)
	}
}

// The Python module that scripts of many sites use.
func TestAParserOfOthersReadsTheFile(t *testing.T) {
	out, err := exec.Command("/usr/bin/python3", "-c", `
import json, sys
from isc_dhcp_leases import IscDhcpLeases
print(json.dumps([[l.ip, l.ethernet, l.binding_state, str(l.end)] for l in IscDhcpLeases(sys.argv[1]).get()]))
`, nasty(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got [][]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string]string{}
	for n := range 300 {
		l := machine(n)
		state, end := "active", wall(3600)
		switch n % 5 {
		case 1:
			state, end = "free", wall(-60)
		case 3:
			l.MAC = infiniband
		}
		until := end.UTC().Format("2006-01-02 15:04:05")
		if n%5 == 4 {
			until = "None"
		}
		want[l.Addr.String()] = fmt.Sprint(view.Hex(l.MAC), state, until)
	}
	if len(got) != 240 { // it leaves out those without a hardware address, as dhcpd's abandoned ones are

		t.Errorf("%d leases", len(got))
	}
	for _, l := range got {
		if g := fmt.Sprint(l[1], l[2], l[3]); g != want[l[0]] {
			t.Errorf("%s: %s, want %s", l[0], g, want[l[0]])
		}
	}
}
