package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const qemu = "qemu-system-x86_64"

// Accelerated reports whether this computer runs virtual machines on hardware. Only the two modules of real
// virtualisation count: /dev/kvm also exists where neither is loaded, and UEFI firmware hangs on that.
func Accelerated() bool {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return false
	}
	loaded, _ := os.ReadFile("/proc/modules") // no such file: no modules
	for _, module := range []string{"kvm_intel", "kvm_amd"} {
		if _, err := os.Stat("/sys/module/" + module); err == nil || strings.Contains(string(loaded), module+" ") {
			return true
		}
	}
	return false
}

// emulator is the program that runs a machine.
func (m *machine) emulator() string {
	if m.kind == UBoot {
		return qemuARM
	}
	return qemu
}

// arguments is the command line of a machine's emulator. Its serial console is on standard output.
func (m *machine) arguments() ([]string, error) {
	if m.kind == UBoot {
		return m.ubootArguments()
	}
	board, accelerator := "pc", "tcg"
	if m.kind.traits().uefi {
		board = "q35"
	}
	args := []string{
		"-name", m.name,
		"-M", board + ",graphics=off", "-vga", "none", "-display", "none", "-nodefaults", "-monitor", "none",
		"-m", "512", "-no-reboot", "-uuid", m.uuid,
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		// Newer UEFI firmware has no network without a source of randomness.
		"-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random",
		"-netdev", "tap,id=wire,ifname=" + m.tap + ",script=no,downscript=no",
	}
	if Accelerated() {
		accelerator = "kvm"
		args = append(args, "-cpu", "host")
	}
	args = append(args, "-accel", accelerator)
	special, err := m.firmware()
	if err != nil {
		return nil, err
	}
	card := "virtio-net-pci,netdev=wire,bootindex=1,mac=" + m.mac.String()
	if !m.kind.traits().ipxe {
		card += ",romfile=" // the firmware's own client, not the card's iPXE
	}
	for i := range m.dead {
		args = append(args, "-device", fmt.Sprintf("virtio-net-pci,romfile=,mac=52:54:00:6c:64:%02x", i))
	}
	return append(append(args, special...), "-device", card), nil
}

// firmware is the part of the command line that differs between kinds of machines.
func (m *machine) firmware() ([]string, error) {
	if m.kind == PlainPXE {
		return m.playPlainPXE()
	}
	if !m.kind.traits().uefi {
		return nil, nil // SeaBIOS is what QEMU runs by itself
	}
	code, variables, err := ovmf()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(variables)
	if err != nil {
		return nil, fmt.Errorf("copy firmware variables: %w", err)
	}
	own := filepath.Join(m.dir, "variables.fd")
	if err := os.WriteFile(own, data, 0o644); err != nil {
		return nil, fmt.Errorf("copy firmware variables: %w", err)
	}
	args := []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,unit=1,file=" + own,
	}
	var off []string // the clients of OVMF that would try before the wanted one
	switch m.kind {
	case UEFI:
		off = []string{"IPv6PXESupport"}
	case UEFI6:
		off = []string{"IPv4PXESupport"}
	case UEFIHTTP:
		off = []string{"IPv4PXESupport", "IPv6PXESupport"}
	}
	for _, client := range off {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/"+client+",string=n")
	}
	return args, nil
}

// playPlainPXE starts iPXE as a kernel with the script that impersonates a plain PXE ROM.
func (m *machine) playPlainPXE() ([]string, error) {
	kernel, err := ipxeFile(playFile)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(m.dir, "plain-pxe.ipxe")
	if err := os.WriteFile(script, []byte(plainScript()), 0o644); err != nil {
		return nil, fmt.Errorf("write plain PXE's script: %w", err)
	}
	return []string{"-kernel", kernel, "-initrd", script}, nil
}
