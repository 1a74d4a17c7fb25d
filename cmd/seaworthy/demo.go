package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// demoNode is a node that the demo shows.
type demoNode struct {
	Cluster, Name string
	Kind          capture.Kind
	Tape          *capture.Tape
	SeenAgo       time.Duration // 0 for a node that reports
}

// demoNodes lists the nodes of the demo.
func demoNodes() ([]demoNode, error) { return nil, nil }

// demoReport is what a node of the demo reports, and how that is judged.
type demoReport struct {
	demoNode
	sent   wire.Report
	judged verify.Report
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
	fmt.Fprintln(out, "loading recorded nodes; none of them is a machine of yours")
	reports, err := demoReports(ctx, flags.interval)
	if err != nil {
		return fmt.Errorf("loading the recorded nodes: %w", err)
	}
	load := func(st *store.Store) error { return put(ctx, st, reports) }
	s, err := serve(ctx, flags.serveFlags, load, quiet(errOut))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s loaded; open, in this order:\n", plural(len(reports), "node", "nodes"))
	for i, l := range demoLinks(s.url, reports) {
		fmt.Fprintf(out, "  %d. %s\n     %s\n", i+1, l.url, l.text)
	}
	fmt.Fprintln(out, "Ctrl-C ends it")
	reporting := slices.DeleteFunc(slices.Clone(reports), func(r demoReport) bool { return r.SeenAgo > 0 })
	return s.until(ctx, func(ctx context.Context) {
		tick := time.NewTicker(flags.interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := put(ctx, s.store, reporting)
			if err != nil && ctx.Err() == nil {
				fmt.Fprintf(errOut, "seaworthy: %v\n", err)
			}
		}
	})
}

// demoReports gathers from the recorded nodes what each of them reports.
func demoReports(ctx context.Context, interval time.Duration) ([]demoReport, error) {
	nodes, err := demoNodes()
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
		facts := node.Gather(ctx, n.Tape.Host(), n.Tape.Header.At)
		profile, _ := verify.Detect(facts, all)
		out = append(out, demoReport{
			demoNode: n,
			sent: wire.Report{
				Version: wire.Version, Cluster: n.Cluster, Node: n.Name, Interval: interval, Facts: facts,
				Agent: fmt.Sprintf("demo (%s)", n.Kind),
			},
			judged: verify.NewReport(wire.BuildVersion(), checks, facts, profile, n.Tape.Header.At),
		})
	}
	return out, ctx.Err()
}

// put stores reports as if they came in now or when their nodes were last seen.
func put(ctx context.Context, st *store.Store, reports []demoReport) error {
	for _, r := range reports {
		seen := time.Now().Add(-r.SeenAgo)
		r.sent.At = seen
		if _, err := st.Put(ctx, r.sent, seen); err != nil {
			return fmt.Errorf("storing what %s/%s reports: %w", r.Cluster, r.Name, err)
		}
	}
	return nil
}

// link is an address to open and what is to be seen there.
type link struct{ url, text string }

// demoLinks are the pages to open, in order: the fleet, the node with most
// failures, and the one that has been silent for longest.
func demoLinks(base string, reports []demoReport) []link {
	links := []link{{base, "the fleet: how many nodes are sound, and what to do first"}}
	var worst, silent *demoReport
	for i := range reports {
		r := &reports[i]
		if r.SeenAgo == 0 && (worst == nil || r.judged.Summary.Fail > worst.judged.Summary.Fail) {
			worst = r
		}
		if r.SeenAgo > 0 && (silent == nil || r.SeenAgo > silent.SeenAgo) {
			silent = r
		}
	}
	if worst != nil {
		links = append(links, link{nodeURL(base, worst), fmt.Sprintf("%s, %s: level %d, %s", worst.Name, worst.judged.Profile.Name, worst.judged.Level.Number, plural(worst.judged.Summary.Fail, "check fails", "checks fail"))})
	}
	if silent != nil {
		links = append(links, link{nodeURL(base, silent), fmt.Sprintf("%s, which has been silent for %s", silent.Name, silent.SeenAgo)})
	}
	return links
}

func nodeURL(base string, r *demoReport) string {
	return base + "nodes/" + url.PathEscape(r.Cluster) + "/" + url.PathEscape(r.Name)
}
