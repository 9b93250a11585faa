package netboot

import (
	"encoding/binary"
	"net/netip"
)

// PXE's own options inside option 43 (PXE 2.1, table 2-1).
const (
	pxeDiscovery = 6   // how to look for boot servers
	pxeServers   = 8   // where each item's boot servers are
	pxeMenu      = 9   // the items: type and text
	pxePrompt    = 10  // timeout and text
	pxeItem      = 71  // the item that was chosen: type and layer
	pxeEnd       = 255 // of the list

	// Bits of pxeDiscovery.
	pxeNoBroadcast = 1
	pxeNoMulticast = 2
	pxeTakeFile    = 8 // no menu and no discovery: take the boot file of this reply
)

// vendorTakeFile is the option 43 by which PXE firmware takes the file of the same reply.
var vendorTakeFile = []byte{pxeDiscovery, 1, pxeTakeFile, pxeEnd}

// BootItem is the item of a PXE boot menu that a client chose.
type BootItem struct{ Type, Layer uint16 }

// FirstBootItem is the type of a menu's first item of ours, from the range that PXE leaves to vendors. Type 0 is the
// local disk, by PXE's own definition.
const FirstBootItem = 0x8000

// Menu is a PXE boot menu. The firmware shows it, and asks again for the file of the item that was chosen.
type Menu struct {
	Prompt  string
	Timeout uint8 // seconds until the first item is taken; WaitForever: none is
	Items   []MenuItem
}

// MenuItem is one line of a menu; Local: it boots from the machine's disk.
type MenuItem struct {
	Text  string
	Local bool
}

// WaitForever is the timeout of a menu that waits for somebody.
const WaitForever = 255

// MaxMenu is what the menu's parts may take in option 43. Firmware does not join two options 43.
const MaxMenu = 255

// Vendor is the value of option 43 with which firmware shows the menu and asks server for the file of an item. With
// more than MaxMenu bytes it cannot be sent.
func (m *Menu) Vendor(server netip.Addr) []byte {
	var servers, items []byte
	for i, item := range m.Items {
		kind := uint16(FirstBootItem + i)
		if item.Local {
			kind = 0
		} else {
			servers = append(binary.BigEndian.AppendUint16(servers, kind), 1)
			servers = append(servers, server.AsSlice()...)
		}
		items = append(binary.BigEndian.AppendUint16(items, kind), byte(len(item.Text)))
		items = append(items, item.Text...)
	}
	// Neither broadcast nor multicast: the servers are named.
	b := []byte{pxeDiscovery, 1, pxeNoBroadcast | pxeNoMulticast}
	b = append(append(b, pxeServers, byte(len(servers))), servers...)
	b = append(append(b, pxeMenu, byte(len(items))), items...)
	b = append(append(b, pxePrompt, byte(1+len(m.Prompt)), m.Timeout), m.Prompt...)
	return append(b, pxeEnd)
}

// vendor is the value of option 43 that says which item's file this reply has.
func (i BootItem) vendor() []byte {
	b := binary.BigEndian.AppendUint16([]byte{pxeItem, 4}, i.Type)
	return append(binary.BigEndian.AppendUint16(b, i.Layer), pxeEnd)
}

// bootItemFrom reads the item that a client asks for; false: it asks for none.
func bootItemFrom(vendor []byte) (BootItem, bool) {
	v := pxeOption(vendor, pxeItem)
	if len(v) != 4 {
		return BootItem{}, false
	}
	return BootItem{binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])}, true
}

// TakesFileAtOnce tells an option 43 with which PXE firmware takes the boot file of the same reply: its discovery control
// (6) has bit 3 set. With any other it would show a menu, look for boot servers, or drop the offer.
func TakesFileAtOnce(vendor []byte) bool {
	control := pxeOption(vendor, pxeDiscovery)
	return len(control) == 1 && control[0]&pxeTakeFile != 0
}

// pxeOption is the first value of a code inside option 43; nil: it is not there, or cut short.
func pxeOption(vendor []byte, code byte) []byte {
	for len(vendor) >= 2 && vendor[0] != pxeEnd {
		if vendor[0] == 0 { // padding
			vendor = vendor[1:]
			continue
		}
		end := 2 + int(vendor[1])
		if end > len(vendor) {
			return nil
		}
		if vendor[0] == code {
			return vendor[2:end]
		}
		vendor = vendor[end:]
	}
	return nil
}
