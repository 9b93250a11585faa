package tftpd_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

// short is how long a machine listens for what it must not hear: the server has no reason to be late.
const short = 150 * time.Millisecond

// begins asks for 100 blocks of 512 bytes and hears the first.
func begins(l *lab, options ...string) (*machine, []byte, error) {
	l.config.Retransmit = patient // nothing comes again by itself
	content := random(100 * 512)
	l.has("x", content)
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	m.asks("x", options...)
	if p, err := m.hears(patient); err != nil || p.op != opData && p.op != opOACK {
		return nil, nil, unexpected(p, err)
	}
	return m, content, nil
}

// hearsOnly wants these blocks and nothing behind them.
func (m *machine) hearsOnly(blocks ...uint16) error {
	got, _ := m.hearsFor(short)
	var numbers []uint16
	for _, p := range got {
		numbers = append(numbers, p.number)
	}
	if fmt.Sprint(numbers) != fmt.Sprint(blocks) {
		return fmt.Errorf("hears %v, want %v", got, blocks)
	}
	return nil
}

func keepsTimeout(l *lab) error {
	content := random(5000)
	l.has("x", content)
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	m.asks("x", "timeout", "1")
	_, at := m.hearsFor(2500 * time.Millisecond)
	if len(at) < 2 {
		return fmt.Errorf("%d answers in 2.5 s", len(at))
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i].Sub(at[i-1]); gap < 900*time.Millisecond || gap > 1500*time.Millisecond {
			return fmt.Errorf("an answer comes again after %s", gap)
		}
	}
	m.aborts(0, "that is all")
	return nil
}

func repeatedRequest(l *lab) error {
	m, _, err := begins(l)
	if err != nil {
		return err
	}
	for range 2 {
		m.asks("x")
	}
	if err := m.hearsOnly(1, 1); err != nil { // from the same TID, or hears complains
		return err
	}
	m.acks(1)
	if p, err := m.hears(patient); err != nil || p.number != 2 { // the ACK is there: another port might read it later
		return unexpected(p, err)
	}
	m.asks("x") // late
	if err := m.hearsOnly(); err != nil {
		return err
	}
	if n := l.metric(tftpd.MetricActive, "tftp"); n != 1 {
		return fmt.Errorf("%v transfers are active", n)
	}
	return nil
}

func asksAnew(l *lab) error {
	l.config.Retransmit = 20 * time.Millisecond
	content := random(100 * 512)
	l.has("x", content)
	l.has("y", content[:100])
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	for _, name := range []string{"x", "y"} { // the same name after a while, another at once
		m.from = nil
		m.asks("x")
		for range 3 {
			p, err := m.hears(patient)
			if err != nil {
				return err
			}
			m.acks(p.number)
		}
		m.hearsFor(100 * time.Millisecond)
		m.from = nil
		m.asks(name)
		d, err := m.newTransfer(len(content))
		if err != nil {
			return err
		}
		if want := map[string][]byte{"x": content, "y": content[:100]}[name]; !bytes.Equal(d, want) {
			return fmt.Errorf("%s: %d bytes", name, len(d))
		}
	}
	return nil
}

// newTransfer takes a file from whoever sends its first block; what an earlier transfer still sends is not heard.
func (m *machine) newTransfer(most int) ([]byte, error) {
	var content []byte
	for next := uint16(1); ; {
		must(m.t, m.conn.SetReadDeadline(time.Now().Add(patient)))
		n, from, err := m.conn.ReadFromUDP(m.buffer)
		if err != nil {
			return nil, err
		}
		p, err := parse(m.buffer[:n])
		if err != nil || p.op != opData || p.number != next || m.from != nil && m.from.Port != from.Port {
			continue
		}
		m.from = from
		content = append(content, p.payload...)
		m.acks(next)
		if next++; len(p.payload) < 512 || len(content) > most {
			return content, nil
		}
	}
}

func tripleAck(l *lab) error {
	m, _, err := begins(l)
	if err != nil {
		return err
	}
	for range 3 {
		m.acks(1)
	}
	return m.hearsOnly(2)
}

func wrongAcks(l *lab) error {
	m, _, err := begins(l)
	if err != nil {
		return err
	}
	m.acks(1)
	if err := m.hearsOnly(2); err != nil {
		return err
	}
	for _, n := range []uint16{0, 77, 65535, 3} {
		m.acks(n)
	}
	return m.hearsOnly()
}

func wrongTID(l *lab) error {
	m, content, err := begins(l)
	if err != nil {
		return err
	}
	stranger := powerOn(l.t, m.from)
	stranger.sends(m.from, ackOf(1))
	if p, err := stranger.hears(patient); err != nil || p.String() != `ERROR 5 "Unknown transfer ID"` {
		return unexpected(p, err)
	}
	for _, b := range [][]byte{{0, opError, 0, 0, 0}, {0, opData, 0, 1}, {0, opOACK, 0, 0}, {0}, nil} {
		stranger.sends(m.from, b)
	}
	if err := stranger.hearsOnly(); err != nil {
		return err
	}
	m.acks(1)
	d, err := m.finishes(habits{from: 2})
	return whole(d, err, content[512:])
}

func lateAck(l *lab) error {
	m, _, err := begins(l)
	if err != nil {
		return err
	}
	m.acks(1)
	d, err := m.finishes(habits{from: 2})
	if err != nil {
		return err
	}
	if len(d.content) != 99*512 {
		return fmt.Errorf("%d bytes", len(d.content))
	}
	for range 3 {
		m.acks(101)
	}
	return m.hearsOnly()
}

func fiveBytes(l *lab) error {
	m, _, err := begins(l)
	if err != nil {
		return err
	}
	m.sends(m.from, ackOf(1, 4))
	return m.hearsOnly(2)
}

func junkToThePort(l *lab) error {
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	for _, b := range [][]byte{nil, {0}, {0, 0}, ackOf(0), ackOf(1), {0, opError, 0, 1, 'x', 0}, {0, opData, 0, 1, 'x'}, {0, opOACK, 0}, {1, 0, 'x', 0, 'x', 0}, bytes.Repeat([]byte{0xff}, 2000)} {
		m.sends(m.server, b)
	}
	if err := m.hearsOnly(); err != nil {
		return err
	}
	eventually(l.t, "they are counted", func() bool { return l.metric(tftpd.MetricMalformed) == 10 })
	return nil
}

func broadcast(l *lab) error {
	at := l.tftp("0.0.0.0:0")
	m := powerOn(l.t, &net.UDPAddr{IP: net.IPv4(127, 255, 255, 255), Port: at.Port}) // Go allows broadcasts on each socket
	m.asks("ok.txt")
	p, err := m.hears(patient)
	if err != nil || p.op != opData || !m.from.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		return fmt.Errorf("%s answers: %w", m.from, unexpected(p, err))
	}
	m.aborts(0, "that is all")
	return nil
}

func nobody(l *lab) error {
	l.config.Retransmit = 20 * time.Millisecond
	l.has("x", random(5000))
	server := l.tftp("127.0.0.1:0")
	for _, options := range [][]string{nil, {"blksize", "1468"}} {
		m := powerOn(l.t, server)
		m.asks("x", options...)
		m.asks("x", options...) // a forger repeats himself
		if got, _ := m.hearsFor(time.Second); len(got) == 0 || len(got) > tftpd.FirstSends {
			return fmt.Errorf("%d answers to a client that may not exist", len(got))
		}
	}
	if p := tftpd.Unproven; p > 10*time.Second {
		return fmt.Errorf("a client that may not exist is kept for %s", p)
	}
	if e := l.diary.entry(l.t, 2); e.Data["result"] != "silent" {
		return fmt.Errorf("logged %v", e.Data)
	}
	return nil
}

func deafClient(l *lab) error {
	l.config.Retransmit = 20 * time.Millisecond
	l.has("x", random(200*512))
	m := powerOn(l.t, l.tftp("127.0.0.1:0"))
	m.asks("x", "windowsize", "64")
	if p, err := m.hears(patient); err != nil || p.op != opOACK {
		return unexpected(p, err)
	}
	m.acks(0)
	got, _ := m.hearsFor(time.Second)
	times := map[uint16]int{}
	for i, p := range got {
		if i < 64 && p.number != uint16(i+1) || p.number < 1 || p.number > 64 {
			return fmt.Errorf("packet %d is %s", i, p)
		}
		times[p.number]++
	}
	if len(got) < 66 || len(got) > 64+40 {
		return fmt.Errorf("%d packets", len(got))
	}
	for block, n := range times { // the ends of the window may come with each timeout, others not
		if n > 3 && block != 1 && block != 64 {
			return fmt.Errorf("block %d came %d times", block, n)
		}
	}
	if got := l.diary.entry(l.t, 1).Data["result"]; got != "silent" {
		return errors.New("the transfer did not end as silent")
	}
	return nil
}
