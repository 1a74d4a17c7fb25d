package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

func report() Report {
	return Report{
		Version: Version, Cluster: "prod", Node: "node-7", Agent: "v0.1.0", Interval: time.Minute,
		At: time.Date(2026, 11, 25, 3, 12, 0, 0, time.UTC),
		Facts: node.Facts{
			"os": {Value: node.System{
				Release: map[string]string{"ID": "flatcar", "VERSION_ID": "4230.2.1"}, Markers: []string{}, Init: "systemd", PIDNamespace: "initial",
			}, Gaps: []node.Gap{}, Evidence: []node.Evidence{{What: "/etc/os-release", SHA256: strings.Repeat("ab", 32)}}},
			"kernel": {
				Missing: &node.Missing{Code: node.Denied, Reason: "reading /proc/modules: permission denied"},
				Gaps:    []node.Gap{}, Evidence: []node.Evidence{},
			},
		},
	}
}

func body(t testing.TB, r Report) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeGivesBackWhatWasSent(t *testing.T) {
	want := report()
	want.Origin = Origin{"composed", "of two samples"}
	got, err := Decode([]byte(body(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeNamesTheDefaultCluster(t *testing.T) {
	r := report()
	r.Cluster = ""
	got, err := Decode([]byte(body(t, r)))
	if err != nil || got.Cluster != "default" {
		t.Errorf("got cluster %q, %v, want default", got.Cluster, err)
	}
}

func TestDecodeRefusesWithThePlace(t *testing.T) {
	good := body(t, report())
	with := func(change func(*Report)) string {
		r := report()
		change(&r)
		return body(t, r)
	}
	for _, test := range []struct {
		name, body string
		want       BodyError // its Reason is a part of the real one
	}{
		{"nothing", "", BodyError{"", 0, "empty"}},
		{"white space", " \n", BodyError{"", 0, "empty"}},
		{"a list", "[]", BodyError{"", 0, "not a JSON object"}},
		{"null", "null", BodyError{"", 0, "not a JSON object"}},
		{"cut in the middle of a fact", good[:strings.Index(good, "flatcar")+3], BodyError{"facts.os.value.release.ID", int64(strings.Index(good, "flatcar") + 3), "ends in the middle"}},
		{"cut before the last brace", good[:len(good)-1], BodyError{"", int64(len(good) - 1), "ends in the middle"}},
		{"an origin nobody knows", with(func(r *Report) { r.Origin.Kind = "guessed" }), BodyError{"origin.kind", 0, "neither recorded nor composed"}},
		{"a note without an origin", with(func(r *Report) { r.Origin.Note = "x" }), BodyError{"origin.kind", 0, "neither recorded nor composed"}},
		{"a note that is too long", with(func(r *Report) { r.Origin = Origin{"recorded", strings.Repeat("x", 2049)} }), BodyError{"origin.note", 0, "2049 bytes"}},
		{"a second report behind the first", good + good, BodyError{"", int64(len(good)), "something follows"}},
		{"a byte that is not UTF-8", strings.Replace(good, "node-7", "node-\xff", 1), BodyError{"", int64(strings.Index(good, "node-7") + 5), "not UTF-8"}},
		{"a field nobody knows", strings.Replace(good, `"agent"`, `"root":true,"agent"`, 1), BodyError{"root", 0, "no such field"}},
		{"a field twice", strings.Replace(good, `"agent"`, `"node":"b","agent"`, 1), BodyError{"node", int64(strings.Index(good, `"agent"`) + 6), "twice"}},
		{"a fact twice", strings.Replace(good, `"facts":{`, `"facts":{"os":{"missing":{"code":"denied","reason":"x"}},`, 1), BodyError{"facts.os", 0, "twice"}},
		{"a string for a number", strings.Replace(good, `"version":1`, `"version":"1"`, 1), BodyError{"version", 0, "JSON string"}},
		{"a number for a field", `{1:2}`, BodyError{"", 1, "invalid character"}},
		{"a field without name", `{"":1,"":2}`, BodyError{"", 8, "twice"}},
		{"not JSON", "version=1", BodyError{"", 1, "invalid character"}},
		{"a fact that no source reads", strings.Replace(good, `"kernel"`, `"weather"`, 1), BodyError{"facts", 0, `"weather"`}},
		{"a fact with a field that its source has not", strings.Replace(good, `"init"`, `"inet"`, 1), BodyError{"facts", 0, `decoding fact os: json: unknown field "inet"`}},
		{"nested without end", `{"facts":{"os":{"value":` + strings.Repeat("[", 5000), BodyError{"facts.os.value", 0, "deep"}},
		{"another version", with(func(r *Report) { r.Version = 2 }), BodyError{"version", 0, "version 2"}},
		{"no version", with(func(r *Report) { r.Version = 0 }), BodyError{"version", 0, "version 0"}},
		{"no node", with(func(r *Report) { r.Node = "" }), BodyError{"node", 0, "empty"}},
		{"a node that climbs", with(func(r *Report) { r.Node = "../etc" }), BodyError{"node", 0, "../etc"}},
		{"a node called ..", with(func(r *Report) { r.Node = ".." }), BodyError{"node", 0, ".."}},
		{"a node of 254 bytes", with(func(r *Report) { r.Node = strings.Repeat("n", 254) }), BodyError{"node", 0, "254 bytes"}},
		{"markup for a cluster", with(func(r *Report) { r.Cluster = "<b>" }), BodyError{"cluster", 0, "<b>"}},
		{"a long agent", with(func(r *Report) { r.Agent = strings.Repeat("a", 257) }), BodyError{"agent", 0, "257 bytes"}},
		{"an interval before now", with(func(r *Report) { r.Interval = -1 }), BodyError{"interval", 0, "-1ns"}},
		{"an interval of a century", with(func(r *Report) { r.Interval = 24 * 365 * 100 * time.Hour }), BodyError{"interval", 0, "876000h"}},
		{"no time", with(func(r *Report) { r.At = time.Time{} }), BodyError{"at", 0, "missing"}},
		{"a zone that leads out of the calendar", strings.Replace(good, "2026-11-25T03:12:00Z", "9999-12-31T23:59:59-01:00", 1), BodyError{"at", 0, "9999"}},
		{"no facts", with(func(r *Report) { r.Facts = nil }), BodyError{"facts", 0, "none"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Decode([]byte(test.body))
			var got *BodyError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a BodyError", err)
			}
			if got.Field != test.want.Field || !strings.Contains(got.Reason, test.want.Reason) || test.want.Offset > 0 && got.Offset != test.want.Offset {
				t.Errorf("got %+v, want %+v", *got, test.want)
			}
		})
	}
}

func TestDecodeTakesTheLongestName(t *testing.T) {
	r := report()
	r.Node = strings.Repeat("n", 253)
	if _, err := Decode([]byte(body(t, r))); err != nil {
		t.Error(err)
	}
}

// What Decode accepts can be sent again and is then the same.
func FuzzDecode(f *testing.F) {
	good := body(f, report())
	f.Add(good)
	f.Add(strings.Replace(good, `"cluster":"prod"`, `"cluster":""`, 1))
	f.Add(strings.Replace(good, `"missing"`, `"gaps":[{"what":"a","code":"denied","reason":"b","count":1,"of":2}],"missing"`, 1))
	f.Add(`{"version":1,"node":"a","at":"2026-11-25T03:12:00+14:00","facts":{"mounts":{"value":null}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Decode([]byte(text))
		if err != nil {
			var place *BodyError
			if !errors.As(err, &place) {
				t.Fatalf("got a %T, want a BodyError", err)
			}
			return
		}
		again, err := Decode([]byte(body(t, first)))
		if err != nil {
			t.Fatalf("what was accepted is refused when sent again: %v", err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("sending again changes it: %s", diff)
		}
	})
}

func TestCanonicalLeavesTheEvidenceOut(t *testing.T) {
	fact := report().Facts["os"]
	a, err := Canonical(fact)
	if err != nil {
		t.Fatal(err)
	}
	fact.Evidence, fact.Gaps = nil, nil
	b, err := Canonical(fact)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(a), string(b)); diff != "" {
		t.Errorf("the evidence, or nil for no gaps, changes the content: %s", diff)
	}
	fact.Gaps = []node.Gap{{What: "x", Code: node.Denied, Reason: "y"}}
	c, err := Canonical(fact)
	if err != nil {
		t.Fatal(err)
	}
	if Digest(b) == Digest(c) {
		t.Error("a gap does not change the digest")
	}
}
