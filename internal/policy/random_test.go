package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writer makes conditions at random, of all that dhcpd's language has.
type writer struct{ *rand.Rand }

func (w writer) pick(list ...string) string { return list[w.IntN(len(list))] }

func (w writer) condition(depth int) string {
	parts := []string{w.term(depth)}
	for range w.IntN(4) {
		parts = append(parts, w.pick("and", "or"), w.term(depth))
	}
	return strings.Join(parts, " ")
}

func (w writer) term(depth int) string {
	if depth <= 0 {
		return w.atom()
	}
	switch w.IntN(12) {
	case 0, 1:
		return "(" + w.condition(depth-1) + ")"
	case 2:
		return "not (" + w.condition(depth-1) + ")"
	case 3:
		return "not " + w.atom()
	case 4:
		return "(" + w.number(depth) + w.pick(" = ", " != ") + fmt.Sprint(w.IntN(12)) + ")"
	case 5:
		return "(" + w.number(depth) + " = " + w.number(depth) + ")"
	case 6:
		return "((" + w.number(depth) + w.pick(" + ", " * ", " / ", " % ", " & ", " | ", " ^ ") + fmt.Sprint(w.IntN(5)) + ") = " + fmt.Sprint(w.IntN(12)) + ")"
	case 7, 8:
		return w.data(depth) + w.pick(" ~= ", " ~~ ") + w.pick(`"^PXE"`, `"^pxe.*0000[79]"`, `"iPXE$"`, `"a|b"`, `"x{2,3}"`, `"[^P]x"`, `"."`)
	}
	return w.data(depth) + w.pick(" = ", " != ") + w.data(depth)
}

func (w writer) atom() string {
	return w.pick("known", "static", "defined(var-0)", "defined(var-1)", "defined(var-2)", "exists "+w.option())
}

func (w writer) option() string {
	return w.pick("vendor-class-identifier", "user-class", "arch", "host-name", "dhcp-client-identifier", "agent.circuit-id",
		"agent.remote-id", "ipxe.http", "ipxe.efi", "ipxe.bus-id", "dhcp-message-type", "boot-size",
		"fqdn.fqdn", "fqdn.hostname", "fqdn.domainname", "fqdn.encoded", "fqdn.rcode2", "fqdn.server-update")
}

func (w writer) constant() string {
	return w.pick(`"PXEClient"`, `"PXE"`, `"pxe"`, `"iPXE"`, `"x"`, `""`, `"7"`, `"0.7"`, "00:07", "00:00", "7", "1", "01:52:54", "0a", `"host-a"`, "null", "61")
}

// number takes care that there is a byte to extract: dhcpd crashes where there is none.
func (w writer) number(depth int) string {
	return "extract-int(" + w.pick("concat("+w.data(depth-1)+", 05), 8)", w.data(depth-1)+", 16)", w.data(depth-1)+", 32)")
}

func (w writer) data(depth int) string {
	if depth <= 0 || w.IntN(3) == 0 {
		return w.pick("option "+w.option(), "option "+w.option(), w.constant(), "hardware", "filename", "server-name", "leased-address",
			"host-decl-name", "config-option domain-name", "config-option ipxe.no-pxedhcp", "var-0", "var-1", "var-2")
	}
	inner := w.data(depth - 1)
	small := func() string {
		if w.IntN(6) == 0 {
			return w.pick("0", "255", "256", "65535", "2147483647")
		}
		return fmt.Sprint(w.IntN(17))
	}
	switch w.IntN(11) {
	case 0, 1:
		return "substring(" + inner + ", " + small() + ", " + small() + ")"
	case 2:
		return "suffix(" + inner + ", " + small() + ")"
	case 3:
		return "lcase(" + inner + ")"
	case 4:
		return "ucase(" + inner + ")"
	case 5:
		return "concat(" + inner + ", " + w.data(depth-1) + ")"
	case 6:
		return "pick-first-value(" + inner + ", " + w.data(depth-1) + ", " + w.constant() + ")"
	case 7:
		return "binary-to-ascii(" + w.pick("8", "10", "16") + ", " + w.pick("8", "16", "32") + ", " + w.pick(`""`, `"."`, `":"`) + ", " + inner + ")"
	case 8:
		return "encode-int(" + w.pick(w.number(depth), small()) + ", " + w.pick("8", "16", "32") + ")"
	case 9:
		return "reverse(" + w.pick("1", "2") + ", " + inner + ")"
	}
	return "packet(" + fmt.Sprint(w.IntN(300)) + ", " + small() + ")"
}

const (
	spaces   = 3  // of options that hold the results
	perSpace = 80 // one byte each, so that a space fits into one option
)

const declarations = `option arch code 93 = unsigned integer 16;
option space ipxe;
option ipxe-encap-opts code 175 = encapsulate ipxe;
option ipxe.no-pxedhcp code 176 = unsigned integer 8;
option ipxe.http code 19 = unsigned integer 8;
option ipxe.efi code 36 = unsigned integer 8;
option ipxe.bus-id code 177 = string;
`

// randomConfig sets one option for each condition, to 1 where it is true.
func randomConfig(conditions []string) string {
	var b strings.Builder
	b.WriteString("ping-check false;\n" + declarations)
	for s := range spaces {
		fmt.Fprintf(&b, "option space s%d;\noption s%d-encap code %d = encapsulate s%d;\n", s, s, 224+s, s)
		for o := range perSpace {
			fmt.Fprintf(&b, "option s%d.o%d code %d = unsigned integer 8;\n", s, o, o+1)
		}
	}
	b.WriteString(`option domain-name "example.net";
option ipxe.no-pxedhcp 1;
host known-machine { hardware ethernet 52:54:00:00:00:05; option log-servers 10.1.1.9; }
subnet 10.1.1.0 netmask 255.255.255.0 {
range 10.1.1.100 10.1.1.200;
set var-0 = substring(option host-name, 0, 4);
set var-1 = concat(option vendor-class-identifier, "");
set var-2 = "x";
`)
	for i, c := range conditions {
		at := fmt.Sprintf("s%d.o%d", i/perSpace, i%perSpace)
		fmt.Fprintf(&b, "if (%s) { option %s 1; } else { option %s 0; }\n", c, at, at)
	}
	b.WriteString("}\n")
	return b.String()
}
