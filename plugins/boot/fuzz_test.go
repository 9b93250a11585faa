package boot_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/coredhcp-netboot/suite/internal/netboot"
	"github.com/coredhcp-netboot/suite/plugins/boot"
)

// FuzzRequest4 sends any bytes through the whole chain: nothing panics, and what is answered keeps the rules that hold
// whatever was asked.
func FuzzRequest4(f *testing.F) {
	for _, v := range vectors4 {
		f.Add(v.request.bytes())
	}
	c := newChain(f, vectorMap(f, nil))
	f.Fuzz(func(t *testing.T, request []byte) {
		c.t = t
		c.hook.Reset()
		r := parse4(t, c.ask4(request))
		if r == nil {
			return
		}
		req, err := dhcpv4.FromBytes(request)
		must(t, err)
		if string(r.get(97)) != string(req.Options.Get(dhcpv4.GenericOptionCode(97))) && len(r.get(97)) < 255 {
			t.Errorf("97 = %x, the client sent %x", r.get(97), req.Options.Get(dhcpv4.GenericOptionCode(97)))
		}
		for _, o := range r.options {
			if slices.Contains([]uint8{77, 52, 13}, o.code) {
				t.Errorf("has option %d", o.code)
			}
		}
		if vendor := r.get(43); vendor != nil && r.get(60) == nil {
			t.Error("has 43 without 60")
		}
		file := r.get(67)
		if len(file) > 0 && (file[len(file)-1] != 0 || r.file() != strings.TrimSuffix(string(file), "\x00") || string(r.get(66)) != "10.0.0.1") {
			t.Errorf("67 %q, file %q, 66 %q", file, r.file(), r.get(66))
		}
		// What says iPXE by option 175 is iPXE, and gets it only where it lacks HTTP.
		client, err := netboot.Client4(req)
		must(t, err)
		if client.Firmware == netboot.FirmwareIPXE && netboot.IsIPXEBinary(r.file()) && client.Features.Has(netboot.FeatureHTTP) {
			t.Errorf("iPXE is handed %q", r.file())
		}
	})
}

// FuzzProxy4 is the same for mode proxy with a menu, on both ports: what is answered has no lease, and iPXE sees no menu.
func FuzzProxy4(f *testing.F) {
	for _, v := range vectorsProxy {
		f.Add(v.request.bytes(), v.to == port4011)
	}
	c := proxy(f, proxyMap(f, withMenu))
	f.Fuzz(func(t *testing.T, message []byte, pxe bool) {
		c.t = t
		c.hook.Reset()
		to := port67
		if pxe {
			to = port4011
		}
		r := parse4(t, c.ask4At(message, to))
		if r == nil {
			return
		}
		for _, code := range []uint8{1, 3, 6, 51, 58, 59} {
			if r.get(code) != nil {
				t.Errorf("has option %d of a lease", code)
			}
		}
		req, err := dhcpv4.FromBytes(message)
		must(t, err)
		client, err := netboot.Client4(req)
		must(t, err)
		class := string(r.get(60))
		if class != "PXEClient" && class != "HTTPClient" || client.Firmware == netboot.FirmwareIPXE && r.get(43) != nil {
			t.Errorf("60 = %q, 43 = %x to %s", class, r.get(43), client.Firmware)
		}
		if !r.yiaddr().IsUnspecified() || r.siaddr().IsUnspecified() {
			t.Errorf("yiaddr %s, siaddr %s", r.yiaddr(), r.siaddr())
		}
	})
}

// FuzzRequest6 is the same for DHCPv6, relayed or not.
func FuzzRequest6(f *testing.F) {
	for _, v := range vectors6 {
		f.Add(message6(v.kind, v.options...))
		f.Add(relay6("2001:db8:9::1", message6(v.kind, v.options...)))
	}
	c := newChain(f, vectorMap(f, nil))
	f.Fuzz(func(t *testing.T, request []byte) {
		c.t = t
		c.hook.Reset()
		raw := c.ask6(request)
		if len(raw) < 4 || raw[0] == 13 {
			return
		}
		_, options := options6(t, raw)
		for i, o := range options {
			if o.code == 59 && i == len(options)-1 {
				t.Error("the URL is the last option")
			}
			if o.code == 16 && (len(o.value) < 16 || binary.BigEndian.Uint32(o.value) != 343) {
				t.Errorf("vendor class %x", o.value)
			}
		}
	})
}

// FuzzMap reads any text as a map; what is taken decides about every kind of client without a panic, and never hands
// out a name that leaves its directory.
func FuzzMap(f *testing.F) {
	f.Add(vectorMap(f, nil))
	f.Add(ordinary)
	f.Add("rules: [{file: \"h/{hostname}/{mac}?{uuid}\", any: [{arch: 7}], not: {lacks: http}}]")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "firmware") {
			return // would look at directories of this machine
		}
		p, err := boot.Parse("boot.yml", []byte(text))
		if err != nil {
			return
		}
		for _, r := range []request4{biosROM, edk2, ipxeEFI, httpBoot, pi3, windows, relayed4(edk2)} {
			req, err := dhcpv4.FromBytes(r.with(opt(12, "../x")).bytes())
			must(t, err)
			c, err := netboot.Client4(req)
			must(t, err)
			c.Local = ip("192.0.2.1")
			a, mine := p.Decide(&c)
			if mine && (len(a.File) > netboot.MaxFile || slices.Contains(strings.Split(strings.SplitN(a.File, "?", 2)[0], "/"), "..")) {
				t.Errorf("hands out %q", a.File)
			}
		}
	})
}
