package trackside

// VerdictKind is the kind of a verdict. The zero value is none, so that a forgotten verdict lets nothing through.
type VerdictKind string

// The kinds of verdicts.
const (
	Undecided VerdictKind = ""
	Forwarded VerdictKind = "forward"
	Routed    VerdictKind = "route"
	Divided   VerdictKind = "split"
	Dropped   VerdictKind = "drop"
	Rejected  VerdictKind = "reject"
)

// Verdict is what becomes of a message. [Forward], [Route], [Split], [Drop] and [Reject] make one.
type Verdict struct {
	Kind   VerdictKind
	Routes []string
	Parts  []Part
	Reason string
}

// Part is one part of a message that is split.
type Part struct {
	Payload []byte
	// Headers are in place of the message's. `traceparent` and `tracestate` are carried over unless set here.
	Headers []Header
	// Route is a route of the rule; without one the part goes to the next stage.
	Route string
}

// Forward hands the message to the next stage; after the last one it takes the route `default`.
func Forward() Verdict { return Verdict{Kind: Forwarded} }

// Route publishes it to these of the rule's routes, and skips the stages that are left.
func Route(names ...string) Verdict { return Verdict{Kind: Routed, Routes: names} }

// Split puts these parts in its place; none at all drops it.
func Split(parts ...Part) Verdict { return Verdict{Kind: Divided, Parts: parts} }

// Drop acknowledges it and goes no further: why.
func Drop(reason string) Verdict { return Verdict{Kind: Dropped, Reason: reason} }

// Reject dead-letters it: it can never succeed. The reason is kept, so it must show nothing of the payload.
func Reject(reason string) Verdict { return Verdict{Kind: Rejected, Reason: reason} }
