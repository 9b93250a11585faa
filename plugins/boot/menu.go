package boot

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// Menu is a PXE boot menu as the operator wrote it.
type Menu struct {
	conf.Pos
	Prompt  conf.At[string] `yaml:"prompt"`
	Timeout menuTimeout     `yaml:"timeout"`
	Items   []MenuItem      `yaml:"items"`
}

// MenuItem is a line of a menu: a file, or the machine's own disk.
type MenuItem struct {
	conf.Pos
	Text  conf.At[string] `yaml:"text"`
	File  conf.At[string] `yaml:"file"`
	Local bool            `yaml:"local"`
}

// single is the file of a menu with one item, which is no choice. Much UEFI firmware has trouble with menus, so what
// needs none gets none.
func (m *Menu) single() (conf.At[string], bool) {
	if m == nil || len(m.Items) != 1 || m.Items[0].Local {
		return conf.At[string]{}, false
	}
	return m.Items[0].File, true
}

// menuTimeout is how long a menu waits before it takes its first item: "10s", or "never" takes one.
type menuTimeout struct {
	given   bool
	seconds uint8
}

func (t *menuTimeout) UnmarshalText(b []byte) error {
	if string(b) == "never" {
		*t = menuTimeout{true, netboot.WaitForever}
		return nil
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 || d >= netboot.WaitForever*time.Second || d%time.Second != 0 {
		return fmt.Errorf("timeout %q is no time of 0s to 254s; write it like 10s, or never to wait for somebody", b)
	}
	*t = menuTimeout{true, uint8(d / time.Second)}
	return nil
}

// replyDelay is how long a reply waits for a machine that is not ready at once.
type replyDelay struct{ time.Duration }

// maxReplyDelay is within the 4 seconds that EDK2 gathers offers for; iPXE stops waiting for a proxy after 2 to 3.
const maxReplyDelay = 3 * time.Second

func (r *replyDelay) UnmarshalText(b []byte) (err error) {
	r.Duration, err = time.ParseDuration(string(b))
	if err != nil || r.Duration < 0 || r.Duration > maxReplyDelay {
		return fmt.Errorf("reply-delay %q is no time of 0s to %s, after which machines have gone on; write it like 500ms", b, maxReplyDelay)
	}
	return nil
}

// menu is a menu, understood.
type menu struct {
	shown *netboot.Menu
	files []*file // of each item; nil: the machine's disk
}

// give is the menu, or the file of the item that the client chose.
func (m *menu) give(c *netboot.Client, out netboot.Answer) (netboot.Answer, Reason) {
	if c.V6 || c.Firmware != netboot.FirmwarePXE || c.Arch == netboot.ArchRPi {
		return out, ReasonMenu
	}
	if c.Item == (netboot.BootItem{}) {
		out.Menu = m.shown
		return out, ReasonNone
	}
	i := int(c.Item.Type) - netboot.FirstBootItem
	if i < 0 || i >= len(m.files) || m.files[i] == nil {
		return out, ReasonNoItem
	}
	var why Reason
	out.Item = c.Item
	out.File, why = m.files[i].form(c, out.Server)
	return out, why
}

// defaultMenuTimeout lets a machine boot that nobody sits at.
const defaultMenuTimeout = 10

// menu compiles a menu with a choice.
func (c *compiler) menu(g *Give, a *answer) *menu {
	w := g.Menu
	m := &menu{shown: &netboot.Menu{Prompt: w.Prompt.V, Timeout: defaultMenuTimeout}}
	if w.Timeout.given {
		m.shown.Timeout = w.Timeout.seconds
	}
	if m.shown.Prompt == "" {
		m.shown.Prompt = "Boot menu"
	}
	c.menuText(w.Prompt)
	for i := range w.Items {
		item := &w.Items[i]
		m.shown.Items = append(m.shown.Items, netboot.MenuItem{Text: item.Text.V, Local: item.Local})
		m.files = append(m.files, c.menuFile(item, a))
	}
	if n := len(m.shown.Vendor(netip.IPv4Unspecified())); n > netboot.MaxMenu {
		c.problems.Add(w.Pos, "the menu has %d bytes; firmware reads at most %d: shorten its texts, or leave items out", n, netboot.MaxMenu)
	}
	if a.server4.IsValid() { // seen with OVMF: it drops an answer whose siaddr is not whom it asked
		c.warnings.Add(w.Pos, "UEFI firmware takes the files of a menu from the host that shows it only; let server be auto, unless %s is this host", a.server4)
	}
	return m
}

func (c *compiler) menuFile(item *MenuItem, a *answer) *file {
	c.menuText(item.Text)
	switch {
	case item.Text.V == "":
		c.problems.AddAbsence(item.Pos, "the item has no text; say what it boots")
	case item.Local == (item.File.V != ""):
		c.problems.Add(item.Pos, "the item %q needs either a file or local: true, which boots from the machine's disk", item.Text.V)
	}
	if item.File.V == "" {
		return nil
	}
	f := c.newFile(item.File, a)
	if f != nil && f.scheme != "" {
		c.problems.Add(item.File.Pos, "PXE firmware, which shows the menu, cannot fetch the URL %q; give a name", item.File.V)
	}
	return f
}

// menuText looks at a text that firmware shows: its screen has no more than ASCII for sure.
func (c *compiler) menuText(t conf.At[string]) {
	for _, r := range t.V {
		if r < ' ' || r > '~' {
			c.problems.Add(t.Pos, "%q has the character %q; firmware shows plain ASCII only: use another", t.V, r)
			return
		}
	}
	if len(t.V) > math.MaxUint8 {
		c.problems.Add(t.Pos, "the text has %d bytes; shorten it", len(t.V))
	}
}

// proxyWords looks at what a rule or host gives that one of the modes cannot give.
func (c *compiler) proxyWords(g *Give, a *answer, at conf.Pos) {
	if m := g.Menu; m != nil {
		switch {
		case len(m.Items) == 0:
			c.problems.AddAbsence(m.Pos, "the menu has no items; add some, like - {text: Install, file: undionly.kpxe}")
		case len(m.Items) == 1 && m.Items[0].Local:
			c.problems.Add(m.Pos, "the menu's one item boots from the machine's disk; write ignore: true instead")
		case g.File.V != "":
			c.problems.Add(m.Pos, "a menu stands beside file; keep one of the two")
		case g.Profile.V == "raspberry-pi":
			c.problems.Add(m.Pos, "a Raspberry Pi shows no menu; remove the menu, or the profile")
		case c.mode != netboot.ModeProxy && len(m.Items) > 1:
			c.problems.Add(m.Pos, "a menu needs mode: proxy, where port 4011 is answered; let iPXE show one in its script instead")
		}
	}
	if c.mode != netboot.ModeProxy {
		if a.profile == netboot.ProfileFast {
			c.problems.Add(g.Profile.Pos, "profile fast is for mode: proxy; in mode full UEFI firmware takes the file at once anyway: remove it")
		}
		return
	}
	for _, o := range a.options4 {
		if o.Code == 1 || o.Code == 3 || o.Code == 6 {
			c.problems.Add(at, "option %d belongs to the lease, which another server gives in mode proxy; remove it", o.Code)
		}
	}
}
