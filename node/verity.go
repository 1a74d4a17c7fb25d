package node

import "context"

// Verity is not written yet.
var Verity = Source[struct{ Release map[string]string }]{
	Name:  "verity",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "verity", Unsupported, "stub"}
	},
}
