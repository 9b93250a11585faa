package explain_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/explain"
	"github.com/coredhcp-netboot/suite/internal/firmware"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// opened is the configuration of the golden texts.
func opened(t testing.TB) *explain.Server {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../cmd/netbootctl/testdata/explain")); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s, err := explain.Open(filepath.Join(dir, "config.yml"), explain.Options{OnlyBoot: true}) // the stock plugin range would wait for the disk
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(here); err != nil { // a fuzzer's processes begin where this one is
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func machines() (list [][]byte) {
	for _, f := range []netboot.Firmware{netboot.FirmwarePXE, netboot.FirmwareHTTP, netboot.FirmwareIPXE} {
		for _, v6 := range []bool{false, true} {
			m := firmware.Machine{V6: v6, Arch: netboot.ArchUEFIx64, Firmware: f, MAC: netboot.MACFrom([]byte{0x52, 0x54, 0, 0, 0, 1}), Hostname: "a\x1b[2J", UserClass: "b\n"}
			list = append(list, m.Request())
		}
	}
	return list
}

// harmless tells text that a terminal shows as it is.
func harmless(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') })
}

func FuzzExplainTakesAnyPacket(f *testing.F) {
	for _, m := range machines() {
		f.Add(m)
	}
	s := opened(f)
	f.Fuzz(func(t *testing.T, request []byte) {
		for _, port := range []uint16{67, explain.PortPXE} {
			x := s.ExplainAt(request, port)
			var out bytes.Buffer
			if err := x.Print(&out, explain.Style{}); err != nil || !harmless(out.String()) {
				t.Errorf("%v: %q", err, out.String())
			}
		}
	})
}

func FuzzReplayTakesAnyFile(f *testing.F) {
	real, err := os.ReadFile("../../cmd/netbootctl/testdata/explain/real-clients.pcap")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real[:2048])
	s := opened(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		replay, _ := s.Replay(bytes.NewReader(file))
		var out bytes.Buffer
		if err := replay.Print(&out, explain.Style{}); err != nil || !harmless(out.String()) {
			t.Errorf("%v: %q", err, out.String())
		}
	})
}

func TestOnlyATerminalsTextHasColours(t *testing.T) {
	s := opened(t)
	for _, request := range machines() {
		x := s.Explain(request)
		var plain, coloured bytes.Buffer
		if err := x.Print(&plain, explain.Style{}); err != nil {
			t.Fatal(err)
		}
		if err := x.Print(&coloured, explain.Style{Colour: true}); err != nil {
			t.Fatal(err)
		}
		bare := coloured.String()
		for _, mark := range []string{"\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[0m"} {
			bare = strings.ReplaceAll(bare, mark, "")
		}
		if bare != plain.String() || bare == coloured.String() {
			t.Errorf("coloured:\n%q\nplain:\n%q", coloured.String(), plain.String())
		}
	}
}
