package subnets_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/plugins/subnets"
)

var update = flag.Bool("update", false, "write the wanted texts of testdata anew")

// A case is a file; what is to be said of it stands beside it.
func TestEveryMistakeIsToldInOneRun(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := subnets.Load(file)
			if err == nil {
				t.Fatal("it is taken")
			}
			got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "") + "\n"
			golden := strings.TrimSuffix(file, ".yml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("%v; says:\n%s", err, got)
			}
		})
	}
}

// FuzzParse: no file, however broken, may panic, and what is taken can be arranged and looked up.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/mistakes/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("leases: l\n" + office))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := subnets.Parse("subnets.yml", b); (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
	})
}
