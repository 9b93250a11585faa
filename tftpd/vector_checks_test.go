package tftpd_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/coredhcp-netboot/suite/tftpd"
)

func edk2Probe(l *lab) error {
	server, _ := serving(l)
	p, err := answer(l.t, server, request(opRead, efi, "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"))
	if err != nil || p.op != opOACK {
		return unexpected(p, err)
	}
	return expect(p.options, map[string]string{"tsize": "10000", "blksize": "1468"}, 4)
}

func edk2Download(l *lab) error {
	server, content := serving(l)
	d, err := fetch(l.t, server, efi, "blksize", "1468", "windowsize", "4")
	return errors.Join(whole(d, err, content), expect(d.options, map[string]string{"blksize": "1468"}, 4))
}

func ipxeOptions(l *lab) error {
	server, content := serving(l)
	d, err := fetch(l.t, server, efi, "blksize", "1432", "tsize", "0")
	return errors.Join(whole(d, err, content), expect(d.options, map[string]string{"blksize": "1432", "tsize": "10000"}, 0))
}

func hugeBlocks(l *lab) error {
	server, content := serving(l)
	d, err := fetch(l.t, server, efi, "blksize", "65464")
	if err := whole(d, err, content); err != nil {
		return err
	}
	if d.largest > 1472 {
		return fmt.Errorf("a datagram of %d bytes does not fit an Ethernet frame", d.largest)
	}
	return expect(d.options, map[string]string{"blksize": "1468"}, 0)
}

func senselessBlocks(l *lab) error {
	server, content := serving(l)
	for _, size := range []string{"0", "abc", "-1", "4294967808", "7"} {
		d, err := fetch(l.t, server, efi, "blksize", size)
		if err := whole(d, err, content); err != nil {
			return fmt.Errorf("blksize %s: %w", size, err)
		}
		if d.options["blksize"] != "" {
			return fmt.Errorf("blksize %s is accepted as %s", size, d.options["blksize"])
		}
	}
	d, err := fetch(l.t, server, efi, "blksize", "8")
	if got := d.options["blksize"]; got != "" && got != "8" {
		return fmt.Errorf("blksize 8 is accepted as %s", got)
	}
	return whole(d, err, content)
}

func noOptions(l *lab) error {
	server, content := serving(l)
	p, err := answer(l.t, server, request(opRead, efi, "octet"))
	if err != nil || p.op != opData || p.number != 1 || !bytes.Equal(p.payload, content[:512]) {
		return unexpected(p, err)
	}
	return nil
}

func timeoutOption(l *lab) error {
	server, content := serving(l)
	d, err := fetch(l.t, server, efi, "timeout", "3")
	if got, ok := d.options["timeout"]; ok && got != "3" {
		return fmt.Errorf("timeout 3 is accepted as %s", got)
	}
	return whole(d, err, content)
}

func lastBlocks(l *lab) error {
	server, _ := serving(l)
	for _, c := range []struct {
		bytes   int
		options []string
	}{
		{0, nil}, {0, []string{"blksize", "1468", "tsize", "0"}}, {512, nil}, {3 * 512, nil}, {2 * 1468, []string{"blksize", "1468"}},
	} {
		content := random(c.bytes)
		l.has("even", content)
		d, err := fetch(l.t, server, "even", c.options...)
		if err := whole(d, err, content); err != nil {
			return fmt.Errorf("%d bytes: %w", c.bytes, err)
		}
		if d.last != 0 {
			return fmt.Errorf("%d bytes: the last block has %d", c.bytes, d.last)
		}
	}
	return nil
}

func rollover(l *lab) error {
	server, _ := serving(l)
	f, err := os.Create(filepath.Join(l.root, "big.img"))
	must(l.t, err)
	defer f.Close()
	const size = 65536*512 + 700 // blocks 65535, 0, 1
	must(l.t, f.Truncate(size))
	for _, at := range []int64{0, 65534 * 512, 65535 * 512, 65536 * 512} {
		_, err := f.WriteAt(random(600), at)
		must(l.t, err)
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	must(l.t, err)

	d, err := fetch(l.t, server, "big.img", "blksize", "512")
	if err != nil {
		return err
	}
	if got := sha256.Sum256(d.content); !bytes.Equal(got[:], hash.Sum(nil)) {
		return fmt.Errorf("%d bytes received, not the file", len(d.content))
	}
	return nil
}

func missingFile(l *lab) error {
	server, _ := serving(l)
	best := patient // of several, because the machine that runs this test may be busy
	for range 5 {
		asked := time.Now()
		p, err := answer(l.t, server, request(opRead, "autoexec.ipxe", "octet", "tsize", "0", "blksize", "1432"))
		if err != nil || p.String() != `ERROR 1 "File not found"` {
			return unexpected(p, err)
		}
		best = min(best, time.Since(asked))
	}
	if best > 100*time.Millisecond {
		return fmt.Errorf("the refusal took %s", best)
	}
	return nil
}

func slashes(l *lab) error {
	server, content := serving(l)
	for _, name := range []string{"/" + efi, "//" + efi, "./" + efi, `\` + efi, "/./sub/../" + efi, efi + "\xff\xff", efi + "\x01"} {
		d, err := fetch(l.t, server, name)
		if err := whole(d, err, content); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

func escapes(l *lab) error {
	server, _ := serving(l)
	must(l.t, os.Symlink("../secret", filepath.Join(l.root, "link")))
	for _, name := range []string{
		"../etc/passwd", "../secret", `..\secret`, `..\\secret`, "/a/../../secret", "/../secret", `\..\secret`, "..", "link",
	} {
		p, err := answer(l.t, server, request(opRead, name, "octet"))
		if err != nil || p.op != opError || p.number < 1 || p.number > 2 || string(p.payload) != "Access violation" {
			return fmt.Errorf("%q: %w", name, unexpected(p, err))
		}
	}
	return nil
}

func lossyAcks(l *lab) error {
	l.config.Retransmit = 20 * time.Millisecond
	server, content := serving(l)
	m := powerOn(l.t, server)
	m.asks(efi)
	d, err := m.finishes(habits{losesEvery: 5})
	if err := whole(d, err, content); err != nil {
		return err
	}

	calm := newLab(l.t)
	calm.config.Retransmit = patient
	server, content = serving(calm)
	m = powerOn(l.t, server)
	m.asks(efi)
	d, err = m.finishes(habits{repeats: 2})
	if err := whole(d, err, content); err != nil {
		return err
	}
	for block, copies := range d.copies {
		if copies != 1 {
			return fmt.Errorf("block %d was sent %d times", block, copies)
		}
	}
	return nil
}

func silentClient(l *lab) error {
	l.config.Retransmit = 20 * time.Millisecond
	server, _ := serving(l)
	asked := time.Now()
	powerOn(l.t, server).asks(efi, "tsize", "0")
	if got := l.diary.entry(l.t, 1).Data["result"]; got != "silent" {
		return fmt.Errorf("the transfer ended as %v", got)
	}
	took, planned := time.Since(asked), tftpd.Patience(l.config.Retransmit)
	if took < planned || took > planned+5*time.Second {
		return fmt.Errorf("the session took %s where %s was planned", took, planned)
	}
	eventually(l.t, "the session's goroutine ends", func() bool {
		stacks := make([]byte, 1<<20)
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(".(*sender)"))
	})
	if production := tftpd.Patience(tftpd.DefaultRetransmit); production > time.Minute || production < 24*time.Second {
		return fmt.Errorf("a silent client is kept for %s", production)
	}
	return nil
}

// quiet is what a client that has sent ERROR must hear. The answer to it, if any, takes no waiting.
func quiet(m *machine) error {
	p, err := m.hears(300 * time.Millisecond)
	if errors.Is(err, errSilence) {
		return nil
	}
	return fmt.Errorf("the client's ERROR is answered: %w", unexpected(p, err))
}

func probeIsNotAnswered(l *lab) error {
	server, _ := serving(l)
	m := powerOn(l.t, server)
	m.asks(efi, "tsize", "0", "blksize", "1468", "windowsize", "4")
	if p, err := m.hears(patient); err != nil || p.op != opOACK {
		return unexpected(p, err)
	}
	m.aborts(8, "User aborted the transfer")
	if got := l.diary.entry(l.t, 1).Data["result"]; got != "probe" {
		l.t.Errorf("a size probe is logged as %v", got)
	}
	return quiet(m)
}

func abortIsNotAnswered(l *lab) error {
	server, _ := serving(l)
	m := powerOn(l.t, server)
	m.asks(efi)
	if p, err := m.hears(patient); err != nil || p.op != opData {
		return unexpected(p, err)
	}
	m.aborts(0, "TFTP Aborted")
	if got := l.diary.entry(l.t, 1).Data["result"]; got != "aborted" {
		l.t.Errorf("an abort is logged as %v", got)
	}
	return quiet(m)
}

func anyCase(l *lab) error {
	l.dirs.AnyCase = true
	server, _ := serving(l)
	l.has("boot/bcd", []byte("windows"))
	d, err := fetch(l.t, server, `\Boot\BCD`)
	return whole(d, err, []byte("windows"))
}

func writeIsAccessViolation(l *lab) error {
	server, _ := serving(l)
	p, err := answer(l.t, server, request(opWrite, "new", "octet"))
	if err != nil || p.op != opError || p.number != 2 {
		return unexpected(p, err)
	}
	return nil
}

func modes(l *lab) error {
	server, content := serving(l)
	l.has("motd.txt", []byte("one\ntwo\n"))
	for _, c := range []struct {
		name, mode string
		want       []byte
	}{
		{efi, "OCTET", content}, {efi, "netascii", content}, {efi, "NetASCII", content}, {"motd.txt", "netascii", []byte("one\r\ntwo\r\n")},
	} {
		m := powerOn(l.t, server)
		m.sends(server, request(opRead, c.name, c.mode, "tsize", "0"))
		d, err := m.finishes(habits{})
		if err := whole(d, err, c.want); err != nil {
			return fmt.Errorf("%s in mode %s: %w", c.name, c.mode, err)
		}
		if size := d.options["tsize"]; c.name == "motd.txt" && size != "" {
			return fmt.Errorf("converted text has tsize %s", size)
		}
	}
	return nil
}
