package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/profiles/standards"
	"github.com/seaworthy/seaworthy/verify"
)

// listStandard shows, place by place, which checks stand behind a standard.
func listStandard(out io.Writer, output, file string, checks []verify.Check) error {
	all, err := standards.Load()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range all {
		names = append(names, s.File)
		if s.File != file {
			continue
		}
		switch output {
		case "table":
			st := styleOf(out, os.Getenv)
			_, err := io.WriteString(out, st.show(standardTable(s, checks, st)))
			return err
		case "markdown":
			text, err := standardMarkdown(s, checks)
			if err != nil {
				return err
			}
			_, err = io.WriteString(out, text)
			return err
		}
		return oneOf("-o", output, "table", "markdown")
	}
	return usagef("--standard %q: there are %s", file, strings.Join(names, ", "))
}

// behind are the checks that cite one place of a standard.
func behind(standard, id string, checks []verify.Check) []verify.Check {
	var out []verify.Check
	for _, c := range checks {
		if slices.Contains(c.Refs, verify.Ref{Standard: standard, ID: id}) {
			out = append(out, c)
		}
	}
	return out
}

func standardTable(s standards.Standard, checks []verify.Check, st style) string {
	var b strings.Builder
	b.WriteString(st.paint(s.Title+" "+s.Edition, bold) + "\n")
	for _, item := range s.Items {
		fmt.Fprintf(&b, "%s  %s\n", item.ID, strings.Join(wrap(item.Subject, st.width-len(item.ID)-2), "\n"+strings.Repeat(" ", len(item.ID)+2)))
		these := behind(s.Name, item.ID, checks)
		for _, c := range these {
			fmt.Fprintf(&b, "    %s\n", c.ID)
		}
		if len(these) == 0 {
			fmt.Fprintf(&b, "    no check: %s\n", strings.Join(wrap(item.Without, st.width-14), "\n      "))
		}
	}
	return b.String()
}

// disposition is how a place stands on nodes of a system as shipped, in words.
func disposition(item standards.Item, system string) string {
	switch d, said := item.Systems[system]; {
	case item.Without != "":
		return "not judged"
	case !said:
		return "judged"
	case d.As == "none":
		return "does not apply: " + d.Why
	default:
		return d.As + ": " + d.Why
	}
}

// standardMarkdown is docs/standards/FILE.md.
func standardMarkdown(s standards.Standard, checks []verify.Check) (string, error) {
	all, _, err := profiles.Load()
	if err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(p *profiles.Profile) bool { return p.Ordinary })
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s\n\nMade by `make docs` from the checks and from profiles/standards/%s.yaml; do not edit.\nThe subjects are our own words, not the standard's. A check that passes is evidence for its place; whether that is enough is the assessor's to say.\n\n", s.Title, s.Edition, s.File)
	b.WriteString("For each system the table says how a node stands as its vendor ships it; \"judged\" where that depends on who sets the node up. The verdict on a node is that of its checks.\n\n")
	b.WriteString("| place | it is about | checks |")
	for _, p := range all {
		b.WriteString(" " + p.Title + " |")
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, item := range s.Items {
		var links []string
		for _, c := range behind(s.Name, item.ID, checks) {
			links = append(links, fmt.Sprintf("[%s](../checks.md#%s)", c.ID, c.ID))
		}
		if item.Without != "" {
			links = append(links, "none: "+item.Without)
		}
		subject := item.Subject
		if item.Form == "written" {
			subject += " (the form counts, not only the effect)"
		}
		if item.Note != "" {
			subject += "; " + item.Note
		}
		fmt.Fprintf(&b, "| %s | %s | %s |", item.ID, markdown(subject), strings.Join(links, "<br>"))
		for _, p := range all {
			b.WriteString(" " + markdown(disposition(item, p.Name)) + " |")
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}
