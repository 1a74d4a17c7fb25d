//go:build linux

package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// Judge judges the report of an agent as a collector does.
func Judge(report []byte) (verify.Report, error) {
	w, err := wire.Decode(report)
	if err != nil {
		return verify.Report{}, err
	}
	all, _, err := profiles.Load()
	if err != nil {
		return verify.Report{}, err
	}
	profile, _ := verify.Detect(w.Facts, all)
	return verify.NewReport("lab", verify.Checks(), w.Facts, profile, w.At), nil
}

// Outcomes writes a judged report as golden files have it: the profile, the level,
// and a line for each check with its verdict and code.
func Outcomes(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile %s\nlevel %d %s\n\n", r.Profile.Name, r.Level.Number, r.Level.Name)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s\n", f.Check, outcomeOf(f))
	}
	return b.String()
}

// outcomeOf is the verdict of a finding with its code.
func outcomeOf(f verify.Finding) string { return f.Verdict.String() + " " + f.Code }

// Changed lists the findings that differ between two reports of one guest.
func Changed(before, after verify.Report) []Change {
	var changes []Change
	for i, f := range after.Findings { // both have all checks, in one order
		if was, is := outcomeOf(before.Findings[i]), outcomeOf(f); was != is {
			changes = append(changes, Change{f.Check, was, is})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Check, b.Check) })
	return changes
}
