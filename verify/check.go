package verify

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Check is one statement about a node that facts can prove or refute.
type Check struct {
	ID       string   // words in lower-kebab-case, never reused
	Rev      int      // raised when an outcome can change
	Title    string   // a sentence that is true when the check passes
	Topic    Topic    //
	Severity Severity // unless the profile overrides it
	Refs     []Ref    // what it is evidence for
	Help     Help     //
	Judge    Judge    //
	// ImageOnly marks checks that only make sense on a system whose OS is an
	// image; on an ordinary host people see them as one line.
	ImageOnly bool
}

// Ref cites a standard and the place in it.
type Ref struct {
	Standard string `json:"standard"`
	ID       string `json:"id"`
}

// Help is the text that `seaworthy explain` shows.
type Help struct {
	Why    string            // why it matters
	How    string            // how it is judged
	Remedy map[string]string // how to put it right, by profile name; "" is for every other
}

// Given is what a judge knows beside the facts.
type Given struct {
	Profile *profiles.Profile
	At      time.Time // the clock
}

// Judge decides one check. Make it with [On], [On2], [On3] or [On4].
type Judge struct {
	reads  []string
	decide func(node.Facts, Given) Finding
}

// Reads names the facts that the judge looks at.
func (j Judge) Reads() []string { return slices.Clone(j.reads) }

// Finding is the verdict of one check on one node.
type Finding struct {
	Check    string     `json:"check"`
	Rev      int        `json:"rev"`
	Topic    Topic      `json:"topic"`
	Severity Severity   `json:"severity"`
	Verdict  Verdict    `json:"verdict"`
	Code     string     `json:"code"`            // a stable word for why
	Items    []string   `json:"items"`           // the things at fault
	Reason   string     `json:"reason"`          // the English sentence
	Reads    []string   `json:"reads"`           // the facts it rests on
	Until    *time.Time `json:"until,omitempty"` // when the verdict may change with the same inputs
}

// pass, fail, unknown and notApplicable make the findings that judges return.
// Code is a stable word, reason a sentence for people, items the things at
// fault (or, on a pass, what was looked at).
func pass(code, reason string, items ...string) Finding {
	return Finding{Verdict: Pass, Code: code, Reason: reason, Items: items}
}

func fail(code, reason string, items ...string) Finding {
	return Finding{Verdict: Fail, Code: code, Reason: reason, Items: items}
}

// unfound is the verdict of a fail that rests on what was not found. It leaves no
// judge: [withGaps] makes it fail, or unknown where not everything could be read.
const unfound Verdict = -1

// failUnfound is a fail because something is not there that should be.
func failUnfound(code, reason string, items ...string) Finding {
	return Finding{Verdict: unfound, Code: code, Reason: reason, Items: items}
}

func unknown(code, reason string, items ...string) Finding {
	return Finding{Verdict: Unknown, Code: code, Reason: reason, Items: items}
}

func notApplicable(code, reason string, items ...string) Finding {
	return Finding{Verdict: NotApplicable, Code: code, Reason: reason, Items: items}
}

// withoutExpectation is the finding of a judge of all that is there, where the
// profile does not say which of it may be. That proves nothing about the node; an
// ordinary host is one of which nobody expects it.
func withoutExpectation(g Given, reason string) Finding {
	if g.Profile.Ordinary {
		return notApplicable("nothing-expected", reason)
	}
	return unknown("nothing-expected", reason)
}

const unreadCode = "unread"

// unsaid is the finding of a judge whose fact holds nothing where it looks. The
// gaps of the fact, where there are any, say why and take its place.
func unsaid(what string) Finding {
	return unknown(unreadCode, "the node did not say "+what)
}

// withoutFact is the finding of every judge that lacks a fact.
func withoutFact(m *node.Missing) Finding {
	return unknown("fact-"+string(m.Code), m.Reason)
}

// withGaps turns a pass that rests on an incomplete fact into unknown, and says
// why a judge found nothing to read. A fail stays, where what was seen is enough
// for it. The code is that of the first gap that more rights would not close, so that
// [Finding.Privileged] does not promise too much.
func withGaps(f Finding, gaps []node.Gap) Finding {
	open := f.Verdict == Pass || f.Verdict == NotApplicable || f.Verdict == unfound || f.Verdict == Unknown && f.Code == unreadCode
	if f.Verdict == unfound {
		f.Verdict = Fail
	}
	if len(gaps) == 0 || !open {
		return f
	}
	items := make([]string, len(gaps))
	for i, g := range gaps {
		items[i] = g.String()
	}
	first := max(0, slices.IndexFunc(gaps, func(g node.Gap) bool { return g.Code != node.Denied }))
	reason := items[first]
	if n := len(gaps) - 1; n > 0 {
		reason += fmt.Sprintf("; and %d more", n)
	}
	return unknown("gap-"+string(gaps[first].Code), reason, items...)
}

// reading is what a judge has taken of the facts of one node.
type reading struct {
	facts   node.Facts
	missing *node.Missing // the first that more rights would not settle, else the first
	gaps    []node.Gap
}

// take returns the value of source in the facts and notes what is wrong with it.
func take[T any](r *reading, source node.Source[T]) T {
	v, gaps, m := source.Of(r.facts)
	if m != nil && (r.missing == nil || r.missing.Code == node.Denied && m.Code != node.Denied) {
		r.missing = m
	}
	r.gaps = append(r.gaps, gaps...)
	return v
}

// finding answers for the judge where a fact is missing, and holds its answer
// to what could be read where none is.
func (r *reading) finding(decide func() Finding) Finding {
	if r.missing != nil {
		return withoutFact(r.missing)
	}
	return withGaps(decide(), r.gaps)
}

// On makes a judge of one fact.
func On[A any](a node.Source[A], f func(A, Given) Finding) Judge {
	return Judge{[]string{a.Name}, func(facts node.Facts, g Given) Finding {
		r := reading{facts: facts}
		va := take(&r, a)
		return r.finding(func() Finding { return f(va, g) })
	}}
}

// On2 makes a judge of two facts.
func On2[A, B any](a node.Source[A], b node.Source[B], f func(A, B, Given) Finding) Judge {
	return Judge{[]string{a.Name, b.Name}, func(facts node.Facts, g Given) Finding {
		r := reading{facts: facts}
		va, vb := take(&r, a), take(&r, b)
		return r.finding(func() Finding { return f(va, vb, g) })
	}}
}

// On3 makes a judge of three facts.
func On3[A, B, C any](a node.Source[A], b node.Source[B], c node.Source[C], f func(A, B, C, Given) Finding) Judge {
	return Judge{[]string{a.Name, b.Name, c.Name}, func(facts node.Facts, g Given) Finding {
		r := reading{facts: facts}
		va, vb, vc := take(&r, a), take(&r, b), take(&r, c)
		return r.finding(func() Finding { return f(va, vb, vc, g) })
	}}
}

// On4 makes a judge of four facts.
func On4[A, B, C, D any](a node.Source[A], b node.Source[B], c node.Source[C], d node.Source[D], f func(A, B, C, D, Given) Finding) Judge {
	return Judge{[]string{a.Name, b.Name, c.Name, d.Name}, func(facts node.Facts, g Given) Finding {
		r := reading{facts: facts}
		va, vb, vc, vd := take(&r, a), take(&r, b), take(&r, c), take(&r, d)
		return r.finding(func() Finding { return f(va, vb, vc, vd, g) })
	}}
}

var idPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Validate proves a set of checks well-formed.
func Validate(checks []Check) error {
	gathered := map[string]bool{}
	for _, source := range node.Sources() {
		gathered[source.Info().Name] = true
	}
	seen := map[string]bool{}
	for _, c := range checks {
		switch {
		case !idPattern.MatchString(c.ID):
			return fmt.Errorf("check %q: the id is not lower-kebab-case", c.ID)
		case seen[c.ID]:
			return fmt.Errorf("check %s stands twice", c.ID)
		case c.Rev < 1:
			return fmt.Errorf("check %s has no revision", c.ID)
		case c.Title == "" || c.Help.Why == "" || c.Help.How == "":
			return fmt.Errorf("check %s has no title, no why or no how", c.ID)
		case !slices.Contains(Topics, c.Topic):
			return fmt.Errorf("check %s: there is no topic %q", c.ID, c.Topic)
		case !c.Severity.known():
			return fmt.Errorf("check %s: there is no severity %q", c.ID, c.Severity)
		case len(c.Refs) == 0:
			return fmt.Errorf("check %s cites nothing", c.ID)
		case c.Judge.decide == nil || len(c.Judge.reads) == 0:
			return fmt.Errorf("check %s has no judge", c.ID)
		}
		for i, r := range c.Refs {
			if r.Standard == "" || r.ID == "" || slices.Contains(c.Refs[:i], r) {
				return fmt.Errorf("check %s: the reference %q %q is empty or stands twice", c.ID, r.Standard, r.ID)
			}
		}
		for i, name := range c.Judge.reads {
			if !gathered[name] || slices.Contains(c.Judge.reads[:i], name) {
				return fmt.Errorf("check %s reads the fact %q, which no source gathers or which it reads twice", c.ID, name)
			}
		}
		seen[c.ID] = true
	}
	return nil
}
