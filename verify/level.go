package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// Level is how strongly the OS image of a node is held immutable, 0 to 5.
type Level struct {
	Number      int      `json:"number"`      // proven
	Claimed     int      `json:"claimed"`     // what the node says it is, where that could not be proven
	Name        string   `json:"name"`        // of Number, or "unknown" where not even level 0 is proven
	Reasons     []string `json:"reasons"`     // why not more
	Unprotected []string `json:"unprotected"` // what is writable and executable beside the image
}

// levelNames are the names of the levels by number.
var levelNames = []string{"mutable", "read-only", "image", "verified", "anchored", "attested"}

// levelSteps are the checks that make the level, and the number that each gives.
// A step counts when the one it stands on has been reached.
var levelSteps = []struct {
	check  string
	on, to int // least number below, number reached
}{
	{imageReadOnly.ID, 0, 1},
	{imageUnwritable.ID, 1, 2},
	{imageVerified.ID, 2, 3},
	{imageAnchored.ID, 2, 4},
	{imageAttested.ID, 4, 5},
}

// LevelOf computes the level from the findings of the five image checks. Only a
// pass proves. Claimed is what the number would be if the checks that could not
// see had passed, where the node itself claims as much: by a root hash on
// the command line, by Secure Boot, or by a mount that says read-only.
func LevelOf(findings []Finding, facts node.Facts) Level {
	verdicts := map[string]Finding{}
	for _, f := range findings {
		verdicts[f.Check] = f
	}
	proven := levelBy(func(check string) bool { return verdicts[check].Verdict == Pass })
	l := Level{
		Number: proven,
		Claimed: levelBy(func(check string) bool {
			f := verdicts[check]
			return f.Verdict == Pass || f.Verdict == Unknown && claims(f, facts)
		}),
		Name:        levelNames[proven],
		Reasons:     []string{},
		Unprotected: unprotected(facts),
	}
	if proven == 0 && verdicts[imageReadOnly.ID].Verdict == Unknown {
		l.Name = "unknown"
	}
	if proven == 5 {
		return l
	}
	for _, step := range levelSteps {
		f, ok := verdicts[step.check]
		switch {
		case step.to <= proven, step.on > proven, slices.Contains(l.Reasons, f.Reason):
			continue // reached, or out of reach before another step is
		case !ok:
			f.Reason = fmt.Sprintf("the check %s was not run", step.check)
		}
		l.Reasons = append(l.Reasons, f.Reason)
	}
	return l
}

// levelBy climbs the steps whose checks passed.
func levelBy(passed func(check string) bool) int {
	n := 0
	for _, step := range levelSteps {
		if n >= step.on && passed(step.check) {
			n = step.to
		}
	}
	return n
}

// claims reports whether the node claims what an unknown finding could not
// prove: what only root may read, and the read-only property of a btrfs whose
// mount says read-only.
func claims(f Finding, facts node.Facts) bool {
	switch f.Check {
	case imageReadOnly.ID:
		return f.Code == "subvolume-unknown"
	case imageVerified.ID:
		v, _, missing := node.Verity.Of(facts)
		return f.Privileged() && missing == nil && len(v.Booted) > 0
	case imageAnchored.ID:
		b, _, missing := node.Boot.Of(facts)
		return f.Privileged() && missing == nil && b.SecureBoot == "on"
	}
	return false
}

// unprotected lists what is not the image: every mount that can be written and
// executed from, /etc, overlays, and extension images.
func unprotected(facts node.Facts) []string {
	out := []string{}
	mounts, _, missing := node.Mounts.Of(facts)
	if missing == nil {
		for _, m := range mounts {
			if !m.Visible {
				continue
			}
			what := []string{m.Path + " " + m.Type}
			listed := m.Path == "/etc" || m.Type == "overlay" && m.Path != "/"
			if !m.ReadOnly() && !imageType(m.Type) {
				what = append(what, "writable")
			}
			if listed && m.ReadOnly() {
				what = append(what, "read-only")
			}
			if !slices.Contains(m.Options, "noexec") {
				what = append(what, "exec")
			}
			if writableExec(m) || listed {
				out = append(out, strings.Join(what, ", "))
			}
		}
		if _, mounted := visible(mounts, "/etc"); !mounted {
			if m, ok := carrier(mounts, "/etc"); ok && !m.ReadOnly() {
				out = append(out, "/etc on "+nameOf(m)+", writable")
			}
		}
	}
	if d, _, missing := node.ImageDeployment.Of(facts); missing == nil {
		for _, e := range d.Extensions {
			where := path.Clean(e.Path)
			if e.Link != "" {
				where += " → " + e.Link
			}
			out = append(out, fmt.Sprintf("extension %s (%s) %s", e.Name, e.Kind, where))
		}
	}
	return out
}
