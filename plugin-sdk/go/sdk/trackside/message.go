package trackside

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"
)

// Message is the message being handled. It stays in the host: every method asks for, or changes, just what it names.
// Outside of Handle, and in another goroutine, there is none.
type Message struct{}

// Header is a header. A name may repeat; its values keep their order.
type Header = host.Header

// Match is one place that a selector matched: what is there, and the index of the path that matched.
type Match = host.Match

// Value is a JSON value: numbers as they are spelt, objects and arrays as JSON text.
type Value = host.Value

// Kind is the kind of a JSON value.
type Kind = host.Kind

// The kinds of JSON values.
const (
	KindNull    = host.Null
	KindBoolean = host.Boolean
	KindNumber  = host.Number
	KindText    = host.Text
	KindJSON    = host.JSON
)

// Null is JSON's null.
func Null() Value { return Value{Kind: host.Null} }

// Boolean is true or false.
func Boolean(value bool) Value { return Value{Kind: host.Boolean, Bool: value} }

// Number is a number as it is to be spelt.
func Number(spelling string) Value { return Value{Kind: host.Number, Text: spelling} }

// Text is a string.
func Text(text string) Value { return Value{Kind: host.Text, Text: text} }

// JSON is an object or array, as JSON text.
func JSON(text string) Value { return Value{Kind: host.JSON, Text: text} }

// Remove takes the place out that [Message.Replace] would put a value in.
func Remove() Value { return Value{Kind: host.Remove} }

// Selector is a set of JSONPath (RFC 9535) expressions.
type Selector struct{ compiled host.Selector }

// Compile compiles at most 256 expressions of at most 4 KiB each. Do it once, while the plugin is configured. The error
// says which one is wrong, where and why.
func Compile(paths ...string) (Selector, error) {
	compiled, err := host.Compile(paths)
	if err != nil {
		return Selector{}, &SetupError{"", err.Error()}
	}
	return Selector{compiled}, nil
}

// Subject is the subject it was published to, for example `orders.eu.created`.
func (*Message) Subject() string { return host.Subject() }

// ID is its identity, stable across redeliveries and replays.
func (*Message) ID() string { return host.ID() }

// Origin is the kind of source it came from: "jetstream", "core", "sidecar" or "trial".
func (*Message) Origin() string { return host.Origin() }

// Timestamp is its own time, in milliseconds since the Unix epoch.
func (*Message) Timestamp() uint64 { return host.Timestamp() }

// Delivery is 1 on the first delivery, and one more on each that follows.
func (*Message) Delivery() int { return host.Delivery() }

// Header gives the first value of this header, without regard to the name's case, and whether there is one.
func (*Message) Header(name string) (value string, found bool) { return host.GetHeader(name) }

// Headers gives all headers; the values of one name are in wire order.
func (*Message) Headers() []Header { return host.Headers() }

// SetHeader replaces every header of this name. The error is a [HeaderError], for what NATS cannot carry and for the
// reserved prefixes `Nats-` and `Trackside-`.
func (*Message) SetHeader(name, value string) error { return headerError(host.SetHeader(name, value)) }

// AppendHeader adds a header and keeps those of the same name. The error is as that of SetHeader.
func (*Message) AppendHeader(name, value string) error {
	return headerError(host.AppendHeader(name, value))
}

// RemoveHeader removes every header of this name, without regard to case; none is fine.
func (*Message) RemoveHeader(name string) { host.RemoveHeader(name) }

// Payload gives the payload. It is copied into the sandbox: prefer Select.
func (*Message) Payload() []byte { return host.Payload() }

// PayloadLen is the payload's length in bytes, without a copy.
func (*Message) PayloadLen() int { return host.PayloadLen() }

// SetPayload replaces the whole payload.
func (*Message) SetPayload(payload []byte) { host.SetPayload(payload) }

// JSON reads the whole payload into what the pointer leads to, as package encoding/json/v2 does. The error is a
// [PayloadError]: the payload is no JSON, has the same key twice in an object, or does not fit the type.
func (*Message) JSON(into any) error {
	err := json.Unmarshal(host.Payload(), into)
	var misfit *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &PayloadError{Kind: "not-json", Reason: "an object has the same key twice"}
	case errors.As(err, &misfit):
		return &PayloadError{Kind: "not-json", Reason: fmt.Sprintf("at byte %d: expected %s", misfit.ByteOffset, misfit.GoType)}
	}
	// The package's own text may quote what it could not read.
	return &PayloadError{Kind: "not-json", Reason: "it does not parse"}
}

// Select gives every place that the selector matches, in document order, duplicates of a key included. The error is a
// [PayloadError].
func (*Message) Select(selector Selector) ([]Match, error) { return host.Select(selector.compiled) }

// Replace replaces the places that the selector matches now: one value each, in the order of Select. Where places nest,
// the outer one wins. Bytes outside stay as they are. The error is a [PayloadError].
func (*Message) Replace(selector Selector, values []Value) error {
	return host.Replace(selector.compiled, values)
}

func headerError(err error) error {
	if err == nil {
		return nil
	}
	return &HeaderError{err.Error()}
}
