// Package collector takes reports in, keeps them, judges them, and answers for
// the fleet: as pages for people and as JSON for programs.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/collector/web"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// Config is what a collector is made of.
type Config struct {
	Store    *store.Store
	Checks   []verify.Check
	Profiles []*profiles.Profile // with the generic one
	Overlay  *profiles.Overlay   // of the site; nil for none
	Now      func() time.Time
	Log      *slog.Logger
	Demo     bool   // every page says that the nodes are recorded ones
	Version  string // of the program
	// Remote lets callers on other machines in. Callers are not identified yet:
	// whoever reaches the address may then read and report. Without it only
	// callers on this machine are answered.
	Remote bool
}

// Server is a collector. It is an http.Handler; [Server.Serve] runs it.
type Server struct {
	Config
	mux     *http.ServeMux
	site    *web.Site
	generic *profiles.Profile
	*verdicts
}

// New makes a collector.
func New(c Config) (*Server, error) {
	if err := verify.Validate(c.Checks); err != nil {
		return nil, fmt.Errorf("making a collector: %w", err)
	}
	i := slices.IndexFunc(c.Profiles, func(p *profiles.Profile) bool { return p.Name == profiles.Generic })
	if i < 0 {
		return nil, fmt.Errorf("making a collector: there is no profile %q", profiles.Generic)
	}
	s := &Server{
		Config: c, mux: http.NewServeMux(), generic: c.Profiles[i],
		site:     &web.Site{Checks: c.Checks, Profiles: c.Profiles, Demo: c.Demo, Version: c.Version},
		verdicts: newVerdicts(c.Checks, c.Overlay),
	}
	if err := s.site.Parse(); err != nil {
		return nil, fmt.Errorf("making a collector: %w", err)
	}
	for _, r := range routes {
		s.mux.Handle(r.pattern, s.guard(r))
	}
	return s, nil
}

// Limits of a connection. A report of 8 MiB takes half a minute over 2 Mbit/s.
const (
	headerTime  = 10 * time.Second
	readTime    = time.Minute
	writeTime   = time.Minute
	idleTime    = 2 * time.Minute
	maxHeader   = 32 << 10
	closingTime = 10 * time.Second
)

// Serve answers on l until ctx is done, and then ends what it has begun. It
// closes l, and leaves the store open.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTime)
	defer cancel()
	err := server.Shutdown(closing)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // whoever has not read its answer by now has not been promised anything
	}
	if err != nil {
		return fmt.Errorf("ending the service on %s: %w", l.Addr(), err)
	}
	return nil
}
