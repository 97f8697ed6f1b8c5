// Package trackside is for writing Trackside plugins: see README.md of the SDK.
//
// A plugin registers a function that configures it, and decides about one message after another:
//
//	func init() { trackside.Register(configure) }
//
//	func configure(settings Settings, setup *trackside.Setup) (trackside.Stage, error) { … }
//
//	func (p *plugin) Handle(message *trackside.Message) (trackside.Verdict, error) { … }
package trackside

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Stage is a plugin that was configured: one for each instance, given messages one after another.
type Stage interface {
	// Handle decides what becomes of one message, and may change its payload and headers.
	//
	// An error of the payload or of a header, wrapped or not, rejects the message; [Retry], [RetryAfter] and [Fatal]
	// make errors that are what they say. Any other error, and a panic, counts as fatal, and only its type is told: its
	// text may show something of the payload.
	Handle(message *Message) (Verdict, error)
}

// Configure makes a stage of its `with` table, which is read as package encoding/json/v2 does; keys that the type does
// not have are errors. The error is shown to the rule's author, with a caret at the key of a [SetupError].
type Configure[Settings any] func(settings Settings, setup *Setup) (Stage, error)

// Start makes a stage of its `with` table as JSON. Tests and the host use it; a plugin has no need to.
func (c Configure[Settings]) Start(with string) (stage Stage, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = fmt.Errorf("panic: %v%s", recovered, place())
		}
	}()
	settings, err := readSettings[Settings](with)
	if err != nil {
		return nil, err
	}
	stage, err = c(settings, &Setup{})
	if err == nil && stage == nil {
		err = errors.New("the plugin configured no stage")
	}
	return stage, err
}

// Decide asks a stage about the message in hand. The error, if there is one, is a [RetryError] or a [FatalError].
// Tests and the host use it; a plugin has no need to.
func Decide(stage Stage) (verdict Verdict, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			verdict, err = Verdict{}, Fatal(fmt.Sprintf("panic: %T%s", recovered, place()))
		}
	}()
	verdict, err = stage.Handle(&Message{})
	if err != nil {
		return settle(err)
	}
	if verdict.Kind == Undecided {
		// A plugin that forgets to decide must not let the message through.
		return Verdict{}, Fatal("the plugin returned no verdict, which Forward, Route, Split, Drop and Reject make")
	}
	return verdict, nil
}

// settle gives the verdict that an error amounts to, or the failure that it is.
func settle(err error) (Verdict, error) {
	var payload *PayloadError
	var header *HeaderError
	var retry *RetryError
	var fatal *FatalError
	switch {
	case errors.As(err, &retry):
		return Verdict{}, retry
	case errors.As(err, &fatal):
		return Verdict{}, fatal
	// What cannot be read or carried now cannot be later either.
	case errors.As(err, &payload):
		return Reject(payload.Error()), nil
	case errors.As(err, &header):
		return Reject(header.Error()), nil
	}
	return Verdict{}, Fatal(fmt.Sprintf("the plugin returned an error of type %T", err))
}

// place tells where a panic came from, for a function that recovered from it.
func place() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	panicked := false
	for {
		frame, more := frames.Next()
		// Below the panic, the first function that is not the runtime's is where it happened.
		if panicked && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf(" in %s (%s:%d)", frame.Function, path.Base(frame.File), frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}
