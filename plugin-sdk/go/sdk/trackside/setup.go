package trackside

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"
)

// Setup is the host, as a function that configures a plugin sees it. It does not work any more once that has returned.
type Setup struct{}

// Routes gives the names of the routes that the rule declares.
func (*Setup) Routes() []string { return host.Routes() }

// CheckRoute finds a misspelt route before any message does. The error says which ones the rule declares.
func (s *Setup) CheckRoute(name string) error {
	routes := s.Routes()
	if slices.Contains(routes, name) {
		return nil
	}
	declared := "it declares none; add it under [rule.routes]"
	if len(routes) > 0 {
		declared = "it declares " + strings.Join(routes, ", ")
	}
	return &SetupError{"", fmt.Sprintf("the rule has no route `%s`; %s", name, declared)}
}

// ReadFile reads a file of the configuration directory, by its path from there. Only folders that the plugin's `files`
// setting allows can be read, `schemas/` unless it says otherwise.
func (*Setup) ReadFile(path string) ([]byte, error) {
	content, err := host.ReadFile(path)
	if err != nil {
		return nil, &SetupError{"", err.Error()}
	}
	return content, nil
}

// readSettings reads the `with` table. What does not fit is not shown: it may be a secret that the host has put in.
func readSettings[Settings any](with string) (Settings, error) {
	var settings Settings
	err := json.Unmarshal([]byte(with), &settings, json.RejectUnknownMembers(true))
	var misfit *json.SemanticError
	if !errors.As(err, &misfit) {
		return settings, err
	}
	reason := fmt.Sprintf("of type %s, and has to be of type %s", typeNames[misfit.JSONKind], misfit.GoType)
	if errors.Is(misfit, json.ErrUnknownName) {
		reason = "unknown; " + misfit.GoType.String() + " has no such key"
	}
	return settings, &SetupError{keyOf(misfit.JSONPointer), reason}
}

var typeNames = map[jsontext.Kind]string{
	'n': "null", 'f': "boolean", 't': "boolean", '"': "string", '0': "number", '{': "table", '[': "array",
}

// keyOf spells a JSON pointer (RFC 6901) as settings are spelt: `fields[0].path`.
func keyOf(pointer jsontext.Pointer) string {
	key := ""
	for token := range pointer.Tokens() {
		switch {
		case strings.Trim(token, "0123456789") == "":
			key += "[" + token + "]"
		case key == "":
			key = token
		default:
			key += "." + token
		}
	}
	return key
}
