package expr_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/coredhcp-netboot/suite/internal/policy/expr"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// The product of two long values was 4 GiB once.
func TestLongValuesFromTheNetworkDoNotMakeALongerOne(t *testing.T) {
	x, err := expr.Condition(start, `binary-to-ascii(16, 8, option host-name, option user-class) = "x"`, words(t))
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("x"), 65_535)
	s := &option.Set{}
	s.Add(12, long)
	s.Add(77, long)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := x.Truth(&expr.Env{Options: s}); got != expr.False {
		t.Error(got)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("it took %d bytes", n)
	}
}
