package boot_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/coredhcp-netboot/suite/plugins/boot"
	"github.com/sirupsen/logrus"
)

// A machine tells its story: it asks, and says what it was told.
type machine struct {
	t    *testing.T
	c    *chain
	asks request4
}

// lab is a network served by the map with this text.
func lab(t *testing.T, text string) *chain { return newChain(t, text) }

func (c *chain) machine(asks request4, mac string) *machine {
	asks.mac = mac
	return &machine{c.t.(*testing.T), c, asks}
}

// becomesIPXE is the machine after it ran iPXE.
func (m *machine) becomesIPXE() {
	ipxe := ipxeBIOS
	for _, o := range m.asks.options {
		if o.code == 93 {
			ipxe = ipxe.with(o)
		}
	}
	ipxe.mac = m.asks.mac
	m.asks = ipxe
}

// A told is what a machine was told.
type told struct {
	t     *testing.T
	reply *reply4
	log   []*logrus.Entry
}

func (m *machine) discovers() *told {
	m.t.Helper()
	m.c.hook.Reset()
	reply := parse4(m.t, m.c.ask4(m.asks.bytes()))
	if reply == nil {
		m.t.Fatal("nobody answers")
	}
	return &told{m.t, reply, m.c.hook.AllEntries()}
}

func (o *told) isOffered(file string) *told {
	o.t.Helper()
	if got := o.reply.bootFile(); got != file {
		o.t.Errorf("is offered %q, not %q", got, file)
	}
	return o
}

func (o *told) from(server string) *told {
	o.t.Helper()
	if got := o.reply.siaddr().String(); got != server {
		o.t.Errorf("from %s, not %s", got, server)
	}
	return o
}

// because checks the line that the log has for a person: the place in the map, or the reason of no answer.
func (o *told) because(place string) *told {
	o.t.Helper()
	for _, e := range o.log {
		if why, ok := e.Data["because"].(string); ok && strings.HasSuffix(why, place) && e.Level <= logrus.InfoLevel {
			return o
		}
	}
	o.t.Errorf("no log line says because=...%s", place)
	return o
}

func (o *told) bootsNothing() *told {
	o.t.Helper()
	if o.reply.file() != "" || o.reply.get(67) != nil || o.reply.get(66) != nil {
		o.t.Errorf("is told file %q, 67 %q, 66 %q", o.reply.file(), o.reply.get(67), o.reply.get(66))
	}
	return o
}

func (o *told) warns(text string) *told {
	o.t.Helper()
	for _, e := range o.log {
		if e.Level == logrus.WarnLevel && strings.Contains(e.Message, text) {
			return o
		}
	}
	o.t.Errorf("no warning says %q", text)
	return o
}

func mustParse(t testing.TB, text string) *boot.Policy {
	t.Helper()
	p, err := boot.Parse("boot.yml", []byte(text))
	must(t, err)
	return p
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }
