package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// agent reads one node and says in its log what it sees. What counts is the
// collector's own judgement of the facts.
type agent struct {
	options
	host     *node.Host
	checks   []verify.Check
	profiles []*profiles.Profile
	log      *slog.Logger
	now      func() time.Time

	last     *verify.Report // nil before the first
	measured time.Time      // when the footprint was last logged
}

// gather reads the node, tells the log what changed, and returns what is sent.
func (a *agent) gather(ctx context.Context) wire.Report {
	at := a.now().UTC()
	facts := node.Gather(ctx, a.host, at)
	report := wire.Report{
		Version: wire.Version, Cluster: a.cluster, Node: a.node, Agent: wire.BuildVersion(),
		Interval: a.interval, At: at, Facts: facts,
	}
	if report.Node == "" {
		if id, _, missing := node.Identity.Of(facts); missing == nil {
			report.Node = id.Name
		}
	}
	if ctx.Err() != nil { // cut short: what is missing says nothing
		return report
	}
	profile, _ := verify.Detect(facts, a.profiles)
	a.tell(verify.NewReport(wire.BuildVersion(), a.checks, facts, profile, at))
	a.footprint(at)
	return report
}

// write is a collector that writes each report to w as one line of JSON.
func (a *agent) write(w io.Writer) func(context.Context, wire.Report) (wire.Ack, error) {
	return func(_ context.Context, r wire.Report) (wire.Ack, error) {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return wire.Ack{}, fmt.Errorf("writing the report: %w", err)
		}
		return wire.Ack{Received: a.now().UTC()}, nil
	}
}

// tell logs a report: all that is wrong the first time, later what changed.
func (a *agent) tell(r verify.Report) {
	var before []verify.Finding
	if a.last == nil {
		a.log.Info("first report", "node", r.Node, "profile", r.Profile.Name, "level", r.Level.Number, "name", r.Level.Name,
			"pass", r.Summary.Pass, "fail", r.Summary.Fail, "unknown", r.Summary.Unknown, "not-applicable", r.Summary.NotApplicable)
	} else {
		before = a.last.Findings
		if was := a.last.Level.Number; was != r.Level.Number {
			a.log.Log(context.Background(), severity(r.Level.Number < was), "the level changed", "from", was, "to", r.Level.Number, "reasons", r.Level.Reasons)
		}
		if was := a.last.Profile.Name; was != r.Profile.Name {
			a.log.Warn("the profile changed", "from", was, "to", r.Profile.Name)
		}
	}
	for _, c := range verify.Changes(before, r.Findings) {
		bad := c.After.Verdict == verify.Fail
		if a.last == nil && !bad {
			continue
		}
		a.log.Log(context.Background(), severity(bad), c.String(), "check", c.After.Check, "severity", c.After.Severity, "code", c.After.Code, "items", c.After.Items)
	}
	a.last = &r
}

func severity(bad bool) slog.Level {
	if bad {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// event logs what became of a report, and gives the memory that it took back to
// the node: the agent sleeps until the next.
func (a *agent) event(e wire.Event) {
	defer debug.FreeOSMemory()
	switch e.Kind {
	case wire.Sent:
		level := slog.LevelDebug
		if e.Tries > 1 { // there was trouble, and it is over
			level = slog.LevelInfo
		}
		a.log.Log(context.Background(), level, "the collector has the report", "received", e.Ack.Received, "tries", e.Tries)
	case wire.Delayed:
		a.log.Warn("the report is kept and tried again", "in", e.Retry.Round(time.Millisecond), "tries", e.Tries, "why", e.Err)
	case wire.Dropped:
		a.log.Error("the collector will not take the report", "why", e.Err)
	case wire.Lost:
		a.log.Error("the last report did not arrive", "why", e.Err)
	}
}
