package verify

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// withFact is facts with one more, as its source would have read it.
func withFact[T any](facts node.Facts, source node.Source[T], value T, gaps ...node.Gap) node.Facts {
	out := maps.Clone(facts)
	if out == nil {
		out = node.Facts{}
	}
	out[source.Name] = node.Fact{Value: value, Gaps: gaps}
	return out
}

// lacking is facts with one that could not be read.
func lacking[T any](facts node.Facts, source node.Source[T], code node.Code, reason string) node.Facts {
	out := maps.Clone(facts)
	if out == nil {
		out = node.Facts{}
	}
	out[source.Name] = node.Fact{Missing: &node.Missing{Code: code, Reason: reason}}
	return out
}

var (
	deniedGap    = node.Gap{What: "executables of host processes", Code: node.Denied, Reason: "reading /proc/812/exe: permission denied", Count: 12, Of: 300}
	malformedGap = node.Gap{What: "the boot configuration", Code: node.Malformed, Reason: `line 3 "kernel" has no value`}
)

// judgedRow is one node and what a check must say of it.
type judgedRow struct {
	name    string
	profile profiles.Profile
	facts   node.Facts
	want    string   // verdict and code: "fail off"
	items   []string // nil where they are not looked at
}

func testJudge(t *testing.T, c Check, rows []judgedRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := Run([]Check{c}, row.facts, Given{Profile: &row.profile, At: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)})[0]
			if got := f.Verdict.String() + " " + f.Code; got != row.want {
				t.Errorf("got %s (%s), want %s", got, f.Reason, row.want)
			}
			if row.items != nil {
				if diff := cmp.Diff(row.items, f.Items); diff != "" {
					t.Errorf("items (-want +got):\n%s", diff)
				}
			}
			for _, item := range f.Items {
				if !strings.Contains(f.Reason, item) && f.Verdict == Fail {
					t.Errorf("the reason %q does not name %q", f.Reason, item)
				}
			}
		})
	}
	for _, verdict := range []string{"pass ", "fail ", "unknown fact-", "unknown gap-"} {
		if !slices.ContainsFunc(rows, func(r judgedRow) bool { return strings.HasPrefix(r.want, verdict) }) && c.ID != kernelPatched.ID {
			if c.ID == kernelBranchKnown.ID && verdict == "fail " {
				continue // it has nothing to fail
			}
			t.Errorf("%s has no row that ends in %q", c.ID, verdict)
		}
	}
}

// Sources as a judge would declare them; the judges below only echo.
var (
	srcA = node.Identity
	srcB = node.PassingMounts
	srcC = node.Kernel
	srcD = node.Sysctls
)

func judgesOf(f func() Finding) map[string]Judge {
	return map[string]Judge{
		"On":  On(srcA, func(node.Identification, Given) Finding { return f() }),
		"On2": On2(srcA, srcB, func(node.Identification, node.Passing, Given) Finding { return f() }),
		"On3": On3(srcA, srcB, srcC, func(node.Identification, node.Passing, node.KernelState, Given) Finding { return f() }),
		"On4": On4(srcA, srcB, srcC, srcD, func(node.Identification, node.Passing, node.KernelState, node.SysctlValues, Given) Finding {
			return f()
		}),
	}
}

func complete() node.Facts {
	f := withFact(nil, srcA, node.Identification{Name: "node-7"})
	f = withFact(f, srcB, node.Passing{Mounts: 3})
	f = withFact(f, srcC, node.KernelState{Release: "6.6.95-flatcar"})
	return withFact(f, srcD, node.SysctlValues{})
}

func TestJudgesDeclareWhatTheyRead(t *testing.T) {
	all := []string{srcA.Name, srcB.Name, srcC.Name, srcD.Name}
	for n, name := range []string{"On", "On2", "On3", "On4"} {
		j := judgesOf(func() Finding { return pass("yes", "yes") })[name]
		if diff := cmp.Diff(all[:n+1], j.Reads()); diff != "" {
			t.Errorf("%s reads (-want +got):\n%s", name, diff)
		}
		// What it returns belongs to the caller.
		j.Reads()[0] = "changed"
		if j.Reads()[0] != all[0] {
			t.Errorf("%s: Reads gives its own list away", name)
		}
	}
}

func TestJudgeSeesItsFactsInOrder(t *testing.T) {
	j := On4(srcA, srcB, srcC, srcD, func(a node.Identification, b node.Passing, c node.KernelState, d node.SysctlValues, g Given) Finding {
		if a.Name != "node-7" || b.Mounts != 3 || c.Release != "6.6.95-flatcar" || d.Values != nil || g.At.Year() != 2026 {
			t.Errorf("got %v %v %v %v %v", a, b, c, d, g.At)
		}
		return pass("yes", "yes")
	})
	j.decide(complete(), Given{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
}

func TestMissingFactIsUnknownAndTheJudgeIsNotAsked(t *testing.T) {
	for name, j := range judgesOf(func() Finding { t.Error("the judge was asked"); return pass("yes", "yes") }) {
		for _, missing := range j.Reads() {
			facts := complete()
			delete(facts, missing)
			if f := j.decide(facts, Given{}); f.Verdict != Unknown || f.Code != "fact-not-recorded" {
				t.Errorf("%s without %s: got %v %s, want unknown fact-not-recorded", name, missing, f.Verdict, f.Code)
			}
			facts[missing] = node.Fact{Missing: &node.Missing{Code: node.Blocked, Reason: "blocked since 2026-08-01"}}
			if f := j.decide(facts, Given{}); f.Verdict != Unknown || f.Code != "fact-blocked" || f.Reason != "blocked since 2026-08-01" {
				t.Errorf("%s with %s blocked: got %v %s %q", name, missing, f.Verdict, f.Code, f.Reason)
			}
			facts[missing] = node.Fact{Value: 42}
			if f := j.decide(facts, Given{}); f.Verdict != Unknown || f.Code != "fact-malformed" {
				t.Errorf("%s with %s of another type: got %v %s, want unknown fact-malformed", name, missing, f.Verdict, f.Code)
			}
		}
	}
}

func TestMoreRightsAreNotPromisedWhereAnotherFactIsBroken(t *testing.T) {
	facts := lacking(complete(), srcA, node.Denied, "permission denied")
	facts = lacking(facts, srcB, node.Malformed, "line 3 is cut")
	f := judgesOf(func() Finding { return pass("yes", "yes") })["On2"].decide(facts, Given{})
	if f.Code != "fact-malformed" || f.Privileged() {
		t.Errorf("got %s, privileged %t; want fact-malformed, false", f.Code, f.Privileged())
	}
	delete(facts, srcB.Name)
	facts = withFact(facts, srcB, node.Passing{})
	f = judgesOf(func() Finding { return pass("yes", "yes") })["On2"].decide(facts, Given{})
	if f.Code != "fact-denied" || !f.Privileged() {
		t.Errorf("got %s, privileged %t; want fact-denied, true", f.Code, f.Privileged())
	}
}

func TestGaps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given Finding
		gaps  []node.Gap
		want  string
	}{
		{"a pass without gaps stays", pass("yes", "yes"), nil, "pass yes"},
		{"a pass over a gap is unknown", pass("yes", "yes"), []node.Gap{deniedGap}, "unknown gap-denied"},
		{"not applicable over a gap is unknown", notApplicable("no", "no"), []node.Gap{deniedGap}, "unknown gap-denied"},
		{"a fail stays over gaps", fail("bad", "bad"), []node.Gap{deniedGap, malformedGap}, "fail bad"},
		{"an unknown keeps its own reason", unknown("no-baseline", "no"), []node.Gap{deniedGap}, "unknown no-baseline"},
		{"what was not read is explained by the gap", unsaid("what it runs"), []node.Gap{malformedGap}, "unknown gap-malformed"},
		{"what was not read stays without a gap", unsaid("what it runs"), nil, "unknown unread"},
		{"sudo is not promised where it would not help", pass("yes", "yes"), []node.Gap{deniedGap, malformedGap}, "unknown gap-malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, j := range judgesOf(func() Finding { return tt.given }) {
				reads := j.Reads()
				for i := range reads { // the gaps of whichever fact
					facts := complete()
					fact := facts[reads[i]]
					fact.Gaps = tt.gaps
					facts[reads[i]] = fact
					f := j.decide(facts, Given{})
					if got := f.Verdict.String() + " " + f.Code; got != tt.want {
						t.Errorf("%s, gaps in %s: got %s, want %s", name, reads[i], got, tt.want)
					}
				}
			}
		})
	}
	f := withGaps(pass("yes", "yes"), []node.Gap{deniedGap, malformedGap})
	want := []string{
		"12 of 300 executables of host processes could not be read: reading /proc/812/exe: permission denied",
		`the boot configuration could not be read: line 3 "kernel" has no value`,
	}
	if diff := cmp.Diff(want, f.Items); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if got, want := f.Reason, want[1]+"; and 1 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func goodCheck() Check {
	return Check{
		ID: "node-named", Rev: 1, Title: "the node has a name", Topic: Processes, Severity: Low,
		Refs: []Ref{{sp80053, "CM-8"}}, Help: Help{Why: "why", How: "how"},
		Judge: On(node.Identity, func(node.Identification, Given) Finding { return pass("yes", "yes") }),
	}
}

func TestValidateRefuses(t *testing.T) {
	if err := Validate([]Check{goodCheck()}); err != nil {
		t.Fatalf("the good check: %v", err)
	}
	unlisted := node.Source[int]{Name: "moon-phase"}
	for _, tt := range []struct {
		name  string
		spoil func(*Check)
		want  string
	}{
		{"an id with capitals", func(c *Check) { c.ID = "Node-named" }, "lower-kebab-case"},
		{"an id with a double dash", func(c *Check) { c.ID = "node--named" }, "lower-kebab-case"},
		{"an empty id", func(c *Check) { c.ID = "" }, "lower-kebab-case"},
		{"revision 0", func(c *Check) { c.Rev = 0 }, "no revision"},
		{"no title", func(c *Check) { c.Title = "" }, "no title"},
		{"no why", func(c *Check) { c.Help.Why = "" }, "no why"},
		{"no how", func(c *Check) { c.Help.How = "" }, "no how"},
		{"a topic that is not shown", func(c *Check) { c.Topic = "weather" }, `no topic "weather"`},
		{"no topic", func(c *Check) { c.Topic = "" }, `no topic ""`},
		{"an unknown severity", func(c *Check) { c.Severity = "urgent" }, `no severity "urgent"`},
		{"no severity", func(c *Check) { c.Severity = "" }, `no severity ""`},
		{"no reference", func(c *Check) { c.Refs = nil }, "cites nothing"},
		{"a reference without a place", func(c *Check) { c.Refs = []Ref{{sp80053, ""}} }, "is empty"},
		{"a reference without a standard", func(c *Check) { c.Refs = []Ref{{"", "CM-8"}} }, "is empty"},
		{"a reference twice", func(c *Check) { c.Refs = []Ref{{sp80053, "CM-8"}, {sp80053, "CM-8"}} }, "stands twice"},
		{"no judge", func(c *Check) { c.Judge = Judge{} }, "no judge"},
		{"a judge that reads nothing", func(c *Check) { c.Judge.reads = nil }, "no judge"},
		{"a fact that no source gathers", func(c *Check) {
			c.Judge = On(unlisted, func(int, Given) Finding { return pass("yes", "yes") })
		}, `"moon-phase"`},
		{"a fact twice", func(c *Check) {
			c.Judge = On2(node.Identity, node.Identity, func(node.Identification, node.Identification, Given) Finding { return pass("yes", "yes") })
		}, "reads twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodCheck()
			tt.spoil(&c)
			if err := Validate([]Check{c}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if err := Validate([]Check{goodCheck(), goodCheck()}); err == nil || !strings.Contains(err.Error(), "node-named stands twice") {
		t.Errorf("one id twice: got %v", err)
	}
}
