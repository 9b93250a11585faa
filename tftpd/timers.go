package tftpd

import (
	"container/heap"
	"time"
)

// timers are the sessions of a port, the one to look at next first. A session whose time was put off stays where it is
// until its old time comes, so that most ACKs cost nothing here.
type timers []*session

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].waits.Before(t[j].waits) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i, j
}

// Push is for container/heap.
func (t *timers) Push(x any) {
	s := x.(*session)
	s.place = len(*t)
	*t = append(*t, s)
}

// Pop is for container/heap.
func (t *timers) Pop() any {
	last := len(*t) - 1
	s := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return s
}

func (t *timers) add(s *session) {
	s.waits = s.due
	heap.Push(t, s)
}

// hasten is called when a session's time has come nearer, perhaps.
func (t *timers) hasten(s *session) {
	if s.due.Before(s.waits) {
		s.waits = s.due
		heap.Fix(t, s.place)
	}
}

func (t *timers) remove(s *session) { heap.Remove(t, s.place) }

// next is when the first session is to be looked at; zero if there is none.
func (t timers) next() time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[0].waits
}

// expired is a session whose time has come, which stays among the timers; nil if there is none.
func (t *timers) expired(now time.Time) *session {
	for len(*t) > 0 && !(*t)[0].waits.After(now) {
		s := (*t)[0]
		if !s.due.After(now) {
			return s
		}
		t.put(s)
	}
	return nil
}

// put moves a session to where its time belongs.
func (t *timers) put(s *session) {
	s.waits = s.due
	heap.Fix(t, s.place)
}
