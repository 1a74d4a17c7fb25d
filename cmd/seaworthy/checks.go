package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

func newChecks() *cobra.Command {
	var output, standard string
	cmd := &cobra.Command{
		Use:     "checks",
		Short:   "list every check",
		Example: "  seaworthy checks\n  seaworthy checks -o json\n  seaworthy checks --standard cis-kubernetes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if standard != "" {
				return listStandard(cmd.OutOrStdout(), output, standard, verify.Checks())
			}
			return listChecks(cmd.OutOrStdout(), output, verify.Checks())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table, json or markdown")
	cmd.Flags().StringVar(&standard, "standard", "", "show which checks stand behind each place of the standard `NAME`: cis-kubernetes or kubernetes-stig")
	complete(cmd, "output", "table", "json", "markdown")
	complete(cmd, "standard", "cis-kubernetes", "kubernetes-stig")
	return cmd
}

func listChecks(out io.Writer, output string, checks []verify.Check) error {
	switch output {
	case "table":
		s := styleOf(out, os.Getenv)
		_, err := io.WriteString(out, s.show(checksTable(checks, s)))
		return err
	case "json":
		return writeJSON(out, checksJSON(checks))
	case "markdown":
		all, _, err := profiles.Load()
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, checksMarkdown(checks, all))
		return err
	}
	return oneOf("-o", output, "table", "json", "markdown")
}

// checkJSON is one check in the list that `checks -o json` prints.
type checkJSON struct {
	ID       string          `json:"id"`
	Rev      int             `json:"rev"`
	Topic    verify.Topic    `json:"topic"`
	Title    string          `json:"title"`
	Severity verify.Severity `json:"severity"`
	Refs     []verify.Ref    `json:"refs"`
}

func checksJSON(checks []verify.Check) []checkJSON {
	out := make([]checkJSON, len(checks))
	for i, c := range checks {
		out[i] = checkJSON{c.ID, c.Rev, c.Topic, c.Title, c.Severity, append([]verify.Ref{}, c.Refs...)}
	}
	return out
}

// checksTable lists checks by topic, one a line.
func checksTable(checks []verify.Check, s style) string {
	ids := 0
	for _, c := range checks {
		ids = max(ids, length(c.ID))
	}
	var b strings.Builder
	for _, topic := range verify.Topics {
		these := of(topic, checks)
		if len(these) == 0 {
			continue
		}
		b.WriteString(s.paint(string(topic), bold) + "\n")
		for _, c := range these {
			head := "  " + pad(c.ID, ids) + "  " + pad(string(c.Severity), len(verify.Critical))
			indent, lead := length(head)+2, "  "
			if s.width-indent < 30 { // too narrow for a column: below the name
				indent, lead = 6, "\n      "
			}
			b.WriteString(head + lead + strings.Join(wrap(c.Title, s.width-indent), "\n"+strings.Repeat(" ", indent)) + "\n")
		}
	}
	fmt.Fprintf(&b, "\n%s; seaworthy explain ID says more of one\n", plural(len(checks), "check", "checks"))
	return b.String()
}

func of(topic verify.Topic, checks []verify.Check) []verify.Check {
	var out []verify.Check
	for _, c := range checks {
		if c.Topic == topic {
			out = append(out, c)
		}
	}
	return out
}

// checksMarkdown is docs/checks.md.
func checksMarkdown(checks []verify.Check, all []*profiles.Profile) string {
	var b strings.Builder
	b.WriteString("# Checks\n\nMade by `make docs` from the checks themselves; do not edit.\n\n")
	b.WriteString("| check | severity | it says |\n|---|---|---|\n")
	for _, topic := range verify.Topics {
		for _, c := range of(topic, checks) {
			fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", c.ID, c.ID, c.Severity, markdown(c.Title))
		}
	}
	for _, topic := range verify.Topics {
		for i, c := range of(topic, checks) {
			if i == 0 {
				fmt.Fprintf(&b, "\n## %s\n", topic)
			}
			fmt.Fprintf(&b, "\n### %s\n", c.ID)
			for _, part := range explanation(c, all) {
				switch {
				case part.title == "":
					fmt.Fprintf(&b, "\n%s\n", markdown(strings.Join(part.lines, "\n\n")))
				case part.names == nil:
					fmt.Fprintf(&b, "\n**%s.** %s\n", part.title, markdown(strings.Join(part.lines, " ")))
				default:
					fmt.Fprintf(&b, "\n**%s**\n\n", part.title)
					for i, line := range part.lines {
						fmt.Fprintf(&b, "- %s: %s\n", part.names[i], markdown(line))
					}
				}
			}
		}
	}
	return b.String()
}

// markdown escapes what Markdown or a cell of its tables would take for a sign.
func markdown(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;").Replace(text)
}
