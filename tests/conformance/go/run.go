package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
)

// run is one run of the script, on one message.
type run struct {
	plugin  *Conformance
	message *trackside.Message
	notes   []string
	parts   []trackside.Part
}

// step takes a step; the last one gives the verdict or the failure.
func (r *run) step(name string, words []string) (trackside.Verdict, error) {
	if verdict, err := end(name, words, r.parts); err != nil || verdict.Kind != trackside.Undecided {
		return verdict, err
	}
	switch name {
	case "set-header", "append-header", "remove-header", "get-header", "headers":
		r.headerStep(name, words)
	case "set-payload", "repeat-payload", "fill-payload", "report":
		r.payloadStep(name, words)
	case "select", "replace", "replace-all":
		r.selectorStep(name, r.plugin.selectors[number(words[0])], words[1:])
	case "log":
		trackside.Log(levels[words[0]], words[1])
	case "part":
		part := trackside.Part{Payload: []byte(words[0]), Route: words[1]}
		for _, pair := range pairs(words[2:]) {
			part.Headers = append(part.Headers, trackside.Header{Name: pair[0], Value: pair[1]})
		}
		r.parts = append(r.parts, part)
	default:
		return trackside.Verdict{}, r.tell(name, words)
	}
	return trackside.Verdict{}, nil
}

// end is what the steps do that end the script.
func end(name string, words []string, parts []trackside.Part) (trackside.Verdict, error) {
	switch name {
	case "split":
		return trackside.Split(parts...), nil
	case "forward":
		return trackside.Forward(), nil
	case "route":
		return trackside.Route(words...), nil
	case "drop":
		return trackside.Drop(words[0]), nil
	case "reject":
		return trackside.Reject(words[0]), nil
	case "retry":
		if len(words) > 1 {
			return trackside.Verdict{}, trackside.RetryAfter(words[0], time.Duration(number(words[1]))*time.Millisecond)
		}
		return trackside.Verdict{}, trackside.Retry(words[0])
	case "fatal":
		return trackside.Verdict{}, trackside.Fatal(words[0])
	case "trap":
		os.Exit(1)
	case "loop":
		for {
		}
	case "hog":
		for hoard := [][]byte{}; ; {
			hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
		}
	}
	return trackside.Verdict{}, nil
}

// tell notes what the host says.
func (r *run) tell(name string, words []string) error {
	message := r.message
	switch name {
	case "note":
		r.note(words[0])
	case "subject":
		r.note(message.Subject())
	case "id":
		r.note(message.ID())
	case "origin":
		r.note(message.Origin())
	case "timestamp":
		r.note(strconv.FormatUint(message.Timestamp(), 10))
	case "delivery":
		r.note(strconv.Itoa(message.Delivery()))
	case "payload-len":
		r.note(strconv.Itoa(message.PayloadLen()))
	case "payload":
		r.note(string(message.Payload()))
	case "count":
		r.note(strconv.Itoa(r.plugin.count))
	case "routes":
		r.note(strings.Join(r.plugin.routes, " "))
	case "file":
		r.note(string(r.plugin.files[number(words[0])]))
	default:
		return trackside.Fatal("no step " + name)
	}
	return nil
}

func (r *run) headerStep(name string, words []string) {
	switch name {
	case "set-header":
		r.noteResult(r.message.SetHeader(words[0], words[1]))
	case "append-header":
		r.noteResult(r.message.AppendHeader(words[0], words[1]))
	case "remove-header":
		r.message.RemoveHeader(words[0])
	case "get-header":
		value, found := r.message.Header(words[0])
		if !found {
			value = "none"
		}
		r.note(value)
	case "headers":
		for _, header := range r.message.Headers() {
			r.note(header.Name + "=" + header.Value)
		}
	}
}

func (r *run) payloadStep(name string, words []string) {
	switch name {
	case "set-payload":
		r.message.SetPayload([]byte(words[0]))
	case "repeat-payload":
		r.message.SetPayload(bytes.Repeat(r.message.Payload(), number(words[0])))
	case "fill-payload":
		r.message.SetPayload([]byte(strings.Repeat(words[1], number(words[0]))))
	case "report":
		r.message.SetPayload([]byte(strings.Join(r.notes, "\n")))
	}
}

func (r *run) selectorStep(name string, selector trackside.Selector, words []string) {
	values := replacements(words)
	if name == "replace" {
		r.noteResult(r.message.Replace(selector, values))
		return
	}
	matches, err := r.message.Select(selector)
	switch {
	case err != nil:
		r.noteResult(err)
	case name == "replace-all":
		r.noteResult(r.message.Replace(selector, slices.Repeat(values, len(matches))))
	default:
		for _, found := range matches {
			r.note(spelt(found))
		}
	}
}

func (r *run) note(text string) { r.notes = append(r.notes, text) }

// noteResult notes that the host agreed, or its text.
func (r *run) noteResult(err error) {
	var payload *trackside.PayloadError
	switch {
	case err == nil:
		r.note("ok")
	case errors.As(err, &payload):
		r.note(payload.Kind + ": " + payload.Reason)
	default:
		r.note("error: " + err.Error())
	}
}

var kinds = map[string]trackside.Kind{
	"null": trackside.KindNull, "boolean": trackside.KindBoolean, "number": trackside.KindNumber,
	"text": trackside.KindText, "json": trackside.KindJSON,
}

var levels = map[string]trackside.Level{
	"trace": trackside.LevelTrace, "debug": trackside.LevelDebug, "info": trackside.LevelInfo,
	"warn": trackside.LevelWarn, "error": trackside.LevelError,
}

func spelt(found trackside.Match) string {
	switch found.Kind {
	case trackside.KindNull:
		return fmt.Sprintf("%d null", found.Path)
	case trackside.KindBoolean:
		return fmt.Sprintf("%d boolean %t", found.Path, found.Bool)
	case trackside.KindNumber:
		return fmt.Sprintf("%d number %s", found.Path, found.Text)
	case trackside.KindText:
		return fmt.Sprintf("%d text %s", found.Path, found.Text)
	default:
		return fmt.Sprintf("%d json %s", found.Path, found.Text)
	}
}

func replacements(words []string) []trackside.Value {
	var values []trackside.Value
	for _, pair := range pairs(words) {
		value := trackside.Remove()
		if kind, known := kinds[pair[0]]; known {
			value = trackside.Value{Kind: kind, Bool: pair[1] == "true", Text: pair[1]}
		}
		values = append(values, value)
	}
	return values
}

func pairs(words []string) [][2]string {
	var pairs [][2]string
	for pair := range slices.Chunk(words, 2) {
		pairs = append(pairs, [2]string{pair[0], strings.Join(pair[1:], "")})
	}
	return pairs
}

// number reads a number of the script, which the cases spell right.
func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return number
}
