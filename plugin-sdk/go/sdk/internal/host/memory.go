//go:build !wasip1

package host

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Message is a message in memory.
type Message struct {
	Subject, ID, Origin string
	Timestamp           uint64
	Delivery            int
	Headers             []Header
	Payload             []byte
}

// SetUp is what a rule and its configuration directory offer, in memory.
type SetUp struct {
	Routes []string
	Files  map[string][]byte
}

// Line is a line of the log.
type Line struct{ Level, Text string }

// What the functions below are about.
var (
	current *Message
	setUp   *SetUp
	lines   []Line
)

// WithMessage calls the function while this message is the one in hand, and gives the lines that it logged.
func WithMessage(message *Message, call func()) []Line {
	current, lines = message, nil
	defer func() { current = nil }()
	call()
	return lines
}

// WithSetUp calls the function while this set-up is in force.
func WithSetUp(offered *SetUp, call func()) {
	setUp = offered
	defer func() { setUp = nil }()
	call()
}

func message() *Message {
	if current == nil {
		panic("there is no message outside of Handle")
	}
	return current
}

func offered() *SetUp {
	if setUp == nil {
		panic("the set-up can be asked while the plugin is configured, and not later")
	}
	return setUp
}

// Subject is the message's subject.
func Subject() string { return message().Subject }

// ID is the message's identity.
func ID() string { return message().ID }

// Origin is the kind of the message's source.
func Origin() string { return message().Origin }

// Timestamp is the message's time, in milliseconds since the Unix epoch.
func Timestamp() uint64 { return message().Timestamp }

// Delivery counts the message's deliveries.
func Delivery() int { return message().Delivery }

// GetHeader gives the first value of a header.
func GetHeader(name string) (string, bool) {
	place := slices.IndexFunc(message().Headers, named(name))
	if place < 0 {
		return "", false
	}
	return message().Headers[place].Value, true
}

// Headers gives all headers.
func Headers() []Header { return slices.Clone(message().Headers) }

// SetHeader replaces a header. The place of the first one is kept, as a replacement in an ordered list would.
func SetHeader(name, value string) error {
	if err := checkHeader(name, value); err != nil {
		return err
	}
	place := slices.IndexFunc(message().Headers, named(name))
	RemoveHeader(name)
	if place < 0 {
		place = len(message().Headers)
	}
	message().Headers = slices.Insert(message().Headers, place, Header{name, value})
	return nil
}

// AppendHeader adds a header.
func AppendHeader(name, value string) error {
	if err := checkHeader(name, value); err != nil {
		return err
	}
	message().Headers = append(message().Headers, Header{name, value})
	return nil
}

// RemoveHeader removes a header.
func RemoveHeader(name string) { message().Headers = slices.DeleteFunc(Headers(), named(name)) }

// Payload copies the payload.
func Payload() []byte { return slices.Clone(message().Payload) }

// PayloadLen is the payload's length in bytes.
func PayloadLen() int { return len(message().Payload) }

// SetPayload replaces the payload.
func SetPayload(payload []byte) { message().Payload = slices.Clone(payload) }

// Routes gives the names of the rule's routes.
func Routes() []string { return slices.Clone(offered().Routes) }

// ReadFile reads a file of the configuration directory.
func ReadFile(path string) ([]byte, error) {
	content, found := offered().Files[path]
	if !found {
		return nil, Refusal("there is no file `" + path + "` in the configuration directory")
	}
	return slices.Clone(content), nil
}

// Log logs a line.
func Log(level int, line string) { lines = append(lines, Line{Levels[level], line}) }

func named(name string) func(Header) bool {
	return func(header Header) bool { return strings.EqualFold(header.Name, name) }
}

var (
	headerName = regexp.MustCompile(`^[\x21-\x39\x3b-\x7e]+$`)
	reserved   = regexp.MustCompile(`^(?i:nats|trackside)-`)
)

func checkHeader(name, value string) error {
	switch {
	case !headerName.MatchString(name):
		return Refusal("`" + name + "` cannot be the name of a header")
	case reserved.MatchString(name):
		return Refusal("header `" + name + "` has a reserved prefix")
	case strings.ContainsFunc(value, unicode.IsControl):
		return Refusal("the value of header `" + name + "` has a control character")
	}
	return nil
}
