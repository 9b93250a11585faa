package subnets_test

import (
	"testing"
	"time"
)

// A model of random machines found both.

func TestAPoolWhoseAddressesAreAllReservedTakesNobodysAddress(t *testing.T) {
	l := newLab(t, `
networks:
  - {subnet: 10.1.1.0/24, pools: [10.1.1.100, 10.1.1.110-10.1.1.119], lease-time: 10m}
reservations:
  - {name: printer, mac: "52:54:00:aa:00:07", address: 10.1.1.100}
`)
	laptop := l.machine(1)
	laptop.boots("10.1.1.110")
	laptop.boots("10.1.1.110")
	l.clock.passes(time.Hour)
	l.machine(2).boots("10.1.1.111")
	laptop.boots("10.1.1.110")
}

func TestWhoHadAnAddressInEachOfTwoNetworksKeepsTheOneThatIsStillLent(t *testing.T) {
	const two = `
authoritative: true
lease-time: 10m
networks:
  - {subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.102]}
  - {subnet: 10.2.0.0/24, pools: [10.2.0.100-10.2.0.102]}
`
	l := newLab(t, two)
	router := l.machine(1) // one hardware address on two links
	router.boots("10.1.1.100")
	l.clock.passes(time.Minute)
	router.boots("10.2.0.100", via("10.2.0.1"))
	l.becomes(`
authoritative: true
lease-time: 10m
networks:
  - name: both
    subnets: [{subnet: 10.1.1.0/24, pools: [10.1.1.100-10.1.1.102]}, {subnet: 10.2.0.0/24}]
`)
	l.clock.passes(4 * time.Minute)
	router.requests("10.1.1.100", has("10.1.1.100"))
	router.requests("silence", has("10.2.0.100"), via("10.2.0.1")) // it is in no pool, and nobody's
	router.boots("10.1.1.100", via("10.2.0.1"))
}
