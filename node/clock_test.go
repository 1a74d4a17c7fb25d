package node

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClockSync(t *testing.T) {
	const ins = 0x10 | 0x2001 // STA_INS, STA_NANO, STA_PLL
	for _, row := range []struct {
		name  string
		clock Clock
		want  ClockState
		err   string
	}{
		{"timesyncd a minute ago", Clock{State: 0, Status: 0x2001, Offset: -312, MaximumError: 30_500}, ClockState{"yes", "none", "under 100 ms", "under 2 s"}, ""},
		{"timesyncd at its slowest, just before it asks again", Clock{State: 0, Status: 0x2001, MaximumError: 1_024_000}, ClockState{"yes", "none", "under 100 ms", "under 2 s"}, ""},
		{"nobody for two hours", Clock{State: 0, Status: 0x2001, MaximumError: 3_600_000}, ClockState{"yes", "none", "under 100 ms", "under 16 s"}, ""},
		{"a machine whose clock nobody ever corrected", Clock{State: 5, Status: 0x40, MaximumError: 16_000_000, EstimatedError: 16_000_000}, ClockState{"no", "none", "1 s or more", "16 s or more"}, ""},
		{"the flag alone", Clock{State: 0, Status: 0x40}, ClockState{"no", "none", "under 100 ms", "under 2 s"}, ""},
		{"the state alone", Clock{State: 5}, ClockState{"no", "none", "under 100 ms", "under 2 s"}, ""},
		{"a leap second is due", Clock{State: 1, Status: ins}, ClockState{"yes", "insert", "under 100 ms", "under 2 s"}, ""},
		{"half a second to slew", Clock{Offset: -400_000, EstimatedError: 100_000}, ClockState{"yes", "none", "under 1 s", "under 2 s"}, ""},
		{"numbers that add up to none", Clock{Offset: 1<<63 - 1, EstimatedError: 1<<63 - 1}, ClockState{"yes", "none", "1 s or more", "under 2 s"}, ""},
		{"the smallest number", Clock{Offset: -1 << 63}, ClockState{"yes", "none", "1 s or more", "under 2 s"}, ""},
		{"a state of no kernel", Clock{State: 9}, ClockState{}, "asking the kernel for clock: malformed: state 9, maximum error 0, estimated error 0"},
		{"an error below zero", Clock{MaximumError: -1}, ClockState{}, "asking the kernel for clock: malformed: state 0, maximum error -1, estimated error 0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := (&memHost{kernel: map[Question]any{{Kind: AskClock}: row.clock}}).host()
			got, _, err := ClockSync.Read(context.Background(), h)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := errorText(err); text != row.err {
				t.Errorf("got error %q, want %q", text, row.err)
			}
		})
	}
	for name, m := range map[string]*memHost{
		"a file tree": {}, "denied": {errors: map[Question]*Error{{Kind: AskClock}: {"asking the kernel for", AskClock, Denied, ""}}},
	} {
		if got, _, err := ClockSync.Read(context.Background(), m.host()); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}
