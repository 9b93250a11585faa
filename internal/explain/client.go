package explain

import (
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/internal/packet"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// Client is who asks, as the request tells. Empty values were not told. Text of the client is quoted where a terminal
// would not show it as it is.
type Client struct {
	MAC         string   `json:"mac,omitempty"`
	UUID        string   `json:"uuid,omitempty"`
	Arch        string   `json:"arch,omitempty"`
	ArchBy      string   `json:"arch_by,omitempty"` // what told it
	Firmware    string   `json:"firmware"`          // none, pxe, http or ipxe
	Features    []string `json:"features,omitempty"`
	UserClasses []string `json:"user_classes,omitempty"`
	VendorClass string   `json:"vendor_class,omitempty"`
	Hostname    string   `json:"hostname,omitempty"`
	Relay       string   `json:"relay,omitempty"`
	CircuitID   string   `json:"circuit_id,omitempty"`
	RemoteID    string   `json:"remote_id,omitempty"`
	Network     string   `json:"network,omitempty"` // that the plugin subnets found it in
	Subnet      string   `json:"subnet,omitempty"`
	Classes     []string `json:"classes,omitempty"`
}

// readClient is the client of a request that may be none.
func readClient(request []byte) Client {
	if packet.IsV4(request) {
		if req, err := dhcpv4.FromBytes(request); err == nil {
			if c, err := netboot.Client4(req); err == nil {
				return clientOf(&c)
			}
		}
		return Client{Firmware: "none"}
	}
	if req, err := dhcpv6.FromBytes(request); err == nil {
		if c, err := netboot.Client6(req); err == nil {
			return clientOf(&c)
		}
	}
	return Client{Firmware: "none"}
}

func clientOf(c *netboot.Client) Client {
	out := Client{
		MAC: c.MAC.String(), UUID: c.UUID.String(), Firmware: c.Firmware.String(), VendorClass: printable(c.VendorClass),
		Hostname: printable(c.Hostname), CircuitID: printable(c.Relay.CircuitID), RemoteID: printable(c.Relay.RemoteID),
		Network: c.Place.Network, Subnet: c.Place.Subnet, Classes: c.Place.Classes,
	}
	if c.ArchBy != netboot.ArchNotTold {
		out.Arch, out.ArchBy = boot.ArchText(c.Arch), c.ArchBy.String()
	}
	if c.FeaturesKnown {
		out.Features = c.Features.Names()
	}
	for _, class := range c.UserClasses {
		out.UserClasses = append(out.UserClasses, printable(class))
	}
	if c.Relay.Addr.IsValid() {
		out.Relay = c.Relay.Addr.String()
	}
	return out
}

// name is a client in a word.
func (c Client) name() string {
	switch {
	case c.MAC != "":
		return c.MAC
	case c.UUID != "":
		return c.UUID
	}
	return "somebody"
}

// machine is what a client is, in a word: uefi-x64/pxe.
func (c Client) machine() string {
	arch, _, _ := strings.Cut(c.Arch, " ")
	if arch == "" {
		arch = "unknown"
	}
	return arch + "/" + c.Firmware
}

// mostText is what one text of a client may fill of a screen.
const mostText = 300

// printable is text from the network: as it is where a terminal shows it so, otherwise quoted.
func printable(s string) string {
	rest := ""
	if len(s) > mostText {
		s, rest = s[:mostText], "..."
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return strconv.QuoteToASCII(s) + rest
	}
	return s + rest
}
