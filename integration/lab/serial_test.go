package lab

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestAConsoleIsReadAsAPersonSeesIt(t *testing.T) {
	c, err := newConsole(filepath.Join(t.TempDir(), "serial.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, part := range []string{
		"\x1b[2J\x1b[01;01H>>Start PXE ", "over IPv4.\x1b[0m\x1b[37m\x1b[40m", // one line in two parts, coloured
		"\x1b[02;01HNBP file downloaded\r\n", // the cursor moves to the next line without a line end
		"\x1b", "[1mlab:\x1b[0m done\r\n",    // an escape sequence in two parts
		"\r\n\r\n", "Shell> ", // a prompt, which has no end
	} {
		if _, err := c.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, l := range c.All() {
		got = append(got, l.Text)
	}
	want := []string{">>Start PXE over IPv4.", "NBP file downloaded", "lab: done", "Shell>"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	select {
	case <-c.changed:
	default:
		t.Error("nobody was told that something was printed")
	}
}
