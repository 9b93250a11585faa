// Package netboot holds the words of network boot: who asks (Client), what it can run (Arch), what it can fetch
// (Firmware), and what it is told (Answer). It reads them from DHCP requests and writes them into replies; it opens
// nothing and knows no configuration. What firmware does against the standards is noted where it matters.
package netboot
