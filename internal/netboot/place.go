package netboot

// Place is where a client is, as a plugin that lends addresses found it. It is left for the plugins that come later.
type Place struct {
	Network string // the name of the link
	Subnet  string // of the address that the client has or gets, like 192.0.2.0/24; empty: it has none there
	Classes []string
}
