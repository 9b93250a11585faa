package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Server is a program under test. Its commands are made for a site: they write their configuration there.
type Server struct {
	Name    string
	Program string // found by path, or among the project's own programs; decides whether the server takes part
	Command func(*Programs, *Site) ([]string, error)

	Leases bool // it gives addresses
	Files  bool // it gives each kind of machine its boot file
	Hosts  bool // it gives the known machines a script of their own
	Small  bool // its pool is a /20: a /16 makes it much slower
}

// Programs is where programs are found.
type Programs struct {
	Bin     string // this project's
	Foreign string // of packages that were unpacked and not installed
}

// Find is the path of a program.
func (p *Programs) Find(name string) (string, error) {
	for _, path := range []string{
		filepath.Join(p.Bin, name), filepath.Join(p.Bin, "bench", name),
		filepath.Join(p.Foreign, name), filepath.Join("/usr/sbin", name),
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.Abs(path)
		}
	}
	return exec.LookPath(name)
}

// Running is a server that was started.
type Running struct {
	process *nettest.Process
	pid     int
	log     bytes.Buffer // readable after the end
}

// Start starts a server at a site.
func (p *Programs) Start(s *Server, site *Site) (*Running, error) {
	args, err := s.Command(p, site)
	if err != nil {
		return nil, err
	}
	if args[0], err = p.Find(args[0]); err != nil {
		return nil, err
	}
	r := new(Running)
	cmd := site.server.Command(args[0], args[1:]...)
	cmd.Dir = site.dir
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+site.dir, "KEA_LOCKFILE_DIR="+site.dir)
	cmd.Stdout, cmd.Stderr = &r.log, &r.log
	if r.process, err = site.server.Start(cmd); err != nil {
		return nil, err
	}
	r.pid = cmd.Process.Pid
	site.running = append(site.running, r)
	if site.group != nil {
		return r, site.group.Add(r.pid)
	}
	return r, nil
}

// kill ends the server, and returns when it has ended.
func (r *Running) kill() error {
	if err := unix.Kill(-r.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) { // it leads a process group
		return fmt.Errorf("kill the server: %w", err)
	}
	<-r.process.Done()
	return nil
}

// Ended tells whether the server is gone, and why.
func (r *Running) Ended() error {
	select {
	case <-r.process.Done():
	default:
		return nil
	}
	text := bytes.TrimSpace(r.log.Bytes())
	if len(text) > 800 {
		text = text[len(text)-800:]
	}
	return errors.Join(fmt.Errorf("the server has ended: %s", text), r.process.Err())
}

// Pin keeps the server, all its threads, on one core.
func (r *Running) Pin(cpu int) error {
	out, err := exec.Command("taskset", "-a", "-c", "-p", strconv.Itoa(cpu), strconv.Itoa(r.pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pin the server to core %d: %w: %s", cpu, err, out)
	}
	return nil
}

// installed are the servers whose programs are there, by name.
func (b *Bench) installed(servers []*Server) map[string]*Server {
	there := map[string]*Server{}
	for _, s := range servers {
		if _, err := b.Programs.Find(s.Program); err == nil {
			there[s.Name] = s
		}
	}
	return there
}
