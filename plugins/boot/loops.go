package boot

import "github.com/coredhcp-netboot/suite/internal/netboot"

// loops looks at a rule that gives iPXE: whom it would give it to again and again.
func (c *compiler) loops(r *Rule, name string) {
	if len(r.Lacks) > 0 {
		for _, code := range append(r.codes(), netboot.ArchBIOS)[:max(1, len(r.codes()))] {
			if !netboot.UsualFeatures(code).Has(union(r.Lacks)) {
				c.warnings.Add(r.Match.Pos, "iPXE as it is usually built for %s lacks some of these too, and would be handed %s again and again; make sure that this build has them", code, name)
				return
			}
		}
		return
	}
	for _, class := range r.UserClass {
		if class.matches("iPXE") || class.matches("gPXE") {
			c.problems.Add(r.Match.Pos, "every iPXE has the user class %q, so it would be handed %s for ever; give it a script, or match lacks: [http] for builds that need a better one", class.String(), name)
			return
		}
	}
	onlyIPXE := len(r.Match.Firmware) == 1 && r.Match.Firmware[0].kind == netboot.FirmwareIPXE
	switch {
	case len(r.UserClass) > 0:
		c.warnings.Add(r.Match.Pos, "an iPXE whose script set the user class %q would be handed %s again and again; make sure that the second stage has another class", r.UserClass[0].String(), name)
	case r.Match.asksForIPXE():
	case r.IPXE != nil && *r.IPXE || len(r.Features) > 0 || onlyIPXE:
		c.problems.Add(r.Match.Pos, "iPXE is never handed iPXE again, so this rule would never answer; give it a script, or match lacks: [http] for builds that need a better one")
	}
}
