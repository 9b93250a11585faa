package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// A Raspberry Pi takes an OFFER for its lease, so that counts as an ACK.
func TestAReplyThatLendsLeavesAfterItsSync(t *testing.T) {
	if err := nettest.Need("strace"); err != nil {
		t.Fatal(err)
	}
	eachLender(t, func(t *testing.T, l lender) {
		s := newLeaseSite(t, l, t.TempDir(), 2)
		trace := filepath.Join(t.TempDir(), "trace")
		s.start("strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=fdatasync,pwrite64,sendmmsg,sendmsg,sendto")
		var lends []bool // of each reply
		for _, c := range s.crowds {
			for range 2 {
				m := c.arrives()
				if err := c.leases(m); err != nil {
					t.Fatal(err)
				}
				m.names++
				if err := c.hears(m, c.renews); err != nil {
					t.Fatal(err)
				}
				lends = append(lends, false, true, true)
			}
		}
		if _, err := s.crowds[0].asker.(*relay4).discovers(s.crowds[0].arrives(),
			dhcpv4.WithGeneric(dhcpv4.OptionClassIdentifier, []byte("PXEClient:Arch:00000:UNDI:002001")),
			dhcpv4.WithGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, bytes.Repeat([]byte{0x44}, 16)...))); err != nil {
			t.Fatal(err)
		}
		lends = append(lends, true)

		reply := regexp.MustCompile(`sendmmsg\(`) // as it begins: its end may stand on a line of its own
		var b []byte
		s.until("the trace has every reply", func() bool {
			b = must(os.ReadFile(trace))
			return len(reply.FindAll(b, -1)) == len(lends)
		})
		written, synced := false, false
		for line := range strings.Lines(string(b)) {
			switch {
			case strings.Contains(line, "pwrite64("):
				written, synced = true, false
			case strings.Contains(line, "fdatasync") && strings.Contains(line, "= 0"):
				synced = written
			case reply.MatchString(line):
				if lends[0] && !synced {
					t.Errorf("%d replies from the end one leaves before its sync:\n%s", len(lends), b)
				}
				lends, written, synced = lends[1:], false, false
			}
		}
	})
}
