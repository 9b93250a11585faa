package tftpd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/coredhcp-netboot/suite/internal/daemon"
)

// HTTP serves files on one listener: GET and HEAD, ranges, validators. What it answers is fit for UEFI HTTP Boot
// (EDK2's HttpBootDxe asks HEAD first and believes the content type) and for iPXE.
type HTTP struct {
	Config
	protocol string // "http" or "https"
	listener net.Listener
	ready    chan struct{}
	tags     tags
}

// NewHTTP returns a service for l, which Run closes.
func NewHTTP(l net.Listener, c Config) *HTTP {
	c = c.withDefaults()
	return &HTTP{Config: c, protocol: "http", listener: l, ready: make(chan struct{}), tags: tags{now: c.Now}}
}

// String is "http" or "https", and the address.
func (h *HTTP) String() string { return h.protocol + " " + h.listener.Addr().String() }

// Ready is closed when requests are answered.
func (h *HTTP) Ready() <-chan struct{} { return h.ready }

const (
	headerTime  = 10 * time.Second // for a client to send its request
	idleTime    = 2 * time.Minute  // between two requests on a connection
	headerBytes = 16 << 10
)

// Run serves until ctx ends, lets requests run on for the grace, and cuts the rest.
func (h *HTTP) Run(ctx context.Context) error {
	complaints := h.Log.WithField("listener", h.listener.Addr().String())
	server := &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            headerTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               headerBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(lines(func(s string) { complaints.WithField("because", s).Warn(h.protocol) }), "", 0),
	}
	close(h.ready)
	return daemon.ServeHTTP(ctx, server, h.listener, h.Grace)
}

// lines is an io.Writer that hands on each line written.
type lines func(string)

func (f lines) Write(p []byte) (int, error) {
	f(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// contentType is exact, because EDK2 compares the whole value: a "; charset=" makes it refuse the file. It is never
// guessed from the content.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".efi":
		return "application/efi"
	case ".iso":
		return "application/vnd.efi-iso"
	case ".img":
		return "application/vnd.efi-img"
	case ".ipxe":
		return "text/plain"
	}
	return "application/octet-stream"
}

// ServeHTTP answers one request and logs it. A panic costs this request only.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &response{ResponseWriter: w, stall: h.Stall, now: h.Now}
	out.progress()
	tr := h.begin(h.protocol, r.RemoteAddr, r.URL.Path)
	defer func() {
		cut := false
		if p := recover(); p != nil {
			tr.fail(panicked(p))
			cut = out.status != 0
			if !cut {
				http.Error(out, "server error", http.StatusInternalServerError)
			}
		}
		if out.status < http.StatusBadRequest && r.Method == http.MethodGet { // else it is no file's
			tr.bytes = out.bytes
		}
		tr.more["method"], tr.more["status"], tr.more["agent"] = shorten(r.Method), out.status, shorten(r.UserAgent())
		tr.end()
		if cut {
			panic(http.ErrAbortHandler) // half a file must not look whole
		}
	}()
	if r.ContentLength != 0 {
		// A body means nothing here; its sender gets no longer than for a header.
		_ = http.NewResponseController(w).SetReadDeadline(h.Now().Add(headerTime))
	}
	h.answer(out, r, tr)
}

func (h *HTTP) answer(w *response, r *http.Request, tr *transfer) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		tr.result, tr.cause = refused, fmt.Errorf("method %s; this service is read-only", shorten(r.Method))
		return
	}
	name, err := Clean(r.URL.Path)
	if err != nil {
		refuse(w, tr, err)
		return
	}
	tr.file = name
	f, err := h.Files.Open(Request{Name: name, Client: clientAddr(r), Query: r.URL.RawQuery})
	if err != nil {
		refuse(w, tr, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		refuse(w, tr, err)
		return
	}
	tag := ""
	if mine, ok := f.(perMachine); ok {
		tag = mine.ETag()
		w.Header().Set("Cache-Control", "no-store") // the next machine may ask by the same name
	} else if tag, err = h.tags.of(f, info); err != nil {
		refuse(w, tr, err)
		return
	}
	w.Header().Set("Etag", tag)
	w.Header().Set("Content-Type", contentType(name))
	http.ServeContent(w, r, name, info.ModTime(), f)
	tr.result, tr.cause = w.judge(r.Method)
}

// clientAddr is who asks; invalid where the connection has no such address.
func clientAddr(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap()
}

// refuse answers with a fixed text; iPXE and EDK2 look at the status only.
func refuse(w http.ResponseWriter, tr *transfer, err error) {
	tr.fail(err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		http.Error(w, "access denied", http.StatusForbidden)
	case tr.result == failed:
		http.Error(w, "server error", http.StatusInternalServerError)
	default:
		http.Error(w, "file not found", http.StatusNotFound)
	}
}

// etag tells a file by its state. It is strong (RFC 9110 section 8.8.3): a file that is replaced has another inode, one
// written in place another time or size. EDK2 resumes a broken download only if the tag is still the same.
func etag(info fs.FileInfo) string {
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf(`"%x-%x-%x"`, info.Size(), info.ModTime().UnixNano(), inode)
}
