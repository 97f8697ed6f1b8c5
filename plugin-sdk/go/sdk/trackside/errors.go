package trackside

import (
	"errors"
	"strings"
	"time"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"
)

// SetupError says why a stage cannot be configured. The host points its caret at the key.
type SetupError struct {
	// Key is the path to the key, empty when the error is about the settings as a whole.
	Key string
	// Reason is what is wrong.
	Reason string
}

func (e *SetupError) Error() string {
	if e.Key == "" {
		return e.Reason
	}
	return e.Key + ": " + e.Reason
}

// At gives an error of the set-up that was found at or below this key of the settings, from any error of Configure:
// At("fields[0]", At("path", err)) is one of `fields[0].path`. There is none if there was none.
func At(key string, err error) error {
	if err == nil {
		return nil
	}
	var known *SetupError
	if !errors.As(err, &known) {
		return &SetupError{key, err.Error()}
	}
	if known.Key != "" && !strings.HasPrefix(known.Key, "[") {
		key += "."
	}
	return &SetupError{key + known.Key, known.Reason}
}

// PayloadError says why a payload could not be read or edited. Returned by Handle, it rejects the message.
type PayloadError = host.PayloadError

// HeaderError says why a header was refused. Returned by Handle, it rejects the message.
type HeaderError struct {
	// Reason is the host's text.
	Reason string
}

func (e *HeaderError) Error() string { return e.Reason }

// RetryError is returned by Handle where the message may succeed later.
type RetryError struct {
	Reason string
	// After is how long to wait, to the millisecond; nil leaves it to the rule.
	After *time.Duration
}

func (e *RetryError) Error() string { return e.Reason }

// Retry makes the error of a plugin for which the message may succeed later, when the rule says. The reason must show
// nothing of the payload.
func Retry(reason string) error { return &RetryError{Reason: reason} }

// RetryAfter makes the error of a plugin for which the message may succeed after this time.
func RetryAfter(reason string, after time.Duration) error { return &RetryError{reason, &after} }

// FatalError is returned by Handle where the plugin cannot go on.
type FatalError struct{ Reason string }

func (e *FatalError) Error() string { return e.Reason }

// Fatal makes the error of a plugin that cannot go on: its instance is thrown away. The reason must show nothing of
// the payload.
func Fatal(reason string) error { return &FatalError{reason} }
