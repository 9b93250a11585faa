package probe

import (
	"strings"
	"time"
)

// ipxeRules are iPXE's (src/net/udp/dhcp.c, src/usr/autoboot.c).
type ipxeRules struct{}

// patience is how long iPXE waits for a proxy once it has an offer, at most: its second timer ends 3 s after it began.
const patience = 3 * time.Second

// priority is option 175.1, 0 without.
func priority(o *Offer) int8 {
	if v := vendor(o.p4.get(optIPXE), 1); len(v) == 1 {
		return int8(v[0])
	}
	return 0
}

// noProxy tells option 175.176: proxies are not waited for, and not used.
func noProxy(o *Offer) bool {
	v := vendor(o.p4.get(optIPXE), 176)
	return len(v) > 0 && v[len(v)-1] != 0
}

func (ipxeRules) choose(offers []*Offer) (Choice, *Stop) {
	var lease, proxy *Offer
	for _, o := range offers {
		if lease != nil && (noProxy(lease) || proxy != nil || o.At-offers[0].At > patience) {
			break // it left discovery before this one came
		}
		if o.leases() && o.From.Port() == 67 && (o.Kind == "OFFER" || o.Kind == "BOOTP") && priority(o) >= best(lease) {
			lease = o
		}
		if o.pxeClient() && priority(o) >= best(proxy) {
			proxy = o
		}
	}
	if lease == nil {
		return Choice{}, ipxeNothing(offers)
	}
	if proxy == nil || noProxy(lease) {
		return Choice{Lease: lease, Boot: lease, Why: "the offer with the highest priority, the latest of equals; no proxy"}, nil
	}
	ready := known(proxy.NextServer) && proxy.fileFirst() != "" || vendor(proxy.p4.get(optVendor), 9) != nil
	return Choice{Lease: lease, Boot: proxy, Ask: !ready, MayFail: true, Why: "an offer, and a proxy's (option 60 is PXEClient)"}, nil
}

// best is the priority that an offer must reach: that of the one so far, and 0 at least.
func best(so *Offer) int8 {
	if so == nil {
		return 0
	}
	return priority(so)
}

func ipxeNothing(offers []*Offer) *Stop {
	for _, o := range offers {
		switch {
		case o.leases() && o.From.Port() != 67:
			return stop("odd-port", "the server must answer from port 67", "iPXE drops the offer of %s: it comes from port %d", o.name(), o.From.Port())
		case o.leases() && priority(o) < 0:
			return stop("priority", "leave option 175.1 out, or make it positive", "iPXE drops the offer of %s: its priority (175.1) is negative", o.name())
		}
	}
	return stop("proxy-only", causeProxyOnly, "%s, but nobody offers an address", answered(offers))
}

func (ipxeRules) source(c Choice, ack, answer *Offer) (Source, *Stop) {
	blocks := []*Offer{ack}
	if c.Item != nil {
		blocks = []*Offer{answer}
	} else if c.Boot != c.Lease || c.Ask {
		proxy := c.Boot
		if answer != nil {
			proxy = answer
		}
		if priority(proxy) > priority(ack) {
			blocks = []*Offer{proxy, ack}
		} else {
			blocks = append(blocks, proxy)
		}
	}
	for _, b := range blocks {
		if c.Item == nil && b.pxeClient() && vendor(b.p4.get(optVendor), 9) != nil && (!bootsAtOnce(b) || b.fileFirst() == "") {
			return Source{From: b}, menu(b)
		}
	}
	from := first(blocks, func(o *Offer) bool { return o.fileFirst() != "" })
	if from == nil {
		if root := first(blocks, func(o *Offer) bool { return o.p4.get(17) != nil }); root != nil {
			return Source{From: root}, stop("root-path", "the probe does not attach disks", "iPXE would attach the disk %q (option 17) of %s", text(root.p4.get(17)), root.name())
		}
		return Source{From: ack}, stop("no-boot-file", "give iPXE a script: a rule for user class iPXE or option 175 (boot.yml: {ipxe: true, file: ...})",
			"no reply names a boot file for iPXE: \"Nothing to boot\"")
	}
	s := Source{Server: from.NextServer, File: from.fileFirst(), From: from}
	switch {
	case cutAt127(from):
		return s, stop("file-cut", "leave the header's field empty and send a long name in option 67 alone, or shorten it", "iPXE reads the header's file first, and there the name is cut at %d bytes: %q", len(from.Header), from.Header)
	case !hierarchical(s.File) && !known(s.Server):
		return s, stop("no-next-server", "set next-server (siaddr) to the TFTP server's address; iPXE reads neither option 66 nor 54",
			"the reply of %s has no next-server (siaddr 0) with the relative name %q: iPXE has nothing to boot", from.name(), s.File)
	}
	return s, nil
}

// hierarchical tells what iPXE takes as a URL (core/uri.c): a scheme, and a slash behind its colon. Anything else is a
// TFTP name.
func hierarchical(file string) bool {
	scheme, rest, ok := strings.Cut(file, ":")
	return ok && scheme != "" && strings.HasPrefix(rest, "/")
}
