package node

import "context"

// Sysctls is not written yet.
var Sysctls = Source[struct{ Release map[string]string }]{
	Name:  "sysctls",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "sysctls", Unsupported, "stub"}
	},
}
