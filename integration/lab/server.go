package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/coredhcp-netboot/suite/internal/nettest"
)

// Server is what answers on a lab's wire.
type Server interface {
	// commands writes the server's configuration into the lab's directory and says what to run.
	commands(l *Lab) ([]command, error)
}

// command is a program of the server's, and where it listens once it is ready.
type command struct {
	name string         // of its log file
	on   *nettest.Space // nil: the lab's server
	args []string
	udp  []int
	tcp  []int
}

// Suite is the project's own two programs.
type Suite struct {
	DHCPD, TFTPD string // the binaries
	// Files are configuration files for the lab's directory, the main one first. Where there are none, the lab
	// writes its own config.yml and boot.yml.
	Files []File
	// Proxy has the suite boot machines beside another server that gives the addresses.
	Proxy bool
	// Map is the content of the lab's own boot.yml; if empty, the smallest that boots every machine.
	Map string
	// Subnets is the content of subnets.yml, by which the suite then lends addresses; if empty, it does so by a range.
	Subnets string
}

func (s Suite) commands(l *Lab) ([]command, error) {
	config, err := s.configure(l)
	if err != nil {
		return nil, fmt.Errorf("configure the suite: %w", err)
	}
	files := []string{s.TFTPD, "--root", l.BootDir(), "--tftp", ServerIP + ":69", "--tftp", FilesIP + ":69", "--http", ServerIP + ":8080"}
	if l.Six {
		files = append(files, "--tftp", "["+ServerIP6+"]:69")
	}
	if len(l.Rendered) > 0 {
		files = append(files, "--scripts", l.scriptDir())
	}
	args := []string{s.DHCPD, "-c", config}
	if l.OneHost {
		args = append(args, "--beside")
	}
	return []command{
		{
			name: dhcpd,
			args: args,
			udp:  s.ports(l),
		},
		{
			name: tftpd,
			args: files,
			udp:  []int{69},
			tcp:  []int{8080},
		},
	}, nil
}

// ports are those that the DHCP server listens on.
func (s Suite) ports(l *Lab) []int {
	if l.Six {
		return []int{547}
	}
	if s.Proxy {
		return []int{67, 4011}
	}
	return []int{67}
}

// File is a configuration file.
type File struct{ Name, Content string }

// Shipped is the configuration that the project ships as its example. It is changed in the interface to listen on, and
// has one rule more: QEMU has no plain PXE card, so such a machine is played by an iPXE that says another user class.
func Shipped() ([]File, error) {
	root, err := SourceRoot()
	if err != nil {
		return nil, err
	}
	files := []File{{Name: "config.example.yml"}, {Name: "boot.example.yml"}, {Name: "subnets.example.yml"}}
	for i := range files {
		data, err := os.ReadFile(filepath.Join(root, files[i].Name))
		if err != nil {
			return nil, err
		}
		files[i].Content = string(data)
	}
	const listen, rules = `listen: "%lo"`, "\nrules:"
	return files, errors.Join(
		files[0].change(listen, `listen: "%`+ServerInterface+`"`),
		files[1].change(rules, rules+"\n  - {user-class: "+PlainClass+", file: "+biosFile+"} # for the demonstration"),
	)
}

// change replaces a text that must be there.
func (f *File) change(from, to string) error {
	if !strings.Contains(f.Content, from) {
		return fmt.Errorf("%s: there is no %q to change; adapt the lab to the new example", f.Name, from)
	}
	f.Content = strings.Replace(f.Content, from, to, 1)
	return nil
}

// configure puts the suite's configuration into the lab's directory and returns the path of its main file.
func (s Suite) configure(l *Lab) (string, error) {
	files := s.Files
	if len(files) == 0 {
		bootMap := s.Map
		if bootMap == "" {
			bootMap = suiteMap(l.scriptURL())
		}
		config := suiteConfig()
		switch {
		case l.Six:
			config = subnetsConfig6
		case s.Proxy:
			config, bootMap = proxyConfig, "mode: proxy\n"+bootMap
		case s.Subnets != "":
			config = subnetsConfig
		}
		files = []File{{"config.yml", config}, {"boot.yml", bootMap}, {"subnets.yml", s.Subnets}}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(l.Dir, f.Name), []byte(f.Content), 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(l.Dir, files[0].Name), nil
}

func suiteConfig() string {
	return `server4:
  listen: ["%` + ServerInterface + `"]
  plugins:
    - server_id: ` + ServerIP + `
    - range: leases.sqlite3 ` + PoolFirst + ` ` + PoolLast + ` 600s
    - netmask: 255.255.255.0
    - router: ` + ServerIP + `
    - dns: ` + ServerIP + `
    - boot: boot.yml
`
}

// subnetsConfig leaves addresses, and all that belongs to them, to subnets.yml.
const subnetsConfig = `server4:
  listen: ["%` + ServerInterface + `"]
  plugins:
    - subnets: subnets.yml
    - boot: boot.yml
`

// subnetsConfig6 is the same over IPv6.
const subnetsConfig6 = `server6:
  listen: ["[ff02::1:2%` + ServerInterface + `]:547"]
  plugins:
    - server_id: LL 52:54:00:00:00:01
    - subnets: subnets.yml
    - boot: boot.yml
`

// proxyConfig is all that the suite needs where another server gives the addresses.
const proxyConfig = `server4:
  listen: ["%` + ServerInterface + `", "%` + ServerInterface + `:4011"]
  plugins:
    - boot: boot.yml
`

// suiteMap is the smallest map that boots every machine of the lab.
func suiteMap(script string) string {
	return `next-server: auto
http: ` + httpBase + `
rules:
  - {user-class: ` + PlainClass + `, file: ` + biosFile + `}
  - {ipxe: true, file: "` + script + `"}
  - {arch: bios, file: ` + biosFile + `}
  - {arch: uefi-x64, file: ` + uefiFile + `}
  - {arch: uboot-arm32, file: ` + ubootFile + `}
`
}
