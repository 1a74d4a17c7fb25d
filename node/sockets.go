package node

import "context"

// RuntimeSockets is not written yet.
var RuntimeSockets = Source[struct{ Release map[string]string }]{
	Name:  "runtime-sockets",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "runtime-sockets", Unsupported, "stub"}
	},
}
