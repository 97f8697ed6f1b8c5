package test

import (
	"strings"
	"testing"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
)

func starred(trackside.Match) trackside.Value { return trackside.Text("***") }

func removed(trackside.Match) trackside.Value { return trackside.Remove() }

func same(found trackside.Match) trackside.Value { return found.Value }

func TestAReplacementLeavesEveryOtherByteAsItWas(t *testing.T) {
	payload := `{ "n": 1.50, "old": [1], "pin": 7,  "a": {"p\u0069n": "x"} }`
	by := func(found trackside.Match) trackside.Value {
		if found.Path == 0 {
			return starred(found)
		}
		return removed(found)
	}
	equal(t, replaced(t, payload, by, "$..pin", "$.old"), `{ "n": 1.50, "pin": "***",  "a": {"p\u0069n": "***"} }`)
}

func TestPlacesAreRemovedWithTheirCommas(t *testing.T) {
	equal(t, replaced(t, `{"a":1,"b":2,"c":3}`, removed, "$.c"), `{"a":1,"b":2}`)
	equal(t, replaced(t, `{"a":1,"b":2,"c":3}`, removed, "$.b", "$.c"), `{"a":1}`)
	equal(t, replaced(t, `[1, 2, 3]`, removed, "$[0]", "$[-1]"), `[2]`)
	equal(t, replaced(t, `[1, 2, 3]`, removed, "$[*]"), `[]`)
}

func TestWherePlacesNestTheOuterOneWins(t *testing.T) {
	equal(t, replaced(t, `{"a":{"b":{"b":1}}}`, starred, "$..b"), `{"a":{"b":"***"}}`)
}

func TestEveryValueThatJSONHasIsSelectedAndPutBack(t *testing.T) {
	payload := `{"a":[null,true,1.50,"\u00e9",{ }]}`
	equal(t, selected(t, payload, "$.a[*]"), "0 0 false ;0 1 true ;0 2 false 1.50;0 3 false é;0 4 false { };")
	equal(t, replaced(t, payload, same, "$.a[*]"), `{"a":[null,true,1.50,"é",{ }]}`)
}

func TestPathsChooseNamesIndicesListsAndDescendantsInDocumentOrder(t *testing.T) {
	payload := ` {"a":{"b":[10,20]},"x y":3,"b":4}`
	want := "0 4 false [10,20];2 2 false 20;1 2 false 3;0 2 false 4;"
	equal(t, selected(t, payload, "$..b", "$['x y']", "$.a.b[-1]"), want)
	equal(t, selected(t, payload, `$["b","x y"]`), "0 2 false 3;0 2 false 4;")
	equal(t, selected(t, payload, "$.none", "$.a[0]", "$.a.b[-3]"), "")
	equal(t, selected(t, payload, "$"), "0 4 false "+strings.TrimSpace(payload)+";")
}

func TestAPathThatTheMessageInMemoryDoesNotKnowIsRefusedWithWhatToDo(t *testing.T) {
	for _, path := range []string{"a", "$.a[?@.b]", "$a", "$.", "$.[0]", "$[0:1]"} {
		if _, err := trackside.Compile(path); err == nil || !strings.Contains(err.Error(), "`trackside plugin test`") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAPayloadThatIsNotJSONRejectsTheMessage(t *testing.T) {
	for _, payload := range []string{"", "{", `{"a":tru}`, "[1,]", "1 2", "\"\u0001\"", "01", "{'a':1}", "\"\xff\""} {
		if reason := selected(t, payload, "$.a"); !strings.HasPrefix(reason, "the payload is not JSON: at byte ") {
			t.Errorf("%q: %s", payload, reason)
		}
	}
}

func TestAKeyThatOccursTwiceIsNoJSONToReadWhole(t *testing.T) {
	read := doing(func(message *trackside.Message) (trackside.Verdict, error) {
		var into struct{ A float64 }
		err := message.JSON(&into)
		return trackside.Forward(), err
	}).configured(t)
	for payload, reason := range map[string]string{
		`{"a":1,"\u0061":4111}`: "the payload is not JSON: an object has the same key twice",
		`{"A":"4111"}`:          "the payload is not JSON: at byte 5: expected float64",
		`{4111`:                 "the payload is not JSON: it does not parse",
		`{"A":1}`:               "",
	} {
		equal(t, read.HandleText(payload).Verdict.Reason, reason)
	}
}
