package integration_test

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
)

// systemID is the client identifier of the operating system: an RFC 4361 one, which no firmware sends.
const systemID = "ff0000000100020000ab11deadbeef"

const oneWire = `leases: leases
networks:
  - subnet: 192.0.2.0/24
    pools: [` + lab.PoolFirst + `-` + lab.PoolLast + `]
    options: {routers: ` + lab.ServerIP + `}
    lease-time: 10m
`

// stages boots a machine as far as its operating system, and tells what address each client identifier on the way was given;
// "" is a client that sent none.
func stages(t *testing.T, kind lab.Kind, subnets string) map[string]string {
	t.Helper()
	system, err := lab.NewSystem(systemID)
	if err != nil {
		t.Fatal(err)
	}
	s := suite(t)
	s.Subnets = subnets
	b := boots(t, open(t, lab.Config{Server: s, System: system}), "rack-3", kind)

	given := make(map[string]string)
	asked := make(map[uint32]string) // the identifiers of exchanges
	var firmware, ipxe, linux bool
	for _, m := range b.Trace.DHCP {
		if m.FromClient {
			asked[m.Exchange] = hex.EncodeToString(m.Options[61])
			firmware = firmware || m.Arch >= 0 && !m.IPXE
			ipxe = ipxe || m.IPXE
			linux = linux || strings.HasPrefix(m.VendorClass, "udhcp")
			continue
		}
		id := asked[m.Exchange]
		if before, known := given[id]; known && before != m.Address.String() {
			t.Errorf("%q was told %s and then %s", id, before, m.Address)
		}
		given[id] = m.Address.String()
	}
	if firmware != (kind != lab.BIOS) || !ipxe || !linux {
		t.Errorf("firmware asked: %v, iPXE: %v, Linux: %v", firmware, ipxe, linux)
	}
	if len(given) < 2 || given[systemID] == "" {
		t.Errorf("want several client identifiers on the way, have %v", given)
	}
	if t.Failed() {
		t.Log(timeline(b))
	}
	return given
}

func TestFirmwareIPXEAndSystemOfOneMachineHaveOneAddress(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]lab.Kind{"BIOS": lab.BIOS, "plain PXE": lab.PlainPXE, "UEFI": lab.UEFI} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for id, address := range stages(t, kind, oneWire) {
				if address != lab.PoolFirst {
					t.Errorf("as %q it has %s, want %s however it calls itself", id, address, lab.PoolFirst)
				}
			}
		})
	}
}

func TestByClientIdentifierFirmwareAndSystemHaveTheirOwn(t *testing.T) {
	t.Parallel()
	owner := make(map[string]string)
	for id, address := range stages(t, lab.UEFI, oneWire+"identity: client-id\n") {
		if other, taken := owner[address]; taken {
			t.Errorf("%q and %q both have %s", id, other, address)
		}
		owner[address] = id
	}
}

// Over IPv6 each stage comes with a DUID of its own: EDK2 and iPXE write the machine's UUID in different byte orders. EDK2 has
// two addresses at a time, one for its IP stack and one for its PXE client, whose IAIDs differ.
func TestIPXEHasAnIPv6AddressThatItsMachinesFirmwareHad(t *testing.T) {
	t.Parallel()
	s := suite(t)
	s.Subnets = "leases: leases\nnetworks: [{subnet: 2001:db8:1::/64, pools: [2001:db8:1::1000-2001:db8:1::10ff], lease-time: 10m}]\n"
	b := boots(t, open(t, lab.Config{Server: s, Six: true}), "rack-6", lab.UEFI6)
	var ipxe string
	given := make(map[string][]netip.Prefix) // by DUID
	for _, m := range b.Trace.DHCP6 {
		if m.IPXE {
			ipxe = m.Client
		}
		for _, p := range m.Lent {
			if m.Type == "REPLY" && !slices.Contains(given[m.Client], p) {
				given[m.Client] = append(given[m.Client], p)
			}
		}
	}
	own := given[ipxe]
	delete(given, ipxe)
	if len(own) != 1 || len(given) != 1 {
		t.Errorf("iPXE was given %v, other clients %v", own, given)
	}
	for _, firmware := range given {
		if len(own) == 1 && !slices.Contains(firmware, own[0]) {
			t.Errorf("the firmware was given %v, and iPXE %v", firmware, own)
		}
	}
}
