package probe

import (
	"net/url"
	"slices"
	"strings"
)

// step is a command of an iPXE script that fetches something.
type step struct {
	line    int
	command string
	target  string // as written, with its ${settings}
}

// maxSteps bounds what is listed of one script.
const maxSteps = 1000

// fetching are iPXE's commands that fetch what they name, and their options that take a value.
var fetching = []string{"chain", "imgchain", "kernel", "linux", "initrd", "module", "imgfetch", "imgload", "imgselect", "imgexec", "boot", "sanboot", "sanhook", "imgverify"}

var valued = []string{"--name", "-n", "--timeout", "-t", "--drive", "-d", "--filename", "-f", "--extra", "-e", "--uuid", "-u", "--label", "-l", "--signer", "-s", "--keep"}

// ending are the commands after which a script does not fall off its end.
var ending = []string{"exit", "boot", "shell", "reboot", "poweroff", "goto", "isset", "autoboot", "sanboot", "prompt", "choose"}

// readScript lists what a script fetches, in its order, without running it. ends tells that it has a command that ends
// it, or fetches something to run.
func readScript(b []byte) (steps []step, ends bool) {
	line, begun := 0, ""
	for raw := range strings.SplitSeq(string(b), "\n") {
		line++
		text := begun + strings.TrimRight(raw, "\r")
		if cut, more := strings.CutSuffix(text, "\\"); more && len(cut) < maxKept {
			begun = cut
			continue
		}
		begun = ""
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			continue
		}
		for _, words := range commands(text) {
			s, end := readCommand(words)
			ends = ends || end
			if s.command != "" && len(steps) < maxSteps {
				s.line = line
				steps = append(steps, s)
			}
		}
	}
	return steps, ends
}

// commands splits a line at || and &&.
func commands(line string) (list [][]string) {
	var words []string
	for _, w := range append(strings.Fields(line), "||") {
		if w != "||" && w != "&&" {
			words = append(words, w)
			continue
		}
		if len(words) > 0 {
			list = append(list, words)
		}
		words = nil
	}
	return list
}

func readCommand(words []string) (s step, end bool) {
	end = slices.Contains(ending, words[0]) || slices.Contains([]string{"chain", "imgchain", "imgexec"}, words[0])
	if !slices.Contains(fetching, words[0]) {
		return s, end
	}
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case slices.Contains(valued, w):
			i++
		case strings.HasPrefix(w, "-"):
		default:
			return step{command: words[0], target: w}, end
		}
	}
	return s, end
}

// judgeScript tells what iPXE would do with a script.
func (m *Machine) judgeScript(f *Fetch) (Verdict, bool, error) {
	steps, ends := readScript(f.Head)
	urls := 0
	for _, s := range steps {
		to := s.target
		if u, err := f.URL.Parse(s.target); err == nil && !strings.Contains(s.target, "${") {
			if to = u.String(); s.command == "chain" && sameURL(u, f.URL) {
				return Verdict{}, false, stop("script-loop", "chain to another script", "loop: line %d of the script %q chains to the script itself", s.line, f.URL.String())
			}
		}
		if (s.command == "boot" || s.command == "imgexec") && !strings.ContainsAny(s.target, "/:.") {
			continue // the name of an image that is loaded already
		}
		urls++
		m.tell("SCRIPT", nil, "line %d: %s %q", s.line, s.command, to)
	}
	if !ends {
		m.remark(note("script-falls-off", "the script has no command that boots, chains or ends it: iPXE returns to the firmware, which may boot from the network again"))
	}
	return m.boots("iPXE runs the script %q, which names %s to fetch (not followed)", f.URL.String(), plural(urls, "file")), false, nil
}

func sameURL(a, b *url.URL) bool {
	return a.Host == b.Host && a.Path == b.Path && a.RawQuery == b.RawQuery
}
