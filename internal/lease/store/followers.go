package store

import (
	"sync/atomic"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// followers are those who are told of events. Some come when the Book is open already.
type followers struct {
	all atomic.Pointer[[]func(lease.Event)]
}

// add is not called at the same time.
func (f *followers) add(tell func(lease.Event)) {
	var all []func(lease.Event)
	if now := f.all.Load(); now != nil {
		all = append(all, *now...)
	}
	all = append(all, tell)
	f.all.Store(&all)
}

func (f *followers) tell(e lease.Event) {
	if all := f.all.Load(); all != nil {
		for _, tell := range *all {
			tell(e)
		}
	}
}
