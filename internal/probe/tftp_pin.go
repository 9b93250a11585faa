package probe

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// retries is how often a packet of a running transfer is sent again.
const retries = 5

// receiveTFTP fetches a file into w.
func (m *Machine) receiveTFTP(ctx context.Context, net *stack, server netip.AddrPort, name string, w io.Writer) error {
	c, err := tftp.NewClient(server.String())
	if err != nil {
		return err
	}
	if net.local.IsValid() && net.local.Is4() == server.Addr().Is4() {
		if err := c.SetLocalAddr(net.local.WithZone("").String()); err != nil {
			return err
		}
	}
	c.SetTimeout(max(m.Timeout/retries, 100*time.Millisecond))
	c.SetRetries(retries)
	c.SetBackoff(func(int) time.Duration { return 0 }) // the timeout is the wait
	c.SetBlockSize(m.blockSize())
	done := make(chan error, 1)
	go func() { // ends with the transfer, or once the server has been silent for the timeout
		var transfer io.WriterTo
		err := net.do(func() (err error) {
			transfer, err = c.Receive(name, "octet")
			return err
		})
		if err == nil {
			_, err = transfer.WriteTo(w)
		}
		done <- err
	}()
	select {
	case <-ctx.Done(): // w takes nothing any more
		return ctx.Err()
	case err = <-done:
	}
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), errTooLong.Error()):
		return err
	case timeout(err):
		return stop("tftp-stalled", "packets of this size are lost on the way (MTU, a firewall without the TFTP helper), or the server died", "TFTP: %q began, and then %s fell silent", name, server)
	}
	return stop("tftp-error", "look at the TFTP server's log", "TFTP: %q ended early: %q", name, err.Error())
}
