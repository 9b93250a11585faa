// Package live keeps what was read from files current while packets are served: a change builds a whole new value,
// which takes the old one's place at once, or not at all.
package live

import (
	"sync"
	"sync/atomic"
)

// Value is the current snapshot of something read from files. Readers never wait and never see half of a change.
type Value[T any] struct {
	current  atomic.Pointer[T]
	building sync.Mutex
}

// NewValue holds first.
func NewValue[T any](first *T) *Value[T] {
	v := new(Value[T])
	v.current.Store(first)
	return v
}

// Load is the current snapshot. Who decides several things by it loads it once.
func (v *Value[T]) Load() *T { return v.current.Load() }

// Replace builds a new snapshot and puts it in place. On an error the old one stays.
func (v *Value[T]) Replace(build func() (*T, error)) error {
	v.building.Lock()
	defer v.building.Unlock()
	next, err := build()
	if err != nil {
		return err
	}
	v.current.Store(next)
	return nil
}
