package node

import "context"

// Listeners is not written yet.
var Listeners = Source[struct{ Release map[string]string }]{
	Name:  "listeners",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "listeners", Unsupported, "stub"}
	},
}
