package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease/view"
	"github.com/coredhcp-netboot/suite/internal/logtest"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// lender is a plugin that lends, in a configuration that keeps leases in the directory leases.leases.
type lender struct {
	name   string
	config string
	file   string // subnets.yml; empty: there is none
	asker  func(space *nettest.Space, n int) asker
}

const siteFile = `leases: leases.leases
lease-time: 12h
networks:
  - name: office
    subnets:
      - subnet: 10.0.0.0/16
        pools: [10.0.1.0-10.0.255.254]
      - subnet: 2001:db8:1::/64
        pools: ["2001:db8:1::1000-2001:db8:1::ffff"]
        delegate: [{prefix: "2001:db8:8000::/40", length: 56}]
`

// lenders are those of IPv4, and subnets with both families, which have one directory of leases.
func lenders() []lender {
	four := func(space *nettest.Space, n int) asker { return newRelay4(space, n) }
	both := func(space *nettest.Space, n int) asker {
		if n%2 == 0 {
			return newRelay4(space, n)
		}
		return newRelay6(space, n)
	}
	subnets := config("10.0.0.1", "server_id: 10.0.0.1", "subnets: subnets.yml")
	return []lender{
		{"range", config("10.0.0.1", "server_id: 10.0.0.1", "range: leases 10.0.1.0 10.0.255.254 12h", "netmask: 255.255.0.0"), "", four},
		{"subnets", subnets, siteFile, four},
		{"subnets of both families", subnets +
			"server6:\n  listen: \"[2001:db8:1::1]:547\"\n  plugins:\n    - server_id: LL 52:54:00:00:00:01\n    - subnets: subnets.yml\n", siteFile, both},
	}
}

// line is how the daemon names the lender's place in the configuration.
func (l *lender) line() string {
	if l.file == "" {
		return "config.yml:5: server4: plugin range: "
	}
	return "config.yml:5: server4: plugin subnets: "
}

// eachLender runs a story with each.
func eachLender(t *testing.T, story func(t *testing.T, l lender)) {
	for _, l := range lenders() {
		t.Run(l.name, func(t *testing.T) { story(t, l) })
	}
}

// leaseSite is a daemon without cgo that is killed and started again, in a network of its own.
type leaseSite struct {
	t      *testing.T
	lender lender
	space  *nettest.Space
	dir    string
	run    *nettest.Process
	cmd    *exec.Cmd
	log    *logtest.Text

	ledger *ledger
	crowds []*crowd
}

// newLeaseSite has crowds behind so many relays.
func newLeaseSite(t *testing.T, l lender, dir string, relays int) *leaseSite {
	t.Helper()
	space, err := nettest.New(t).Space("site")
	if err != nil {
		t.Fatal(err)
	}
	s := &leaseSite{t: t, lender: l, space: space, dir: dir, ledger: newLedger()}
	for name, text := range map[string]string{"config.yml": l.config, "subnets.yml": l.file} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// All of 10.0.0.0/16 is the host's then.
	for _, address := range []string{"10.0.0.1/16", "2001:db8:1::1/64"} {
		if err := space.IP("addr", "add", address, "dev", "lo"); err != nil {
			t.Fatal(err)
		}
	}
	for n := range relays {
		a := l.asker(space, n)
		if six, is := a.(*relay6); is {
			if err := space.IP("addr", "add", six.addr.String()+"/64", "dev", "lo"); err != nil {
				t.Fatal(err)
			}
		}
		s.crowds = append(s.crowds, newCrowd(n, a, s.ledger))
	}
	return s
}

// start runs the daemon, by a program before it if there is one, until it serves the relays.
func (s *leaseSite) start(before ...string) {
	s.t.Helper()
	s.log = new(logtest.Text)
	args := append(before, build(s.t, "0"), "-c", filepath.Join(s.dir, "config.yml"), "-L", "warning", "--metrics", "unix:"+filepath.Join(s.dir, "m.sock"))
	s.cmd = s.space.Command(args[0], args[1:]...)
	s.cmd.Stderr = s.log
	var err error
	if s.run, err = s.space.Start(s.cmd); err != nil {
		s.t.Fatal(err)
	}
	s.until("it is healthy", func() bool { return page(filepath.Join(s.dir, "m.sock"), "/healthz") == "ok\n" })
	for _, c := range s.crowds {
		if err := c.open(); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *leaseSite) until(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(60 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-s.run.Done():
			s.t.Fatalf("the daemon ended (%v):\n%s", s.run.Err(), s.log.String())
		case <-limit:
			s.t.Fatalf("never: %s\n%s", what, s.log.String())
		}
	}
}

// kill ends the daemon at once, and whoever waits for an answer.
func (s *leaseSite) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.run.Done()
	for _, c := range s.crowds {
		c.close()
	}
}

// each has all crowds do something at the same time.
func (s *leaseSite) each(do func(c *crowd) error) {
	s.t.Helper()
	var all sync.WaitGroup
	for _, c := range s.crowds {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := do(c); err != nil {
				s.t.Error(err)
			}
		}()
	}
	all.Wait()
	if s.t.Failed() {
		s.t.Fatalf("the daemon says:\n%s", s.log.String())
	}
}

// leases has n new machines of each crowd lease something.
func (s *leaseSite) leases(n int) {
	s.t.Helper()
	s.each(func(c *crowd) error {
		for range n {
			if err := c.leases(c.arrives()); err != nil {
				return err
			}
		}
		return nil
	})
}

// listed is what netbootctl shows: the running daemon's, or what is on the disk.
func (s *leaseSite) listed() (all []view.Lease) {
	s.t.Helper()
	cmd := exec.Command(buildOf(s.t, "../netbootctl", "0"), "leases", "--json", "--dir", filepath.Join(s.dir, "leases.leases"))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, &complaints)
	}
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var l view.Lease
		if err := lines.Decode(&l); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// slewed is what the wall's clock, in which the list is, may differ from the leases' before that is taken for a step of it.
const slewed = 2 * time.Second

// remembers checks that the list has what the machines were told, until then or later and by what they called themselves or
// later; that no two units overlap; and that the machines get the same again: all of them, or those that were told lately.
func (s *leaseSite) remembers(all bool) {
	s.t.Helper()
	listed := map[string]view.Lease{}
	var last view.Lease // by addresses
	for _, l := range s.listed() {
		if l.State != "active" {
			continue
		}
		if last.State != "" && unitOf(last).Overlaps(unitOf(l)) {
			s.t.Errorf("%s of %s and %s of %s overlap", unitOf(last), last.Owner, unitOf(l), l.Owner)
		}
		last = l
		listed[unitOf(l).String()] = l
	}
	for _, c := range s.crowds {
		for _, m := range c.all {
			for _, p := range m.has {
				l := listed[p.unit.String()]
				var names int
				_, _ = fmt.Sscanf(l.Hostname, "v%d", &names)
				if l.MAC != m.mac.String() || l.Ends.Before(p.until.Add(-slewed)) || names < p.names {
					s.t.Errorf("%s was told that it has %s until %s, as v%d; listed is %+v", m.mac, p.unit, p.until, p.names, l)
				}
			}
		}
	}
	s.each(func(c *crowd) error { return c.known(all) })
}

// told is how many machines believe in a lease.
func (s *leaseSite) told() (n int) {
	for _, c := range s.crowds {
		n += len(slices.DeleteFunc(slices.Clone(c.all), func(m *machine) bool { return m.has == nil }))
	}
	return n
}

// unitOf is the address or the prefix of a lease.
func unitOf(l view.Lease) netip.Prefix {
	if l.Prefix != "" {
		return netip.MustParsePrefix(l.Prefix)
	}
	return netip.PrefixFrom(l.Address, l.Address.BitLen())
}
