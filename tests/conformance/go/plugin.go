// Does what its settings say: see ../README.md.
package main

import (
	"fmt"
	"slices"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"
)

// Settings is the stage's `with` table.
type Settings struct {
	Refuse      *string    `json:"refuse"`
	Paths       [][]string `json:"paths"`
	CheckRoutes []string   `json:"check-routes"`
	Files       []string   `json:"files"`
	Script      [][]string `json:"script"`
}

// Conformance is the plugin, with what it keeps from the set-up.
type Conformance struct {
	script    [][]string
	selectors []trackside.Selector
	routes    []string
	files     [][]byte
	count     int
}

func init() { trackside.Register(configure) }

func main() {}

func configure(settings Settings, setup *trackside.Setup) (trackside.Stage, error) {
	if settings.Refuse != nil {
		return nil, &trackside.SetupError{Reason: *settings.Refuse}
	}
	plugin := &Conformance{script: settings.Script, routes: setup.Routes()}
	for _, paths := range settings.Paths {
		selector, err := trackside.Compile(paths...)
		if err != nil {
			return nil, err
		}
		plugin.selectors = append(plugin.selectors, selector)
	}
	for _, name := range settings.CheckRoutes {
		if !slices.Contains(plugin.routes, name) {
			return nil, fmt.Errorf("no route %s", name)
		}
	}
	for _, path := range settings.Files {
		content, err := setup.ReadFile(path)
		if err != nil {
			return nil, err
		}
		plugin.files = append(plugin.files, content)
	}
	return plugin, nil
}

// Handle runs the script.
func (c *Conformance) Handle(message *trackside.Message) (trackside.Verdict, error) {
	c.count++
	run := &run{plugin: c, message: message}
	for _, step := range c.script {
		if verdict, err := run.step(step[0], step[1:]); err != nil || verdict.Kind != trackside.Undecided {
			return verdict, err
		}
	}
	return trackside.Forward(), nil
}
