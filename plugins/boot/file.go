package boot

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// file is a boot file in each form that a client may need.
type file struct {
	written  string
	scheme   string // of a URL; empty: a name in the firmware directory
	isIPXE   bool
	isScript bool

	name  text // as written
	http  text // for HTTP firmware; empty without a base
	tftp6 text // for DHCPv6, which knows only URLs
}

// text is a finished text, or a template where it has placeholders.
type text struct {
	done     string
	template *template
}

func parseText(s string) (text, error) {
	t, err := parseTemplate(s)
	if err != nil {
		return text{}, err
	}
	if done, ok := t.static(); ok {
		return text{done: done}, nil
	}
	return text{template: t}, nil
}

func (t *text) fill(c *netboot.Client, server netip.Addr) (string, Reason) {
	if t.template == nil {
		return t.done, ReasonNone
	}
	return t.template.expand(c, server)
}

// needsServer6 tells a file whose DHCPv6 form waits for our own address.
func (f *file) needsServer6() bool {
	for _, t := range []text{f.name, f.http, f.tftp6} {
		if t.template != nil && t.template.uses("server") {
			return true
		}
	}
	return false
}

// newFile prepares a name or URL. base is the map's http (empty: none), server6 the address that DHCPv6 clients fetch
// from (invalid: known when they ask).
func newFile(name, base string, server6 netip.Addr) (*file, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f := &file{written: name, isIPXE: netboot.IsIPXEBinary(name), isScript: netboot.IsIPXEScript(name)}
	var err error
	if f.name, err = parseText(name); err != nil {
		return nil, err
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		f.scheme = strings.ToLower(scheme)
		return f, checkURL(name)
	}
	if base != "" {
		if f.http, err = parseText(base + "/" + name); err != nil {
			return nil, err
		}
		if n := len(f.http.done); n > netboot.MaxFile {
			return nil, fmt.Errorf("file %q has %d bytes behind http; firmware reads at most %d: shorten one of them", name, n, netboot.MaxFile)
		}
	}
	f.tftp6, err = tftpURL(name, server6)
	return f, err
}

// tftpURL is name as a URL on server, or on the server that is known when a client asks.
func tftpURL(name string, server netip.Addr) (text, error) {
	host := "{server}"
	if server.IsValid() {
		host = "[" + server.String() + "]"
	}
	return parseText("tftp://" + host + "/" + name)
}

func checkName(name string) error {
	switch {
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("file %q begins with a slash; names start in the firmware directory: write %q", name, strings.TrimLeft(name, "/"))
	case strings.Contains(name, "\\"):
		return fmt.Errorf("file %q has backslashes; write %q", name, strings.ReplaceAll(name, "\\", "/"))
	case leaves(name):
		return fmt.Errorf("file %q leaves the firmware directory with ..; name a file inside it", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("file %q has control characters, which firmware cuts a name at; remove them", name)
	case !strings.Contains(name, "://") && schemeLike.MatchString(name):
		return fmt.Errorf("file %q begins like a URL, and iPXE takes it for one; write :// behind the scheme", name)
	case !strings.Contains(name, "://") && strings.ContainsAny(placeholder.ReplaceAllString(name, ""), " ?#%"):
		return fmt.Errorf("file %q has one of the characters space ? # %%, which change meaning in a URL; rename the file", name)
	case len(name) > netboot.MaxFile:
		return fmt.Errorf("file has %d bytes; firmware reads at most %d: shorten it", len(name), netboot.MaxFile)
	}
	return nil
}

// schemes are those that firmware fetches by: TFTP and HTTP(S) everywhere, the others where iPXE was built with them.
var schemes = []string{"file", "ftp", "http", "https", "iscsi", "nfs", "tftp"}

var (
	schemeLike  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:/`)
	placeholder = regexp.MustCompile(`\$?\{[^}]*\}`)
)

func checkURL(name string) error {
	plain := name // placeholders are no part of URL syntax
	for p := range placeholders {
		plain = strings.ReplaceAll(plain, "{"+p+"}", "0")
	}
	u, err := url.Parse(plain)
	switch {
	case err == nil && !slices.Contains(schemes, strings.ToLower(u.Scheme)):
		return fmt.Errorf("file %q has the scheme %q, which no firmware knows; %s", name, u.Scheme, conf.Suggest(u.Scheme, schemes))
	case err != nil:
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("file %q is not a URL: %w", name, err)
	case u.Host == "":
		return fmt.Errorf("file %q names no host; write it like http://192.0.2.1/%s", name, strings.TrimLeft(u.Path, "/"))
	case u.Path == "":
		return fmt.Errorf("file %q names no file; add the path behind the host", name)
	}
	return nil
}

// form is the file as this client can fetch it, or why it cannot.
func (f *file) form(c *netboot.Client, server netip.Addr) (string, Reason) {
	if f.isScript && c.Firmware != netboot.FirmwareIPXE {
		return "", ReasonScript
	}
	relative := &f.name
	if c.V6 {
		relative = &f.tftp6
	}
	switch c.Firmware {
	case netboot.FirmwareHTTP:
		switch f.scheme {
		case "http", "https":
			return f.name.fill(c, server)
		case "":
			if f.http == (text{}) {
				return "", ReasonNoBase
			}
			return f.http.fill(c, server)
		}
		return "", ReasonScheme
	case netboot.FirmwarePXE:
		switch {
		case f.scheme == "":
			return relative.fill(c, server)
		case c.V6 && f.scheme == "tftp":
			return f.name.fill(c, server)
		}
		return "", ReasonScheme
	}
	switch {
	case f.scheme == "":
		return relative.fill(c, server)
	case c.FeaturesKnown && (f.scheme == "http" && !c.Features.Has(netboot.FeatureHTTP) ||
		f.scheme == "https" && !c.Features.Has(netboot.FeatureHTTPS)):
		return "", ReasonFeatureHTTP
	}
	return f.name.fill(c, server)
}
