package host

import "unsafe"

// Sizes of records and variants in lists, in words.
const (
	textWords   = 2
	headerWords = 4
	matchWords  = 4
	optionWords = 4
)

// scratch has what one call of the host takes and gives.
var scratch arena

// result is where the host writes what does not fit into one number. It is no local variable: stacks move when they
// grow, which they do while the host asks for memory.
var result [4]uint32

var resultPointer = unsafe.Pointer(&result)

// discriminant is the case of a variant, of whose word only the lowest byte is written.
func discriminant(word uint32) uint32 { return word & 0xff }

// Selector is a compiled set of paths: a handle, which lives as long as the instance.
type Selector uint32

// Compile compiles paths.
func Compile(paths []string) (Selector, error) {
	defer scratch.reset()
	words, address := scratch.words(textWords * len(paths))
	for i, path := range paths {
		words[textWords*i], words[textWords*i+1] = scratch.text(path)
	}
	importCompile(address, uint32(len(paths)), resultPointer)
	if discriminant(result[0]) != 0 {
		return 0, Refusal(textAt(result[1], result[2]))
	}
	return Selector(result[1]), nil
}

// Subject is the message's subject.
func Subject() string {
	importSubject(resultPointer)
	return text(0)
}

// ID is the message's identity.
func ID() string {
	importID(resultPointer)
	return text(0)
}

// Origin is the kind of the message's source.
func Origin() string { return Origins[importOrigin()] }

// Timestamp is the message's time, in milliseconds since the Unix epoch.
func Timestamp() uint64 { return importTimestamp() }

// Delivery counts the message's deliveries.
func Delivery() int { return int(importDelivery()) }

// GetHeader gives the first value of a header.
func GetHeader(name string) (string, bool) {
	importGetHeader(name, resultPointer)
	if discriminant(result[0]) == 0 {
		return "", false
	}
	return text(1), true
}

// Headers gives all headers.
func Headers() []Header {
	defer scratch.reset()
	importHeaders(resultPointer)
	words := wordsAt(result[0], headerWords*result[1])
	headers := make([]Header, 0, len(words)/headerWords)
	for ; len(words) > 0; words = words[headerWords:] {
		headers = append(headers, Header{textAt(words[0], words[1]), textAt(words[2], words[3])})
	}
	return headers
}

// SetHeader replaces a header.
func SetHeader(name, value string) error {
	importSetHeader(name, value, resultPointer)
	return refusal()
}

// AppendHeader adds a header.
func AppendHeader(name, value string) error {
	importAppendHeader(name, value, resultPointer)
	return refusal()
}

// RemoveHeader removes a header.
func RemoveHeader(name string) { importRemoveHeader(name) }

// Payload copies the payload.
func Payload() []byte {
	importPayload(resultPointer)
	return bytes(0)
}

// PayloadLen is the payload's length in bytes.
func PayloadLen() int { return int(importPayloadLen()) }

// SetPayload replaces the payload.
func SetPayload(payload []byte) {
	importSetPayload(unsafe.Pointer(unsafe.SliceData(payload)), uint32(len(payload)))
}

// Select gives every match of a selector.
func Select(selector Selector) ([]Match, error) {
	defer scratch.reset()
	importSelect(uint32(selector), resultPointer)
	if err := payloadError(); err != nil {
		return nil, err
	}
	words := wordsAt(result[1], matchWords*result[2])
	matches := make([]Match, 0, len(words)/matchWords)
	for ; len(words) > 0; words = words[matchWords:] {
		match := Match{Path: int(words[0]), Value: Value{Kind: Kind(discriminant(words[1]))}}
		switch match.Kind {
		case Null:
		case Boolean:
			match.Bool = discriminant(words[2]) != 0
		default:
			match.Text = textAt(words[2], words[3])
		}
		matches = append(matches, match)
	}
	return matches, nil
}

// Replace replaces every match of a selector.
func Replace(selector Selector, values []Value) error {
	defer scratch.reset()
	words, address := scratch.words(optionWords * len(values))
	for i, value := range values {
		option := words[optionWords*i:]
		if value.Kind == Remove {
			continue
		}
		option[0], option[1] = 1, uint32(value.Kind)
		switch value.Kind {
		case Null:
		case Boolean:
			if value.Bool {
				option[2] = 1
			}
		default:
			option[2], option[3] = scratch.text(value.Text)
		}
	}
	importReplace(uint32(selector), address, uint32(len(values)), resultPointer)
	return payloadError()
}

// Routes gives the names of the rule's routes.
func Routes() []string {
	defer scratch.reset()
	importRoutes(resultPointer)
	words := wordsAt(result[0], textWords*result[1])
	routes := make([]string, 0, len(words)/textWords)
	for ; len(words) > 0; words = words[textWords:] {
		routes = append(routes, textAt(words[0], words[1]))
	}
	return routes
}

// ReadFile reads a file of the configuration directory.
func ReadFile(path string) ([]byte, error) {
	importReadFile(path, resultPointer)
	if discriminant(result[0]) != 0 {
		return nil, Refusal(text(1))
	}
	return bytes(1), nil
}

// Log logs a line.
func Log(level int, line string) { importLog(uint32(level), line) }

// text copies the string that the result has from this word on.
func text(word int) string {
	defer scratch.reset()
	return textAt(result[word], result[word+1])
}

// bytes copies the list of bytes that the result has from this word on.
func bytes(word int) []byte {
	defer scratch.reset()
	return append([]byte{}, bytesAt(result[word], result[word+1])...)
}

// refusal is the error of a result that has a text for one.
func refusal() error {
	if discriminant(result[0]) == 0 {
		return nil
	}
	return Refusal(text(1))
}

// payloadError is the error of a result that has a payload-error for one. The scratch is reset by the caller.
func payloadError() error {
	if discriminant(result[0]) == 0 {
		return nil
	}
	kind := "not-json"
	if discriminant(result[1]) != 0 {
		kind = "limit"
	}
	return &PayloadError{kind, textAt(result[2], result[3])}
}
