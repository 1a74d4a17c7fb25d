package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/collector"
	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

const (
	defaultListen = "127.0.0.1:8440"
	defaultDB     = ".seaworthy/seaworthy.db"
)

func newCollector() *cobra.Command {
	var listen, db string
	cmd := &cobra.Command{
		Use:   "collector",
		Short: "take reports in, keep them, judge them and show the fleet",
		Long: `Collector takes the reports of agents in, keeps them in one SQLite file, judges
the facts itself and shows the fleet. It answers /healthz when it is ready.`,
		Example: "  seaworthy collector --listen 127.0.0.1:8440 --db ./seaworthy.db",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			errOut := cmd.ErrOrStderr()
			ctx, stop := untilStopped(cmd.Context(), errOut)
			defer stop()
			s, err := serve(ctx, listen, db, false, slog.New(slog.NewTextHandler(errOut, nil)))
			if err != nil {
				return err
			}
			fmt.Fprintf(errOut, "collector at %s, reports in %s; Ctrl-C ends it\n", s.url, db)
			s.warn(errOut)
			select {
			case <-ctx.Done():
			case err = <-s.ended:
			}
			return errors.Join(err, s.close())
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultListen, "listen at `ADDR`")
	cmd.Flags().StringVar(&db, "db", defaultDB, "keep reports in the SQLite `FILE`")
	return cmd
}

// untilStopped is done at Ctrl-C or SIGTERM. A second one ends the program at
// once, as if nothing caught it.
func untilStopped(parent context.Context, errOut io.Writer) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			stop()
			fmt.Fprintln(errOut, "stopping; Ctrl-C again quits at once")
		case <-ended:
			stop()
		}
	}()
	return ctx, func() { close(ended) }
}

// service is a collector that listens.
type service struct {
	url    string
	addr   *net.TCPAddr
	http   *http.Server
	store  *store.Store
	server *collector.Server
	ended  chan error // why it no longer listens
}

// serve opens the database and answers at listen.
func serve(ctx context.Context, listen, db string, demo bool, log *slog.Logger) (_ *service, err error) {
	all, _, err := profiles.Load()
	if err != nil {
		return nil, err
	}
	st, err := store.Open(db)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	server, err := collector.New(collector.Config{
		Store: st, Checks: verify.Checks(), Profiles: all, Now: time.Now, Log: log, Demo: demo, Version: wire.BuildVersion(),
	})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, cannotListen(ctx, listen, err)
	}
	s := &service{store: st, server: server, ended: make(chan error, 1)}
	s.addr = l.Addr().(*net.TCPAddr) // what Listen answers for "tcp"
	s.url = "http://" + s.addr.String() + "/"
	if s.addr.IP.IsUnspecified() {
		s.url = fmt.Sprintf("http://localhost:%d/", s.addr.Port)
	}
	s.http = &http.Server{
		Handler:           server,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if err := st.Announce(s.url); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.ended <- fmt.Errorf("serving %s: %w", s.url, err)
		}
	}()
	return s, nil
}

// warn says so when more than this machine can reach the collector.
func (s *service) warn(errOut io.Writer) {
	if !s.addr.IP.IsLoopback() {
		fmt.Fprintf(errOut, "whoever reaches %s can read these pages and send reports: nobody is asked who they are yet\n", s.addr)
	}
}

// close lets the requests that run end, writes what came in and lets go of the
// database.
func (s *service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("waiting for the last requests: %w", errors.Join(err, s.http.Close()))
	}
	return errors.Join(err, s.store.Close())
}

// cannotListen says why an address cannot be had and what to do.
func cannotListen(ctx context.Context, listen string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listening at %q: %w; choose another address with --listen", listen, err)
	}
	who := "another program"
	if program := listenerAt(ctx, listen); program != "" {
		who = program
	}
	return fmt.Errorf("listening at %q: %s has that port; end it, or choose another with --listen (port 0 takes a free one)", listen, who)
}

// listenerAt is the program that listens at the port of an address, "" where
// this host does not tell.
func listenerAt(ctx context.Context, address string) string {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || !hasProc() {
		return ""
	}
	host, err := hostfs.Machine("/")
	if err != nil {
		return ""
	}
	listeners, _, missing := node.Listeners.Of(node.Gather(ctx, host, time.Now()))
	if missing != nil {
		return ""
	}
	for _, l := range listeners {
		if l.Port == tcp.Port && l.Program != "" {
			return l.Program
		}
	}
	return ""
}
