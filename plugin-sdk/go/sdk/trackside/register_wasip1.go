package trackside

import (
	"errors"
	"math"

	"github.com/trackside/trackside/plugin-sdk/go/sdk/internal/host"
)

// Register makes this the plugin that the component is; once, in an init function.
func Register[Settings any](configure Configure[Settings]) {
	var stage Stage
	host.Registered = &host.Plugin{
		Configure: func(with string) (err error) {
			stage, err = configure.Start(with)
			return err
		},
		Handle: func(decision host.Decision) {
			verdict, err := Decide(stage)
			if err != nil {
				fail(decision, err)
				return
			}
			decide(decision, verdict)
		},
	}
}

func decide(decision host.Decision, verdict Verdict) {
	switch verdict.Kind {
	case Routed:
		decision.Route(verdict.Routes)
	case Divided:
		decision.Split(len(verdict.Parts), func(i int) ([]byte, []Header, string) {
			part := verdict.Parts[i]
			return part.Payload, part.Headers, part.Route
		})
	case Dropped:
		decision.Drop(verdict.Reason)
	case Rejected:
		decision.Reject(verdict.Reason)
	default:
		decision.Forward()
	}
}

func fail(decision host.Decision, err error) {
	var retry *RetryError
	if !errors.As(err, &retry) {
		decision.Fatal(err.Error())
		return
	}
	if retry.After == nil {
		decision.Retry(retry.Reason)
		return
	}
	decision.RetryAfter(retry.Reason, uint32(min(max(retry.After.Milliseconds(), 0), math.MaxUint32)))
}
