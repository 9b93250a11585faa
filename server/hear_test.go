package server

import (
	"context"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

func TestAnErrorOfTheKernelThatLastsKeepsNoProcessorBusy(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	i, err := newInterfaces(logrus.NewEntry(log))
	if err != nil {
		t.Fatal(err)
	}
	i.events.Close() // from now on every read fails
	ctx, cancel := context.WithTimeout(t.Context(), 3*retry/2)
	defer cancel()
	changed, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); i.hear(ctx, changed) }()
	looks := 0
	for ctx.Err() == nil {
		select {
		case <-changed:
			looks++
		case <-ctx.Done():
		}
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it hears on")
	}
	if looks > 2 {
		t.Errorf("it looked %d times in %v", looks, 3*retry/2)
	}
}
