package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// siteChecks are about what a team has declared beyond the vendor's profile.
var siteChecks = []Check{siteExpectationsReviewed}

var siteExpectationsReviewed = Check{
	ID:       "site-expectations-reviewed",
	Rev:      1,
	Title:    "what the site overlay declares for this node was reviewed in time",
	Topic:    Audit,
	Severity: Low,
	Refs:     []Ref{{sp80053, "CM-3"}, {sp80053, "CM-6"}, {pciDSS, "12.3.1"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "A site overlay says that something beyond the vendor's image is meant to be there. What was right for a driver of two years ago hides an intruder's program today.",
		How: "Every expectation of the overlay that is for this node has a review date. Until that day it passes. An expectation whose day has come stays in force, and fails here with its owner.",
		Remedy: map[string]string{
			"": "Look at the expectation with its owner: take out of the overlay what no node needs, and set a new review date for the rest. seaworthy profiles check FILE finds mistakes.",
		},
	},
	Judge: On(node.OS.Parts("release"), func(_ node.System, g Given) Finding {
		if g.Profile.Overlay == "" {
			return notApplicable("no-overlay", "no site overlay is laid over the profile")
		}
		var due []string
		next := time.Time{}
		for _, e := range g.Profile.Declared {
			if !g.At.Before(e.Review) {
				due = append(due, fmt.Sprintf("%s (%s), due since %s", e.Reason, e.Owner, e.Review.Format(time.DateOnly)))
			} else if next.IsZero() || e.Review.Before(next) {
				next = e.Review
			}
		}
		if len(due) > 0 {
			slices.Sort(due)
			f := fail("review-due", fmt.Sprintf("%d of %d expectations of the site overlay have to be looked at again: %s", len(due), len(g.Profile.Declared), due[0]), due...)
			return until(f, next)
		}
		if next.IsZero() {
			return pass("nothing-declared", "the site overlay declares nothing for this node")
		}
		f := pass("reviewed", fmt.Sprintf("%d expectations of the site overlay are for this node; the next review is due on %s", len(g.Profile.Declared), next.Format(time.DateOnly)))
		return until(f, next)
	}),
}

// until is a finding that may change at a time, where there is one.
func until(f Finding, t time.Time) Finding {
	if !t.IsZero() {
		f.Until = &t
	}
	return f
}
