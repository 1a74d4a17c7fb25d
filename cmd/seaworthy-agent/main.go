// Command seaworthy-agent reads the node it runs on and reports the facts to a
// collector. It opens no port, starts no program and writes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/node/systemd"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// stdout is the collector that reports are written to standard output for.
const stdout = "-"

// The exit codes.
const (
	exitGood  = 0
	exitBroke = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line says.
type options struct {
	collector     string
	interval      time.Duration
	root          string
	once          bool
	node, cluster string
	log           string
	systemd       bool
	debug         bool
	version       bool
}

const usage = `seaworthy-agent reads the node it runs on and reports to a collector.

  seaworthy-agent --collector http://collector.example:8440
  seaworthy-agent --collector - --once     what it would report, as JSON

It only reads: it opens no port, starts no program and writes nothing. What it
sees and what changed since also stands in its log, in words.

`

func run(args []string, out, errOut io.Writer) int {
	o, err := parse(args, out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		fmt.Fprintf(errOut, "seaworthy-agent: %v\nseaworthy-agent --help shows what there is\n", err)
		return exitUsage
	case o.version:
		fmt.Fprintln(out, "seaworthy-agent", wire.BuildVersion())
		return exitGood
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // a second signal ends the program at once
		<-ctx.Done()
		stop()
	}()
	if err := work(ctx, o, logger(o, errOut), out); err != nil {
		fmt.Fprintf(errOut, "seaworthy-agent: %v\n", err)
		return exitBroke
	}
	return exitGood
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("seaworthy-agent", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.collector, "collector", "", "report to the collector at `URL`; - writes the reports to standard output, a line of JSON each")
	f.DurationVar(&o.interval, "interval", wire.DefaultInterval, "report every `TIME`")
	f.StringVar(&o.root, "root", "/", "read the node whose / is mounted at `DIR`")
	f.BoolVar(&o.once, "once", false, "report once and end; exit 0 when the collector has acknowledged")
	f.StringVar(&o.node, "node", "", "report as `NAME` instead of the host's name")
	f.StringVar(&o.cluster, "cluster", wire.DefaultCluster, "report as a node of the cluster `NAME`")
	f.StringVar(&o.log, "log", "text", "log in `FORMAT`: text or json")
	f.BoolVar(&o.systemd, "systemd", false, "ask systemd through D-Bus what it has loaded: power over the host, for whoever may speak there as root")
	f.BoolVar(&o.debug, "debug", false, "log more")
	f.BoolVar(&o.version, "version", false, "print the version")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(out, usage)
			f.VisitAll(func(x *flag.Flag) {
				name, text := flag.UnquoteUsage(x)
				if x.DefValue != "" && x.DefValue != "false" {
					text += fmt.Sprintf(" (default %s)", x.DefValue)
				}
				fmt.Fprintf(out, "  %-20s %s\n", strings.TrimSpace("--"+x.Name+" "+name), text)
			})
		}
		return o, err
	}
	return o, o.check(f.Args())
}

// check refuses what cannot be meant.
func (o options) check(rest []string) error {
	if o.version {
		return nil
	}
	if len(rest) > 0 {
		return fmt.Errorf("there is nothing to do with %q", rest[0])
	}
	if o.collector == "" {
		return errors.New("--collector is missing: where should the reports go?")
	}
	if u, err := url.Parse(o.collector); o.collector != stdout && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("--collector %q: it is an address like https://collector.example:8440", o.collector)
	}
	if o.interval < time.Second || o.interval > wire.MaxInterval {
		return fmt.Errorf("--interval %s: it is between 1s and %s", o.interval, wire.MaxInterval)
	}
	if o.log != "text" && o.log != "json" {
		return fmt.Errorf("--log %q: it is text or json", o.log)
	}
	if err := wire.CheckName(o.cluster); err != nil {
		return fmt.Errorf("--cluster: %w", err)
	}
	if o.node != "" {
		if err := wire.CheckName(o.node); err != nil {
			return fmt.Errorf("--node: %w", err)
		}
	}
	return nil
}

func logger(o options, w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	h := &slog.HandlerOptions{Level: level}
	if o.log == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

// work reports until ctx is done, or once. Reports for standard output go to out.
func work(ctx context.Context, o options, log *slog.Logger, out io.Writer) error {
	host, err := hostfs.Machine(o.root)
	if err != nil {
		return err
	}
	if o.systemd {
		systemd.Ask(host, o.root)
	}
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	a := &agent{options: o, host: host, checks: verify.Checks(), profiles: all, log: log, now: time.Now}
	send := wire.Client{URL: o.collector}.Send
	if o.collector == stdout {
		send = a.write(out)
	}
	log.Info("started", "version", wire.BuildVersion(), "collector", o.collector, "interval", o.interval, "root", o.root, "systemd", o.systemd)
	if o.once {
		report := a.gather(ctx)
		if report.Node == "" {
			return errors.New("gathering facts: the host does not say its name; give it one with --node")
		}
		ack, err := send(ctx, report)
		if err != nil {
			return err
		}
		log.Info("the collector has the report", "received", ack.Received)
		return nil
	}
	r := wire.Reporter{Gather: a.gather, Send: send, Interval: o.interval, Now: time.Now, Event: a.event}
	r.Run(ctx)
	log.Info("stopped")
	return nil
}
