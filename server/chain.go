package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Chain are the plugins of a configuration, set up, in its order. It makes replies of requests, without a socket.
type Chain struct {
	four []link[handler.Handler4]
	six  []link[handler.Handler6]
	// forgets is set if no DHCPv4 plugin keeps anything of a packet.
	forgets bool
}

// link is one plugin of a chain.
type link[H any] struct {
	Link
	handle H
	takes  Messages
}

// Link names one plugin of a chain.
type Link struct {
	Plugin string
	At     conf.Pos // in the configuration
}

// Messages are kinds of DHCPv4 messages that stock plugins cannot bear: a plugin gets them only if it is known to take
// them.
type Messages uint8

// The kinds. Stock range would lease an address for a declined one, and never get it back from a BOOTP client.
const (
	Decline Messages = 1 << iota // DHCPDECLINE; never answered
	BOOTP                        // requests without a message type
	// GUIDAddress: of any kind, from an Ethernet card whose hardware address is the machine's GUID, 16 bytes (EDK2 with
	// SendGUID). Stock range writes it down, and cannot read it at its next start.
	GUIDAddress
	ordinary
)

// takes tells a plugin that is known to take all that a message is.
func (m Messages) takes(kind Messages) bool { return kind&^m == 0 }

// NewChain sets up the plugins that c lists, in the order of LoadPlugins of CoreDHCP, and all problems come in one run.
// A plugin that does not serve a family is left out there, as CoreDHCP does.
func NewChain(c *Config, byName map[string]*plugins.Plugin) (*Chain, error) {
	ch := new(Chain)
	var problems conf.Problems
	for _, name := range []string{"server6", "server4"} {
		for _, s := range c.Sections() {
			if s.Name != name {
				continue
			}
			for i, p := range s.Plugins {
				l := Link{p.Name, c.Pos(s.Name, i)}
				err := ch.add(s.Name, l, byName[p.Name], p.Args)
				var ofItsFile conf.Problems
				switch {
				case errors.As(err, &ofItsFile):
					problems = append(problems, ofItsFile...)
				case err != nil:
					problems.Add(l.At, "%s: plugin %s: %v", s.Name, p.Name, err)
				}
			}
		}
	}
	ch.Admit(takeGUIDs())
	ch.Admit(stockTakes())
	ch.Admit(map[string]Messages{"subnets": Decline | BOOTP})
	known := forgetful()
	ch.forgets = !slices.ContainsFunc(ch.four, func(l link[handler.Handler4]) bool { return !known[l.Plugin] })
	return ch, problems.Err()
}

func (ch *Chain) add(section string, l Link, p *plugins.Plugin, args []string) error {
	switch {
	case p == nil:
		return fmt.Errorf("is unknown; see netboot-dhcpd -P")
	case section == "server4" && p.Setup4 != nil:
		h, err := setUp(p.Setup4, args)
		if err != nil || h == nil {
			return err
		}
		ch.four = append(ch.four, link[handler.Handler4]{l, h, ordinary})
	case section == "server6" && p.Setup6 != nil:
		h, err := setUp(p.Setup6, args)
		if err != nil || h == nil {
			return err
		}
		ch.six = append(ch.six, link[handler.Handler6]{l, h, ordinary})
	}
	return nil
}

// Admit lets the named plugins have more than ordinary messages.
func (ch *Chain) Admit(takes map[string]Messages) {
	for i := range ch.four {
		ch.four[i].takes |= takes[ch.four[i].Plugin]
	}
}

// setUp calls a plugin's setup. Its panic is an error.
func setUp[H any, S ~func(args ...string) (H, error)](setup S, args []string) (h H, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panicked: %v; look at its arguments", r)
		}
	}()
	return setup(args...)
}

// panicError is a panic over one packet: a plugin's, or one of what follows the chain.
type panicError struct {
	Link
	value string
	stack string
}

func (e *panicError) Error() string {
	if e.Plugin == "" {
		return "panicked: " + e.value
	}
	return fmt.Sprintf("plugin %s panicked: %s", e.Plugin, e.value)
}

// dropError says why no plugin was asked, or no reply made.
type dropError struct {
	why  reason
	text string
}

func (e *dropError) Error() string { return e.text }

// step4 hears what a plugin left of the reply; nil: the plugin dropped the request.
type step4 func(Link, *dhcpv4.DHCPv4)

// run4 passes a request through the plugins that take its kind. A nil reply without an error is a plugin's decision, of
// the one that is returned. A plugin's panic is an error.
func (ch *Chain) run4(req, resp *dhcpv4.DHCPv4, kind Messages, heard step4) (out *dhcpv4.DHCPv4, by Link, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, &panicError{by, fmt.Sprint(r), string(debug.Stack())}
		}
	}()
	for i := range ch.four {
		l := &ch.four[i]
		if !l.takes.takes(kind) {
			continue
		}
		var stop bool
		by = l.Link
		resp, stop = l.handle(req, resp)
		if heard != nil {
			heard(by, resp)
		}
		if stop {
			break
		}
	}
	return resp, by, nil
}

type step6 func(Link, dhcpv6.DHCPv6)

// run6 is run4 for DHCPv6, where every plugin takes every message.
func (ch *Chain) run6(req, resp dhcpv6.DHCPv6, heard step6) (out dhcpv6.DHCPv6, by Link, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, &panicError{by, fmt.Sprint(r), string(debug.Stack())}
		}
	}()
	for i := range ch.six {
		l := &ch.six[i]
		var stop bool
		by = l.Link
		resp, stop = l.handle(req, resp)
		if heard != nil {
			heard(by, resp)
		}
		if stop {
			break
		}
	}
	if m, ok := resp.(*dhcpv6.Message); ok && m == nil {
		resp = nil
	}
	return resp, by, nil
}

// takesAny tells whether any DHCPv4 plugin takes this kind of message.
func (ch *Chain) takesAny(kind Messages) bool {
	for i := range ch.four {
		if ch.four[i].takes.takes(kind) {
			return true
		}
	}
	return false
}
