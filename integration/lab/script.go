package lab

import "strings"

// says begins each line that the lab's scripts print, so that they are told from the firmware's own.
const says = "lab: "

// script is the iPXE script that a machine must come to run. Its last line cannot be known to anything that did not
// run it: the script is the only place of the nonce, and has it in two parts.
func (l *Lab) script() string {
	half := len(l.nonce) / 2
	lines := []string{
		"#!ipxe",
		"echo " + says + "script runs on ${platform}, iPXE ${version}",
		"echo " + says + "address ${net0/ip}, next server ${next-server}",
		"echo " + says + "file ${filename}",
	}
	lines = append(lines, l.Script...)
	if l.System != nil {
		return strings.Join(append(lines, l.System.script(l.nonce[:half], l.nonce[half:])...), "\n")
	}
	lines = append(lines,
		"set first "+l.nonce[:half],
		"set second "+l.nonce[half:],
		"echo "+says+"done ${first}${second}",
		"sleep 60", // the lab ends the machine; nothing that comes after may blur the picture
		"poweroff ||",
		"")
	return strings.Join(lines, "\n")
}

// marker is what the last line prints.
func (l *Lab) marker() string { return says + "done " + l.nonce }

// plainScript makes iPXE play a plain PXE ROM, of which no free one exists: it hides its user class, takes the file
// that DHCP names, and goes on to it.
func plainScript() string {
	return strings.Join([]string{
		"#!ipxe",
		"set user-class " + PlainClass,
		"dhcp net0 || goto failed",
		"echo " + says + "plain PXE was given ${filename} from ${next-server}",
		// The file that comes inherits iPXE's settings through the PXE stack's cached answer; a ROM has none to give.
		"clear user-class",
		"chain tftp://${next-server}/${filename} || goto failed",
		":failed",
		"echo " + says + failed,
		"",
	}, "\n")
}

// failed is what a script says when it cannot go on.
const failed = "failed"
