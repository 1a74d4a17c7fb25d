package web

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seaworthy/seaworthy/verify"
)

// A grade sums up one node, worst first: it is the shape and the colour of the
// node everywhere.
type grade int

const (
	bad    grade = iota // a check of high or critical severity fails
	poor                // another check fails
	silent              // it does not report: nothing is known of it now
	open                // nothing fails, something is unknown
	sound               // it reports, and every check that applies passes
)

// grades are the words of a grade: its class, its mark and its meaning.
var grades = []struct{ Class, Mark, Words string }{
	bad:    {"bad", "✗", "fails a check of high or critical severity"},
	poor:   {"poor", "!", "fails a check of medium or low severity"},
	silent: {"silent", "–", "does not report"},
	open:   {"open", "?", "nothing fails, something is unknown"},
	sound:  {"sound", "✓", "sound"},
}

func (g grade) Class() string { return grades[g].Class }
func (g grade) Mark() string  { return grades[g].Mark }
func (g grade) Words() string { return grades[g].Words }

// Grade sums up the node. A silent one is never more than silent: what was
// true when it last reported proves nothing now.
func (n Node) Grade() grade {
	if n.Silent {
		return silent
	}
	g := sound
	for _, f := range n.Report.Findings {
		if of, ok := gradeOf(f); ok {
			g = min(g, of)
		}
	}
	if len(n.Report.Findings) == 0 {
		g = open // nothing was judged
	}
	return g
}

var severities = []verify.Severity{verify.Critical, verify.High, verify.Medium, verify.Low}

// rank orders severities, worst first; one that is not known is the worst.
func rank(s verify.Severity) int { return slices.Index(severities, s) }

// Label is the node in words, for who cannot see its cell.
func (n Node) Label() string {
	s := fmt.Sprintf("%s: level %d %s, %d failing, %d unknown", n.Name, n.Report.Level.Number, n.Report.Level.Name, n.Report.Summary.Fail, n.Report.Summary.Unknown)
	if n.Silent {
		s += fmt.Sprintf(", silent since %s UTC", stamp(n.LastSeen))
	}
	return s
}

// byGrade puts exceptions before the rule.
func byGrade(a, b Node) int {
	return cmp.Or(
		cmp.Compare(a.Grade(), b.Grade()),
		cmp.Compare(b.Report.Summary.Fail, a.Report.Summary.Fail),
		cmp.Compare(a.Report.Level.Number, b.Report.Level.Number),
		cmp.Compare(a.Cluster, b.Cluster),
		cmp.Compare(a.Name, b.Name),
	)
}

// gradeOf is the grade of a node that had this finding alone. What does not
// apply has none.
func gradeOf(f verify.Finding) (g grade, ok bool) {
	switch f.Verdict {
	case verify.Fail:
		if rank(f.Severity) <= rank(verify.High) {
			return bad, true
		}
		return poor, true
	case verify.Pass:
		return sound, true
	case verify.NotApplicable:
		return sound, false
	default:
		return open, true
	}
}

// mark and class are the sign and the style of a finding, those of its grade.
func mark(f verify.Finding) string {
	if g, ok := gradeOf(f); ok {
		return g.Mark()
	}
	return "–"
}

func class(f verify.Finding) string {
	if g, ok := gradeOf(f); ok {
		return g.Class()
	}
	return "aside"
}
