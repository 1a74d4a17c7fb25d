package test

import (
	"context"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// scanner does what an agent does at every interval.
type scanner struct {
	host     *node.Host
	checks   []verify.Check
	profiles []*profiles.Profile
	at       time.Time
}

func newScanner(host *node.Host) (*scanner, error) {
	all, _, err := profiles.Load()
	if err != nil {
		return nil, err
	}
	return &scanner{host, verify.Checks(), all, time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}, nil
}

// scan reads the node and judges what it read.
func (s *scanner) scan(ctx context.Context) verify.Report {
	facts := node.Gather(ctx, s.host, s.at)
	profile, _ := verify.Detect(facts, s.profiles)
	return verify.NewReport("test", s.checks, facts, profile, s.at)
}
