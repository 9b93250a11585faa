// Package integration holds the stories in which real clients boot against the suite's programs: busybox, SeaBIOS
// with iPXE, plain PXE, and UEFI firmware by PXE and by HTTP, each in network namespaces of its own. They need root
// and the packages that packages.sh installs.
package integration
