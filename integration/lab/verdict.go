package lab

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coredhcp-netboot/suite/integration/wire"
)

// Check is one thing that a network boot must show, on the wire or on the console.
type Check struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Note string `json:"note,omitempty"`
}

// String is the check with what was seen instead, or as its proof.
func (c Check) String() string {
	if c.Note == "" {
		return c.What
	}
	return c.What + " (" + c.Note + ")"
}

// judge holds a boot against what its kind of machine must have done.
func (l *Lab) judge(b *Boot) []Check {
	var checks []Check
	check := func(ok bool, note, format string, args ...any) {
		checks = append(checks, Check{What: fmt.Sprintf(format, args...), OK: ok, Note: note})
	}
	if b.Kind == UEFI6 {
		return l.judge6(b)
	}
	k := b.Kind.traits()
	who := "firmware"
	if k.ipxe {
		who = "iPXE"
	}
	first, asked := b.firstDiscover()
	check(asked && first.IPXE == k.ipxe && slices.Contains(k.arch, first.Arch), first.String(),
		"the machine asks first as %s of architecture %v", who, k.arch)
	since := b.PowerOn
	if k.first != "" {
		given := b.answer(since, l.gives, func(m wire.Message) bool { return !m.IPXE })
		check(path.Base(given.File) == k.first, given.String(), "the firmware is given an address and %s", k.first)
		t, fetched := b.fetched(k.by, k.first)
		size := l.size(k.first)
		check(fetched && t.Received == size, fmt.Sprintf("%d of %d bytes in %s", t.Received, size, t.End.Sub(t.Start)),
			"%s is fetched whole by %s", k.first, k.by)
		if fetched {
			since = t.End
		}
	}
	if k.alone {
		check(!b.Done.IsZero(), "", "the script's last line is on the console")
		return checks
	}
	given := b.answer(since, l.gives, func(m wire.Message) bool { return m.IPXE })
	check(given.File == l.scriptURL(), given.String(), "iPXE is given its script, %s", l.scriptURL())
	if l.Addresses != "" {
		from, _ := l.otherAt()
		mixed := b.mixedOffers(from)
		check(len(mixed) == 0, strings.Join(mixed, "; "), "each server gives what is its own: %s addresses, ours files", l.Addresses)
	}
	offered := b.firstStageOffers()
	check(len(offered) == 0, strings.Join(offered, "; "), "iPXE is never given an iPXE file again")
	t, fetched := b.fetched(l.ScriptBy, l.First)
	check(fetched, "", "the script is fetched whole by %s", l.ScriptBy)
	check(!b.Done.IsZero() && (!fetched || b.Done.After(t.Start)), "", "the script's last line is on the console")
	return checks
}

// firstDiscover is the first DHCPDISCOVER that speaks of an architecture.
func (b *Boot) firstDiscover() (wire.Message, bool) {
	for _, m := range b.Trace.DHCP {
		if m.Type == "DISCOVER" && m.Arch >= 0 {
			return m, true
		}
	}
	return wire.Message{}, false
}

// gives tells the message by which a client is given its file. Where another server gives the addresses, its
// acknowledgement has none: then the offer of ours does, or the answer on port 4011.
func (l *Lab) gives(m wire.Message) bool {
	if l.Addresses != "" {
		return !m.FromClient && m.File != ""
	}
	return m.Type == "ACK"
}

// mixedOffers are the answers that gave what those of the other server, at the address other, are for.
func (b *Boot) mixedOffers(other string) (wrong []string) {
	var lent bool
	for _, m := range b.Trace.DHCP {
		if m.FromClient {
			continue
		}
		from, lends := m.From.Addr().String(), !m.Address.IsUnspecified()
		lent = lent || lends
		if lends && (from != other || m.File != "") || !lends && from != ServerIP {
			wrong = append(wrong, m.From.String()+" "+m.Type+" "+m.String())
		}
	}
	if !lent {
		wrong = append(wrong, "no address was given")
	}
	return wrong
}

// answer is the first message, later than since, by which a client of that description is given its file.
func (b *Boot) answer(since time.Time, gives, client func(wire.Message) bool) wire.Message {
	exchanges := make(map[uint32]bool)
	for _, m := range b.Trace.DHCP {
		if m.FromClient && m.At.After(since) && client(m) {
			exchanges[m.Exchange] = true
		}
		if gives(m) && exchanges[m.Exchange] {
			return m
		}
	}
	return wire.Message{}
}

// fetched finds a file that was transferred whole, or the best attempt at it.
func (b *Boot) fetched(by wire.Protocol, name string) (best wire.Transfer, whole bool) {
	for _, t := range b.Trace.Transfers {
		if t.Protocol != by || path.Base(t.Name) != name || t.Method == http.MethodHead {
			continue
		}
		if t.Whole && (by == wire.TFTP || t.Status == 200) {
			return t, true
		}
		if t.Received >= best.Received {
			best = t
		}
	}
	return best, false
}

// firstStageOffers are the answers to iPXE that name an iPXE binary: each would load iPXE into iPXE, without end.
func (b *Boot) firstStageOffers() []string {
	ipxe := make(map[uint32]bool)
	var wrong []string
	for _, m := range b.Trace.DHCP {
		if m.FromClient {
			ipxe[m.Exchange] = m.IPXE
			continue
		}
		switch path.Ext(m.File) {
		case ".efi", ".kpxe", ".kkpxe", ".pxe", ".lkrn":
			if ipxe[m.Exchange] {
				wrong = append(wrong, m.Type+" "+m.String())
			}
		}
	}
	return wrong
}

func (l *Lab) size(name string) int64 {
	info, err := os.Stat(filepath.Join(l.BootDir(), name))
	if err != nil {
		return -1
	}
	return info.Size()
}

// Took is the time from power on to the end of the script, 0 where that was not reached.
func (b *Boot) Took() time.Duration {
	if b.Done.IsZero() {
		return 0
	}
	return b.Done.Sub(b.PowerOn)
}

// Waited is how much of that time the machine waited for its servers: from each DHCP request to its answer, and
// while files travelled. The rest is the firmware's own.
func (b *Boot) Waited() time.Duration {
	var sum time.Duration
	asked := make(map[uint32]time.Time)
	for _, m := range b.Trace.DHCP {
		if m.FromClient {
			asked[m.Exchange] = m.At
		} else if at, open := asked[m.Exchange]; open {
			sum += m.At.Sub(at)
			delete(asked, m.Exchange) // a second answer was not waited for
		}
	}
	for _, t := range b.Trace.Transfers {
		sum += t.End.Sub(t.Start)
	}
	return sum
}

// Err is nil for a boot that did all it should, and otherwise says what it did not, what the console showed last and
// where everything that was recorded lies.
func (b *Boot) Err() error {
	var errs []error
	if b.Trouble != nil {
		errs = append(errs, b.Trouble)
	}
	for _, c := range b.Checks {
		if !c.OK {
			errs = append(errs, errors.New("not seen: "+c.String()))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s (%s) did not boot:\n%w\nits console ended with:\n%s\nrecorded in %s",
		b.Name, b.Kind, errors.Join(errs...), tail(filepath.Join(b.Dir, "console.txt")), b.Dir)
}
