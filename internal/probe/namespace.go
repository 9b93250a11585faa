package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace without a name, in which a macvlan on the host's interface has the machine's MAC and
// address. The host's own addresses, routes and firewall are not touched, and all of it is gone with its last socket.
type namespace struct {
	fd int
}

// machineStack is the stack of such a namespace.
func (m *Machine) machineStack(ack *Offer) (*stack, error) {
	if m.space == nil {
		n, err := newNamespace()
		if err != nil {
			return nil, err
		}
		m.space = n
	} else if err := m.space.clear(); err != nil {
		return nil, err
	}
	if err := m.space.plug(m.link.Interface, m.Firmware.MAC.Bytes(), ack); err != nil {
		return nil, fmt.Errorf("the machine's own interface: %w", err)
	}
	return &stack{do: m.space.do, local: ack.Address, dns: ack.DNS}, nil
}

func newNamespace() (*namespace, error) {
	n := &namespace{}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("--as-machine needs a network namespace, and this process may not make one (%w); run with sudo", err)
		}
		n.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	return n, err
}

// onThread runs fn on a thread of its own that ends with it, and so cannot take a namespace along.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() { // ends with fn
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- fn()
	}()
	return <-done
}

func (n *namespace) do(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the machine's network namespace: %w", err)
		}
		return fn()
	})
}

// close ends the namespace, and the macvlan with it.
func (n *namespace) close() error { return unix.Close(n.fd) }

const ifname = "boot0"

// clear takes the interface of an earlier stage away.
func (n *namespace) clear() error {
	return n.do(func() error {
		if link, err := netlink.LinkByName(ifname); err == nil {
			return netlink.LinkDel(link)
		}
		return nil
	})
}

// plug makes the interface: a macvlan on the host's, which is made in the host's namespace and moved.
func (n *namespace) plug(parent *net.Interface, hw net.HardwareAddr, ack *Offer) error {
	name := fmt.Sprintf("np%d", unix.Getpid())
	v := &netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: parent.Index, HardwareAddr: hw, Namespace: netlink.NsFd(n.fd)},
		Mode:      netlink.MACVLAN_MODE_PRIVATE,
	}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("macvlan on %s: %w", parent.Name, err)
	}
	return n.do(func() error { return configure(name, ack) })
}

// configure gives the interface what the machine was told.
func configure(name string, ack *Offer) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	bits, all := ack.Bits, netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if ack.Address.Is6() {
		bits, all = 64, netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	address := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ack.Address, bits))}
	if ack.Address.Is6() {
		address.Flags = unix.IFA_F_NODAD // the server has just given it to us
	}
	err = errors.Join(netlink.LinkSetName(link, ifname), netlink.AddrAdd(link, address), netlink.LinkSetUp(link))
	if err != nil {
		return err
	}
	if known(ack.Router) && ack.Router.Is4() == ack.Address.Is4() {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(all), Gw: ack.Router.AsSlice(), Flags: int(netlink.FLAG_ONLINK)})
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
