package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/tracksidetest"
)

// The plugin against a message in memory, without Trackside: `go test ./...`.

var host = tracksidetest.Host{Routes: []string{"default", "review"}}

func large(t *testing.T) *tracksidetest.Configured {
	t.Helper()
	large, err := tracksidetest.Configure(configure, Settings{Limit: 1000, To: "review"}, host)
	if err != nil {
		t.Fatal(err)
	}
	return large
}

func TestWhatBecomesOfOrders(t *testing.T) {
	for name, test := range map[string]struct {
		payload string
		verdict trackside.Verdict
		left    string
	}{
		"a large order takes the route and loses its coupon": {
			`{ "amount": 2500.00, "coupon": "XMAS" }`, trackside.Route("review"), `{ "amount": 2500.00 }`,
		},
		"the coupon may come first": {
			`{"coupon":"XMAS","amount":2500.00}`, trackside.Route("review"), `{"amount":2500.00}`,
		},
		"a small order goes on": {
			`{"amount":999.99}`, trackside.Forward(), `{"amount":999.99}`,
		},
		"an order without an amount is rejected": {
			`{"amount":"1000"}`, trackside.Reject("`$.amount` is not a number"), `{"amount":"1000"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := large(t).HandleText(test.payload)
			if !reflect.DeepEqual(outcome.Verdict, test.verdict) || string(outcome.Payload) != test.left {
				t.Errorf("%+v, %v, %s", outcome.Verdict, outcome.Err, outcome.Payload)
			}
		})
	}
}

func TestARouteThatTheRuleDoesNotHaveIsAnErrorOfTheSettings(t *testing.T) {
	_, err := tracksidetest.Configure(configure, Settings{Limit: 1000, To: "reviews"}, host)
	if err == nil || !strings.HasPrefix(err.Error(), "to: the rule has no route `reviews`") {
		t.Error(err)
	}
}
