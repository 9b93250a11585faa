package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// environment is what a program is told of an event. What is not known is not there.
func environment(e *Event) []string {
	all := []string{"PATH=" + os.Getenv("PATH")}
	for _, v := range []struct{ name, value string }{
		{"EVENT", e.Event}, {"ADDRESS", e.Address.String()}, {"PREFIX", e.Prefix}, {"STATE", e.State}, {"OWNER", e.Owner}, {"MAC", e.MAC},
		{"CLIENT_ID", e.ClientID}, {"HOSTNAME", e.Hostname}, {"CIRCUIT_ID", e.CircuitID}, {"REMOTE_ID", e.RemoteID},
		{"STARTS", strconv.FormatInt(e.Starts.Unix(), 10)}, {"ENDS", strconv.FormatInt(e.Ends.Unix(), 10)},
	} {
		if v.value != "" {
			all = append(all, "LEASE_"+v.name+"="+v.value)
		}
	}
	return all
}

// run runs the program, and kills it and what it started when its time is over.
func (h *Hook) run(ctx context.Context, e *Event) error {
	cmd := exec.CommandContext(ctx, h.config.Run[0], h.config.Run[1:]...)
	cmd.Env, cmd.Dir = environment(e), "/"
	said := &short{}
	cmd.Stderr = said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a process that left the group may hold the pipe
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; what it left behind goes on
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: killed: it took longer than %s", h.config.Run[0], h.config.Timeout)
	}
	return fmt.Errorf("%s: %w: %q", h.config.Run[0], err, said.text)
}

// short keeps the beginning of what is written.
type short struct{ text []byte }

func (s *short) Write(b []byte) (int, error) {
	const most = 200
	s.text = append(s.text, b[:min(len(b), most-len(s.text))]...)
	return len(b), nil
}

type poster struct {
	url    string
	client *http.Client
}

func newPoster(url string) *poster {
	return &poster{url, &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post sends an event as JSON. Any answer of the class 2xx is good; none is followed or read.
func (p *poster) post(ctx context.Context, e *Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return errors.New(p.url + ": " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	}
	return nil
}
