package tftpd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

// downloads takes a whole file after asks, as RFC 7440 wants: it acknowledges a whole window, says once where a gap is,
// and repeats itself when it hears nothing for that long.
func (m *machine) downloads(rq []byte, again time.Duration) (download, error) {
	m.t.Helper()
	d := download{copies: map[uint16]int{}}
	size, window, inWindow := 512, 1, 0
	last, said := int64(0), -1
	m.sends(m.server, rq)
	for silences := 0; ; {
		p, err := m.hears(again)
		switch {
		case errors.Is(err, errSilence) && silences < 60:
			if silences++; m.from == nil {
				m.sends(m.server, rq)
			} else {
				m.acks(uint16(last))
			}
			continue
		case err != nil:
			return d, err
		}
		d.largest = max(d.largest, p.size)
		switch p.op {
		case opError:
			return d, fmt.Errorf("refused: %s", p)
		case opOACK:
			d.options = p.options
			size, _ = strconv.Atoi(either(p.options["blksize"], "512"))
			window, _ = strconv.Atoi(either(p.options["windowsize"], "1"))
			m.acks(0)
			continue
		}
		d.copies[p.number]++
		if p.number != uint16(last+1) {
			if inWindow = 0; said != int(last) || int16(p.number-uint16(last)) <= 0 {
				m.acks(uint16(last))
				said = int(last)
			}
			continue
		}
		said, silences = -1, 0
		last++
		d.content = append(d.content, p.payload...)
		final := len(p.payload) < size
		if inWindow++; inWindow == window || final {
			m.acks(p.number)
			inWindow = 0
		}
		if final {
			d.last = len(p.payload)
			return d, nil
		}
	}
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// lossy forwards datagrams between clients and a server, as a NAT would, and loses some of them.
type lossy struct {
	t      *testing.T
	front  *net.UDPConn
	server *net.UDPAddr
	rate   float64

	mu  sync.Mutex
	rnd *rand.Rand
}

// lossyPath returns an address that stands for the server.
func lossyPath(t *testing.T, server *net.UDPAddr, rate float64, seed uint64) *net.UDPAddr {
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	n := &lossy{t: t, front: front, server: server, rate: rate, rnd: rand.New(rand.NewPCG(seed, 1))}
	var forwarding sync.WaitGroup
	forwarding.Add(1)
	go func() { defer forwarding.Done(); n.forward() }()
	t.Cleanup(func() { front.Close(); forwarding.Wait() })
	return front.LocalAddr().(*net.UDPAddr)
}

func (n *lossy) loses() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rnd.Float64() < n.rate
}

func (n *lossy) forward() {
	type path struct {
		conn *net.UDPConn
		mu   sync.Mutex
		to   *net.UDPAddr
	}
	paths := map[string]*path{}
	var back sync.WaitGroup
	defer back.Wait()
	b := make([]byte, 2048)
	for {
		size, client, err := n.front.ReadFromUDP(b)
		if err != nil {
			for _, p := range paths {
				p.conn.Close()
			}
			return
		}
		p := paths[client.String()]
		if p == nil {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				n.t.Error(err)
				return
			}
			p = &path{conn: conn, to: n.server}
			paths[client.String()] = p
			back.Add(1)
			go func() {
				defer back.Done()
				b := make([]byte, 2048)
				for {
					size, from, err := conn.ReadFromUDP(b)
					if err != nil {
						return
					}
					p.mu.Lock()
					p.to = from
					p.mu.Unlock()
					if !n.loses() {
						_, _ = n.front.WriteToUDP(b[:size], client)
					}
				}
			}()
		}
		p.mu.Lock()
		if b[1] == opRead {
			p.to = n.server
		}
		to := p.to
		p.mu.Unlock()
		if !n.loses() {
			_, _ = p.conn.WriteToUDP(b[:size], to)
		}
	}
}

func TestEveryTransferFinishesOverALossyNetwork(t *testing.T) {
	l := newLab(t)
	l.config.Grace = time.Millisecond // for those whose last ACK was lost
	content := random(100_000)
	l.has("x", content)
	server := l.tftp("127.0.0.1:0")
	for seed, c := range []struct {
		loss   float64
		window string
	}{{0.01, "1"}, {0.01, "16"}, {0.05, "1"}, {0.05, "4"}, {0.05, "16"}, {0.05, "64"}, {0.20, "64"}} {
		for copy := range 4 {
			t.Run(fmt.Sprintf("loss %.0f %%, windowsize %s, machine %d", 100*c.loss, c.window, copy), func(t *testing.T) {
				t.Parallel()
				m := powerOn(t, lossyPath(t, server, c.loss, uint64(seed*10+copy)))
				d, err := m.downloads(request(opRead, "x", "octet", "blksize", "1000", "windowsize", c.window), time.Second)
				if err := whole(d, err, content); err != nil {
					t.Error(err)
				}
				if d.options["windowsize"] != c.window {
					t.Errorf("options %v", d.options)
				}
			})
		}
	}
}

func TestEveryWayToTheKernelSendsTheSameFile(t *testing.T) {
	content := random(3_000_001)
	for _, mode := range tftpd.SendModes() {
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(mode+" "+addr, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.sendBy = mode
				l.has("x", content)
				l.has("small", content[:20_000])
				server := l.tftp(addr)
				for _, options := range [][]string{
					nil, {"blksize", "8", "windowsize", "64"}, {"blksize", "512", "windowsize", "64"}, {"blksize", "1468", "windowsize", "4"},
					{"blksize", "1448", "windowsize", "64"}, {"windowsize", "1000", "blksize", "65464"},
				} {
					name, want := "x", content
					if slices.Contains(options, "8") {
						name, want = "small", content[:20_000]
					}
					d, err := powerOn(t, server).downloads(request(opRead, name, "octet", options...), patient)
					if err := whole(d, err, want); err != nil {
						t.Errorf("%v: %v", options, err)
					}
				}
			})
		}
	}
}
