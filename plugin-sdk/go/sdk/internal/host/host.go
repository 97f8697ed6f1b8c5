// Package host is the host as a plugin reaches it: what a component imports, or one message and one set-up in memory.
package host

import "fmt"

// Header is a header. A name may repeat; its values keep their order (NATS ADR-4).
type Header struct {
	Name, Value string
}

// Kind is the kind of a JSON value, in the order in which the contract has them.
type Kind uint8

// The kinds of JSON values, and what stands for none.
const (
	Null Kind = iota
	Boolean
	Number
	Text
	JSON
	Remove
)

// Value is a JSON value.
type Value struct {
	Kind Kind
	// Bool is the value of a boolean.
	Bool bool
	// Text is a number in its original spelling, a string unescaped, or an object or array as JSON text.
	Text string
}

// Match is one place that a selector matched.
type Match struct {
	// Path is the index of the path that matched here.
	Path int
	Value
}

// Origins has the kinds of sources, in the order in which the contract has them.
var Origins = [...]string{"jetstream", "core", "sidecar", "trial"}

// Levels has the levels of the log, in the order in which the contract has them.
var Levels = [...]string{"trace", "debug", "info", "warn", "error"}

// PayloadError says why a payload could not be read or edited.
type PayloadError struct {
	// Kind is "not-json" or "limit".
	Kind string
	// Reason is the host's text.
	Reason string
}

func (e *PayloadError) Error() string {
	if e.Kind == "limit" {
		return "the payload is beyond a limit: " + e.Reason
	}
	return "the payload is not JSON: " + e.Reason
}

func notJSON(format string, args ...any) *PayloadError {
	return &PayloadError{"not-json", fmt.Sprintf(format, args...)}
}

// Refusal is the host's text about something that it does not take.
type Refusal string

func (r Refusal) Error() string { return string(r) }
