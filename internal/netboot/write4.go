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

// Write4 puts the answer into the reply. Clients read different ones of these fields (iPXE and U-Boot siaddr and
// `file`, EDK2 option 67 before `file`, shim `file` alone, a Pi option 66), so all that say the same are filled alike.
func (a Answer) Write4(req, resp *dhcpv4.DHCPv4) {
	EchoUUID4(req, resp)
	// Options that break boots, whoever put them here: 13 replaces EDK2's size query, 52 makes iPXE read `file` as
	// options' remains, and iPXE takes over a returned 77 as its own user class and is not known as iPXE again.
	for _, code := range []uint8{optBootSize, optOverload, optUser77, optVendor43, optClass60, optServer66, optFile67, OptionIPXE} {
		del4(resp, code)
	}
	for _, o := range a.Options {
		set4(resp, uint8(o.Code), o.Value)
	}
	a.writeServer4(resp)
	a.writeFile4(resp)
	a.writeClass4(resp)
}

func (a Answer) writeServer4(resp *dhcpv4.DHCPv4) {
	if a.Server.Is4() {
		resp.ServerIPAddr = net.IP(a.Server.AsSlice())
		set4(resp, optServer66, []byte(a.Server.String()))
	}
	resp.ServerHostName = ""
	if len(a.ServerName) <= MaxServerName {
		resp.ServerHostName = a.ServerName
	}
}

func (a Answer) writeFile4(resp *dhcpv4.DHCPv4) {
	resp.BootFileName = ""
	if a.File == "" {
		return
	}
	if len(a.File) <= MaxHeaderFile {
		resp.BootFileName = a.File
	}
	// EDK2 writes a NUL behind a value that has none, over the tag of the next option; some ROMs read on to the next
	// NUL. So the length counts one.
	set4(resp, optFile67, append([]byte(a.File), 0))
}

// writeClass4 sets options 60, 43 and 175.
//
// Plain PXE firmware takes `file` from a reply without option 60 as it is. With 60 = PXEClient and no usable 43, UEFI
// firmware would ask port 4011 once more and fail without an answer. UEFI HTTP boot is the reverse: it ignores a reply
// without 60 = HTTPClient (EDK2 looks at the prefix, GRUB wants it exactly). iPXE gets neither: it would keep the class
// as its own, and enter a PXE menu where 43 has one.
func (a Answer) writeClass4(resp *dhcpv4.DHCPv4) {
	vendor := option4(resp, optVendor43)
	switch {
	case a.Firmware == FirmwareIPXE:
		del4(resp, optVendor43)
		if len(a.IPXE) > 0 {
			set4(resp, OptionIPXE, a.IPXE)
		}
	case a.Firmware == FirmwareHTTP:
		del4(resp, optVendor43)
		set4(resp, optClass60, []byte("HTTPClient"))
	case a.Profile == ProfileRaspberryPi:
		set4(resp, optVendor43, vendorRaspberryPi)
		set4(resp, optClass60, []byte("PXEClient"))
	case a.Firmware == FirmwarePXE && TakesFileAtOnce(vendor):
		set4(resp, optClass60, []byte("PXEClient"))
	case a.Firmware == FirmwarePXE:
		del4(resp, optVendor43)
	}
}

// TakesFileAtOnce tells an option 43 with which PXE firmware takes the boot file of the same reply: its discovery control
// (6) has bit 3 set. With any other it would show a menu, look for boot servers, or drop the offer.
func TakesFileAtOnce(vendor []byte) bool {
	for len(vendor) >= 3 && vendor[0] != 255 {
		code, n := vendor[0], int(vendor[1])
		if code == 6 && n == 1 {
			return vendor[2]&8 != 0
		}
		vendor = vendor[min(2+n, len(vendor)):]
	}
	return false
}

func set4(m *dhcpv4.DHCPv4, code uint8, value []byte) {
	m.Options[code] = value
}

func del4(m *dhcpv4.DHCPv4, code uint8) {
	delete(m.Options, code)
}
