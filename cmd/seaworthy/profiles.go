package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/profiles"
)

func newProfiles() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profiles",
		Short: "check a site overlay, or have one suggested",
		Long: `A site overlay is a YAML file that a team keeps in its own git. It declares what
is meant to be on nodes beyond what the vendor of the system puts there, each
with an owner, a reason and the day on which it has to be looked at again. It
never raises a level, and makes no pass of what is unknown.`,
		Example: "  seaworthy profiles check site.yaml\n  seaworthy profiles suggest --capture node-1.capture --capture node-2.capture",
		Args:    noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProfilesCheck(), newProfilesSuggest())
	return cmd
}

func newProfilesCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "list every mistake in a site overlay, with line and column",
		Long: `Check reads a site overlay and lists every mistake as FILE:LINE:COLUMN: what is
wrong. The exit code is 2 where there is one. What may be declared:

` + kindsText(),
		Example: "  seaworthy profiles check site.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkOverlay(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
}

func kindsText() string {
	text := ""
	for _, k := range profiles.Kinds() {
		text += fmt.Sprintf("  %-15s %s\n", k.Name, k.Doc)
	}
	return text + fmt.Sprintf("  %-15s %s", "sysctls", `NAME: "== X", ">= N" or "<= N" of a kernel parameter`)
}

func checkOverlay(out, errOut io.Writer, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the site overlay: %w", err)
	}
	o, err := profiles.ParseOverlay(b)
	var mistakes profiles.Mistakes
	switch {
	case errors.As(err, &mistakes):
		s := styleOf(errOut, os.Getenv)
		for _, m := range mistakes {
			fmt.Fprintf(errOut, "%s:%s\n", name, s.show(clean(m.String())))
		}
		return verdictError(exitUsage)
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "%s: %s, %s\n", name, o.Name, plural(len(o.Expectations), "expectation", "expectations"))
	return nil
}
