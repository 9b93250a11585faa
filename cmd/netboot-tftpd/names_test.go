package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openssl makes a certificate for localhost.
func openssl(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "boot.pem"), filepath.Join(dir, "boot.key")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN="+name,
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return cert, key
}

func curlTLS(cert, addr string, more ...string) ([]byte, error) {
	args := append([]string{"-sS", "--fail", "--max-time", "20", "--cacert", cert}, more...)
	return exec.Command("curl", append(args, "https://"+addr+"/ipxe.efi")...).CombinedOutput()
}

func TestHTTPSServesAndTakesANewCertificateWithoutARestart(t *testing.T) {
	dir, content := bootDir(t)
	certs := t.TempDir()
	cert, key := openssl(t, certs, "first")
	d := start(t, "--root", dir, "--tftp", "", "--https", "127.0.0.1:0", "--cert", cert, "--key", key)
	addr := d.at["https"][0]
	for _, suite := range []string{"", "AES256-SHA", "AES128-GCM-SHA256"} { // those of an old iPXE, which has no elliptic curves
		more := []string{"--tls-max", "1.2"}
		if suite != "" {
			more = append(more, "--ciphers", suite)
		}
		if got, err := curlTLS(cert, addr, more...); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v: %.200s", suite, len(got), err, got)
		}
	}
	if got, err := curlTLS(cert, addr, "--tls-max", "1.1"); err == nil {
		t.Errorf("TLS 1.1 gets %d bytes", len(got))
	}

	openssl(t, certs, "second") // the old one is no longer good for the new key
	limit := time.After(20 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if got, err := curlTLS(cert, addr); err == nil && bytes.Equal(got, content) {
			break
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatal("the new certificate is not taken")
		}
	}
	must(t, os.WriteFile(cert, []byte("no certificate"), 0o644))
	if code, log := d.stops(syscall.SIGTERM); code != 0 || !strings.Contains(log, "msg=https") {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestACertificateThatCannotServeIsExplained(t *testing.T) {
	dir, _ := bootDir(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--https", "127.0.0.1:0"}, "HTTPS needs a certificate and its key; give --cert and --key"},
		{[]string{"--cert", "x"}, "a certificate serves nothing; give --https an address"},
		{[]string{"--https", "127.0.0.1:0", "--cert", "/no/cert", "--key", "/no/key"}, "certificate /no/cert with key /no/key: open /no/cert: no such file or directory; give PEM files of one pair"},
	} {
		code, _, got := try(t, nil, append([]string{"--root", dir, "--tftp", "127.0.0.1:0"}, c.args...)...)
		if code != 1 || got != "netboot-tftpd: "+c.want+"\n" {
			t.Errorf("%v: exit code %d, %s", c.args, code, got)
		}
	}
}

func TestNamesAreFoundAsTheFileSays(t *testing.T) {
	dir, content := bootDir(t)
	must(t, os.MkdirAll(filepath.Join(dir, "127.0.0.1"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "127.0.0.1/own.cfg"), []byte("own"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "own.cfg"), []byte("for all"), 0o644))
	file := filepath.Join(dir, "tftpd.yml")
	must(t, os.WriteFile(file, []byte(`root: .
tftp: 127.0.0.1:0
http: 127.0.0.1:0
single-port: true
any-case: true
personal: [mac, address]
rename:
  - {match: '^C:/', name: ''}
  - {match: '^arch/([a-z0-9_]+)/.*', name: 'ipxe.efi'}
limits: {transfers: 100, client-transfers: 50, rate: 1000}
`), 0o644))
	d := start(t, "--config", file)
	for name, want := range map[string]string{
		"own.cfg": "own", "C:/own.cfg": "own", "IPXE.EFI": string(content), "arch/x86_64/anything": string(content),
	} {
		for _, scheme := range []string{"tftp", "http"} {
			if got := curl(t, scheme+"://"+d.at[scheme][0]+"/"+name); string(got) != want {
				t.Errorf("%s %s gives %.20q", scheme, name, got)
			}
		}
	}
	if code, log := d.stops(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
}

func TestBadRulesAreExplainedWithTheirLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tftpd.yml")
	must(t, os.WriteFile(file, []byte("rename:\n  - {match: '(', name: x}\npersonal: serial\n"), 0o644))
	code, _, got := try(t, nil, "--config", file)
	want := "netboot-tftpd: " + file + ":2: \"(\" is no regular expression: error parsing regexp: missing closing ): `(`; its form is that of Go (RE2)\n" +
		"netboot-tftpd: " + file + ":3: \"serial\" names no client; use mac, address or both\n"
	if code != 1 || got != want {
		t.Errorf("exit code %d,\n%s\nwant\n%s", code, got, want)
	}
}
