package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/verify"
)

// TestNodes holds the report of every recorded and composed node to a golden
// text. A verdict that changes needs the revision of its check raised, because
// an outcome that changed under one revision cannot be told apart later.
func TestNodes(t *testing.T) {
	names, err := demo.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			tape := needNode(t, name)
			kind, _, _ := strings.Cut(name, "-")
			if string(tape.Header.Kind) != kind {
				t.Errorf("it is %s, and its name says %s", tape.Header.Kind, kind)
			}
			if composed := tape.Header.Kind == capture.Composed; composed != (len(tape.Header.Sources) > 0) {
				t.Errorf("it is %s and cites %d sources", tape.Header.Kind, len(tape.Header.Sources))
			}
			goldenReport(t, filepath.Join("nodes", name+".golden"), tape.Header, report(t, tape))
		})
	}
	files, err := filepath.Glob("testdata/nodes/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(names, strings.TrimSuffix(filepath.Base(f), ".golden")) {
			t.Errorf("%s is of no node", f)
		}
	}
}

// needNode is the tape of one node.
func needNode(t *testing.T, name string) *capture.Tape {
	t.Helper()
	tape, err := demo.Tape(name)
	if err != nil {
		t.Fatal(err)
	}
	return tape
}

// goldenReport holds a report to its golden text. Even with -update it takes no
// verdict that changed under one revision: who knows that the check is not what
// changed (but the capture, a parser or a profile) removes the file first.
func goldenReport(t *testing.T, name string, h capture.Header, r verify.Report) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil && !*update {
		t.Fatal(err)
	}
	unraised := false
	for _, f := range r.Findings {
		id := fmt.Sprintf("%s@%d", f.Check, f.Rev)
		if was := verdictIn(string(want), id); was != "" && was != f.Verdict.String() {
			unraised = true
			t.Errorf("%s: %s was %s and is %s (%s): raise its Rev, since an outcome changed; "+
				"where not the check changed, but the capture, a parser or a profile, remove testdata/%s and run with -update",
				h.Node, id, was, f.Verdict, f.Reason, name)
		}
	}
	if !unraised {
		golden(t, name, textOf(h, r))
	}
}

// verdictIn is the verdict of a check in a golden text, "" where that has not
// the check at this revision.
func verdictIn(text, id string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == id && strings.HasPrefix(line, id) {
			return f[1]
		}
	}
	return ""
}

// textOf is a report as a golden text: one line a finding, "id@rev verdict code:
// reason", with its items below it.
func textOf(h capture.Header, r verify.Report) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", `\n`) + "\n")
	}
	line("%s, %s", r.Profile.Name, h.Kind)
	line("level %d %s, claimed %d", r.Level.Number, r.Level.Name, r.Level.Claimed)
	for _, reason := range r.Level.Reasons {
		line("  reason %s", reason)
	}
	for _, m := range r.Level.Unprotected {
		line("  unprotected %s", m)
	}
	s := r.Summary
	line("%d pass, %d fail, %d unknown, %d not-applicable", s.Pass, s.Fail, s.Unknown, s.NotApplicable)
	for _, f := range r.Findings {
		line("%s@%d %s %s: %s", f.Check, f.Rev, f.Verdict, f.Code, f.Reason)
		for _, item := range f.Items {
			line("  %s", item)
		}
	}
	return b.String()
}

// TestGoldenVerdicts holds what goldenReport looks for to what textOf writes.
func TestGoldenVerdicts(t *testing.T) {
	r := verify.Report{Findings: []verify.Finding{
		{Check: "b", Rev: 1, Verdict: verify.Pass, Code: "c", Reason: "r", Items: []string{"a@2 fail"}},
		{Check: "a", Rev: 2, Verdict: verify.NotApplicable, Code: "c", Reason: "for\na reason"},
		{Check: "a-b", Rev: 12, Verdict: verify.Fail, Code: "c", Reason: "r"},
	}}
	text := textOf(capture.Header{Kind: capture.Recorded}, r)
	got := map[string]string{}
	for _, id := range []string{"a@2", "a@1", "a-b@12", "a-b@1"} {
		got[id] = verdictIn(text, id)
	}
	if diff := cmp.Diff(map[string]string{"a@2": "not-applicable", "a@1": "", "a-b@12": "fail", "a-b@1": ""}, got); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, text)
	}
}
