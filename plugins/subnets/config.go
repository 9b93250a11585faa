package subnets

import "github.com/coredhcp-netboot/suite/internal/conf"

// File is a site's addressing as the operator wrote it.
type File struct {
	Leases        conf.At[string]   `yaml:"leases"`
	Durability    durability        `yaml:"durability"`
	Hook          told              `yaml:"hook"`
	DHCPDLeases   conf.At[string]   `yaml:"dhcpd-leases"`
	Identity      conf.At[identity] `yaml:"identity"`
	BOOTP         bool              `yaml:"bootp"`
	Define        definitions       `yaml:"define"`
	Classes       []Class           `yaml:"classes"`
	Networks      []Network         `yaml:"networks"`
	Reservations  []Reservation     `yaml:"reservations"`
	Authoritative *bool             `yaml:"authoritative"`
	Gives         `yaml:",inline"`
	Rules         `yaml:",inline"`
}

// Gives is what a client is told. It stands at every level: the nearest to the client counts.
type Gives struct {
	Options    settings          `yaml:"options"`
	LeaseTime  *LeaseTime        `yaml:"lease-time"`
	Preferred  conf.At[duration] `yaml:"preferred-time"`
	NextServer conf.At[address4] `yaml:"next-server"`
	File       *conf.At[text]    `yaml:"file"`
	ServerName *conf.At[text]    `yaml:"server-name"`
}

// Rules are how a client is treated: at the top, in a network or in a subnet.
type Rules struct {
	Deny      conf.List[conf.At[string]] `yaml:"deny"`
	PingCheck *bool                      `yaml:"ping-check"`
	Rapid     *bool                      `yaml:"rapid-commit"`
}

// LeaseTime bounds what a client may ask for. A single time is the default and the most.
type LeaseTime struct {
	Default conf.At[duration] `yaml:"default"`
	Min     conf.At[duration] `yaml:"min"`
	Max     conf.At[duration] `yaml:"max"`
}

// DecodeConf implements conf.Custom.
func (l *LeaseTime) DecodeConf(v conf.Value) {
	if v.IsMap() {
		type keys LeaseTime
		v.Into((*keys)(l))
		return
	}
	v.Into(&l.Default)
	l.Max = l.Default
}

// Class is clients that an expression is true for.
type Class struct {
	Name  conf.At[string] `yaml:"name"`
	When  conf.At[string] `yaml:"when"`
	When6 conf.At[string] `yaml:"when6"`
	Gives `yaml:",inline"`
	conf.Pos
}

// Network is a link, with the subnets that share it. One that has a single subnet may write it in its place.
type Network struct {
	Name          conf.At[string] `yaml:"name"`
	Subnets       []Subnet        `yaml:"subnets"`
	Authoritative *bool           `yaml:"authoritative"`
	Subnet        `yaml:",inline"`
}

// Subnet is the addresses that are reached without a router.
type Subnet struct {
	Prefix   conf.At[prefix] `yaml:"subnet"`
	Pools    []Pool          `yaml:"pools"`
	Delegate []Delegation    `yaml:"delegate"`
	Gives    `yaml:",inline"`
	Rules    `yaml:",inline"`
	conf.Pos
}

// Pool is addresses that are lent to who asks.
type Pool struct {
	Ranges conf.List[conf.At[addrs]]  `yaml:"range"`
	Allow  conf.List[conf.At[string]] `yaml:"allow"`
	Deny   conf.List[conf.At[string]] `yaml:"deny"`
	BOOTP  bool                       `yaml:"bootp"`
	Gives  `yaml:",inline"`
	conf.Pos
}

// DecodeConf implements conf.Custom: a pool that is nothing but a range is written as one.
func (p *Pool) DecodeConf(v conf.Value) {
	if v.IsMap() {
		type keys Pool
		v.Into((*keys)(p))
		return
	}
	p.Pos = v.Pos
	v.Into(&p.Ranges)
}

// Delegation is a prefix that is divided into those that routers are given (RFC 8415 section 6.3).
type Delegation struct {
	Prefix conf.At[prefix]            `yaml:"prefix"`
	Length conf.At[int]               `yaml:"length"`
	Allow  conf.List[conf.At[string]] `yaml:"allow"`
	Deny   conf.List[conf.At[string]] `yaml:"deny"`
	Gives  `yaml:",inline"`
	conf.Pos
}

// Reservation is a machine that the operator knows. Each of its identities alone makes a client the machine, but a circuit
// and a remote id count together.
type Reservation struct {
	Name      conf.At[string]            `yaml:"name"`
	MAC       conf.List[conf.At[mac]]    `yaml:"mac"`
	ClientID  conf.List[conf.At[octets]] `yaml:"client-id"`
	DUID      conf.List[conf.At[duid]]   `yaml:"duid"`
	CircuitID conf.At[octets]            `yaml:"circuit-id"`
	RemoteID  conf.At[octets]            `yaml:"remote-id"`
	Address   conf.List[conf.At[ip]]     `yaml:"address"`
	Prefix    conf.At[prefix]            `yaml:"prefix"`
	Ignore    bool                       `yaml:"ignore"`
	Gives     `yaml:",inline"`
	conf.Pos
}

// setting is one option with its values, as written.
type setting struct {
	conf.Pos
	name   string
	values []string
}

// settings are options by name or number, in the order of the file.
type settings []setting

// DecodeConf implements conf.Custom.
func (s *settings) DecodeConf(v conf.Value) {
	v.Pairs(func(name string, at conf.Pos, value conf.Value) {
		one := setting{Pos: at, name: name}
		for _, item := range value.Items() {
			text, ok := item.Text()
			if !ok {
				item.Fail("option %s must have a text or a list of texts", name)
				return
			}
			one.values = append(one.values, text)
		}
		*s = append(*s, one)
	})
}

// definition declares an option: "code 224 = text".
type definition struct {
	conf.Pos
	name, text string
}

type definitions []definition

// DecodeConf implements conf.Custom.
func (d *definitions) DecodeConf(v conf.Value) {
	v.Pairs(func(name string, at conf.Pos, value conf.Value) {
		text, ok := value.Text()
		if !ok {
			value.Fail("option %s must be declared like code 224 = text", name)
			return
		}
		*d = append(*d, definition{at, name, text})
	})
}
