package collector

import (
	"context"
	"net/http"
	"time"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/verify"
)

// nodeLine is one node in the JSON list. Its keys are an interface.
type nodeLine struct {
	Cluster   string            `json:"cluster"`
	Name      string            `json:"name"`
	OS        verify.OSRef      `json:"os"`
	Profile   verify.ProfileRef `json:"profile"`
	Level     levelLine         `json:"level"`
	Summary   verify.Summary    `json:"summary"`
	FirstSeen time.Time         `json:"firstSeen"`
	LastSeen  time.Time         `json:"lastSeen"`
	State     string            `json:"state"` // "reporting" or "silent"
	Origin    wire.Origin       `json:"origin,omitzero"`
}

type levelLine struct {
	Number  int    `json:"number"`
	Claimed int    `json:"claimed"`
	Name    string `json:"name"`
}

// nodeReport is one node in full: its report and what the collector knows
// beside it. Its keys are an interface.
type nodeReport struct {
	verify.Report
	Presence presence   `json:"presence"`
	History  []spanLine `json:"history"` // newest first
}

type presence struct {
	Cluster   string      `json:"cluster"`
	State     string      `json:"state"` // "reporting" or "silent"
	FirstSeen time.Time   `json:"firstSeen"`
	LastSeen  time.Time   `json:"lastSeen"`
	Interval  string      `json:"interval"`        // that the agent promised: "1m0s"
	Agent     string      `json:"agent"`           // version, as it says
	Gathered  time.Time   `json:"gathered"`        // when the facts were read, by the node's clock
	Origin    wire.Origin `json:"origin,omitzero"` // where they are from, where that is no live node
}

type spanLine struct {
	Cohort string     `json:"cohort"` // digest of the cohort facts
	Node   string     `json:"node"`   // digest of the node's own
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until,omitempty"` // absent while it lasts
}

func stateOf(n store.Node, at time.Time) string {
	if n.Silent(at) {
		return "silent"
	}
	return "reporting"
}

// judged is a node with its verdict.
type judged struct {
	store.Node
	verdict
}

// fleet is every node with its verdict, by cluster and name.
func (s *Server) fleet(ctx context.Context, at time.Time) ([]judged, error) {
	known, err := s.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]judged, 0, len(known))
	current := map[stateKey]bool{}
	for _, n := range known {
		v, err := s.verdictOf(ctx, n, at)
		if err != nil {
			return nil, err
		}
		current[s.key(n)] = true
		all = append(all, judged{n, v})
	}
	s.forget(current)
	return all, nil
}

func (s *Server) listNodes(w http.ResponseWriter, r *http.Request) error {
	at := s.Now()
	all, err := s.fleet(r.Context(), at)
	if err != nil {
		return err
	}
	lines := make([]nodeLine, len(all))
	for i, n := range all {
		level := n.report.Level
		lines[i] = nodeLine{
			n.Cluster, n.Name, n.report.OS, n.report.Profile, levelLine{level.Number, level.Claimed, level.Name}, n.report.Summary,
			n.FirstSeen, n.LastSeen, stateOf(n.Node, at), n.Origin,
		}
	}
	return writeJSON(w, http.StatusOK, lines)
}

func (s *Server) getNode(w http.ResponseWriter, r *http.Request) error {
	at := s.Now()
	d, report, _, err := s.detail(r, at)
	if err != nil {
		return err
	}
	answer := nodeReport{Report: report, History: []spanLine{}, Presence: presence{
		d.Cluster, stateOf(d.Node, at), d.FirstSeen, d.LastSeen, d.Interval.String(), d.Agent, d.Gathered, d.Origin,
	}}
	for _, span := range d.History {
		line := spanLine{Cohort: span.State.Cohort, Node: span.State.Node, Since: span.Since}
		if !span.Until.IsZero() {
			line.Until = &span.Until
		}
		answer.History = append(answer.History, line)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// detail is the node that a request names, with its own report.
func (s *Server) detail(r *http.Request, at time.Time) (store.Detail, verify.Report, verdict, error) {
	d, err := s.Store.Node(r.Context(), r.PathValue("cluster"), r.PathValue("name"))
	if err != nil {
		return d, verify.Report{}, verdict{}, err
	}
	v := s.verdict(d, at)
	report := v.report
	report.Node, report.Facts = d.Name, d.Facts
	return d, report, v, nil
}

// health answers "ok" when reports can be taken and read.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if err := s.Store.Ready(r.Context()); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // a caller that is gone needs no answer
	return nil
}
