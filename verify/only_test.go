package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnly(t *testing.T) {
	all := []Finding{{Check: "a", Verdict: Fail}, {Check: "b", Verdict: Pass}, {Check: "c"}}
	r := Report{Findings: all, Summary: summaryOf(all), Level: Level{Number: 3}}
	got := r.Only("c", "b")
	want := Report{Findings: all[1:], Summary: Summary{Pass: 1, Unknown: 1}, Level: Level{Number: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Findings) != 3 || r.Summary.Fail != 1 {
		t.Errorf("the whole report changed: %+v", r)
	}
}
