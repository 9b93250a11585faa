package policy

import (
	"net/netip"
	"sync"
	"time"

	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// Env is a message and what is known of its sender. See expr.Env.
type Env = expr.Env

// Policy evaluates scopes. It is immutable, and safe for concurrent use.
type Policy struct {
	options *option.Registry
	server  []*option.Definition // of the space "server", by their numbers
	free    sync.Pool            // of *Outcome that are Done
}

// New makes a policy over these options, to which no more are declared from now on.
func New(options *option.Registry) *Policy {
	p := &Policy{options: options}
	for _, d := range options.Space(option.Server).Definitions() {
		for len(p.server) <= int(d.Code) {
			p.server = append(p.server, nil)
		}
		p.server[d.Code] = d
	}
	return p
}

// Options are the option definitions.
func (p *Policy) Options() *option.Registry { return p.options }

// Path is where a client stands: the scopes whose statements are for it.
type Path struct {
	Network *Scope   // its subnet
	Pool    *Scope   // of its address; nil: the address is of no pool
	Classes []*Class // that it matches, in the order of their declaration
	Host    *Scope   // of its host declaration; nil: there is none
}

type run struct{ env *Env }

func (r *run) statements(list []Statement) {
	for _, s := range list {
		s.run(r)
	}
}

// scope runs the scopes from the outermost to s, without those that are within, or around it.
func (r *run) scope(s, within *Scope) {
	if s == nil || s.around(within) {
		return
	}
	r.scope(s.Parent, within)
	r.statements(s.Statements)
}

// Evaluate runs all statements for a client: from the outermost scope to the subnet, the pool, the classes from the one
// declared last to the one declared first, and the host within its groups. What is set last stands. The outcome stays
// valid as long as env does, or until Done, and belongs to the same goroutine.
func (p *Policy) Evaluate(env *Env, at Path) *Outcome {
	o, used := p.free.Get().(*Outcome)
	if !used {
		o = &Outcome{policy: p, settings: expr.NewSettings(p.options)}
	}
	o.env, env.Settings = env, o.settings
	r := run{env}
	r.scope(at.Network, nil)
	inner := at.Network
	if at.Pool != nil {
		r.scope(at.Pool, at.Network)
		inner = at.Pool
	}
	for i := len(at.Classes) - 1; i >= 0; i-- {
		r.scope(&at.Classes[i].Scope, inner)
	}
	r.scope(at.Host, inner)
	return o
}

// Outcome is what the statements have come to for one client.
type Outcome struct {
	policy   *Policy
	env      *Env
	settings *expr.Settings
	reply    []Option
}

// Done lets another client's outcome have the memory. Neither the outcome nor a list that it returned is used from then on;
// the values in a list stay.
func (o *Outcome) Done() {
	o.env.Settings = nil
	o.settings.Reset()
	o.env, o.reply = nil, o.reply[:0]
	o.policy.free.Put(o)
}

// Option is what an option is set to; false: to nothing.
func (o *Outcome) Option(d *option.Definition) ([]byte, bool) { return o.env.Option(d) }

// Set sets an option to these bytes, whatever the statements say: what the server itself decides, such as the message's
// type.
func (o *Outcome) Set(code uint32, value []byte) {
	if d := o.policy.options.Main().Code(code); d != nil {
		o.env.Settings.Set(d, expr.Constant(value))
	}
}

// SetDefault is Set where no statement says anything, such as the subnet mask.
func (o *Outcome) SetDefault(code uint32, value []byte) {
	if d := o.policy.options.Main().Code(code); d != nil && o.env.Settings.Lookup(d) == nil {
		o.env.Settings.Set(d, expr.Constant(value))
	}
}

// Field is one of the server's own settings, by its number in dhcpd.
type Field uint32

// The fields that the methods of Outcome read, and those that a server reads by Address, Text, Seconds and Switch.
const (
	DefaultLeaseTime   Field = 1
	MaxLeaseTime       Field = 2
	MinLeaseTime       Field = 3
	BootUnknownClients Field = 6
	AllowBootp         Field = 8
	AllowBooting       Field = 9
	OneLeasePerClient  Field = 10
	UseHostDeclNames   Field = 12
	MinSecs            Field = 14
	Filename           Field = 15
	ServerName         Field = 16
	NextServer         Field = 17
	Authoritative      Field = 18
	VendorOptionSpace  Field = 19
	SiteOptionSpace    Field = 21
	AlwaysBroadcast    Field = 22
	Duplicates         Field = 28
	Declines           Field = 29
	StashAgentOptions  Field = 37
	PingCheck          Field = 42
	PingTimeout        Field = 46
	PreferredLifetime  Field = 53
	CacheThreshold     Field = 78
	IgnoreClientUIDs   Field = 82
	EchoClientID       Field = 85
)

// Switch is how a switch stands.
type Switch uint8

// The positions of a switch.
const (
	Off    Switch = iota // no, deny
	On                   // yes, allow
	Ignore               // deny, and say nothing of it
)

func (o *Outcome) field(f Field) ([]byte, bool) {
	if int(f) >= len(o.policy.server) || o.policy.server[f] == nil {
		return nil, false
	}
	return o.env.Option(o.policy.server[f])
}

// Text is a setting that is text, such as Filename; empty: it is not set.
func (o *Outcome) Text(f Field) string {
	b, _ := o.field(f)
	return string(b)
}

// Address is a setting that is an address, such as NextServer; invalid: it is not set.
func (o *Outcome) Address(f Field) netip.Addr {
	b, _ := o.field(f)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Switch is a setting that is a switch; unset: what it is where nothing is set.
func (o *Outcome) Switch(f Field, unset Switch) Switch {
	b, ok := o.field(f)
	if !ok || len(b) != 1 {
		return unset
	}
	return min(Switch(b[0]), Ignore)
}

// Seconds is a setting that is a time or a number; false: it is not set.
func (o *Outcome) Seconds(f Field) (uint32, bool) {
	b, ok := o.field(f)
	if !ok || len(b) == 0 || len(b) > 4 {
		return 0, false
	}
	return uint32(option.Number(b)), true
}

// Lease times where nothing is set, in seconds.
const (
	defaultLeaseTime = 43200
	maxLeaseTime     = 86400
	minLeaseTime     = 300
)

// Infinite is a lease time without end: option 51 is all ones.
const Infinite = time.Duration(1<<32-1) * time.Second

// LeaseTime is for how long an address is given to a client that asks for a time, in seconds; 0: it asks for none.
func (o *Outcome) LeaseTime(asked uint32) time.Duration {
	longest := o.secondsOr(MaxLeaseTime, maxLeaseTime)
	shortest := o.secondsOr(MinLeaseTime, min(minLeaseTime, longest))
	if asked == 0 {
		asked = o.secondsOr(DefaultLeaseTime, defaultLeaseTime)
	}
	return time.Duration(max(min(asked, longest), shortest)) * time.Second
}

func (o *Outcome) secondsOr(f Field, unset uint32) uint32 {
	if n, ok := o.Seconds(f); ok {
		return n
	}
	return unset
}
