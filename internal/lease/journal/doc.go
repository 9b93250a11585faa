// Package journal keeps records on stable storage: an append-only file with a checksum over each write, one
// fdatasync for all records that wait at the same time, and a compact copy from time to time. It knows nothing of what
// the records mean.
//
// A record that Append has reported as done survives the end of the process and of the power. What was not reported
// may survive too. A file that lost something which was reported is never taken for a whole one: Open refuses it.
package journal
