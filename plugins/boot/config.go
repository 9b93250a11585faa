package boot

import (
	"path/filepath"
	"slices"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// File is the boot map as the operator wrote it.
type File struct {
	NextServer  conf.At[conf.List[server]] `yaml:"next-server"`
	HTTP        conf.At[string]            `yaml:"http"`
	Firmware    conf.List[conf.At[string]] `yaml:"firmware"`
	Scripts     conf.At[string]            `yaml:"scripts"`
	Mode        conf.At[string]            `yaml:"mode"`
	ReplyDelay  conf.At[replyDelay]        `yaml:"reply-delay"`
	DefaultArch conf.At[string]            `yaml:"default-arch"`
	Preference  *uint8                     `yaml:"preference"`
	Rules       []Rule                     `yaml:"rules"`
	Hosts       []Host                     `yaml:"hosts"`
}

// Rule is one line of the map: what it matches, what it gives.
type Rule struct {
	Match `yaml:",inline"`
	Give  `yaml:",inline"`
}

// Match are the words that a rule tests; all that are given must hold.
type Match struct {
	conf.Pos
	Arch        conf.List[archs]                 `yaml:"arch"`
	IPXE        *bool                            `yaml:"ipxe"`
	Features    conf.List[feature]               `yaml:"features"`
	Lacks       conf.List[feature]               `yaml:"lacks"`
	Firmware    conf.List[firmware]              `yaml:"firmware"`
	UserClass   conf.List[pattern]               `yaml:"user-class"`
	VendorClass conf.List[pattern]               `yaml:"vendor-class"`
	MAC         conf.List[macPattern]            `yaml:"mac"`
	UUID        conf.List[conf.At[netboot.UUID]] `yaml:"uuid"`
	Hostname    conf.List[pattern]               `yaml:"hostname"`
	Relay       *RelayMatch                      `yaml:"relay"`
	Subnet      conf.List[pattern]               `yaml:"subnet"`
	Class       conf.List[pattern]               `yaml:"class"`
	Not         conf.List[Match]                 `yaml:"not"`
	Any         conf.List[Match]                 `yaml:"any"`
}

// RelayMatch tests the relay agent that passed a request on.
type RelayMatch struct {
	conf.Pos
	From      conf.List[prefix]  `yaml:"from"`
	CircuitID conf.List[pattern] `yaml:"circuit-id"`
	RemoteID  conf.List[pattern] `yaml:"remote-id"`
}

// Give are the words that a rule answers with.
type Give struct {
	File        conf.At[string]   `yaml:"file"`
	Server      conf.List[server] `yaml:"server"`
	ServerName  conf.At[string]   `yaml:"server-name"`
	Options     optionList        `yaml:"options"`
	IPXEOptions ipxeOptionList    `yaml:"ipxe-options"`
	Profile     conf.At[string]   `yaml:"profile"`
	Menu        *Menu             `yaml:"menu"`
	Ignore      bool              `yaml:"ignore"`
}

// Host is the answer of single machines. It comes before the rules.
type Host struct {
	conf.Pos
	MAC  conf.List[conf.At[netboot.MAC]]  `yaml:"mac"`
	UUID conf.List[conf.At[netboot.UUID]] `yaml:"uuid"`
	Give `yaml:",inline"`
}

// given tells whether any answer word is there.
func (g *Give) given() bool {
	return g.File.V != "" || len(g.Server) > 0 || g.ServerName.V != "" || len(g.Options) > 0 ||
		len(g.IPXEOptions) > 0 || g.Profile.V != "" || g.Menu != nil || g.Ignore
}

// empty tells a match that takes every client.
func (m *Match) empty() bool {
	return len(m.Arch) == 0 && m.IPXE == nil && len(m.Features) == 0 && len(m.Lacks) == 0 && len(m.Firmware) == 0 &&
		len(m.UserClass) == 0 && len(m.VendorClass) == 0 && len(m.MAC) == 0 && len(m.UUID) == 0 &&
		len(m.Hostname) == 0 && m.Relay == nil && len(m.Subnet) == 0 && len(m.Class) == 0 && len(m.Not) == 0 && len(m.Any) == 0
}

// asksForIPXE tells a rule that hands iPXE to iPXE on purpose: to a build that lacks a feature, or to one that an
// operator's user class names.
func (m *Match) asksForIPXE() bool {
	return len(m.Lacks) > 0 || len(m.UserClass) > 0 ||
		len(m.Any) > 0 && !slices.ContainsFunc(m.Any, func(m Match) bool { return !m.asksForIPXE() })
}

// Load reads and compiles the boot map at path. The error, if any, holds every problem of the file. Warnings are in
// the policy.
func Load(path string) (*Policy, error) {
	var f File
	c, p := compile(path, &f, conf.Load(path, &f))
	return c.policy(p)
}

// Parse is Load for a map in memory; path names it, and is where relative directories start.
func Parse(path string, data []byte) (*Policy, error) {
	var f File
	c, p := compile(path, &f, conf.Decode(path, data, &f))
	return c.policy(p)
}

// RefuseMap is the problem of a boot map that stands where CoreDHCP's configuration should; nil for any other file.
func RefuseMap(path string) error {
	var f struct {
		Server4 conf.At[conf.Any] `yaml:"server4"`
		Server6 conf.At[conf.Any] `yaml:"server6"`
		Rules   conf.At[conf.Any] `yaml:"rules"`
		Hosts   conf.At[conf.Any] `yaml:"hosts"`
	}
	_ = conf.Load(path, &f) // whatever it is: others read it, and tell its mistakes
	if f.Server4.Line+f.Server6.Line > 0 || f.Rules.Line+f.Hosts.Line == 0 {
		return nil
	}
	var ps conf.Problems
	ps.Add(conf.Pos{File: path}, "is a boot map, not a CoreDHCP configuration; name the configuration, whose chain has `- boot: %s`, with -c", filepath.Base(path))
	return ps
}

// ModeOf is the mode that the map at path asks for, as far as it can be read.
func ModeOf(path string) netboot.Mode {
	var f File
	c, _ := compile(path, &f, conf.Load(path, &f))
	return c.mode
}
