package test

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// TestNoOverlayRaisesALevelOrSettlesWhatIsUnknown declares for every recorded
// node all that it shows beyond its profile, and a limit for every kernel
// parameter. Each check is held to it with the facts as they were recorded, and
// with each fact that it reads missing, with a gap, or holding nothing.
func TestNoOverlayRaisesALevelOrSettlesWhatIsUnknown(t *testing.T) {
	names, err := demo.Names()
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	checks := verify.Checks()
	settled := map[string]bool{}
	for _, name := range names {
		tape := needNode(t, name)
		recorded := node.Gather(t.Context(), tape.Host(), tape.Header.At)
		vendor, _ := verify.Detect(recorded, all)
		e := profiles.Expectation{Owner: "team@example.org", Reason: "all of it", Review: tape.Header.At.AddDate(1, 0, 0), Places: verify.Beyond(recorded, vendor), Sysctls: map[string]string{}}
		for parameter, want := range vendor.Sysctls {
			if want != "any" { // what the vendor leaves open a site may well ask for
				e.Sysctls[parameter] = ">= -1"
			}
		}
		site := vendor.With(&profiles.Overlay{Name: "example", Digest: "abc", Expectations: []profiles.Expectation{e}}, profiles.Where{})
		hold := func(state string, facts node.Facts, checks []verify.Check) {
			judge := func(p *profiles.Profile) verify.Report {
				return verify.NewReport("test", checks, facts, p, tape.Header.At.Add(time.Hour))
			}
			before, after := judge(vendor), judge(site)
			if before.Level.Number < after.Level.Number || before.Level.Claimed < after.Level.Claimed {
				t.Errorf("%s, %s: the level was %d (claimed %d) and is %d (%d)", name, state, before.Level.Number, before.Level.Claimed, after.Level.Number, after.Level.Claimed)
			}
			for _, c := range verify.Changes(before.Findings, after.Findings) {
				switch {
				case c.After.Check == "site-expectations-reviewed":
				case c.Before != verify.Fail:
					t.Errorf("%s, %s: %s was %s and is %s %s: %s", name, state, c.After.Check, c.Before, c.After.Verdict, c.After.Code, c.After.Reason)
				case c.After.Verdict == verify.Pass:
					settled[c.After.Check] = true
				}
			}
		}
		hold("as recorded", recorded, checks)
		for source, fact := range recorded {
			reading := slices.DeleteFunc(slices.Clone(checks), func(c verify.Check) bool { return !slices.Contains(c.Judge.Reads(), source) })
			for state, f := range withheld(fact) {
				facts := maps.Clone(recorded)
				facts[source] = f
				hold(source+" "+state, facts, reading)
			}
		}
	}
	t.Logf("settled: %v", slices.Sorted(maps.Keys(settled)))
	if len(settled) == 0 {
		t.Error("no overlay settled anything: this test shows nothing")
	}
}

// withheld are states of a fact of which something is not known.
func withheld(f node.Fact) map[string]node.Fact {
	out := map[string]node.Fact{"missing": {Missing: &node.Missing{Code: node.Denied, Reason: "permission denied"}}}
	if f.Missing == nil {
		gaps := f
		gaps.Gaps = append(slices.Clone(f.Gaps), node.Gap{What: "all of it", Code: node.Denied, Reason: "permission denied", Count: 1, Of: 2})
		out["with a gap"] = gaps
		out["holding nothing"] = node.Fact{Value: reflect.Zero(reflect.TypeOf(f.Value)).Interface()}
	}
	return out
}
