package wire

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Reporter gathers and sends at an interval until it is stopped: once at the
// start, then at every interval, and once more when it is stopped. It keeps
// one report that was not acknowledged; a newer one replaces it.
type Reporter struct {
	// Gather reads the node. What it returns after ctx is done is thrown away:
	// the sources it had no time for would stand there as missing.
	Gather func(ctx context.Context) Report
	// Send delivers a report; [Client.Send] as a rule. An error that is a
	// [*SendError] with Final set drops the report, any other is tried again.
	Send func(context.Context, Report) (Ack, error)
	// Interval is the time from one gathering to the next; [DefaultInterval]
	// where it is not positive.
	Interval time.Duration
	// Now is the clock.
	Now func() time.Time
	// Event, where it is not nil, is told of all that happens, one at a time.
	Event func(Event)
	// Random, in [0, 1), spreads the agents of a fleet over time; nil for a
	// random one.
	Random func() float64
}

// Event is one thing that happened to a report.
type Event struct {
	Kind  EventKind
	Ack   Ack           // of Sent
	Err   error         // of Delayed, Dropped and Lost
	Retry time.Duration // of Delayed: how long until the next try
	Tries int           // tries since the last one that was answered
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	Sent    EventKind = "sent"    // the collector has it
	Delayed EventKind = "delayed" // it is kept and tried again
	Dropped EventKind = "dropped" // the collector will never take it
	Lost    EventKind = "lost"    // the last try before stopping failed
)

const (
	firstWait = time.Second      // after the first failure; doubled with each
	stopGrace = 4 * time.Second  // for the last gathering and its delivery
	maxWait   = 10 * time.Minute // even if a collector asks for more
	jitter    = 0.1              // of the interval, earlier or later
)

// Run reports until ctx is done, and then once more within a few seconds.
func (r *Reporter) Run(ctx context.Context) {
	var (
		kept  *Report   // gathered and not acknowledged
		tries int       // in a row without an answer; a newer report does not start them again
		retry time.Time // when kept may be tried
	)
	gatherAt := r.Now()
	for ctx.Err() == nil {
		if now := r.Now(); !now.Before(gatherAt) {
			gatherAt = now.Add(r.spread())
			if fresh := r.Gather(ctx); ctx.Err() == nil {
				if kept == nil {
					retry = now
				}
				kept = &fresh
			}
		}
		if kept != nil && ctx.Err() == nil && !r.Now().Before(retry) {
			tries++
			ack, err := r.Send(ctx, *kept)
			switch {
			case err == nil:
				r.tell(Event{Kind: Sent, Ack: ack, Tries: tries})
				kept, tries = nil, 0
			case ctx.Err() != nil: // stopped while sending: tried once more below
			case isFinal(err):
				r.tell(Event{Kind: Dropped, Err: err, Tries: tries})
				kept, tries = nil, 0
			default:
				wait := r.wait(tries, err)
				retry = r.Now().Add(wait)
				r.tell(Event{Kind: Delayed, Err: err, Retry: wait, Tries: tries})
			}
		}
		next := gatherAt
		if kept != nil && retry.Before(next) {
			next = retry
		}
		sleep(ctx, next.Sub(r.Now()))
	}
	r.last(ctx, kept, tries)
}

// last makes the one try that is left after stopping: a report of now, or the
// one that is kept when there is no time for another.
func (r *Reporter) last(stopped context.Context, kept *Report, tries int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(stopped), stopGrace)
	defer cancel()
	half, done := context.WithTimeout(ctx, stopGrace/2)
	if fresh := r.Gather(half); half.Err() == nil {
		kept = &fresh
	}
	done()
	if kept == nil {
		return
	}
	tries++
	if ack, err := r.Send(ctx, *kept); err != nil {
		r.tell(Event{Kind: Lost, Err: err, Tries: tries})
	} else {
		r.tell(Event{Kind: Sent, Ack: ack, Tries: tries})
	}
}

// spread is one interval, a little shorter or longer at random.
func (r *Reporter) spread() time.Duration {
	return time.Duration(float64(r.interval()) * (1 - jitter + 2*jitter*r.random()))
}

func (r *Reporter) interval() time.Duration {
	if r.Interval <= 0 {
		return DefaultInterval
	}
	return r.Interval
}

// wait is the time before another try: doubled with each, never more than an
// interval, half of it random, and never less than the collector asks for.
func (r *Reporter) wait(tries int, err error) time.Duration {
	wait := min(firstWait<<min(tries-1, 20), r.interval())
	wait = wait/2 + time.Duration(float64(wait/2)*r.random())
	var refused *SendError
	if errors.As(err, &refused) {
		wait = max(wait, min(refused.After, maxWait))
	}
	return wait
}

func (r *Reporter) random() float64 {
	if r.Random != nil {
		return r.Random()
	}
	return rand.Float64()
}

func (r *Reporter) tell(e Event) {
	if r.Event != nil {
		r.Event(e)
	}
}

func isFinal(err error) bool {
	var refused *SendError
	return errors.As(err, &refused) && refused.Final()
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
