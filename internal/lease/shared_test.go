package lease_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// cluster keeps records for several Books: the newest of an address counts, and who has not seen it loses.
type cluster struct {
	mu      sync.Mutex
	kept    []kept // in the order in which they won
	newest  map[netip.Addr]int
	refused int
}

type kept struct {
	by     *node
	addr   netip.Addr
	record []byte
}

// node is a cluster as one Book sees it: late.
type node struct {
	*lease.Book
	pool    *lease.Pool
	cluster *cluster
	name    uint64
	boots   atomic.Uint64 // counts exchanges
	late    *rand.Rand
	work    chan proposal
	ended   chan struct{}

	mu      sync.Mutex
	learned int                // how many of the cluster's records the Book knows
	seen    map[netip.Addr]int // the newest of each address that it knows
}

type proposal struct {
	record []byte
	addr   netip.Addr
	seen   int
	done   func(error)
}

var errLost = errors.New("another server was faster")

func (c *cluster) join(t *testing.T, clock lease.Clock, seed uint64, size int) *node {
	t.Helper()
	n := &node{cluster: c, name: seed, late: random(seed), work: make(chan proposal, 1024), ended: make(chan struct{}), seen: map[netip.Addr]int{}}
	n.Book = lease.Share(lease.Config{Clock: clock}, n)
	var err error
	if n.pool, err = n.NewPool(lease.Range{First: addr(1), Last: addr(size)}); err != nil {
		t.Fatal(err)
	}
	go n.run(t)
	return n
}

// Append implements lease's storage. What the Book knew when it made the record is compared when the record arrives.
func (n *node) Append(record []byte, done func(error)) error {
	_, l, ok := lease.Canonical(record)
	if !ok {
		return fmt.Errorf("%x is no record of a lease", record)
	}
	n.mu.Lock()
	seen := n.seen[l.Addr]
	n.mu.Unlock()
	n.work <- proposal{append([]byte(nil), record...), l.Addr, seen, done}
	return nil
}

// Close implements lease's storage.
func (n *node) Close() error {
	close(n.work)
	<-n.ended
	return nil
}

func (n *node) run(t *testing.T) {
	defer close(n.ended)
	for p := range n.work {
		err := n.cluster.keeps(n, p)
		if err != nil || n.late.IntN(4) == 0 { // else it learns of the others later
			n.learns(t)
		}
		if p.done != nil {
			p.done(err)
		}
	}
}

// keeps is compare-and-set.
func (c *cluster) keeps(n *node, p proposal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest[p.addr] != p.seen {
		c.refused++
		return errLost
	}
	c.kept = append(c.kept, kept{n, p.addr, p.record})
	c.newest[p.addr] = len(c.kept)
	n.mu.Lock()
	n.seen[p.addr] = len(c.kept)
	n.mu.Unlock()
	return nil
}

// learns tells the Book what the others had kept.
func (n *node) learns(t *testing.T) {
	n.cluster.mu.Lock()
	news := n.cluster.kept[n.learned:]
	n.cluster.mu.Unlock()
	for _, k := range news {
		n.learned++
		n.mu.Lock()
		old := n.seen[k.addr] >= n.learned
		n.mu.Unlock()
		if k.by == n || old {
			continue
		}
		if err := n.Learn(k.record); err != nil {
			t.Error(err)
		}
		n.mu.Lock()
		n.seen[k.addr] = n.learned
		n.mu.Unlock()
	}
}

// leases commits with a new hostname each time, so that no young lease is answered from the memory; see the package's comment.
func (n *node) leases(owner string, a netip.Addr, d time.Duration) (time.Duration, error) {
	written := make(chan error, 1)
	c := lease.Client{Owner: owner, MAC: owner, Hostname: fmt.Sprint("boot ", n.boots.Add(1), " at ", n.name)}
	granted, err := n.Commit(c, a, d, func(err error) { written <- err }, n.pool)
	if err == nil {
		err = <-written
	}
	return granted, err
}

func twoNodes(t *testing.T, seed uint64, size int) (*cluster, *clock, []*node) {
	t.Helper()
	c, k := &cluster{newest: map[netip.Addr]int{}}, &clock{physical: time.Hour}
	nodes := []*node{c.join(t, k, seed, size), c.join(t, k, seed+1, size)}
	t.Cleanup(func() {
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return c, k, nodes
}

func TestOfTwoServersThatLendOneAddressOneLosesAndItsClientIsNotTold(t *testing.T) {
	c, k, nodes := twoNodes(t, 1, 3)
	for i, n := range nodes {
		if a, err := n.Offer(fmt.Sprint("client ", i), netip.Addr{}, n.pool); err != nil || a != addr(1) {
			t.Fatalf("server %d offers %s, %v", i, a, err)
		}
	}
	told := make(chan error, len(nodes))
	for i, n := range nodes {
		go func() {
			_, err := n.leases(fmt.Sprint("client ", i), addr(1), time.Minute)
			told <- err
		}()
	}
	if first, second := <-told, <-told; (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), errLost) {
		t.Fatalf("one must win: %v, %v", first, second)
	}
	winner := "client 0"
	if c.kept[0].by == nodes[1] {
		winner = "client 1"
	}
	for i, n := range nodes {
		l, _ := n.Lease(addr(1))
		switch owner := fmt.Sprint("client ", i); {
		case owner == winner:
		case l.Owner != winner || l.State != lease.Active:
			t.Errorf("server %d has lost, and believes %+v", i, l)
		default:
			a, err := n.Offer(owner, addr(1), n.pool)
			if err == nil {
				_, err = n.leases(owner, a, time.Minute)
			}
			if err != nil || a != addr(2) {
				t.Errorf("who has lost begins anew, and gets %s, %v", a, err)
			}
		}
	}
	k.passes(2 * time.Minute)
	for i, n := range nodes {
		if l, known := n.Lease(addr(1)); known && l.State != lease.Free {
			t.Errorf("server %d does not end the lease: %+v", i, l)
		}
	}
}

// Clients ask any of two servers, which know of each other's leases late. What a client was told nobody else is told.
func TestServersThatShareTheirLeasesLendNoAddressTwice(t *testing.T) {
	lost := 0
	for seed := range uint64(*seeds / 10) {
		c, k, nodes := twoNodes(t, seed, 6)
		all := make([]believer, 8)
		for round := range uint64(12) {
			var asking sync.WaitGroup
			for i := range all {
				r := random(seed<<16 | round<<8 | uint64(i))
				asking.Add(1)
				go func() {
					defer asking.Done()
					asks(nodes[r.IntN(2)], &all[i], i, k.Since(), r)
				}()
			}
			asking.Wait()
			has := map[netip.Addr]string{}
			for _, b := range all {
				if b.until <= k.Since() {
					continue
				}
				if other := has[b.addr]; other != "" {
					t.Errorf("seed %d, round %d: %s and %s have both been told of %s", seed, round, other, b.name, b.addr)
				}
				has[b.addr] = b.name
			}
			k.passes(time.Duration(1+seed%20) * time.Second)
		}
		c.mu.Lock()
		lost += c.refused
		c.mu.Unlock()
	}
	if lost == 0 {
		t.Error("no server was ever slower than the other")
	}
}

// asks is an exchange of a client, which may give the address back.
func asks(n *node, b *believer, number int, now time.Duration, r *rand.Rand) {
	b.name = fmt.Sprint("client ", number)
	a, err := n.Offer(b.name, netip.Addr{}, n.pool)
	if err != nil {
		return
	}
	granted, err := n.leases(b.name, a, time.Duration(1+r.IntN(60))*time.Second)
	if err != nil {
		return
	}
	b.addr, b.until = a, now+granted
	if r.IntN(4) == 0 && n.Release(b.name, a) {
		b.until = 0
	}
}
