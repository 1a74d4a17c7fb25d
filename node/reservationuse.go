package node

import "context"

// ReservationUse is not written yet.
var ReservationUse = Source[struct{ Release map[string]string }]{
	Name:  "reservation-use",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "reservation-use", Unsupported, "stub"}
	},
}
