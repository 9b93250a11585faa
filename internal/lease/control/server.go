// Package control lets the operator's tool look at the leases of a running daemon and take one back: HTTP over a socket in
// the leases' directory, which only the directory's owner can reach.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// name is the socket's in the leases' directory.
const name = "control.sock"

// Leases are what is looked at and changed; a *lease.Book is one.
type Leases interface {
	Leases() iter.Seq[lease.Lease]
	Wall(second int64) time.Time
	Free(a netip.Addr, done func(error)) (bool, error)
}

// Server answers the tool.
type Server struct {
	http  http.Server
	path  string
	of    Leases
	ended chan error
}

// Serve begins to answer at a socket in dir, a directory that this process has locked. Close ends it.
func Serve(dir string, of Leases) (*Server, error) {
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return nil, err
	}
	l, err := listen(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &Server{path: path, of: of, ended: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /leases", s.list)
	mux.HandleFunc("POST /release/{address}", s.release)
	s.http = http.Server{Handler: mux, ReadTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 4 << 10}
	go func() { s.ended <- s.http.Serve(l) }() // ends with Close
	return s, nil
}

// Close ends it, and removes the socket.
func (s *Server) Close() error {
	err := s.http.Close()
	if end := <-s.ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return errors.Join(err, os.Remove(s.path))
}

// listen opens the socket by way of its directory, since a socket's path has at most 107 bytes.
func listen(dir string) (l *net.UnixListener, err error) {
	err = inside(dir, func(path string) error {
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // by then the path means something else
		return os.Chmod(path, 0o600)
	})
	return l, err
}

// inside calls do with a short path of the socket in dir.
func inside(dir string, do func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}

// listTime bounds a list, for a reader that stops reading.
const listTime = time.Minute

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(listTime))
	w.Header().Set("Content-Type", "application/x-ndjson")
	b := bufio.NewWriterSize(w, 32<<10)
	enc := json.NewEncoder(b)
	for l := range s.of.Leases() {
		if err := enc.Encode(view.Of(l, s.of.Wall)); err != nil {
			return // the reader has gone
		}
	}
	_ = b.Flush()
}

// release answers when the end of the lease is on stable storage.
func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	a, err := netip.ParseAddr(r.PathValue("address"))
	if err != nil {
		http.Error(w, "no address", http.StatusBadRequest)
		return
	}
	freed, err := Free(r.Context(), s.of, a)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case !freed:
		http.Error(w, errNoLease.Error(), http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// Free ends a lease, and waits until that is on stable storage.
func Free(ctx context.Context, of Leases, a netip.Addr) (bool, error) {
	written := make(chan error, 1)
	freed, err := of.Free(a, func(err error) { written <- err })
	if !freed || err != nil {
		return freed, err
	}
	select {
	case err = <-written:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return true, err
}
