package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

// ErrNobody is what Dial says where no daemon has the leases open.
var ErrNobody = errors.New("no daemon has the leases open")

var errNoLease = errors.New("has no lease, and is in no quarantine")

// Client asks a running daemon.
type Client struct{ http http.Client }

// Dial reaches the daemon that has the leases of a directory open.
func Dial(dir string) (*Client, error) {
	dial := func() (c net.Conn, err error) {
		err = inside(dir, func(path string) error {
			c, err = net.DialTimeout("unix", path, 5*time.Second)
			return err
		})
		return c, err
	}
	first, err := dial()
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED):
		return nil, ErrNobody
	case err != nil:
		return nil, err
	}
	first.Close()
	return &Client{http.Client{
		Timeout:   2 * listTime,
		Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }},
	}}, nil
}

// Close gives the connection back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Leases hands each lease to each, in no order.
func (c *Client) Leases(each func(view.Lease) error) error {
	resp, err := c.http.Get("http://leases/leases")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := answer(resp); err != nil {
		return err
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var l view.Lease
		switch err := dec.Decode(&l); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

// Release ends a lease or a quarantine; when it returns nil, that is on stable storage.
func (c *Client) Release(a netip.Addr) error {
	resp, err := c.http.Post("http://leases/release/"+a.String(), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return answer(resp)
}

func answer(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode == http.StatusNotFound && strings.Contains(string(text), errNoLease.Error()) {
		return errNoLease
	}
	return fmt.Errorf("the daemon says: %d %q", resp.StatusCode, text)
}
