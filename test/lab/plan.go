//go:build linux

package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Plan is what a guest does once it is up. The host writes it to a disk of the
// guest.
type Plan struct {
	Shape   string            `json:"shape"`
	Node    string            `json:"node"`    // the guest's host name
	Options map[string]string `json:"options"` // of the shape: how it is set up, by attacks that happen before it is up
	Steps   []Step            `json:"steps"`
}

// Step is one thing that a guest does.
type Step struct {
	Task string `json:"task"` // "report", "attack", "undo", or one of the tasks
	Arg  string `json:"arg"`  // the name of the report, the attack or what the task asks for
}

// Outcome is how a step went, as it stands in what leaves the guest.
type Outcome struct {
	Step
	Error   string  `json:"error"`
	Seconds float64 `json:"seconds"` // by the guest's clock
}

// planSize is the size of the disk that carries a plan.
const planSize = 1 << 20

// disk is the plan as the content of a disk.
func (p Plan) disk() ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if len(b) >= planSize {
		return nil, fmt.Errorf("a plan of %d bytes: the disk holds %d", len(b), planSize)
	}
	return append(b, make([]byte, planSize-len(b))...), nil
}

// readPlan reads the plan off its disk.
func readPlan(device string) (Plan, error) {
	var p Plan
	b, err := os.ReadFile(device)
	if err == nil {
		err = json.Unmarshal(bytes.TrimRight(b, "\x00"), &p)
	}
	if err != nil {
		return p, fmt.Errorf("reading the plan: %w", err)
	}
	return p, nil
}
