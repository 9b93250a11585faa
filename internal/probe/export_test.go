package probe

import (
	"net"
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Reply is what a test has a server send, and when.
type Reply struct {
	Payload []byte
	At      time.Duration
	Port    uint16
}

// Choose tells which of the replies firmware takes: indexes of the lease's and the boot file's, -1 for none.
func Choose(kind netboot.Firmware, bios bool, replies []Reply) (lease, boot int, ask bool, code string) {
	var offers []*Offer
	for i, r := range replies {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		o, err := newOffer4(&datagram{hwFrom: net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}, from: netip.AddrPortFrom(from, r.Port), payload: r.Payload}, r.At)
		if err != nil {
			panic(err)
		}
		offers = append(offers, o)
	}
	c, end := chooserOf(kind, bios).choose(offers)
	lease, boot = -1, -1
	for i, o := range offers {
		if o == c.Lease {
			lease = i
		}
		if o == c.Boot {
			boot = i
		}
	}
	if end != nil {
		code = end.Code
	}
	return lease, boot, c.Ask, code
}

// ReadReply4 does to a reply all that the machine does before it chooses, and after.
func ReadReply4(payload []byte) string {
	o, err := newOffer4(&datagram{from: netip.MustParseAddrPort("192.0.2.1:67"), payload: payload}, 0)
	if err != nil {
		return ""
	}
	text := o.summary()
	for _, kind := range []netboot.Firmware{netboot.FirmwarePXE, netboot.FirmwareHTTP, netboot.FirmwareIPXE} {
		for _, bios := range []bool{false, true} {
			for _, n := range flaws(o, kind) {
				text += n.Text
			}
			rules := chooserOf(kind, bios)
			c, end := rules.choose([]*Offer{o, o})
			if end == nil {
				_, end = rules.source(c, o, nil)
			}
			if end == nil {
				_, end = rules.source(c, o, o)
			}
			if end != nil {
				text += end.Text + end.Cause
			}
		}
	}
	i, _ := itemOf(o)
	_ = i
	return text
}

// ReadFrame does to a frame all that the machine does.
func ReadFrame(frame []byte) {
	h, err := read(frame)
	if err != nil {
		return
	}
	if h.udp != nil {
		ReadReply4(h.udp.payload)
		newOffer6(h.udp, 0)
	}
	if h.neighbour != nil && h.neighbour.target.IsValid() { // an invalid one is nobody's
		if _, err := advertFrame(net.HardwareAddr{2, 0, 0, 0, 0, 1}, h.neighbour); err != nil {
			panic(err)
		}
	}
}

// ReadTFTP reads an answer to EDK2's first request.
func ReadTFTP(b []byte) (map[string]string, string) {
	options, end := readAnswer(b, "ipxe.efi", []string{"tsize", "0", "blksize", "1468", "windowsize", "4"})
	if end != nil {
		return nil, end.Text
	}
	return options, ""
}

// Steps lists what a script fetches: "line command target".
func Steps(script []byte) (list []step, ends bool) { return readScript(script) }

// Line, Command and Target are those of a step.
func (s step) Line() int       { return s.line }
func (s step) Command() string { return s.command }
func (s step) Target() string  { return s.target }
