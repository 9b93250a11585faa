package boot_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// lending is a configuration that lends on the link of srv0, by both families.
const lending = `server4:
  listen: "%srv0"
  plugins:
    - server_id: 10.0.0.1
    - subnets: subnets.yml
    - boot: boot.yml
server6:
  listen: "[ff02::1:2%srv0]:547"
  plugins:
    - server_id: LL 52:54:00:00:00:01
    - subnets: subnets.yml
    - boot: boot.yml
`

const lendingSubnets = `leases: leases
authoritative: true
networks:
  - name: office
    subnets:
      - subnet: 10.0.0.0/24
        options: {routers: 10.0.0.254, domain-name-servers: 10.0.0.53}
        pools: [10.0.0.100-10.0.0.150]
        lease-time: 8h
      - {subnet: "2001:db8:1::/64", pools: ["2001:db8:1::100-2001:db8:1::1ff"], lease-time: 8h}
reservations:
  - {name: printer, mac: "52:54:00:aa:bb:09", address: 10.0.0.9}
`

// host is a machine that asks for an address.
type host struct {
	t   *testing.T
	net *wireNet
	mac net.HardwareAddr
}

func (h host) message(kind dhcpv4.MessageType, more ...dhcpv4.Modifier) asking {
	h.t.Helper()
	more = append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(h.mac), dhcpv4.WithMessageType(kind), dhcpv4.WithBroadcast(true)}, more...)
	m, err := dhcpv4.New(more...)
	must(h.t, err)
	return asking{name: h.mac.String() + " " + kind.String(), request: m.ToBytes()}
}

func (h host) asksFor(ip net.IP) asking {
	return h.message(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1))))
}

// leases gets the host an address on the wire.
func (h host) leases() net.IP {
	h.t.Helper()
	offer, err := dhcpv4.FromBytes(h.net.answer(h.t, h.message(dhcpv4.MessageTypeDiscover), true))
	must(h.t, err)
	ack, err := dhcpv4.FromBytes(h.net.answer(h.t, h.asksFor(offer.YourIPAddr), true))
	must(h.t, err)
	if ack.MessageType() != dhcpv4.MessageTypeAck {
		h.t.Fatalf("%s gets %s", h.mac, ack.Summary())
	}
	return ack.YourIPAddr
}

// solicits is a SOLICIT for an address.
func (h host) solicits() asking {
	h.t.Helper()
	m, err := dhcpv6.NewSolicit(h.mac)
	must(h.t, err)
	return asking{name: h.mac.String() + " SOLICIT", request: m.ToBytes(), v6: true}
}

// The daemon goes on while explain looks at its leases, and neither is in the way of the other.
func TestExplainSaysWhatIsOnTheWireWithTheLeasesAsTheyStand(t *testing.T) {
	n, dir := newNet(t), t.TempDir()
	must(t, n.server.IP("address", "add", "2001:db8:1::1/64", "dev", "srv0", "nodad"))
	for name, text := range map[string]string{"config.yml": lending, "subnets.yml": lendingSubnets, "boot.yml": vectorMap(t, nil)} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	dhcpd, ctl := built(t, "netboot-dhcpd"), built(t, "netbootctl")
	n.serves(t, dhcpd, dir)
	machine := func(i byte) host { return host{t, n, net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0xbb, i}} }
	hers := machine(1).leases()
	his := machine(2).leases()
	if !hers.Equal(net.IPv4(10, 0, 0, 100)) || !his.Equal(net.IPv4(10, 0, 0, 101)) {
		t.Fatal(hers, his)
	}
	before := listing(t, filepath.Join(dir, "leases"))
	var told []string
	for _, a := range []asking{
		machine(2).message(dhcpv4.MessageTypeDiscover), // has an address, and is offered it
		machine(2).asksFor(his),                        // renews early: the time that remains
		machine(3).asksFor(hers),                       // is refused what is another's
		machine(3).message(dhcpv4.MessageTypeDiscover), // is new, and gets the next
		machine(9).message(dhcpv4.MessageTypeDiscover), // is reserved one
		machine(4).solicits(),
	} {
		x, want := explainedBeside(t, n, ctl, dir, a)
		got := padded(n.answer(t, a, len(want) > 0))
		if !bytes.Equal(withoutTimes(t, got), withoutTimes(t, want)) {
			t.Errorf("%s: on the wire:\n%x\nexplain says:\n%x", a.name, got, want)
		}
		if len(x.Leases) != 1 || !x.Leases[0].Copied {
			t.Errorf("%s: %+v", a.name, x.Leases)
		}
		told = append(told, x.Reply.Type)
	}
	if got := strings.Join(told, " "); got != "OFFER ACK NAK OFFER OFFER ADVERTISE" {
		t.Error(got)
	}
	if after := listing(t, filepath.Join(dir, "leases")); after != before {
		t.Errorf("of the leases' directory, %s became %s", before, after)
	}
}

type explanation struct {
	Leases []struct{ Copied bool }
	Reply  *struct{ Type, Hex string }
}

// explainedBeside is what explain says on the server's host, and the reply.
func explainedBeside(t *testing.T, n *wireNet, ctl, dir string, a asking) (x explanation, reply []byte) {
	t.Helper()
	cmd := n.server.Command(ctl, "explain", "-c", filepath.Join(dir, "config.yml"), "--json", "--hex", "-")
	cmd.Stdin = strings.NewReader(hex.EncodeToString(a.request))
	out, err := cmd.Output()
	must(t, err)
	must(t, json.Unmarshal(out, &x))
	if x.Reply == nil {
		t.Fatalf("%s: no reply\n%s", a.name, out)
	}
	reply, err = hex.DecodeString(x.Reply.Hex)
	must(t, err)
	return x, reply
}

// withoutTimes is a reply whose lease time and what follows from it are rounded to minutes: seconds pass between two answers.
func withoutTimes(t *testing.T, reply []byte) []byte {
	t.Helper()
	out := bytes.Clone(reply)
	if len(out) < 240 || out[0] != 2 {
		return out
	}
	for at := 240; at+1 < len(out) && out[at] != 255; {
		if out[at] == 0 {
			at++
			continue
		}
		if code, value := out[at], out[at+2:at+2+int(out[at+1])]; code == 51 || code == 58 || code == 59 {
			binary.BigEndian.PutUint32(value, (binary.BigEndian.Uint32(value)+30)/60)
		}
		at += 2 + int(out[at+1])
	}
	return out
}

// listing is the names of a directory's files.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return strings.Join(names, " ")
}
