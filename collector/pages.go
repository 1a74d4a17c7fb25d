package collector

import (
	"context"
	"net/http"
	"time"

	"github.com/seaworthy/seaworthy/collector/web"
)

func (s *Server) fleetPage(w http.ResponseWriter, r *http.Request) error {
	return s.pageOfFleet(w, r, func(nodes []web.Node, at time.Time) error {
		self := "http://" + r.Host
		if r.TLS != nil {
			self = "https://" + r.Host
		}
		return s.site.Fleet(w, nodes, self, at)
	})
}

func (s *Server) checksPage(w http.ResponseWriter, r *http.Request) error {
	return s.pageOfFleet(w, r, func(nodes []web.Node, at time.Time) error { return s.site.CheckList(w, nodes, at) })
}

func (s *Server) checkPage(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !s.site.HasCheck(id) {
		return refusal(http.StatusNotFound, "there is no check %q", id)
	}
	return s.pageOfFleet(w, r, func(nodes []web.Node, at time.Time) error { return s.site.Check(w, id, nodes, at) })
}

func (s *Server) pageOfFleet(w http.ResponseWriter, r *http.Request, draw func([]web.Node, time.Time) error) error {
	at := s.Now()
	nodes, err := s.webNodes(r.Context(), at)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return draw(nodes, at)
}

func (s *Server) webNodes(ctx context.Context, at time.Time) ([]web.Node, error) {
	all, err := s.fleet(ctx, at)
	if err != nil {
		return nil, err
	}
	nodes := make([]web.Node, len(all))
	for i, n := range all {
		nodes[i] = webNode(n, at)
	}
	return nodes, nil
}

func webNode(n judged, at time.Time) web.Node {
	return web.Node{
		Cluster: n.Cluster, Name: n.Name, Origin: n.Origin.Kind, Note: n.Origin.Note, Agent: n.Agent, Interval: n.Interval,
		FirstSeen: n.FirstSeen, LastSeen: n.LastSeen, Gathered: n.Gathered, Silent: n.Silent(at),
		OS: n.os, Kernel: n.kernel, Report: n.report,
	}
}

func (s *Server) nodePage(w http.ResponseWriter, r *http.Request) error {
	at := s.Now()
	d, report, v, err := s.detail(r, at)
	if err != nil {
		return err
	}
	n := webNode(judged{d.Node, v}, at)
	n.Report, n.Digests = report, d.Digests
	for _, span := range d.History {
		n.History = append(n.History, web.Span{Cohort: span.State.Cohort, Node: span.State.Node, Since: span.Since, Until: span.Until})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return s.site.Node(w, n, at)
}

func (s *Server) style(w http.ResponseWriter, _ *http.Request) error {
	return asset(w, "text/css; charset=utf-8", web.Style)
}

func (s *Server) icon(w http.ResponseWriter, _ *http.Request) error {
	return asset(w, "image/svg+xml", web.Icon)
}

// asset sends what is the same for all and may be kept for a while.
func asset(w http.ResponseWriter, kind string, b []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(b) // a caller that is gone needs no answer
	return nil
}
