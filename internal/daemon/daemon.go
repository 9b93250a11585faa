// Package daemon runs the long-lived parts of a program as tasks, from start through "ready" to a signal, and holds
// what all our daemons need around them: a metrics endpoint and listen errors that a person can act on.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sirupsen/logrus"
)

// Task is one long-lived part of a program. Run works until ctx ends, then stops within a bounded time and returns
// nil; any other end is an error. Ready is closed when Run does its duty. String names the task in logs.
type Task interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
	String() string
}

// Run starts every task, logs "ready" when all are, and returns when all have ended. The first task that fails stops
// the others, and its error is Run's; so do SIGTERM and SIGINT, after which the same signal kills the process.
func Run(ctx context.Context, log logrus.FieldLogger, tasks ...Task) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	var all sync.WaitGroup
	for _, t := range tasks {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := t.Run(ctx); err != nil {
				cancel(fmt.Errorf("%s: %w", t, err))
			} else if ctx.Err() == nil {
				cancel(fmt.Errorf("%s: ended by itself", t))
			}
		}()
	}
	all.Add(1)
	go func() {
		defer all.Done()
		if waitReady(ctx, tasks) {
			log.WithField("tasks", names(tasks)).Info("ready")
		}
	}()

	select {
	case <-ctx.Done():
	case s := <-signals:
		signal.Stop(signals) // a second one has its default effect
		log.WithField("signal", s.String()).Info("stopping")
		cancel(nil)
	}
	signal.Stop(signals)
	all.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

func waitReady(ctx context.Context, tasks []Task) bool {
	for _, t := range tasks {
		select {
		case <-t.Ready():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func names(tasks []Task) []string {
	var all []string
	for _, t := range tasks {
		all = append(all, t.String())
	}
	return all
}
