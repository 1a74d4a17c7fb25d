package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CHECK",
		Short:   "say what a check says, why it matters, how it is judged and how to put it right",
		Example: "  seaworthy explain image-read-only",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("explain takes the name of one check; seaworthy checks lists them")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var ids []cobra.Completion
			if len(args) == 0 {
				for _, c := range verify.Checks() {
					ids = append(ids, cobra.CompletionWithDesc(c.ID, c.Title))
				}
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			checks := verify.Checks()
			if err := known(args, checks); err != nil {
				return err
			}
			all, _, err := profiles.Load()
			if err != nil {
				return err
			}
			c := checks[slices.IndexFunc(checks, func(c verify.Check) bool { return c.ID == args[0] })]
			out := cmd.OutOrStdout()
			s := styleOf(out, os.Getenv)
			_, err = io.WriteString(out, s.show(explain(c, all, s)))
			return err
		},
	}
}

// part is one part of an explanation: a text, or lines with a name before each.
type part struct {
	title string
	names []string
	lines []string
}

// explanation is all that is known of a check.
func explanation(c verify.Check, all []*profiles.Profile) []part {
	parts := []part{
		{lines: []string{c.Title}},
		{lines: []string{fmt.Sprintf("%s, %s, revision %d", c.Topic, c.Severity, c.Rev)}},
		{title: "Why it matters", lines: []string{c.Help.Why}},
	}
	reads := part{title: "What it reads", names: c.Judge.Reads()}
	for _, name := range reads.names {
		reads.lines = append(reads.lines, sourceDoc(name))
	}
	parts = append(parts, reads, part{title: "How it is judged", lines: []string{c.Help.How}})
	parts = append(parts, onEachSystem(c, all), remedies(c, all))
	cites := part{title: "Evidence for"}
	for _, r := range c.Refs { // those of one standard share a line
		if i := slices.Index(cites.names, r.Standard); i >= 0 {
			cites.lines[i] += ", " + r.ID
		} else {
			cites.names = append(cites.names, r.Standard)
			cites.lines = append(cites.lines, r.ID)
		}
	}
	return append(parts, cites)
}

// sourceDoc is what a source says of itself.
func sourceDoc(name string) string {
	for _, s := range node.Sources() {
		if s.Info().Name == name {
			return s.Info().Doc
		}
	}
	return "a fact that no source gathers"
}

// onEachSystem says what profiles change about a check. Profiles that change
// nothing share a line.
func onEachSystem(c verify.Check, all []*profiles.Profile) part {
	p := part{title: "On each system"}
	var same []string
	for _, profile := range all {
		var says []string
		if s, ok := profile.Severities[c.ID]; ok {
			says = append(says, "severity "+s)
		}
		if words := profile.Words[c.ID]; words != "" {
			says = append(says, "not applicable where the facts prove it: "+words)
		}
		if profile.Ordinary && c.ImageOnly {
			says = append(says, "for container-optimized systems; shown as one line with others like it")
		}
		if says == nil {
			same = append(same, profile.Name)
			continue
		}
		p.names = append(p.names, profile.Name)
		p.lines = append(p.lines, strings.Join(says, "; "))
	}
	if same != nil {
		p.names = append(p.names, systems(same, all))
		p.lines = append(p.lines, "as above")
	}
	return p
}

// systems names profiles.
func systems(names []string, all []*profiles.Profile) string {
	if len(names) == len(all) {
		return "every system"
	}
	return strings.Join(names, ", ")
}

// remedies says how to put a failing check right on each system, and where no
// way is known. Systems with the same way share a line.
func remedies(c verify.Check, all []*profiles.Profile) part {
	p := part{title: "How to put it right"}
	var others []string
	for _, profile := range all {
		remedy := c.Help.Remedy[profile.Name]
		switch i := slices.Index(p.lines, remedy); {
		case remedy == "" || remedy == c.Help.Remedy[""]:
			others = append(others, profile.Name)
		case i >= 0:
			p.names[i] += ", " + profile.Name
		default:
			p.names = append(p.names, profile.Name)
			p.lines = append(p.lines, remedy)
		}
	}
	if others != nil {
		name := systems(others, all)
		p.names = append(p.names, name)
		p.lines = append(p.lines, cmp.Or(c.Help.Remedy[""], "no remedy known for "+strings.Join(others, ", ")))
	}
	return p
}

// explain shows the explanation of a check on a terminal.
func explain(c verify.Check, all []*profiles.Profile, s style) string {
	var b strings.Builder
	b.WriteString(s.paint(c.ID, bold) + "\n")
	width := min(s.width, pipeWidth)
	for _, part := range explanation(c, all) {
		if part.title != "" {
			b.WriteString("\n" + s.paint(part.title, bold) + "\n")
		}
		column := 0
		for _, name := range part.names {
			if n := length(name); n <= 24 {
				column = max(column, n)
			}
		}
		for i, line := range part.lines {
			head := "  "
			if part.names != nil {
				head += pad(part.names[i], column) + "  "
			}
			indent := 2
			if part.names != nil {
				indent += column + 2
			}
			if length(head) > indent {
				b.WriteString(strings.TrimRight(head, " ") + "\n")
				head = strings.Repeat(" ", indent)
			}
			b.WriteString(head + strings.Join(wrap(line, width-indent), "\n"+strings.Repeat(" ", indent)) + "\n")
		}
	}
	return b.String()
}
