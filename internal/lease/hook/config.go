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

// Bounds of a Config.
const (
	MaxTimeout = time.Hour
	MaxAtOnce  = 64
	MaxQueue   = 1 << 20
)

// Of is a hook by one word: an http or https URL, or the path of a program.
func Of(word string) Config {
	if u, err := url.Parse(word); err == nil && u.Scheme != "" {
		return Config{URL: word}
	}
	return Config{Run: []string{word}}
}

// Parse is Of, checked, with a program that this host has.
func Parse(word string) (Config, error) {
	c := Of(word)
	if err := c.Check(); err != nil {
		return c, err
	}
	return c, c.Missing()
}

// On tells whether there is anything to do.
func (c *Config) On() bool { return len(c.Run) > 0 || c.URL != "" }

// Missing tells that this host has no such program.
func (c *Config) Missing() error {
	if len(c.Run) == 0 {
		return nil
	}
	if _, err := exec.LookPath(c.Run[0]); err != nil {
		return fmt.Errorf("the hook %q is no program (%w); name one that the daemon's user can run", c.Run[0], cause(err))
	}
	return nil
}

// Check finds every mistake that does not depend on the host.
func (c *Config) Check() error { return errors.Join(c.Mistakes()...) }

// Mistakes are those of Check, each for itself.
func (c *Config) Mistakes() (errs []error) {
	if len(c.Run) > 0 && c.URL != "" {
		errs = append(errs, errors.New("a hook runs a program or posts to a URL; remove one of the two, or let the program post"))
	}
	if len(c.Run) > 0 && !filepath.IsAbs(c.Run[0]) {
		errs = append(errs, fmt.Errorf("the hook %q has no whole path; write it from / on", c.Run[0]))
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("the hook %q is no URL to post to; write one like http://192.0.2.1:8080/leases", c.URL))
		}
	}
	if c.Timeout < 0 || c.Timeout > MaxTimeout {
		errs = append(errs, fmt.Errorf("a hook's time of %s is none; write one between 1s and 1h", c.Timeout))
	}
	if c.AtOnce < 0 || c.AtOnce > MaxAtOnce {
		errs = append(errs, fmt.Errorf("%d hooks at the same time are too many; %d can run", c.AtOnce, MaxAtOnce))
	}
	if c.Queue < 0 || c.Queue > MaxQueue {
		errs = append(errs, fmt.Errorf("%d waiting events are too many; %d can wait", c.Queue, MaxQueue))
	}
	return errs
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
