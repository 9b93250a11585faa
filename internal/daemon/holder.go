package daemon

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type process struct {
	id   int
	name string // at most 15 bytes: /proc/PID/comm
}

// holder finds the process whose socket stands in the way of addr. It sees its own network namespace, and other users'
// processes only as root.
func holder(network string, addr netip.AddrPort) (process, bool) {
	protocol := strings.TrimRight(network, "46")
	tables := []string{protocol, protocol + "6"}
	if strings.HasSuffix(network, "6") {
		slices.Reverse(tables)
	}
	for _, table := range tables {
		for _, inode := range inodes("/proc/net/"+table, addr) {
			if p, ok := owner(inode); ok {
				return p, true
			}
		}
	}
	return process{}, false
}

// listening is a TCP socket's state in /proc/net/tcp; UDP sockets have none that matters.
const listening = "0A"

// inodes lists the sockets in a /proc/net table that clash with addr. The layout is that of proc_net_tcp in the kernel's
// documentation: "sl local_address rem_address st ... inode", addresses in hex as words of the host's byte order.
func inodes(table string, addr netip.AddrPort) []string {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	tcp := strings.Contains(filepath.Base(table), "tcp")
	var found []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		column := strings.Fields(lines.Text())
		if len(column) < 10 || tcp && column[3] != listening {
			continue
		}
		if local, ok := procAddr(column[1]); ok && clash(addr, local) {
			found = append(found, column[9])
		}
	}
	return found
}

// procAddr reads "0100007F:0045": each group of four bytes is reversed on a little-endian machine, which all that we
// build for are.
func procAddr(s string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(ip)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(number)), ok
}

// owner finds a process that has the socket open.
func owner(inode string) (process, bool) {
	link := fmt.Sprintf("socket:[%s]", inode)
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the only error is a bad pattern
	for _, f := range files {
		if target, err := os.Readlink(f); err != nil || target != link {
			continue
		}
		dir := filepath.Dir(filepath.Dir(f))
		id, _ := strconv.Atoi(filepath.Base(dir)) // digits, by the pattern
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue // it ended meanwhile
		}
		return process{id, strings.TrimSpace(string(name))}, true
	}
	return process{}, false
}
