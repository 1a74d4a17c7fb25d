package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

func newSelftest() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "show that every check refutes a node that is damaged",
		Long: `Selftest replays nodes that ship with the program, damages each in one way and
shows that the check which is about that passes before and fails after. It asks
nothing of this host. The damaged nodes are drawn up by hand; the captures under
them were recorded in a laboratory or composed from published samples.

The exit code is 3 where a check did not refute its damaged node.`,
		Example: "  seaworthy selftest\n  seaworthy selftest -v",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return selftest(cmd.Context(), cmd.OutOrStdout(), verify.Checks(), demo.Damages(), verbose)
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show what each check says of the damaged node")
	return cmd
}

// refuteNothing are checks that no damage of a node makes fail, and why.
var refuteNothing = map[string]string{
	"image-attested":             "no quote of a TPM is read yet: it never applies",
	"kernel-branch-known":        "it passes where the release names its branch, and is unknown elsewhere",
	"kernel-patched":             "there is no kernel baseline yet: it is always unknown",
	"site-expectations-reviewed": "it is about a site overlay, not about a node",
}

func selftest(ctx context.Context, out io.Writer, checks []verify.Check, damages []demo.Damage, verbose bool) error {
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	s := styleOf(out, os.Getenv)
	refuted, missed := map[string]bool{}, 0
	for _, d := range damages {
		if ctx.Err() != nil {
			return fmt.Errorf("replaying damaged nodes: %w", context.Cause(ctx))
		}
		i := slices.IndexFunc(checks, func(c verify.Check) bool { return c.ID == d.Check })
		if i < 0 {
			return fmt.Errorf("replaying damaged nodes: there is no check %q", d.Check)
		}
		before, after, err := replay(ctx, d, checks[i], all)
		if err != nil {
			return err
		}
		good := before.Verdict == verify.Pass && after.Verdict == verify.Fail
		refuted[d.Check] = refuted[d.Check] || good
		mark := s.paint("refuted", green)
		if !good {
			missed++
			mark = s.paint("MISSED", red, bold)
		}
		fmt.Fprintf(out, "%s  %s: %s (%s)\n", mark, d.Check, s.show(clean(d.What)), d.Node)
		if verbose || !good {
			fmt.Fprintf(out, "         before: %s, %s\n         after: %s, %s\n", before.Verdict, s.show(clean(before.Reason)), after.Verdict, s.show(clean(after.Reason)))
		}
	}
	var never []string
	for _, c := range checks {
		switch why, known := refuteNothing[c.ID]; {
		case refuted[c.ID]:
		case known:
			fmt.Fprintf(out, "no damaged node  %s: %s\n", c.ID, why)
		default:
			never = append(never, c.ID)
		}
	}
	fmt.Fprintf(out, "\n%d of %s passed before the damage and failed after it\n", len(refuted), plural(len(checks), "check", "checks"))
	if len(never) > 0 {
		fmt.Fprintf(out, "without a damaged node, and it should have one: %s\n", strings.Join(never, ", "))
	}
	if missed > 0 || len(never) > 0 {
		return verdictError(exitFailed)
	}
	return nil
}

// replay is what one check says of a node before and after the damage.
func replay(ctx context.Context, d demo.Damage, check verify.Check, all []*profiles.Profile) (before, after verify.Finding, err error) {
	tape, err := demo.Tape(d.Node)
	if err != nil {
		return before, after, err
	}
	if d.Sound != nil {
		d.Sound(tape)
	}
	before = judgeOne(ctx, tape, check, all)
	d.Do(tape)
	return before, judgeOne(ctx, tape, check, all), nil
}

func judgeOne(ctx context.Context, tape *capture.Tape, check verify.Check, all []*profiles.Profile) verify.Finding {
	facts := node.Gather(ctx, tape.Host(), tape.Header.At)
	profile, _ := verify.Detect(facts, all)
	return verify.NewReport(wire.BuildVersion(), []verify.Check{check}, facts, profile, tape.Header.At).Findings[0]
}
