package tftpd_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/tftpd"
)

var datagrams = flag.Int("datagrams", 30_000, "random datagrams for the server to survive")

// clock is the service's; it runs, and can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) passes(d time.Duration) { c.ahead.Add(int64(d)) }

// forges sends a request each from so many ports of an address, which then hear nothing.
func forges(t *testing.T, from net.IP, server *net.UDPAddr, requests int) {
	t.Helper()
	rq := request(opRead, "x", "octet", "blksize", "1468", "windowsize", "4")
	for range requests {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: from})
		must(t, err)
		defer conn.Close() // not before the others have their ports
		_, err = conn.WriteToUDP(rq, server)
		must(t, err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(all)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTenThousandSilentRequestsAreBoundedAndAllFreed(t *testing.T) {
	l := newLab(t)
	l.diary.log.SetLevel(logrus.PanicLevel)
	c := new(clock)
	l.config.Now = c.now
	l.has("x", random(1_000_000))
	server := l.tftp("127.0.0.1:0")
	memory, open := heap(), descriptors(t)
	// Few requests can wait for a disk, and a machine that runs tests may be slow: a thousand at a time.
	for batch := range 10 {
		forges(t, net.IPv4(127, 0, 1, byte(batch+1)), server, 1000)
		eventually(t, fmt.Sprintf("batch %d is answered", batch), func() bool {
			sessions, _, _ := l.server.Sizes()
			return sessions+int(l.metric(tftpd.MetricDropped)) == 1000*(batch+1)
		})
	}
	sessions, _, files := l.server.Sizes()
	if more := descriptors(t) - open; more > 5 || files > 1 || sessions < 9000 || sessions > 10_000 {
		t.Errorf("%d sessions take %d descriptors and %d files", sessions, more, files)
	}
	if more := heap() - memory; more > 25<<20 {
		t.Errorf("%d sessions take %d bytes", sessions, more)
	}

	c.passes(tftpd.Unproven)
	eventually(t, "no transfer is active", func() bool { return l.metric(tftpd.MetricActive) == 0 })
	if silent, dropped := l.metric(tftpd.MetricTransfers, "silent"), l.metric(tftpd.MetricDropped); silent+dropped != 10_000 {
		t.Errorf("%v sessions ended as silent, %v requests were dropped", silent, dropped)
	}
	c.passes(tftpd.Unproven)
	eventually(t, "nothing is remembered", func() bool { sessions, _, _ := l.server.Sizes(); return sessions == 0 })
	if _, _, files := l.server.Sizes(); files > 1 {
		t.Errorf("%d files are open", files)
	}
	if sent, err := fetch(t, server, "x"); err != nil || len(sent.content) != 1_000_000 {
		t.Errorf("then %d bytes, %v", len(sent.content), err)
	}
}

func TestOneAddressCannotTakeAllTransfers(t *testing.T) {
	l := newLab(t)
	l.diary.log.SetLevel(logrus.PanicLevel)
	l.config.MaxPerClient = 50
	l.config.Grace = time.Millisecond
	l.has("x", random(5000))
	server := l.tftp("127.0.0.1:0")
	forges(t, net.IPv4(127, 0, 0, 9), server, 200)
	eventually(t, "150 are dropped", func() bool { return l.metric(tftpd.MetricDropped, "client-transfers") == 150 })
	d, err := fetch(t, server, "x")
	if err := whole(d, err, random(5000)); err != nil {
		t.Errorf("another address: %v", err)
	}
	forges(t, net.IPv4(127, 0, 0, 9), server, 1)
	eventually(t, "one more is dropped", func() bool { return l.metric(tftpd.MetricDropped, "client-transfers") == 151 })
}

func TestRequestsBeyondTheRateAreNotAnswered(t *testing.T) {
	l := newLab(t)
	l.diary.log.SetLevel(logrus.PanicLevel)
	c := new(clock)
	stopped := time.Now()
	l.config.Now = func() time.Time { return stopped.Add(time.Duration(c.ahead.Load())) }
	l.config.MaxRate = 20
	l.config.Grace = time.Millisecond
	l.has("x", random(50))
	server := l.tftp("127.0.0.1:0")
	forges(t, net.IPv4(127, 0, 0, 9), server, 30)
	eventually(t, "10 are dropped", func() bool { return l.metric(tftpd.MetricDropped, "rate") == 10 })
	c.passes(500 * time.Millisecond)
	forges(t, net.IPv4(127, 0, 0, 9), server, 30)
	eventually(t, "half a second later 10 more are answered", func() bool { return l.metric(tftpd.MetricDropped, "rate") == 30 })
}

// TestTheServerSurvivesRandomDatagrams is short by default; -datagrams 1000000 takes a few minutes.
func TestTheServerSurvivesRandomDatagrams(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprintf("single port %v", single), func(t *testing.T) {
			l := newLab(t)
			l.diary.log.SetLevel(logrus.PanicLevel)
			l.config.Retransmit = 10 * time.Millisecond
			l.config.SinglePort = single
			content := random(20_000)
			l.has("x", content)
			server := l.tftp("127.0.0.1:0")
			rnd := rand.New(rand.NewPCG(7, 7))
			var m *machine
			for n := range *datagrams / 2 {
				if n%100 == 0 { // a machine that begins properly, and goes mad
					if m != nil {
						m.conn.Close()
					}
					m = powerOn(t, server)
					m.asks("x", "windowsize", "8", "blksize", "600")
					if _, err := m.hears(patient); err != nil {
						t.Fatalf("after %d datagrams: %v", n, err)
					}
				}
				to := server
				if rnd.IntN(2) == 0 {
					to = m.from
				}
				m.sends(to, noise(rnd))
			}
			d, err := powerOn(t, server).downloads(request(opRead, "x", "octet", "windowsize", "8"), patient)
			if err := whole(d, err, content); err != nil {
				t.Error(err)
			}
			eventually(t, "all sessions end", func() bool { return l.metric(tftpd.MetricActive) == 0 })
			if bad := l.metric(tftpd.MetricTransfers, "failed"); bad != 0 {
				t.Errorf("%v transfers failed through our fault", bad)
			}
		})
	}
}

// noise is a datagram: junk, or nearly a packet.
func noise(rnd *rand.Rand) []byte {
	texts := []string{"x", "octet", "netascii", "blksize", "tsize", "timeout", "windowsize", "8", "0", "64", "65464", "-1", "..", "\xff", ""}
	var b []byte
	switch rnd.IntN(4) {
	case 0:
		b = make([]byte, rnd.IntN(1400))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	case 1:
		b = binary.BigEndian.AppendUint16([]byte{0, byte(3 + rnd.IntN(5))}, uint16(rnd.IntN(70)))
	default:
		b = []byte{0, byte(rnd.IntN(7))}
		for range rnd.IntN(9) {
			b = append(append(b, texts[rnd.IntN(len(texts))]...), byte(rnd.IntN(20)/19))
		}
	}
	for range rnd.IntN(3) {
		if len(b) > 0 {
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		}
	}
	return b
}
