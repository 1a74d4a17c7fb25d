package verify

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestChecksAreWellFormed(t *testing.T) {
	if err := Validate(Checks()); err != nil {
		t.Error(err)
	}
}

func TestRemediesAreForSystemsThatExist(t *testing.T) {
	systems := []string{"", "talos", "flatcar", "bottlerocket", "fedora-coreos", "microos", "cos"}
	for _, c := range Checks() {
		for system, text := range c.Help.Remedy {
			if !slices.Contains(systems, system) || text == "" {
				t.Errorf("check %s has the remedy %q for %q", c.ID, text, system)
			}
		}
	}
}

// TestRemediesAreNotCopied demands a remedy that was thought of for its check:
// one sentence under three checks is a phrase.
func TestRemediesAreNotCopied(t *testing.T) {
	under := map[string][]string{}
	for _, c := range Checks() {
		seen := map[string]bool{}
		for _, text := range c.Help.Remedy {
			for sentence := range strings.SplitSeq(strings.TrimSuffix(text, "."), ". ") {
				if !seen[sentence] {
					seen[sentence] = true
					under[sentence] = append(under[sentence], c.ID)
				}
			}
		}
	}
	for sentence, ids := range under {
		if len(ids) >= 3 {
			t.Errorf("%q stands under %v", sentence, ids)
		}
	}
}

func TestProfilesSpeakOfChecksThatExist(t *testing.T) {
	ids := map[string]bool{}
	for _, c := range Checks() {
		ids[c.ID] = true
	}
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for id, severity := range p.Severities {
			if !ids[id] || !Severity(severity).known() {
				t.Errorf("profile %s gives check %q the severity %q", p.Name, id, severity)
			}
		}
		for id := range p.Words {
			if !ids[id] {
				t.Errorf("profile %s has words for check %q, which does not exist", p.Name, id)
			}
		}
	}
}

// emptyFacts holds the zero value of every source's type, as if it had been read.
func emptyFacts() node.Facts {
	facts := node.Facts{}
	for _, s := range node.Sources() {
		read := reflect.ValueOf(s).FieldByName("Read").Type()
		facts[s.Info().Name] = node.Fact{Value: reflect.Zero(read.Out(0)).Interface()}
	}
	return facts
}

// listedFacts are emptyFacts with lists that are there and hold nothing.
func listedFacts() node.Facts {
	facts := emptyFacts()
	for name, f := range facts {
		v := reflect.New(reflect.TypeOf(f.Value)).Elem()
		fillLists(v)
		facts[name] = node.Fact{Value: v.Interface()}
	}
	return facts
}

func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Struct:
		for i := range v.NumField() {
			fillLists(v.Field(i))
		}
	}
}

func TestWithoutFactsEveryCheckIsUnknown(t *testing.T) {
	denied := node.Facts{}
	for _, s := range node.Sources() {
		denied[s.Info().Name] = node.Fact{Missing: &node.Missing{Code: node.Denied, Reason: "reading /proc/1/mountinfo: permission denied"}}
	}
	for name, facts := range map[string]node.Facts{"no facts": nil, "every fact denied": denied} {
		for _, f := range Run(Checks(), facts, Given{Profile: &profiles.Profile{}}) {
			if f.Verdict != Unknown || f.Reason == "" || f.Privileged() != (facts != nil) {
				t.Errorf("%s: %s is %s %s (%s), privileged %t", name, f.Check, f.Verdict, f.Code, f.Reason, f.Privileged())
			}
		}
	}
}

// TestEmptyProfile records what every check says by a profile that expects
// nothing, of facts that hold nothing: a pass there needs an explanation.
func TestEmptyProfile(t *testing.T) {
	given := Given{Profile: &profiles.Profile{}, At: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)}
	var got bytes.Buffer
	fmt.Fprintln(&got, "# check: on zero values | on empty lists, both by the empty profile")
	zero, listed := Run(Checks(), emptyFacts(), given), Run(Checks(), listedFacts(), given)
	for i := range zero {
		fmt.Fprintf(&got, "%s: %s %s | %s %s\n", zero[i].Check, zero[i].Verdict, zero[i].Code, listed[i].Verdict, listed[i].Code)
	}
	const golden = "testdata/empty-profile.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-update accepts this (-want +got):\n%s", diff)
	}
}

// TestEveryGapTurnsAPassUnknown spoils each fact that a passing check rests on.
func TestEveryGapTurnsAPassUnknown(t *testing.T) {
	given := Given{Profile: &profiles.Profile{}}
	for _, c := range Checks() {
		f := Run([]Check{c}, listedFacts(), given)[0]
		if f.Verdict == Fail || f.Verdict == Unknown {
			continue
		}
		for _, name := range c.Judge.Reads() {
			facts := maps.Clone(listedFacts())
			facts[name] = node.Fact{Value: facts[name].Value, Gaps: []node.Gap{deniedGap}}
			if f := Run([]Check{c}, facts, given)[0]; f.Verdict != Unknown || f.Code != "gap-denied" {
				t.Errorf("%s with a gap in %s: got %s %s, want unknown gap-denied", c.ID, name, f.Verdict, f.Code)
			}
		}
	}
}
