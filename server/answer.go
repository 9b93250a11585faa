package server

import (
	"fmt"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/server/request"
)

// Step hears what a plugin left of the reply, as it would go out; nil: the plugin dropped the request. The first call,
// without a plugin, is the reply before any has seen it.
type Step func(l Link, reply []byte)

// Answer4 is the reply to a DHCPv4 message, nil where there is none, by the same steps as on the wire but without a
// socket: plugins are told nothing beyond the packet. The error says why no plugin was asked, or which one failed.
func (ch *Chain) Answer4(data []byte, heard Step) ([]byte, error) {
	return ch.answer4(data, nil, heard)
}

// AnswerFrom4 is Answer4 with plugins that are told what f says.
func (ch *Chain) AnswerFrom4(data []byte, f request.Facts, heard Step) ([]byte, error) {
	return ch.answer4(data, &f, heard)
}

func (ch *Chain) answer4(data []byte, f *request.Facts, heard Step) ([]byte, error) {
	x := new(exchange4)
	req, err := x.decode(data)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	resp, kind, err := x.reply(req)
	if err != nil {
		return nil, err
	}
	if !ch.takesAny(kind) {
		return nil, &dropError{dropType, "has no message type that a server answers"}
	}
	limit := limit4(req, kind, len(data))
	wire := func(resp *dhcpv4.DHCPv4) []byte {
		if resp == nil {
			return nil
		}
		b, _, _ := new(encoder4).append(nil, req, resp, limit)
		return b
	}
	if f == nil {
		f = new(request.Facts) // plugins leave things for each other all the same
	}
	r := request.Open(req, *f)
	defer r.Close()
	var step step4
	if heard != nil {
		heard(Link{}, wire(resp))
		step = func(l Link, resp *dhcpv4.DHCPv4) { heard(l, wire(resp)) }
	}
	resp, _, err = ch.run4(req, resp, kind, step)
	if err != nil || resp == nil || !answerable(req, resp, kind) {
		return nil, err
	}
	ended := make(chan error, 1) // the reply leaves when nothing holds it
	r.Finish(func(err error) { ended <- err })
	if err := <-ended; err != nil {
		return nil, &dropError{dropHold, err.Error()}
	}
	return wire(resp), nil
}

// Answer6 is Answer4 for DHCPv6; the reply to a relayed message is wrapped as its relays want it.
func (ch *Chain) Answer6(data []byte, heard Step) ([]byte, error) {
	return ch.answer6(data, nil, heard)
}

// AnswerFrom6 is Answer6 with plugins that are told what f says. It waits for what holds the reply.
func (ch *Chain) AnswerFrom6(data []byte, f request.Facts, heard Step) ([]byte, error) {
	return ch.answer6(data, &f, heard)
}

func (ch *Chain) answer6(data []byte, f *request.Facts, heard Step) ([]byte, error) {
	req, err := dhcpv6.FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	resp, err := NewReply6(req)
	if err != nil {
		return nil, err
	}
	wire := func(resp dhcpv6.DHCPv6) []byte {
		if m, ok := resp.(*dhcpv6.Message); resp == nil || ok && m == nil {
			return nil
		}
		return resp.ToBytes()
	}
	held := make(chan error, 1)
	var r *request.Request
	if f != nil {
		r = request.Open(req, *f)
		defer r.Close()
	}
	var step step6
	if heard != nil {
		heard(Link{}, wire(resp))
		step = func(l Link, resp dhcpv6.DHCPv6) { heard(l, wire(resp)) }
	}
	resp, _, err = ch.run6(req, resp, step)
	if err != nil || resp == nil {
		return nil, err
	}
	if r != nil {
		r.Finish(func(err error) { held <- err })
		if err := <-held; err != nil {
			return nil, err
		}
	}
	reply, _, ok := encode6(req, resp, maxSize6)
	if !ok {
		return nil, &dropError{dropTooLong, fmt.Sprintf("does not fit into %d bytes", maxSize6)}
	}
	return reply, nil
}
