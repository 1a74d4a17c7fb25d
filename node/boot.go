package node

import "context"

// Boot is not written yet.
var Boot = Source[struct{ Release map[string]string }]{
	Name:  "boot",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "boot", Unsupported, "stub"}
	},
}
