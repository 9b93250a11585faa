// Package hook tells the world what becomes of leases: it runs a program, or posts JSON, for each event. It is never in
// the way of a request: what waits is bounded, and what is too much is dropped and counted.
package hook

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// Config is what a hook does. The zero value does nothing. Any front end can embed it.
type Config struct {
	Run     []string      // a program and its arguments; no shell is between
	URL     string        // http or https: where JSON is posted
	Events  []lease.Kind  // empty: all but offered
	Timeout time.Duration // after which a program is killed, or a post given up; 0: 10 s
	AtOnce  int           // how many run at the same time; 0: 4. The events of one address come one after the other
	Queue   int           // how many events wait; 0: 1024
}

// Parse is a hook from one word: an http or https URL, or the path of a program.
func Parse(word string) (Config, error) {
	c := Config{Run: []string{word}}
	if u, err := url.Parse(word); err == nil && u.Scheme != "" {
		c = Config{URL: word}
	}
	return c, c.Check()
}

// On tells whether there is anything to do.
func (c *Config) On() bool { return len(c.Run) > 0 || c.URL != "" }

// Check finds every mistake. A program is looked for.
func (c *Config) Check() error {
	var errs []error
	if len(c.Run) > 0 && c.URL != "" {
		errs = append(errs, errors.New("a hook runs a program or posts to a URL; use two hooks, or let the program post"))
	}
	if len(c.Run) > 0 {
		if _, err := exec.LookPath(c.Run[0]); !filepath.IsAbs(c.Run[0]) {
			errs = append(errs, fmt.Errorf("the hook %q has no whole path; write it from / on", c.Run[0]))
		} else if err != nil {
			errs = append(errs, fmt.Errorf("the hook %q is no program (%w); name one that the daemon's user can run", c.Run[0], cause(err)))
		}
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("the hook %q is no URL to post to; write one like http://192.0.2.1:8080/leases", c.URL))
		}
	}
	if c.Timeout < 0 || c.Timeout > time.Hour {
		errs = append(errs, fmt.Errorf("a hook's time of %s is none; write one between 1s and 1h", c.Timeout))
	}
	if c.AtOnce < 0 || c.AtOnce > 64 {
		errs = append(errs, fmt.Errorf("%d hooks at the same time are too many; 64 can run", c.AtOnce))
	}
	if c.Queue < 0 || c.Queue > 1<<20 {
		errs = append(errs, fmt.Errorf("%d waiting events are too many; %d can wait", c.Queue, 1<<20))
	}
	return errors.Join(errs...)
}

// cause is the system's own word, without what repeats the path.
func cause(err error) error {
	var no syscall.Errno
	var e *exec.Error
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &e):
		return e.Err
	}
	return err
}

func (c Config) withDefaults() Config {
	if len(c.Events) == 0 {
		c.Events = []lease.Kind{lease.Leased, lease.Released, lease.Declined, lease.Expired}
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.AtOnce == 0 {
		c.AtOnce = 4
	}
	if c.Queue == 0 {
		c.Queue = 1024
	}
	return c
}

// wants tells whether a kind is asked for.
func (c *Config) wants(k lease.Kind) bool { return slices.Contains(c.Events, k) }
