//go:build !wasip1

package host

import (
	"bytes"
	"cmp"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"io"
	"slices"
)

// Select gives every match of a selector.
func Select(selector Selector) ([]Match, error) {
	matches, err := matchesIn(message().Payload, selector)
	if err != nil {
		return nil, err
	}
	lifted := make([]Match, len(matches))
	for i, match := range matches {
		lifted[i] = Match{match.path, lift(message().Payload[match.start:match.end])}
	}
	return lifted, nil
}

// Replace replaces every match of a selector, on the bytes as the host does it: what is not selected stays as it was.
func Replace(selector Selector, values []Value) error {
	payload := message().Payload
	matches, err := matchesIn(payload, selector)
	if err != nil {
		return err
	}
	if len(matches) != len(values) {
		return notJSON("%d values for %d matches", len(values), len(matches))
	}
	gone := map[*node]bool{}
	for i, match := range matches {
		gone[match.node] = values[i].Kind == Remove
	}
	edits := make([]edit, len(matches))
	for i, match := range matches {
		if edits[i], err = editOf(match.node, values[i], gone); err != nil {
			return err
		}
	}
	message().Payload = apply(payload, edits)
	return nil
}

// match is a place in a document, and the index of the path that matched it.
type match struct {
	*node
	path int
}

// edit puts a spelling in the place of the bytes from start to end.
type edit struct {
	start, end int
	spelling   []byte
}

func editOf(node *node, value Value, gone map[*node]bool) (edit, error) {
	if value.Kind != Remove {
		spelling, err := spell(value)
		return edit{node.start, node.end, spelling}, err
	}
	if node.parent == nil {
		return edit{}, notJSON("the whole payload cannot be removed")
	}
	start, end := extent(node, gone)
	return edit{start, end, nil}, nil
}

func apply(payload []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	var result []byte
	done := 0
	for _, edit := range edits {
		// What lies inside of something that was replaced before is replaced with it.
		if edit.end > done {
			result = append(append(result, payload[done:max(edit.start, done)]...), edit.spelling...)
			done = edit.end
		}
	}
	return append(result, payload[done:]...)
}

// extent is what goes with a node that is removed: the comma after it, or before it if it is the last that is left.
func extent(removed *node, gone map[*node]bool) (start, end int) {
	siblings := removed.parent.children
	place := slices.Index(siblings, removed)
	if place+1 < len(siblings) {
		return removed.begin, siblings[place+1].begin
	}
	for _, sibling := range slices.Backward(siblings) {
		if !gone[sibling] {
			return sibling.end, removed.end
		}
	}
	return removed.begin, removed.end
}

func matchesIn(payload []byte, selector Selector) ([]match, error) {
	root, err := scan(payload)
	if err != nil {
		return nil, err
	}
	var matches []match
	for path, steps := range selector {
		for _, node := range walk(root, steps) {
			matches = append(matches, match{node, path})
		}
	}
	// Of places that begin at the same byte, the outer one comes first.
	slices.SortStableFunc(matches, func(a, b match) int {
		return cmp.Or(a.start-b.start, b.end-a.end, a.path-b.path)
	})
	return matches, nil
}

func lift(spelling []byte) Value {
	switch spelling[0] {
	case 'n':
		return Value{Kind: Null}
	case 't', 'f':
		return Value{Kind: Boolean, Bool: spelling[0] == 't'}
	case '"':
		return Value{Kind: Text, Text: unquote(spelling)}
	case '{', '[':
		return Value{Kind: JSON, Text: string(spelling)}
	default:
		return Value{Kind: Number, Text: string(spelling)}
	}
}

func spell(value Value) ([]byte, error) {
	switch value.Kind {
	case Null:
		return []byte("null"), nil
	case Boolean:
		return json.Marshal(value.Bool)
	case Text:
		return jsontext.AppendQuote(nil, value.Text)
	default:
		_, err := scan([]byte(value.Text))
		return []byte(value.Text), err
	}
}

// node is a value of a document: where it starts and ends, and from where it goes as a member.
type node struct {
	parent            *node
	name              string
	begin, start, end int
	children          []*node
	isArray           bool
}

// scan gives the tree of a document.
func scan(document []byte) (*node, error) {
	decoder := jsontext.NewDecoder(bytes.NewReader(document), jsontext.AllowDuplicateNames(true))
	raw, err := decoder.ReadValue()
	raw = raw.Clone()
	if err == nil {
		_, err = decoder.ReadToken()
	}
	// A second value would be no error of reading.
	if !errors.Is(err, io.EOF) || len(raw) == 0 {
		return nil, notJSON("at byte %d", decoder.InputOffset())
	}
	// Only now, when all of it is known to be well-formed.
	start := bytes.Index(document, raw[:1])
	return scanValue(document[start:start+len(raw)], start, nil), nil
}

func scanValue(raw []byte, start int, parent *node) *node {
	value := &node{parent: parent, begin: start, start: start, end: start + len(raw), isArray: raw[0] == '['}
	if raw[0] != '[' && raw[0] != '{' {
		return value
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	next := func() (jsontext.Value, int) {
		raw, _ := decoder.ReadValue()
		return raw.Clone(), start + int(decoder.InputOffset()) - len(raw)
	}
	decoder.ReadToken()
	for kind := decoder.PeekKind(); kind != '}' && kind != ']'; kind = decoder.PeekKind() {
		raw, begin := next()
		at := begin
		name := ""
		if !value.isArray {
			name = unquote(raw)
			raw, at = next()
		}
		child := scanValue(raw, at, value)
		child.name, child.begin = name, begin
		value.children = append(value.children, child)
	}
	return value
}

func unquote(raw []byte) string {
	text, _ := jsontext.AppendUnquote(nil, raw)
	return string(text)
}
