package main

import (
	"runtime"
	"time"

	"github.com/coredhcp-netboot/suite/integration/load"
)

// meter reads what a server and the machine use while something runs.
type meter struct {
	stopped chan struct{}
	peak    chan load.Usage
	site    *Site
	used    load.Usage
	machine load.Machine
	own     time.Duration
	begun   time.Time
}

func startMeter(s *Site) *meter {
	runtime.GC() // not in the middle
	m := &meter{make(chan struct{}), make(chan load.Usage), s, s.Use(), load.ReadMachine(), load.ProcessTime(), time.Now()}
	go m.watch()
	return m
}

// watch looks for the most memory and tasks in use at any time.
func (m *meter) watch() {
	peak := m.used
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now := m.site.Use()
		peak.RSS, peak.Tasks = max(peak.RSS, now.RSS), max(peak.Tasks, now.Tasks)
		select {
		case <-m.stopped:
			m.peak <- peak
			return
		case <-tick.C:
		}
	}
}

// stop notes the use; the server's CPU time is divided by what it was for.
func (m *meter) stop(metrics map[string]float64, name string, what float64) {
	after, now, elapsed := m.site.Use(), load.ReadMachine(), time.Since(m.begun)
	cpu := after.CPU - m.used.CPU
	if what > 0 {
		metrics[name] = cpu.Seconds() / what
	}
	close(m.stopped)
	peak := <-m.peak
	metrics["rss_mb"], metrics["tasks"] = float64(peak.RSS)/mega, float64(peak.Tasks)
	others := now.Busy - m.machine.Busy - cpu - (load.ProcessTime() - m.own) + now.Stolen - m.machine.Stolen
	metrics["noise"] = max(others.Seconds(), 0) / elapsed.Seconds() / float64(runtime.NumCPU())
}
