package subnets_test

import (
	"fmt"
	"testing"
	"time"
)

const day = 24 * time.Hour

// steps are what becomes of the clock, one after the other, while nobody's lease ends.
func steps(c *clock, restarts func()) map[string]func() {
	return map[string]func(){
		"a day forward":                func() { c.steps(day) },
		"a day back":                   func() { c.steps(-day) },
		"a day forward and a restart":  func() { c.steps(day); restarts() },
		"a day back and a restart":     func() { c.steps(-day); restarts() },
		"a restart, then a day ahead":  func() { restarts(); c.steps(day) },
		"a restart, then a day behind": func() { restarts(); c.steps(-day) },
	}
}

func TestAClockThatIsSteppedLendsNothingTwice(t *testing.T) {
	for name := range steps(nil, nil) {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, office)
			for n := range 3 {
				l.machine(n).boots(fmt.Sprintf("10.1.1.%d", 100+n))
			}
			steps(l.clock, l.restarts)[name]()
			late := l.machine(9)
			late.discovers("silence")
			for n := range 3 { // which has the server notice the step
				l.clock.passes(time.Minute)
				l.machine(n).requests(fmt.Sprintf("10.1.1.%d", 100+n), has(fmt.Sprintf("10.1.1.%d", 100+n)), option(12, "renews"))
			}
			l.clock.boots() // with the wall's clock as it is
			l.restarts()
			late.discovers("silence")
			l.clock.passes(6 * time.Minute)
			late.discovers("silence")
			l.clock.passes(2*time.Minute + 2*time.Second) // ten after the first renewal
			late.boots("10.1.1.100")
		})
	}
}

func TestAClockThatIsSteppedDelegatesNothingTwice(t *testing.T) {
	for name := range steps(nil, nil) {
		t.Run(name, func(t *testing.T) {
			l := newLab6(t, office6)
			has := func(n byte) (address, prefix string) {
				return fmt.Sprintf("2001:db8:1::100%d", n), fmt.Sprintf("2001:db8:800%d::/48", n)
			}
			for n := range byte(3) {
				a, p := has(n)
				c := l.client(n)
				c.hears(fmt.Sprintf("REPLY; na 1 %s for 4500/7200; pd 1 %s for 4500/7200", a, p), c.message(request6, names(ours), "na 1", "pd 1"))
			}
			fourth := l.client(3)
			fourth.hears("REPLY; pd 1 2001:db8:8003::/48 for 4500/7200", fourth.message(request6, names(ours), "pd 1"))
			steps(l.clock, l.restarts)[name]()
			late := l.client(9)
			const nothing = "na 1 NoAddrsAvail; pd 1 NoPrefixAvail"
			late.hears("ADVERTISE; "+nothing, late.message(solicit, "na 1", "pd 1"))
			l.clock.passes(time.Hour) // no lease is young any more
			for n := range byte(3) {
				a, p := has(n)
				c := l.client(n)
				c.hears(fmt.Sprintf("REPLY; na 1 %s for 4500/7200; pd 1 %s for 4500/7200", a, p), c.message(renew, names(ours), "na 1 "+a, "pd 1 "+p))
			}
			l.clock.boots()
			l.restarts()
			late.hears("ADVERTISE; "+nothing, late.message(solicit, "na 1", "pd 1"))
			l.clock.passes(time.Hour + 2*time.Second) // the fourth did not renew
			late.hears("ADVERTISE; na 1 NoAddrsAvail; pd 1 2001:db8:8003::/48 for 4500/7200", late.message(solicit, "na 1", "pd 1"))
		})
	}
}
