//go:build linux

package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/verify"
)

// TestConfinements reads one guest with fewer rights: what cannot be told is
// unknown, exactly what docs/proven.md says, and nothing becomes a pass or falls
// silent.
func TestConfinements(t *testing.T) {
	for _, c := range Confinements() {
		t.Run(c.Name, func(t *testing.T) {
			s, err := ShapeNamed(confinedShape)
			if err != nil {
				t.Fatal(err)
			}
			r := common(t, s)
			before, after := judged(t, r, "before"), judged(t, r, "confined-"+c.Name)
			var unknown []string
			for _, change := range Changed(before, after) {
				i := slices.IndexFunc(after.Findings, func(f verify.Finding) bool { return f.Check == change.Check })
				switch f := after.Findings[i]; {
				case f.Verdict == verify.Unknown:
					unknown = append(unknown, f.Check)
				case strings.HasPrefix(change.Before, "unknown"):
					t.Errorf("%s: %s for root, and %s with fewer rights: %s", change.Check, change.Before, change.After, f.Reason)
				default:
					t.Errorf("%s: %s became %s and not unknown: %s", change.Check, change.Before, change.After, f.Reason)
				}
			}
			if after.Level.Number > before.Level.Number {
				t.Errorf("level %d for root, %d with fewer rights", before.Level.Number, after.Level.Number)
			}
			golden(t, "confined-"+c.Name, Outcomes(after))
			if !t.Failed() {
				slices.Sort(unknown)
				proven.add(confinedRows, c.Name, c.What, strings.Join(unknown, "<br>"), repeat("TestConfinements/"+c.Name+"$"))
			}
		})
	}
}
