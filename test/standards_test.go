package test

import (
	"slices"
	"testing"

	"github.com/seaworthy/seaworthy/profiles/standards"
	"github.com/seaworthy/seaworthy/verify"
)

// TestEveryPlaceOfAStandardHasAnAnswer demands, of each place of a standard that
// touches nodes, a check or the reason why there is none, and of each check that
// it cites places that exist.
func TestEveryPlaceOfAStandardHasAnAnswer(t *testing.T) {
	all, err := standards.Load()
	if err != nil {
		t.Fatal(err)
	}
	systems := []string{"talos", "flatcar", "bottlerocket", "fedora-coreos", "microos", "cos"}
	for _, s := range all {
		cited := map[string][]string{}
		for _, c := range verify.Checks() {
			for _, r := range c.Refs {
				if r.Standard == s.Name {
					cited[r.ID] = append(cited[r.ID], c.ID)
				}
			}
		}
		if len(cited) == 0 {
			t.Errorf("%s: no check cites %q", s.File, s.Name)
		}
		var places []string
		for _, item := range s.Items {
			if slices.Contains(places, item.ID) {
				t.Errorf("%s: %s stands twice", s.File, item.ID)
			}
			places = append(places, item.ID)
			for system, d := range item.Systems {
				if !slices.Contains([]string{"holds", "fails", "none"}, d.As) || d.Why == "" || !slices.Contains(systems, system) {
					t.Errorf("%s: %s says of %s %+v", s.File, item.ID, system, d)
				}
			}
			switch checks := cited[item.ID]; {
			case len(checks) == 0 && item.Without == "":
				t.Errorf("%s: no check stands behind %s (%s), and no reason is given", s.File, item.ID, item.Subject)
			case len(checks) > 0 && item.Without != "":
				t.Errorf("%s: %s has a reason for no check, and %v stand behind it", s.File, item.ID, checks)
			}
		}
		for id, checks := range cited {
			if !slices.Contains(places, id) {
				t.Errorf("%s: %v cite %s, which is not listed", s.File, checks, id)
			}
		}
	}
}
