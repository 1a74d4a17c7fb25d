package node

import "context"

// MountNamespaces is not written yet.
var MountNamespaces = Source[struct{ Release map[string]string }]{
	Name:  "mount-namespaces",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "mount-namespaces", Unsupported, "stub"}
	},
}
