package script_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/script"
)

var update = flag.Bool("update", false, "write the golden files anew")

func isGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("got:\n%s\nnot:\n%s", got, want)
	}
}

// Adding a case is adding a file to testdata/render: what a machine asks for.
func TestEachMachineGetsItsScript(t *testing.T) {
	l, err := script.Load("testdata/site")
	must(t, err)
	asks, err := filepath.Glob("testdata/render/*.ask")
	if err != nil || len(asks) < 12 {
		t.Fatalf("found %d cases, %v", len(asks), err)
	}
	for _, path := range asks {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			must(t, err)
			name, query, _ := strings.Cut(strings.TrimSpace(string(b)), "?")
			m, refused := script.Ask(query)
			s, err := l.Render(name, m)
			got := "# " + s.Name + " because " + s.Because + "\n" + string(s.Text)
			if err != nil {
				got = "error: " + err.Error() + "\n"
				if s.Text != nil {
					t.Error("half a script is returned")
				}
			}
			for _, r := range refused {
				got = "# refused: " + r + "\n" + got
			}
			isGolden(t, strings.TrimSuffix(path, ".ask")+".want", got)
		})
	}
}

// Adding a case is adding a directory to testdata/errors.
func TestEveryMistakeInADirectoryOfScriptsIsExplained(t *testing.T) {
	dirs, err := filepath.Glob("testdata/errors/*.want")
	if err != nil || len(dirs) < 3 {
		t.Fatalf("found %d directories, %v", len(dirs), err)
	}
	for _, want := range dirs {
		t.Run(filepath.Base(want), func(t *testing.T) {
			_, err := script.Load(strings.TrimSuffix(want, ".want"))
			if err == nil {
				t.Fatal("it is taken")
			}
			isGolden(t, want, err.Error()+"\n")
		})
	}
}

func TestADirectoryThatIsNotThereIsExplained(t *testing.T) {
	_, err := script.Load("testdata/none")
	if want := "testdata/none: the directory of scripts cannot be read: no such file or directory; correct its name or permissions"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// A Kubernetes volume shows its files as links into a directory that is replaced.
func TestScriptsMayBeLinks(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "..data"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "..data", "x.ipxe"), []byte("#!ipxe\n"), 0o644))
	must(t, os.Symlink("..data/x.ipxe", filepath.Join(dir, "x.ipxe")))
	l, err := script.Load(dir)
	must(t, err)
	if s, err := l.Render("x.ipxe", script.Machine{}); err != nil || string(s.Text) != "#!ipxe\n" {
		t.Errorf("%q, %v", s.Text, err)
	}
}

func TestASiteThatHasNothingOfItsOwnServesTheShippedScripts(t *testing.T) {
	l := library(t, nil)
	for _, name := range []string{"bootstrap.ipxe", "boot.ipxe", "autoexec.ipxe", "default.ipxe", "local.ipxe"} {
		if s, err := l.Render(name, script.Machine{}); err != nil || !strings.HasPrefix(string(s.Text), "#!ipxe\n") {
			t.Errorf("%s: %q, %v", name, s.Text, err)
		}
	}
	if _, err := l.Render("other.ipxe", script.Machine{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("other.ipxe: %v", err)
	}
}

func TestASitesOwnEntryAndDefaultComeFirst(t *testing.T) {
	own := "#!ipxe\necho own\n"
	for _, files := range []map[string]string{
		{"boot.ipxe": own},
		{"default.ipxe": own},
		{"mine.ipxe": own, "boot.ipxe": "#!ipxe\n", "machines.yml": "default: mine.ipxe\n"},
		{"mine.ipxe": own, "boot.ipxe": "#!ipxe\n", "machines.yml": "machines: [{serial: A, script: mine.ipxe}]\n"},
	} {
		m, _ := script.Ask("serial=A")
		if s, err := library(t, files).Render("boot.ipxe", m); err != nil || string(s.Text) != own {
			t.Errorf("%v: %q, %v", files, s.Text, err)
		}
	}
}

func TestATemplateIsBounded(t *testing.T) {
	list := strings.Repeat("x,", 4000)
	l := library(t, map[string]string{
		"boot.ipxe.tmpl": "#!ipxe\n{{range .values.many}}{{range $.values.many}}{{range $.values.many}}echo x\n{{end}}{{end}}{{end}}",
		"machines.yml":   "values: {many: [" + list + "x]}\n",
	})
	s, err := l.Render("boot.ipxe", script.Machine{})
	if err == nil || !strings.HasSuffix(err.Error(), "boot.ipxe.tmpl: the script becomes longer than 256 KiB") || s.Text != nil {
		t.Errorf("%d bytes, %v", len(s.Text), err)
	}
}
