//go:build !wasip1

package host

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Selector is a compiled set of paths.
type Selector [][]step

// step chooses children of a node, or also of what is below it.
type step struct {
	descends bool
	choices  []choice
}

// choice is a name, an index, or, where it has neither, all children.
type choice struct {
	name  *string
	index *int
}

// The parts of JSONPath (RFC 9535) that are known here: names, indices, wildcards, lists of these, and descendants.
var (
	stepPattern = regexp.MustCompile(`^(\.\.|\.)?(?:(\*)|([\pL_][\pL\pN_]*)|\[((?:[^"'\]]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)\])`)
	choicePart  = regexp.MustCompile(`^\s*(?:(\*)|(-?\d+)|("(?:[^"\\]|\\.)*")|'((?:[^'\\]|\\.)*)')\s*(,|$)`)
)

const unknownPath = "the message in memory knows names, indices, wildcards, lists of these and `..`; " +
	"test the rest by `trackside plugin test`"

// Compile compiles paths.
func Compile(paths []string) (Selector, error) {
	selector := make(Selector, len(paths))
	for i, path := range paths {
		steps, known := compilePath(path)
		if !known {
			return nil, Refusal(fmt.Sprintf("path %d (`%s`): %s", i, path, unknownPath))
		}
		selector[i] = steps
	}
	return selector, nil
}

func compilePath(path string) ([]step, bool) {
	rest, known := strings.CutPrefix(path, "$")
	var steps []step
	for known && rest != "" {
		found := stepPattern.FindStringSubmatch(rest)
		if found == nil {
			return nil, false
		}
		dots, name, list := found[1], found[3], found[4]
		bracket := strings.HasSuffix(found[0], "]")
		// A name or a star follows a dot; a bracket does not follow a single one.
		if bracket && dots == "." || !bracket && dots == "" {
			return nil, false
		}
		choices := []choice{{}}
		switch {
		case bracket:
			choices, known = compileList(list)
		case name != "":
			choices = []choice{{name: &name}}
		}
		steps = append(steps, step{dots == "..", choices})
		rest = rest[len(found[0]):]
	}
	return steps, known
}

func compileList(list string) ([]choice, bool) {
	var choices []choice
	for comma := ","; comma == ","; {
		found := choicePart.FindStringSubmatch(list)
		if found == nil {
			return nil, false
		}
		list, comma = list[len(found[0]):], found[5]
		switch {
		case found[1] != "":
			choices = append(choices, choice{})
		case found[2] != "":
			index, err := strconv.Atoi(found[2])
			if err != nil {
				return nil, false
			}
			choices = append(choices, choice{index: &index})
		default:
			quoted := found[3]
			if quoted == "" {
				quoted = `"` + strings.NewReplacer(`\'`, `'`, `"`, `\"`).Replace(found[4]) + `"`
			}
			name := unquote([]byte(quoted))
			choices = append(choices, choice{name: &name})
		}
	}
	return choices, true
}

// walk gives the nodes that the steps lead to, each once.
func walk(root *node, steps []step) []*node {
	nodes := []*node{root}
	for _, step := range steps {
		var next []*node
		for _, node := range nodes {
			step.from(node, &next)
		}
		nodes = next
	}
	seen := map[*node]bool{}
	return slices.DeleteFunc(nodes, func(node *node) bool {
		was := seen[node]
		seen[node] = true
		return was
	})
}

// from adds the children of a node that the step chooses.
func (s step) from(parent *node, chosen *[]*node) {
	for _, choice := range s.choices {
		for place, child := range parent.children {
			if choice.takes(parent, place, child) {
				*chosen = append(*chosen, child)
			}
		}
	}
	if s.descends {
		for _, child := range parent.children {
			s.from(child, chosen)
		}
	}
}

func (c choice) takes(parent *node, place int, child *node) bool {
	switch {
	case c.name != nil:
		return !parent.isArray && child.name == *c.name
	case c.index != nil && *c.index < 0:
		return parent.isArray && place == *c.index+len(parent.children)
	case c.index != nil:
		return parent.isArray && place == *c.index
	}
	return true
}
