package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// upFlags are the flags of up.
type upFlags struct {
	serveFlags
	interval time.Duration
	demo     bool
}

func newUp() *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "try it: a collector and an agent for this host, in one process",
		Long: `Up starts a collector, scans this host, shows the findings and keeps reporting
until Ctrl-C. With --demo it shows recorded nodes instead: that needs no root
and no Linux.`,
		Example: "  sudo seaworthy up\n  seaworthy up --demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.interval < time.Second || flags.interval > wire.MaxInterval {
				return usagef("--interval %s: it is between 1s and %s", flags.interval, wire.MaxInterval)
			}
			out, errOut := cmd.OutOrStdout(), cmd.ErrOrStderr()
			if flags.demo {
				return upDemo(cmd.Context(), out, errOut, flags, cmd.Flags().Changed("db"))
			}
			return up(cmd.Context(), out, errOut, flags)
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.DurationVar(&flags.interval, "interval", wire.DefaultInterval, "scan every `TIME`")
	f.BoolVar(&flags.demo, "demo", false, "show recorded nodes instead of this host; without --db they are kept in a temporary file")
	return cmd
}

// trial is this host as `up` shows it.
type trial struct {
	out      io.Writer
	host     *node.Host
	checks   []verify.Check
	profiles []*profiles.Profile
	overlay  *profiles.Overlay
	url      string
	interval time.Duration

	last *verify.Report // nil before the first
	sent bool           // whether the collector has had a report
}

func up(parent context.Context, out, errOut io.Writer, flags upFlags) error {
	if !hasProc() {
		return errors.New("scanning this host: there is no /proc here; seaworthy up --demo shows recorded nodes")
	}
	host, err := hostfs.Machine("/")
	if err != nil {
		return err
	}
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	overlay, err := flags.site.load()
	if err != nil {
		return err
	}
	ctx, stop := untilStopped(parent, errOut)
	defer stop()
	fmt.Fprintf(out, "starting a collector: reports in %s, pages at %s\n", flags.db, flags.listen)
	s, err := serve(ctx, flags.serveFlags, nil, quiet(errOut))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "gathering the facts of this host")
	t := &trial{out: out, host: host, checks: verify.Checks(), profiles: all, overlay: overlay, url: s.url, interval: flags.interval}
	reporter := wire.Reporter{
		Gather: t.gather, Send: wire.Client{URL: s.url}.Send, Interval: flags.interval, Now: time.Now, Event: t.event,
	}
	if err := s.until(ctx, reporter.Run); err != nil {
		return err
	}
	fmt.Fprintf(out, "stopped; the reports stay in %s\n", flags.db)
	return nil
}

// quiet is the log of a collector that runs beside what is shown to a person.
func quiet(errOut io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// gather reads this host and shows the table, later only what changed.
func (t *trial) gather(ctx context.Context) wire.Report {
	at := time.Now().UTC()
	facts := node.Gather(ctx, t.host, at)
	report := wire.Report{
		Version: wire.Version, Cluster: wire.DefaultCluster, Agent: wire.BuildVersion(), Interval: t.interval, At: at, Facts: facts,
	}
	if id, _, missing := node.Identity.Of(facts); missing == nil {
		report.Node = id.Name
	}
	if ctx.Err() != nil { // cut short: what is missing says nothing
		return report
	}
	profile, _ := verify.Detect(facts, t.profiles)
	profile = profile.With(t.overlay, profiles.Where{Cluster: wire.DefaultCluster})
	r := verify.NewReport(wire.BuildVersion(), t.checks, facts, profile, at)
	s := styleOf(t.out, os.Getenv)
	if t.last == nil {
		table := table{style: s, profile: profile, checks: t.checks, settles: moreRights()}
		fmt.Fprintf(t.out, "\n%s\n", table.render(r))
	} else {
		for _, c := range verify.Changes(t.last.Findings, r.Findings) {
			fmt.Fprintf(t.out, "%s  %s\n", at.Format(time.TimeOnly), s.show(clean(c.String())))
		}
	}
	t.last = &r
	return report
}

// event shows what became of a report: the first time, and when there is trouble.
func (t *trial) event(e wire.Event) {
	switch {
	case e.Kind == wire.Sent && !t.sent:
		t.sent = true
		fmt.Fprintf(t.out, "the collector has the report: open %s\nscanning again every %s; Ctrl-C ends it\n", t.url, t.interval)
	case e.Kind == wire.Sent && e.Tries > 1:
		fmt.Fprintln(t.out, "the collector has the report")
	case e.Err != nil:
		fmt.Fprintf(t.out, "%s: %s\n", e.Kind, clean(e.Err.Error()))
	}
}
