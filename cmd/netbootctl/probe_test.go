package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dnsmasq's words for an architecture's file.
func choosing(uefi, bios, ipxe string) []string {
	return []string{pool, "dhcp-match=set:bios,option:client-arch,0", "dhcp-match=set:http,option:client-arch,16",
		"dhcp-boot=tag:ipxe," + ipxe, "dhcp-boot=tag:!ipxe,tag:bios," + bios, "dhcp-boot=tag:!ipxe,tag:!bios,tag:!http," + uefi}
}

func TestAMachineOfEachKindBootsFromDnsmasqAndLeavesNoLease(t *testing.T) {
	for name, args := range map[string][]string{
		"uefi": {"--arch", "uefi-x64"}, "bios": {"--arch", "bios"}, "ipxe": {"--arch", "bios", "--ipxe"},
		"as a machine": {"--arch", "uefi-x64", "--as-machine"}, "its own MAC": {"--arch", "uefi-x64", "--mac", "52:54:00:aa:bb:01", "--uuid", "33221100-5544-7766-8899-aabbccddeeff"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			leases, log := s.dnsmasq("192.0.2.1", choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe")...)
			if name == "as a machine" {
				s.must(s.host.IP("addr", "flush", "dev", "eth0"))
			}
			s.probe(args...).boots(`iPXE runs the script "tftp://192.0.2.1/boot.ipxe", which names 2 files`).
				happened("SCRIPT", `line 2: kernel "http://192.0.2.1/vmlinuz"`).happened("SCRIPT", `line 3: initrd "tftp://192.0.2.1/initrd.img"`)
			s.leasesNothing(leases, log)
			if left, err := s.host.Command("ip", "-o", "link", "show", "type", "macvlan").CombinedOutput(); err != nil || len(left) > 0 {
				t.Errorf("is left behind: %s (%v)", left, err)
			}
		})
	}
}

// leasesNothing waits for dnsmasq to read the release, which nobody confirms.
func (s *site) leasesNothing(leases, log string) {
	s.t.Helper()
	s.until(func() bool { return strings.Contains(content(s.t, log), "DHCPRELEASE") })
	s.until(func() bool { return content(s.t, leases) == "" })
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *site) until(is func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatal("did not come")
		}
	}
}

func TestAMachineBootsByWayOfAProxy(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.2", pool)
	s.dnsmasq("192.0.2.1", "dhcp-range=192.0.2.0,proxy", "dhcp-match=set:bios,option:client-arch,0", "dhcp-boot=tag:ipxe,boot.ipxe,,192.0.2.1",
		"dhcp-no-override", "pxe-service=tag:!ipxe,x86PC,network,undionly.kpxe,192.0.2.1", "pxe-service=tag:!ipxe,X86-64_EFI,network,ipxe.efi,192.0.2.1", "pxe-service=tag:!ipxe,BC_EFI,network,ipxe.efi,192.0.2.1")
	for _, arch := range []string{"uefi-x64", "bios"} {
		port := map[string]string{"uefi-x64": "4011", "bios": "68"}[arch]
		s.probe("--arch", arch).happened("CHOICE", "address of 192.0.2.2, boot file of 192.0.2.1").
			happened("REQUEST", "to 192.0.2.1 port 4011, from port "+port).happened("FETCHED", `"tftp://192.0.2.1/boot.ipxe`).boots("boot.ipxe")
		s.leasesNothing(leases, log)
	}
}

func TestUEFIBootsByHTTP(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.1", append(choosing("x", "x", "http://192.0.2.3/boot.ipxe"), "dhcp-boot=tag:!ipxe,tag:http,http://192.0.2.3/ipxe.efi", "dhcp-option-force=tag:http,60,HTTPClient")...)
	s.httpd(s.server("192.0.2.3"), "192.0.2.3")
	s.probe("--arch", "uefi-x64", "--firmware", "http").boots(`the script "http://192.0.2.3/boot.ipxe"`).
		happened("HTTP", `HEAD "http://192.0.2.3/ipxe.efi": "200 OK"`).happened("HTTP", `GET "http://192.0.2.3/boot.ipxe"`)
	s.leasesNothing(leases, log)
}

func TestAMachineBootsOverIPv6(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.1", "enable-ra", "dhcp-range=2001:db8::100,2001:db8::1ff,64,10m", "dhcp-match=set:ipxe6,option6:user-class,iPXE",
		"dhcp-vendorclass=set:http,enterprise:343,HTTPClient", "dhcp-option=tag:http,option6:16,00:00:01:57:00:0a:48:54:54:50:43:6c:69:65:6e:74",
		"dhcp-userclass=set:ipxe6,iPXE", "dhcp-option=tag:ipxe6,option6:bootfile-url,tftp://[2001:db8::1]/boot.ipxe",
		"dhcp-option=tag:!ipxe6,tag:!http,option6:bootfile-url,tftp://[2001:db8::1]/ipxe.efi")
	s.probe("--arch", "uefi-x64", "--v6", "--as-machine").boots(`the script "tftp://[2001:db8::1]/boot.ipxe"`).happened("SOLICIT", "from fe80::").happened("RELEASE", "2001:db8::1")
	s.until(func() bool { return strings.Contains(content(t, log), "DHCPRELEASE") })
	s.until(func() bool { return !strings.Contains(content(t, leases), "2001:db8::") })
	s.probe("--arch", "uefi-x64", "--v6", "--firmware", "http").stopsAt("no-boot-file")
}

func TestAHostsNameIsAskedFromTheDNSServerThatTheMachineWasTold(t *testing.T) {
	s := newSite(t)
	s.run(s.server("192.0.2.4"), []string{"udp 53"}, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--no-resolv", "--no-hosts", "--address=/boot.example.net/192.0.2.3")
	s.dnsmasq("192.0.2.1", append(choosing("x", "x", "http://boot.example.net/boot.ipxe"), "dhcp-option=6,192.0.2.4", "dhcp-boot=tag:!ipxe,tag:http,http://boot.example.net/ipxe.efi", "dhcp-option-force=tag:http,60,HTTPClient")...)
	s.httpd(s.server("192.0.2.3"), "192.0.2.3")
	for _, args := range [][]string{nil, {"--as-machine"}} {
		s.probe(append(args, "--arch", "16")...).boots(`the script "http://boot.example.net/boot.ipxe"`)
	}
}

// A reader that leaves (probe | head) must not leave a lease behind.
func TestAReaderThatLeavesDoesNotKeepTheLease(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.1", choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe")...)
	cmd := s.command("--arch", "uefi-x64")
	out, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())
	s.until(func() bool { return content(t, leases) != "" })
	s.must(out.Close())
	_ = cmd.Wait()
	s.leasesNothing(leases, log)
}

// The interface's own MAC gets the host's own lease, if the host has one: that one stays.
func TestTheHostsOwnAddressIsNotReleased(t *testing.T) {
	s := newSite(t)
	mac := "52:54:00:aa:bb:02"
	s.must(s.host.IP("link", "set", "eth0", "address", mac))
	leases, log := s.dnsmasq("192.0.2.1", append(choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe"), "dhcp-host="+mac+",192.0.2.50")...)
	s.probe("--arch", "bios", "--mac", mac).boots("boot.ipxe").happened("KEPT", "192.0.2.50 is this host's own address")
	if said := content(t, log); strings.Contains(said, "DHCPRELEASE") || !strings.Contains(content(t, leases), mac) {
		t.Errorf("%s", said)
	}
}

func TestOfferOnlyTakesNoLease(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.1", choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe")...)
	s.probe("--arch", "bios", "--offer-only").boots("boot.ipxe")
	if said := content(t, log); strings.Contains(said, "DHCPREQUEST") || strings.Contains(said, "DHCPRELEASE") || content(t, leases) != "" {
		t.Errorf("leases %q, log:\n%s", content(t, leases), said)
	}
}

func TestAnInterruptedMachineReleasesItsLease(t *testing.T) {
	s := newSite(t)
	s.file("boot.ipxe", "#!ipxe\nexit\n")
	leases, log := s.dnsmasq("192.0.2.1", pool, "dhcp-boot=ipxe.efi,,192.0.2.66") // nobody is there: it waits
	cmd := s.command("--arch", "uefi-x64", "--timeout", "60s")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	s.must(cmd.Start())
	s.until(func() bool { return content(t, leases) != "" })
	s.must(cmd.Process.Signal(syscall.SIGINT))
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(out.String(), "netbootctl: interrupted") {
		t.Errorf("exit status %d (%v):\n%s", code, err, out.String())
	}
	s.leasesNothing(leases, log)
}

func TestTextOfAProbeIsForPeople(t *testing.T) {
	s := newSite(t)
	s.dnsmasq("192.0.2.1", choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe")...)
	out, err := s.command("--arch", "uefi-x64").CombinedOutput()
	for _, want := range []string{"uefi-x64 (arch 7) by pxe on eth0, as 02:", "OFFER      from 192.0.2.1: 192.0.2.1", `67 boot file: "ipxe.efi" and a NUL`, "\nverdict: BOOTS: iPXE runs the script"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the text has no %q (%v):\n%s", want, err, out)
		}
	}
}

// maskings take out of a probe's text what differs from run to run.
var maskings = []struct{ pattern, with string }{
	{`(?m)^ *[0-9]+\.[0-9]{3}  `, "  0.000  "}, {`02(:[0-9a-f]{2}){5}`, "02:00:00:00:00:00"}, {`192\.0\.2\.1[0-9]{2}`, "192.0.2.100"},
	{`in [0-9]+ms`, "in 9ms"}, {`in 0s`, "in 9ms"},
}

func masked(text string) string {
	for _, m := range maskings {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.with)
	}
	return text
}

// The README's example is what the program prints, but for times and addresses.
func TestTheREADMEShowsWhatAProbePrints(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "    $ sudo netbootctl probe --iface eth0 --arch uefi-x64\n")
	block, _, ended := strings.Cut(rest, "\n\nThe")
	if !ok || !ended {
		t.Fatal("the README has no example of a probe")
	}
	s := newSite(t)
	s.file("undionly.kpxe", strings.Repeat("This was undionly.kpxe. ", 3000)) // the same whatever the distribution ships
	s.dnsmasq("192.0.2.1", pool, "dhcp-boot=undionly.kpxe")
	out, _ := s.command("--arch", "uefi-x64").CombinedOutput()
	got := strings.ReplaceAll(masked(string(out)), "400ms", "4s")
	want := masked(strings.ReplaceAll(strings.TrimPrefix(block, "    "), "\n    ", "\n"))
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("the probe prints:\n%s\nnot:\n%s", got, want)
	}
}

func TestATerminalShowsTheSecondsOfAWait(t *testing.T) {
	s := newSite(t)
	dir, _ := built()
	log := filepath.Join(t.TempDir(), "typescript")
	cmd := s.host.Command("script", "-qec", filepath.Join(dir, "netbootctl")+" probe --iface eth0 --arch bios --collect 1500ms --timeout 1s", log)
	out, _ := cmd.CombinedOutput()
	if !strings.Contains(string(out), "\r  waiting, 1 s") || !strings.Contains(string(out), "\r\x1b[K") {
		t.Errorf("%q", out)
	}
}

func TestWrongFlagsOfAProbeAreAllTold(t *testing.T) {
	for args, want := range map[string]string{
		"probe": "--iface: name the interface to boot on\n--arch: name what the machine can run, one of bios, uefi-ia32",
		"probe --iface none0 --arch rpi --mac 53:54:00:00:00:01 --timeout 0s --max-size 0 --offer-only --as-machine": "--mac: 53:54:00:00:00:01 is no machine's on Ethernet; six bytes, the first of them even\n" +
			"--arch: how firmware of rpi chooses is not known here; use one of bios, uefi-ia32, uefi-x64, uefi-arm32, uefi-arm64, uefi-riscv32, uefi-riscv64, uefi-loong64\n" +
			"--as-machine: needs the address that --offer-only does not take; leave one of them out\n--timeout, --collect: must be longer than 0\n--max-size: must be between 1 and 1048576",
		"probe --iface none0 --arch x --uuid 7":                 "--uuid: ",
		"probe --iface none0 --arch bios --firmware http":       "--firmware: no BIOS boots by HTTP",
		"probe --iface none0 --arch bios --firmware pxe --ipxe": "--firmware: --ipxe and --features are of firmware ipxe",
		"probe eth0": `"eth0" is no flag; name the interface with --iface`,
	} {
		if _, err := says(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
	text, _ := says(t, "probe", "--help")
	for _, want := range []string{"Examples:", "--iface", "--as-machine", "--json", "Exit status: 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("--help has no %q:\n%s", want, text)
		}
	}
}

func TestMissingRightsAndInterfacesAreExplained(t *testing.T) {
	s := newSite(t)
	dir, _ := built()
	for want, args := range map[string][]string{
		"no right to send raw frames; run with sudo, or give the program the right once: setcap cap_net_raw+ep netbootctl": {"setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", filepath.Join(dir, "netbootctl"), "probe", "--iface", "eth0", "--arch", "bios"},
		`interface "eth9" does not exist here`: {filepath.Join(dir, "netbootctl"), "probe", "--iface", "eth9", "--arch", "bios"},
		"interface lo is no Ethernet":          {filepath.Join(dir, "netbootctl"), "probe", "--iface", "lo", "--arch", "bios"},
	} {
		cmd := s.host.Command(args[0], args[1:]...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s; want %s", args, err, out, want)
		}
	}
}

func TestWithoutAnAddressTheHostSaysHowToFetch(t *testing.T) {
	s := newSite(t)
	leases, log := s.dnsmasq("192.0.2.1", choosing("ipxe.efi", "undionly.kpxe", "boot.ipxe")...)
	s.must(s.host.IP("addr", "flush", "dev", "eth0"))
	if o := s.probe("--arch", "bios"); o.code != 2 || !strings.Contains(o.text, "add --as-machine") {
		t.Errorf("exit status %d: %s", o.code, o.text)
	}
	s.leasesNothing(leases, log)
}
