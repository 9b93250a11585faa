package conf_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

type shelf struct {
	conf.Pos
	Name  string                     `yaml:"name"`
	Count uint8                      `yaml:"count"`
	Open  bool                       `yaml:"open"`
	Addr  conf.List[netip.Addr]      `yaml:"addr"`
	Where conf.At[string]            `yaml:"where"`
	Inner []shelf                    `yaml:"inner"`
	Extra conf.Any                   `yaml:"extra"`
	Same  *shelf                     `yaml:"same"`
	Deep  conf.At[conf.List[string]] `yaml:"deep"`
}

func decode(t *testing.T, text string) (shelf, error) {
	t.Helper()
	var s shelf
	err := conf.Decode("f.yml", []byte(text), &s)
	return s, err
}

func TestEveryMistakeIsReportedInOneRunWithItsLine(t *testing.T) {
	_, err := decode(t, `
nam: x
count: 256
open: yes
addr: [192.0.2.1, 192.0.2.256]
where: [a]
inner:
  - {name: {a: b}}
  - count:
    open: true
    open: false
deep: {a: b}
`)
	want := []string{
		`f.yml:2: unknown key "nam"; did you mean "name"?`,
		`f.yml:3: "256" is not a number from 0 to 255`,
		`f.yml:4: "yes" is not a switch; use true or false`,
		`f.yml:5: ParseAddr("192.0.2.256"): IPv4 field has value >255`,
		`f.yml:6: where must be one text, not a list`,
		`f.yml:8: name must be one text, not a mapping`,
		`f.yml:11: key "open" is already given on line 10; remove one of the two`,
		`f.yml:9: count has no value; give one or remove the key`,
		`f.yml:12: deep must be one text, not a mapping`,
	}
	if got := fmt.Sprint(err); got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestValuesRememberWhereTheyStood(t *testing.T) {
	s, err := decode(t, "name: a\nwhere: here\ninner:\n  - name: b\n  - {name: c, where: there}\n")
	if err != nil {
		t.Fatal(err)
	}
	for want, got := range map[string]conf.Pos{"f.yml:2": s.Where.Pos, "f.yml:4": s.Inner[0].Pos, "f.yml:5": s.Inner[1].Where.Pos} {
		if got.String() != want {
			t.Errorf("place is %s, want %s", got, want)
		}
	}
}

func TestOneValueIsAListOfOne(t *testing.T) {
	s, err := decode(t, "addr: 192.0.2.1\n")
	if err != nil || len(s.Addr) != 1 {
		t.Fatalf("got %v, %v", s.Addr, err)
	}
}

func TestMergedKeysGiveWayToTheMappingsOwn(t *testing.T) {
	s, err := decode(t, "same: &base {name: base, count: 3}\ninner: [{<<: *base, name: own}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.Inner[0].Name != "own" || s.Inner[0].Count != 3 {
		t.Errorf("got %+v", s.Inner[0])
	}
}

func TestWhatIsNotYAMLIsSaidWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"name: [a\nb: c\n":      "f.yml:",
		"name: a\n\tcount: 1\n": "f.yml:2: is not YAML:",
		"name: a\n---\nname: b": "f.yml: has several YAML documents",
		"- a":                   "f.yml:1: must be a mapping of keys to values",
	} {
		if _, err := decode(t, text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s...", text, err, want)
		}
	}
}

func TestAliasesCannotUnfoldForEver(t *testing.T) {
	bomb := "name: &a0 x\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("k%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	bomb += "deep: *a11\n"
	for name, text := range map[string]string{
		"bomb":       bomb,
		"itself":     "same: &s\n  same: *s\n",
		"merge":      "same: &s\n  <<: *s\n",
		"merge list": "same: &s {<<: [*s, *s, *s, *s]}\n",
	} {
		if _, err := decode(t, text); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestAMissingFileIsSaidWithARemedy(t *testing.T) {
	dir := t.TempDir()
	var s shelf
	err := conf.Load(filepath.Join(dir, "no.yml"), &s)
	if err == nil || !strings.Contains(err.Error(), "no.yml: no such file (looked in ") || !strings.Contains(err.Error(), "; create it or correct the name") {
		t.Errorf("got %v", err)
	}
	err = conf.Load(dir, &s)
	if err == nil || !strings.Contains(err.Error(), "cannot be read: is a directory") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty.yml"), []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := conf.Load(filepath.Join(dir, "empty.yml"), &s); err != nil {
		t.Errorf("a file of comments: %v", err)
	}
}

// Opening a FIFO waits for its writer, and what is read again would never be.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo.yml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:        fifo + ": is no regular file; name one",
		"/dev/null": "/dev/null: is no regular file; name one",
	} {
		done := make(chan error, 1)
		go func() { done <- conf.Load(path, new(shelf)) }()
		select {
		case err := <-done:
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: waits", path)
		}
	}
}

func TestWhatIsMissingBecauseItCouldNotBeReadIsNotSaidAgain(t *testing.T) {
	at := func(line int) conf.Pos { return conf.Pos{File: "f", Line: line} }
	var decoding, later conf.Problems
	decoding.Add(at(3), "a")
	later.Add(at(3), "b")
	later.AddAbsence(at(3), "consequence")
	later.AddAbsence(at(1), "c")
	if got := decoding.With(later).Error(); got != "f:1: c\nf:3: a\nf:3: b" {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: a\ninner: [{name: b}]\naddr: [192.0.2.1]\n")
	f.Add("same: &s\n  <<: *s\n")
	f.Fuzz(func(t *testing.T, text string) {
		var s shelf
		err := conf.Decode("f.yml", []byte(text), &s)
		var problems conf.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Errorf("%T is not Problems", err)
		}
	})
}
