package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness makes the benchmark and its servers three times as important as what else runs here.
const niceness = -5

// prioritize raises the priority of this process, of the servers that it starts, and, where the kernel weighs whole
// sessions against each other (sched_autogroup), of this session. It returns how to give that last one back.
func prioritize() (restore func(), err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	for _, t := range threads { // later ones inherit it
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return nil, err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); err != nil {
			return nil, fmt.Errorf("raise this process's priority: %w", err)
		}
	}
	const session = "/proc/self/autogroup"
	text, err := os.ReadFile(session)
	if err != nil {
		return func() {}, nil // the kernel does not weigh sessions
	}
	var group, before int
	if _, err := fmt.Sscanf(string(text), "/autogroup-%d nice %d", &group, &before); err != nil {
		return nil, fmt.Errorf("%s: %q: %w", session, text, err)
	}
	set := func(n int) error { return os.WriteFile(session, []byte(strconv.Itoa(n)), 0) }
	return func() { _ = set(before) }, set(niceness) // what cannot be given back ends with the session
}
