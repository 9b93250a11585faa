package script

import (
	"regexp"

	"github.com/coredhcp-netboot/suite/internal/conf"
	"github.com/coredhcp-netboot/suite/internal/netboot"
)

// MachinesFile is the name of the file of per-machine values, in the directory of the scripts.
const MachinesFile = "machines.yml"

// machinesFile is that file as the operator wrote it.
type machinesFile struct {
	Default  conf.At[string] `yaml:"default"`
	Values   values          `yaml:"values"`
	Machines []machineEntry  `yaml:"machines"`
}

type machineEntry struct {
	conf.Pos
	MAC    conf.List[conf.At[netboot.MAC]]  `yaml:"mac"`
	UUID   conf.List[conf.At[netboot.UUID]] `yaml:"uuid"`
	Serial conf.List[conf.At[string]]       `yaml:"serial"`
	Asset  conf.List[conf.At[string]]       `yaml:"asset"`
	Script conf.At[string]                  `yaml:"script"`
	Values values                           `yaml:"values"`
}

// values are texts, or lists of texts, by the names that templates call them by.
type values map[string]any

var valueName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// DecodeConf implements conf.Custom.
func (vs *values) DecodeConf(v conf.Value) {
	*vs = values{}
	v.Pairs(func(key string, at conf.Pos, value conf.Value) {
		if !valueName.MatchString(key) {
			v.FailAt(at, "value %q cannot be named in a template; use letters, digits and _, and no digit first", key)
			return
		}
		if !value.IsList() {
			(*vs)[key] = oneValue(key, value)
			return
		}
		list := []string{}
		for _, item := range value.Items() {
			list = append(list, oneValue(key, item))
		}
		(*vs)[key] = list
	})
}

func oneValue(key string, v conf.Value) string {
	text, ok := v.Text()
	if !ok {
		v.Fail("value %s must be one text, or a list of texts; write \"\" for an empty one", key)
		return ""
	}
	if err := checkValue(text); err != nil {
		v.Fail("value %s %v", key, err)
	}
	return text
}

// entry is what is known of one machine.
type entry struct {
	because conf.Pos // of machines.yml; zero for a machine that is not in it
	script  string   // what it gets as boot.ipxe; empty: the default
	values  values   // its own and those of every machine
	sample  Machine  // somebody who is known by it
}

// known are the machines of machines.yml.
type known struct {
	def     conf.At[string]
	unknown entry
	entries []*entry
	byMAC   map[netboot.MAC]*entry
	byUUID  map[netboot.UUID]*entry
	byText  map[string]*entry // "serial " or "asset " and the text
}

// find is what is known of m: by its MAC, else its UUID, its serial number, its asset tag.
func (k *known) find(m *Machine) *entry {
	if e := k.byMAC[m.MAC]; e != nil {
		return e
	}
	if e := k.byUUID[m.UUID]; e != nil {
		return e
	}
	if e := k.byText["serial "+string(m.Serial)]; e != nil {
		return e
	}
	if e := k.byText["asset "+string(m.Asset)]; e != nil {
		return e
	}
	return &k.unknown
}

// compile understands the file, and notes what is wrong with it.
func (f *machinesFile) compile(problems *conf.Problems) *known {
	k := &known{
		def: f.Default, unknown: entry{values: f.Values},
		byMAC: map[netboot.MAC]*entry{}, byUUID: map[netboot.UUID]*entry{}, byText: map[string]*entry{},
	}
	if k.unknown.values == nil {
		k.unknown.values = values{}
	}
	for i := range f.Machines {
		m := &f.Machines[i]
		e := &entry{because: m.Pos, script: m.Script.V, values: values{}}
		for _, vs := range []values{f.Values, m.Values} {
			for key, v := range vs {
				e.values[key] = v
			}
		}
		k.entries = append(k.entries, e)
		if len(m.MAC)+len(m.UUID)+len(m.Serial)+len(m.Asset) == 0 {
			problems.AddAbsence(m.Pos, "the machine has no mac, uuid, serial or asset; add the one that it shows")
		}
		for _, id := range m.MAC {
			if !id.V.Known() {
				problems.AddAbsence(id.Pos, "mac is all zeros, which is what firmware without one sends; write the machine's")
				continue
			}
			own(problems, k.byMAC, id.V, e, id.Pos, "mac "+id.V.String())
			e.sample.MAC = id.V
		}
		for _, id := range m.UUID {
			if !id.V.Known() {
				problems.AddAbsence(id.Pos, "uuid is all zeros, which is what firmware without one sends; write the machine's")
				continue
			}
			own(problems, k.byUUID, id.V, e, id.Pos, "uuid "+id.V.String())
			e.sample.UUID = id.V
		}
		e.sample.Serial = k.texts(problems, "serial", m.Serial, e)
		e.sample.Asset = k.texts(problems, "asset", m.Asset, e)
	}
	return k
}

// texts gives e its serial numbers or asset tags, and returns one.
func (k *known) texts(problems *conf.Problems, word string, list conf.List[conf.At[string]], e *entry) (sample Text) {
	for _, id := range list {
		text, err := claim(id.V)
		switch {
		case err != nil:
			problems.Add(id.Pos, "%s %q %v; no machine could say so: correct it", word, id.V, err)
			continue
		case text == "":
			problems.AddAbsence(id.Pos, "%s is empty, which is what firmware without one sends; write the machine's", word)
			continue
		}
		own(problems, k.byText, word+" "+string(text), e, id.Pos, word+" "+string(text))
		sample = text
	}
	return sample
}

// own gives e an identity, if nobody has it yet.
func own[I comparable](problems *conf.Problems, all map[I]*entry, id I, e *entry, at conf.Pos, shown string) {
	if before := all[id]; before != nil {
		problems.Add(at, "%s already belongs to the machine on line %d; keep one of the two", shown, before.because.Line)
		return
	}
	all[id] = e
}
