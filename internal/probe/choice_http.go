package probe

import (
	"net/netip"
	"net/url"
	"strings"
)

// httpRules are those of UEFI's HTTP boot (EDK2 NetworkPkg/HttpBootDxe/HttpBootDhcp4.c), without a URL in the boot entry.
type httpRules struct{}

// uriOf is the URL that HTTP boot sees in an offer; nil where there is none, or none that it can take.
func uriOf(o *Offer) *url.URL {
	u, err := url.Parse(o.optionFirst())
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		return nil
	}
	return u
}

// byAddress tells a URL whose host is a number: it needs no DNS.
func byAddress(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return err == nil
}

func (httpRules) choose(offers []*Offer) (Choice, *Stop) {
	find := func(leases, http, dns, literal bool) *Offer {
		return first(offers, func(o *Offer) bool {
			if dropsEDK2(o) != "" || o.leases() != leases || o.httpClient() != http || dns && len(o.DNS) == 0 {
				return false
			}
			u := uriOf(o)
			return !http || u != nil && byAddress(u) == literal
		})
	}
	plain, resolver := find(true, false, false, false), find(true, false, true, false)
	ask := func(lease, boot *Offer, why string) (Choice, *Stop) {
		return Choice{Lease: lease, Boot: boot, Why: why}, nil
	}
	if o := find(true, true, false, true); o != nil {
		return ask(o, o, "an HTTP offer with a numeric URL")
	}
	if o := find(true, true, true, false); o != nil {
		return ask(o, o, "an HTTP offer with a named host, and DNS")
	}
	if o := find(false, true, false, true); o != nil && plain != nil {
		return ask(plain, o, "a DHCP offer, and a proxy's with a numeric URL")
	}
	if resolver != nil {
		if o := find(false, true, false, false); o != nil {
			return ask(resolver, o, "a DHCP offer with DNS, and a proxy's with a named host")
		}
		if o := find(true, true, false, false); o != nil {
			return ask(resolver, o, "a DHCP offer with DNS, and another's with a named host")
		}
	}
	return Choice{}, httpNothing(offers)
}

func httpNothing(offers []*Offer) *Stop {
	for _, o := range offers {
		switch u := uriOf(o); {
		case dropsEDK2(o) != "":
			return stop("malformed", "mend the server, or what changes its replies on the way", "UEFI drops the reply of %s: it %s", o.name(), dropsEDK2(o))
		case u != nil && !o.httpClient():
			return stop("no-http-class", "send option 60 = HTTPClient to clients whose option 60 begins with it (dnsmasq: dhcp-option-force=60,HTTPClient)",
				"the reply of %s has the URL %q without option 60 = HTTPClient: HTTP boot ignores it", o.name(), u.String())
		case u != nil && !byAddress(u) && !o.leases() && first(offers, (*Offer).leases) == nil:
			return stop("proxy-only", causeProxyOnly, "%s, but nobody offers an address", answered(offers))
		case u != nil && !byAddress(u):
			return stop("no-dns", "send option 6 with the URL, or a numeric address in it", "the URL %q of %s names a host, and no reply names a DNS server (option 6)", u.String(), o.name())
		case o.httpClient() && u == nil && o.optionFirst() != "":
			return stop("bad-url", "give HTTP boot a full URL, like http://192.0.2.1/ipxe.efi", "the reply of %s names %q, which is no URL by http or https", o.name(), o.optionFirst())
		}
	}
	if first(offers, (*Offer).leases) == nil {
		return stop("proxy-only", causeProxyOnly, "%s, but nobody offers an address", answered(offers))
	}
	return noFile(offers)
}

func (httpRules) source(c Choice, _, _ *Offer) (Source, *Stop) {
	return Source{Server: serverOf(c.Boot), File: c.Boot.optionFirst(), From: c.Boot}, nil // the URL is that of the OFFER
}
