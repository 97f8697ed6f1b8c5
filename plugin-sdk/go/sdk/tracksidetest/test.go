//go:build !wasip1

// Package tracksidetest runs a plugin in a test, against a message in memory and without Trackside.
package tracksidetest

import (
	"cmp"
	"encoding/json"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
)

// Host is what the rule and the configuration directory offer while a plugin is configured.
type Host struct {
	Routes []string
	Files  map[string][]byte
}

// Message is a message to hand to a plugin: from JetStream, on subject `test`, at the time 0, delivered once, unless
// said otherwise.
type Message struct {
	Payload             []byte
	Subject, ID, Origin string
	Timestamp           uint64
	Delivery            int
	Headers             []trackside.Header
}

// Line is a line of the log: its level ("info") and what it says.
type Line = host.Line

// Configured is a plugin that was configured.
type Configured struct{ Stage trackside.Stage }

// Configure configures a plugin from its `with` table, which is anything that becomes JSON. The error is what the
// rule's author would be shown.
func Configure[Settings any](configure trackside.Configure[Settings], with any, offered Host) (*Configured, error) {
	text, err := json.Marshal(with)
	if err != nil {
		return nil, err
	}
	var stage trackside.Stage
	host.WithSetUp(&host.SetUp{Routes: offered.Routes, Files: offered.Files}, func() {
		stage, err = configure.Start(string(text))
	})
	return &Configured{stage}, err
}

// Outcome is what a plugin did with a message.
type Outcome struct {
	// Verdict is what it decided, unless it failed.
	Verdict trackside.Verdict
	// Err is a [trackside.RetryError] or a [trackside.FatalError] where it did not decide.
	Err error
	// Payload and Headers are those of the message as the plugin left it.
	Payload []byte
	Headers []trackside.Header
	// Log has the lines that it logged.
	Log []Line
}

// HandleText hands it a message with this payload.
func (c *Configured) HandleText(payload string) Outcome {
	return c.Handle(Message{Payload: []byte(payload)})
}

// Handle hands it a message.
func (c *Configured) Handle(given Message) Outcome {
	message := &host.Message{
		Subject:   cmp.Or(given.Subject, "test"),
		ID:        cmp.Or(given.ID, "1"),
		Origin:    cmp.Or(given.Origin, "jetstream"),
		Timestamp: given.Timestamp,
		Delivery:  cmp.Or(given.Delivery, 1),
		Headers:   given.Headers,
		Payload:   given.Payload,
	}
	var outcome Outcome
	outcome.Log = host.WithMessage(message, func() {
		outcome.Verdict, outcome.Err = trackside.Decide(c.Stage)
	})
	outcome.Payload, outcome.Headers = message.Payload, message.Headers
	return outcome
}
