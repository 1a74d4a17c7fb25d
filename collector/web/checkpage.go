package web

import (
	"io"
	"maps"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/verify"
)

// checkPage is the data of the page of one check.
type checkPage struct {
	verify.Check
	Answer   string
	Reads    []reading
	Remedies []remedyFor
	Shown    []verdictOn // failing, then unknown
	Rest     []verdictOn
	Left     int // of Shown and Rest, beyond the limit
}

type remedyFor struct{ OS, Remedy string }

// verdictOn is what the check came to on one node.
type verdictOn struct {
	Node    Node
	Finding verify.Finding
	Mark    string
	Class   string
}

// HasCheck reports whether there is a page of the check.
func (s *Site) HasCheck(id string) bool {
	_, ok := s.check(id)
	return ok
}

// Check draws the page of one check.
func (s *Site) Check(w io.Writer, id string, nodes []Node, at time.Time) error {
	c, _ := s.check(id)
	p := checkPage{Check: c}
	for _, source := range c.Judge.Reads() {
		p.Reads = append(p.Reads, reading{Source: source, Digest: docOf(source)})
	}
	for _, profile := range s.Profiles {
		p.Remedies = append(p.Remedies, remedyFor{profile.Title, remedy(c, profile.Name)})
	}
	p.Remedies = sameTogether(p.Remedies)
	t := tally{}
	for _, n := range slices.SortedFunc(slices.Values(nodes), byGrade) {
		for _, f := range n.Report.Findings {
			if f.Check != id {
				continue
			}
			t[f.Verdict]++
			v := verdictOn{n, f, mark(f), class(f)}
			switch {
			case len(p.Shown)+len(p.Rest) >= maxRows:
				p.Left++
			case f.Verdict == verify.Fail, f.Verdict == verify.Unknown:
				p.Shown = append(p.Shown, v)
			default:
				p.Rest = append(p.Rest, v)
			}
		}
	}
	slices.SortStableFunc(p.Shown, func(a, b verdictOn) int { return int(b.Finding.Verdict) - int(a.Finding.Verdict) })
	p.Answer = t.answer()
	return s.draw(w, "check", c.ID, "checks", at, p)
}

// sameTogether joins systems that have the same remedy.
func sameTogether(all []remedyFor) (out []remedyFor) {
	at := map[string]int{}
	for _, r := range all {
		if i, ok := at[r.Remedy]; ok {
			out[i].OS += ", " + r.OS
			continue
		}
		at[r.Remedy] = len(out)
		out = append(out, r)
	}
	return out
}

// tally counts nodes by verdict.
type tally map[verify.Verdict]int

func (t tally) answer() string {
	all := 0
	for _, n := range t {
		all += n
	}
	switch {
	case all == 0:
		return "No node has been judged by it yet."
	case t[verify.Fail] > 0 && t[verify.Unknown] > 0:
		return "It fails on " + number(t[verify.Fail]) + " of " + plural(all, "node", "nodes") + " and is unknown on " + number(t[verify.Unknown]) + "."
	case t[verify.Fail] > 0:
		return "It fails on " + number(t[verify.Fail]) + " of " + plural(all, "node", "nodes") + "."
	case t[verify.Unknown] > 0:
		return "It fails on no node, and is unknown on " + number(t[verify.Unknown]) + " of " + number(all) + "."
	}
	return "It fails on none of " + plural(all, "node", "nodes") + "."
}

// checksPage is the data of the list of checks.
type checksPage struct {
	Answer string
	Topics []topicOfChecks
}

type topicOfChecks struct {
	Name   verify.Topic
	Checks []countedCheck
}

type countedCheck struct {
	verify.Check
	Fail, Unknown, Pass, NotApplicable int
}

// CheckList draws the list of all checks.
func (s *Site) CheckList(w io.Writer, nodes []Node, at time.Time) error {
	tallies := map[string]tally{}
	for _, n := range nodes {
		for _, f := range n.Report.Findings {
			if tallies[f.Check] == nil {
				tallies[f.Check] = tally{}
			}
			tallies[f.Check][f.Verdict]++
		}
	}
	failing := 0
	for id := range maps.Keys(tallies) {
		if tallies[id][verify.Fail] > 0 {
			failing++
		}
	}
	var p checksPage
	switch {
	case failing == 0:
		p.Answer = plural(len(s.Checks), "check", "checks") + "; none fails on any node."
	case failing == 1:
		p.Answer = plural(len(s.Checks), "check", "checks") + "; 1 fails somewhere."
	default:
		p.Answer = plural(len(s.Checks), "check", "checks") + "; " + number(failing) + " fail somewhere."
	}
	for _, name := range verify.Topics {
		t := topicOfChecks{Name: name}
		for _, c := range s.Checks {
			if c.Topic == name {
				v := tallies[c.ID]
				t.Checks = append(t.Checks, countedCheck{c, v[verify.Fail], v[verify.Unknown], v[verify.Pass], v[verify.NotApplicable]})
			}
		}
		if len(t.Checks) > 0 {
			p.Topics = append(p.Topics, t)
		}
	}
	return s.draw(w, "checks", "Checks", "checks", at, p)
}
