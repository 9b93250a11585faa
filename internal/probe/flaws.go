package probe

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Sizes that firmware insists on.
const (
	maxReplyEDK2 = 1472 // Dhcp4Dxe drops what is longer
	fileField    = 128
)

// notEmpty are the options that make EDK2 drop a reply where they have no bytes (Dhcp4Dxe, Dhcp4Option.c).
var notEmpty = []byte{12, 15, 43, 60, 66, 67}

// dropsEDK2 tells why EDK2 would not even look at a reply; empty where it does.
func dropsEDK2(o *Offer) string {
	p := &o.p4
	mask := p.get(optMask)
	switch {
	case p.size > maxReplyEDK2:
		return "is longer than 1472 bytes"
	case p.cut:
		return "has an option that reaches over its end"
	case !p.ended:
		return "has no END option (255)"
	case mask != nil && len(mask) != 4:
		return "has a subnet mask that is not four bytes"
	case o.Kind == "OFFER" && len(p.get(optServer)) != 4:
		return "names no server (option 54)"
	}
	for _, f := range p.options {
		if len(f.value) == 0 && slices.Contains(notEmpty, f.code) {
			return "has an option without a value"
		}
	}
	return ""
}

// flaws are what is wrong with a reply, whether or not this machine minds.
func flaws(o *Offer, kind netboot.Firmware) (list []Note) {
	p := &o.p4
	add := func(code, text string, args ...any) { list = append(list, note(code, text, args...)) }
	if why := dropsEDK2(o); why != "" {
		add("malformed", "the reply %s: UEFI drops it", why)
	}
	if o.leases() && p.get(optMask) == nil {
		add("no-mask", "the reply has no subnet mask (option 1): UEFI does not take the lease")
	}
	list = append(list, fileFlaws(o)...)
	list = append(list, serverFlaws(o)...)
	if p.get(optBootSize) != nil {
		add("boot-file-size", "option 13 replaces UEFI's size query: a stale value cuts the file short; leave it out")
	}
	if p.get(optUserClass) != nil {
		add("user-class", "the reply returns option 77: iPXE takes it as its own user class, is not known as iPXE again, and loops")
	}
	if len(p.get(optOverload)) > 0 {
		add("overload", "option 52 puts options into the header's fields: iPXE does not know it, and reads them as a name")
	}
	if kind == netboot.FirmwareIPXE && len(vendor(p.get(optIPXE), 1)) == 1 && vendor(p.get(optIPXE), 1)[0] >= 0x80 {
		add("priority", "option 175.1 is negative: iPXE never accepts the offer")
	}
	for _, code := range []uint8{optClass, optTFTPServer, optFile} {
		if p.count(code) > 1 {
			add("twice", "option %d comes %d times: firmware reads the first", code, p.count(code))
		}
	}
	return list
}

func fileFlaws(o *Offer) (list []Note) {
	p := &o.p4
	v := p.get(optFile)
	switch n := len(v); {
	case n > 0 && v[n-1] != 0:
		list = append(list, note("not-terminated", "option 67 does not end with NUL: UEFI writes one over the next option, and some ROMs read on and ask for a longer name"))
	case n > 1 && bytes.IndexByte(v, 0) == n-1 && strings.ContainsFunc(string(v[:n-1]), func(r rune) bool { return r < ' ' || r > '~' }):
		list = append(list, note("odd-name", "the boot file's name has characters that are not printable"))
	}
	switch {
	case o.overloaded():
	case cutAt127(o):
		list = append(list, note("file-cut", "the header's file name is cut at %d bytes: iPXE, shim and U-Boot read it first; leave it empty and send option 67 only, or shorten the name", len(o.Header)))
	case o.Header != "" && o.Option67 != "" && o.Header != o.Option67:
		list = append(list, note("two-files", "the header names the file %q, option 67 %q: UEFI takes the second, iPXE and card ROMs the first", o.Header, o.Option67))
	case o.Header == "" && o.Option67 != "" && len(o.Option67) < fileField:
		list = append(list, note("only-67", "only option 67 names the boot file: shim and some ROMs read the header's file field alone"))
	}
	return list
}

// cutAt127 tells a name that did not fit the header's field: it fills it, and is only the beginning of option 67 where
// that is there too.
func cutAt127(o *Offer) bool {
	return len(o.Header) >= fileField-1 && o.Header != o.Option67
}

func serverFlaws(o *Offer) (list []Note) {
	raw := o.p4.get(optTFTPServer)
	named, err := netip.ParseAddr(o.Option66)
	switch {
	case len(raw) == 4 && strings.ContainsFunc(string(raw), func(r rune) bool { return r < ' ' || r > '~' }):
		list = append(list, note("binary-66", "option 66 is four bytes, not a text (MikroTik does so): %s must be written in digits and dots", addr4(raw)))
	case err == nil && !o.NextServer.IsUnspecified() && named != o.NextServer:
		list = append(list, note("two-servers-named", "siaddr is %s and option 66 %s: UEFI and iPXE take the first, a Raspberry Pi the second", o.NextServer, named))
	case o.Option66 != "" && o.NextServer.IsUnspecified():
		list = append(list, note("only-66", "option 66 names the server %q and siaddr is 0.0.0.0: UEFI and iPXE do not read option 66", o.Option66))
	}
	return list
}

// serversNote tells that several DHCP servers lease addresses here.
func serversNote(offers []*Offer) []Note {
	var names []string
	for _, o := range offers {
		if o.leases() && !slices.Contains(names, o.name()) {
			names = append(names, o.name())
		}
	}
	if len(names) < 2 {
		return nil
	}
	return []Note{note("two-servers", "%d DHCP servers answered: %s; which of them a machine takes may change from boot to boot", len(names), strings.Join(names, " and "))}
}
