package server

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredhcp/coredhcp/plugins"
	"github.com/coredhcp/coredhcp/plugins/serverid"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease/control"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
	"github.com/coredhcp-netboot/suite/internal/logtest"
	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/coredhcp-netboot/suite/plugins/pool"
	"github.com/coredhcp-netboot/suite/plugins/subnets"
	"github.com/coredhcp-netboot/suite/server/request"
)

const poison = 0xdd // in nothing that a machine of the town says

// spoil overwrites all that the last request left in the memory, as the next one would.
func (x *exchange4) spoil() {
	b := x.bytes[:cap(x.bytes)]
	for i := range b {
		b[i] = poison
	}
	x.kind[0] = poison
	x.req.Options, x.resp.Options = nil, nil
	for code := range uint8(mostOptions4) {
		x.asked[code], x.told[code] = b[:1], b[:1]
	}
	request.Leave(&x.known, "spoilt")
}

// town is an office with plugins that keep leases in a directory and write a log.
type town struct {
	*office
	dir string
	log logtest.Text
}

// settle opens a town; files are beside its leases, and DIR in them is where.
func settle(t *testing.T, files map[string]string, chain func(dir string, log *logrus.Entry) []*plugins.Plugin) *town {
	t.Helper()
	w := &town{dir: t.TempDir()}
	for name, text := range files {
		check(t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
	}
	log := logrus.New()
	log.SetOutput(&w.log)
	log.SetLevel(logrus.DebugLevel)
	w.office = open(t, Options{Workers: 1, Queue: 1 << 20, Rate: &Rate{}}, nil, chain(w.dir, logrus.NewEntry(log))...)
	if !w.chain.forgets {
		t.Fatal("the chain uses no memory again")
	}
	w.sent.keep = false
	return w
}

// remembers tells where a poison is in what the town keeps.
func (w *town) remembers(t *testing.T) (places []string) {
	t.Helper()
	all := map[string][]byte{"log": []byte(w.log.String())}
	check(t, fs.WalkDir(os.DirFS(w.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[name], err = os.ReadFile(filepath.Join(w.dir, name))
		}
		return err
	}))
	for name, b := range all {
		for _, sign := range []string{"\xdd\xdd\xdd", "dd:dd:dd", "dddddd", `\xdd\xdd`} {
			if bytes.Contains(b, []byte(sign)) {
				places = append(places, name+" has "+sign)
			}
		}
	}
	return places
}

// lends are the leases as their keepers have them, without times.
func (w *town) lends(t *testing.T) (all []string) {
	t.Helper()
	sockets, err := filepath.Glob(filepath.Join(w.dir, "leases*", "control.sock"))
	check(t, err)
	for _, s := range sockets {
		keeper, err := control.Dial(filepath.Dir(s))
		check(t, err)
		check(t, keeper.Leases(func(l view.Lease) error {
			all = append(all, fmt.Sprint(l.Address, l.State, l.Owner, l.MAC, l.ClientID, l.Hostname, l.CircuitID, l.RemoteID))
			return nil
		}))
		keeper.Close()
	}
	slices.Sort(all)
	return all
}

// dweller is a machine of the town, and the address that it was told last.
type dweller struct {
	mac net.HardwareAddr
	ip  net.IP
}

// says is something that the machine may say in any state.
func (d *dweller) says(t *testing.T, r *rand.Rand) ([]byte, *request.Facts) {
	t.Helper()
	kinds := []dhcpv4.MessageType{
		dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRequest,
		dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeInform, dhcpv4.MessageTypeDecline,
		dhcpv4.MessageTypeNone,
	}
	kind := kinds[r.IntN(len(kinds))]
	req, err := dhcpv4.New(dhcpv4.WithHwAddr(d.mac))
	check(t, err)
	req.HWType, req.TransactionID = 1, dhcpv4.TransactionID{1, byte(r.IntN(100)), 2, 3}
	if kind == dhcpv4.MessageTypeDecline && r.IntN(4) > 0 {
		kind = dhcpv4.MessageTypeRequest
	}
	req.SetBroadcast() // the office has no socket for frames
	if kind != dhcpv4.MessageTypeNone {
		req.UpdateOption(dhcpv4.OptMessageType(kind))
	}
	f := &request.Facts{Interface: eth0, Peer: netip.MustParseAddrPort("0.0.0.0:68"), Local: everyone}
	switch has := d.ip != nil && r.IntN(5) > 0; {
	case !has:
	case kind == dhcpv4.MessageTypeDecline, kind == dhcpv4.MessageTypeDiscover, kind == dhcpv4.MessageTypeRequest && r.IntN(2) == 0:
		req.UpdateOption(dhcpv4.OptRequestedIPAddress(d.ip))
		if kind != dhcpv4.MessageTypeDiscover {
			req.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1)))
		}
	default: // it renews, gives back, or only asks
		req.ClientIPAddr = d.ip
		f.Local = asked
	}
	for code, values := range map[uint8][]string{
		12: {"", "", "old-dell", "kiosk." + strings.Repeat("x", 40)}, 61: {"", "", "\x01" + string(d.mac), "some-client"},
		60: {"", "PXEClient:Arch:00007:UNDI:003016", "HTTPClient:Arch:00016", "android"}, 93: {"", "\x00\x07", "\x00\x00"}, 77: {"", "iPXE"},
		97: {"", "\x00" + strings.Repeat("\x11", 16)}, 55: {"\x01\x03\x06\x42\x43"}, 82: {"", "", "\x01\x04port\x02\x06switch"},
	} {
		if v := values[r.IntN(len(values))]; v != "" {
			req.Options[code] = []byte(v)
		}
	}
	if req.Options[82] != nil {
		req.GatewayIPAddr, f.Peer, f.Local = net.IPv4(10, 0, 0, 9), netip.MustParseAddrPort("10.0.0.9:67"), asked
	}
	return req.ToBytes(), f
}

func TestNothingThatPluginsKeepIsInTheMemoryOfARequest(t *testing.T) {
	const rules = "next-server: 10.0.0.1\nrules:\n  - {ipxe: true, file: \"{hostname}.ipxe\"}\n  - {arch: uefi-x64, file: ipxe.efi}\n  - {arch: bios, file: undionly.kpxe}\n"
	for name, c := range map[string]struct {
		files map[string]string
		chain func(dir string, log *logrus.Entry) []*plugins.Plugin
	}{
		"subnets": {
			map[string]string{"boot.yml": rules, "subnets.yml": "leases: leases\ndhcpd-leases: copy.leases\n" + `
authoritative: true
bootp: true
options: {domain-name: example.net}
classes:
  - {name: firmware, when: 'substring(option vendor-class-identifier, 0, 9) = "PXEClient"', lease-time: 10m}
networks:
  - name: office
    subnet: 10.0.0.0/24
    pools: [10.0.0.100-10.0.0.140]
    options: {routers: 10.0.0.254}
`},
			func(dir string, log *logrus.Entry) []*plugins.Plugin {
				return []*plugins.Plugin{
					listed(serverid.Plugin, "10.0.0.1"), listed(subnets.New(subnets.Env{Log: log, Clock: noon{}}), filepath.Join(dir, "subnets.yml")),
					listed(boot.New(boot.Env{Log: log}), filepath.Join(dir, "boot.yml")),
				}
			},
		},
		"range": {
			map[string]string{"boot.yml": rules},
			func(dir string, log *logrus.Entry) []*plugins.Plugin {
				return []*plugins.Plugin{
					listed(serverid.Plugin, "10.0.0.1"), listed(pool.New(pool.Env{Log: log}), filepath.Join(dir, "leases"), "10.0.0.100", "10.0.0.140", "1h"),
					listed(boot.New(boot.Env{Log: log}), filepath.Join(dir, "boot.yml")),
				}
			},
		},
		"proxy": {
			map[string]string{"boot.yml": "mode: proxy\nreply-delay: 1ms\n" + rules},
			func(dir string, log *logrus.Entry) []*plugins.Plugin {
				return []*plugins.Plugin{listed(boot.New(boot.Env{Log: log}), filepath.Join(dir, "boot.yml"))}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(21, 22))
			used, fresh := settle(t, c.files, c.chain), settle(t, c.files, c.chain)
			w := newWorker(used.Engine, used.queues[0])
			var people [60]dweller
			for i := range people {
				people[i].mac = net.HardwareAddr{0x52, 0x54, 0, 1, 2, byte(i)}
			}
			again, replies := 0, 0
			for range 3000 {
				d := &people[r.IntN(len(people))]
				data, f := d.says(t, r)
				got := w.replies(data, used.four, f)
				if w.memory != nil {
					w.memory.spoil()
					again++
				}
				want := newWorker(fresh.Engine, fresh.queues[0]).replies(data, fresh.four, f)
				if !bytes.Equal(got, want) {
					t.Fatalf("% x\nin used memory\n% x\nin new\n% x", data, got, want)
				}
				if got != nil {
					replies++
					if ip := parse(t, got).YourIPAddr; isSet(ip) {
						d.ip = ip.To4()
					}
				}
			}
			used.work() // all that is held leaves
			fresh.work()
			if places := used.remembers(t); len(places) > 0 {
				t.Error(places)
			}
			if got, want := used.lends(t), fresh.lends(t); !slices.Equal(got, want) || name != "proxy" && len(got) < 20 {
				t.Errorf("the leases are\n%q\nwant\n%q", got, want)
			}
			if again < 500 || replies < 300 {
				t.Errorf("memory was used again %d times, for %d replies", again, replies)
			}
		})
	}
}

// replies is the reply to a datagram, without the time that is left of a lease; nil: there is none.
func (w *worker) replies(data []byte, via *conn, f *request.Facts) []byte {
	w.reply = w.reply[:0]
	if err := w.serve(&packet{data: data, via: via, facts: *f}); err != nil || len(w.reply) == 0 {
		return nil
	}
	out := bytes.Clone(w.reply)
	if at := bytes.Index(out, []byte{51, 4}); at >= 0 {
		clear(out[at+2 : at+6])
	}
	return out
}

// noon is a clock that stands still.
type noon struct{}

func (noon) Boot() string         { return "noon" }
func (noon) Since() time.Duration { return time.Hour }
func (noon) Wall() time.Time      { return time.Unix(1_800_000_000, 0) }
