package test

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/tracksidetest"
)

func TestWhatAPluginFailsWithIsRetriedFatalOrFatalWithoutItsMessage(t *testing.T) {
	after := 5 * time.Millisecond
	for pattern, fail := range map[string]func() error{
		`^later$`: func() error { return trackside.Retry("later") },
		`^soon$`:  func() error { return fmt.Errorf("4111: %w", trackside.RetryAfter("soon", after)) },
		`^gone$`:  func() error { return trackside.Fatal("gone") },
		`^the plugin returned an error of type \*fmt\.wrapError$`:     func() error { return fmt.Errorf("4111: %w", io.EOF) },
		`^panic: \*fmt\.wrapError in .* \(plugin_test\.go:\d+\)$`:     func() error { panic(fmt.Errorf("4111: %w", io.EOF)) },
		`^panic: runtime\.boundsError in .* \(plugin_test\.go:\d+\)$`: func() error { return []error{}[len(pattern(t))] },
	} {
		outcome := doing(func(*trackside.Message) (trackside.Verdict, error) { return trackside.Forward(), fail() }).
			configured(t).HandleText("")
		if outcome.Err == nil || !regexp.MustCompile(pattern).MatchString(outcome.Err.Error()) {
			t.Errorf("%s: %v", pattern, outcome.Err)
		}
		if retry, is := outcome.Err.(*trackside.RetryError); is && retry.Reason == "soon" && *retry.After != after {
			t.Error(retry.After)
		}
	}
}

func pattern(*testing.T) string { return "x" }

func TestAPluginThatDecidesNothingDoesNotLetTheMessageThrough(t *testing.T) {
	outcome := doing(func(*trackside.Message) (trackside.Verdict, error) { return trackside.Verdict{}, nil }).
		configured(t).HandleText("")
	if _, fatal := outcome.Err.(*trackside.FatalError); !fatal {
		t.Error(outcome.Err)
	}
}

func TestHeadersAreFoundWithoutRegardToCaseAndKeepTheirOrder(t *testing.T) {
	given := tracksidetest.Message{Headers: []trackside.Header{{Name: "A", Value: "1"}, {Name: "b", Value: "2"}, {Name: "a", Value: "3"}}}
	outcome := doing(func(message *trackside.Message) (trackside.Verdict, error) {
		first, _ := message.Header("a")
		_, found := message.Header("d")
		if err := message.AppendHeader("C", "4"); err != nil {
			return trackside.Verdict{}, err
		}
		return trackside.Route(first, fmt.Sprint(found)), message.SetHeader("B", "5")
	}).configured(t).Handle(given)
	equal(t, fmt.Sprint(outcome.Headers, outcome.Verdict.Routes), "[{A 1} {B 5} {a 3} {C 4}] [1 false]")

	outcome = doing(func(message *trackside.Message) (trackside.Verdict, error) {
		message.RemoveHeader("a")
		return trackside.Forward(), nil
	}).configured(t).Handle(given)
	equal(t, fmt.Sprint(outcome.Headers), "[{b 2}]")
}

func TestAHeaderThatNATSCannotCarryOrThatIsReservedRejectsTheMessage(t *testing.T) {
	for _, header := range [][2]string{{"", "x"}, {"a b", "x"}, {"a:", "x"}, {"é", "x"}, {"X", "a\r\nb"}, {"nats-msg-id", "x"}} {
		outcome := doing(func(message *trackside.Message) (trackside.Verdict, error) {
			return trackside.Forward(), message.SetHeader(header[0], header[1])
		}).configured(t).HandleText("")
		if outcome.Verdict.Kind != trackside.Rejected || len(outcome.Headers) > 0 {
			t.Errorf("%q: %+v %v", header, outcome.Verdict, outcome.Headers)
		}
	}
}

func TestAMessageHasWhatTheTestGaveItAndLogLinesAreKeptForEach(t *testing.T) {
	show := doing(func(m *trackside.Message) (trackside.Verdict, error) {
		trackside.Log(trackside.LevelInfo, fmt.Sprint(m.Subject(), m.ID(), m.Origin(), m.Timestamp(), m.Delivery(), m.PayloadLen()))
		m.SetPayload([]byte("é"))
		return trackside.Split(trackside.Part{Payload: m.Payload(), Route: "r"}), nil
	}).configured(t)
	given := tracksidetest.Message{Payload: []byte("abc"), Subject: "a.b", ID: "s:1", Origin: "core", Timestamp: 9, Delivery: 3}
	outcome := show.Handle(given)
	equal(t, fmt.Sprint(outcome.Log, string(outcome.Payload)), "[{info a.bs:1core9 3 3}]é")
	want := trackside.Split(trackside.Part{Payload: []byte("é"), Route: "r"})
	if !reflect.DeepEqual(outcome.Verdict, want) {
		t.Error(outcome.Verdict)
	}
	equal(t, fmt.Sprint(show.HandleText("").Log), "[{info test1jetstream0 1 0}]")
}
