package node

import (
	"context"
	"fmt"
)

// ClockState is how the system clock is kept, in classes that stay the same from
// scan to scan. Source: adjtimex(2).
type ClockState struct {
	// Synchronised is "yes" or "no" (STA_UNSYNC, or the state TIME_ERROR).
	Synchronised string `json:"synchronised"`
	// Leap is "none", "insert", "delete", "in-progress" or "done".
	Leap string `json:"leap"`
	// Offset is by how much the clock is estimated to be off: the offset that is
	// still to be slewed and the estimated error together.
	Offset string `json:"offset"` // "under 100 ms", "under 1 s", "1 s or more"
	// Bound is the kernel's bound of that, which grows by half a millisecond each
	// second in which nobody corrects the clock. A daemon that asks at its slowest,
	// every 2,048 seconds, stays under 2 seconds.
	Bound string `json:"bound"` // "under 2 s", "under 16 s", "16 s or more"
}

// ClockSync is how the system clock is kept.
var ClockSync = Source[ClockState]{
	Name:  "clock",
	Doc:   "whether the system clock is synchronised and how far it may be off, in classes",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (ClockState, []Gap, error) {
		c, err := ask[Clock](h, AskClock, "")
		if err != nil {
			return ClockState{}, nil, err
		}
		v, err := clockState(c)
		return v, nil, err
	},
}

// Of the kernel's include/uapi/linux/timex.h.
const (
	staUnsync = 0x0040
	timeError = 5
)

var leapStates = map[int]string{0: "none", 1: "insert", 2: "delete", 3: "in-progress", 4: "done", timeError: "none"}

func clockState(c Clock) (ClockState, error) {
	leap, known := leapStates[c.State]
	if !known || c.MaximumError < 0 || c.EstimatedError < 0 {
		return ClockState{}, &Error{"asking the kernel for", AskClock, Malformed, fmt.Sprintf("state %d, maximum error %d, estimated error %d", c.State, c.MaximumError, c.EstimatedError)}
	}
	v := ClockState{Synchronised: "yes", Leap: leap, Bound: "under 2 s", Offset: "under 100 ms"}
	if c.State == timeError || c.Status&staUnsync != 0 {
		v.Synchronised = "no"
	}
	const ms, second = 1_000, 1_000_000
	switch off := max(c.Offset, -c.Offset) + c.EstimatedError; {
	case off < 0 || off >= second: // below 0 where the sum is too large
		v.Offset = "1 s or more"
	case off >= 100*ms:
		v.Offset = "under 1 s"
	}
	switch {
	case c.MaximumError >= 16*second:
		v.Bound = "16 s or more"
	case c.MaximumError >= 2*second:
		v.Bound = "under 16 s"
	}
	return v, nil
}
