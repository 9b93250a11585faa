package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/coredhcp-netboot/suite/internal/netboot"
)

const maxRedirects = 10

// bootTypes are the types that UEFI's HTTP boot knows, which it compares as a whole; any other it takes by the ending of
// the path (EDK2 HttpBootSupport.c).
var bootTypes = []string{"application/efi", "application/vnd.efi-iso", "application/vnd.efi-img"}

// browser is HTTP as firmware speaks it.
type browser struct {
	*http.Client
	agent   string
	machine *Machine
}

func (m *Machine) browser(net *stack) *browser {
	b := &browser{agent: "UefiHttpBoot/1.0", machine: m}
	if m.Firmware.Firmware == netboot.FirmwareIPXE {
		b.agent = "iPXE/1.21.1"
	}
	b.Client = &http.Client{
		Transport: &http.Transport{
			DialContext: net.dial, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
			ResponseHeaderTimeout: max(m.Timeout, dialTimeout), TLSHandshakeTimeout: dialTimeout,
			// What the firmware trusts is not known here: the certificate is looked at, and the file fetched all the same.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: b.certificate},
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return stop("redirects", "let the URL lead to the file", "HTTP: %q leads from redirect to redirect", via[0].URL.String())
			}
			m.tell("HTTP", nil, "redirected to %q", req.URL.String())
			return nil
		},
	}
	return b
}

// certificate notes one that this host does not trust.
func (b *browser) certificate(c tls.ConnectionState) error {
	rest := x509.NewCertPool()
	for _, issuer := range c.PeerCertificates[1:] {
		rest.AddCert(issuer)
	}
	if _, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: c.ServerName, Intermediates: rest}); err != nil {
		b.machine.remark(note("certificate", "this host does not trust the server's certificate (%q): firmware needs its CA enrolled", err.Error()))
	}
	return nil
}

func (b *browser) ask(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, stop("bad-url", "write it like http://192.0.2.1/boot.ipxe", "%q is no URL", u.String())
	}
	req.Header.Set("User-Agent", b.agent)
	req.Header.Set("Accept", "*/*")
	resp, err := b.Do(req)
	if err != nil {
		return nil, httpFailed(ctx, u, err)
	}
	b.machine.tell("HTTP", nil, "%s %q: %q, type %q, length %s", method, u.String(), resp.Status, resp.Header.Get("Content-Type"), length(resp))
	return resp, nil
}

func length(r *http.Response) string {
	if r.ContentLength < 0 {
		return "not told"
	}
	return fmt.Sprint(r.ContentLength)
}

func httpFailed(ctx context.Context, u *url.URL, err error) error {
	var ours *Stop
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, syscall.ECONNREFUSED):
		return stop("http-refused", "start the HTTP server, or correct the port in the URL", "HTTP: nothing listens at %q", u.Host)
	case timeout(err):
		return stop("http-silent", "a firewall, or a server that hangs", "HTTP: no answer of %q in time", u.Host)
	}
	return stop("http-failed", "look at the HTTP server", "HTTP: %q failed: %q", u.String(), err.Error())
}

// fetchHTTP fetches a file: HEAD first for its size, as EDK2 does, then GET. iPXE has GET alone.
func (m *Machine) fetchHTTP(ctx context.Context, net *stack, u *url.URL, to *sink) (kind string, err error) {
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLinkLocalUnicast() && ip.Is6() && ip.Zone() == "" {
		return "", stop("bad-url", "name a global address", "the URL %q has an address that is valid on one link only", u.String())
	}
	b := m.browser(net)
	defer b.CloseIdleConnections()
	size := int64(-1)
	if m.Firmware.Firmware != netboot.FirmwareIPXE {
		resp, err := b.ask(ctx, http.MethodHead, u)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		if size = resp.ContentLength; resp.StatusCode != http.StatusOK || size < 0 {
			m.remark(note("no-head", "HEAD does not tell the size (%q): UEFI fetches the file twice", resp.Status))
			size = -1
		}
	}
	resp, err := b.ask(ctx, http.MethodGet, u)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", stop("http-status", statusCause(resp.StatusCode), "HTTP: %q is answered with %q", u.String(), resp.Status)
	}
	if resp.ContentLength > m.MaxSize {
		return "", errTooLong
	}
	kind = resp.Header.Get("Content-Type")
	if m.Firmware.Firmware == netboot.FirmwareHTTP && !bootable(kind, resp.Request.URL.Path) {
		return "", stop("content-type", "send Content-Type application/efi, or let the URL end in .efi", "UEFI does not boot %q: its Content-Type is %q and its name ends in %q", u.String(), kind, path.Ext(u.Path))
	}
	if err := b.copy(to, resp, u); err != nil {
		return kind, err
	}
	if size >= 0 && size != to.size {
		return kind, stop("http-length", "HEAD and GET must tell the same length", "HTTP: HEAD tells %d bytes of %q, GET sends %d", size, u.String(), to.size)
	}
	return kind, nil
}

// copy reads the body; a server that stops sending ends it.
func (b *browser) copy(to *sink, resp *http.Response, u *url.URL) error {
	idle := time.AfterFunc(max(b.machine.Timeout, dialTimeout), func() { resp.Body.Close() })
	defer idle.Stop()
	buf := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		if _, werr := to.Write(buf[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return stop("http-cut", "look at the HTTP server's log", "HTTP: %q ends after %d bytes: %q", u.String(), to.size, err.Error())
		}
		idle.Reset(max(b.machine.Timeout, dialTimeout))
	}
}

func statusCause(code int) string {
	switch code {
	case http.StatusNotFound:
		return "put the file there, or correct the URL"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "let machines without a password read the file"
	}
	return "look at the HTTP server's log"
}

func bootable(kind, name string) bool {
	for _, t := range bootTypes {
		if strings.EqualFold(kind, t) {
			return true
		}
	}
	if plain, _, err := mime.ParseMediaType(kind); err == nil && plain == "text/html" {
		return true // judged by what it is
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".efi", ".iso", ".img":
		return true
	}
	return false
}
