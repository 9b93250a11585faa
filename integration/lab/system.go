package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// System is a small Linux that the script boots: a kernel, and busybox, which asks for an address and prints the line that
// proves that all of it ran.
type System struct {
	kernel, busybox string
	modules         []string // of the network card, in the order that they are loaded in
	clientID        string
}

// kernelDir is where packages.sh unpacks a kernel, below the project's source.
const kernelDir = "bin/foreign/linux"

// cardModules are what a virtual network card needs, each after those that it needs itself.
var cardModules = []string{
	"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover", "virtio_net",
}

// NewSystem finds the parts of a system whose client identifier (option 61) is that in hexadecimal digits.
func NewSystem(clientID string) (*System, error) {
	const remedy = "run: sh integration/packages.sh test"
	root, err := SourceRoot()
	if err != nil {
		return nil, err
	}
	kernels, err := filepath.Glob(filepath.Join(root, kernelDir, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) == 0 {
		return nil, fmt.Errorf("no kernel in %s; %s", kernelDir, remedy)
	}
	s := &System{kernel: kernels[0], clientID: clientID}
	release := strings.TrimPrefix(filepath.Base(s.kernel), "vmlinuz-")
	for _, name := range cardModules {
		var found []string
		for _, at := range []string{"*", "*/*", "*/*/*"} {
			path := filepath.Join(root, kernelDir, "lib/modules", release, "kernel", at, name+".ko")
			more, err := filepath.Glob(path)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
		if len(found) > 0 { // the others are built into the kernel, or the card stays dead and the story says so
			s.modules = append(s.modules, found[0])
		}
	}
	if s.busybox, err = exec.LookPath("busybox"); err != nil {
		return nil, fmt.Errorf("%w; %s", err, remedy)
	}
	return s, nil
}

const (
	kernelFile = "vmlinuz"
	initrdFile = "initrd.img"
)

// script is the end of the lab's script: the halves of the nonce come to the init below in its environment.
func (s *System) script(first, second string) []string {
	return []string{
		"kernel " + kernelFile + " initrd=" + initrdFile + " console=ttyS0,115200 quiet panic=1 net.ifnames=0 first=" + first +
			" second=" + second + " || goto failed",
		"initrd " + initrdFile + " || goto failed",
		"boot || goto failed",
		":failed",
		"echo " + says + failed,
		"",
	}
}

// init is the system's first and only process.
func (s *System) init() string {
	return `#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
for module in ` + strings.Join(s.moduleNames(), " ") + `; do $bb insmod /modules/$module; done
$bb ip link set eth0 up
if $bb udhcpc -i eth0 -f -n -q -t 15 -T 2 -C -x 0x3d:` + s.clientID + ` -s /bound; then
	echo "` + says + `done $first$second"
else
	echo "` + says + failed + `"
fi
exec $bb sleep 60 # the lab ends the machine
`
}

func (s *System) moduleNames() (names []string) {
	for _, m := range s.modules {
		names = append(names, filepath.Base(m))
	}
	return names
}

// bound is what udhcpc runs with what it was given.
const bound = `#!/bin/busybox sh
[ "$1" != bound ] || echo "` + says + `system has $ip"
`

// fill puts the kernel and the initial file system into a directory that is served.
func (s *System) fill(dir string) error {
	tree := filepath.Join(filepath.Dir(dir), "initrd")
	for _, d := range []string{"bin", "dev", "proc", "modules"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{s.kernel: filepath.Join(dir, kernelFile), s.busybox: filepath.Join(tree, "bin/busybox")}
	for _, m := range s.modules {
		files[m] = filepath.Join(tree, "modules", filepath.Base(m))
	}
	for from, to := range files {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("copy the system: %w", err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			return fmt.Errorf("copy the system: %w", err)
		}
	}
	for name, text := range map[string]string{"init": s.init(), "bound": bound} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o755); err != nil {
			return fmt.Errorf("write the system: %w", err)
		}
	}
	return s.pack(tree, filepath.Join(dir, initrdFile))
}

// pack makes the archive that a kernel unpacks at its start.
func (s *System) pack(tree, archive string) error {
	names := []string{"."}
	err := filepath.WalkDir(tree, func(path string, _ os.DirEntry, err error) error {
		if name, relErr := filepath.Rel(tree, path); err == nil && relErr == nil && name != "." {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("pack the system: %w", err)
	}
	slices.Sort(names)
	out, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("pack the system: %w", err)
	}
	defer out.Close()
	var said bytes.Buffer
	cmd := exec.Command(s.busybox, "cpio", "-o", "-H", "newc")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = tree, strings.NewReader(strings.Join(names, "\n")+"\n"), out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pack the system: %w: %s", err, &said)
	}
	return nil
}
