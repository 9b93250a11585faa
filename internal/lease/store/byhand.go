package store

import (
	"net/netip"

	"github.com/sirupsen/logrus"

	"github.com/coredhcp-netboot/suite/internal/lease"
)

// byHand is a Book for the operator's tool: what it takes back is logged, since no client asked for it.
type byHand struct {
	*lease.Book
	log *logrus.Entry
}

// Free implements control.Leases.
func (b byHand) Free(a netip.Addr, done func(error)) (bool, error) {
	freed, err := b.Book.Free(a, done)
	if freed {
		b.log.WithFields(logrus.Fields{"ip": a, "because": "netbootctl took it back"}).Info("released")
	}
	return freed, err
}
