package verify

import "slices"

// Only is the report with the findings of some checks, and these counted. The
// level stays: it is that of the node, not of a few checks.
func (r Report) Only(checks ...string) Report {
	findings := []Finding{}
	for _, f := range r.Findings {
		if slices.Contains(checks, f.Check) {
			findings = append(findings, f)
		}
	}
	r.Findings, r.Summary = findings, summaryOf(findings)
	return r
}
