package subnets_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// loud are the lines of a log that its reader sees at level info and have all the words.
func (l *lab) loud(words ...string) (lines []string) {
	for _, line := range strings.Split(l.log.String(), "\n") {
		all := strings.Contains(line, "level=info") || strings.Contains(line, "level=warning")
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			lines = append(lines, line)
		}
	}
	return lines
}

// logsOnce checks that a thousand requests leave one line, and the next one after a while tells of the others.
func (l *lab) logsOnce(words string, each func(n int)) {
	l.t.Helper()
	for n := range 1000 {
		each(n)
	}
	if lines := l.loud(words); len(lines) != 1 || strings.Contains(lines[0], "left_out") {
		l.t.Errorf("%d lines have %q: %v", len(lines), words, lines[:min(2, len(lines))])
	}
	l.clock.passes(10 * time.Second)
	each(1000)
	if lines := l.loud(words, "left_out=999"); len(lines) != 1 {
		l.t.Errorf("%q: after 10 seconds %v", words, lines)
	}
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	l := newLab(t, "authoritative: true\nnetworks:\n  - {subnet: 10.1.1.0/24, deny: unknown, pools: [10.1.1.100-10.1.1.103]}\n")
	l.logsOnce("none of those in the file", func(n int) {
		l.machine(n).discovers("silence", via(fmt.Sprintf("10.9.%d.1", n%250)))
	})
	l.logsOnce("which the file denies", func(n int) { l.machine(n).discovers("silence") })
	l.logsOnce("msg=refused", func(n int) { l.machine(n).requests("NAK", asks("203.0.113.9")) })
}

func TestOneCauseDoesNotHideAnother(t *testing.T) {
	l := newLab(t, "networks:\n  - {subnet: 10.1.1.0/24, deny: unknown, pools: [10.1.1.100-10.1.1.103]}\n")
	l.machine(1).discovers("silence", via("10.9.0.1"))
	l.machine(1).discovers("silence")
	if lines := l.loud("no lease"); len(lines) != 2 {
		t.Error(lines)
	}
}

func TestStrangersOfDHCPv6DoNotFillTheLog(t *testing.T) {
	l := newLab6(t, "networks:\n  - {subnet: \"2001:db8:1::/64\", pools: [\"2001:db8:1::10-2001:db8:1::10\"]}\n")
	l.logsOnce("none of those in the file", func(n int) {
		c := l.stranger(byte(n))
		c.from = relayed("2001:db8:99::1")
		c.hears("silence", c.message(dhcpv6.MessageTypeSolicit, "na 1"))
	})
	first := l.stranger(0)
	first.hears("REPLY; na 1 2001:db8:1::10 for 27000/43200", first.message(dhcpv6.MessageTypeRequest, "na 1", names(ours)))
	l.logsOnce("no address is free", func(n int) {
		c := l.stranger(byte(1 + n%200))
		c.hears("ADVERTISE; na 1 NoAddrsAvail", c.message(dhcpv6.MessageTypeSolicit, "na 1"))
	})
}

// Every reply has the client's identifier (RFC 6842), and one of 700 bytes fits into none that every client takes.
func TestAnIdentifierThatCannotComeBackIsRefusedBeforeItHasAnAddress(t *testing.T) {
	for _, identity := range []string{"mac", "client-id"} {
		l := newLab(t, "identity: "+identity+"\nnetworks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.100]}\n")
		for _, n := range []int{256, 700} {
			l.machine(1).discovers("silence", option(clientID, strings.Repeat("x", n)))
		}
		if lines := l.loud("no lease", "too long to come back"); len(lines) != 1 {
			t.Errorf("%s: %v", identity, lines)
		}
		longest := strings.Repeat("x", 255)
		offer := l.machine(2).boots("10.1.1.100", option(clientID, longest))
		if offer == nil || string(offer.Options.Get(dhcpv4.OptionClientIdentifier)) != longest {
			t.Errorf("%s: one of 255 bytes does not come back", identity)
		}
	}
}
