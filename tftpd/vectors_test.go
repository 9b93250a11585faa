package tftpd_test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vector is one requirement on what a TFTP server answers to the clients that are known.
type vector struct {
	id, story string
	check     func(*lab) error // nil: as required
}

// tftpVectors are served.
var tftpVectors = []vector{
	{"T01", "a UEFI machine asks for the size and hears exactly what it asked for", edk2Probe},
	{"T02", "a size probe ends without an answer", probeIsNotAnswered},
	{"T03", "a UEFI machine's second request has no tsize and gives the whole file", edk2Download},
	{"T04", "iPXE asks for blksize and tsize and hears both", ipxeOptions},
	{"T06", "a block larger than an Ethernet frame is cut to fit", hugeBlocks},
	{"T07", "a block size that makes no sense is ignored", senselessBlocks},
	{"T08", "a ROM without options gets 512 bytes at once", noOptions},
	{"T10", "a timeout is accepted as asked or not at all", timeoutOption},
	{"T11", "an empty file and a whole number of blocks end with an empty block", lastBlocks},
	{"T12", "block numbers go on from zero after 65535", rollover},
	{"T13", "a missing autoexec.ipxe is refused at once", missingFile},
	{"T14", "a Windows tree is found in any case", anyCase},
	{"T15", "leading slashes and dots mean the same file", slashes},
	{"T16", "no name leads out of the root", escapes},
	{"T19", "lost ACKs are survived and repeated ACKs do not double the data", lossyAcks},
	{"T20", "a silent client is given up within a minute", silentClient},
	{"T21", "a write is refused with ERROR 2", writeIsAccessViolation},
	{"T22", "a binary file asked for as text stays as it is", modes},
	{"T24", "an abort ends without an answer", abortIsNotAnswered},
}

func TestTFTPVectors(t *testing.T) {
	for _, v := range tftpVectors {
		t.Run(v.id+" "+v.story, func(t *testing.T) {
			t.Parallel()
			if err := v.check(newLab(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTFTPVectorsHoldOnASinglePort(t *testing.T) {
	for _, v := range tftpVectors {
		t.Run(v.id+" "+v.story, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.config.SinglePort = true
			if err := v.check(l); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOnASinglePortAllComesFromThePortThatWasAsked(t *testing.T) {
	l := newLab(t)
	l.config.SinglePort = true
	server, content := serving(l)
	m := powerOn(t, server)
	d, err := m.downloads(request(opRead, efi, "octet", "windowsize", "4"), patient)
	if err := whole(d, err, content); err != nil || m.from.Port != server.Port {
		t.Errorf("answers come from %s, %v", m.from, err)
	}
	must(t, func() error { m.acks(20); return m.hearsOnly() }()) // no ERROR 5 from there
}

func TestEveryTFTPVectorStandsInTheTable(t *testing.T) {
	var ids []string
	for _, v := range tftpVectors {
		ids = append(ids, v.id)
	}
	slices.Sort(ids)
	const all = "T01 T02 T03 T04 T06 T07 T08 T10 T11 T12 T13 T14 T15 T16 T19 T20 T21 T22 T24"
	if got := strings.Join(ids, " "); got != all {
		t.Errorf("the table holds\n%s, want\n%s", got, all)
	}
}

const efi = "ipxe-x86_64.efi"

// serving starts TFTP with a firmware file of a size that fills no block.
func serving(l *lab) (*net.UDPAddr, []byte) {
	content := random(10_000)
	l.has(efi, content)
	return l.tftp("127.0.0.1:0"), content
}

// expect compares an OACK; windowsize may be there, up to what was asked, or not.
func expect(got, want map[string]string, window int) error {
	got = maps.Clone(got)
	if w, ok := got["windowsize"]; ok {
		if n, err := strconv.Atoi(w); err != nil || n < 1 || n > window {
			return fmt.Errorf("windowsize %q was not asked for", w)
		}
		delete(got, "windowsize")
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("OACK %v, want %v", got, want)
	}
	return nil
}

// unexpected is an answer that a check does not want.
func unexpected(p packet, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("the answer is %s", p)
}

// whole compares a download.
func whole(d download, err error, content []byte) error {
	if err != nil {
		return err
	}
	if !bytes.Equal(d.content, content) {
		return fmt.Errorf("received %d bytes that are not the %d of the file", len(d.content), len(content))
	}
	return nil
}
