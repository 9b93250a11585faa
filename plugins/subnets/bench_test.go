package subnets_test

import (
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// BenchmarkDiscover is a known machine's DISCOVER, from the wire's bytes to the wire's bytes.
func BenchmarkDiscover(b *testing.B) {
	l := newLab(b, `options: {routers: 10.1.1.1, domain-name-servers: [192.0.2.53, 192.0.2.54]}
lease-time: 1h
classes:
  - {name: ipxe, when: 'option user-class = "iPXE"'}
  - {name: firmware, when: 'substring(option vendor-class-identifier, 0, 9) = "PXEClient" and not exists user-class'}
networks:
  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.199]}
`)
	l.quiet()
	m := l.machine(1)
	m.boots("10.1.1.100")
	discover, err := dhcpv4.NewDiscovery(m.mac,
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptParameterRequestList(
			dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName)),
	)
	if err != nil {
		b.Fatal(err)
	}
	request := discover.ToBytes()
	b.ReportAllocs()
	for b.Loop() {
		if reply, err := l.chain.AnswerFrom4(request, l.facts, nil); err != nil || len(reply) == 0 {
			b.Fatal(reply, err)
		}
	}
}
