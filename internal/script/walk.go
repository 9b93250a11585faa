package script

import (
	"slices"
	"strings"
	"text/template/parse"

	"github.com/coredhcp-netboot/suite/internal/conf"
)

// walk looks for what only shows when a template runs: a template that is not there, one that calls itself without end,
// and loops over numbers, which could be as long.
func (l *Library) walk(problems *conf.Problems) {
	w := &walker{l: l, problems: problems, done: map[string]bool{}}
	var names []string
	for _, t := range l.templates.Templates() {
		names = append(names, t.Name())
	}
	slices.Sort(names)
	for _, name := range names {
		w.template(name)
	}
}

type walker struct {
	l        *Library
	problems *conf.Problems
	done     map[string]bool
	path     []string // templates that call each other, down to the one looked at
}

func (w *walker) template(name string) {
	t := w.l.templates.Lookup(name)
	if w.done[name] || t == nil || t.Tree == nil {
		return
	}
	w.path = append(w.path, name)
	w.list(t.Tree, t.Tree.Root)
	w.path = w.path[:len(w.path)-1]
	w.done[name] = true
}

func (w *walker) list(tree *parse.Tree, list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			w.numbers(tree, n.Pipe)
		case *parse.TemplateNode:
			w.numbers(tree, n.Pipe)
			w.call(tree, n)
		case *parse.IfNode:
			w.branch(tree, &n.BranchNode)
		case *parse.WithNode:
			w.branch(tree, &n.BranchNode)
		case *parse.RangeNode:
			if first := n.Pipe.Cmds[0].Args[0]; first.Type() == parse.NodeNumber {
				w.fail(tree, n, "loops over a number; loop over a list of machines.yml")
				continue
			}
			w.branch(tree, &n.BranchNode)
		}
	}
}

func (w *walker) branch(tree *parse.Tree, b *parse.BranchNode) {
	w.numbers(tree, b.Pipe)
	w.list(tree, b.List)
	w.list(tree, b.ElseList)
}

// maxNumber bounds a number in a template: by way of a variable it can become the length of a loop.
const maxNumber = 65535

// numbers looks for numbers that are too large in a pipeline, which may be nil, and in what it is made of.
func (w *walker) numbers(tree *parse.Tree, pipe *parse.PipeNode) {
	if pipe == nil {
		return
	}
	for _, command := range pipe.Cmds {
		for _, arg := range command.Args {
			if chain, ok := arg.(*parse.ChainNode); ok {
				arg = chain.Node
			}
			switch n := arg.(type) {
			case *parse.PipeNode:
				w.numbers(tree, n)
			case *parse.NumberNode:
				if n.IsUint && n.Uint64 > maxNumber {
					w.fail(tree, n, "the number "+n.Text+" is larger than 65535, and could make an endless loop; write a text")
				}
			}
		}
	}
}

func (w *walker) call(tree *parse.Tree, n *parse.TemplateNode) {
	switch {
	case w.l.templates.Lookup(n.Name) == nil:
		w.fail(tree, n, "there is no template "+n.Name+"; correct the name")
	case slices.Contains(w.path, n.Name):
		w.fail(tree, n, "the template calls itself: "+strings.Join(append(w.path, n.Name), " calls ")+"; break the circle")
	default:
		w.template(n.Name)
	}
}

func (w *walker) fail(tree *parse.Tree, n parse.Node, text string) {
	place, _ := tree.ErrorContext(n) // "NAME:LINE:COLUMN"
	parts := strings.Split(place, ":")
	at, _ := w.l.place(placeError(strings.Join(parts[:2], ":")), parts[0])
	w.problems.Add(at, "%s", text)
}

// placeError is a place in the form in which text/template tells one.
type placeError string

func (p placeError) Error() string { return "template: " + string(p) + ": " }
