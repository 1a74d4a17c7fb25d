package test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// content is what a fact is addressed by.
type content struct {
	Scope   node.Scope
	Value   json.RawMessage
	Missing *node.Missing
	Gaps    []node.Gap
}

// comparable are the facts that are addressed by their content.
func comparable(facts node.Facts) map[string]content {
	out := map[string]content{}
	for _, src := range node.Sources() {
		i := src.Info()
		f := facts[i.Name]
		if i.Scope == node.Volatile {
			continue
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			value = []byte(err.Error())
		}
		out[i.Name] = content{i.Scope, value, f.Missing, f.Gaps}
	}
	return out
}

// TestEqualNodesHaveEqualFacts reads two nodes that differ in what is made up on each:
// name, process numbers, ports, time. And one of them again two hours later, after
// processes came and went: a fact in which something moves would be a new state at
// every scan.
func TestEqualNodesHaveEqualFacts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: this test makes namespaces and mounts and needs root")
	}
	read := func(ask func(any)) (facts map[string]content) {
		ask(&facts)
		return facts
	}
	// Modules and loop devices are the whole machine's: what differs because somebody
	// changes these meanwhile does not differ three times.
	for attempt := range 3 {
		one := smallNode{Processes: 20, Facts: true, Name: "node-one", Burnt: 3}.launch(t)
		first := read(one)
		other := read(smallNode{Processes: 20, Facts: true, Name: "other-node-4711", Burnt: 60}.launch(t))
		time.Sleep(1100 * time.Millisecond)
		again := read(one)
		if len(first) < 30 {
			t.Fatalf("only %d facts", len(first))
		}
		var differs []string
		for _, name := range slices.Sorted(maps.Keys(first)) {
			if d := cmp.Diff(first[name], other[name]); d != "" && first[name].Scope == node.Cohort {
				differs = append(differs, name+" differs between equal nodes:\n"+d)
			}
			if d := cmp.Diff(first[name], again[name]); d != "" {
				differs = append(differs, name+" differs from itself:\n"+d)
			}
		}
		if len(differs) == 0 {
			return
		}
		if attempt == 2 {
			t.Error(strings.Join(differs, "\n"))
		}
	}
}
