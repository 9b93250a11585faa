package subnets_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

const (
	solicit     = dhcpv6.MessageTypeSolicit
	request6    = dhcpv6.MessageTypeRequest
	confirm     = dhcpv6.MessageTypeConfirm
	renew       = dhcpv6.MessageTypeRenew
	rebind      = dhcpv6.MessageTypeRebind
	release6    = dhcpv6.MessageTypeRelease
	decline6    = dhcpv6.MessageTypeDecline
	information = dhcpv6.MessageTypeInformationRequest
)

// office6 is one link with three addresses, and four prefixes for routers.
const office6 = `
networks:
  - name: office
    subnet: 2001:db8:1::/64
    pools: [2001:db8:1::1000-2001:db8:1::1002]
    delegate: [{prefix: 2001:db8:8000::/46, length: 48}]
    lease-time: 2h
    options: {dhcp6.name-servers: [2001:db8::53], dhcp6.domain-search: example.net}
`

func TestAClientGetsAnAddressAndAPrefix_8415_18_3_1_and_2(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200; pd 1 2001:db8:8000::/48 for 4500/7200", c.message(solicit, "na 1", "pd 1"))
	c.hears("REPLY; na 1 2001:db8:1::1000 for 4500/7200; pd 1 2001:db8:8000::/48 for 4500/7200",
		c.message(request6, names(ours), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/48"))
	m := c.reply(c.message(renew, names(ours), "na 1 2001:db8:1::1000"))
	if ia := m.Options.OneIANA(); ia.T1 != 2250*time.Second || ia.T2 != time.Hour {
		t.Errorf("T1 %s, T2 %s", ia.T1, ia.T2)
	}
}

func TestWhoAsksForMoreThanThereIsHearsSoForEachAssociation_8415_18_3_9(t *testing.T) {
	l := newLab6(t, office6)
	for n := range byte(3) {
		c := l.client(n)
		c.hears("REPLY; na 1 2001:db8:1::100"+string('0'+rune(n))+" for 4500/7200", c.message(request6, names(ours), "na 1"))
	}
	late, router := l.client(9), l.client(20)
	router.hears("ADVERTISE; na 1 NoAddrsAvail; pd 1 2001:db8:8000::/48 for 4500/7200; ta 3 NoAddrsAvail", router.message(solicit, "na 1", "pd 1", "ta 3"))
	for n := range byte(4) {
		c := l.client(20 + n)
		c.sends(c.message(request6, names(ours), "pd 1"))
	}
	late.hears("REPLY; na 1 NoAddrsAvail; pd 1 NoPrefixAvail", late.message(request6, names(ours), "na 1", "pd 1"))
	if !strings.Contains(l.log.String(), "no address is free; enlarge the pools") {
		t.Error(l.log.String())
	}
}

func TestEachOfSeveralAssociationsHasItsOwn_8415_12(t *testing.T) {
	for _, duid := range []string{"\x00\x03\x00\x01\x52\x54\x00\x00\x01\x01", "\x00\x04" + strings.Repeat("u", 16)} { // with a MAC and without
		c := &client{lab6: newLab6(t, office6), duid: duid}
		all := "na 1 2001:db8:1::1000 for 4500/7200; na 2 2001:db8:1::1001 for 4500/7200; pd 1 2001:db8:8000::/48 for 4500/7200; pd 2 2001:db8:8001::/48 for 4500/7200"
		c.hears("REPLY; "+all, c.message(request6, names(ours), "na 1", "na 2", "pd 1", "pd 2"))
		c.hears("REPLY; na 2 2001:db8:1::1001 for 4500/7200", c.message(renew, names(ours), "na 2 2001:db8:1::1001"))
		c.hears("REPLY; pd 2 2001:db8:8001::/48 for 4500/7200", c.message(rebind, "pd 2 2001:db8:8001::/48"))
		c.hears("REPLY; Success", c.message(release6, names(ours), "na 1 2001:db8:1::1000", "na 2 2001:db8:1::1001", "pd 1 2001:db8:8000::/48", "pd 2 2001:db8:8001::/48"))
	}
}

func TestAHintIsTakenIfItIsFree_8415_18_2_1(t *testing.T) {
	l := newLab6(t, office6)
	c, other := l.client(1), l.client(2)
	c.hears("ADVERTISE; na 1 2001:db8:1::1002 for 4500/7200; pd 1 2001:db8:8002::/48 for 4500/7200", c.message(solicit, "na 1 2001:db8:1::1002", "pd 1 2001:db8:8002::/48"))
	other.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200; pd 1 2001:db8:8000::/48 for 4500/7200", other.message(solicit, "na 1 2001:db8:1::1002", "pd 1 2001:db8:8002::/48"))
	other.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200", other.message(solicit, "na 1 2001:db8:7::1"))
}

func TestARequestForAnotherLinkIsToldSo_8415_18_3_2(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.hears("REPLY; na 1 NotOnLink; pd 1 2001:db8:8000::/48 for 4500/7200", c.message(request6, names(ours), "na 1 2001:db8:7::1", "pd 1 2001:db8:9::/48"))
}

func TestAConfirmTellsWhetherTheLinkIsTheSame_8415_18_3_3(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.hears("REPLY; Success", c.message(confirm, "na 1 2001:db8:1::77"))
	c.hears("REPLY; NotOnLink", c.message(confirm, "na 1 2001:db8:1::77", "na 2 2001:db8:7::1"))
	c.hears("silence", c.message(confirm, "na 1"))
	c.from = relayed("2001:db8:ffff::1")
	c.hears("silence", c.message(confirm, "na 1 2001:db8:1::77"))
}

func TestARenewExtendsCreatesOrTellsThatThereIsNoBinding_8415_18_3_4(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.sends(c.message(request6, names(ours), "na 1"))
	l.clock.passes(time.Hour)
	c.hears("REPLY; na 1 2001:db8:1::1000 for 4500/7200", c.message(renew, names(ours), "na 1 2001:db8:1::1000"))
	l.restarts()
	l.clock.passes(10 * time.Minute) // a young lease: told what is left, and not written
	c.hears("REPLY; na 1 2001:db8:1::1000 for 4500/6600 2001:db8:7::1 for 0/0", c.message(renew, names(ours), "na 1 2001:db8:1::1000 2001:db8:7::1"))
	lost := l.client(2) // the leases were lost, and what it has is free
	lost.hears("REPLY; na 1 2001:db8:1::1002 for 4500/7200", lost.message(renew, names(ours), "na 1 2001:db8:1::1002"))
	lost.hears("REPLY; na 7 NoBinding; pd 1 NoBinding; ta 1 NoBinding", lost.message(renew, names(ours), "na 7 2001:db8:1::77", "pd 1 2001:db8:9::/48", "ta 1"))
	lost.hears("REPLY; pd 1 2001:db8:8000::/48 for 4500/7200", lost.message(renew, names(ours), "pd 1")) // it may ask for more (section 18.2.4)
	thief := l.client(3)
	thief.hears("REPLY; na 1 2001:db8:1::1001 for 4500/7200 2001:db8:1::1000 for 0/0", thief.message(renew, names(ours), "na 1 2001:db8:1::1000"))
}

func TestARebindExtendsOrIsLeftToTheServerThatKnows_8415_18_3_5(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.sends(c.message(request6, names(ours), "na 1"))
	c.hears("REPLY; na 1 2001:db8:1::1000 for 4500/7200", c.message(rebind, "na 1 2001:db8:1::1000"))
	other := l.client(2)
	other.hears("silence", other.message(rebind, "na 1 2001:db8:1::77"))
	other.hears("silence", other.message(rebind, "na 1 2001:db8:7::1"))
	l.becomes("authoritative: true\n" + office6)
	other.hears("REPLY; na 1 2001:db8:7::1 for 0/0", other.message(rebind, "na 1 2001:db8:7::1"))
	other.hears("silence", other.message(rebind, "na 1 2001:db8:1::77"))
}

func TestAnInformationRequestIsToldOptionsAndNothingElse_8415_18_3_6(t *testing.T) {
	l := newLab6(t, office6)
	c := &client{lab6: l} // without a client identifier
	m := c.reply(c.message(information, dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer)))
	if m == nil || told(m) != "REPLY" || len(m.Options.DNS()) != 1 || m.Options.DNS()[0].String() != "2001:db8::53" || m.Options.DomainSearchList().Labels[0] != "example.net" {
		t.Fatalf("%v\n%s", m, l.log.String())
	}
	if m = c.reply(c.message(information)); m == nil || m.GetOneOption(dhcpv6.OptionDNSRecursiveNameServer) != nil {
		t.Errorf("it did not ask for anything: %v", m)
	}
	c.hears("silence", c.message(information, "na 1"))
	c.hears("silence", c.message(information, names("another")))
	c.hears("REPLY", c.message(information, names(ours)))
}

func TestOnlyWhoHasALeaseReleasesIt_8415_18_3_7(t *testing.T) {
	l := newLab6(t, office6)
	c, thief := l.client(1), l.client(2)
	c.sends(c.message(request6, names(ours), "na 1", "pd 1"))
	thief.hears("REPLY; Success; na 1 NoBinding; pd 1 NoBinding", thief.message(release6, names(ours), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/48"))
	c.hears("REPLY; Success; na 2 NoBinding", c.message(release6, names(ours), "na 2 2001:db8:1::1000"))
	c.hears("REPLY; Success; pd 1 NoBinding", c.message(release6, names(ours), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/52"))
	thief.hears("REPLY; na 1 2001:db8:1::1000 for 4500/7200", thief.message(request6, names(ours), "na 1 2001:db8:1::1000"))
	c.hears("REPLY; Success; na 1 NoBinding", c.message(release6, names(ours), "na 1 2001:db8:1::1000"))
}

func TestADeclinedAddressRests_8415_18_3_8(t *testing.T) {
	l := newLab6(t, office6)
	c, thief := l.client(1), l.client(2)
	c.sends(c.message(request6, names(ours), "na 1"))
	thief.hears("REPLY; Success; na 1 NoBinding", thief.message(decline6, names(ours), "na 1 2001:db8:1::1000"))
	c.hears("REPLY; Success", c.message(decline6, names(ours), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/48"))
	c.hears("ADVERTISE; na 1 2001:db8:1::1001 for 4500/7200", c.message(solicit, "na 1 2001:db8:1::1000"))
	if !strings.Contains(l.log.String(), "declined: somebody uses") {
		t.Error(l.log.String())
	}
}

func TestARapidCommitIsTakenOnlyWhereTheFileSaysSo_8415_18_3_1(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200", c.message(solicit, rapid(), "na 1"))
	l.becomes("rapid-commit: true\n" + office6)
	c.hears("REPLY; rapid; na 1 2001:db8:1::1000 for 4500/7200", c.message(solicit, rapid(), "na 1"))
	c.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200", c.message(solicit, "na 1"))
	l.restarts()
	other := l.client(2)
	other.hears("ADVERTISE; na 1 2001:db8:1::1001 for 4500/7200", other.message(solicit, "na 1"))
}

func TestMessagesThatMustBeDiscardedAre_8415_16(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	for _, kind := range []dhcpv6.MessageType{solicit, confirm, rebind} {
		c.hears("silence", c.message(kind, names(ours), "na 1 2001:db8:1::1000"))
	}
	for _, kind := range []dhcpv6.MessageType{request6, renew, release6, decline6} {
		c.hears("silence", c.message(kind, "na 1 2001:db8:1::1000"))
		c.hears("silence", c.message(kind, names("another"), "na 1 2001:db8:1::1000"))
	}
	for _, duid := range []string{"\x00\x09", "\x00\x09" + strings.Repeat("x", 129)} {
		bad := &client{lab6: l, duid: duid}
		bad.hears("silence", bad.message(solicit, "na 1"))
	}
}

func TestWhatIsSentToAUnicastAddressIsRefused_8415_18_3(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	l.facts.Local = netip.MustParseAddrPort("[2001:db8:1::1]:547")
	for _, kind := range []dhcpv6.MessageType{request6, renew, release6, decline6} {
		c.hears("REPLY; UseMulticast", c.message(kind, names(ours), "na 1 2001:db8:1::1000"))
	}
	for _, kind := range []dhcpv6.MessageType{solicit, confirm, rebind} {
		c.hears("silence", c.message(kind, "na 1 2001:db8:1::1000"))
	}
	c.from = relayed("2001:db8:1::2") // a relay's unicast is as it should be
	c.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200", c.message(solicit, "na 1"))
}

// ROM, iPXE and system come with a DUID and an IAID each; the system's second interface comes with the DUID of the first.
func TestOneMachineHasOneAddressFromROMToSystem(t *testing.T) {
	l := newLab6(t, office6)
	stage := func(duid string) *client { return &client{lab6: l, duid: duid, from: tells("52:54:00:aa:bb:01")} }
	rom, ipxe, system := stage("\x00\x04"+strings.Repeat("a", 16)), stage("\x00\x04"+strings.Repeat("b", 16)), l.stranger(9)
	system.from = tells("52:54:00:aa:bb:01")
	const first = "na 1 2001:db8:1::1000 for 4500/7200"
	rom.hears("REPLY; "+first, rom.message(request6, names(ours), "na 1"))
	ipxe.hears("REPLY; na 5 2001:db8:1::1000 for 4500/7200", ipxe.message(request6, names(ours), "na 5"))
	rom.hears("REPLY; Success; na 1 NoBinding", rom.message(release6, names(ours), "na 1 2001:db8:1::1000")) // too late
	system.hears("REPLY; "+first, system.message(request6, names(ours), "na 1"))
	system.hears("REPLY; na 2 2001:db8:1::1001 for 4500/7200", system.message(request6, names(ours), "na 2")) // beside the first
	system.hears("REPLY; "+first, system.message(renew, names(ours), "na 1 2001:db8:1::1000"))
	rom.hears("ADVERTISE; "+first, rom.message(solicit, "na 1")) // booted again

	l = newLab6(t, "identity: client-id\n"+office6)
	for i, c := range []*client{stage("\x00\x04" + strings.Repeat("a", 16)), stage("\x00\x04" + strings.Repeat("b", 16))} {
		c.lab6 = l
		c.hears("REPLY; na 1 2001:db8:1::100"+string('0'+rune(i))+" for 4500/7200", c.message(request6, names(ours), "na 1"))
	}
}

// The MAC is what the relay tells, or in the DUID, or in the link-local address, in this order.
func TestAMachineIsKnownByItsMACWhereverThatIs(t *testing.T) {
	l := newLab6(t, office6+`
reservations:
  - {name: told, mac: "52:54:00:aa:00:01", address: 2001:db8:1::a1}
  - {name: duid, mac: "52:54:00:00:01:02", address: 2001:db8:1::a2}
  - {name: link, mac: "52:54:00:aa:00:03", address: 2001:db8:1::a3, prefix: 2001:db8:8003::/48}
  - {name: port, circuit-id: "port 7", address: 2001:db8:1::a4}
  - {name: uuid, duid: "0x000407070707070707070707070707070707", address: 2001:db8:1::a5, prefix: 2001:db8:f000::/44}
  - {name: shut, mac: "52:54:00:00:01:66", ignore: true}
`)
	told, duid, link, port := l.client(2), l.client(2), l.stranger(1), l.stranger(2)
	told.from = tells("52:54:00:aa:00:01")
	told.hears("ADVERTISE; na 1 2001:db8:1::a1 for 4500/7200", told.message(solicit, "na 1"))
	duid.hears("ADVERTISE; na 1 2001:db8:1::a2 for 4500/7200", duid.message(solicit, "na 1"))
	l.facts.Peer = netip.MustParseAddrPort("[fe80::5054:ff:feaa:3]:546")
	link.hears("REPLY; na 1 2001:db8:1::a3 for 4500/7200; na 2 2001:db8:1::1000 for 4500/7200; pd 1 2001:db8:8003::/48 for 4500/7200",
		link.message(request6, names(ours), "na 1", "na 2", "pd 1"))
	l.facts.Peer = netip.MustParseAddrPort("[fe80::99]:546")
	port.from = relayed("2001:db8:1::2", "2001:db8:ff::2")
	port.hears("ADVERTISE; na 1 2001:db8:1::a4 for 4500/7200", port.message(solicit, "na 1"))
	uuid := l.stranger(7)
	uuid.hears("ADVERTISE; na 1 2001:db8:1::a5 for 4500/7200; pd 9 2001:db8:f000::/44 for 4500/7200", uuid.message(solicit, "na 1", "pd 9"))
	shut := l.client(0x66)
	shut.hears("silence", shut.message(solicit, "na 1"))
	for n := range byte(3) { // nobody else gets what is reserved
		c := l.client(0x10 + n)
		c.hears("REPLY; pd 1 2001:db8:800"+string('0'+rune(n))+"::/48 for 4500/7200", c.message(request6, names(ours), "pd 1"))
	}
	late := l.client(0x20)
	late.hears("ADVERTISE; pd 1 NoPrefixAvail", late.message(solicit, "pd 1 2001:db8:8003::/48"))
}

func TestTheRelayOnTheClientsLinkTellsTheNetwork_8415_13_1(t *testing.T) {
	l := newLab6(t, office6+`
  - name: lab
    subnets:
      - {subnet: 2001:db8:2::/64, pools: ["2001:db8:2::/64"], preferred-time: 30m, lease-time: 1h}
      - {subnet: 192.0.2.0/24, pools: [192.0.2.10-192.0.2.20]}
`)
	for _, via := range [][]string{{"2001:db8:2::2"}, {"2001:db8:2::2", "2001:db8:1::9"}, {"::", "2001:db8:2::2", "2001:db8:1::9", "2001:db8:ff::1"}} {
		c := l.client(1)
		c.from = relayed(via...)
		m := c.reply(c.message(solicit, "na 1"))
		a := m.Options.OneIANA().Options.OneAddress()
		if a == nil || !netip.MustParsePrefix("2001:db8:2::/64").Contains(netip.AddrFrom16([16]byte(a.IPv6Addr))) || a.PreferredLifetime != 30*time.Minute || a.ValidLifetime != time.Hour {
			t.Errorf("by %v: %s", via, told(m))
		}
	}
	c := l.client(2)
	c.from = relayed("2001:db8:7::1")
	c.hears("silence", c.message(solicit, "na 1"))
}

func TestReservationsAndPoolsThatChangeMoveAClientAtItsNextRenewal(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(1)
	c.sends(c.message(request6, names(ours), "na 1", "pd 1"))
	l.becomes(office6 + "\nreservations:\n  - {mac: \"52:54:00:00:01:01\", address: 2001:db8:1::a1, prefix: 2001:db8:f000::/44}\n")
	c.hears("REPLY; na 1 2001:db8:1::a1 for 4500/7200 2001:db8:1::1000 for 0/0; pd 1 2001:db8:f000::/44 for 4500/7200 2001:db8:8000::/48 for 0/0",
		c.message(renew, names(ours), "na 1 2001:db8:1::1000", "pd 1 2001:db8:8000::/48"))
	l.restarts() // all of it is on the disk
	l.becomes(strings.ReplaceAll(office6, "length: 48", "length: 56"))
	c.hears("REPLY; na 1 2001:db8:1::1001 for 4500/7200 2001:db8:1::a1 for 0/0", c.message(renew, names(ours), "na 1 2001:db8:1::a1"))
}

func TestClassesOfDHCPv6ChooseThePoolAndWhatIsTold(t *testing.T) {
	l := newLab6(t, `
classes:
  - {name: firmware, when6: "exists dhcp6.client-arch-type", lease-time: 10m}
networks:
  - subnet: 2001:db8:1::/64
    pools:
      - {range: 2001:db8:1::1000-2001:db8:1::1fff, allow: firmware}
      - {range: 2001:db8:1::2000-2001:db8:1::2fff, deny: firmware}
    lease-time: 2h
`)
	rom, system := l.client(1), l.client(2)
	arch := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientArchType, OptionData: []byte{0, 7}}
	rom.hears("ADVERTISE; na 1 2001:db8:1::1000 for 375/600", rom.message(solicit, "na 1", arch))
	system.hears("ADVERTISE; na 1 2001:db8:1::2000 for 4500/7200", system.message(solicit, "na 1"))
}

func TestALeaseIsThereAfterARestart(t *testing.T) {
	l := newLab6(t, office6)
	c := l.client(2)
	other := l.client(1)
	other.sends(other.message(solicit, "na 1"))
	c.hears("REPLY; na 1 2001:db8:1::1001 for 4500/7200", c.message(request6, names(ours), "na 1 2001:db8:1::1001"))
	l.restarts()
	other.hears("ADVERTISE; na 1 2001:db8:1::1000 for 4500/7200", other.message(solicit, "na 1 2001:db8:1::1001"))
	c.hears("ADVERTISE; na 1 2001:db8:1::1001 for 4500/7200", c.message(solicit, "na 1"))
}

func TestOptionsComeInTheOrderOfTheWish_AndThePreferenceUnasked_8415_21_8(t *testing.T) {
	l := newLab6(t, strings.Replace(office6, "options: {", "options: {dhcp6.preference: 200, ", 1))
	c := l.client(1)
	m := c.reply(c.message(solicit, "na 1", dhcpv6.OptRequestedOption(dhcpv6.OptionDomainSearchList, dhcpv6.OptionDNSRecursiveNameServer)))
	var codes []dhcpv6.OptionCode
	for _, o := range m.Options.Options {
		codes = append(codes, o.Code())
	}
	want := []dhcpv6.OptionCode{dhcpv6.OptionPreference, dhcpv6.OptionDomainSearchList, dhcpv6.OptionDNSRecursiveNameServer}
	if n := len(codes) - len(want); n < 0 || !slices.Equal(codes[n:], want) {
		t.Errorf("%v", codes)
	}
}
