// Package lease keeps who may use which address until when: in memory, and in a journal that survives a loss of power.
// It knows nothing of DHCP. No operation takes longer because a pool is larger or more leases exist, but by O(log n).
// What it knows is bounded, whatever identities clients make up: by the size of an IPv4 pool, and by 65,536 records in an IPv6
// pool, which then lends again what has been free for the longest time.
//
// An owner has one address at a time. What a Book has reported as done it still knows after any crash, and it never lends
// an address to two owners whose times overlap; where the disk fails, an address stays reserved rather than lent.
package lease
