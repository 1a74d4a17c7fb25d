package test

import (
	"testing"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/verify"
)

// TestDamages does to each node what is wrong with it, and demands that its
// check passes before and fails after.
func TestDamages(t *testing.T) {
	for _, d := range demo.Damages() {
		t.Run(d.Check+"/"+d.What, func(t *testing.T) {
			tape := needNode(t, d.Node)
			if d.Sound != nil {
				d.Sound(tape)
			}
			if f := findingOf(t, tape, d.Check); f.Verdict != verify.Pass {
				t.Errorf("before: got %s %s, want pass: %s", f.Verdict, f.Code, f.Reason)
			}
			d.Do(tape)
			if f := findingOf(t, tape, d.Check); f.Verdict != verify.Fail {
				t.Errorf("after: got %s %s, want fail: %s", f.Verdict, f.Code, f.Reason)
			}
		})
	}
}

func findingOf(t *testing.T, tape *capture.Tape, check string) verify.Finding {
	t.Helper()
	for _, f := range report(t, tape).Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("there is no check %q", check)
	return verify.Finding{}
}
