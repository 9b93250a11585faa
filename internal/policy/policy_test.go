package policy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

func TestASubclassIsPickedByAValueAndCountsAsItsClass(t *testing.T) {
	c := readConfig(`subnet 192.0.2.0 netmask 255.255.255.0 { filename "subnet"; }`)
	by, err := expr.Data(conf.Pos{}, "hardware", c.words)
	check(err)
	lab := &policy.Class{Scope: policy.Scope{Kind: policy.ClassScope, Name: "lab"}, By: by}
	d, err := c.options.Lookup("server.filename")
	check(err)
	first := &policy.Class{Super: lab, Scope: policy.Scope{Parent: &lab.Scope, Statements: []policy.Statement{policy.Set{Option: d, Value: expr.Constant([]byte("sub"))}}}}
	lab.Subclasses = map[string]*policy.Class{"\x01\x52\x54\x00\x00\x11\x01": first}
	for mac, want := range map[byte]string{1: "sub", 2: "subnet"} {
		env, at := c.request([]byte{0x52, 0x54, 0, 0, 0x11, mac}, nil)
		at.Classes = policy.Match(nil, env, []*policy.Class{lab, {}})
		if got := c.policy.Evaluate(env, at).Text(policy.Filename); got != want {
			t.Errorf("machine %d boots %q, want %q", mac, got, want)
		}
		if policy.Members(at.Classes, lab) != (mac == 1) {
			t.Errorf("machine %d in the lab: %v", mac, at.Classes)
		}
	}
	lab.If, err = expr.Condition(conf.Pos{}, "exists user-class", c.words)
	check(err)
	env, _ := c.request([]byte{0x52, 0x54, 0, 0, 0x11, 1}, nil)
	if len(policy.Match(nil, env, []*policy.Class{lab})) != 0 {
		t.Error("a class with both a condition and a value takes a client for which only the value fits")
	}
}

func TestTheServersOwnSettingsAreRead(t *testing.T) {
	c := readConfig(`next-server 192.0.2.9; server-name "boot"; authoritative true; boot-unknown-clients ignore; min-secs 3; ping-timeout 2;
		always-broadcast off; subnet 192.0.2.0 netmask 255.255.255.0 { }`)
	env, at := c.request([]byte{1, 2, 3, 4, 5, 6}, nil)
	out := c.policy.Evaluate(env, at)
	if got := out.Address(policy.NextServer); got != netip.MustParseAddr("192.0.2.9") {
		t.Error("next server:", got)
	}
	if out.Address(policy.Filename).IsValid() || out.Text(policy.Filename) != "" {
		t.Error("a file name without being set")
	}
	for field, want := range map[policy.Field]policy.Switch{policy.Authoritative: policy.On, policy.BootUnknownClients: policy.Ignore, policy.AlwaysBroadcast: policy.Off, policy.Declines: policy.On, policy.ServerName: policy.On} {
		if got := out.Switch(field, policy.On); got != want {
			t.Errorf("switch %d is %v, want %v", field, got, want)
		}
	}
	if n, ok := out.Seconds(policy.MinSecs); !ok || n != 3 {
		t.Error("min-secs:", n, ok)
	}
	if n, ok := out.Seconds(policy.PingTimeout); !ok || n != 2 {
		t.Error("ping-timeout:", n, ok)
	}
	if _, ok := out.Seconds(policy.CacheThreshold); ok {
		t.Error("a cache threshold without being set")
	}
}

func TestLeaseTimesKeepWithinTheirBounds(t *testing.T) {
	for _, s := range []struct {
		text  string
		asked uint32
		want  time.Duration
	}{
		{"", 0, 12 * time.Hour}, {"", 5, 5 * time.Minute}, {"", 999999, 24 * time.Hour},
		{"max-lease-time 30;", 0, 30 * time.Second}, {"default-lease-time 600;", 0, 10 * time.Minute},
		{"default-lease-time infinite; max-lease-time infinite;", 0, policy.Infinite}, {"max-lease-time infinite;", 1<<32 - 1, policy.Infinite},
	} {
		c := readConfig(s.text + "subnet 192.0.2.0 netmask 255.255.255.0 { }")
		env, at := c.request([]byte{1, 2, 3, 4, 5, 6}, nil)
		if got := c.policy.Evaluate(env, at).LeaseTime(s.asked); got != s.want {
			t.Errorf("%q, asked for %d: %v, want %v", s.text, s.asked, got, s.want)
		}
	}
}

func TestDecisionsAreTraced(t *testing.T) {
	c := readConfig("class \"ipxe\" {\n match if option user-class = \"iPXE\"; }\nsubnet 192.0.2.0 netmask 255.255.255.0 {\n  if known { filename \"k\"; }\n  elsif exists user-class { filename \"u\"; } }")
	var got []string
	env := &policy.Env{Options: option.FromMap(map[uint8][]byte{77: []byte("iPXE")})}
	env.Trace = func(s expr.Step) {
		got = append(got, fmt.Sprintf("%s: %s: %s", s.Condition.Pos(), s.Condition.Text(), s.Result))
	}
	c.policy.Evaluate(env, policy.Path{Network: c.network, Classes: policy.Match(nil, env, c.classes)})
	want := "dhcpd.conf:2:11: option user-class = \"iPXE\": true\ndhcpd.conf:4:6: known: false\ndhcpd.conf:5:9: exists user-class: true"
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func TestSettingsThatAreMadeOfEachOtherEnd(t *testing.T) {
	c := readConfig(`option domain-name = config-option host-name; option host-name = concat("x", config-option domain-name); subnet 192.0.2.0 netmask 255.255.255.0 { }`)
	env, at := c.request([]byte{1, 2, 3, 4, 5, 6}, map[uint8][]byte{53: {1}})
	for _, o := range c.policy.Evaluate(env, at).Reply4() {
		t.Errorf("a ring of options has a value: %d=%x", o.Code, o.Value)
	}
}

func TestAVariableCanBeForgotten(t *testing.T) {
	w := expr.Words{Options: option.NewRegistry(option.DHCP), Variables: true}
	x, err := expr.Data(conf.Pos{}, "option user-class", w)
	check(err)
	is, err := expr.Condition(conf.Pos{}, "defined(var-x) and var-x = option user-class", w)
	check(err)
	for _, forget := range []bool{false, true} {
		env := &policy.Env{Options: option.FromMap(map[uint8][]byte{77: []byte("iPXE")})}
		statements := []policy.Statement{policy.Assign{Name: "var-x", Value: x}}
		if forget {
			statements = append(statements, policy.Assign{Name: "var-x"})
		}
		policy.New(w.Options).Evaluate(env, policy.Path{Network: &policy.Scope{Statements: statements}})
		if got := is.Truth(env) == expr.True; got == forget {
			t.Errorf("forgotten %v: the variable is there: %v", forget, got)
		}
	}
}

func TestOnePolicyServesManyWorkers(t *testing.T) {
	c := readConfig(site)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			class := []byte("worker " + fmt.Sprint(worker))
			for range 200 {
				env, at := c.request([]byte{0x52, 0x54, 0, 0, 0, byte(worker)}, map[uint8][]byte{53: {1}, 60: class, 55: {60, 15}})
				out := c.policy.Evaluate(env, at)
				out.Set(60, class)
				if reply := out.Reply4(); !bytes.Equal(reply[0].Value, class) {
					t.Errorf("worker %d is answered %s", worker, reply[0].Value)
				}
			}
		}()
	}
	wg.Wait()
}

func TestDHCPv6RepliesHaveWhatIsAskedForAndVendorOptionsByEnterprise(t *testing.T) {
	r := option.NewRegistry(option.DHCP6)
	_, err := r.AddSpace("acme", 2, 2)
	check(err)
	for name, form := range map[string]string{"acme.url": "text", "vsio.acme": "encapsulate acme"} {
		kind, err := option.ParseType(form)
		check(err)
		_, err = r.Define(name, map[string]uint32{"acme.url": 5, "vsio.acme": 343}[name], kind)
		check(err)
	}
	var statements []policy.Statement
	for name, values := range map[string][]string{"name-servers": {"2001:db8::53"}, "domain-search": {"a.example"}, "bootfile-url": {"tftp://[2001:db8::1]/x"}, "preference": {"255"}, "acme.url": {"u"}} {
		d, err := r.Lookup(name)
		check(err)
		b, err := d.Parse(values...)
		check(err)
		statements = append(statements, policy.Set{Option: d, Value: expr.Constant(b)})
	}
	env := &policy.Env{Options: &option.Set{}}
	env.Options.Add(6, []byte{0, 59, 0, 17, 0, 23, 0, 23, 0, 99})
	out := policy.New(r).Evaluate(env, policy.Path{Network: &policy.Scope{Statements: statements}})
	var got []string
	for _, o := range out.Reply6() {
		got = append(got, fmt.Sprintf("%d=%x", o.Code, o.Value))
	}
	want := "7=ff 59=746674703a2f2f5b323030313a6462383a3a315d2f78 23=20010db8000000000000000000000053 17=000001570005000175"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// FuzzEvaluate puts hostile packets to a site whose statements use all that they carry.
func FuzzEvaluate(f *testing.F) {
	w := writer{rand.New(rand.NewPCG(3, 3))}
	conditions := make([]string, spaces*perSpace)
	for i := range conditions {
		conditions[i] = w.condition(3)
	}
	c := readConfig(randomConfig(conditions) + `class "c" { match if option host-name ~~ concat("^", option user-class); filename = option bootfile-name; }`)
	f.Add([]byte("\x35\x01\x01\x3c\x09PXEClient\x5d\x02\x00\x07\x37\x03\x01\x03\xaf\x52\x05\x01\x03abc"))
	f.Add([]byte("\x4d\x05((((*\x0c\x02ab\x51\x09\x04\x00\x00\x03abc\x01d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		options := map[uint8][]byte{}
		for rest := b; len(rest) > 2 && len(rest) >= 2+int(rest[1]); rest = rest[2+int(rest[1]):] {
			options[rest[0]] = rest[2 : 2+int(rest[1])]
		}
		env, at := c.request(b[:min(len(b), 16)], options)
		env.Packet, env.File = b, b[:min(len(b), 128)]
		for _, o := range c.policy.Evaluate(env, at).Reply4() {
			if o.Code > 255 {
				t.Errorf("option %d", o.Code)
			}
		}
	})
}
