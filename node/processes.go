package node

import "context"

// Processes is not written yet.
var Processes = Source[struct{ Release map[string]string }]{
	Name:  "processes",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (struct{ Release map[string]string }, []Gap, error) {
		return struct{ Release map[string]string }{}, nil, &Error{"reading", "processes", Unsupported, "stub"}
	},
}

type processTable struct{}

func readProcesses(h *Host) (*processTable, error) { return &processTable{}, nil }
