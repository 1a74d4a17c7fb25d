package node

import "context"

// OS is not written yet.
var OS = Source[struct{ Release map[string]string }]{
	Name:  "os",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "os", Unsupported, "stub"}
	},
}
