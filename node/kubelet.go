package node

import "context"

// Kubelet is not written yet.
var Kubelet = Source[struct{ Release map[string]string }]{
	Name:  "kubelet",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "kubelet", Unsupported, "stub"}
	},
}
