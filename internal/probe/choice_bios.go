package probe

// biosRules are those of a BIOS network card's PXE ROM, as the PXE specification 2.1 has them and as pixiecore and dnsmasq
// found ROMs to work; no ROM's source can be read.
type biosRules struct{}

func (biosRules) choose(offers []*Offer) (Choice, *Stop) {
	whole := first(offers, func(o *Offer) bool { return o.leases() && o.pxeClient() })
	plain := first(offers, func(o *Offer) bool { return o.leases() && !o.pxeClient() })
	proxy := first(offers, func(o *Offer) bool { return !o.leases() && o.pxeClient() })
	booting := first(offers, func(o *Offer) bool { return o.leases() && !o.pxeClient() && o.fileFirst() != "" })
	switch {
	case whole != nil && whole.fileFirst() != "":
		return Choice{Lease: whole, Boot: whole, Why: "a PXE offer with a boot file"}, nil
	case whole != nil && proxy == nil:
		return Choice{Lease: whole, Boot: whole, Ask: true, Why: "a PXE offer without a boot file: it is asked on port 4011"}, nil
	case proxy != nil && (plain != nil || whole != nil):
		lease := plain
		if lease == nil {
			lease = whole
		}
		ready := bootsAtOnce(proxy) && proxy.fileFirst() != "" && known(proxy.NextServer) || vendor(proxy.p4.get(optVendor), 9) != nil
		why := "a DHCP offer, and a proxy's with the boot file or a menu"
		if !ready {
			why = "a DHCP offer, and a proxy that is asked on port 4011"
		}
		return Choice{Lease: lease, Boot: proxy, Ask: !ready, Why: why}, nil
	case booting != nil:
		return Choice{Lease: booting, Boot: booting, Why: "a plain DHCP offer with a boot file"}, nil
	case plain == nil && whole == nil:
		return Choice{}, stop("proxy-only", causeProxyOnly, "%s, but nobody offers an address: PXE-E52", answered(offers))
	}
	return Choice{}, noFile(offers)
}

func (biosRules) source(c Choice, ack, answer *Offer) (Source, *Stop) {
	from := c.bootReply(ack, answer)
	s := Source{Server: serverOf(from), File: from.fileFirst(), From: from}
	v := from.p4.get(optVendor)
	if c.Item == nil && from.pxeClient() && vendor(v, 9) != nil && !bootsAtOnce(from) {
		return s, menu(from)
	}
	return s, tftpSource(s, ack, ": PXE-E53")
}
