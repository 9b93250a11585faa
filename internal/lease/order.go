package lease

import "container/heap"

// outside is the place of an entry that is in no order.
const outside = -1

// order is a heap of entries by their ends, soonest first, and among equals by address. An entry is in one order at most.
type order []*entry

func (o order) Len() int { return len(o) }

func (o order) Less(i, j int) bool { return o[i].before(o[j]) }

func (e *entry) before(other *entry) bool {
	if e.end != other.end {
		return e.end < other.end
	}
	return e.addr.Less(other.addr)
}

func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = int32(i), int32(j)
}

// Push implements heap.Interface.
func (o *order) Push(x any) {
	e := x.(*entry)
	e.place = int32(len(*o))
	*o = append(*o, e)
}

// Pop implements heap.Interface.
func (o *order) Pop() any {
	last := len(*o) - 1
	e := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	e.place = outside
	return e
}

func (o *order) add(e *entry) { heap.Push(o, e) }

func (o *order) remove(e *entry) { heap.Remove(o, int(e.place)) }

func (o order) first() *entry {
	if len(o) == 0 {
		return nil
	}
	return o[0]
}
