package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Opcodes of TFTP, RFC 1350 and RFC 2347.
const (
	opRRQ   = 1
	opDATA  = 3
	opERROR = 5
	opOACK  = 6
)

// inquiry is the first request of a client: what it asks for, and how it breaks off once it knows the size.
type inquiry struct {
	options []string // name, value, ...
	code    uint16   // of the ERROR that ends it
	message string
}

// inquiries are as captured. EDK2 and card ROMs ask for the size first and then request anew; iPXE has one session, so
// for it this is one more, which it ends with its own words.
func (m *Machine) inquiry() inquiry {
	switch {
	case m.Firmware.Firmware == netboot.FirmwareIPXE:
		return inquiry{[]string{"blksize", "1432", "tsize", "0"}, 0, "TFTP Aborted"}
	case m.Firmware.Arch.String() == "bios":
		return inquiry{[]string{"tsize", "0"}, 0, "TFTP Aborted"}
	case m.Firmware.V6:
		return inquiry{[]string{"tsize", "0", "blksize", "1228", "windowsize", "4"}, 8, "User aborted the transfer"}
	}
	return inquiry{[]string{"tsize", "0", "blksize", "1468", "windowsize", "4"}, 8, "User aborted the transfer"}
}

// blockSize is that of the transfer itself.
func (m *Machine) blockSize() int {
	switch {
	case m.Firmware.Firmware == netboot.FirmwareIPXE:
		return 1432
	case m.Firmware.Arch.String() == "bios":
		return 1456
	case m.Firmware.V6:
		return 1228
	}
	return 1468
}

// askTFTP asks for a file as the firmware does, and breaks off. It gives the words of the server's answer: its options,
// empty where it has none.
func (m *Machine) askTFTP(ctx context.Context, net *stack, server netip.AddrPort, name string) (map[string]string, error) {
	ask := m.inquiry()
	conn, err := net.listenUDP(ctx, server.Addr())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 64<<10)
	for began, wait := time.Now(), time.Second; time.Since(began) < m.Timeout; wait *= 2 {
		if _, err := conn.WriteToUDPAddrPort(readRequest(name, ask.options), server); err != nil {
			return nil, unreachable(ctx, "TFTP", server, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(min(wait, m.Timeout))); err != nil {
			return nil, err
		}
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, syscall.ECONNREFUSED) || err != nil && !timeout(err) || ctx.Err() != nil {
			return nil, unreachable(ctx, "TFTP", server, err)
		}
		if err != nil {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Addr().WithZone("") != server.Addr().WithZone("") {
			return nil, stop("tftp-other-address", "let the TFTP server answer from the address that was asked (tftpd-hpa: --address; or route so)",
				"TFTP: %s was asked for %q and %s answers: UEFI and PXELINUX do not take that", server.Addr(), name, from.Addr())
		}
		options, end := readAnswer(buf[:n], name, ask.options)
		if end == nil {
			_, err = conn.WriteToUDPAddrPort(errorPacket(ask.code, ask.message), from)
			return options, err
		}
		return nil, end
	}
	return nil, stop("tftp-silent", "a firewall (TFTP answers from a port other than 69: the firewall needs the conntrack helper), no TFTP server, or a next-server that is not this one",
		"TFTP: no answer of %s to the request for %q in %s", server, name, m.Timeout)
}

func timeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// unreachable is an error of this host's network stack that tells about the server.
func unreachable(ctx context.Context, protocol string, server netip.AddrPort, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return stop(strings.ToLower(protocol)+"-refused", "start the file server there, or correct next-server or the URL", "%s: nothing listens on %s", protocol, server)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return stop("unreachable", "the file server must be reachable from the machine's network", "%s: %s cannot be reached (%v)", protocol, server.Addr(), unwrapped(err))
	}
	return fmt.Errorf("%s to %s: %w", protocol, server, err)
}

// unwrapped is an error without the addresses that the net package adds.
func unwrapped(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func readRequest(name string, options []string) []byte {
	b := []byte{0, opRRQ}
	for _, word := range append([]string{name, "octet"}, options...) {
		b = append(append(b, word...), 0)
	}
	return b
}

func errorPacket(code uint16, message string) []byte {
	return append(append(binary.BigEndian.AppendUint16([]byte{0, opERROR}, code), message...), 0)
}

// readAnswer reads the answer to a request with these options.
func readAnswer(b []byte, name string, asked []string) (map[string]string, *Stop) {
	bad := func(what string, args ...any) *Stop {
		return stop("tftp-malformed", "another TFTP server will do better", "TFTP: the answer for %q %s", name, fmt.Sprintf(what, args...))
	}
	if len(b) < 4 {
		return nil, bad("is too short")
	}
	switch op := binary.BigEndian.Uint16(b); op {
	case opDATA:
		return map[string]string{}, nil
	case opERROR:
		return nil, refused(name, binary.BigEndian.Uint16(b[2:]), text(b[4:]))
	case opOACK:
		if b[len(b)-1] != 0 {
			return nil, bad("accepts options without a NUL at the end: UEFI answers ERROR 4")
		}
		words := strings.Split(string(b[2:len(b)-1]), "\x00")
		got := map[string]string{}
		for ; len(words) >= 2; words = words[2:] {
			if why := badOption(words[0], words[1], asked); why != "" {
				return nil, bad("%s: UEFI answers ERROR 4", why)
			}
			got[words[0]] = words[1]
		}
		return got, nil
	default:
		return nil, bad("is a packet of type %d", op)
	}
}

// badOption tells what EDK2 dislikes about an accepted option (Mtftp4Dxe): one it did not ask for, or a larger value.
func badOption(name, value string, asked []string) string {
	i := slices.Index(asked, name)
	if i < 0 || i%2 != 0 {
		return fmt.Sprintf("accepts the option %q, which was not asked for", name)
	}
	got, err := strconv.ParseUint(value, 10, 63)
	most, _ := strconv.ParseUint(asked[i+1], 10, 63)
	if err != nil || name != "tsize" && (got > most || got == 0) {
		return fmt.Sprintf("accepts %s %q where %s was asked for", name, value, asked[i+1])
	}
	return ""
}

func refused(name string, code uint16, message string) *Stop {
	switch code {
	case 1:
		return stop("tftp-not-found", "put the file into the TFTP server's directory, or correct the name (case, directory, leading slash)",
			"TFTP: %q is not there (ERROR 1 %q)", name, message)
	case 2:
		return stop("tftp-denied", "make the file readable for the TFTP server (tftpd-hpa wants it readable for all)", "TFTP: access to %q is refused (ERROR 2 %q)", name, message)
	}
	return stop("tftp-error", "look at the TFTP server's log", "TFTP: %q is refused (ERROR %d %q)", name, code, message)
}

// tellRefusals makes the kernel hand us the ICMP messages that say nobody listens.
func tellRefusals(network string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		if strings.HasSuffix(network, "6") {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		}
	})
	return errors.Join(err, failed)
}
