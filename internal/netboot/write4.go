package netboot

import (
	"net"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// EchoUUID4 copies option 97 from the request: PXE wants it in every reply, and only where the client sent it
// (RFC 4578 section 2.3).
func EchoUUID4(req, resp *dhcpv4.DHCPv4) {
	if id := option4(req, optUUID97); len(id) > 0 && len(id) <= maxText {
		set4(resp, optUUID97, id)
	} else {
		del4(resp, optUUID97)
	}
}

// Write4 puts the answer into the reply, whose message type must be set. Clients read different ones of these fields
// (iPXE and U-Boot siaddr and `file`, EDK2 option 67 before `file`, shim `file` alone, a Pi option 66), so all that say
// the same are filled alike.
func (a Answer) Write4(req, resp *dhcpv4.DHCPv4) {
	if a.Mode == ModeProxy {
		withoutLease4(resp)
	}
	EchoUUID4(req, resp)
	// Options that break boots, whoever put them here: 13 replaces EDK2's size query, 52 makes iPXE read `file` as
	// options' remains, and iPXE takes over a returned 77 as its own user class and is not known as iPXE again.
	for code := range resp.Options {
		switch code {
		case optBootSize, optOverload, optUser77, optVendor43, optClass60, optServer66, optFile67, OptionIPXE:
			del4(resp, code)
		}
	}
	for _, o := range a.Options {
		set4(resp, uint8(o.Code), o.Value)
	}
	a.writeServer4(resp)
	a.writeFile4(resp)
	a.writeClass4(resp)
}

// withoutLease4 leaves of a reply what says whom it is from and for: everything else that plugins put there belongs to
// a lease, and the lease is another server's.
func withoutLease4(resp *dhcpv4.DHCPv4) {
	resp.YourIPAddr = net.IPv4zero
	for code := range resp.Options {
		switch code {
		case optType53, optServer54, optClient61, optRelay82:
		default:
			del4(resp, code)
		}
	}
}

func (a Answer) writeServer4(resp *dhcpv4.DHCPv4) {
	server := a.Server
	if a.AskedAgain(resp) || a.Menu != nil {
		server = Server4(resp) // whom firmware asks next, wherever the file will be
	}
	if server.Is4() {
		resp.ServerIPAddr = net.IP(server.AsSlice())
		set4(resp, optServer66, server.AppendTo(make([]byte, 0, len("255.255.255.255"))))
	}
	resp.ServerHostName = ""
	if len(a.ServerName) <= MaxServerName {
		resp.ServerHostName = a.ServerName
	}
}

func (a Answer) writeFile4(resp *dhcpv4.DHCPv4) {
	resp.BootFileName = ""
	if a.File == "" || a.AskedAgain(resp) {
		return
	}
	if len(a.File) <= MaxHeaderFile {
		resp.BootFileName = a.File
	}
	// EDK2 writes a NUL behind a value that has none, over the tag of the next option; some ROMs read on to the next
	// NUL. So the length counts one.
	name := make([]byte, len(a.File)+1)
	copy(name, a.File)
	set4(resp, optFile67, name)
}

// AskedAgain tells an offer that UEFI firmware follows with a request to port 4011, whose answer has the file. EDK2 from
// before April 2017 drops a proxy's offer with PXE's options in 43 (commit 8cdd559be6), and takes one without them for
// half of an answer.
func (a Answer) AskedAgain(resp *dhcpv4.DHCPv4) bool {
	return a.Mode == ModeProxy && a.Firmware == FirmwarePXE && a.Profile == ProfileNone && a.Arch.UEFI() &&
		Type4(resp) == dhcpv4.MessageTypeOffer
}

// writeClass4 sets options 60, 43 and 175.
//
// Plain PXE firmware takes `file` from a reply without option 60 as it is. With 60 = PXEClient and no usable 43, UEFI
// firmware would ask port 4011 once more and fail without an answer. UEFI HTTP boot is the reverse: it ignores a reply
// without 60 = HTTPClient (EDK2 looks at the prefix, GRUB wants it exactly). iPXE gets neither: it would keep the class
// as its own, and enter a PXE menu where 43 has one.
//
// A proxy's reply is one by 60 = PXEClient, for iPXE too. A BIOS ROM takes the file at once if 43 tells it to; UEFI
// firmware is made to ask port 4011, where this server answers.
func (a Answer) writeClass4(resp *dhcpv4.DHCPv4) {
	vendor := option4(resp, optVendor43)
	if vendor != nil {
		del4(resp, optVendor43)
	}
	switch {
	case a.Firmware == FirmwareHTTP:
		set4(resp, optClass60, []byte("HTTPClient"))
		return
	case a.Firmware == FirmwareIPXE:
		if len(a.IPXE) > 0 {
			set4(resp, OptionIPXE, a.IPXE)
		}
		vendor = nil
	case a.Profile == ProfileRaspberryPi:
		vendor = vendorRaspberryPi
	case a.Firmware != FirmwarePXE:
		return
	case a.Mode == ModeProxy:
		vendor = a.proxyVendor(resp, vendor)
	case !TakesFileAtOnce(vendor):
		vendor = nil
	}
	if len(vendor) > 0 {
		set4(resp, optVendor43, vendor)
	}
	if len(vendor) > 0 || a.Mode == ModeProxy {
		set4(resp, optClass60, []byte("PXEClient"))
	}
}

// proxyVendor is option 43 of a proxy's reply to PXE firmware; given is the operator's.
func (a Answer) proxyVendor(resp *dhcpv4.DHCPv4, given []byte) []byte {
	switch {
	case a.AskedAgain(resp):
		return nil
	case a.Menu != nil:
		return a.Menu.Vendor(Server4(resp))
	case a.Item != BootItem{}:
		return a.Item.vendor()
	case TakesFileAtOnce(given):
		return given
	case a.Arch.UEFI() && a.Profile != ProfileFast:
		return nil // the answer on port 4011
	}
	return vendorTakeFile
}

func set4(m *dhcpv4.DHCPv4, code uint8, value []byte) {
	m.Options[code] = value
}

func del4(m *dhcpv4.DHCPv4, code uint8) {
	delete(m.Options, code)
}
