package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc, USER_HZ: 100 a second on every architecture that Go knows.
const tick = time.Second / 100

// Usage is what a server has used, its children among it.
type Usage struct {
	CPU   time.Duration // since it started, with the children that have ended
	RSS   int           // bytes that are resident now
	Tasks int           // threads, in all processes
}

// Use reads what the process and its descendants use. A process that has ended uses nothing.
func Use(pid int) Usage {
	var u Usage
	for _, p := range tree(pid) {
		one, err := useOne(p)
		if err != nil {
			continue // it ended between the two looks
		}
		u.Add(one)
	}
	return u
}

// Add adds what another process has used.
func (u *Usage) Add(one Usage) {
	u.CPU += one.CPU
	u.RSS += one.RSS
	u.Tasks += one.Tasks
}

// tree is a process and all that descend from it.
func tree(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, list := range lists {
			text, _ := os.ReadFile(list) // gone: no children
			for _, child := range strings.Fields(string(text)) {
				if n, err := strconv.Atoi(child); err == nil {
					pids = append(pids, n)
				}
			}
		}
	}
	return pids
}

func useOne(pid int) (u Usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name, in parentheses, may hold anything; the rest is numbers. See proc(5).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, threads = 14 - 3, 20 - 3
	if len(fields) <= threads {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	for _, f := range fields[utime : utime+4] { // utime, stime, and both of the children waited for
		n, _ := strconv.Atoi(f)
		u.CPU += time.Duration(n) * tick
	}
	u.Tasks, _ = strconv.Atoi(fields[threads])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	u.RSS = kilobytes(string(status), "VmRSS:")
	return u, nil
}

func kilobytes(status, key string) int {
	_, rest, found := strings.Cut(status, key)
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n << 10
}

// Machine is a reading of the whole machine's clocks.
type Machine struct {
	Busy   time.Duration // CPU time of everything but idling, on all cores
	Stolen time.Duration // CPU time that the hypervisor gave to somebody else
}

// ReadMachine reads /proc/stat. What a run's own processes did not use of the difference of two readings is noise.
func ReadMachine() Machine {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	var m Machine
	for i, f := range fields {
		n, _ := strconv.Atoi(f)
		switch d := time.Duration(n) * tick; i {
		case 1, 2, 3, 6, 7:
			m.Busy += d
		case 8:
			m.Stolen = d
		}
	}
	return m
}

// ThreadTime is the CPU time of the calling thread.
func ThreadTime() time.Duration { return cpuTime(unix.CLOCK_THREAD_CPUTIME_ID) }

// ProcessTime is the CPU time of this process.
func ProcessTime() time.Duration { return cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID) }

func cpuTime(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// PinThread keeps the calling thread, which the caller has locked, on one core, and returns how to undo it.
func PinThread(cpu int) (undo func(), err error) {
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read the cores of this thread: %w", err)
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return nil, fmt.Errorf("pin this thread to core %d: %w", cpu, err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}
