package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// program is a command that runs.
type program struct {
	command
	*nettest.Process
	log *os.File
}

// serve starts the server's programs and waits until all of them listen.
func (l *Lab) serve() error {
	commands, err := l.Server.commands(l)
	if err != nil {
		return err
	}
	for _, c := range commands {
		if err := l.start(c); err != nil {
			return err
		}
	}
	for _, p := range l.programs {
		if err := l.await(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) start(c command) error {
	log, err := os.Create(filepath.Join(l.Dir, c.name+".log"))
	if err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	if c.on == nil {
		c.on = l.server
	}
	cmd := c.on.Command(c.args[0], c.args[1:]...)
	cmd.Dir = l.Dir
	cmd.Stdout, cmd.Stderr = log, log
	process, err := c.on.Start(cmd)
	if err != nil {
		log.Close()
		return err
	}
	l.programs = append(l.programs, &program{command: c, Process: process, log: log})
	return nil
}

// await returns when the program has bound all its ports, or with its last words if it ends or takes too long.
func (l *Lab) await(p *program) error {
	const patience = 30 * time.Second
	late := time.NewTimer(patience)
	defer late.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		ready, err := l.listens(p.command)
		if err != nil || ready {
			return err
		}
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended instead of serving (%w); it said:\n%s", p.name, p.Err(), tail(p.log.Name()))
		case <-late.C:
			return fmt.Errorf("%s did not listen on UDP %v, TCP %v within %s; it said:\n%s",
				p.name, p.udp, p.tcp, patience, tail(p.log.Name()))
		case <-look.C:
		}
	}
}

// listens reports whether somebody in the program's namespace has bound the program's ports.
func (l *Lab) listens(c command) (bool, error) {
	bound := func(table string, ports []int) (bool, error) {
		var text []byte
		for _, family := range []string{"", "6"} {
			part, err := os.ReadFile("/proc/thread-self/net/" + table + family)
			if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel may be without IPv6
				return false, err
			}
			text = append(text, part...)
		}
		for _, port := range ports {
			if !strings.Contains(string(text), fmt.Sprintf(":%04X 0000", port)) {
				return false, nil // "local address:PORT remote address"; nobody remote yet, so it begins with zeros
			}
		}
		return true, nil
	}
	var ready bool
	err := c.on.Do(func() error {
		udp, err1 := bound("udp", c.udp)
		tcp, err2 := bound("tcp", c.tcp)
		ready = udp && tcp
		return errors.Join(err1, err2)
	})
	return ready, err
}

// ended names a program that should be running and is not, or nil.
func (l *Lab) ended() error {
	for _, p := range l.programs {
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended (%s) while a machine booted; it said:\n%s", p.name, fmt.Sprint(p.Err()), tail(p.log.Name()))
		default:
		}
	}
	return nil
}

// tail is the end of a log file, indented.
func tail(path string) string {
	const most = 15
	data, err := os.ReadFile(path)
	if err != nil {
		return "  " + err.Error()
	}
	text := strings.TrimRight(string(data), "\n")
	if text == "" {
		return "  (nothing)"
	}
	lines := strings.Split(text, "\n")
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
