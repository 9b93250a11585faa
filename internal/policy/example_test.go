package policy_test

import (
	"fmt"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

func Example() {
	// Once, while the configuration is read. Errors are left out here; front ends report them with their place.
	options := option.NewRegistry(option.DHCP)
	kind, _ := option.ParseType("unsigned integer 16")
	_, _ = options.Define("arch", 93, kind)
	set := func(name string, values ...string) policy.Statement {
		d, err := options.Lookup(name)
		if err != nil {
			panic(err)
		}
		value, err := d.Parse(values...)
		if err != nil {
			panic(err)
		}
		return policy.Set{Option: d, Value: expr.Constant(value)}
	}
	when, err := expr.Condition(conf.Pos{File: "subnets.yml", Line: 7}, `option arch = 00:07`, expr.Words{Options: options})
	if err != nil {
		panic(err) // a conf.Problems
	}
	global := &policy.Scope{Kind: policy.Global, Statements: []policy.Statement{set("domain-name", "example.net"), set("server.filename", "undionly.kpxe")}}
	subnet := &policy.Scope{Kind: policy.Subnet, Parent: global, Statements: []policy.Statement{set("routers", "192.0.2.1"), set("server.default-lease-time", "600")}}
	uefi := &policy.Class{Scope: policy.Scope{Kind: policy.ClassScope, Name: "uefi", Parent: global, Statements: []policy.Statement{set("server.filename", "ipxe.efi")}}, If: when}
	site := policy.New(options)

	// For each packet.
	env := &policy.Env{
		Options:  option.FromMap(map[uint8][]byte{53: {1}, 55: {3, 15}, 93: {0, 7}}),
		Hardware: []byte{1, 0x52, 0x54, 0, 0, 0, 1},
	}
	classes := policy.Match(nil, env, []*policy.Class{uefi})
	env.Known = false // it is told after the classes
	out := site.Evaluate(env, policy.Path{Network: subnet, Classes: classes})
	out.Set(53, []byte{2})
	out.Set(54, []byte{192, 0, 2, 1})
	out.SetDefault(1, []byte{255, 255, 255, 0})
	fmt.Println(out.Text(policy.Filename), out.LeaseTime(0))
	for _, o := range out.Reply4() {
		fmt.Println(o.Code, options.Main().Code(o.Code).Text(o.Value))
	}
	// Output:
	// ipxe.efi 10m0s
	// 53 2
	// 54 192.0.2.1
	// 1 255.255.255.0
	// 15 "example.net"
	// 3 192.0.2.1
}
