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

	wantFindings(t, &sound, map[string]string{"image-verified": "pass verified", "image-content-intact": "pass intact"})
	wantFindings(t, &damaged, map[string]string{"image-verified": "pass verified", "image-content-intact": "fail bad-block"})
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

// TestDeepComposefs replaces an object below composefs with verity=require. The
// kernel refuses to open the file, and reading everything again finds that what lies
// there has none of the digests that the image names.
func TestDeepComposefs(t *testing.T) {
	if !*full {
		t.Skip("left out of the short form: make lab runs it")
	}
	r := start(t, composefsVerity, Plan{Steps: []Step{{"deep", "sound"}, {"attack", objectRefused.Name}, {"deep", "damaged"}}})
	sound, damaged := deepReport(t, r, "sound"), deepReport(t, r, "damaged")
	t.Logf("reading the image again took %.1f s in the guest", r.Outcomes[0].Seconds)
	wantFindings(t, &sound, map[string]string{"image-verified": "pass verified", "image-content-intact": "pass intact"})
	wantFindings(t, &damaged, map[string]string{"image-verified": "pass verified", "image-content-intact": "fail object-replaced"})
	before, after := deepComposefs(t, sound), deepComposefs(t, damaged)
	t.Logf("before: %+v\nafter: %+v", before, after)
	if before.names.Objects == 0 || before.names.Digests == 0 || before.names.Found != before.names.Objects || before.objects.Read < before.names.Objects {
		t.Errorf("sound: the image names %+v, objects %+v, want that each name is found", before.names, before.objects)
	}
	// The attack keeps the object beside its place, where it still has its digest.
	if after.objects.Read != before.objects.Read || after.objects.Without != before.objects.Without+1 {
		t.Errorf("damaged: objects %+v, want as many with fs-verity as in %+v, and one more without", after.objects, before.objects)
	}
	if after.names.Objects != before.names.Objects || after.names.Found != before.names.Found-1 || after.names.MissingObject == "" || after.names.MissingDigest == "" {
		t.Errorf("damaged: the image names %+v, want that one object is missing", after.names)
	}
	if !t.Failed() {
		proven.add(otherRows, "an object below composefs that was replaced and that nobody has opened is found", "the object of a file is replaced on a second mount of the disk; `seaworthy scan --deep` before and after",
			"before: the image and every object have the fs-verity digest that the kernel has of them, and each object that the image names has a digest that it names. After: image-verified still passes, image-content-intact fails and names the object", repeat("TestDeepComposefs$"))
	}
}

// composefsRead is what came of reading a composefs again.
type composefsRead struct {
	objects node.DeepFiles
	image   string // its digest
	names   node.DeepNames
}

func deepComposefs(t *testing.T, report verify.Report) composefsRead {
	t.Helper()
	fact, gaps, missing := node.DeepImage.Of(report.Facts)
	if missing != nil || len(gaps) > 0 || len(fact.Files) != 2 || fact.Files[1].Names == nil {
		t.Fatalf("the fact %+v, gaps %v, %v is not of one folder of objects and an image", fact, gaps, missing)
	}
	return composefsRead{fact.Files[0], fact.Files[1].Digest, *fact.Files[1].Names}
}

func wantFindings(t *testing.T, report *verify.Report, want map[string]string) {
	t.Helper()
	for check, outcome := range want {
		i := slices.IndexFunc(report.Findings, func(f verify.Finding) bool { return f.Check == check })
		if got := outcomeOf(report.Findings[i]); got != outcome {
			t.Errorf("%s: %s, want %s: %s", check, got, outcome, report.Findings[i].Reason)
		}
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
