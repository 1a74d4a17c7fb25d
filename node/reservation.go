package node

import "context"

// Reservation is not written yet.
var Reservation = Source[struct{ Release map[string]string }]{
	Name:  "reservation",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "reservation", Unsupported, "stub"}
	},
}
