package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/google/gopacket/layers"
)

// station is the machine on its link: a MAC, and the addresses that it holds for now. Whoever asks for one of them by
// ARP or neighbour discovery is answered while the station receives, so servers can send to it.
type station struct {
	link       *Link
	hw         net.HardwareAddr
	linkLocal  netip.Addr // of IPv6
	holds      map[netip.Addr]bool
	neighbours map[netip.Addr]net.HardwareAddr
}

// maxNeighbours bounds what others can make the station remember.
const maxNeighbours = 256

func newStation(link *Link, hw net.HardwareAddr) *station {
	s := &station{link: link, hw: hw, linkLocal: linkLocal(hw), neighbours: map[netip.Addr]net.HardwareAddr{}}
	s.holds = map[netip.Addr]bool{s.linkLocal: true}
	return s
}

// linkLocal is the address that a machine makes of its MAC (RFC 4291 appendix A), as EDK2 and iPXE do.
func linkLocal(hw net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]})
}

func (s *station) broadcast(from, to netip.AddrPort, payload []byte) error {
	hwTo := net.HardwareAddr(hwBroadcast)
	if to.Addr().Is6() {
		hwTo = hwServers6
	}
	return s.emit(&datagram{hwFrom: s.hw, hwTo: hwTo, from: from, to: to, payload: payload})
}

func (s *station) emit(d *datagram) error {
	frame, err := d.frame()
	if err != nil {
		return err
	}
	return s.link.Send(frame)
}

// receive gives the next datagram for the machine, answering its neighbours meanwhile. At the deadline it ends with
// os.ErrDeadlineExceeded.
func (s *station) receive(ctx context.Context, deadline time.Time) (*datagram, error) {
	for {
		frame, err := s.link.Receive(ctx, deadline)
		if err != nil {
			return nil, err
		}
		h, err := read(frame)
		if err != nil {
			continue
		}
		switch {
		case h.arp != nil:
			err = s.onARP(h.arp)
		case h.neighbour != nil && s.holds[h.neighbour.target]:
			frame, err = advertFrame(s.hw, h.neighbour)
			if err == nil {
				err = s.link.Send(frame)
			}
		case h.udp != nil && s.isFor(h.udp):
			s.learn(h.udp.from.Addr(), h.udp.hwFrom)
			return h.udp, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// isFor tells a frame that the machine's card would take.
func (s *station) isFor(d *datagram) bool { return d.hwTo[0]&1 != 0 || string(d.hwTo) == string(s.hw) }

func (s *station) learn(a netip.Addr, hw net.HardwareAddr) {
	if len(s.neighbours) < maxNeighbours {
		s.neighbours[a] = hw
	}
}

func (s *station) onARP(arp *layers.ARP) error {
	asks, target := netip.AddrFrom4([4]byte(arp.SourceProtAddress)), netip.AddrFrom4([4]byte(arp.DstProtAddress))
	hw := append(net.HardwareAddr(nil), arp.SourceHwAddress...)
	if arp.Operation == layers.ARPReply {
		s.learn(asks, hw)
		return nil
	}
	if arp.Operation != layers.ARPRequest || !s.holds[target] {
		return nil
	}
	frame, err := arpFrame(layers.ARPReply, s.hw, hw, target, asks)
	if err != nil {
		return err
	}
	return s.link.Send(frame)
}

// route is how the station reaches others from an address: those on its net directly, the rest by its router.
type route struct {
	local  netip.Prefix
	router netip.Addr
}

// resolve finds the hardware address behind which to reach an address: a neighbour's, or the router's.
func (s *station) resolve(ctx context.Context, r route, to netip.Addr) (net.HardwareAddr, error) {
	if hw := s.neighbours[to]; hw != nil { // it has sent to us, so it can be sent to the same way
		return hw, nil
	}
	next := to
	if !r.local.Contains(to) {
		next = r.router
	}
	if !next.IsValid() || next.IsUnspecified() {
		return nil, fmt.Errorf("%s is not in %s, and no router was told", to, r.local.Masked())
	}
	for range 3 {
		frame, err := arpFrame(layers.ARPRequest, s.hw, nil, r.local.Addr(), next)
		if err != nil {
			return nil, err
		}
		if err := s.link.Send(frame); err != nil {
			return nil, err
		}
		for deadline := time.Now().Add(time.Second); s.neighbours[next] == nil; {
			if _, err := s.receive(ctx, deadline); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				return nil, err
			}
		}
		if hw := s.neighbours[next]; hw != nil {
			return hw, nil
		}
	}
	return nil, fmt.Errorf("%s does not answer ARP", next)
}
