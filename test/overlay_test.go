package test

import (
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// TestNoOverlayRaisesALevelOrSettlesWhatIsUnknown declares for every recorded
// node all that it shows beyond its profile, and a limit for every kernel
// parameter.
func TestNoOverlayRaisesALevelOrSettlesWhatIsUnknown(t *testing.T) {
	names, err := demo.Names()
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	settled := 0
	for _, name := range names {
		tape := needNode(t, name)
		facts := node.Gather(t.Context(), tape.Host(), tape.Header.At)
		vendor, _ := verify.Detect(facts, all)
		e := profiles.Expectation{Owner: "team@example.org", Reason: "all of it", Review: tape.Header.At.AddDate(1, 0, 0), Places: verify.Beyond(facts, vendor), Sysctls: map[string]string{}}
		for parameter, want := range vendor.Sysctls {
			if want != "any" { // what the vendor leaves open a site may well ask for
				e.Sysctls[parameter] = ">= -1"
			}
		}
		site := vendor.With(&profiles.Overlay{Name: "example", Digest: "abc", Expectations: []profiles.Expectation{e}}, profiles.Where{})
		judge := func(p *profiles.Profile) verify.Report {
			return verify.NewReport("test", verify.Checks(), facts, p, tape.Header.At.Add(time.Hour))
		}
		before, after := judge(vendor), judge(site)
		if before.Level.Number < after.Level.Number || before.Level.Claimed < after.Level.Claimed {
			t.Errorf("%s: the level was %d (claimed %d) and is %d (%d)", name, before.Level.Number, before.Level.Claimed, after.Level.Number, after.Level.Claimed)
		}
		for _, c := range verify.Changes(before.Findings, after.Findings) {
			switch {
			case c.After.Check == "site-expectations-reviewed":
			case c.Before != verify.Fail:
				t.Errorf("%s: %s was %s and is %s %s", name, c.After.Check, c.Before, c.After.Verdict, c.After.Code)
			case c.After.Verdict == verify.Pass:
				settled++
			}
		}
	}
	if settled == 0 {
		t.Error("no overlay settled anything: this test shows nothing")
	}
}
