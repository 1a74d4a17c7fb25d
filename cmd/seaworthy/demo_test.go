package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/verify"
)

func TestDemoLinks(t *testing.T) {
	of := func(cluster, name string, ago time.Duration, fail int) demoReport {
		return demoReport{
			Node:   demo.Node{Cluster: cluster, Name: name, Silent: ago},
			judged: verify.Report{Profile: verify.ProfileRef{Name: "flatcar"}, Level: verify.Level{Number: 3}, Summary: verify.Summary{Fail: fail}},
		}
	}
	drifted := of("prod", "e", 0, 2)
	drifted.Before, drifted.Changed = &capture.Tape{}, 12*time.Minute
	const base = "http://127.0.0.1:8440/"
	fleet := link{base, "the fleet: how many nodes are sound, and what to do first"}
	for _, test := range []struct {
		name    string
		reports []demoReport
		want    []link
	}{
		{"no node", nil, []link{fleet}},
		{"the worst that reports, then the one silent for longest",
			[]demoReport{of("prod", "a", 0, 1), of("edge", "b", 0, 3), of("prod", "c", time.Hour, 9), of("lab", "d 1", 3*time.Hour, 0)},
			[]link{fleet,
				{base + "nodes/edge/b", "b, flatcar: level 3, 3 checks fail"},
				{base + "nodes/lab/d%201", "d 1, silent for 3 hours"}}},
		{"one that changed comes before the worst", []demoReport{of("edge", "b", 0, 3), drifted, of("edge", "f", 0, 5)},
			[]link{fleet, {base + "nodes/prod/e", "e, flatcar, changed 12 minutes ago: level 3, 2 checks fail"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, demoLinks(base, test.reports), cmp.AllowUnexported(link{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestDemoReports holds the demo to what it says of itself.
func TestDemoReports(t *testing.T) {
	reports, err := demoReports(t.Context(), time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	clusters, profiles := map[string]bool{}, map[string]bool{}
	changed, silent := 0, 0
	for _, r := range reports {
		name := r.Cluster + "/" + r.Name
		clusters[r.Cluster], profiles[r.judged.Profile.Name] = true, true
		sent := r.now
		sent.At = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		b, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Decode(b); err != nil {
			t.Errorf("%s: a collector would refuse it: %v", name, err)
		}
		if r.now.Origin == (wire.Origin{}) {
			t.Errorf("%s: it does not say that it is no live node", name)
		}
		if r.Silent > 0 {
			silent++
		}
		if r.Before != nil {
			changed++
			if cmp.Equal(r.before.Facts, r.now.Facts) || r.judged.Level.Number != 0 {
				t.Errorf("%s: it changed to level %d, with facts that are other ones: %v", name, r.judged.Level.Number, !cmp.Equal(r.before.Facts, r.now.Facts))
			}
		}
		i := slices.IndexFunc(r.judged.Findings, func(f verify.Finding) bool { return f.Check == "kernel-patched" })
		if i < 0 || r.judged.Findings[i].Verdict != verify.Unknown {
			t.Errorf("%s: kernel-patched is not unknown, although this version has no baseline", name)
		}
	}
	want := map[string]bool{"bottlerocket": true, "cos": true, "fedora-coreos": true, "flatcar": true, "microos": true, "talos": true}
	delete(profiles, "generic") // of a recorded node
	if diff := cmp.Diff(want, profiles); diff != "" {
		t.Errorf("systems (-want +got):\n%s", diff)
	}
	if len(clusters) != 3 || changed != 1 || silent != 1 {
		t.Errorf("got %d clusters, %d nodes that changed, %d silent ones, want 3, 1 and 1", len(clusters), changed, silent)
	}
}
