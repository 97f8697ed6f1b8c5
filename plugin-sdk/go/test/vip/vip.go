package main

import "github.com/trackside/trackside/plugin-sdk/go/sdk/trackside"

type Settings struct {
	To string `json:"to"`
}

type Vip struct {
	to   string
	tier trackside.Selector
}

func init() { trackside.Register(configure) }

func main() {}

func configure(settings Settings, setup *trackside.Setup) (trackside.Stage, error) {
	if err := setup.CheckRoute(settings.To); err != nil {
		return nil, trackside.At("to", err)
	}
	tier, err := trackside.Compile("$.customer.tier")
	return &Vip{settings.To, tier}, err
}

func (v *Vip) Handle(message *trackside.Message) (trackside.Verdict, error) {
	matches, err := message.Select(v.tier)
	for _, found := range matches {
		if found.Text == "gold" {
			return trackside.Route(v.to), nil
		}
	}
	return trackside.Forward(), err
}
