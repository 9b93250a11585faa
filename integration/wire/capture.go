package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

const (
	longestFrame = 65536
	// queue holds a whole first-stage file, should the reader not get a turn while it is sent.
	queue = 32 << 20
)

// Frame is one Ethernet frame and when the kernel saw it.
type Frame struct {
	At   time.Time
	Data []byte
}

// Capture records what passes an interface, both ways.
type Capture struct {
	socket *os.File
	pcap   *os.File
	done   chan struct{}

	mu     sync.Mutex
	frames []Frame
	err    error // readable once done is closed
}

// Record starts to record the named interface of the calling thread's network namespace, into memory and into a
// pcap file. The caller stops it.
func Record(ifname, path string) (*Capture, error) {
	socket, err := listen(ifname)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", ifname, err)
	}
	file, err := os.Create(path)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("record %s: %w", ifname, err)
	}
	w := pcapgo.NewWriterNanos(file)
	if err := w.WriteFileHeader(longestFrame, layers.LinkTypeEthernet); err != nil {
		socket.Close()
		file.Close()
		return nil, fmt.Errorf("record %s: %w", ifname, err)
	}
	c := &Capture{socket: socket, pcap: file, done: make(chan struct{})}
	go func() { // ends at Stop
		c.err = c.record(w)
		close(c.done)
	}()
	return c, nil
}

// listen opens a packet socket that the runtime can wait on and interrupt.
func listen(ifname string) (*os.File, error) {
	intf, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing until bind names the interface: no frame of another interface slips in between.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: intf.Index}),
	); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "packets of "+ifname), nil
}

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

// Stop ends the recording and returns all frames up to this moment. Frames that the kernel had to drop are an
// error: a timeline with a hole would accuse the innocent.
func (c *Capture) Stop() ([]Frame, error) {
	if err := c.socket.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, fmt.Errorf("stop recording: %w", err)
	}
	<-c.done
	return c.frames, errors.Join(c.err, c.pcap.Close(), c.socket.Close())
}

// Frames are those that were seen so far.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

func (c *Capture) record(w *pcapgo.Writer) error {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, longestFrame)
	oob := make([]byte, 128)
	for {
		var n, oobn int
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			n, oobn, _, _, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
			return rerr != unix.EAGAIN
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err := errors.Join(err, rerr); err != nil {
			return fmt.Errorf("read frames: %w", err)
		}
		if err := c.keep(w, buf[:n], oob[:oobn]); err != nil {
			return err
		}
	}
	// What is still queued belongs to the recording: it was on the wire before Stop was called.
	var werr error
	err = raw.Control(func(fd uintptr) {
		for werr == nil {
			n, oobn, _, _, err := unix.Recvmsg(int(fd), buf, oob, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			werr = c.keep(w, buf[:n], oob[:oobn])
		}
		stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil && stats.Drops > 0 {
			werr = errors.Join(werr, fmt.Errorf("the kernel dropped %d frames of the recording", stats.Drops))
		}
	})
	return errors.Join(err, werr)
}

func (c *Capture) keep(w *pcapgo.Writer, data, oob []byte) error {
	f := Frame{At: stamp(oob), Data: append([]byte(nil), data...)}
	c.mu.Lock()
	c.frames = append(c.frames, f)
	c.mu.Unlock()
	info := gopacket.CaptureInfo{Timestamp: f.At, CaptureLength: len(f.Data), Length: len(f.Data)}
	if err := w.WritePacket(info, f.Data); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	return nil
}

// stamp reads the kernel's time of reception, or takes ours where there is none.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(native(m.Data[0:8]), native(m.Data[8:16]))
		}
	}
	return time.Now()
}
