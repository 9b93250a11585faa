// Package option knows what options there are: their names, numbers and types, built in and declared by an operator,
// for DHCPv4 and DHCPv6. It turns an operator's text into the bytes of an option and bytes into text, and finds options
// and the options inside of options in a message. All names and types are those of ISC dhcpd.
package option

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// Names of built-in spaces.
const (
	DHCP   = "dhcp"   // options of DHCPv4
	DHCP6  = "dhcp6"  // options of DHCPv6
	Agent  = "agent"  // what a relay adds (RFC 3046)
	FQDN   = "fqdn"   // the parts of option 81 (RFC 4702), by numbers that never stand on the wire
	Server = "server" // what the server itself is told: filename, lease times, switches; never on the wire
)

// Definition is one option: its number and the form of its value.
type Definition struct {
	Name string
	Code uint32
	Type Type

	space *Space
	id    int
}

// ID is a small number that all definitions of one code in one space share, and no others of the registry: an index
// for tables.
func (d *Definition) ID() int { return d.id }

// Space is where the option is at home.
func (d *Definition) Space() *Space { return d.space }

// String is the name by which configurations know the option: "routers", or "agent.circuit-id".
func (d *Definition) String() string {
	if d.space.Name == DHCP {
		return d.Name
	}
	return d.space.Name + "." + d.Name
}

// Space is a set of options with numbers of their own: those of a protocol, or those inside of one option.
type Space struct {
	Name        string
	CodeWidth   int // bytes of a number on the wire: 1, 2 or 4
	LengthWidth int // bytes of a length: 0 (to the end), 1 or 2

	byName map[string]*Definition
	byCode map[uint32]*Definition
	all    []*Definition
}

// Linked tells a space that dhcpd keeps as a list, in the order in which options are set.
func (s *Space) Linked() bool { return s.Name == Agent || s.Name == "nwip" || s.Name == "isc" }

// Code finds an option by its number; nil: it is not declared.
func (s *Space) Code(code uint32) *Definition { return s.byCode[code] }

// Definitions are all options of the space in the order in which they were declared.
func (s *Space) Definitions() []*Definition { return s.all }

func (s *Space) names() []string {
	names := make([]string, 0, len(s.all))
	for _, d := range s.all {
		names = append(names, d.Name)
	}
	return names
}

// Registry holds all spaces. It is filled while a configuration is read; from then on it is only read, by any number of
// goroutines.
type Registry struct {
	main   *Space // where a name without a space is looked up
	spaces map[string]*Space
	inside map[string]*Definition // the option whose value is the named space
	names  []string               // in the order of their declaration
	count  int                    // of numbers that have a definition
}

//go:embed builtin.txt
var builtin string

// NewRegistry knows what is built in. main is DHCP or DHCP6: the space of names without one.
func NewRegistry(main string) *Registry {
	r := &Registry{spaces: map[string]*Space{}, inside: map[string]*Definition{}}
	var space *Space
	for line := range strings.Lines(builtin) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		var err error
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "space":
			code, _ := strconv.Atoi(words[4])
			length, _ := strconv.Atoi(words[7])
			space, err = r.AddSpace(words[1], code, length)
			if words[1] == main {
				r.main = space
			}
		default:
			code, _ := strconv.ParseUint(words[2], 10, 32)
			_, form, _ := strings.Cut(line, " = ")
			var t Type
			if t, err = ParseType(form); err == nil {
				r.define(space, words[0], uint32(code), t)
			}
		}
		if err != nil {
			panic(err) // a mistake in builtin.txt, which every test meets
		}
	}
	r.index()
	return r
}

// AddSpace declares an option space. Widths are in bytes: 1, 2 or 4 for numbers, 0, 1 or 2 for lengths.
func (r *Registry) AddSpace(name string, codeWidth, lengthWidth int) (*Space, error) {
	if !slices.Contains([]int{1, 2, 4}, codeWidth) {
		return nil, fmt.Errorf("option space %s: a code width is 1, 2 or 4, not %d", name, codeWidth)
	}
	if !slices.Contains([]int{0, 1, 2}, lengthWidth) {
		return nil, fmt.Errorf("option space %s: a length width is 0, 1 or 2, not %d", name, lengthWidth)
	}
	if r.spaces[name] != nil {
		return nil, fmt.Errorf("option space %s is already there; choose another name", name)
	}
	s := &Space{Name: name, CodeWidth: codeWidth, LengthWidth: lengthWidth, byName: map[string]*Definition{}, byCode: map[uint32]*Definition{}}
	r.spaces[name] = s
	r.names = append(r.names, name)
	return s, nil
}

// Define declares an option, such as "arch" or "ipxe.no-pxedhcp". A number or a name that is already declared, built in
// or not, is declared anew, as dhcpd does: the name stands for the new one, and so does the number.
func (r *Registry) Define(name string, code uint32, t Type) (*Definition, error) {
	space, short, err := r.split(name)
	if err != nil {
		return nil, err
	}
	if space.CodeWidth < 4 && code >= 1<<(8*space.CodeWidth) {
		return nil, fmt.Errorf("option %s: codes of space %s end at %d", name, space.Name, 1<<(8*space.CodeWidth)-1)
	}
	for _, f := range t.Fields {
		if f.Kind == Encapsulated && f.Space != "*" && r.spaces[f.Space] == nil {
			return nil, fmt.Errorf("option %s: there is no option space %s; declare it first", name, f.Space)
		}
	}
	d := r.define(space, short, code, t)
	r.index()
	return d, nil
}

func (r *Registry) define(s *Space, name string, code uint32, t Type) *Definition {
	d := &Definition{Name: name, Code: code, Type: t, space: s, id: r.count}
	if old := s.byCode[code]; old != nil {
		d.id = old.id
	} else {
		r.count++
	}
	s.byName[name], s.byCode[code] = d, d
	s.all = append(s.all, d)
	return d
}

// index notes which option holds each space.
func (r *Registry) index() {
	clear(r.inside)
	for _, name := range r.names {
		for _, d := range r.spaces[name].all {
			if in := d.Type.Encapsulates(); in != "" && d.space.byCode[d.Code] == d && d.space != r.foreign() {
				r.inside[in] = d
			}
		}
	}
}

// foreign is the space of the other protocol, whose options hold nothing here.
func (r *Registry) foreign() *Space {
	if r.main.Name == DHCP {
		return r.spaces[DHCP6]
	}
	return r.spaces[DHCP]
}

func (r *Registry) split(name string) (*Space, string, error) {
	prefix, short, dotted := strings.Cut(name, ".")
	if !dotted {
		return r.main, name, nil
	}
	if s := r.spaces[prefix]; s != nil {
		return s, short, nil
	}
	return nil, "", fmt.Errorf("there is no option space %s", prefix)
}

// Len bounds all IDs from above.
func (r *Registry) Len() int { return r.count }

// Main is the space of the protocol.
func (r *Registry) Main() *Space { return r.main }

// Space finds an option space; nil: it is not declared.
func (r *Registry) Space(name string) *Space { return r.spaces[name] }

// Inside is the option that holds the options of the named space as its value; nil: none does.
func (r *Registry) Inside(space string) *Definition { return r.inside[space] }

// Holders are the options of the protocol's space that hold others, in the order in which their spaces were declared.
func (r *Registry) Holders() (list []*Definition) {
	for _, name := range r.names {
		if d := r.inside[name]; d != nil && d.space == r.main {
			list = append(list, d)
		}
	}
	return list
}

// Lookup finds an option by its name, with its space in front where that is not the protocol's own: "routers",
// "agent.circuit-id". A number stands for the option that has it: "224".
func (r *Registry) Lookup(name string) (*Definition, error) {
	space, short, err := r.split(name)
	if err != nil {
		return nil, fmt.Errorf("option %s is unknown: %w", name, err)
	}
	if d := space.byName[short]; d != nil {
		return d, nil
	}
	if code, err := strconv.ParseUint(short, 10, 32); err == nil {
		if d := space.byCode[uint32(code)]; d != nil {
			return d, nil
		}
		return nil, fmt.Errorf("option %s has no type; declare it", name)
	}
	names, prefix := space.names(), strings.TrimSuffix(name, short)
	for i := range names {
		names[i] = prefix + names[i]
	}
	if remedy := conf.Suggest(name, names); strings.HasPrefix(remedy, "did") {
		return nil, fmt.Errorf("option %s is unknown; %s", name, remedy)
	}
	return nil, fmt.Errorf("option %s is unknown; declare it with its code and type", name)
}
