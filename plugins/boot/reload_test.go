package boot_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/coredhcp-netboot/suite/internal/live"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// reloading serves a map that is read again when it changes.
func reloading(t *testing.T, text string) (c *chain, write func(text string)) {
	t.Helper()
	return reloadingIn(t, text, nil)
}

// reloadingIn shows what it counts in reg.
func reloadingIn(t *testing.T, text string, reg prometheus.Registerer) (c *chain, write func(text string)) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "boot.yml")
	write = func(text string) {
		t.Helper()
		must(t, os.WriteFile(path+".new", []byte(text), 0o644))
		must(t, os.Rename(path+".new", path))
	}
	write(text)
	log, _ := logtest.NewNullLogger()
	r := live.NewReloader(log, nil)
	c = chainIn(t, path, boot.Env{Reload: r, Metrics: reg})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	<-r.Ready()
	return c, write
}

// until asks until the machine is told this file.
func (c *chain) until(t *testing.T, file string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		if parse4(t, c.ask4(biosROM.bytes())).bootFile() == file {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("is not told %s after 20 s", file)
		}
	}
}

func TestChangedMapIsServedAndABrokenOneIsNot(t *testing.T) {
	c, write := reloading(t, "rules: [{arch: bios, file: one}]\n")
	c.until(t, "one")
	write("rules: [{arch: bios, file: two}]\n")
	c.until(t, "two")
	write("rules: [{arch: boss, file: three}]\n")
	write("rules: [{arch: bios, fil: three}]\n")
	c.until(t, "two")
	write("rules: [{arch: bios, file: four}]\n")
	c.until(t, "four")
}

// Both chains name one file, as both families' sections do.
func TestAMapOfBothFamiliesIsReadOnceAndTakenInOneStep(t *testing.T) {
	c, write := reloading(t, "next-server: [10.0.0.1, \"2001:db8::1\"]\nrules: [{arch: [bios, uefi-x64], file: one}]\n")
	loads := func() (n int) {
		for _, e := range c.hook.AllEntries() {
			if e.Message == "boot map loaded" {
				n++
			}
		}
		return n
	}
	if loads() != 1 {
		t.Errorf("the map was read %d times at the start", loads())
	}
	write("next-server: [10.0.0.1, \"2001:db8::1\"]\nrules: [{arch: [bios, uefi-x64], file: two}]\n")
	c.until(t, "two")
	if _, got := options6(t, c.ask6(message6(solicit, pxe6...))); loads() != 2 || string(get6(got, 59)) != "tftp://[2001:db8::1]/two" {
		t.Errorf("the map was read %d times, and DHCPv6 tells %s", loads(), get6(got, 59))
	}
}

// Every reply comes from one map as a whole, while maps change under load.
func TestNoReplyIsLostOrOfTwoMapsWhileTheyChange(t *testing.T) {
	text := func(n int) string {
		return fmt.Sprintf("rules:\n  - {arch: bios, file: file-%d, server-name: name-%[1]d, options: {root-path: root-%[1]d}}\n", n)
	}
	c, write := reloading(t, text(0))
	c.log.SetLevel(logrus.ErrorLevel) // a line for each answer is not what is tested here

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answers atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			mine := &chain{t: t, four: c.four}
			for ctx.Err() == nil {
				r := parse4(t, mine.ask4(biosROM.bytes()))
				var file, name, root int
				if r == nil {
					t.Error("a request was lost")
					return
				}
				fmt.Sscanf(r.bootFile(), "file-%d", &file)
				fmt.Sscanf(r.sname(), "name-%d", &name)
				fmt.Sscanf(string(r.get(17)), "root-%d", &root)
				if file != name || name != root || r.bootFile() == "" {
					t.Errorf("of two maps: %q %q %q", r.bootFile(), r.sname(), r.get(17))
					return
				}
				answers.Add(1)
			}
		}()
	}
	for n := 1; n <= 8; n++ {
		write(text(n))
		c.until(t, fmt.Sprintf("file-%d", n))
	}
	cancel()
	all.Wait()
	if answers.Load() < 1000 {
		t.Errorf("only %d answers: this was no load", answers.Load())
	}
}
