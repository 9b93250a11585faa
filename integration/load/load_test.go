package load_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load"
)

func TestAQuantileIsRoundedUpByLessThanTwoPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h load.Histogram
	all := make([]time.Duration, 10_000)
	for i := range all {
		all[i] = time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		h.Record(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{.01, .5, .9, .99, .999, 1} {
		exact := all[max(int(q*float64(len(all))+.5), 1)-1]
		if got := h.Quantile(q); got < exact || float64(got) > float64(exact)*1.016+1 {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
	if h.Count() != 10_000 || h.Max() != all[len(all)-1] {
		t.Errorf("%d recorded, longest %v of %v", h.Count(), h.Max(), all[len(all)-1])
	}
}

func TestEveryDurationFindsItsBucket(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, 63, 64, 127, 128, 129, time.Second, 1<<63 - 1} {
		var h load.Histogram
		h.Record(d)
		if got := h.Quantile(.5); got != max(d, 0) {
			t.Errorf("%d came back as %d", d, got)
		}
	}
}

func TestRecordingCostsNoMemory(t *testing.T) {
	var h load.Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestThisProcessUsesMemoryAndTime(t *testing.T) {
	for begun := load.ProcessTime(); load.ProcessTime()-begun < 30*time.Millisecond; { // three of /proc's ticks
	}
	u := load.Use(os.Getpid())
	if u.CPU < 10*time.Millisecond || u.RSS < 1<<20 || u.Tasks < 2 {
		t.Errorf("%+v", u)
	}
	if gone := load.Use(1 << 30); gone != (load.Usage{}) {
		t.Errorf("a process that does not exist uses %+v", gone)
	}
}
