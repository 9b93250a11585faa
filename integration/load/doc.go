// Package load holds what the load generators share: batched system calls, a histogram that costs nothing per sample,
// and what a server under test uses of the machine. The generators themselves are in its subdirectories: dhcp, tftp,
// relay (a slow and lossy wire) and storm (a thousand machines that power on at once).
package load
