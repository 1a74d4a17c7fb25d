package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// demoReport is what a node of the demo reports, and how that is judged.
type demoReport struct {
	demo.Node
	before, now wire.Report // before only where the node changed
	judged      verify.Report
}

func upDemo(parent context.Context, out, errOut io.Writer, flags upFlags, keep bool) error {
	if !keep {
		dir, err := os.MkdirTemp("", "seaworthy-demo-")
		if err != nil {
			return fmt.Errorf("making a folder for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
		flags.db = filepath.Join(dir, "demo.db")
	}
	ctx, stop := untilStopped(parent, errOut)
	defer stop()
	fmt.Fprintln(out, "loading nodes that were recorded, or composed from published samples; none of them is a machine of yours")
	overlay, err := flags.site.load()
	if err != nil {
		return err
	}
	reports, err := demoReports(ctx, flags.interval, overlay)
	if err != nil {
		return fmt.Errorf("loading the nodes of the demo: %w", err)
	}
	load := func(st *store.Store) error { return putDemo(ctx, st, reports) }
	s, err := serve(ctx, flags.serveFlags, load, quiet(errOut))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s loaded; open, in this order:\n", plural(len(reports), "node", "nodes"))
	for i, l := range demoLinks(s.url, reports) {
		fmt.Fprintf(out, "  %d. %s\n     %s\n", i+1, l.url, l.text)
	}
	fmt.Fprintln(out, "Ctrl-C ends it")
	return s.until(ctx, func(ctx context.Context) {
		tick := time.NewTicker(flags.interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, r := range reports {
				if r.Silent > 0 {
					continue
				}
				if err := r.put(ctx, s.store, r.now, time.Now()); err != nil && ctx.Err() == nil {
					fmt.Fprintf(errOut, "seaworthy: %v\n", err)
				}
			}
		}
	})
}

// demoReports gathers what each node of the demo reports.
func demoReports(ctx context.Context, interval time.Duration, overlay *profiles.Overlay) ([]demoReport, error) {
	nodes, err := demo.Fleet()
	if err != nil {
		return nil, err
	}
	all, _, err := profiles.Load()
	if err != nil {
		return nil, err
	}
	checks := verify.Checks()
	var out []demoReport
	for _, n := range nodes {
		report := func(tape *capture.Tape) wire.Report {
			h := tape.Header
			return wire.Report{
				Version: wire.Version, Cluster: n.Cluster, Node: n.Name, Agent: "demo", Interval: interval,
				Origin: wire.Origin{Kind: string(h.Kind), Note: strings.Join(append([]string{h.Note}, h.Sources...), "\n")},
				Facts:  node.Gather(ctx, tape.Host(), h.At),
			}
		}
		r := demoReport{Node: n, now: report(n.Tape)}
		if n.Before != nil {
			r.before = report(n.Before)
		}
		profile, _ := verify.Detect(r.now.Facts, all)
		profile = profile.With(overlay, profiles.Where{Cluster: n.Cluster})
		r.judged = verify.NewReport(wire.BuildVersion(), checks, r.now.Facts, profile, n.Tape.Header.At)
		out = append(out, r)
	}
	return out, ctx.Err()
}

// putDemo stores the reports as if they had come in when their nodes were last
// seen, and before each what its node was until it changed.
func putDemo(ctx context.Context, st *store.Store, reports []demoReport) error {
	now := time.Now()
	for _, r := range reports {
		if r.Before != nil {
			if err := r.put(ctx, st, r.before, now.Add(-10*r.Changed)); err != nil {
				return err
			}
			if err := r.put(ctx, st, r.now, now.Add(-r.Changed)); err != nil {
				return err
			}
		}
		if err := r.put(ctx, st, r.now, now.Add(-r.Silent)); err != nil {
			return err
		}
	}
	return nil
}

// put stores a report of the node as if it was made and came in at one time.
func (r demoReport) put(ctx context.Context, st *store.Store, report wire.Report, at time.Time) error {
	report.At = at.UTC()
	if _, err := st.Put(ctx, report, at); err != nil {
		return fmt.Errorf("storing what %s/%s reports: %w", r.Cluster, r.Name, err)
	}
	return nil
}

// link is an address to open and what is to be seen there.
type link struct{ url, text string }

// demoLinks are the pages to open, in order: the fleet, the node that changed
// (else the one with most failures), and the one that has been silent for longest.
func demoLinks(base string, reports []demoReport) []link {
	links := []link{{base, "the fleet: how many nodes are sound, and what to do first"}}
	var look, silent *demoReport
	for i := range reports {
		r := &reports[i]
		switch {
		case r.Silent > 0 || look != nil && look.Before != nil:
		case look == nil, r.Before != nil, r.judged.Summary.Fail > look.judged.Summary.Fail:
			look = r
		}
		if r.Silent > 0 && (silent == nil || r.Silent > silent.Silent) {
			silent = r
		}
	}
	if look != nil {
		text := look.Name + ", " + look.judged.Profile.Name
		if look.Before != nil {
			text += ", changed " + inWords(look.Changed) + " ago"
		}
		text += fmt.Sprintf(": level %d, %s", look.judged.Level.Number, plural(look.judged.Summary.Fail, "check fails", "checks fail"))
		links = append(links, link{nodeURL(base, look), text})
	}
	if silent != nil {
		links = append(links, link{nodeURL(base, silent), silent.Name + ", silent for " + inWords(silent.Silent)})
	}
	return links
}

// inWords is a duration in its largest unit.
func inWords(d time.Duration) string {
	if d >= time.Hour {
		return plural(int(d.Hours()), "hour", "hours")
	}
	return plural(int(d.Minutes()), "minute", "minutes")
}

func nodeURL(base string, r *demoReport) string {
	return base + "nodes/" + url.PathEscape(r.Cluster) + "/" + url.PathEscape(r.Name)
}
