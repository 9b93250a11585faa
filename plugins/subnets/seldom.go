package subnets

import (
	"maps"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// lineEvery is the time between two lines of one cause, maxCauses how many are told apart: most are constants, but some name a
// machine or an error.
const (
	lineEvery = 10 * time.Second
	maxCauses = 64
)

// seldom keeps the log of requests that get nothing from growing with them: anybody can send as many as he likes.
type seldom struct {
	clock lease.Clock

	mu     sync.Mutex
	causes map[string]*cause
}

// cause is why something is logged.
type cause struct {
	next time.Duration // no line before
	left int           // lines since the last one
}

func newSeldom(c lease.Clock) *seldom { return &seldom{clock: c, causes: map[string]*cause{}} }

// log writes a line at its usual level, or at debug if its cause was told lately. The entry is made only if it is written.
func (s *seldom) log(to *logrus.Entry, usual logrus.Level, because, message string, entry func() *logrus.Entry) {
	level, left := usual, logrus.Fields(nil)
	if usual < logrus.DebugLevel {
		level, left = s.level(usual, because)
	}
	if to.Logger.IsLevelEnabled(level) {
		entry().WithFields(left).Log(level, message)
	}
}

// level is that of a line of a cause: the usual one every 10 seconds at most, with the number of those that were left out since
// the last one, or else debug.
func (s *seldom) level(usual logrus.Level, because string) (logrus.Level, logrus.Fields) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Since()
	c := s.causes[because]
	if c == nil && len(s.causes) >= maxCauses {
		maps.DeleteFunc(s.causes, func(_ string, c *cause) bool { return c.next <= now })
		if len(s.causes) >= maxCauses {
			because = "" // the rest counts as one
			c = s.causes[because]
		}
	}
	if c == nil {
		c = new(cause)
		s.causes[because] = c
	}
	if now < c.next {
		c.left++
		return logrus.DebugLevel, nil
	}
	left := c.left
	c.next, c.left = now+lineEvery, 0
	if left == 0 {
		return usual, nil
	}
	return usual, logrus.Fields{"left_out": left}
}
