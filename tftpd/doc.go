// Package tftpd serves boot files, read-only, by TFTP (RFC 1350, 2347 to 2349, 7440) and by HTTP. It is the file service of
// the suite as a library: sockets and files come from the caller, what happened goes to a logger and to metrics.
package tftpd
