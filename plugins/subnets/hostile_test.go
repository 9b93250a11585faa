package subnets_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var stories = flag.Int("stories", 10, "how many random stories to play")

// The files that a random story changes between. Addresses are few, so that everybody is in everybody's way.
var siteFiles = []string{
	"authoritative: true\nbootp: true\nnetworks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.103, {range: 10.1.1.104, bootp: true}]}\n  - {subnet: 10.1.2.0/24, pools: [10.1.2.100-10.1.2.102]}\n",
	"authoritative: true\nbootp: true\nnetworks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.101-10.1.1.104]}\n  - {subnet: 10.1.2.0/24, pools: [10.1.2.100-10.1.2.102]}\n" +
		"reservations:\n  - {mac: \"52:54:00:aa:00:01\", address: 10.1.1.102}\n  - {mac: \"52:54:00:aa:00:02\", address: [10.1.1.9, 10.1.2.100]}\n",
	"networks:\n  - name: one\n    subnets: [{subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.101]}, {subnet: 10.1.2.0/24, pools: [10.1.2.101-10.1.2.102]}]\n" +
		"reservations:\n  - {mac: \"52:54:00:aa:00:03\", address: 10.1.1.100}\n  - {client-id: id-4-0, address: 10.1.2.102}\n",
	"identity: client-id\nauthoritative: true\nnetworks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.104]}\n  - {subnet: 10.1.2.0/24, deny: unknown, pools: [10.1.2.100-10.1.2.102]}\n" +
		"reservations:\n  - {mac: \"52:54:00:aa:00:05\", address: 10.1.1.101}\n",
}

const storyLeases = "lease-time: {default: 60s, min: 10s, max: 10m}\n"

// lent is what machines believe to have: by address, who has it and until when.
type lent map[string]struct {
	who   int
	until time.Duration
}

// No sequence of requests, restarts and changes of the file has two machines believe that one address is theirs.
func TestNoStoryGivesOneAddressToTwoMachines(t *testing.T) {
	for seed := range *stories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playStory(t, rand.New(rand.NewPCG(uint64(seed), 7))) })
	}
}

func playStory(t *testing.T, r *rand.Rand) {
	l := newLab(t, siteFiles[0]+storyLeases)
	believed := lent{}
	var told [8]string // the address that each machine was told last
	var diary []string
	note := func(format string, args ...any) { diary = append(diary, fmt.Sprintf(format, args...)) }
	for range 300 {
		who := 1 + r.IntN(7)
		m := l.machine(who)
		var more []dhcpv4.Modifier
		if id := r.IntN(3); id > 0 {
			more = append(more, option(clientID, fmt.Sprintf("id-%d-%d", who, id-1)))
		}
		if r.IntN(3) == 0 {
			more = append(more, via("10.1.2.1"))
		}
		if r.IntN(4) == 0 {
			more = append(more, dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime([]time.Duration{0, time.Second, 20 * time.Second, 1<<32*time.Second - time.Second}[r.IntN(4)])))
		}
		some := fmt.Sprintf("10.1.%d.%d", 1+r.IntN(2), 100+r.IntN(5))
		if told[who] != "" && r.IntN(2) == 0 {
			some = told[who]
		}
		var reply *dhcpv4.DHCPv4
		switch op := r.IntN(20); op {
		case 0:
			note("restart")
			l.restarts()
			continue
		case 1:
			n := r.IntN(len(siteFiles))
			note("file %d", n)
			l.becomes(siteFiles[n] + storyLeases)
			continue
		case 2, 3:
			d := time.Duration(r.IntN(90)) * time.Second
			note("%s pass", d)
			l.clock.passes(d)
			continue
		case 4:
			note("%d releases %s", who, told[who])
			if told[who] == "" {
				continue
			}
			m.sends(dhcpv4.MessageTypeRelease, append(more, has(told[who]))...)
			if believed[told[who]].who == who {
				delete(believed, told[who])
			}
			continue
		case 5:
			note("%d declines %s", who, some)
			m.sends(dhcpv4.MessageTypeDecline, append(more, asks(some))...)
			if believed[some].who == who {
				delete(believed, some)
			}
			continue
		case 6:
			note("%d asks by BOOTP", who)
			reply = m.sends(dhcpv4.MessageTypeNone, more...)
		case 7, 8, 9:
			note("%d reboots with %s", who, some)
			reply = m.sends(dhcpv4.MessageTypeRequest, append(more, asks(some))...)
		case 10, 11:
			note("%d renews %s", who, some)
			reply = m.sends(dhcpv4.MessageTypeRequest, append(more, has(some))...)
		default:
			offer := m.sends(dhcpv4.MessageTypeDiscover, append(more, asks(some))...)
			if offer == nil {
				continue
			}
			if a := offer.YourIPAddr.String(); believed[a].who != 0 && believed[a].who != who && believed[a].until > l.clock.Since() {
				t.Errorf("%d is offered %s, which %d has", who, a, believed[a].who)
			}
			if op < 15 {
				note("%d is offered %s", who, offer.YourIPAddr)
				continue
			}
			note("%d boots with %s", who, offer.YourIPAddr)
			reply = m.sends(dhcpv4.MessageTypeRequest, append(more, asks(offer.YourIPAddr.String()), chooses("10.1.1.1"))...)
		}
		if reply == nil || reply.MessageType() == dhcpv4.MessageTypeNak {
			continue
		}
		a := reply.YourIPAddr.String()
		until := l.clock.Since() + reply.IPAddressLeaseTime(1000*time.Hour)
		if h := believed[a]; h.who != 0 && h.who != who && h.until > l.clock.Since() {
			t.Errorf("%s is lent to %d while %d has it", a, who, h.who)
		}
		for other, h := range believed { // it has one card
			if h.who == who && other != a {
				delete(believed, other)
			}
		}
		believed[a] = struct {
			who   int
			until time.Duration
		}{who, until}
		told[who] = a
		if t.Failed() {
			t.Fatal(strings.Join(diary, "\n"))
		}
	}
}

func TestWhoIsOnOurOwnLinkDoesNotChooseAnotherByWhatOnlyRelaysSay(t *testing.T) {
	l := newLab(t, "networks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.103]}\n  - {subnet: 10.1.2.0/24, pools: [10.1.2.100-10.1.2.102]}\n")
	l.machine(1).discovers("10.1.1.100", option(relayInfo, "\x05\x04\x0a\x01\x02\x01"))
}

func TestAHardwareTypeMakesNobodyAnotherKindOfOwner(t *testing.T) {
	l := newLab(t, office+"identity: client-id\n")
	l.machine(1).boots("10.1.1.100", option(clientID, "system"))
	req, err := dhcpv4.New(dhcpv4.WithHwAddr(net.HardwareAddr("system")), dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover))
	if err != nil {
		t.Fatal(err)
	}
	for _, htype := range []byte{0, 0xfe, 0xff} {
		raw := req.ToBytes()
		raw[1] = htype
		if r := l.sends(raw, l.facts); r != nil && r.YourIPAddr.String() == "10.1.1.100" {
			t.Errorf("hardware type %d is offered another machine's address", htype)
		}
	}
}

func TestWhatIsLongOrOddInARequestIsLentAnAddressOrDropped(t *testing.T) {
	l := newLab(t, strings.Replace(office, "10.1.1.102", "10.1.1.150", 1))
	for name, more := range map[string]dhcpv4.Modifier{
		"a long host name":      option(12, strings.Repeat("h", 700)),
		"a long identifier":     option(clientID, strings.Repeat("i", 254)),
		"a host name of breaks": option(12, "a\n\x1b[31m\x00level=error"),
		"no lease at all":       option(51, "\x00\x00\x00\x00"),
		"a lease for ever":      option(51, "\xff\xff\xff\xff"),
		"a cut lease time":      option(51, "\xff"),
		"option overload":       option(52, "\x03"),
		"an empty agent":        option(relayInfo, ""),
		"a torn agent":          option(relayInfo, "\x01\xff"),
		"a short selection":     option(118, "\x0a"),
	} {
		n := len(name)
		offer := l.machine(n, more).sends(dhcpv4.MessageTypeDiscover)
		if offer == nil {
			t.Errorf("%s: no offer\n%s", name, l.log.String())
			continue
		}
		ack := l.machine(n, more).sends(dhcpv4.MessageTypeRequest, asks(offer.YourIPAddr.String()), chooses("10.1.1.1"))
		if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
			t.Errorf("%s: %v\n%s", name, ack, l.log.String())
			continue
		}
		if lt := ack.IPAddressLeaseTime(0); lt < 5*time.Minute || lt > 24*time.Hour {
			t.Errorf("%s: a lease of %s", name, lt)
		}
	}
	for _, line := range strings.Split(l.log.String(), "\n") {
		if strings.HasPrefix(line, "level=") || strings.Contains(line, "\x1b") || len(line) > 2000 {
			t.Errorf("in the log: %q", line)
		}
	}
}

func TestWhoHasNoUsableHardwareAddressIsNotAnswered(t *testing.T) {
	l := newLab(t, office)
	base, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithHwAddr(net.HardwareAddr(strings.Repeat("m", 16))))
	if err != nil {
		t.Fatal(err)
	}
	for _, hlen := range []byte{0, 1, 16, 17, 255} {
		raw := base.ToBytes()
		raw[2] = hlen
		if b, _ := l.chain.AnswerFrom4(raw, l.facts, nil); b != nil {
			t.Errorf("who has one of %d bytes is answered", hlen)
		}
	}
}

func TestAForgedPortDoesNotTakeAnAddressThatIsInUse(t *testing.T) {
	l := newLab(t, office+"reservations:\n  - {name: port-7, circuit-id: eth7, address: 10.1.1.12}\n")
	port := option(relayInfo, "\x01\x04eth7")
	l.machine(1).boots("10.1.1.12", port, via("10.1.1.2"))
	l.machine(2).boots("10.1.1.100", port) // it says so itself, without a relay
}

func TestADiscoverTakesNothingFromWhoHasIt(t *testing.T) {
	l := newLab(t, "authoritative: true\n"+office+"reservations:\n  - {mac: [\"52:54:00:aa:00:01\", \"52:54:00:aa:00:02\"], address: 10.1.1.12}\n")
	l.machine(1).boots("10.1.1.12")
	l.machine(2).sends(dhcpv4.MessageTypeDiscover)
	l.machine(2).requests("silence", asks("10.1.1.99"), chooses("10.9.9.9")) // another server's
	families, err := l.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if strings.HasSuffix(f.GetName(), "_leases") && strings.Contains(m.String(), `"active"`) && m.GetGauge().GetValue() != 1 {
				t.Errorf("active: %v", m.GetGauge().GetValue())
			}
		}
	}
}

func TestFilesThatAreMeantToHurtAreRefusedSoon(t *testing.T) {
	net := func(s string) string {
		return "networks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.102], " + s + "}\n"
	}
	bomb := "options: &a {x: y}\n"
	for i := range 9 {
		bomb += fmt.Sprintf("b%d: &b%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%s,", map[bool]string{true: "a", false: fmt.Sprintf("b%d", i-1)}[i == 0]), 10), ","))
	}
	for name, file := range map[string]string{
		"an alias bomb":    bomb + net("name: a"),
		"a deep list":      "networks: " + strings.Repeat("[", 100000) + "\n",
		"a deep condition": "classes: [{name: a, when: '" + strings.Repeat("(", 100000) + "'}]\n" + net("name: a"),
		"a deep not":       "classes: [{name: a, when: '" + strings.Repeat("not ", 100000) + "known'}]\n" + net("name: a"),
		"a wide regex":     "classes: [{name: a, when: 'option host-name ~= \"((a{1000}){1000}){1000}\"'}]\n" + net("name: a"),
		"a long lease":     net("lease-time: 99999999999999d"),
		"a negative lease": net("lease-time: -1s"),
		"no lease":         net("lease-time: 0s"),
		"past 32 bits":     net("lease-time: 4294967296s"),
		"min above max":    net("lease-time: {min: 2h, max: 1h}"),
		"a whole world":    "networks:\n  - {subnet: 0.0.0.0/0, pools: [255.255.255.255-0.0.0.0]}\n",
		"a broadcast":      "networks:\n  - {subnet: 10.1.1.0/24, pools: [10.1.1.0-10.1.1.255]}\n",
		"a loopback":       "networks:\n  - {subnet: 127.0.0.0/8, pools: [127.0.0.1-127.0.0.9]}\n",
		"multicast":        "networks:\n  - {subnet: 224.0.0.0/8, pools: [224.0.0.1-224.0.0.9]}\n",
		"a reserved zero":  "networks:\n  - {subnet: 0.0.0.0/8, pools: [0.0.0.0-0.0.0.9]}\n",
		"no YAML":          "\x00\x01\x02",
		"a long option":    net("options: {domain-name: \"" + strings.Repeat("a", 70000) + "\"}"),
	} {
		l := &lab{t: t, dir: t.TempDir(), clock: &clock{now: time.Hour}}
		l.write(file)
		err := l.start()
		l.stop()
		text := fmt.Sprint(err)
		if err == nil {
			t.Errorf("%s is taken", name)
		}
		if len(text) > 5000 {
			t.Errorf("%s: %d bytes of error", name, len(text))
		}
	}
}
