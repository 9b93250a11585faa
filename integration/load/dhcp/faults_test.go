package dhcp_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/integration/load/dhcp"
)

// liar is a server that answers rightly, but for what the test does to its answers before they leave.
type liar func(request *dhcpv4.DHCPv4, reply []byte) []byte

// answer is the right one: each machine has an address of its own, and the file of its firmware.
func answer(request *dhcpv4.DHCPv4) ([]byte, error) {
	mac := request.ClientHWAddr
	reply, err := dhcpv4.NewReplyFromRequest(request)
	if err != nil {
		return nil, err
	}
	kind := dhcpv4.MessageTypeOffer
	if request.MessageType() == dhcpv4.MessageTypeRequest {
		kind = dhcpv4.MessageTypeAck
	}
	reply.UpdateOption(dhcpv4.OptMessageType(kind))
	reply.UpdateOption(dhcpv4.OptServerIdentifier(serverIP[:]))
	reply.UpdateOption(dhcpv4.OptBootFileName("ipxe.efi"))
	reply.YourIPAddr = net.IPv4(10, mac[3], mac[4], mac[5])
	return reply.ToBytes(), nil
}

// serve runs the liar in a namespace, and returns a relay agent's port in another.
func serve(t *testing.T, lie liar) *dhcp.Port {
	t.Helper()
	server, machines := cable(t)
	var conn net.PacketConn
	if err := server.Do(func() (err error) { conn, err = net.ListenPacket("udp4", ":67"); return err }); err != nil {
		t.Fatal(err)
	}
	var port *dhcp.Port
	if err := machines.Do(func() (err error) { port, err = dhcp.Relayed(agentIP, serverIP); return err }); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			request, err := dhcpv4.FromBytes(b[:size])
			if err != nil {
				t.Errorf("the generator's packet is unreadable: %v", err)
				return
			}
			reply, err := answer(request)
			if err != nil {
				t.Error(err)
				return
			}
			if reply = lie(request, reply); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done; port.Close() })
	return port
}

// option is where an option's value begins in a message.
func option(message []byte, code byte) int {
	for at := 240; at < len(message); at += 2 + int(message[at+1]) {
		if message[at] == code {
			return at + 2
		}
	}
	return 0
}

func TestEveryLieOfAServerIsFound(t *testing.T) {
	isACK := func(reply []byte) bool { return reply[option(reply, 53)] == dhcp.ACK }
	rounds := map[string]byte{}
	for name, c := range map[string]struct {
		want dhcp.Fault
		lie  liar
	}{
		"none": {dhcp.NoFault, func(_ *dhcpv4.DHCPv4, reply []byte) []byte { return reply }},
		"cut inside an option": {dhcp.Malformed, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			return reply[:option(reply, 54)+2]
		}},
		"cut before the end option": {dhcp.Malformed, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			return reply[:option(reply, 67)+8]
		}},
		"cut inside the header": {dhcp.Malformed, func(_ *dhcpv4.DHCPv4, reply []byte) []byte { return reply[:200] }},
		"a request instead of a reply": {dhcp.Malformed, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			reply[0] = 1
			return reply
		}},
		"a transaction that nobody began": {dhcp.Stray, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			binary.BigEndian.PutUint32(reply[4:], binary.BigEndian.Uint32(reply[4:])+1)
			return reply
		}},
		"another machine's hardware address": {dhcp.WrongMachine, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			reply[33] ^= 1
			return reply
		}},
		"an ACK to a DISCOVER": {dhcp.WrongType, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			reply[option(reply, 53)] = dhcp.ACK
			return reply
		}},
		"another server's identifier": {dhcp.WrongServer, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			reply[option(reply, 54)] = 10
			return reply
		}},
		"no address": {dhcp.NoAddress, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			copy(reply[16:], []byte{0, 0, 0, 0})
			return reply
		}},
		"an address that another machine has": {dhcp.Doubled, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			copy(reply[16:], []byte{10, 0, 0, 1})
			return reply
		}},
		"another address than was offered": {dhcp.Changed, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			if isACK(reply) {
				reply[16] = 11
			}
			return reply
		}},
		"another address than last time": {dhcp.Changed, func(request *dhcpv4.DHCPv4, reply []byte) []byte {
			if !isACK(reply) {
				rounds[request.ClientHWAddr.String()]++
			}
			reply[16] = 20 + rounds[request.ClientHWAddr.String()]
			return reply
		}},
		"another machine's boot file": {dhcp.WrongFile, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			reply[option(reply, 67)] = 'X'
			return reply
		}},
		"a NAK": {dhcp.Refused, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
			if isACK(reply) {
				reply[option(reply, 53)] = dhcp.NAK
			}
			return reply
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan()
			p.Profiles = []dhcp.Profile{{Firmware: dhcp.PXE, Arch: 7}}
			p.Machines, p.Window, p.Exchanges, p.Timeout = 20, 4, 40, 50*time.Millisecond
			if c.want == dhcp.NoFault {
				p.Timeout = 10 * time.Second
			}
			p.Rules.File = func(int, dhcp.Profile) string { return "ipxe.efi" }
			r, err := p.Run(t.Context(), serve(t, c.lie))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == dhcp.NoFault {
				if r.Done != 40 || r.Lost != 0 || r.Faults.Wrong() != 0 {
					t.Errorf("%d done, %d lost, faults %v", r.Done, r.Lost, r.Faults.Examples)
				}
				return
			}
			if r.Faults.Count[c.want] == 0 {
				t.Errorf("no answer was found to be %s; found: %v", c.want, r.Faults.Examples)
			}
			if r.Lost == 0 || r.Lost+r.Done != r.Begun {
				t.Errorf("of %d exchanges %d were done and %d lost", r.Begun, r.Done, r.Lost)
			}
		})
	}
}

func TestALostAnswerIsCountedOnceAndALateOneIsNoAnswer(t *testing.T) {
	silent := 0
	var held [][]byte
	p := plan()
	p.Machines, p.Window, p.Exchanges, p.Timeout = 20, 1, 10, 100*time.Millisecond
	r, err := p.Run(t.Context(), serve(t, func(_ *dhcpv4.DHCPv4, reply []byte) []byte {
		if silent++; silent == 3 { // the second machine's OFFER; it leaves in place of the third's
			held = append(held, reply)
			return nil
		}
		if silent == 4 {
			return held[0]
		}
		return reply
	}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Done != 8 || r.Lost != 2 || r.Faults.Count[dhcp.Late] != 1 {
		t.Errorf("%d done, %d lost, %d late", r.Done, r.Lost, r.Faults.Count[dhcp.Late])
	}
}

// A load is only worth something if it looks like the machines.
func TestMachinesSendWhatFirmwareSends(t *testing.T) {
	for name, c := range map[string]struct {
		profile   dhcp.Profile
		broadcast bool
		class     string
		has, not  []uint8
	}{
		"EDK2":     {dhcp.Profile{Firmware: dhcp.PXE, Arch: 7}, true, "PXEClient:Arch:00007:UNDI:003016", []uint8{93, 94, 97}, []uint8{61, 77, 175}},
		"a ROM":    {dhcp.Profile{Firmware: dhcp.PXE}, true, "PXEClient:Arch:00000:UNDI:002001", []uint8{93, 94, 97}, []uint8{77, 175}},
		"iPXE":     {dhcp.Profile{Firmware: dhcp.IPXE, Arch: 7}, false, "PXEClient:Arch:00007:UNDI:003010", []uint8{61, 77, 93, 94, 97, 175}, nil},
		"a system": {dhcp.Profile{}, false, "udhcp 1.35.0", []uint8{61}, []uint8{77, 93, 94, 97, 175}},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan()
			p.Profiles, p.Machines, p.Window, p.Exchanges, p.First = []dhcp.Profile{c.profile}, 1, 1, 1, 0x123456
			_, err := p.Run(t.Context(), serve(t, func(request *dhcpv4.DHCPv4, reply []byte) []byte {
				if got := request.ClassIdentifier(); got != c.class {
					t.Errorf("option 60 is %q", got)
				}
				if request.IsBroadcast() != c.broadcast || request.GatewayIPAddr.String() != "192.0.2.2" || request.HopCount != 1 {
					t.Errorf("broadcast %t, giaddr %v, hops %d", request.IsBroadcast(), request.GatewayIPAddr, request.HopCount)
				}
				if got := request.ClientHWAddr.String(); got != "52:54:00:12:34:56" {
					t.Errorf("chaddr %s", got)
				}
				for _, code := range c.has {
					if !request.Options.Has(dhcpv4.GenericOptionCode(code)) {
						t.Errorf("%s without option %d", request.MessageType(), code)
					}
				}
				for _, code := range c.not {
					if request.Options.Has(dhcpv4.GenericOptionCode(code)) {
						t.Errorf("%s with option %d", request.MessageType(), code)
					}
				}
				if request.MessageType() == dhcpv4.MessageTypeRequest &&
					(!request.ServerIdentifier().Equal(serverIP[:]) || !request.RequestedIPAddress().Equal(net.IPv4(10, 0x12, 0x34, 0x56))) {
					t.Errorf("REQUEST for %v from %v", request.RequestedIPAddress(), request.ServerIdentifier())
				}
				return reply
			}))
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
