package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is a control group: it also counts the children that a server started and forgot, of which /proc keeps nothing.
type Group struct{ dir string }

// OpenGroup makes a control group of the unified hierarchy. Where there is none, or it may not be written to, as in
// many containers, that is an error, and Use has to do.
func OpenGroup(name string) (*Group, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line) // device, directory, type, ...
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		dir := filepath.Join(fields[1], name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("control group: %w", err)
		}
		return &Group{dir}, nil
	}
	return nil, errors.New("control group: no cgroup2 file system is mounted")
}

// Add puts a process into the group; the children that it starts from now on are in it too.
func (g *Group) Add(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// Kill ends every process of the group at once.
func (g *Group) Kill() error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0)
}

// Close removes the group, as soon as its processes, which were told to, have ended.
func (g *Group) Close() error {
	events, err := os.Open(filepath.Join(g.dir, "cgroup.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	for end := time.Now().Add(5 * time.Second); ; {
		text, err := os.ReadFile(events.Name())
		if err != nil || strings.Contains(string(text), "populated 0") {
			return errors.Join(err, os.Remove(g.dir))
		}
		if time.Now().After(end) {
			return fmt.Errorf("control group %s: its processes do not end", g.dir)
		}
		// The kernel tells of changes by POLLPRI; the short time is for one that came before.
		if _, err := Wait(unix.POLLPRI, 20*time.Millisecond, int(events.Fd())); err != nil {
			return err
		}
	}
}

// Use is what all processes of the group have used.
func (g *Group) Use() Usage {
	var u Usage
	pids, _ := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	for _, field := range strings.Fields(string(pids)) {
		pid, _ := strconv.Atoi(field)
		if one, err := useOne(pid); err == nil { // else it ended meanwhile
			u.Add(one)
		}
	}
	stat, _ := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
	if fields := strings.Fields(string(stat)); len(fields) > 1 && fields[0] == "usage_usec" {
		n, _ := strconv.ParseInt(fields[1], 10, 64)
		u.CPU = time.Duration(n) * time.Microsecond
	}
	return u
}
