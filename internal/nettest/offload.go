package nettest

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What x/sys does not wrap: linux/ethtool.h, struct ethtool_value; linux/if.h, struct ifreq.

type ethtoolValue struct {
	command uint32
	value   uint32
}

type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // the kernel's union is longer than a pointer
}

// offloadOff makes an interface of the calling thread's namespace compute checksums before it sends, as a network
// card would. A veth otherwise leaves them out, and packet sockets see datagrams whose checksum is wrong.
func offloadOff(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("checksum offload of %s: %w", name, err)
	}
	defer unix.Close(fd)
	for _, command := range []uint32{unix.ETHTOOL_STXCSUM, unix.ETHTOOL_STSO} {
		value := ethtoolValue{command: command}
		request := ifreq{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], name)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return fmt.Errorf("checksum offload of %s: ethtool command %#x: %w", name, command, errno)
		}
	}
	return nil
}
