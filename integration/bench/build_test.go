package main

import (
	"os/exec"
	"testing"
)

// bin is a directory with the programs that the tests measure, built from this source.
func bin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "./cmd/echod", "./cmd/pind").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}
