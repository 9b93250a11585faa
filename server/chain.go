package server

import (
	"errors"
	"fmt"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Chain are the plugins of a configuration, set up, in its order. Its methods make of a request what CoreDHCP's loop
// makes of it, without a socket.
type Chain struct {
	four []link[handler.Handler4]
	six  []link[handler.Handler6]
}

// link is one plugin of a chain.
type link[H any] struct {
	Link
	handle H
}

// Link names one plugin of a chain.
type Link struct {
	Plugin string
	At     conf.Pos // in the configuration
}

// Step hears what a plugin left of the reply, as it would go out; nil: the plugin dropped the request.
type Step func(l Link, reply []byte)

// NewChain sets up the plugins that c lists, each by setUp. A plugin that does not serve a family is left out there, as
// CoreDHCP does.
func NewChain(c *Config, byName map[string]*plugins.Plugin) (*Chain, error) {
	ch := new(Chain)
	for _, s := range c.Sections() {
		for i, p := range s.Plugins {
			plugin, l := byName[p.Name], Link{p.Name, c.Pos(s.Name, i)}
			var err error
			switch {
			case plugin == nil:
				err = errors.New("is unknown")
			case s.Name == "server4" && plugin.Setup4 != nil:
				ch.four, err = add(ch.four, l, plugin.Setup4, p.Args)
			case s.Name == "server6" && plugin.Setup6 != nil:
				ch.six, err = add(ch.six, l, plugin.Setup6, p.Args)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s: plugin %s: %w", l.At, s.Name, p.Name, cutPluginError(err))
			}
		}
	}
	return ch, nil
}

func add[H any, S ~func(args ...string) (H, error)](chain []link[H], l Link, setUp S, args []string) ([]link[H], error) {
	h, err := setUp(args...)
	return append(chain, link[H]{l, h}), err
}

// cutPluginError takes the names off that the caller puts before it.
func cutPluginError(err error) error {
	var failed *pluginError
	if errors.As(err, &failed) {
		return failed.cause
	}
	return err
}

// Errors of requests that no plugin is asked about.
var (
	errNotRequest = errors.New("is a reply, not a request")
	errNoType     = errors.New("has no message type that a server answers")
)

// Answer4 is the reply to a DHCPv4 message, nil where there is none. The error says why no plugin was asked.
func (ch *Chain) Answer4(request []byte, heard Step) ([]byte, error) {
	req, err := dhcpv4.FromBytes(request)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	resp, err := NewReply4(req)
	if err != nil {
		return nil, err
	}
	if heard != nil {
		heard(Link{}, resp.ToBytes())
	}
	for _, l := range ch.four {
		var stop bool
		resp, stop = l.handle(req, resp)
		if heard != nil {
			heard(l.Link, wire4(resp))
		}
		if stop {
			break
		}
	}
	return wire4(resp), nil
}

func wire4(resp *dhcpv4.DHCPv4) []byte {
	if resp == nil {
		return nil
	}
	return resp.ToBytes()
}

// NewReply4 is the reply before any plugin has seen it.
func NewReply4(req *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	if req.OpCode != dhcpv4.OpcodeBootRequest {
		return nil, errNotRequest
	}
	resp, err := dhcpv4.NewReplyFromRequest(req)
	if err != nil {
		return nil, err
	}
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
	case dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform:
		resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck))
	case dhcpv4.MessageTypeRelease: // plugins free what is released
	default:
		return nil, errNoType
	}
	return resp, nil
}

// Answer6 is Answer4 for DHCPv6; the reply to a relayed message is wrapped as its relays want it.
func (ch *Chain) Answer6(request []byte, heard Step) ([]byte, error) {
	req, err := dhcpv6.FromBytes(request)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	resp, err := NewReply6(req)
	if err != nil {
		return nil, err
	}
	if heard != nil {
		heard(Link{}, wire6(resp))
	}
	for _, l := range ch.six {
		var stop bool
		resp, stop = l.handle(req, resp)
		if heard != nil {
			heard(l.Link, wire6(resp))
		}
		if stop {
			break
		}
	}
	reply, isMessage := resp.(*dhcpv6.Message)
	if relay, relayed := req.(*dhcpv6.RelayMessage); relayed && isMessage && reply != nil {
		if resp, err = dhcpv6.NewRelayReplFromRelayForw(relay, reply); err != nil {
			return nil, fmt.Errorf("cannot be answered through its relay: %w", err)
		}
	}
	return wire6(resp), nil
}

func wire6(resp dhcpv6.DHCPv6) []byte {
	if m, ok := resp.(*dhcpv6.Message); resp == nil || ok && m == nil {
		return nil
	}
	return resp.ToBytes()
}

// NewReply6 is the reply before any plugin has seen it, to the innermost message of req.
func NewReply6(req dhcpv6.DHCPv6) (dhcpv6.DHCPv6, error) {
	msg, err := req.GetInnerMessage()
	if err != nil {
		return nil, fmt.Errorf("has no client message inside: %w", err)
	}
	switch msg.Type() {
	case dhcpv6.MessageTypeSolicit:
		if msg.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
			return dhcpv6.NewAdvertiseFromSolicit(msg)
		}
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind,
		dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeInformationRequest:
	default:
		return nil, errNoType
	}
	return dhcpv6.NewReplyFromMessage(msg)
}
