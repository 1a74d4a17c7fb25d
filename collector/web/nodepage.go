package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/verify"
)

// nodePage is the data of the page of one node.
type nodePage struct {
	Node
	Grade  grade
	Answer string
	System string // its name and version
	Steps  []step
	Topics []topic
	Aside  []finding // checks that make no sense on this kind of host
	Facts  []fact
	Clock  string   // what is odd about the node's clock, or ""
	JSON   string   // the address of the report
	Made   []string // what its facts were made from, where it is composed
}

// step is one of the five that make the level.
type step struct {
	Number  int
	Name    string
	Check   string
	Mark    string
	Class   string
	Verdict string
	Reason  string
}

// steps are the checks of the five levels (DESIGN.md 5).
var steps = []struct{ name, check string }{
	{"read-only", "image-read-only"},
	{"image", "image-unwritable"},
	{"verified", "image-verified"},
	{"anchored", "image-anchored"},
	{"attested", "image-attested"},
}

// topic is the findings of one topic: what to look at, and the rest.
type topic struct {
	Name    verify.Topic
	Fail    int
	Unknown int
	Shown   []finding // failing and unknown, worst first
	Rest    []finding // passing and not applicable
}

type finding struct {
	verify.Finding
	Title  string
	Mark   string
	Class  string
	Remedy string // how to put it right here, where it fails
	Hidden int    // items beyond the limit
	Rests  []reading
	Also   []finding // those of the topic that are unknown for the same reason
}

// reading is a fact that a finding rests on.
type reading struct{ Source, Digest string }

// maxItems is how many items of a finding a page shows, maxGaps how many where
// they are what could not be read; the JSON has all.
const (
	maxItems = 50
	maxGaps  = 3
)

type fact struct {
	Name     string
	Doc      string
	Digest   string // "" for a volatile fact
	Missing  *node.Missing
	Gaps     []node.Gap
	Evidence []node.Evidence
	Value    string // as JSON, as much as fits
	Cut      bool
}

// maxValue is how much of a fact's JSON a page shows.
const maxValue = 16 << 10

// Node draws the page of one node.
func (s *Site) Node(w io.Writer, n Node, at time.Time) error {
	p := nodePage{
		Node: n, Grade: n.Grade(), Answer: nodeAnswer(n),
		System: s.system(n), Clock: clock(n),
		JSON: "/v1" + NodePath(n.Cluster, n.Name),
	}
	p.Note, p.Made = made(n.Note)
	p.Steps = levelSteps(n.Report)
	s.sortFindings(&p)
	for _, name := range slices.Sorted(maps.Keys(n.Report.Facts)) {
		p.Facts = append(p.Facts, shownFact(name, n.Report.Facts[name], n.Digests[name]))
	}
	return s.draw(w, "node", n.Name, "fleet", at, p)
}

// made takes a note apart: what it says, and what the node was made from.
func made(note string) (string, []string) {
	lines := strings.Split(strings.TrimSpace(note), "\n")
	return lines[0], lines[1:]
}

func nodeAnswer(n Node) string {
	var parts []string
	if c := n.Report.Summary.Fail; c > 0 {
		parts = append(parts, plural(c, "check fails", "checks fail"))
	}
	if c := n.Report.Summary.Unknown; c > 0 {
		parts = append(parts, plural(c, "is unknown", "are unknown"))
	}
	rest := strings.Join(parts, ", ")
	switch g := n.Grade(); {
	case g == silent && rest == "":
		return "It has stopped reporting; when it last did, every check that applies passed."
	case g == silent:
		return "It has stopped reporting; when it last did: " + rest + "."
	case g == sound:
		return "It is sound: every check that applies passes."
	case rest == "":
		return "Nothing has been judged."
	case n.Report.Summary.Fail > 0:
		return "It is not sound: " + rest + "."
	default:
		return "Nothing fails, and it is not proven sound: " + rest + "."
	}
}

// clock says when the node's clock is further off than a report is under way.
func clock(n Node) string {
	off := n.Gathered.Sub(n.LastSeen).Truncate(time.Second)
	switch {
	case off > time.Minute:
		return fmt.Sprintf("the node's clock is at least %s ahead of the collector's", off)
	case off < -max(10*time.Minute, 2*n.Interval):
		return fmt.Sprintf("that is %s before the report came in: the report was held up, or the node's clock is behind", -off)
	}
	return ""
}

func levelSteps(r verify.Report) []step {
	var out []step
	for i, st := range steps {
		s := step{Number: i + 1, Name: st.name, Check: st.check, Mark: grades[open].Mark, Class: "aside", Verdict: "not judged"}
		for _, f := range r.Findings {
			if f.Check == st.check {
				s.Mark, s.Class, s.Verdict, s.Reason = mark(f), class(f), f.Verdict.String(), f.Reason
			}
		}
		out = append(out, s)
	}
	return out
}

// sortFindings puts findings under their topics; topics with failures first.
func (s *Site) sortFindings(p *nodePage) {
	ordinary := s.profile(p.Report.Profile.Name).Ordinary
	topics := map[verify.Topic]*topic{}
	order := slices.Clone(verify.Topics)
	for _, f := range p.Report.Findings {
		shown := s.finding(p, f)
		if c, _ := s.check(f.Check); ordinary && c.ImageOnly {
			p.Aside = append(p.Aside, shown)
			continue
		}
		t := topics[f.Topic]
		if t == nil {
			t = &topic{Name: f.Topic}
			topics[f.Topic] = t
			if !slices.Contains(order, f.Topic) {
				order = append(order, f.Topic)
			}
		}
		switch f.Verdict {
		case verify.Fail:
			t.Fail++
			t.Shown = append(t.Shown, shown)
		case verify.Unknown:
			t.Unknown++
			t.Shown = append(t.Shown, shown)
		default:
			t.Rest = append(t.Rest, shown)
		}
	}
	for _, name := range order {
		if t := topics[name]; t != nil {
			slices.SortStableFunc(t.Shown, worstFirst)
			t.Shown = together(t.Shown)
			slices.SortStableFunc(t.Rest, func(a, b finding) int { return cmp.Compare(a.Verdict, b.Verdict) })
			p.Topics = append(p.Topics, *t)
		}
	}
	slices.SortStableFunc(p.Aside, worstFirst)
	slices.SortStableFunc(p.Topics, func(a, b topic) int {
		return cmp.Or(cmp.Compare(min(b.Fail, 1), min(a.Fail, 1)), cmp.Compare(min(b.Unknown, 1), min(a.Unknown, 1)))
	})
}

// together puts findings that are unknown for one reason under the first of them.
func together(findings []finding) (out []finding) {
	at := map[string]int{}
	for _, f := range findings {
		i, ok := at[f.Reason]
		switch {
		case f.Verdict != verify.Unknown:
		case ok:
			out[i].Also = append(out[i].Also, f)
			continue
		default:
			at[f.Reason] = len(out)
		}
		out = append(out, f)
	}
	return out
}

func worstFirst(a, b finding) int {
	failing := func(f finding) int {
		switch f.Verdict {
		case verify.Fail:
			return 0
		case verify.Unknown:
			return 1
		case verify.Pass, verify.NotApplicable:
		}
		return 2
	}
	return cmp.Or(cmp.Compare(failing(a), failing(b)), cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Check, b.Check))
}

func (s *Site) finding(p *nodePage, f verify.Finding) finding {
	c, _ := s.check(f.Check)
	out := finding{Finding: f, Title: c.Title, Mark: mark(f), Class: class(f)}
	if f.Verdict == verify.Fail {
		out.Remedy = cmp.Or(remedy(c, p.Report.Profile.Name), "No remedy is known for this system.")
	}
	most := maxItems
	if f.Verdict == verify.Unknown {
		most = maxGaps
	}
	if len(f.Items) > most {
		out.Items, out.Hidden = f.Items[:most], len(f.Items)-most
	}
	if list := ": " + strings.Join(f.Items, "; "); len(f.Items) > 1 {
		out.Reason = strings.TrimSuffix(f.Reason, list) // the items stand below
	}
	if len(f.Items) == 1 && f.Items[0] == f.Reason {
		out.Items = nil // it was said
	}
	for _, source := range f.Reads {
		out.Rests = append(out.Rests, reading{source, p.Digests[source]})
	}
	return out
}

// remedy is how to put a check right on the system of a profile.
func remedy(c verify.Check, profile string) string {
	if r, ok := c.Help.Remedy[profile]; ok {
		return sentence(r)
	}
	return sentence(c.Help.Remedy[""])
}

func shownFact(name string, f node.Fact, digest string) fact {
	out := fact{Name: name, Doc: docOf(name), Digest: digest, Missing: f.Missing, Gaps: f.Gaps, Evidence: f.Evidence}
	if f.Missing != nil {
		return out
	}
	b, err := json.MarshalIndent(f.Value, "", "  ")
	if err != nil {
		out.Value = err.Error()
		return out
	}
	if len(b) > maxValue {
		b, out.Cut = b[:maxValue], true
	}
	out.Value = strings.ToValidUTF8(string(b), "")
	return out
}
