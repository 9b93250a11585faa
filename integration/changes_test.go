package integration_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// lends is the campus's file with another pool in the office.
func lends(pool string) string {
	return strings.Replace(campusSubnets, "["+officeAddress+"]", "["+pool+"]", 1)
}

// edits replaces the file under the running server, as an editor does.
func (c *campus) edits(text string) {
	c.t.Helper()
	c.write("subnets.yml.new", text)
	c.must(os.Rename(filepath.Join(c.dir, "subnets.yml.new"), filepath.Join(c.dir, "subnets.yml")))
}

func TestAnEditedFileIsServedAtOnceAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	c := newCampus(t, campusConfig, campusSubnets)
	c.host("first").takes(officeAddress)

	c.edits(lends("192.0.2.110-192.0.2.111"))
	c.logs("subnets loaded", "addresses=3")
	c.host("second").takes("192.0.2.110")

	c.edits(strings.Replace(lends("192.0.2.120-192.0.2.122"), "pools:", "pool:", 1))
	c.logs("level=error", "subnets.yml:5", "pool")
	c.host("third").takes("192.0.2.111")

	c.edits(lends("192.0.2.120-192.0.2.122"))
	c.logs("subnets loaded", "addresses=4")
	c.host("fourth").takes("192.0.2.120")
}

// Each of many new machines waits a second for the ping of its address. One that is known does not wait with them.
func TestNobodyWaitsForThePingsOfOthers(t *testing.T) {
	t.Parallel()
	c := newCampus(t, campusConfig, "ping-check: true\n"+lends("192.0.2.100-192.0.2.199"))
	printer, room := c.host("printer"), c.host("room")
	c.must(printer.Address("eth0", netip.MustParsePrefix(officeAddress+"/24")))
	conn := hears(t, room.Space, "0.0.0.0:68", true)
	defer conn.Close()

	// offers has machines ask, again each second, until all were offered an address; in the order of the answers.
	offers := func(machines ...byte) (order []byte) {
		t.Helper()
		given := make(map[string]byte)
		waiting := make(map[byte]*dhcpv4.DHCPv4)
		for _, m := range machines {
			waiting[m] = pxeRequest(t, m, dhcpv4.MessageTypeDiscover)
		}
		for range 30 {
			for _, m := range machines {
				if waiting[m] != nil {
					c.must(send(conn, waiting[m], everybody.String()))
				}
			}
			for len(waiting) > 0 {
				offer, err := receive(conn)
				if err != nil {
					break // sent again
				}
				m := offer.ClientHWAddr[5]
				if waiting[m] == nil || offer.TransactionID != waiting[m].TransactionID {
					continue
				}
				delete(waiting, m)
				order = append(order, m)
				address := offer.YourIPAddr.String()
				if other, taken := given[address]; taken || address == officeAddress {
					t.Errorf("%s is offered to %d and to %d", address, m, other)
				}
				given[address] = m
			}
			if len(waiting) == 0 {
				return order
			}
		}
		t.Fatalf("%d machines are offered nothing", len(waiting))
		return nil
	}
	const known = 1
	offers(known)
	c.logs("in use: somebody answers at the address", "ip="+officeAddress)

	var all []byte
	for m := byte(16); m < 80; m++ {
		all = append(all, m)
	}
	order := offers(append(all, known)...)
	for i, m := range order {
		if m == known && i > len(all)/2 {
			t.Errorf("the one that is known was answered after %d of %d whose addresses were pinged: %v", i, len(all), order)
		}
	}
}
