package tftpd

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	defaultStall = time.Minute
	stride       = 256 << 10 // bytes that a client must take within Config.Stall: 4 KiB/s by default
)

// response notes what was answered, and gives the client a deadline that moves as the client reads: images are too
// large for one deadline, and without any a client that stops reading would hold its file and socket for ever.
type response struct {
	http.ResponseWriter
	stall  time.Duration
	now    func() time.Time
	status int
	bytes  int64
	err    error // the first failure to write
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) progress() {
	// Only a connection that is already gone has no deadline to set, and the next write says so.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(w.now().Add(w.stall))
}

func (w *response) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.progress()
	n, err := w.ResponseWriter.Write(p)
	return n, w.wrote(int64(n), err)
}

// ReadFrom lets the kernel copy from file to socket (sendfile), a stride at a time.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	limited, ok := src.(*io.LimitedReader) // what http.ServeContent sends, and what the kernel path looks for
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	var total int64
	for limited.N > 0 {
		w.progress()
		step := &io.LimitedReader{R: limited.R, N: min(limited.N, stride)}
		n, err := io.Copy(w.ResponseWriter, step)
		total += n
		limited.N -= n
		if err = w.wrote(n, err); err != nil || n == 0 {
			return total, err
		}
	}
	return total, nil
}

func (w *response) wrote(n int64, err error) error {
	w.bytes += n
	if err != nil && w.err == nil {
		w.err = err
	}
	return err
}

// judge sorts the end of a response that http.ServeContent wrote.
func (w *response) judge(method string) (result string, cause error) {
	var fromFile *fs.PathError
	switch {
	case errors.As(w.err, &fromFile):
		return failed, w.err
	case errors.Is(w.err, os.ErrDeadlineExceeded):
		return silent, w.err
	case w.err != nil:
		return aborted, w.err
	case w.status >= http.StatusInternalServerError:
		return failed, errors.New(http.StatusText(w.status))
	case w.status >= http.StatusBadRequest:
		return refused, errors.New(http.StatusText(w.status))
	case method == http.MethodGet && w.short():
		return failed, errShrunk
	}
	return sent, nil
}

// short tells whether fewer bytes were sent than announced.
func (w *response) short() bool {
	size, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	return err == nil && w.bytes < size && w.status != http.StatusNotModified
}
