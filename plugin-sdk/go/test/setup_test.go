package test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
	"github.com/trackside/trackside/plugin-sdk/go/sdk/tracksidetest"
)

type settings struct {
	To     string  `json:"to"`
	Limit  float64 `json:"limit"`
	Fields []struct {
		Path string `json:"path"`
	} `json:"fields"`
}

func configure(with settings, setup *trackside.Setup) (trackside.Stage, error) {
	if with.To == "panic" {
		panic("broken")
	}
	if err := setup.CheckRoute(with.To); err != nil {
		return nil, trackside.At("to", err)
	}
	content, err := setup.ReadFile("a.txt")
	if err != nil {
		return nil, err
	}
	return doing(func(*trackside.Message) (trackside.Verdict, error) {
		return trackside.Drop(fmt.Sprint(with, string(content))), nil
	}), nil
}

func TestSettingsBecomeWhatThePluginDeclares(t *testing.T) {
	host := tracksidetest.Host{Routes: []string{"x"}, Files: map[string][]byte{"a.txt": []byte("abc")}}
	with := map[string]any{"to": "x", "limit": 2, "fields": []any{map[string]any{"path": "$"}}}
	configured, err := tracksidetest.Configure(configure, with, host)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, configured.HandleText("").Verdict.Reason, "{x 2 [{$}]}abc")
}

func TestAMisfitOfTheSettingsNamesItsKeyAndDoesNotShowTheValue(t *testing.T) {
	refused(t, `{"to":7}`, "to: of type number, and has to be of type string")
	refused(t, `{"to":"x","limit":"hunter2"}`, "limit: of type string, and has to be of type float64")
	refused(t, `{"to":"x","lmit":1}`, "lmit: unknown; test.settings has no such key")
	refused(t, `{"to":"x","fields":[{"path":"$"},{"path":[]}]}`, "fields[1].path: of type array, and has to be of type string")
}

func TestAnErrorOfTheSetUpNamesTheKeyItWasGiven(t *testing.T) {
	refused(t, `{"to":"x"}`, "to: the rule has no route `x`; it declares none; add it under [rule.routes]")
	refused(t, `{"to":"x"}`, "to: the rule has no route `x`; it declares a, b", "a", "b")
	refused(t, `{"to":"x"}`, "there is no file `a.txt` in the configuration directory", "x")
	err := trackside.At("fields", trackside.At("[0]", trackside.At("path", errors.New("wrong"))))
	equal(t, err.Error(), "fields[0].path: wrong")
	if trackside.At("to", nil) != nil {
		t.Error("an error of nothing")
	}
}

func TestAPanicWhileItIsConfiguredIsAnErrorThatTellsThePlace(t *testing.T) {
	_, err := tracksidetest.Configure(configure, map[string]string{"to": "panic"}, tracksidetest.Host{})
	equal(t, err.Error(), "panic: broken in github.com/trackside/trackside/plugin-sdk/go/test.configure (setup_test.go:22)")
}

func refused(t *testing.T, with, want string, routes ...string) {
	t.Helper()
	_, err := tracksidetest.Configure(configure, raw(with), tracksidetest.Host{Routes: routes})
	if err == nil {
		t.Fatalf("%s is not refused", with)
	}
	equal(t, err.Error(), want)
}

// raw is JSON already.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }
