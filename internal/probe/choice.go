package probe

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Choice is what firmware makes of the offers it got.
type Choice struct {
	Lease *Offer // whose address it requests
	Boot  *Offer // who tells the boot file: the same server, or a proxy
	Ask   bool   // Boot must tell it on port 4011 first
	// MayFail: without an answer on port 4011 the firmware goes on with what it has.
	MayFail bool
	Item    *item // of a PXE menu, once it was asked for
	Why     string
}

// Source is where firmware fetches from.
type Source struct {
	Server netip.Addr // siaddr or what stands in for it; may be unspecified
	File   string     // a name, or a URL
	From   *Offer     // whose word it is
}

// chooser is how one kind of firmware goes about DHCPv4.
type chooser interface {
	// choose picks among offers in the order of their arrival.
	choose(offers []*Offer) (Choice, *Stop)
	// source reads where to boot from, once the lease is there. answer is what port 4011 said, nil without.
	source(c Choice, ack, answer *Offer) (Source, *Stop)
}

// chooserOf gives the firmware's own rules.
func chooserOf(kind netboot.Firmware, bios bool) chooser {
	switch {
	case kind == netboot.FirmwareIPXE:
		return ipxeRules{}
	case kind == netboot.FirmwareHTTP:
		return httpRules{}
	case bios:
		return biosRules{}
	}
	return edk2Rules{}
}

// bootReply is the reply that tells the boot file of PXE firmware: what port 4011 said, else the proxy's offer, else the ACK.
func (c Choice) bootReply(ack, answer *Offer) *Offer {
	switch {
	case answer != nil:
		return answer
	case c.Boot != c.Lease:
		return c.Boot
	}
	return ack
}

// first gives the first offer that has the property.
func first(offers []*Offer, has func(*Offer) bool) *Offer {
	for _, o := range offers {
		if has(o) {
			return o
		}
	}
	return nil
}

// serverOf is siaddr, or the server's identifier where that is 0.
func serverOf(o *Offer) netip.Addr {
	if !o.NextServer.IsUnspecified() {
		return o.NextServer
	}
	return o.p4.addr(optServer)
}

// bootsAtOnce tells option 43 with which the file of the same reply is taken: bit 3 of its discovery control.
func bootsAtOnce(o *Offer) bool {
	v := vendor(o.p4.get(optVendor), 6)
	return len(v) == 1 && v[0]&8 != 0
}

// noFile tells that nobody named a boot file.
func noFile(offers []*Offer) *Stop {
	return stop("no-boot-file", causeNoFile, "%s, but no reply names a boot file: PXE-E53", answered(offers))
}

func answered(offers []*Offer) string {
	if len(offers) == 1 {
		return offers[0].name() + " answered"
	}
	return fmt.Sprintf("%d replies came", len(offers))
}

// tftpSource looks at a source of firmware that has nothing but TFTP. Shown is what such firmware prints where no file is
// named.
func tftpSource(s Source, ack *Offer, shown string) *Stop {
	switch {
	case s.File == "" && s.From == ack:
		return stop("ack-without-file", "the server must send the same boot fields in OFFER and ACK", "the OFFER of %s names a boot file, its ACK does not", s.From.name())
	case s.File == "":
		return stop("no-boot-file", causeNoFile, "the reply of %s names no boot file%s", s.From.name(), shown)
	case strings.Contains(s.File, "://"):
		return stop("url-for-pxe", "give PXE firmware a name, and a URL only to HTTP boot (option 60 HTTPClient) and iPXE",
			"PXE firmware is given the URL %q, and would ask by TFTP for a file of that name", s.File)
	case len(s.File) >= fileField-1 && cutAt127(s.From):
		return stop("file-cut", "shorten the name, or send it in option 67 alone", "the file name is cut at %d bytes", len(s.File))
	case !known(s.Server):
		return stop("no-next-server", "set next-server (siaddr) to the TFTP server's address", "the reply of %s has no next-server", s.From.name())
	}
	return nil
}

func known(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() }
