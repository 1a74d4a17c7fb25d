package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/node/systemd"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	root, capture, profile, output, at string
	only                               []string
	verbose, systemd                   bool
	deep                               deepFlags
	site                               siteFlags
}

func newScan() *cobra.Command {
	var flags scanFlags
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "scan this host, a file tree laid out like one, or a capture",
		Long: `Scan reads the facts of a host, judges them and shows the findings, what failed
first. It only reads. Without root some facts cannot be read: their checks are
unknown, and the last line says so.

With --deep it also reads every block of the verified image from its disk, which is
the only way to know that no block is bad that nobody has read yet.

The exit code is 3 where a check failed and 4 where none failed but one is
unknown.`,
		Example: "  sudo seaworthy scan\n  sudo seaworthy scan --overlay site.yaml --pool gpu\n  sudo seaworthy scan --deep --deep-limit 50MiB/s --only image-content-intact",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return scan(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.root, "root", "", "scan the file tree at `DIR`, which is laid out like a host")
	f.StringVar(&flags.capture, "capture", "", "scan what is recorded in `FILE`")
	f.StringVar(&flags.profile, "profile", "", "judge by the profile `NAME` instead of the one that fits")
	f.StringVarP(&flags.output, "output", "o", "table", "`FORMAT`: table, json or plain (one line a finding, parted by tabs)")
	f.StringSliceVar(&flags.only, "only", nil, "show only the checks `ID,...`")
	f.StringVar(&flags.at, "at", "", "judge as of `DATE` (2026-11-25 or RFC 3339); otherwise now, or the time of the capture")
	f.BoolVar(&flags.systemd, "systemd", false, systemdHelp)
	flags.deep.add(cmd)
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "show passes, and the items and facts of each finding")
	flags.site.add(cmd)
	flags.site.addWhere(cmd)
	complete(cmd, "output", "table", "json", "plain")
	return cmd
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this file
	}
}

func scan(ctx context.Context, out, errOut io.Writer, flags scanFlags) error {
	if err := oneOf("-o", flags.output, "table", "json", "plain"); err != nil {
		return err
	}
	if flags.root != "" && flags.capture != "" {
		return usagef("--root and --capture exclude each other")
	}
	if flags.systemd && flags.capture != "" {
		return usagef("--systemd asks this host: it does not go with --capture")
	}
	if flags.deep.deep && (flags.capture != "" || flags.root != "") {
		return usagef("--deep reads the disks of this host: it does not go with --capture or --root")
	}
	checks := verify.Checks()
	if err := known(flags.only, checks); err != nil {
		return err
	}
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	var profile *profiles.Profile
	if flags.profile != "" {
		if profile, err = profileNamed(flags.profile, all); err != nil {
			return err
		}
	}
	var at time.Time
	if flags.at != "" {
		if at, err = parseDate(flags.at); err != nil {
			return err
		}
	}
	overlay, err := flags.site.load()
	if err != nil {
		return err
	}
	host, recorded, err := flags.host()
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = recorded
	}

	facts, err := flags.gather(ctx, host, at, errOut)
	if err != nil {
		return err
	}
	if profile == nil {
		profile, _ = verify.Detect(facts, all)
	}
	profile = profile.With(overlay, flags.site.where())
	report := verify.NewReport(wire.BuildVersion(), checks, facts, profile, at)
	if len(flags.only) > 0 {
		report = report.Only(flags.only...)
	}
	if err := flags.write(out, report, profile, checks); err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	return outcome(report)
}

// gather reads the facts. A reading of the whole image can be interrupted, which
// ends the scan.
func (flags scanFlags) gather(ctx context.Context, host *node.Host, at time.Time, errOut io.Writer) (node.Facts, error) {
	if flags.deep.deep {
		var stop context.CancelFunc
		ctx, stop = interruptible(ctx)
		defer stop()
	}
	p, err := flags.deep.ask(ctx, host, errOut)
	if err != nil {
		return nil, err
	}
	facts := node.Gather(ctx, host, at)
	p.end()
	if ctx.Err() != nil {
		return nil, verdictError(exitInterrupted)
	}
	return facts, nil
}

// host is what the flags ask to scan, and the time to judge it by.
func (flags scanFlags) host() (*node.Host, time.Time, error) {
	if flags.capture != "" {
		tape, err := readCapture(flags.capture)
		if err != nil {
			return nil, time.Time{}, err
		}
		return tape.Host(), tape.Header.At, nil
	}
	host, err := openHost(flags.root, flags.systemd)
	return host, time.Now(), err
}

// systemdHelp is the text of the flag --systemd.
const systemdHelp = "ask systemd through D-Bus what it has loaded; whoever may speak there as root has power over the host, so that by default nobody is asked"

// openHost is the tree at root, or this machine where root is empty, whose
// systemd may be asked.
func openHost(root string, askSystemd bool) (*node.Host, error) {
	if root != "" {
		if askSystemd {
			return nil, usagef("--systemd asks this host: it does not go with --root")
		}
		return hostfs.Tree(root)
	}
	if !hasProc() {
		return nil, errors.New("scanning this host: there is no /proc here; scan a capture taken on a node (--capture FILE) or a file tree laid out like one (--root DIR)")
	}
	host, err := hostfs.Machine("/")
	if err == nil && askSystemd {
		systemd.Ask(host, "/")
	}
	return host, err
}

// hasProc reports whether this system has the files that sources read.
func hasProc() bool {
	_, err := os.Stat("/proc/self/mountinfo")
	return err == nil
}

func readCapture(name string) (*capture.Tape, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the capture: %w", err)
	}
	defer f.Close()
	tape, err := capture.Read(f)
	if err != nil {
		return nil, fmt.Errorf("reading the capture %q: %w", name, err)
	}
	return tape, nil
}

func (flags scanFlags) write(out io.Writer, r verify.Report, profile *profiles.Profile, checks []verify.Check) error {
	var text string
	switch flags.output {
	case "json":
		return writeJSON(out, r)
	case "plain":
		text = plain(r)
	default:
		t := table{style: styleOf(out, os.Getenv), profile: profile, checks: checks, verbose: flags.verbose, settles: moreRights()}
		t.every = len(flags.only) > 0 // who names checks wants to see them
		if flags.capture != "" {
			t.settles = "a capture taken with all rights"
		}
		text = t.render(r)
	}
	_, err := io.WriteString(out, text)
	return err
}

// moreRights is what would let this program see more.
func moreRights() string {
	if os.Geteuid() == 0 {
		return "a root that nothing confines"
	}
	return "sudo"
}

// writeJSON writes v indented, with <, > and & as they are.
func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// outcome is the exit code that a report calls for.
func outcome(r verify.Report) error {
	switch {
	case r.Summary.Fail > 0:
		return verdictError(exitFailed)
	case r.Summary.Unknown > 0:
		return verdictError(exitUnknown)
	}
	return nil
}

// oneOf refuses a value that is not in the list.
func oneOf(what, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return usagef("%s %q: it is one of %s", what, value, strings.Join(values, ", "))
}

// known refuses the first id that no check has and names the one most like it.
func known(ids []string, checks []verify.Check) error {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.ID
	}
	for _, id := range ids {
		if !slices.Contains(names, id) {
			return usagef("no check is called %q%s", id, meant(id, names))
		}
	}
	return nil
}

// meant asks whether the nearest name was meant.
func meant(word string, names []string) string {
	if near := nearest(word, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func profileNamed(name string, all []*profiles.Profile) (*profiles.Profile, error) {
	names := make([]string, len(all))
	for i, p := range all {
		if names[i] = p.Name; p.Name == name {
			return p, nil
		}
	}
	return nil, usagef("no profile is called %q: there are %s", name, strings.Join(names, ", "))
}

// parseDate reads a day or a moment, in UTC where it does not say.
func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usagef("--at %q: it is a date like 2026-11-25 or a time like 2026-11-25T03:00:00Z", text)
}
