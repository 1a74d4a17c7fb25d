package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/verify"
)

func TestDemoLinks(t *testing.T) {
	of := func(cluster, name string, ago time.Duration, fail int) demoReport {
		return demoReport{
			demoNode: demoNode{Cluster: cluster, Name: name, SeenAgo: ago},
			judged:   verify.Report{Profile: verify.ProfileRef{Name: "flatcar"}, Level: verify.Level{Number: 3}, Summary: verify.Summary{Fail: fail}},
		}
	}
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
				{base + "nodes/lab/d%201", "d 1, which has been silent for 3h0m0s"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, demoLinks(base, test.reports), cmp.AllowUnexported(link{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
