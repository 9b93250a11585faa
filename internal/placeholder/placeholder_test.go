package placeholder_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coredhcp-netboot/suite/internal/placeholder"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes, the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{2}), b)
	return b
}

func TestThePlaceholderIsAScriptOfItsSize(t *testing.T) {
	text := placeholder.Text()
	if len(text) != placeholder.Size || !bytes.HasPrefix(text, []byte("#!ipxe\n")) {
		t.Fatalf("%d bytes: %.80s", len(text), text)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line != "" && line[0] != '#' && line != "autoboot" {
			t.Errorf("line %d does something: %s", i+1, line)
		}
	}
}

// The block is found wherever it lies, also across the pieces in which a file is read.
func TestAPlaceholderIsFoundWhereverItLies(t *testing.T) {
	for _, before := range []int{0, 1, 4000, 256<<10 - 120, 256<<10 - 60, 256<<10 - 1, 256 << 10, 256<<10 + 1, 700_000} {
		file := append(append(noise(before), placeholder.Text()...), noise(3000)...)
		blocks, err := placeholder.Find(bytes.NewReader(file), int64(len(file)))
		if err != nil || len(blocks) != 1 || blocks[0] != (placeholder.Block{Offset: int64(before), Size: placeholder.Size}) {
			t.Errorf("behind %d bytes: %v, %v", before, blocks, err)
		}
	}
	for _, file := range [][]byte{nil, noise(1 << 20), placeholder.Text()[:60]} {
		if blocks, err := placeholder.Find(bytes.NewReader(file), int64(len(file))); len(blocks) != 0 || err != nil {
			t.Errorf("in %d other bytes: %v, %v", len(file), blocks, err)
		}
	}
}

func TestABrokenPlaceholderIsExplained(t *testing.T) {
	text := placeholder.Text()
	for want, file := range map[string][]byte{
		"the placeholder at byte 0 does not end 16384 bytes further on": append(bytes.Clone(text[:9000]), noise(9000)...),
		"the placeholder at byte 7 is broken in its first lines":        append([]byte("x......"), text[:9000]...),
	} {
		if _, err := placeholder.Find(bytes.NewReader(file), int64(len(file))); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestASplicedFileIsTheFileWithTheScript(t *testing.T) {
	a, b, c := noise(5000), noise(777), noise(9000)
	file := bytes.Join([][]byte{a, placeholder.Text(), b, placeholder.Text(), c}, nil)
	blocks, err := placeholder.Find(bytes.NewReader(file), int64(len(file)))
	must(t, err)
	for _, script := range []string{"", "#!ipxe\necho old-dell", strings.Repeat("x", placeholder.Size)} {
		s, err := placeholder.Splice(bytes.NewReader(file), int64(len(file)), blocks, []byte(script))
		must(t, err)
		filled := []byte(script + strings.Repeat("\n", placeholder.Size-len(script)))
		must(t, iotest.TestReader(s, bytes.Join([][]byte{a, filled, b, filled, c}, nil)))
	}
	_, err = placeholder.Splice(bytes.NewReader(file), int64(len(file)), blocks, make([]byte, placeholder.Size+1))
	if err == nil || !strings.HasPrefix(err.Error(), "the script has 16385 bytes, and the placeholder holds 16384") {
		t.Errorf("too long a script: %v", err)
	}
}

func TestReadingASplicedFileCopiesNothing(t *testing.T) {
	file := append(append(noise(50_000), placeholder.Text()...), noise(50_000)...)
	r := bytes.NewReader(file)
	s, err := placeholder.Splice(r, int64(len(file)), []placeholder.Block{{Offset: 50_000, Size: placeholder.Size}}, []byte("#!ipxe\n"))
	must(t, err)
	block := make([]byte, 1428)
	n := testing.AllocsPerRun(10, func() {
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		for {
			if _, err := s.Read(block); err != nil {
				break
			}
		}
	})
	if n > 0 {
		t.Errorf("a whole download allocates %.0f times", n)
	}
}

func FuzzAnyFileIsSearchedSafely(f *testing.F) {
	f.Add(placeholder.Text())
	f.Add(placeholder.Text()[:100])
	f.Add(append(placeholder.Text()[:80], placeholder.Text()...))
	f.Add(bytes.Replace(placeholder.Text(), []byte("size=00016384"), []byte("size=-0000001"), 1))
	f.Fuzz(func(t *testing.T, file []byte) {
		blocks, err := placeholder.Find(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		s, err := placeholder.Splice(bytes.NewReader(file), int64(len(file)), blocks, []byte("x"))
		must(t, err)
		got, err := io.ReadAll(s)
		if err != nil || len(got) != len(file) {
			t.Errorf("%d bytes of %d, %v", len(got), len(file), err)
		}
	})
}
