package nettest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// grace is how long a process may take to end after it was asked to.
const grace = 5 * time.Second

// Process is a running program that its starter will end.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // readable once done is closed
}

// Start runs a command made by Command. It ends at the latest when the network is closed, and with the process that
// started it should that be killed: a virtual machine that nobody watches would keep a core busy.
func (s *Space) Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // a Ctrl-C at the terminal is ours to handle, in our order
		Pdeathsig: syscall.SIGKILL,
	}
	cmd.WaitDelay = grace // for output that a program's own children keep open
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.String(), err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process
		p.err = cmd.Wait()
		close(p.done)
	}()
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	return p, nil
}

// Ask runs a client's command to its end and returns its standard output. Where one of the servers that it asks ends
// before it, so does the command, and the error says which: a client would go on asking for as long as it is told to.
func (s *Space) Ask(cmd *exec.Cmd, servers ...*Process) ([]byte, error) {
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	client, err := s.Start(cmd)
	if err != nil {
		return nil, err
	}
	ended := make(chan *Process, len(servers))
	for _, server := range servers {
		go func() { // ends with the client
			select {
			case <-server.Done():
				ended <- server
			case <-client.Done():
			}
		}()
	}
	select {
	case server := <-ended:
		err = errors.Join(fmt.Errorf("%s ended (%s) while it was asked by %s", server.cmd, server.cmd.ProcessState, cmd), client.Stop())
	case <-client.Done():
		if err = client.Err(); err != nil {
			err = fmt.Errorf("%s: %w\n%s", cmd, err, &complaints)
		}
	}
	return out.Bytes(), err
}

// Done is closed when the process has ended and all its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how a process ended, nil for success. It waits for that end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal tells the process something by a signal; one that has ended is an error.
func (p *Process) Signal(what os.Signal) error { return p.cmd.Process.Signal(what) }

// Stop asks the process to end, makes it end if it does not, and returns when it has. Ending by our own signal is
// no error; having ended before with one is not either, since Err tells.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		<-p.done // it has ended already
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM and was killed", p.cmd.String(), grace), err)
}

func (s *Space) stopAll() error {
	s.mu.Lock()
	processes := s.processes
	s.processes = nil
	s.mu.Unlock()
	var errs []error
	for _, p := range processes {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}
