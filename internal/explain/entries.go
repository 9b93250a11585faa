package explain

import (
	"fmt"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// hosts tells of the machines that have an entry of their own, where this is none of them.
func (s *Server) hosts(x *Explanation, d boot.Decision, c *netboot.Client) {
	_, hosts := d.Policy.Entries()
	if hosts == 0 || !c.Boots() || len(d.Policy.HostEntries(c)) > 0 {
		return
	}
	var ids []string
	if c.MAC.Known() {
		ids = append(ids, "mac "+c.MAC.String())
	}
	if c.UUID.Known() {
		ids = append(ids, "uuid "+c.UUID.String())
	}
	why := "none is of this client, which told neither mac nor uuid"
	if len(ids) > 0 {
		why = "none has " + strings.Join(ids, " or ")
	}
	x.Considered = append(x.Considered, Entry{fmt.Sprintf("hosts (%d)", hosts), why})
}

// gives is an answer in a line.
func gives(d boot.Decision) string {
	a := d.Answer
	if !d.Answered {
		return "ignore: no boot answer"
	}
	text := "no file"
	if a.File != "" {
		text = printable(a.File)
	}
	if a.Server.IsValid() && !strings.Contains(a.File, "://") {
		text += " from " + a.Server.String()
	}
	if a.Profile == netboot.ProfileRaspberryPi {
		text += ", with what a Raspberry Pi wants"
	}
	return text
}
