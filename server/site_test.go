package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/logger"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coredhcp-netboot/suite/internal/daemon"
	"github.com/coredhcp-netboot/suite/internal/nettest"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/server"
)

// role makes this test program, started again, a server in another namespace: its configuration's path.
const role = "SERVER_TEST_CONFIG"

func TestMain(m *testing.M) {
	if path := os.Getenv(role); path != "" {
		if err := serve(path, os.Getenv("SERVER_TEST_BESIDE") != ""); err != nil {
			fmt.Fprintln(os.Stdout, "failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serve(path string, beside bool) error {
	log := logger.GetLogger("main")
	log.Logger.SetOutput(os.Stdout)
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return err
	}
	bootPlugin := boot.New(boot.Env{})
	byName, names := map[string]*plugins.Plugin{}, []string{}
	for _, p := range append(server.Stock(), &bootPlugin, &refusing) {
		byName[p.Name] = p
		names = append(names, p.Name)
	}
	c, err := server.Load(path, names)
	if err != nil {
		return err
	}
	chain, err := server.NewChain(c, byName)
	if err != nil {
		return err
	}
	engine, err := server.Open(c, chain, server.Options{Beside: beside}, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	return daemon.Run(context.Background(), log, engine)
}

// refusing says no to the machine with this address.
var refused = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0xee}

var refusing = plugins.Plugin{Name: "refusing", Setup4: func(...string) (handler.Handler4, error) {
	return func(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
		if req.ClientHWAddr.String() == refused.String() {
			resp.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
			return resp, true
		}
		return resp, false
	}, nil
}}

// site is a server's namespace and a client's, with a cable between.
type site struct {
	t              *testing.T
	server, client *nettest.Space
}

func newSite(t *testing.T) *site {
	t.Helper()
	n := nettest.New(t)
	s := &site{t: t}
	var err error
	s.server, err = n.Space("server")
	must(t, err)
	s.client, err = n.Space("client")
	must(t, err)
	s.cable("srv0", "eth0", "10.0.0.1/24", "10.0.0.100/24")
	return s
}

func (s *site) cable(name, far, address, farAddress string) {
	s.t.Helper()
	must(s.t, s.server.Veth(name, s.client, far))
	must(s.t, s.server.Address(name, netip.MustParsePrefix(address)))
	must(s.t, s.client.Address(far, netip.MustParsePrefix(farAddress)))
}

// program is a server that runs.
type program struct {
	*nettest.Process
	said chan string
}

// starts starts a server with this configuration, and waits until it is ready or has failed; it returns its last line.
func (s *site) starts(config string, env ...string) (*program, string) {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, text := range map[string]string{
		"config.yml": config, "leases.txt": "52:54:00:00:00:01 10.0.0.101\n52:54:00:00:00:ee 10.0.0.102\n",
		"boot.yml": "next-server: 10.0.0.77\nrules: [{arch: bios, file: undionly.kpxe}]\n",
	} {
		must(s.t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := s.server.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"="+filepath.Join(dir, "config.yml")), env...)
	// A pipe of our own: that of StdoutPipe is closed when the program ends, with its last words in it.
	out, its, err := os.Pipe()
	must(s.t, err)
	cmd.Stdout = its
	process, err := s.server.Start(cmd)
	must(s.t, err)
	must(s.t, its.Close())
	p := &program{process, make(chan string, 1000)}
	go func() { // ends with the program
		defer close(p.said)
		defer out.Close()
		for text := bufio.NewScanner(out); text.Scan(); {
			p.said <- text.Text()
		}
	}()
	return p, p.waits(s.t, "ready", "failed:")
}

// waits returns the first line that contains one of words.
func (p *program) waits(t *testing.T, words ...string) string {
	t.Helper()
	late := time.After(patient)
	for {
		select {
		case line, ok := <-p.said:
			if !ok {
				t.Fatalf("it ended and did not say %q", words)
			}
			for _, w := range words {
				if strings.Contains(line, w) {
					return line
				}
			}
		case <-late:
			t.Fatalf("it does not say %q", words)
		}
	}
}
