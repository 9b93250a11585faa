package boot

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// compiler turns what was written into what is understood, and gathers what is wrong with it.
type compiler struct {
	path     string
	problems conf.Problems
	warnings conf.Problems
	missing  conf.Problems // files: a warning for the daemon, since a site without firmware must still get addresses

	base    string // http, without a slash at its end
	server4 netip.Addr
	server6 netip.Addr
	mode    netboot.Mode
	served
}

// compile turns the file into a policy, as far as it can: it goes on behind mistakes of decoding, so that one run shows
// all of both kinds. The compiler has the problems; without a policy nothing of the file could be read.
func compile(path string, f *File, decoding error) (*compiler, *Policy) {
	c := &compiler{path: path}
	if decoding != nil && (!errors.As(decoding, &c.problems) || !c.problems.Located()) {
		return c, nil
	}
	mistakes := c.problems
	c.problems = nil
	p := &Policy{
		Preference:  255,
		defaultArch: netboot.ArchUnknown,
		byMAC:       make(map[netboot.MAC]*answer, len(f.Hosts)),
		byUUID:      make(map[netboot.UUID]*answer),
	}
	c.site(f, p)
	if len(f.Rules) == 0 && len(f.Hosts) == 0 {
		c.problems.AddAbsence(conf.Pos{File: path}, "has neither rules nor hosts, so no machine would boot; add a rule such as - {arch: bios, file: undionly.kpxe}")
	}
	for i := range f.Rules {
		c.rule(&f.Rules[i], p)
	}
	firstMAC, firstUUID := map[netboot.MAC]conf.Pos{}, map[netboot.UUID]conf.Pos{}
	for i := range f.Hosts {
		c.host(&f.Hosts[i], p, firstMAC, firstUUID)
	}
	p.Warnings = conf.Problems(nil).With(slices.Concat(c.warnings, c.missing))
	c.problems = mistakes.With(c.problems)
	return c, p
}

// policy is the result, if the file has no mistake.
func (c *compiler) policy(p *Policy) (*Policy, error) {
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// site reads what holds for the whole map.
func (c *compiler) site(f *File, p *Policy) {
	if f.Preference != nil {
		p.Preference = *f.Preference
	}
	switch f.Mode.V {
	case "", "full":
	case "proxy":
		c.mode = netboot.ModeProxy
	default:
		c.problems.Add(f.Mode.Pos, "mode %q is unknown; use full, or proxy beside another DHCP server", f.Mode.V)
	}
	p.Mode, p.ReplyDelay = c.mode, f.ReplyDelay.V.Duration
	if p.ReplyDelay > 0 && c.mode != netboot.ModeProxy {
		c.problems.Add(f.ReplyDelay.Pos, "reply-delay is for mode: proxy; remove it")
	}
	if f.DefaultArch.V != "" {
		if codes, err := netboot.ParseArch(f.DefaultArch.V); err != nil {
			c.problems.Add(f.DefaultArch.Pos, "%v", err)
		} else {
			p.defaultArch = codes[0]
		}
	}
	c.server4, c.server6 = c.servers(f.NextServer.V, f.NextServer.Pos)
	if f.HTTP.V != "" {
		c.base = strings.TrimRight(f.HTTP.V, "/")
		u, err := url.Parse(strings.ReplaceAll(c.base, "{server}", "0"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			c.problems.Add(f.HTTP.Pos, "http %q is no base for names; write it like http://192.0.2.1:8080 (or http://{server}:8080)", f.HTTP.V)
			c.base = ""
		} else if _, err := netip.ParseAddr(u.Hostname()); err != nil && u.Hostname() != "0" {
			remedy := "put the plugin dns before boot, or use an address"
			if c.mode == netboot.ModeProxy {
				remedy = "use an address, since another server gives the name servers here"
			}
			c.warnings.Add(f.HTTP.Pos, "http names the host %q: HTTP firmware drops the offer unless it also carries name servers; %s", u.Hostname(), remedy)
		}
	}
	for _, d := range f.Firmware {
		c.firmwareDir(d)
	}
	c.scriptsDir(f.Scripts)
}

// servers sorts the addresses by family; what is left out is auto.
func (c *compiler) servers(list conf.List[server], at conf.Pos) (v4, v6 netip.Addr) {
	for _, s := range list {
		slot := &v4
		if s.addr.Is6() {
			slot = &v6
		}
		if s.addr.IsValid() && slot.IsValid() {
			c.problems.Add(at, "has two servers of one family, %s and %s; a client takes one: remove the other", slot, s.addr)
		}
		if s.addr.IsValid() {
			*slot = s.addr
		}
	}
	return v4, v6
}

func (c *compiler) rule(r *Rule, p *Policy) {
	if !r.given() {
		c.problems.AddAbsence(r.Match.Pos, "the rule gives nothing; add file, profile, options, ipxe-options or ignore: true")
	}
	a := c.answer(&r.Give, r.Match.Pos)
	a.asksForIPXE = r.asksForIPXE()
	if a.file != nil && a.file.isIPXE {
		c.loops(r, r.Give.File.V)
	}
	p.need6(a)
	p.rules = append(p.rules, rule{c.match(&r.Match), *a})
}

func (c *compiler) host(h *Host, p *Policy, firstMAC map[netboot.MAC]conf.Pos, firstUUID map[netboot.UUID]conf.Pos) {
	if len(h.MAC) == 0 && len(h.UUID) == 0 {
		c.problems.AddAbsence(h.Pos, "the host has neither mac nor uuid; add the one that the machine's firmware shows")
	}
	if !h.given() {
		c.problems.AddAbsence(h.Pos, "the host gives nothing; add file, profile, options, ipxe-options or ignore: true")
	}
	a := c.answer(&h.Give, h.Pos)
	p.need6(a)
	for _, m := range h.MAC {
		own(c, "mac", m, firstMAC, p.byMAC, a)
	}
	for _, u := range h.UUID {
		own(c, "uuid", u, firstUUID, p.byUUID, a)
	}
}

// hostID is what a host is known by.
type hostID interface {
	netboot.MAC | netboot.UUID
	Known() bool
	String() string
}

// own gives the machine with this identity its answer, if it has none yet.
func own[I hostID](c *compiler, word string, id conf.At[I], first map[I]conf.Pos, answers map[I]*answer, a *answer) {
	if !id.V.Known() {
		c.problems.AddAbsence(id.Pos, "%s is all zeros, which is what firmware without one sends; write the machine's", word)
		return
	}
	if before, taken := first[id.V]; taken {
		c.problems.Add(id.Pos, "%s %s already has an answer on line %d; keep one of the two", word, id.V, before.Line)
		return
	}
	first[id.V] = id.Pos
	answers[id.V] = a
}

// need6 notes an answer that DHCPv6 can give only with our own address in it.
func (p *Policy) need6(a *answer) {
	if p.auto6 == "" && !a.server6.IsValid() && !a.ignore &&
		(a.file != nil && a.file.needsServer6() || a.file == nil && a.menu == nil && a.profile == netboot.ProfileRaspberryPi) {
		p.auto6 = a.because
	}
}

func (c *compiler) answer(g *Give, at conf.Pos) *answer {
	a := &answer{
		because: at.String(),
		ignore:  g.Ignore,
		server4: c.server4, server6: c.server6,
		serverName: g.ServerName.V,
		options4:   g.Options.for4(), options6: g.Options.for6(),
		mode: c.mode,
		ipxe: slices.Clip(g.IPXEOptions.bytes(c.mode)),
	}
	v4, v6 := c.servers(g.Server, at)
	auto := slices.ContainsFunc(g.Server, func(s server) bool { return s.auto })
	if v4.IsValid() || auto { // a family that is not mentioned keeps the map's
		a.server4 = v4
	}
	if v6.IsValid() || auto {
		a.server6 = v6
	}
	if n := len(g.ServerName.V); n > netboot.MaxServerName {
		c.problems.Add(g.ServerName.Pos, "server-name has %d bytes; the header holds %d: shorten it", n, netboot.MaxServerName)
	}
	switch g.Profile.V {
	case "":
	case "raspberry-pi":
		a.profile = netboot.ProfileRaspberryPi
	case "fast":
		a.profile = netboot.ProfileFast
	default:
		c.problems.Add(g.Profile.Pos, "profile %q is unknown; use raspberry-pi or fast", g.Profile.V)
	}
	if g.Ignore && (g.File.V != "" || len(g.Server) > 0 || g.ServerName.V != "" || g.Profile.V != "" || g.Menu != nil || len(g.Options) > 0 || len(g.IPXEOptions) > 0) {
		c.problems.Add(at, "ignore: true gives no boot answer, yet other answers stand beside it; remove the one or the others")
	}
	for _, o := range a.options4 {
		if o.Code == 43 && !netboot.TakesFileAtOnce(o.Value) {
			c.warnings.Add(at, "option 43 has no discovery control (06 01 08) that lets PXE firmware take the file at once, so PXE firmware does not get it")
		}
	}
	if n := size(a.options4); n > maxOptions {
		c.problems.Add(at, "the options have %d bytes; a reply has room for %d beside the lease: give fewer", n, maxOptions)
	}
	c.proxyWords(g, a, at)
	c.file(g, a)
	return a
}

// maxOptions leaves room for the lease and the boot fields in 1472 bytes, the most that EDK2 takes.
const maxOptions = 600

func size(options []netboot.Option) (n int) {
	for _, o := range options {
		n += 2 + len(o.Value)
	}
	return n
}

func (c *compiler) file(g *Give, a *answer) {
	switch name, single := g.Menu.single(); {
	case single && name.V != "":
		a.file = c.newFile(name, a)
	case g.Menu != nil:
		a.menu = c.menu(g, a)
	case g.File.V != "":
		a.file = c.newFile(g.File, a)
	}
}

// newFile prepares a boot file; nil: it has a mistake.
func (c *compiler) newFile(name conf.At[string], a *answer) *file {
	f, err := newFile(name.V, c.base, a.server6)
	if err != nil {
		c.problems.Add(name.Pos, "%v", err)
		return nil
	}
	c.perMachine(name)
	if f.scheme == "" && f.name.template == nil {
		c.lookUp(name)
	}
	if len(name.V) > netboot.MaxHeaderFile && f.scheme == "" {
		c.warnings.Add(name.Pos, "file has %d bytes; what stands in the header's file field is at most %d long, and PXE ROMs read no other: shorten it", len(name.V), netboot.MaxHeaderFile)
	}
	return f
}
