package explain

import (
	"net"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/server"
	"github.com/coredhcp-netboot/suite/server/request"
)

// PortPXE is where firmware asks a server beside another one for its boot file, once it has its address from that one.
const PortPXE = 4011

// local4 stands for our address where a map beside another DHCP server needs one, and no server_id tells it: that of the
// interface which the request comes in on.
var local4 = netip.MustParseAddr("192.0.2.1") //nolint:gochecknoglobals // a constant

// leased stands for the address that a machine got from the other server.
var leased = netip.MustParseAddr("192.0.2.100") //nolint:gochecknoglobals // a constant

// AskPXE is the request of this machine to PortPXE of this server.
func (s *Server) AskPXE(m firmware.Machine) []byte {
	return m.AskBootServer(firmware.XID{}, s.identifier(), leased)
}

// facts are what the daemon would tell its plugins of a DHCPv4 request to this port.
func (s *Server) facts(port uint16) request.Facts {
	to := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if port == PortPXE || s.identifier() == local4 {
		to = s.identifier()
	}
	return request.Facts{Interface: s.heardOn("server4"), Local: netip.AddrPortFrom(to, port)}
}

// heardOn is the interface that clients of a section are on: the first that it listens on, where this host has it.
func (s *Server) heardOn(section string) request.Interface { return s.interfaces[section] }

func (s *Server) findInterfaces() error {
	s.interfaces = map[string]request.Interface{}
	for _, section := range s.config.Sections() {
		for _, a := range section.Addresses {
			if a.Zone == "" {
				continue
			}
			i, err := server.HostInterface(a.Zone)
			if err != nil {
				return err
			}
			s.interfaces[section.Name] = i
			break
		}
	}
	return nil
}

// answer6 asks the chain. Plugins leave values for later ones only where they are told facts, if there are none.
func (s *Server) answer6(message []byte, heard server.Step) ([]byte, error) {
	return s.chain.AnswerFrom6(message, request.Facts{Interface: s.heardOn("server6")}, heard)
}

// identifier is the address by which DHCPv4 clients know this server: the one of server_id, or else local4.
func (s *Server) identifier() netip.Addr {
	for _, p := range s.config.Server4.Plugins {
		if p.Name == "server_id" && len(p.Args) > 0 {
			if a, err := netip.ParseAddr(p.Args[0]); err == nil {
				return a
			}
		}
	}
	return local4
}

// hears tells whether the configuration listens on this port.
func (s *Server) hears(port uint16) bool {
	return port != PortPXE || slices.ContainsFunc(s.config.Server4.Addresses, func(a net.UDPAddr) bool { return a.Port == PortPXE })
}

// askedAgain tells an offer without the file that its client is told on port 4011.
func askedAgain(d boot.Decision, reply []byte) bool {
	resp, err := dhcpv4.FromBytes(reply)
	return err == nil && d.Answered && d.Answer.AskedAgain(resp)
}
