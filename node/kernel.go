package node

import "context"

// Kernel is not written yet.
var Kernel = Source[struct{ Release map[string]string }]{
	Name:  "kernel",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "kernel", Unsupported, "stub"}
	},
}
