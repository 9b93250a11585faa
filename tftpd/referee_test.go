package tftpd_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pin/tftp/v3"
)

// tool names a foreign client; a machine that lacks it fails the test.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; apt-get install %s", err, pkg)
	}
	return path
}

func TestCurlFetchesByTFTP(t *testing.T) {
	l := newLab(t)
	content := random(300_000)
	l.has("sub/ipxe.efi", content)
	v4, v6 := l.tftp("127.0.0.1:0"), l.tftp("[::1]:0")
	for _, c := range [][]string{
		{"tftp://" + v4.String() + "/sub/ipxe.efi"},
		{"--tftp-blksize", "1468", "tftp://" + v4.String() + "//sub/ipxe.efi"},
		{"--tftp-blksize", "65464", "tftp://" + v4.String() + "/sub/ipxe.efi"},
		{"--tftp-no-options", "tftp://" + v4.String() + "/sub/ipxe.efi"},
		{"--globoff", "tftp://" + v6.String() + "/sub/ipxe.efi"},
	} {
		out, err := exec.Command(tool(t, "curl", "curl"), append([]string{"-sS"}, c...)...).Output()
		if err != nil || !bytes.Equal(out, content) {
			t.Errorf("curl %v: %d bytes, %v", c, len(out), err)
		}
	}
	err := exec.Command(tool(t, "curl", "curl"), "-sS", "tftp://"+v4.String()+"/none").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 68 { // CURLE_TFTP_NOTFOUND
		t.Errorf("curl on a missing file: %v", err)
	}
}

func TestTftpHpaFetchesTextAndBinary(t *testing.T) {
	l := newLab(t)
	l.has("text", []byte("one\ntwo\r\n"))
	l.has("binary", random(3*512))
	at := l.tftp("127.0.0.1:0")
	for name, mode := range map[string]string{"text": "netascii", "binary": "octet"} {
		want, err := os.ReadFile(filepath.Join(l.root, name))
		must(t, err)
		to := filepath.Join(t.TempDir(), "got")
		out, err := exec.Command(tool(t, "tftp", "tftp-hpa"), "-4", "-m", mode, "127.0.0.1", fmt.Sprint(at.Port), "-c", "get", name, to).CombinedOutput()
		must(t, err)
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v; %s", name, got, err, out)
		}
	}
}

func TestCurlFetchesAndResumesByHTTP(t *testing.T) {
	l := newLab(t)
	content := random(3_000_000)
	l.has("x.iso", content)
	for _, server := range []string{l.http("127.0.0.1:0"), l.http("[::1]:0")} {
		to := filepath.Join(t.TempDir(), "x.iso")
		must(t, os.WriteFile(to, content[:1_234_567], 0o644))
		out, err := exec.Command(tool(t, "curl", "curl"), "-sS", "--fail", "--globoff", "-C", "-", "-o", to, fmt.Sprintf("http://%s/x.iso", server)).CombinedOutput()
		got, _ := os.ReadFile(to)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v: %s", len(got), err, out)
		}
	}
}

func TestPinTFTPFetches(t *testing.T) {
	l := newLab(t)
	content := random(300_000)
	l.has("ipxe.efi", content)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		c, err := tftp.NewClient(l.tftp(addr).String())
		must(t, err)
		c.SetBlockSize(1400)
		c.RequestTSize(true)
		from, err := c.Receive("ipxe.efi", "octet")
		must(t, err)
		size, told := from.(tftp.IncomingTransfer).Size()
		var got bytes.Buffer
		_, err = from.WriteTo(&got)
		if err != nil || !bytes.Equal(got.Bytes(), content) || !told || size != int64(len(content)) {
			t.Errorf("%s: %d bytes of %d, %v", addr, got.Len(), size, err)
		}
	}
}

func TestAtftpFetchesWithAnyWindow(t *testing.T) {
	l := newLab(t)
	content := random(300_000)
	l.has("ipxe.efi", content)
	at := l.tftp("127.0.0.1:0")
	for _, window := range []string{"1", "4", "16", "64", "1000"} {
		to := filepath.Join(t.TempDir(), "got")
		out, err := exec.Command(tool(t, "atftp", "atftp"), "--get", "--remote-file", "ipxe.efi", "--local-file", to, "--option", "blksize 1468",
			"--option", "windowsize "+window, "--option", "tsize 0", "127.0.0.1", fmt.Sprint(at.Port)).CombinedOutput()
		if got, _ := os.ReadFile(to); err != nil || !bytes.Equal(got, content) {
			t.Errorf("windowsize %s: %d bytes, %v: %s", window, len(got), err, out)
		}
	}
}

func TestBusyboxFetches(t *testing.T) {
	l := newLab(t)
	content := random(300_000)
	l.has("sub/ipxe.efi", content)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		at := l.tftp(addr)
		to := filepath.Join(t.TempDir(), "got")
		out, err := exec.Command(tool(t, "busybox", "busybox-static"), "tftp", "-g", "-b", "1468", "-l", to, "-r", "sub/ipxe.efi", at.IP.String(), fmt.Sprint(at.Port)).CombinedOutput()
		if got, _ := os.ReadFile(to); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v: %s", addr, len(got), err, out)
		}
	}
}
