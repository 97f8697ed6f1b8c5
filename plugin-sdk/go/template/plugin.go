// Sends large orders to a route of their own, and takes the coupon out of all of them.
package main

import (
	"strconv"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
)

// Settings is the stage's `with` table.
type Settings struct {
	// Limit is the amount from which on an order is large.
	Limit float64 `json:"limit"`
	// To is the route for large orders.
	To string `json:"to"`
}

// Large is the plugin, with its settings.
type Large struct {
	settings Settings
	selector trackside.Selector
}

func init() { trackside.Register(configure) }

// A component has no main function, but Go wants one.
func main() {}

func configure(settings Settings, setup *trackside.Setup) (trackside.Stage, error) {
	// A misspelt route is found now, before any message is.
	if err := setup.CheckRoute(settings.To); err != nil {
		return nil, trackside.At("to", err)
	}
	selector, err := trackside.Compile("$.amount", "$.coupon")
	return &Large{settings, selector}, err
}

// Handle decides what becomes of one message.
func (l *Large) Handle(message *trackside.Message) (trackside.Verdict, error) {
	matches, err := message.Select(l.selector)
	if err != nil {
		return trackside.Verdict{}, err
	}
	amount, err := amountOf(matches)
	if err != nil {
		return trackside.Reject("`$.amount` is not a number"), nil
	}
	// One value for each match, in the same order; Remove takes the member out.
	values := make([]trackside.Value, len(matches))
	for i, found := range matches {
		values[i] = trackside.Remove()
		if found.Path == 0 {
			values[i] = found.Value
		}
	}
	if err := message.Replace(l.selector, values); err != nil {
		return trackside.Verdict{}, err
	}
	if amount >= l.settings.Limit {
		return trackside.Route(l.settings.To), nil
	}
	return trackside.Forward(), nil
}

func amountOf(matches []trackside.Match) (float64, error) {
	for _, found := range matches {
		if found.Path == 0 && found.Kind == trackside.KindNumber {
			return strconv.ParseFloat(found.Text, 64)
		}
	}
	return 0, strconv.ErrSyntax
}
