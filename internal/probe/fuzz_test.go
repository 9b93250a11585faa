package probe_test

import (
	"testing"
	"unicode/utf8"

	"github.com/coredhcp-netboot/suite/internal/probe"
)

// What is shown of a server's reply is printable, whatever it sends.
func FuzzReply(f *testing.F) {
	r := make([]byte, 240)
	r[0] = 2
	copy(r[236:], "\x63\x82\x53\x63")
	f.Add(append(r, 53, 1, 2, 54, 4, 192, 0, 2, 1, 60, 9, 'P', 'X', 'E', 'C', 'l', 'i', 'e', 'n', 't', 43, 3, 6, 1, 8, 67, 2, 'x', 0, 255))
	f.Add(append(r, 52, 1, 3, 175, 3, 1, 1, 255, 43, 10, 9, 4, 128, 0, 1, 'x', 8, 4, 128, 0, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := probe.ReadReply4(b)
		for _, c := range text {
			if c < ' ' || c == 0x7f || c > 0x7f && c < 0xa0 || c == utf8.RuneError {
				t.Fatalf("%q shows %q", text, c)
			}
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x00\x00\x00\x00\x00\xc0\x00\x02\x02"))
	f.Add([]byte("\x33\x33\xff\x00\x00\x01\x02\x00\x00\x00\x00\x01\x86\xdd\x60\x00\x00\x00\x00\x18\x3a\xff\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\x00\x00\x01\x87\x00\x00\x00\x00\x00\x00\x00\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(_ *testing.T, b []byte) { probe.ReadFrame(b) })
}

func FuzzTFTPAnswer(f *testing.F) {
	f.Add([]byte("\x00\x06tsize\x005\x00blksize\x001468\x00"))
	f.Add([]byte("\x00\x05\x00\x01File not found\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		options, why := probe.ReadTFTP(b)
		if (options == nil) == (why == "") {
			t.Fatalf("%v, %q", options, why)
		}
		for name := range options {
			if name != "tsize" && name != "blksize" && name != "windowsize" {
				t.Fatalf("takes %q", name)
			}
		}
	})
}

func FuzzScript(f *testing.F) {
	f.Add([]byte("#!ipxe\nkernel -n x http://h/vmlinuz \\\n quiet\nchain --replace x || boot\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if steps, _ := probe.Steps(b); len(steps) > 1000 {
			t.Fatalf("%d steps", len(steps))
		}
	})
}
