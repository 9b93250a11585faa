// Package lease keeps who may use which address until when: in memory, and in a journal that survives a loss of power.
// It knows nothing of DHCP. No operation takes longer because a pool is larger or more leases exist, but by O(log n).
// What it knows is bounded, whatever identities clients make up: by the size of an IPv4 pool, and by 65,536 records in an IPv6
// pool, which then lends again what has been free for the longest time.
//
// An owner has one address at a time. What a Book has reported as done it still knows after any crash, and it never lends
// an address to two owners whose times overlap; where the disk fails, an address stays reserved rather than lent.
//
// A Book changes its memory first, and then proposes the record to its storage. That is no promise: nobody is told, nor answered
// from the memory alone, before the storage has said that the record is kept. So storage can be shared by several Books, each
// on a host of its own, if
//
//   - a record of an address is kept only if none has been kept that its Book has not learned of (compare-and-set by address);
//   - each Book learns of what the others had kept (watch), which takes the place of what it had in its memory, also of a
//     proposal that is still on its way; and of the record that has won before it hears that its own has lost;
//   - seconds in records are of one time for all, up to a bound on which leases are held longer. Who keeps them need not watch
//     for their ends (expiry): an end is in the record, and each Book ends a lease by itself.
//
// One thing does not hold yet: a young lease is answered from the memory, as Commit says, which would be wrong in a Book that has
// not heard that the lease is over. Where storage is shared it has to be proposed again, like any other.
//
// Front ends see nothing of it: a Commit that has lost fails like one that a disk refused. Which addresses are offered each Book
// decides alone, so that two Books may offer one address; the Commit decides who has it. That an owner has one address at a
// time holds for each Book; who commits with two at once keeps both until the first ends.
package lease
