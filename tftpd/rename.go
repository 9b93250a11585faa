package tftpd

import (
	"errors"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Rule gives names that it matches another one.
type Rule struct {
	Match *regexp.Regexp // found anywhere in a clean name, unless it is anchored
	Name  string         // what takes its place; $1 is what the first group found
}

// Renamed looks files up under other names: the first rule that matches decides.
type Renamed struct {
	Files Files
	Rules []Rule
}

// Open applies the rules. A name that they lead out of the root is ErrOutside.
func (r Renamed) Open(rq Request) (File, error) {
	for _, rule := range r.Rules {
		if !rule.Match.MatchString(rq.Name) {
			continue
		}
		name, err := Clean(rule.Match.ReplaceAllString(rq.Name, rule.Name))
		if err != nil {
			return nil, err
		}
		rq.Name = name
		break
	}
	return r.Files.Open(rq)
}

// Personal looks a file up in the client's own directory before the one for all: "52-54-00-aa-bb-01/ipxe.cfg", then
// "192.0.2.7/ipxe.cfg" or "2001-db8--7/ipxe.cfg", then "ipxe.cfg".
type Personal struct {
	Files   Files
	MAC     func(netip.Addr) (mac netboot.MAC, known bool) // as Neighbour has it; nil: there are no directories by MAC
	Address bool                                           // there are directories by address
}

// Open is told who asks by the request.
func (p Personal) Open(rq Request) (File, error) {
	for _, dir := range p.dirs(rq.Client) {
		own := rq
		own.Name = dir + "/" + rq.Name
		if f, err := p.Files.Open(own); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return p.Files.Open(rq)
}

func (p Personal) dirs(client netip.Addr) (dirs []string) {
	if p.MAC != nil {
		if mac, known := p.MAC(client); known {
			dirs = append(dirs, mac.Hyphenated())
		}
	}
	if p.Address && client.IsValid() {
		dirs = append(dirs, strings.ReplaceAll(client.WithZone("").String(), ":", "-"))
	}
	return dirs
}
