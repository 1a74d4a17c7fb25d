package verify

import (
	"fmt"
	"slices"
)

// Change is a check that came to something else than before on one node.
type Change struct {
	Before Verdict // Unknown for a check that was not judged before
	Known  bool    // whether it was judged before
	After  Finding
}

// Changes lists what differs between the findings of two reports of one node:
// verdict, code, and what is at fault where a check fails. The wording of a
// reason is no change, nor what was looked at by a check that passes, nor how
// many things could not be read.
func Changes(before, after []Finding) []Change {
	old := map[string]Finding{}
	for _, f := range before {
		old[f.Check] = f
	}
	var out []Change
	for _, f := range after {
		was, known := old[f.Check]
		if known && was.Verdict == f.Verdict && was.Code == f.Code && (f.Verdict != Fail || slices.Equal(was.Items, f.Items)) {
			continue
		}
		out = append(out, Change{was.Verdict, known, f})
	}
	return out
}

// String says in words what changed: "image-read-only fails, it passed before: …".
func (c Change) String() string {
	now := map[Verdict]string{Fail: "fails", Pass: "passes", Unknown: "is unknown", NotApplicable: "does not apply"}
	was := map[Verdict]string{Fail: "it failed before", Pass: "it passed before", Unknown: "it was unknown before", NotApplicable: "it did not apply before"}
	switch {
	case !c.Known:
		return fmt.Sprintf("%s %s: %s", c.After.Check, now[c.After.Verdict], c.After.Reason)
	case c.Before == c.After.Verdict:
		return fmt.Sprintf("%s %s as before, for another reason: %s", c.After.Check, now[c.After.Verdict], c.After.Reason)
	}
	return fmt.Sprintf("%s %s, %s: %s", c.After.Check, now[c.After.Verdict], was[c.Before], c.After.Reason)
}
