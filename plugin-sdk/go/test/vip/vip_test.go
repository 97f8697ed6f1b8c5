package main

import (
	"reflect"
	"testing"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/tracksidetest"
)

func TestThePluginOfTheReadmeDoesWhatItSays(t *testing.T) {
	host := tracksidetest.Host{Routes: []string{"default", "vip"}}
	vip, err := tracksidetest.Configure(configure, Settings{To: "vip"}, host)
	if err != nil {
		t.Fatal(err)
	}
	for payload, verdict := range map[string]trackside.Verdict{
		`{"customer":{"tier":"gold"}}`: trackside.Route("vip"),
		`{"customer":{"tier":"none"}}`: trackside.Forward(),
	} {
		outcome := vip.HandleText(payload)
		if outcome.Err != nil || !reflect.DeepEqual(outcome.Verdict, verdict) {
			t.Errorf("%s: %+v, %v", payload, outcome.Verdict, outcome.Err)
		}
	}
	if _, err := tracksidetest.Configure(configure, Settings{To: "vips"}, host); err == nil {
		t.Error("a route that is not there was taken")
	}
}
