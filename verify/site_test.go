package verify

import (
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func TestSiteExpectationsReviewed(t *testing.T) {
	march, june := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	declared := []profiles.Expectation{
		{Owner: "gpu@example.org", Reason: "driver", Review: june},
		{Owner: "storage@example.org", Reason: "backup", Review: march},
	}
	facts := withFact(nil, node.OS, node.System{Release: map[string]string{"ID": "flatcar"}})
	for _, tt := range []struct {
		name     string
		facts    node.Facts
		overlay  string
		declared []profiles.Expectation
		at       time.Time
		want     string
		until    time.Time
	}{
		{"no overlay", facts, "", nil, march, "not-applicable no-overlay", time.Time{}},
		{"an overlay with nothing for this node", facts, "abc", nil, march, "pass nothing-declared", time.Time{}},
		{"the day before the first review", facts, "abc", declared, march.Add(-time.Second), "pass reviewed", march},
		{"the day of the first review", facts, "abc", declared, march, "fail review-due", june},
		{"after all reviews", facts, "abc", declared, june, "fail review-due", time.Time{}},
		{"no facts", nil, "abc", declared, march, "unknown fact-not-recorded", time.Time{}},
		{"os-release could not be read whole", withFact(nil, node.OS, node.System{}, deniedGap), "abc", nil, march, "unknown gap-denied", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &profiles.Profile{Overlay: tt.overlay, Declared: tt.declared}
			f := Run([]Check{siteExpectationsReviewed}, tt.facts, Given{Profile: p, At: tt.at})[0]
			if got := f.Verdict.String() + " " + f.Code; got != tt.want {
				t.Errorf("got %s (%s), want %s", got, f.Reason, tt.want)
			}
			if f.Until == nil != tt.until.IsZero() || f.Until != nil && !f.Until.Equal(tt.until) {
				t.Errorf("until %v, want %v", f.Until, tt.until)
			}
		})
	}
}
