package collector

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// verdict is what the facts of one state came to.
type verdict struct {
	report verify.Report // without facts and name: nodes share it
	os     string        // in words
	kernel string        // release
	until  time.Time     // when it must be judged again, zero for never
}

// stateKey names all that a verdict depends on, beside profiles and checks,
// which do not change while the program runs.
type stateKey struct {
	state    store.State
	volatile string // only where a check reads a volatile fact
	cluster  string // only where a site overlay may tell clusters apart
}

// verdicts keeps the verdict of each distinct state: a fleet is many copies of
// few things, and each is judged once.
type verdicts struct {
	volatile bool // a check reads a volatile fact
	clusters bool // a site overlay may tell clusters apart

	mu   sync.Mutex // guards kept; judging itself goes on without it
	kept map[stateKey]verdict
}

func newVerdicts(checks []verify.Check, overlay *profiles.Overlay) *verdicts {
	v := &verdicts{kept: map[stateKey]verdict{}, clusters: overlay != nil}
	scopes := map[string]node.Scope{}
	for _, s := range node.Sources() {
		scopes[s.Info().Name] = s.Info().Scope
	}
	for _, c := range checks {
		v.volatile = v.volatile || slices.ContainsFunc(c.Judge.Reads(), func(source string) bool { return scopes[source] == node.Volatile })
	}
	return v
}

func (v *verdicts) key(n store.Node) stateKey {
	k := stateKey{state: n.State}
	if v.volatile {
		k.volatile = n.Volatile
	}
	if v.clusters {
		k.cluster = n.Cluster
	}
	return k
}

func (v *verdicts) find(k stateKey, at time.Time) (verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.kept[k]
	return found, ok && (found.until.IsZero() || at.Before(found.until))
}

func (v *verdicts) keep(k stateKey, found verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept[k] = found
}

// forget drops what no node is in any more.
func (v *verdicts) forget(current map[stateKey]bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k := range v.kept {
		if !current[k] {
			delete(v.kept, k)
		}
	}
}

// verdict judges the facts of a node, or remembers.
func (s *Server) verdict(d store.Detail, at time.Time) verdict {
	k := s.key(d.Node)
	if v, ok := s.find(k, at); ok {
		return v
	}
	v := s.judge(d.Facts, d.Cluster, at)
	s.keep(k, v)
	return v
}

// verdictOf is the verdict of a node whose facts are read only when they have
// to be judged.
func (s *Server) verdictOf(ctx context.Context, n store.Node, at time.Time) (verdict, error) {
	if v, ok := s.find(s.key(n), at); ok {
		return v, nil
	}
	d, err := s.Store.Node(ctx, n.Cluster, n.Name)
	if err != nil {
		return verdict{}, err
	}
	return s.verdict(d, at), nil
}

// judge judges facts. Whatever they are, there is an answer: what breaks has
// proven nothing.
func (s *Server) judge(facts node.Facts, cluster string, at time.Time) verdict {
	v := verdict{report: s.newReport(facts, cluster, at)}
	v.report.Facts = nil
	v.os = v.report.OS.ID + " " + v.report.OS.Version
	if os, _, missing := node.OS.Of(facts); missing != nil {
		v.os = "unknown"
	} else if pretty := os.Release["PRETTY_NAME"]; pretty != "" {
		v.os = pretty
	}
	if kernel, _, missing := node.Kernel.Of(facts); missing == nil {
		v.kernel = kernel.Release
	}
	for _, f := range v.report.Findings {
		if f.Until != nil && (v.until.IsZero() || f.Until.Before(v.until)) {
			v.until = *f.Until
		}
	}
	return v
}

// newReport makes the report. A node can claim facts that no source would
// make; where judging breaks on them, all of them count as missing.
func (s *Server) newReport(facts node.Facts, cluster string, at time.Time) (r verify.Report) {
	profile := s.detect(facts).With(s.Overlay, profiles.Where{Cluster: cluster})
	defer func() {
		if broke := recover(); broke != nil {
			reason := fmt.Sprintf("the facts cannot be judged: %v", broke)
			s.Log.Warn("judging broke", "err", reason)
			r = verify.NewReport(s.Version, s.Checks, allMissing(facts, reason), profile, at)
		}
	}()
	return verify.NewReport(s.Version, s.Checks, facts, profile, at)
}

func allMissing(facts node.Facts, reason string) node.Facts {
	out := node.Facts{}
	for source := range facts {
		out[source] = node.Fact{Missing: &node.Missing{Code: node.Malformed, Reason: reason}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}}
	}
	return out
}

// detect is the profile of facts, the generic one where nothing speaks for
// another.
func (s *Server) detect(facts node.Facts) (p *profiles.Profile) {
	defer func() {
		if recover() != nil || p == nil {
			p = s.generic
		}
	}()
	p, _ = verify.Detect(facts, s.Profiles)
	return p
}
