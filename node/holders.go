package node

import "context"

// SocketHolders is not written yet.
var SocketHolders = Source[struct{ Release map[string]string }]{
	Name:  "socket-holders",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "socket-holders", Unsupported, "stub"}
	},
}
