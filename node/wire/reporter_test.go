package wire

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run reports for a while with a collector that answers by script, and tells
// what happened when. Reports are numbered by their interval.
func run(t *testing.T, interval, during time.Duration, answer func(try int) error) (events []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		gathered, tries := 0, 0
		r := Reporter{
			Interval: interval,
			Now:      time.Now,
			Random:   func() float64 { return 0.5 }, // the interval itself; waits of three quarters
			Gather: func(context.Context) Report {
				gathered++
				return Report{Agent: fmt.Sprint(gathered)}
			},
			Send: func(_ context.Context, r Report) (Ack, error) {
				tries++
				events = append(events, fmt.Sprintf("%s: send %s", time.Since(start), r.Agent))
				return Ack{Received: time.Now()}, answer(tries)
			},
			Event: func(e Event) {
				text := fmt.Sprintf("%s: %s", time.Since(start), e.Kind)
				if e.Retry > 0 {
					text += fmt.Sprintf(" for %s", e.Retry)
				}
				events = append(events, text)
			},
		}
		r.Run(ctx)
	})
	return events
}

func TestReporter(t *testing.T) {
	down := errors.New("connection refused")
	for _, test := range []struct {
		name     string
		interval time.Duration
		during   time.Duration
		answer   func(int) error
		want     []string
	}{
		{
			"at once, at each interval, and when stopped", time.Minute, 90 * time.Second,
			func(int) error { return nil },
			[]string{"0s: send 1", "0s: sent", "1m0s: send 2", "1m0s: sent", "1m30s: send 3", "1m30s: sent"},
		},
		{
			"a passing failure is tried again, later each time", time.Minute, 10 * time.Second,
			func(try int) error {
				if try < 4 {
					return down
				}
				return nil
			},
			[]string{
				"0s: send 1", "0s: delayed for 750ms", "750ms: send 1", "750ms: delayed for 1.5s", "2.25s: send 1", "2.25s: delayed for 3s",
				"5.25s: send 1", "5.25s: sent", "10s: send 2", "10s: sent",
			},
		},
		{
			"a newer report replaces the kept one and does not hurry", 4 * time.Second, 9 * time.Second,
			func(int) error { return down },
			[]string{
				"0s: send 1", "0s: delayed for 750ms", "750ms: send 1", "750ms: delayed for 1.5s", "2.25s: send 1", "2.25s: delayed for 3s",
				"5.25s: send 2", "5.25s: delayed for 3s", "8.25s: send 3", "8.25s: delayed for 3s", "9s: send 4", "9s: lost",
			},
		},
		{
			"a refused report is dropped, the next is sent", time.Minute, 61 * time.Second,
			func(try int) error {
				if try == 1 {
					return &SendError{Status: 400, final: true}
				}
				return nil
			},
			[]string{"0s: send 1", "0s: dropped", "1m0s: send 2", "1m0s: sent", "1m1s: send 3", "1m1s: sent"},
		},
		{
			"the collector may ask for patience", time.Minute, 31 * time.Second,
			func(try int) error {
				if try == 1 {
					return &SendError{Status: 503, After: 30 * time.Second}
				}
				return nil
			},
			[]string{"0s: send 1", "0s: delayed for 30s", "30s: send 1", "30s: sent", "31s: send 2", "31s: sent"},
		},
		{
			"no interval is a minute", 0, 61 * time.Second,
			func(int) error { return nil },
			[]string{"0s: send 1", "0s: sent", "1m0s: send 2", "1m0s: sent", "1m1s: send 3", "1m1s: sent"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, test.interval, test.during, test.answer)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A gathering that is cut short has facts missing that are not: it must not be
// sent, and the last try starts over.
func TestReporterThrowsAwayWhatWasCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		gathered := 0
		var sent []string
		r := Reporter{
			Interval: time.Minute,
			Now:      time.Now,
			Gather: func(context.Context) Report {
				if gathered++; gathered == 1 {
					cancel()
				}
				return Report{Agent: fmt.Sprint(gathered)}
			},
			Send: func(_ context.Context, r Report) (Ack, error) {
				sent = append(sent, r.Agent)
				return Ack{}, nil
			},
		}
		r.Run(ctx)
		if diff := cmp.Diff([]string{"2"}, sent); diff != "" {
			t.Error(diff)
		}
	})
}

// Stopping takes a few seconds, even when neither the node nor the collector
// answers, and sends what is kept when there is no time for more.
func TestReporterStopsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		gathered := 0
		var sent []string
		r := Reporter{
			Interval: time.Minute,
			Now:      time.Now,
			Gather: func(ctx context.Context) Report {
				if gathered++; gathered > 1 {
					<-ctx.Done()
				}
				return Report{Agent: fmt.Sprint(gathered)}
			},
			Send: func(ctx context.Context, r Report) (Ack, error) {
				sent = append(sent, r.Agent)
				<-ctx.Done()
				return Ack{}, ctx.Err()
			},
		}
		start := time.Now()
		r.Run(ctx)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %s, want 1s and 4s of grace", took)
		}
		if diff := cmp.Diff([]string{"1", "1"}, sent); diff != "" {
			t.Error(diff)
		}
	})
}
