package verify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func echo(id string, f Finding) Check {
	c := goodCheck()
	c.ID = id
	c.Judge = On(node.Identity, func(node.Identification, Given) Finding { return f })
	return c
}

func TestRunKeepsTheOrderOfTheChecks(t *testing.T) {
	checks := []Check{echo("zebra", pass("yes", "yes")), echo("ant", fail("no", "no")), echo("mole", unknown("eh", "eh"))}
	var got []string
	for _, f := range Run(checks, complete(), Given{Profile: &profiles.Profile{}}) {
		got = append(got, f.Check+" "+f.Verdict.String())
	}
	if diff := cmp.Diff([]string{"zebra pass", "ant fail", "mole unknown"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := Run(nil, nil, Given{}); got == nil || len(got) != 0 {
		t.Errorf("no checks: got %#v, want an empty list", got)
	}
}

func TestJudgeThatBreaksIsUnknown(t *testing.T) {
	breaks := goodCheck()
	breaks.Judge = On(node.Identity, func(id node.Identification, _ Given) Finding {
		_ = []string{}[len(id.Name)]
		return pass("yes", "yes")
	})
	silent := echo("silent", Finding{})
	coy := echo("coy", Finding{Verdict: Pass, Code: "yes"})
	odd := echo("odd", Finding{Verdict: 9, Code: "yes", Reason: "yes"})
	for _, f := range Run([]Check{breaks, silent, coy, odd, {ID: "empty"}}, complete(), Given{Profile: &profiles.Profile{}}) {
		if f.Verdict != Unknown || f.Code != "judge-broke" || f.Items == nil {
			t.Errorf("%s: got %v %s %#v, want unknown judge-broke with a list", f.Check, f.Verdict, f.Code, f.Items)
		}
	}
	if f := Run([]Check{breaks}, complete(), Given{})[0]; !strings.Contains(f.Reason, "index out of range") || f.Severity != Low {
		t.Errorf("got %q %s, want what broke, and the check's own severity", f.Reason, f.Severity)
	}
}

func TestProfileOverridesSeverityAndSuppliesWords(t *testing.T) {
	p := &profiles.Profile{
		Severities: map[string]string{"ant": "critical"},
		Words:      map[string]string{"bee": "this system has none", "cow": "never shown"},
	}
	f := Run([]Check{
		echo("ant", fail("no", "no")), echo("bee", notApplicable("none", "there is no hive")), echo("cow", fail("no", "no milk")),
	}, complete(), Given{Profile: p})
	if f[0].Severity != Critical || f[1].Severity != Low {
		t.Errorf("severities: got %s, %s; want critical, low", f[0].Severity, f[1].Severity)
	}
	if f[1].Reason != "there is no hive: this system has none" || f[2].Reason != "no milk" {
		t.Errorf("reasons: got %q, %q", f[1].Reason, f[2].Reason)
	}
}

// composed is a report that has one of everything.
func composed(t *testing.T) Report {
	t.Helper()
	until := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	ends := pass("maintained", "branch 6.6 is maintained until 2026-12-31")
	ends.Until = &until
	facts := complete()
	facts = withFact(facts, node.OS, node.System{Release: map[string]string{"ID": "flatcar", "VERSION_ID": "4230.2.1"}, Markers: []string{}})
	facts = lacking(facts, node.Kubelet, node.Denied, "reading /proc/812/cmdline: permission denied")
	facts = withFact(facts, node.Processes, []node.Program{{Path: "/usr/bin/containerd", On: node.Mount{Path: "/usr", Options: []string{"ro"}, Super: []string{"ro"}}}}, deniedGap)
	at := time.Date(2026, 9, 1, 12, 0, 0, 0, time.FixedZone("UTC+3", 3*3600))
	checks := []Check{
		echo("ant", fail("no", "no", "a thing")), echo("bee", ends), echo("cow", notApplicable("none", "none")), noDeletedExecutables,
	}
	return NewReport("v0.1.0", checks, facts, &profiles.Profile{Name: "flatcar", Digest: "abc", Overlay: "def"}, at)
}

func TestReport(t *testing.T) {
	r := composed(t)
	if r.Node != "node-7" || r.OS != (OSRef{"flatcar", "4230.2.1"}) || r.Witness != "agent" || r.Profile != (ProfileRef{"flatcar", "abc", "def"}) {
		t.Errorf("got %s %v %s %v", r.Node, r.OS, r.Witness, r.Profile)
	}
	if want := (Summary{Pass: 1, Fail: 1, Unknown: 1, NotApplicable: 1}); r.Summary != want {
		t.Errorf("got %+v, want %+v", r.Summary, want)
	}
	if got := r.At.Format(time.RFC3339); got != "2026-09-01T09:00:00Z" {
		t.Errorf("got %s, want 2026-09-01T09:00:00Z", got)
	}
	empty := NewReport("v0.1.0", nil, nil, &profiles.Profile{}, time.Unix(0, 0))
	if empty.Node != "" || empty.Findings == nil || empty.Facts == nil {
		t.Errorf("a node without facts: got %#v", empty)
	}
}

func TestReportRoundTrip(t *testing.T) {
	r := composed(t)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"verdict":"fail","code":"no","items":["a thing"]`, `"until":"2026-12-31T00:00:00Z"`,
		`"not-applicable":1`, `"at":"2026-09-01T09:00:00Z"`, `"reads":["identity"]`, `"items":[]`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the JSON lacks %s:\n%s", want, b)
		}
	}
	if got := strings.Count(string(b), `"until"`); got != 1 {
		t.Errorf("%d findings have an until, want 1", got)
	}
	back, err := DecodeReport(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(normalFacts(t, b), normalFacts(t, again)); diff != "" {
		t.Errorf("written, read and written (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(r.Findings, back.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.Facts[node.Processes.Name].Value, back.Facts[node.Processes.Name].Value); diff != "" {
		t.Errorf("the fact processes (-want +got):\n%s", diff)
	}
}

// normalFacts decodes JSON and drops nulls: a fact that was built by hand has
// nil lists where a decoded one has empty ones.
func normalFacts(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, f := range v.(map[string]any)["facts"].(map[string]any) {
		for _, list := range []string{"gaps", "evidence"} {
			if m := f.(map[string]any); m[list] == nil {
				m[list] = []any{}
			}
		}
	}
	return v
}

func TestDamagedReportIsRefusedWithThePlace(t *testing.T) {
	b, err := json.Marshal(composed(t))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown key", `"witness":`, `"wittness":`, `"wittness"`},
		{"an unknown verdict", `"verdict":"pass"`, `"verdict":"passed"`, `"passed" is no verdict`},
		{"an unknown fact", `"identity":`, `"moon":`, `"moon"`},
		{"an unknown key in a fact", `"bootID":`, `"bootid2":`, "bootid2"},
		{"an unknown key in a finding", `"rev":1`, `"revision":1`, "revision"},
		{"a summary that hides a failure", `"fail":1`, `"fail":0`, "does not count its findings"},
		{"a verdict that was changed", `"verdict":"fail"`, `"verdict":"pass"`, "does not count its findings"},
		{"two findings of one check", `"check":"bee"`, `"check":"ant"`, `finding 1, of check "ant"`},
		{"a finding without a check", `"check":"ant"`, `"check":""`, "finding 0"},
		{"a finding of revision 0", `"rev":1`, `"rev":0`, "finding 0"},
		{"an unknown severity", `"severity":"low"`, `"severity":"urgent"`, "finding 0"},
		{"no code", `"code":"no"`, `"code":""`, "finding 0"},
		{"no time", `"at":"2026-09-01T09:00:00Z",`, ``, "no time"},
		{"no facts", `"facts":{`, `"facts":null,"profile":{"name":"","digest":""},"os":{`, ""},
		{"a number too large", `"pass":1`, `"pass":99999999999999999999`, "byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			damaged := strings.Replace(whole, tt.old, tt.new, 1)
			if damaged == whole {
				t.Fatalf("%q is not in the report", tt.old)
			}
			if _, err := DecodeReport([]byte(damaged)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := DecodeReport([]byte(whole + "{}")); err == nil || !strings.Contains(err.Error(), fmt.Sprint("at byte ", len(whole))) {
		t.Errorf("two reports: got %v, want the byte %d", err, len(whole))
	}
	for _, text := range []string{"", "null", "[]", "7", `"report"`} {
		if r, err := DecodeReport([]byte(text)); err == nil {
			t.Errorf("%q was taken for the report %+v", text, r)
		}
	}
	for i := range whole { // however it is cut
		if _, err := DecodeReport([]byte(whole[:i])); err == nil {
			t.Fatalf("cut at byte %d it was taken", i)
		}
	}
}

func FuzzDecodeReport(f *testing.F) {
	r := NewReport("v0.1.0", []Check{goodCheck()}, complete(), &profiles.Profile{}, time.Unix(1e9, 0))
	b, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"at":"2026-09-01T00:00:00Z","facts":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		if r.Summary != summaryOf(r.Findings) {
			t.Errorf("%+v does not count %+v", r.Summary, r.Findings)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := DecodeReport(again); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
