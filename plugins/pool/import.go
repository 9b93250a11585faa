package pool

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lend"
)

// imported is the note that says so.
const imported = "imported the leases of stock range"

// importTime bounds the reading of a database.
const importTime = time.Minute

// importStock takes in the leases that CoreDHCP's own range has kept in file, an SQLite database, once, and tells how many.
// It does not change the file.
func importStock(b *lease.Book, file string) (n int, err error) {
	stock, err := isSQLite(file)
	if err != nil || !stock || b.Noted(imported) {
		return 0, err
	}
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		return 0, fmt.Errorf("%s has the leases of stock range, and the program sqlite3, which reads them, is not installed; install it for this start, or move the file away to begin with no leases", file)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), importTime)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "-readonly", "-batch", "-noheader", "-separator", " ", path,
		"select hex(mac), hex(ip), expiry, hex(hostname) from leases4 order by expiry desc")
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: sqlite3 cannot read the leases of stock range (%w: %s); stop what uses it, or move it away to begin with no leases", file, err, strings.TrimSpace(said.String()))
	}
	for line := range strings.Lines(out.String()) {
		c, a, end, err := row(strings.TrimSuffix(line, "\n"))
		if err != nil {
			continue // stock range stores a client without an address, and then cannot read it itself
		}
		ok, err := b.Adopt(c, a, end)
		if err != nil {
			return n, err
		}
		if ok {
			n++
		}
	}
	return n, b.Note(imported)
}

// row reads one lease: a MAC address, an address and a host name in hex, and a time.
func row(line string) (c lease.Client, a netip.Addr, end time.Time, err error) {
	words := strings.Split(line, " ")
	if len(words) != 4 {
		return c, a, end, errors.New("not four words")
	}
	var text [3]string
	for i, word := range []string{words[0], words[1], words[3]} {
		b, err := hex.DecodeString(word)
		if err != nil {
			return c, a, end, err
		}
		text[i] = string(b)
	}
	mac, err := net.ParseMAC(text[0])
	if err != nil {
		return c, a, end, err
	}
	if a, err = netip.ParseAddr(text[1]); err != nil || !a.Unmap().Is4() {
		return c, a, end, errors.New("no IPv4 address")
	}
	seconds, err := strconv.ParseInt(words[2], 10, 64)
	// Stock range does not keep the hardware's type, which is Ethernet's.
	return lease.Client{Owner: lend.Owner(ethernet, mac), MAC: string(mac), Hostname: text[2]}, a.Unmap(), time.Unix(seconds, 0), err
}

// isSQLite tells whether there is an SQLite database; a file that is something else is an error.
func isSQLite(file string) (bool, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w; let the daemon's user read it, or name another file", err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	b := make([]byte, len(magic))
	switch n, err := io.ReadFull(f, b); {
	case n == 0 && errors.Is(err, io.EOF): // SQLite makes an empty one until something is stored
		return false, nil
	case string(b) != magic:
		return false, fmt.Errorf("%s is not what stock range keeps leases in, and would not be touched; name another file", file)
	}
	return true, nil
}
