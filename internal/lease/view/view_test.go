package view_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/coredhcp-netboot/suite/internal/lease"
	"github.com/coredhcp-netboot/suite/internal/lease/view"
)

func TestNothingThatAClientSentIsShownAsItCame(t *testing.T) {
	l := lease.Lease{
		Addr: netip.MustParseAddr("192.0.2.100"), State: lease.Active, Start: 1_800_000_000, End: 1_800_003_601,
		Client: lease.Client{
			Owner: "\x01\x52\x54\x00\xaa\xbb\x01", MAC: "\x52\x54\x00\xaa\xbb\x01", ID: "\x01\x00", Hostname: "a$(reboot)\x1b[2J\n\\\"é",
			CircuitID: "Gi1/0/1:7",
		},
	}
	utc := func(s int64) time.Time { return time.Unix(s, 0) }
	got, err := json.Marshal(view.Of(l, utc))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"address":"192.0.2.100","state":"active","owner":"01:52:54:00:aa:bb:01","mac":"52:54:00:aa:bb:01","client_id":"01:00",` +
		`"hostname":"a\\044\\050reboot\\051\\033\\1332J\\012\\134\\042\\303\\251","circuit_id":"Gi1/0/1:7",` +
		`"starts":"2027-01-15T08:00:00Z","ends":"2027-01-15T09:00:01Z"}`
	if string(got) != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}
