// Package dhcp offers a DHCPv4 server the load of many booting machines, relayed or on the same wire, and checks every
// answer: whose it is, whether the address is free, and whether the boot file is the right one.
package dhcp
