package tftpd

// For tests of production values by arithmetic.
const DefaultRetransmit = defaultRetransmit

var (
	Patience   = patience
	CutGarbage = cutGarbage
)
