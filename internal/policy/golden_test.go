package policy_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/policy"
	"github.com/coredhcp-netboot/suite/internal/policy/option"
)

// recording is what ISC dhcpd 4.4.3-P1 answered with a configuration.
type recording struct {
	Conf  []string
	Steps []struct {
		Name, Mac, Siaddr, File, Sname string
		Request                        map[uint8]string // options, in hexadecimal digits
		Reply                          [][2]any         // likewise, in the order on the wire
	}
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request is an Env for a client with these options, as a server fills it.
func (c *config) request(mac net.HardwareAddr, options map[uint8][]byte) (*policy.Env, policy.Path) {
	env := &policy.Env{Options: option.FromMap(options), Hardware: append([]byte{1}, mac...)}
	at := policy.Path{Network: c.network, Pool: c.pool, Classes: policy.Match(nil, env, c.classes)}
	at.Host = c.hosts[string(env.Hardware)]
	env.Known = at.Host != nil
	return env, at
}

func TestRepliesAreThoseThatDhcpdGave(t *testing.T) {
	files, err := filepath.Glob("testdata/dhcpd/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(file, err)
		}
		c := readConfig(strings.Join(r.Conf, "\n"))
		for i, step := range r.Steps {
			t.Run(filepath.Base(file)+"/"+step.Name, func(t *testing.T) { replays(t, c, &r, i) })
		}
	}
}

func replays(t *testing.T, c *config, r *recording, i int) {
	step := r.Steps[i]
	mac, err := net.ParseMAC(step.Mac)
	if err != nil {
		t.Fatal(err)
	}
	options := map[uint8][]byte{}
	for code, digits := range step.Request {
		options[code] = unhex(t, digits)
	}
	env, at := c.request(mac, options)
	out := c.policy.Evaluate(env, at)
	if got := out.Text(policy.Filename); got != step.File {
		t.Errorf("file is %q, dhcpd sent %q", got, step.File)
	}
	if got := out.Text(policy.ServerName); got != step.Sname {
		t.Errorf("server name is %q, dhcpd sent %q", got, step.Sname)
	}
	server := out.Address(policy.NextServer)
	if !server.IsValid() {
		server = netip.IPv4Unspecified()
	}
	if server.String() != step.Siaddr {
		t.Errorf("next server is %s, dhcpd sent %s", server, step.Siaddr)
	}
	var asked uint32
	if b := options[51]; b != nil {
		asked = binary.BigEndian.Uint32(b)
	}
	out.Set(51, binary.BigEndian.AppendUint32(nil, uint32(out.LeaseTime(asked)/time.Second)))
	for _, o := range step.Reply { // what a server decides without a policy
		switch code := uint32(o[0].(float64)); code {
		case 53, 54, 82:
			out.Set(code, unhex(t, o[1].(string)))
		}
	}
	out.SetDefault(1, []byte{255, 255, 255, 0})
	var got, want []string
	for _, o := range out.Reply4() {
		got = append(got, fmt.Sprintf("%d=%x", o.Code, o.Value))
	}
	for _, o := range step.Reply {
		want = append(want, fmt.Sprintf("%v=%v", o[0], o[1]))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("options are\n%s\ndhcpd sent\n%s", strings.Join(got, " "), strings.Join(want, " "))
	}
}
