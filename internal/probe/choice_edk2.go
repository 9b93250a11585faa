package probe

// edk2Rules are those of UEFI's PXE (EDK2 NetworkPkg/UefiPxeBcDxe: PxeBcDhcp4.c, PxeBcBoot.c).
type edk2Rules struct{}

// offerClass is EDK2's sorting of offers.
type offerClass uint8

const (
	classDropped offerClass = iota
	classDHCPOnly
	classDHCPBINL
	classDHCPPXE10
	classProxyBINL
	classProxyPXE10
	classBOOTP
)

var classNames = []string{"dropped", "a plain DHCP offer", "a PXE offer that wants to be asked on port 4011", "a complete PXE offer",
	"a proxy that wants to be asked on port 4011", "a complete proxy offer", "a BOOTP reply"}

func (c offerClass) String() string { return classNames[c] }

func edk2Class(o *Offer) offerClass {
	if dropsEDK2(o) != "" {
		return classDropped
	}
	v := o.p4.get(optVendor)
	pxe10 := false
	for code := uint8(6); code <= 10; code++ {
		pxe10 = pxe10 || vendor(v, code) != nil
	}
	multicastOnly := false
	for code := uint8(1); code <= 5; code++ {
		multicastOnly = multicastOnly || !pxe10 && vendor(v, code) != nil
	}
	switch {
	case o.Kind == "BOOTP":
		if o.leases() && o.Header != "" {
			return classBOOTP
		}
		return classDropped
	case !o.pxeClient() && o.leases():
		return classDHCPOnly
	case !o.pxeClient(), multicastOnly:
		return classDropped
	case o.leases() && pxe10:
		return classDHCPPXE10
	case o.leases():
		return classDHCPBINL
	case pxe10:
		return classProxyPXE10
	}
	return classProxyBINL
}

func (edk2Rules) choose(offers []*Offer) (Choice, *Stop) {
	of := func(want offerClass) *Offer {
		return first(offers, func(o *Offer) bool { return edk2Class(o) == want })
	}
	plain := of(classDHCPOnly)
	if o := of(classDHCPPXE10); o != nil {
		return Choice{Lease: o, Boot: o, Why: classDHCPPXE10.String()}, nil
	}
	if o := of(classProxyPXE10); o != nil && plain != nil {
		return Choice{Lease: plain, Boot: o, Why: classProxyPXE10.String() + "; a proxy goes before the DHCP server's own boot file"}, nil
	}
	if o := of(classDHCPBINL); o != nil {
		return Choice{Lease: o, Boot: o, Ask: true, Why: classDHCPBINL.String() + ": option 60 is PXEClient, and option 43 is missing"}, nil
	}
	if o := of(classProxyBINL); o != nil && plain != nil {
		return Choice{Lease: plain, Boot: o, Ask: true, Why: classProxyBINL.String()}, nil
	}
	if o := first(offers, func(o *Offer) bool { return edk2Class(o) == classDHCPOnly && o.optionFirst() != "" }); o != nil {
		return Choice{Lease: o, Boot: o, Why: classDHCPOnly.String() + " with a boot file"}, nil
	}
	if o := of(classBOOTP); o != nil {
		return Choice{Lease: o, Boot: o, Why: classBOOTP.String()}, nil
	}
	return Choice{}, edk2Nothing(offers, plain)
}

func edk2Nothing(offers []*Offer, plain *Offer) *Stop {
	for _, o := range offers {
		if why := dropsEDK2(o); why != "" {
			return stop("malformed", "mend the server, or what changes its replies on the way", "UEFI drops the reply of %s: it %s", o.name(), why)
		}
	}
	if o := first(offers, func(o *Offer) bool { return o.leases() && o.pxeClient() }); plain == nil && o != nil {
		return stop("mtftp", "send 43 = 06 01 08 ff, or leave options 43 and 60 out", "UEFI drops the offer of %s: its option 43 has items for multicast TFTP (1 to 5) alone", o.name())
	}
	if plain == nil {
		return stop("proxy-only", causeProxyOnly, "%s, but nobody offers an address: PXE-E52", answered(offers))
	}
	if o := first(offers, (*Offer).httpClient); o != nil {
		return stop("http-offer", "answer firmware that asks as PXEClient with a TFTP name, and only HTTPClient with a URL",
			"%s answered a PXE client as if it booted by HTTP", o.name())
	}
	return noFile(offers)
}

func (edk2Rules) source(c Choice, ack, answer *Offer) (Source, *Stop) {
	from := c.bootReply(ack, answer)
	s := Source{Server: serverOf(from), File: from.optionFirst(), From: from}
	if v := vendor(from.p4.get(optVendor), 8); bootsAtOnce(from) && len(v) >= 7 { // type, count, first address
		s.Server = addr4(v[3:7])
	}
	class := edk2Class(from)
	if c.Item == nil && (class == classDHCPPXE10 || class == classProxyPXE10) && !bootsAtOnce(from) {
		return s, menu(from)
	}
	return s, tftpSource(s, ack, "")
}
