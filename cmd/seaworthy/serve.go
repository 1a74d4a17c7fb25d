package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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

// serveFlags are the flags of all commands that start a collector.
type serveFlags struct {
	listen, db string
	remote     bool
	site       siteFlags
}

func (f *serveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.listen, "listen", defaultListen, "listen at `ADDR`")
	cmd.Flags().StringVar(&f.db, "db", defaultDB, "keep reports in the SQLite `FILE`")
	f.site.add(cmd)
	cmd.Flags().BoolVar(&f.remote, "remote", false, "answer other machines too: nobody is asked who they are yet, so whoever reaches ADDR can read and report")
}

func newCollector() *cobra.Command {
	var flags serveFlags
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
			s, err := serve(ctx, flags, nil, slog.New(slog.NewTextHandler(errOut, nil)))
			if err != nil {
				return err
			}
			fmt.Fprintf(errOut, "collector at %s, reports in %s; Ctrl-C ends it\n", s.url, flags.db)
			return s.until(ctx, func(ctx context.Context) { <-ctx.Done() })
		},
	}
	flags.add(cmd)
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

// service is a collector that answers.
type service struct {
	url   string
	store *store.Store
	stop  context.CancelFunc
	ended chan error // why it no longer answers
}

// serve opens the database and answers until the service is closed. For a demo,
// load fills the database before anybody is answered; otherwise it is nil.
func serve(ctx context.Context, flags serveFlags, load func(*store.Store) error, log *slog.Logger) (_ *service, err error) {
	all, _, err := profiles.Load()
	if err != nil {
		return nil, err
	}
	overlay, err := flags.site.load()
	if err != nil {
		return nil, err
	}
	st, err := store.Open(flags.db)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	if load != nil {
		if err := load(st); err != nil {
			return nil, err
		}
	}
	server, err := collector.New(collector.Config{
		Store: st, Checks: verify.Checks(), Profiles: all, Overlay: overlay, Now: time.Now, Log: log, Demo: load != nil, Version: wire.BuildVersion(), Remote: flags.remote,
	})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", flags.listen)
	if err != nil {
		return nil, cannotListen(ctx, flags.listen, err)
	}
	addr := l.Addr().(*net.TCPAddr) // what Listen answers for "tcp"
	if !addr.IP.IsLoopback() && !flags.remote {
		return nil, errors.Join(usagef("--listen %s is open to other machines, and nobody is asked who they are yet: --remote says that this is meant", flags.listen), l.Close())
	}
	s := &service{url: "http://" + addr.String() + "/", store: st, ended: make(chan error, 1)}
	if addr.IP.IsUnspecified() {
		s.url = fmt.Sprintf("http://localhost:%d/", addr.Port)
	}
	if err := st.Announce(s.url); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// Stopping must not end the answers at once: a last report is still to come.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { s.ended <- server.Serve(serving, l) }()
	return s, nil
}

// until runs work until ctx is done or the collector breaks, and then closes it.
func (s *service) until(ctx context.Context, work func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		work(ctx)
	}()
	select {
	case <-ctx.Done():
		<-worked
		return s.close()
	case err := <-s.ended: // nothing can be reported any more
		cancel()
		<-worked
		return errors.Join(err, s.store.Close())
	}
}

// close lets the requests that run end, writes what came in and lets go of the
// database.
func (s *service) close() error {
	s.stop()
	return errors.Join(<-s.ended, s.store.Close())
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
