package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// madeUp is a check for the tests of how checks are shown.
func madeUp() verify.Check {
	return verify.Check{
		ID: "image-read-only", Rev: 2, Title: "every file system of the OS image is read-only", Topic: verify.Immutability, Severity: verify.Critical,
		ImageOnly: true,
		Refs:      []verify.Ref{{Standard: "NIST SP 800-53 r5", ID: "SC-34"}, {Standard: "CIS COS", ID: "a|b"}, {Standard: "NIST SP 800-53 r5", ID: "CM-5"}},
		Help: verify.Help{
			Why:    "What cannot be written cannot be changed by whoever breaks out of a container.",
			How:    "Every layer of every mount below /usr/* must be read-only.",
			Remedy: map[string]string{"flatcar": "Reboot.", "talos": "Upgrade the node to a released image; nothing else puts an image back that somebody has changed."},
		},
		Judge: verify.On(node.Mounts, func([]node.Mount, verify.Given) verify.Finding { return verify.Finding{} }),
	}
}

func madeUpProfiles() []*profiles.Profile {
	return []*profiles.Profile{
		{Name: "cos"},
		{Name: "flatcar", Words: map[string]string{"image-read-only": "booted over the network, /usr is in memory"}, Severities: map[string]string{"image-read-only": "high"}},
		{Name: "generic", Ordinary: true},
		{Name: "talos"},
	}
}

func TestExplain(t *testing.T) {
	golden(t, "explain.txt", explain(madeUp(), madeUpProfiles(), style{width: 80, unicode: true}))
}

func TestExplainSaysWhereNoRemedyIsKnown(t *testing.T) {
	c := madeUp()
	c.Help.Remedy = nil
	want := part{title: "How to put it right", names: []string{"every system"}, lines: []string{"no remedy known for cos, flatcar, generic, talos"}}
	if diff := cmp.Diff(want, remedies(c, madeUpProfiles()), cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestChecksTable(t *testing.T) {
	golden(t, "checks-80.txt", checksTable([]verify.Check{madeUp()}, style{width: 80}))
	golden(t, "checks-40.txt", checksTable([]verify.Check{madeUp()}, style{width: 40}))
}

func TestChecksMarkdown(t *testing.T) {
	golden(t, "checks.md", checksMarkdown([]verify.Check{madeUp()}, madeUpProfiles()))
}

func TestChecksJSONHasTheKeysThatTheDocumentationNames(t *testing.T) {
	var b bytes.Buffer
	if err := writeJSON(&b, checksJSON([]verify.Check{madeUp(), {ID: "without-refs"}})); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") {
		t.Errorf("got a null, want empty lists: %s", b.String())
	}
	var got []map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "image-read-only", "rev": 2.0, "topic": "immutability", "title": "every file system of the OS image is read-only", "severity": "critical",
		"refs": []any{
			map[string]any{"standard": "NIST SP 800-53 r5", "id": "SC-34"}, map[string]any{"standard": "CIS COS", "id": "a|b"},
			map[string]any{"standard": "NIST SP 800-53 r5", "id": "CM-5"},
		},
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
