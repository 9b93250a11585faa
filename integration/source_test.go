package integration_test

import (
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// CoreDHCP's loop sends a unicast with the next-server as its IP source, in the name of a host that it is not.
func TestAnotherHostsFilesAreOfferedInOurOwnName(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("busybox"); err != nil {
		t.Fatal(err)
	}
	const elsewhere = "192.0.2.9"
	programs := suite(t)
	programs.Map = "rules: [{arch: bios, server: " + elsewhere + ", file: undionly.kpxe}]\n"
	l := open(t, lab.Config{Server: programs})
	rack, err := l.Host("rack")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := l.Record(rack, "eth0", "rack.pcap")
	if err != nil {
		t.Fatal(err)
	}
	// udhcpc leaves the broadcast flag clear, as iPXE does.
	said, err := rack.Command("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-T", "1", "-s", "/bin/true",
		"-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000").CombinedOutput()
	frames, stopErr := capture.Stop()
	if err != nil || stopErr != nil {
		t.Fatalf("%v, %v; udhcpc said:\n%s", err, stopErr, said)
	}
	mac, err := hardwareAddress(rack, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	answers := 0
	for _, m := range wire.Read(frames, mac).DHCP {
		if m.FromClient {
			if m.Broadcast {
				t.Error("the client asked for a broadcast: this story shows nothing")
			}
			continue
		}
		answers++
		if m.NextServer.String() != elsewhere || m.File != "undionly.kpxe" {
			t.Errorf("the %s names %s on %s", m.Type, m.File, m.NextServer)
		}
		if m.From.Addr().String() != lab.ServerIP {
			t.Errorf("the %s comes from %s, which is another host", m.Type, m.From)
		}
	}
	if answers < 2 {
		t.Errorf("saw %d answers on the wire, want an offer and an acknowledgement", answers)
	}
}
