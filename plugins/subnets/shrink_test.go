package subnets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// teller plays the steps of a story: it tells what is answered to each, and what should be.
type teller[Step any] interface {
	plays(Step) (got, want string)
	stop()
}

// tellsAsForetold plays a story. If an answer is another than foretold, it tells a short one where that is so.
func tellsAsForetold[Step any](t *testing.T, seed uint64, story []Step, begin func() teller[Step]) {
	t.Helper()
	until := func(story []Step) (at int, got, want string) {
		s := begin()
		defer s.stop()
		for at, step := range story {
			if got, want = s.plays(step); got != want {
				return at, got, want
			}
		}
		return -1, "", ""
	}
	at, _, _ := until(story)
	if at < 0 {
		return
	}
	story = shrunk(story[:at+1], func(s []Step) bool { at, _, _ := until(s); return at >= 0 && at == len(s)-1 })
	var b strings.Builder
	for i, step := range story {
		fmt.Fprintf(&b, "%3d %v\n", i, step)
	}
	_, got, want := until(story)
	t.Fatalf("seed %d: the last step is answered %q, want %q\n%s", seed, got, want, &b)
}

// shrunk is a short story that still fails: steps are left out as long as it does.
func shrunk[Step any](story []Step, fails func([]Step) bool) []Step {
	for size := len(story) / 2; size > 0; {
		shorter := false
		for at := 0; at+size <= len(story); {
			if without := slices.Concat(story[:at], story[at+size:]); fails(without) {
				story, shorter = without, true
			} else {
				at += size
			}
		}
		if size > 1 || !shorter {
			size /= 2
		}
	}
	return story
}
