package host

import "unsafe"

// Sizes of what is returned, in words.
const (
	configureWords = 3
	handleWords    = 6
	partWords      = 7
)

// Cases of the contract's variants.
const (
	verdictRoute = 1 + iota
	verdictSplit
	verdictDrop
	verdictReject
)

// Decision is a verdict or a failure, written where the host reads it.
type Decision struct{ words []uint32 }

// Plugin is what the exports below call.
type Plugin struct {
	Configure func(config string) error
	Handle    func(Decision)
}

// Registered is the plugin, once there is one.
var Registered *Plugin

// returned has what the last export returned, until the next one is called.
var returned arena

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, _, newSize uint32) unsafe.Pointer {
	pointer := scratch.alloc(uintptr(newSize))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(pointer), newSize), unsafe.Slice((*byte)(old), oldSize))
	}
	return pointer
}

//go:wasmexport trackside:plugin/stage@0.1.0#configure
func configure(config unsafe.Pointer, length uint32) uint32 {
	settings := textAt(addressOf(config), length)
	scratch.reset()
	returned.reset()
	words, address := returned.words(configureWords)
	err := error(Refusal("the plugin registers nothing: call trackside.Register in an init function"))
	if Registered != nil {
		err = Registered.Configure(settings)
	}
	if err != nil {
		words[0] = 1
		words[1], words[2] = returned.text(err.Error())
	}
	return address
}

//go:wasmexport trackside:plugin/stage@0.1.0#handle
func handle() uint32 {
	returned.reset()
	words, address := returned.words(handleWords)
	Registered.Handle(Decision{words})
	return address
}

// Forward hands the message on: every word stays 0.
func (d Decision) Forward() {}

// Route publishes the message to routes.
func (d Decision) Route(names []string) {
	words, address := returned.words(textWords * len(names))
	for i, name := range names {
		words[textWords*i], words[textWords*i+1] = returned.text(name)
	}
	d.words[1], d.words[2], d.words[3] = verdictRoute, address, uint32(len(names))
}

// Split puts parts in the message's place: so many, each told by the function.
func (d Decision) Split(count int, part func(int) (payload []byte, headers []Header, route string)) {
	words, address := returned.words(partWords * count)
	for i := range count {
		payload, headers, route := part(i)
		written := words[partWords*i:]
		written[0], written[1] = returned.text(unsafe.String(unsafe.SliceData(payload), len(payload)))
		written[2], written[3] = writtenHeaders(headers)
		if route != "" {
			written[4] = 1
			written[5], written[6] = returned.text(route)
		}
	}
	d.words[1], d.words[2], d.words[3] = verdictSplit, address, uint32(count)
}

func writtenHeaders(headers []Header) (address, length uint32) {
	words, address := returned.words(headerWords * len(headers))
	for i, header := range headers {
		words[headerWords*i], words[headerWords*i+1] = returned.text(header.Name)
		words[headerWords*i+2], words[headerWords*i+3] = returned.text(header.Value)
	}
	return address, uint32(len(headers))
}

// Drop lets the message go no further.
func (d Decision) Drop(reason string) { d.reason(verdictDrop, reason) }

// Reject dead-letters the message.
func (d Decision) Reject(reason string) { d.reason(verdictReject, reason) }

func (d Decision) reason(verdict uint32, reason string) {
	d.words[1] = verdict
	d.words[2], d.words[3] = returned.text(reason)
}

// Retry asks for the message again.
func (d Decision) Retry(reason string) {
	d.words[0] = 1
	d.words[2], d.words[3] = returned.text(reason)
}

// RetryAfter asks for the message again after so many milliseconds.
func (d Decision) RetryAfter(reason string, milliseconds uint32) {
	d.Retry(reason)
	d.words[4], d.words[5] = 1, milliseconds
}

// Fatal gives the instance up.
func (d Decision) Fatal(reason string) {
	d.words[0], d.words[1] = 1, 1
	d.words[2], d.words[3] = returned.text(reason)
}
