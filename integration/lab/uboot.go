package lab

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
)

const (
	qemuARM = "qemu-system-arm"

	// ubootFile is what U-Boot's standard boot command fetches by the server that DHCP names, and runs.
	ubootFile = "boot.scr.uimg"
)

// uboot finds U-Boot for QEMU's ARM board.
func uboot() (string, error) {
	const path = "/usr/lib/u-boot/qemu_arm/u-boot.bin"
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("U-Boot is not installed; install package u-boot-qemu, or run: sh integration/packages.sh test")
	}
	return path, nil
}

// ubootArguments is the command line of an ARM machine's emulator.
func (m *machine) ubootArguments() ([]string, error) {
	firmware, err := uboot()
	return []string{
		"-name", m.name, "-M", "virt", "-cpu", "cortex-a15", "-m", "256", "-uuid", m.uuid,
		"-display", "none", "-nodefaults", "-monitor", "none", "-no-reboot",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-bios", firmware,
		"-netdev", "tap,id=wire,ifname=" + m.tap + ",script=no,downscript=no",
		"-device", "virtio-net-device,netdev=wire,mac=" + m.mac.String(),
	}, err
}

// ubootScript fetches a file in windows, tells its checksum, and proves that it ran as the iPXE script does.
func (l *Lab) ubootScript() []byte {
	half := len(l.nonce) / 2
	return scriptImage(strings.Join([]string{
		"setenv tftpblocksize 1468",
		"setenv tftpwindowsize 8",
		"tftpboot ${kernel_addr_r} " + uefiFile + " && crc32 ${kernel_addr_r} ${filesize}",
		"setenv first " + l.nonce[:half],
		"setenv second " + l.nonce[half:],
		"echo " + says + "done ${first}${second}",
		"sleep 60",
		"",
	}, "\n"))
}

// scriptImage wraps a script in U-Boot's legacy image format (U-Boot's include/image.h), as mkimage -T script does.
func scriptImage(script string) []byte {
	const (
		magic               = 0x27051956
		linux, arm, scripts = 5, 2, 6
		headerCRC, dataCRC  = 4, 24
		headerSize          = 64
	)
	data := binary.BigEndian.AppendUint32(nil, uint32(len(script)))
	data = append(binary.BigEndian.AppendUint32(data, 0), script...) // a list of one
	b := make([]byte, headerSize)
	binary.BigEndian.PutUint32(b, magic)
	binary.BigEndian.PutUint32(b[12:], uint32(len(data)))
	binary.BigEndian.PutUint32(b[dataCRC:], crc32.ChecksumIEEE(data))
	b[28], b[29], b[30] = linux, arm, scripts
	copy(b[32:], "lab")
	binary.BigEndian.PutUint32(b[headerCRC:], crc32.ChecksumIEEE(b))
	return append(b, data...)
}

// fillUBoot writes the script that U-Boot asks for.
func (l *Lab) fillUBoot() error {
	return os.WriteFile(filepath.Join(l.BootDir(), ubootFile), l.ubootScript(), 0o644)
}
