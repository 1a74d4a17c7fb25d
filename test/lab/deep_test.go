//go:build linux

package lab

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/verify"
)

// TestDeep overwrites a block that nobody reads: the kernel's status says nothing of
// it, and reading the image again finds it, with its place.
func TestDeep(t *testing.T) {
	s, err := ShapeNamed("verity-create")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, s, Plan{Steps: []Step{{"deep", "sound"}, {"attack", blockUnread.Name}, {"deep", "damaged"}}})
	sound, damaged := deepReport(t, r, "sound"), deepReport(t, r, "damaged")
	t.Logf("reading the image again took %.1f s in the guest", r.Outcomes[0].Seconds)

	for report, want := range map[*verify.Report]map[string]string{
		&sound:   {"image-verified": "pass verified", "image-content-intact": "pass intact"},
		&damaged: {"image-verified": "pass verified", "image-content-intact": "fail bad-block"},
	} {
		for check, outcome := range want {
			i := slices.IndexFunc(report.Findings, func(f verify.Finding) bool { return f.Check == check })
			if got := outcomeOf(report.Findings[i]); got != outcome {
				t.Errorf("%s: %s, want %s: %s", check, got, outcome, report.Findings[i].Reason)
			}
		}
	}
	at, err := strconv.ParseInt(string(r.Files["overwritten"]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	fact, _, missing := node.DeepImage.Of(damaged.Facts)
	if missing != nil || len(fact.Devices) != 1 || fact.Devices[0].Bad == nil {
		t.Fatalf("the fact %+v %v names no bad block", fact, missing)
	}
	if bad := *fact.Devices[0].Bad; bad.Of != node.BadData || bad.Block != at/4096 || bad.Offset != at {
		t.Errorf("the bad block is %+v, and the one at byte %d was overwritten", bad, at)
	}
	if !t.Failed() {
		proven.add(otherRows, "a bad block that nobody has read is found", "a data block is overwritten underneath device-mapper; `seaworthy scan --deep` before and after",
			"before: every block and the root hash match. After: image-verified still passes with status V, image-content-intact fails and names the block and its offset", repeat("TestDeep$"))
	}
}

func deepReport(t *testing.T, r *Result, name string) verify.Report {
	t.Helper()
	var report verify.Report
	if err := json.Unmarshal(r.Files["deep/"+name+".json"], &report); err != nil {
		t.Fatalf("the report %q of scan --deep: %v\n%s", name, err, r.Files["deep/"+name+".log"])
	}
	return report
}
