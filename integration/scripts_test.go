package integration_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/integration/lab"
	"github.com/coredhcp-netboot/suite/integration/wire"
	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/internal/placeholder"
)

// rendered is a site on which the lab's first machine has a script and values of its own, and no other has.
func rendered() []lab.File {
	return []lab.File{
		{Name: "mine.ipxe.tmpl", Content: "#!ipxe\necho lab: rendered for {{.mac}} {{.arch}} {{.ip}} disk {{.values.disk}}\n" +
			"echo lab: made by {{.manufacturer}} as {{.uuid}}\necho lab: a {{.product}}\n@lab@"},
		{Name: "machines.yml", Content: "machines:\n  - {mac: \"52:54:00:6c:61:01\", script: mine.ipxe, values: {disk: sda}}\n"},
	}
}

// prints tells whether a line that begins so is on the machine's console.
func prints(b *lab.Boot, text string) bool {
	for _, l := range b.Console {
		if strings.HasPrefix(l.Text, text) {
			return true
		}
	}
	return false
}

// asked are the whole transfers of a file of that name.
func asked(b *lab.Boot, by wire.Protocol, base string) (all []wire.Transfer) {
	for _, t := range b.Trace.Transfers {
		name, _, _ := strings.Cut(t.Name, "?")
		if t.Protocol == by && path.Base(name) == base {
			all = append(all, t)
		}
	}
	return all
}

func TestABIOSMachineTellsWhoItIsAndGetsAScriptOfItsOwn(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t), Rendered: rendered(), First: "bootstrap.ipxe"})
	b := boots(t, l, "old-dell", lab.BIOS)
	for _, want := range []string{"lab: rendered for 52:54:00:6c:61:01 bios 192.0.2.1", "lab: made by QEMU as 00112233-4455-6677-8899-aabbccddee01",
		"lab: a Standard%20PC%20%28i440FX%20%2B%20PIIX%2C%201996%29"} {
		if !prints(b, want) {
			t.Errorf("the console has no line %q:\n%s", want, timeline(b))
		}
	}
	all := asked(b, wire.HTTP, "boot.ipxe")
	if len(all) != 1 || !all[0].Whole || !strings.HasPrefix(all[0].Name, "/m/52-54-00-6c-61-01/boot.ipxe?mac=52-54-00-6c-61-01&uuid=00112233-4455-6677-8899-aabbccddee01&ip=192.0.2.1") {
		t.Errorf("its script was asked for as %+v", all)
	}
}

func TestADeadNetworkCardDoesNotKeepAMachineFromItsScript(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t), Rendered: rendered(), First: "bootstrap.ipxe", DeadCards: 1})
	b := boots(t, l, "old-dell", lab.BIOS)
	if !prints(b, "lab: rendered for 52:54:00:6c:61:01") || !prints(b, "Asking as 52:54:00:6c:61:01 on net1") {
		t.Errorf("it did not ask on its second card:\n%s", timeline(b))
	}
}

// Its values are incomplete at first, so that the server has an error for it; they are mended while it tries again.
func TestAMachineAsksUntilItsScriptIsMended(t *testing.T) {
	t.Parallel()
	files := rendered()
	mended := files[1].Content
	files[1].Content = strings.Replace(mended, "disk: sda", "disc: sda", 1)
	var l *lab.Lab
	tries := 0
	l = open(t, lab.Config{Server: suite(t), Rendered: files, First: "bootstrap.ipxe", Watch: func(_, line string) {
		if !strings.Contains(line, "Trying again") {
			return
		}
		if tries++; tries == 1 {
			if err := os.WriteFile(filepath.Join(l.Dir, "scripts", "machines.yml"), []byte(mended), 0o644); err != nil {
				t.Error(err)
			}
		}
	}})
	b := boots(t, l, "old-dell", lab.BIOS)
	all := asked(b, wire.HTTP, "boot.ipxe")
	if tries == 0 || len(all) < 2 || all[0].Status != 500 || all[len(all)-1].Status != 200 {
		t.Errorf("tried again %d times:\n%s", tries, timeline(b))
	}
}

func TestAUEFIMachineTellsWhoItIsByTFTPOnly(t *testing.T) {
	t.Parallel()
	l := open(t, lab.Config{Server: suite(t), Rendered: rendered(), First: "bootstrap.ipxe", ScriptBy: wire.TFTP})
	b := boots(t, l, "rack-7", lab.UEFI)
	if !prints(b, "lab: rendered for 52:54:00:6c:61:01") {
		t.Errorf("its script is not its own:\n%s", timeline(b))
	}
}

// ipxeVariable may name a directory with a newer ipxe.efi than the distribution's.
const ipxeVariable = "NETBOOT_IPXE"

// Newer iPXE asks for autoexec.ipxe before it asks for an address: beside its own file since March 2026, in the root
// before that, where the neighbour table tells who it is. iPXE older than 2022 is told the name.
func TestAMachineGetsItsAutoexecScript(t *testing.T) {
	t.Parallel()
	s := suite(t)
	s.Map = "rules:\n  - {ipxe: true, file: \"m/{mac-hyphen}/autoexec.ipxe\"}\n  - {arch: uefi-x64, file: \"m/{mac-hyphen}/ipxe.efi\"}\n"
	l := open(t, lab.Config{Server: s, Rendered: rendered()})
	newer := lab.AutoexecIPXE(os.Getenv(ipxeVariable))
	if newer != "" {
		data, err := os.ReadFile(newer)
		if err == nil {
			err = os.WriteFile(filepath.Join(l.BootDir(), "ipxe.efi"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := powerOn(t, l, "rack-7", lab.UEFI)
	if b.Done.IsZero() || !prints(b, "lab: rendered for 52:54:00:6c:61:01") {
		t.Fatalf("its script did not run: %v\n%s", b.Trouble, timeline(b))
	}
	for _, name := range []string{"ipxe.efi", "autoexec.ipxe"} {
		all := asked(b, wire.TFTP, name)
		if len(all) == 0 {
			t.Fatalf("%s was not asked for:\n%s", name, timeline(b))
		}
		last := all[len(all)-1]
		beside := strings.TrimPrefix(last.Name, "/") == "m/52-54-00-6c-61-01/"+name
		if inRoot := newer != "" && name == last.Name; !last.Whole || !beside && !inRoot {
			t.Errorf("%s was asked for as %+v", name, all)
		}
	}
	byItself := true
	for _, m := range b.Trace.DHCP {
		if m.FromClient && m.IPXE {
			byItself = false
		}
	}
	if byItself != (newer != "") {
		t.Errorf("iPXE (newer: %q) asked for autoexec.ipxe by itself: %v\n%s", newer, byItself, timeline(b))
	}
	if newer == "" {
		t.Logf("the distribution's iPXE is too old to ask for autoexec.ipxe by itself, and was told the name; "+
			"%s=DIR names a newer ipxe.efi", ipxeVariable)
	}
}

// image is a bootable disc with the distribution's iPXE, whose script is the placeholder. (Its iPXE cannot be built
// with another script without its source, which Debian has in no binary package.)
func image(t *testing.T, out string) {
	t.Helper()
	dir := t.TempDir()
	kernel := ""
	for _, path := range []string{"/usr/lib/ipxe/ipxe.lkrn", "/boot/ipxe.lkrn", "/usr/share/ipxe/ipxe.lkrn"} {
		if _, err := os.Stat(path); err == nil && kernel == "" {
			kernel = path
		}
	}
	for name, from := range map[string]string{"isolinux.bin": "/usr/lib/ISOLINUX/isolinux.bin", "ldlinux.c32": "/usr/lib/syslinux/modules/bios/ldlinux.c32", "ipxe.krn": kernel} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatalf("%v; sh integration/packages.sh test", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string][]byte{
		"script.txt":   placeholder.Text(),
		"isolinux.cfg": []byte("SERIAL 0\nDEFAULT ipxe\nLABEL ipxe\n KERNEL ipxe.krn\n INITRD script.txt\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	make := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-o", out, "-b", "isolinux.bin", "-c", "boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", dir)
	if said, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// A disc that is read over HTTP, in ranges: its iPXE runs the script that was put in while it was served.
func TestAMachineBootsAnImageThatWasPatchedForIt(t *testing.T) {
	t.Parallel()
	if err := nettest.Need("xorriso"); err != nil {
		t.Fatal(err)
	}
	s := suite(t)
	files := append(rendered(), lab.File{Name: "disc.ipxe", Content: "#!ipxe\nsanboot --no-describe http://192.0.2.1:8080/m/${net0/mac:hexhyp}/site.iso || echo lab: failed\n"})
	l := open(t, lab.Config{Server: s, Rendered: files, First: "disc.ipxe"})
	image(t, filepath.Join(l.BootDir(), "site.iso"))
	b := powerOn(t, l, "old-dell", lab.BIOS)
	if b.Done.IsZero() || !prints(b, "lab: rendered for 52:54:00:6c:61:01") {
		t.Fatalf("its script did not run: %v\n%s", b.Trouble, timeline(b))
	}
	ranges := 0
	for _, t := range asked(b, wire.HTTP, "site.iso") {
		if t.Status == 206 {
			ranges++
		}
	}
	if ranges < 2 || len(asked(b, wire.HTTP, "boot.ipxe"))+len(asked(b, wire.HTTP, "autoexec.ipxe")) > 0 {
		t.Errorf("the disc was read in %d ranges:\n%s", ranges, timeline(b))
	}
}
