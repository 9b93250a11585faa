package boot

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Names of the metrics, for code, tests and dashboards.
const (
	MetricDecisions = "netboot_boot_decisions_total" // by rule, arch and firmware
	MetricPassed    = "netboot_boot_passed_total"    // by reason
)

// Why a request was passed on without a boot answer: the values of the metric's label.
const (
	passedUnreadable = "unreadable"
	passedNotBoot    = "not-boot"
	passedNoRule     = "no-rule"
	passedIgnored    = "ignored"
	passedNoServerID = "no-server-id"

	passedOtherServer = "other-server" // mode proxy: the lease is another server's
)

// counts are what the chains of one plugin decided. Of the decisions it shows those by rules that are in force: a
// rule that a reload took out of the map is in no map's tallies any more, and its series end.
type counts struct {
	passed    *prometheus.CounterVec
	decisions *prometheus.Desc

	archs  []string // the labels: each name, archOther, archUnknown
	byArch map[netboot.Arch]int

	mu   sync.Mutex
	maps []*live.Value[loaded]
}

func newCounts(r prometheus.Registerer) *counts {
	c := &counts{
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricPassed, Help: "Replies passed on without a boot answer, by reason.",
		}, []string{"reason"}),
		decisions: prometheus.NewDesc(MetricDecisions,
			"Decisions, by the rule's place in the map, the client's architecture, and what its firmware fetches with.",
			[]string{"rule", "arch", "firmware"}, nil),
		archs:  append(netboot.ArchNames(), archOther, archUnknown),
		byArch: map[netboot.Arch]int{},
	}
	for i, name := range netboot.ArchNames() {
		codes, err := netboot.ParseArch(name)
		if err != nil {
			panic(err) // a name that is none
		}
		for _, code := range codes {
			c.byArch[code] = i
		}
	}
	if r != nil {
		r.MustRegister(c, c.passed)
	}
	return c
}

func (c *counts) add(l *live.Value[loaded]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maps = append(c.maps, l)
}

// Describe implements prometheus.Collector.
func (c *counts) Describe(out chan<- *prometheus.Desc) { out <- c.decisions }

// Collect implements prometheus.Collector.
func (c *counts) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	type labels struct{ rule, arch, firmware string }
	sums := map[labels]uint64{}
	for _, l := range c.maps {
		for rule, t := range l.Load().tallies {
			for i := range t {
				if n := t[i].Load(); n > 0 {
					sums[labels{rule, c.archs[i/firmwares], netboot.Firmware(i % firmwares).String()}] += n
				}
			}
		}
	}
	for l, n := range sums {
		out <- prometheus.MustNewConstMetric(c.decisions, prometheus.CounterValue, float64(n), l.rule, l.arch, l.firmware)
	}
}

// tally counts the decisions of one rule: for each architecture label, one number for each firmware.
type tally []atomic.Uint64

// firmwares is how many kinds of netboot.Firmware there are.
const firmwares = int(netboot.FirmwareIPXE) + 1

// tallies are those of a map's rules by their places. All hosts have one: a machine's own decisions are in the log.
type tallies map[string]tally

// tallied are the tallies for p, which was read from path; a rule that stands where one stood before counts on.
func (c *counts) tallied(path string, p *Policy, before tallies) tallies {
	t := make(tallies, len(p.rules)+1)
	keep := func(place string) {
		if t[place] = before[place]; t[place] == nil {
			t[place] = make(tally, len(c.archs)*firmwares)
		}
	}
	for i := range p.rules {
		keep(p.rules[i].answer.because)
	}
	keep(hostsOf(path))
	return t
}

// hostsOf is what stands for a rule's place where a host's entry decided.
func hostsOf(path string) string { return path + ":hosts" }

// tally counts one decision. It allocates nothing.
func (h *chain) tally(now *loaded, c *netboot.Client, because string) {
	t := now.tallies[because]
	if t == nil {
		t = now.tallies[now.hosts]
	}
	t[h.counts.arch(c.Arch)*firmwares+int(c.Firmware)].Add(1)
}

// Architectures without a name are counted together, since a client can make up 65,000 codes.
const (
	archOther   = "other"
	archUnknown = "unknown"
)

// arch is the place of its label in archs.
func (c *counts) arch(a netboot.Arch) int {
	if i, named := c.byArch[a]; named {
		return i
	}
	if a == netboot.ArchUnknown {
		return len(c.archs) - 1
	}
	return len(c.archs) - 2
}
