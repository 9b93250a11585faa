package integration_test

import (
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
)

func TestABIOSMachineWithIPXEInItsCardGetsItsScriptByHTTP(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t), ScriptBy: wire.HTTP})
	boots(t, l, "old-dell", lab.BIOS)
}

func TestABIOSMachineWithIPXEInItsCardGetsItsScriptByTFTP(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t), ScriptBy: wire.TFTP})
	boots(t, l, "old-dell", lab.BIOS)
}

func TestAPlainPXEMachineGetsIPXEAndThenItsScript(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t)})
	boots(t, l, "older-dell", lab.PlainPXE)
}

func TestAUEFIMachineGetsIPXEByPXEAndThenItsScript(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t)})
	b := boots(t, l, "rack-7", lab.UEFI)

	// EDK2 asks for the file's size, refuses the answer and asks for the file: the firmware that most machines have
	// must be in this story, or it proves less than it says.
	// It also asks for windows of 4 blocks, which our server grants.
	probed, windowed := false, false
	for _, f := range b.Trace.Transfers {
		probed = probed || f.Probe
		windowed = windowed || f.Whole && strings.Contains(f.Granted, "windowsize=4")
	}
	if !windowed {
		t.Errorf("the firmware did not get its file in windows of 4:\n%s", timeline(b))
	}
	if !probed {
		t.Errorf("the firmware did not ask for the file's size first:\n%s", timeline(b))
	}
}

func TestAUEFIMachineGetsIPXEByHTTPAndThenItsScript(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t)})
	boots(t, l, "rack-8", lab.UEFIHTTP)
}

func TestIPXEIsGivenItsScriptHoweverOftenItAsks(t *testing.T) {
	t.Parallel()
	again := []string{"ifclose net0", "dhcp net0", "echo lab: asked again, was given ${filename}"}
	l := open(t, lab.Config{Server: suite(t), Script: append(again, again...)})
	b := boots(t, l, "rack-9", lab.UEFI)

	asking := make(map[uint32]bool) // the exchanges of iPXE
	answers := 0
	for _, m := range b.Trace.DHCP {
		if m.FromClient {
			asking[m.Exchange] = m.IPXE
		}
		if m.Type != "ACK" || !asking[m.Exchange] {
			continue
		}
		answers++
		if !strings.HasSuffix(m.File, "/boot.ipxe") {
			t.Errorf("iPXE was given %q", m.File)
		}
		if !m.NoProxy {
			t.Error("iPXE was not told to skip its wait for a ProxyDHCP server")
		}
	}
	if answers != 3 {
		t.Errorf("iPXE asked 3 times and had %d acknowledgements:\n%s", answers, timeline(b))
	}
}

func TestTheShippedExampleBootsAMachine(t *testing.T) {
	t.Parallel()
	s := suite(t)
	var err error
	if s.Files, err = lab.Shipped(); err != nil {
		t.Fatal(err)
	}
	boots(t, open(t, lab.Config{Server: s}), "rack-1", lab.BIOS)
}

func TestTheSuiteBootsWhatDnsmasqBoots(t *testing.T) {
	t.Parallel()
	ours := boots(t, open(t, lab.Config{Server: suite(t)}), "old-dell", lab.BIOS)
	theirs := boots(t, open(t, lab.Config{Server: lab.Dnsmasq{}}), "old-dell", lab.BIOS)
	t.Logf("the machine's wait for its servers: %s for the suite, %s for dnsmasq", ours.Waited(), theirs.Waited())
}

func TestAMachineThatFindsNothingToBootIsReportedAsFailed(t *testing.T) {
	t.Parallel()
	s := suite(t)
	s.Map = "next-server: auto\nrules:\n  - {ipxe: true, file: no-such-file.ipxe}\n"
	b := powerOn(t, open(t, lab.Config{Server: s}), "lost", lab.BIOS)
	err := b.Err()
	if err == nil {
		t.Fatalf("the lab takes this for a boot:\n%s", timeline(b))
	}
	for _, want := range []string{
		"lost (BIOS machine with an iPXE network card) did not boot",
		`it gave up: "No bootable device`,
		"not seen: iPXE is given its script",
		"not seen: the script's last line is on the console",
		"recorded in " + b.Dir,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in the report:\n%v", want, err)
		}
	}
}
