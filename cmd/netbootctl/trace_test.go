package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each line of strace's log is a call: who, which, with what.
var call = regexp.MustCompile(`^\d+ +(\w+)\((.*)`)

var (
	writes = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND`)
	named  = regexp.MustCompile(`(?:<([^>]*)>, )?"([^"]*)"`) // with the directory that a relative name starts from
	family = regexp.MustCompile(`^AF_\w+`)
)

// changes are the calls by which a program changes files; of the opening ones those that are not for reading only.
const changes = "creat,mkdir,mkdirat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,truncate," +
	"chmod,fchmodat,fchmodat2,chown,lchown,fchownat,mknod,mknodat,utimensat,utimes,setxattr,lsetxattr,removexattr,mount"

// outside are the calls of a trace that are none of a program that only looks: what it writes must lie below scratch,
// and the only socket is the kernel's own, by which Go lists interfaces (AF_NETLINK).
func outside(trace, scratch string) (found []string, calls int) {
	for _, line := range strings.Split(trace, "\n") {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		calls++
		switch name, args := m[1], m[2]; {
		case name == "socket":
			if f := family.FindString(args); f != "AF_NETLINK" {
				found = append(found, line)
			}
		case strings.HasPrefix(name, "open") && !writes.MatchString(args):
		default:
			for _, n := range named.FindAllStringSubmatch(args, -1) {
				path := n[2]
				if !filepath.IsAbs(path) {
					path = filepath.Join(n[1], path)
				}
				if path != "/dev/null" && !strings.HasPrefix(path, scratch+"/") {
					found = append(found, line)
				}
			}
		}
	}
	return found, calls
}

func TestATraceShowsWhatIsNotAllowed(t *testing.T) {
	trace := `1 openat(AT_FDCWD</srv>, "config.yml", O_RDONLY|O_CLOEXEC) = 3</srv/config.yml>
1 openat(AT_FDCWD</srv>, "leases", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3</srv/leases>
2 openat(5</tmp/s>, "leases", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3</tmp/s/leases>
2 mkdirat(AT_FDCWD</srv>, "/tmp/s/x", 0700) = 0
2 unlinkat(AT_FDCWD</srv>, "/srv/x", 0) = -1 ENOENT (No such file or directory)
2 renameat(AT_FDCWD</srv>, "/tmp/s/x", AT_FDCWD</srv>, "y") = 0
3 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3
3 socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 3
3 socket(AF_PACKET, SOCK_RAW, 768) = 3
3 socket(AF_UNIX, SOCK_STREAM, 0) = 3
3 +++ exited with 0 +++`
	found, calls := outside(trace, "/tmp/s")
	if len(found) != 6 || calls != 10 {
		t.Errorf("found %d of %d calls:\n%s", len(found), calls, strings.Join(found, "\n"))
	}
}

// The verbs that only look, traced at work: adding one is adding a line.
func TestVerbsThatLookWriteNothingAndOpenNoNetworkSocket(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v; apt-get install strace", err)
	}
	program := filepath.Join(t.TempDir(), "netbootctl")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, args := range [][]string{
		{"check", "-c", "config.yml"},
		{"check", "-c", "config.yml", "--json"},
		{"explain", "-c", "config.yml", "--arch", "uefi-x64"},
		{"explain", "-c", "config.yml", "--arch", "uefi-x64", "--v6", "--relay", "2001:db8::9"},
		{"explain", "-c", "config.yml", "--against", "boot.yml"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			content := usual()
			content["config.yml"] = chain("server_id: 192.0.2.1", "range: leases 192.0.2.100 192.0.2.199 1h", "netmask: 255.255.255.0", "boot: boot.yml", "file: hosts.txt autorefresh") +
				"server6:\n  listen: \"[ff02::1:2%lo]:547\"\n  plugins:\n    - server_id: LL 52:54:00:00:00:01\n    - prefix: 2001:db8::/48 64\n    - boot: boot.yml\n"
			content["boot.yml"] = "firmware: [firmware]\nnext-server: 2001:db8::1\n" + goodMap
			content["hosts.txt"] = "52:54:00:aa:bb:01 192.0.2.9\n"
			dir := files(t, content)
			scratch, log := t.TempDir(), filepath.Join(t.TempDir(), "trace")
			cmd := exec.Command(strace, append([]string{"-f", "-qq", "-y", "-s", "4096", "-o", log,
				"-e", "trace=?" + strings.ReplaceAll("open,openat,openat2,socket,"+changes, ",", ",?"), program}, args...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
			out, err := cmd.CombinedOutput()
			var ended *exec.ExitError
			if err != nil && (!errors.As(err, &ended) || ended.ExitCode() != 1) {
				t.Fatalf("%v\n%s", err, out)
			}
			trace, err := os.ReadFile(log)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found, calls := outside(string(trace), scratch)
			if calls < 20 || !strings.Contains(string(trace), "config.yml") {
				t.Fatalf("traced %d calls only:\n%s\n%s", calls, trace, out)
			}
			for _, line := range found {
				t.Error(line)
			}
			if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
				t.Errorf("leaves %v behind, %v", left, err)
			}
		})
	}
}
