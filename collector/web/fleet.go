package web

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/verify"
)

// How much of a large fleet one page shows; exceptions come first, and the
// page says what it leaves out.
const (
	maxTasks = 4
	maxCells = 2000
	maxRows  = 500
)

// fleet is the data of the fleet page.
type fleet struct {
	Answer   string // the sentence that answers the question
	Nodes    int
	Self     string // the address of this collector
	Tasks    []task // the first of them
	More     []task // the rest
	Open     []task // what nothing can be said about
	Silent   []Node
	Clusters []cluster
	Hidden   int // cells that are not drawn
	Rows     []row
	Left     int // nodes that have no row
	Legend   []grade
}

// task is one thing to do: a check that fails, and on how many nodes.
type task struct {
	ID       string
	Title    string
	Severity verify.Severity
	Class    string
	Mark     string
	Nodes    int
	Example  string // the reason, where all nodes give the same one
}

type cluster struct {
	Name      string
	Cells     []Node
	Nodes     int
	Reporting int
	Sound     int
	Failing   int
	Unknown   int
	Lowest    verify.Level
}

type row struct {
	Node
	Grade  grade
	System string
}

// Fleet draws the page that answers whether the fleet is sound. Self is the
// address at which agents reach this collector.
func (s *Site) Fleet(w io.Writer, nodes []Node, self string, at time.Time) error {
	sorted := slices.SortedFunc(slices.Values(nodes), byGrade)
	f := fleet{Answer: answer(nodes), Nodes: len(nodes), Self: self, Legend: []grade{bad, poor, open, sound, silent}}
	f.Clusters, f.Hidden = clusters(sorted)
	for _, n := range sorted {
		if n.Silent {
			f.Silent = append(f.Silent, n)
		}
		if len(f.Rows) < maxRows {
			f.Rows = append(f.Rows, row{n, n.Grade(), s.system(n)})
		} else {
			f.Left++
		}
	}
	tasks := s.tasks(nodes, verify.Fail)
	f.Tasks, f.More = tasks[:min(len(tasks), maxTasks)], tasks[min(len(tasks), maxTasks):]
	f.Open = s.tasks(nodes, verify.Unknown)
	return s.draw(w, "fleet", "Fleet", "fleet", at, f)
}

// answer says in one sentence how the fleet is.
func answer(nodes []Node) string {
	counts := map[grade]int{}
	for _, n := range nodes {
		counts[n.Grade()]++
	}
	all := len(nodes)
	reporting := all - counts[silent]
	if all == 0 {
		return "No node has reported yet."
	}
	verb := "report"
	if reporting == 1 || all == 1 {
		verb = "reports"
	}
	text := fmt.Sprintf("%s of %s %s", number(reporting), plural(all, "node", "nodes"), verb)
	if counts[sound] == all {
		if all == 1 {
			return text + " and is sound."
		}
		return text + "; all are sound."
	}
	is := func(n int, singular, rest string) string {
		if n == 1 {
			return "1 " + singular
		}
		return number(n) + " " + rest
	}
	parts := []string{is(counts[sound], "is sound", "are sound")}
	if counts[sound] == 0 {
		parts[0] = "none is sound"
	}
	if n := counts[bad] + counts[poor]; n > 0 {
		parts = append(parts, is(n, "fails a check", "fail a check"))
	}
	if n := counts[open]; n > 0 {
		parts = append(parts, is(n, "has something unknown", "have something unknown"))
	}
	return text + "; " + strings.Join(parts, ", ") + "."
}

// tasks are the checks that have the verdict on some node, worst first. Silent
// nodes count as well: what failed when they last reported is still to do.
func (s *Site) tasks(nodes []Node, verdict verify.Verdict) []task {
	found := map[string]*task{}
	for _, n := range nodes {
		for _, f := range n.Report.Findings {
			if f.Verdict != verdict {
				continue
			}
			t := found[f.Check]
			if t == nil {
				c, _ := s.check(f.Check)
				t = &task{ID: f.Check, Title: c.Title, Severity: f.Severity, Example: f.Reason}
				found[f.Check] = t
			}
			t.Nodes++
			if t.Example != f.Reason {
				t.Example = ""
			}
			if rank(f.Severity) <= rank(t.Severity) {
				t.Severity, t.Class, t.Mark = f.Severity, class(f), mark(f)
			}
		}
	}
	var out []task
	for _, id := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[id])
	}
	slices.SortStableFunc(out, func(a, b task) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(b.Nodes, a.Nodes))
	})
	return out
}

// clusters groups nodes that are sorted by grade. Cells beyond the limit are
// counted and not drawn.
func clusters(sorted []Node) (out []cluster, hidden int) {
	found := map[string]*cluster{}
	drawn := 0
	for _, n := range sorted {
		c := found[n.Cluster]
		if c == nil {
			c = &cluster{Name: n.Cluster, Lowest: n.Report.Level}
			found[n.Cluster] = c
		}
		c.Nodes++
		switch n.Grade() {
		case sound:
			c.Sound++
		case bad, poor:
			c.Failing++
		case open:
			c.Unknown++
		case silent: // what it last said counts for nothing
		}
		if !n.Silent {
			c.Reporting++
		}
		if n.Report.Level.Number < c.Lowest.Number {
			c.Lowest = n.Report.Level
		}
		if drawn < maxCells {
			c.Cells = append(c.Cells, n)
			drawn++
		} else {
			hidden++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[name])
	}
	return out, hidden
}
