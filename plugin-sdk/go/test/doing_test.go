// Package test tests the SDK, from outside of the folder that projects carry.
package test

import (
	"fmt"
	"testing"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/tracksidetest"
)

// doing is a plugin that does with a message what the test says.
type doing func(*trackside.Message) (trackside.Verdict, error)

func (d doing) Handle(message *trackside.Message) (trackside.Verdict, error) { return d(message) }

func (d doing) configured(t *testing.T) *tracksidetest.Configured {
	t.Helper()
	configure := func(struct{}, *trackside.Setup) (trackside.Stage, error) { return d, nil }
	configured, err := tracksidetest.Configure(configure, struct{}{}, tracksidetest.Host{})
	if err != nil {
		t.Fatal(err)
	}
	return configured
}

// compile compiles paths that are right.
func compile(t *testing.T, paths ...string) trackside.Selector {
	t.Helper()
	selector, err := trackside.Compile(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return selector
}

// replaced is the payload after the matches of the paths were replaced.
func replaced(t *testing.T, payload string, by func(trackside.Match) trackside.Value, paths ...string) string {
	t.Helper()
	selector := compile(t, paths...)
	outcome := doing(func(message *trackside.Message) (trackside.Verdict, error) {
		matches, err := message.Select(selector)
		values := make([]trackside.Value, len(matches))
		for i, found := range matches {
			values[i] = by(found)
		}
		if err == nil {
			err = message.Replace(selector, values)
		}
		return trackside.Forward(), err
	}).configured(t).HandleText(payload)
	if outcome.Err != nil || outcome.Verdict.Kind != trackside.Forwarded {
		t.Errorf("%s: %+v, %v", payload, outcome.Verdict, outcome.Err)
	}
	return string(outcome.Payload)
}

// selected tells what the paths match, or why the message was rejected.
func selected(t *testing.T, payload string, paths ...string) string {
	t.Helper()
	selector := compile(t, paths...)
	told := ""
	outcome := doing(func(message *trackside.Message) (trackside.Verdict, error) {
		matches, err := message.Select(selector)
		for _, found := range matches {
			told += fmt.Sprintf("%d %d %t %s;", found.Path, found.Kind, found.Bool, found.Text)
		}
		return trackside.Forward(), err
	}).configured(t).HandleText(payload)
	return told + outcome.Verdict.Reason
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\n got: %s\nwant: %s", got, want)
	}
}
