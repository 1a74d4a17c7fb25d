package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

func newProfilesSuggest() *cobra.Command {
	var captures []string
	var overlay string
	cmd := &cobra.Command{
		Use:   "suggest",
		Short: "suggest expectations for a site overlay from captures of sound nodes",
		Long: `Suggest reads captures of nodes that are known to be sound and prints, as a diff
of the overlay file, what all of them show beyond the vendor's profile. Owner,
reason and review date are left empty: somebody has to answer for each, and
seaworthy profiles check refuses the file until they are there. Nothing is
written.

What only some of the nodes show is listed on standard error and not suggested.
A node that is not sound is refused: what it shows may be what is wrong with it.`,
		Example: "  seaworthy profiles suggest --capture node-1.capture --capture node-2.capture\n  seaworthy profiles suggest --overlay site.yaml --capture node-3.capture | git apply",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(captures) == 0 {
				return usagef("--capture is missing: take one on a sound node with seaworthy capture -w FILE")
			}
			return suggest(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), captures, overlay)
		},
	}
	cmd.Flags().StringArrayVar(&captures, "capture", nil, "look at what is recorded in `FILE`; once for each node")
	cmd.Flags().StringVar(&overlay, "overlay", "", "suggest what the site overlay in `FILE` does not declare yet")
	return cmd
}

// suggestion is one place that nodes of a profile show.
type suggestion struct {
	profile, kind string
	place         profiles.Place
	nodes         []string // that show it
}

func suggest(ctx context.Context, out, errOut io.Writer, captures []string, name string) error {
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	var overlay *profiles.Overlay
	if name != "" {
		if overlay, err = readOverlay(name); err != nil {
			return err
		}
	}
	var found []*suggestion
	nodes := map[string]int{} // by profile
	for _, file := range captures {
		tape, err := readCapture(file)
		if err != nil {
			return err
		}
		facts := node.Gather(ctx, tape.Host(), tape.Header.At)
		vendor, _ := verify.Detect(facts, all)
		profile := vendor.With(overlay, profiles.Where{})
		if why := unsound(verify.NewReport(wire.BuildVersion(), verify.Checks(), facts, profile, tape.Header.At)); why != "" {
			return fmt.Errorf("suggesting from %q: the node is not sound: %s", file, why)
		}
		nodes[profile.Name]++
		for kind, places := range verify.Beyond(facts, profile) {
			for _, place := range places {
				i := slices.IndexFunc(found, func(s *suggestion) bool {
					return s.profile == profile.Name && s.kind == kind && s.place == place
				})
				if i < 0 {
					i, found = len(found), append(found, &suggestion{profile: profile.Name, kind: kind, place: place})
				}
				found[i].nodes = append(found[i].nodes, file)
			}
		}
	}
	s := styleOf(errOut, os.Getenv)
	common := slices.DeleteFunc(slices.Clone(found), func(x *suggestion) bool {
		some := len(x.nodes) < nodes[x.profile]
		if some {
			fmt.Fprintf(errOut, "not suggested, as only %s of %d %s nodes show it: %s %s\n", s.show(clean(strings.Join(x.nodes, ", "))), nodes[x.profile], x.profile, x.kind, s.show(clean(placeText(x.place))))
		}
		return some
	})
	if len(common) == 0 {
		fmt.Fprintln(errOut, "these nodes show nothing beyond what the profile and the overlay declare")
		return nil
	}
	text, err := overlayDiff(name, common)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

// settled are checks that fail by what an overlay can declare.
var settled = []string{"processes-from-image", "mappings-from-image", "runtime-socket-unreached"}

// unsound says why nothing is to be learnt from a node, or "".
func unsound(r verify.Report) string {
	for _, f := range r.Findings {
		switch {
		case f.Check == "image-read-only" && f.Verdict != verify.Pass,
			f.Verdict == verify.Fail && f.Severity == verify.Critical && !slices.Contains(settled, f.Check):
			return f.Check + ": " + f.Reason
		}
	}
	return ""
}

func placeText(p profiles.Place) string {
	if p.Script != "" {
		return p.Path + " " + p.Script
	}
	return p.Path
}

// overlayDiff is the unified diff that adds the suggestions to the overlay file,
// one expectation a profile.
func overlayDiff(name string, found []*suggestion) (string, error) {
	var before []string
	indent, head := "  ", ""
	if name == "" {
		head = "--- /dev/null\n+++ site.yaml\n"
	} else {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("reading the site overlay: %w", err)
		}
		text := string(b)
		if !strings.HasSuffix(text, "\n") {
			return "", fmt.Errorf("suggesting for %q: its last line has no end", name)
		}
		before = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if indent, err = listIndent(before); err != nil {
			return "", fmt.Errorf("suggesting for %q: %w", name, err)
		}
		head = "--- " + name + "\n+++ " + name + "\n"
	}
	var added []string
	if name == "" {
		added = append(added, "name: # of your site", "expectations:")
	}
	for _, profile := range profilesOf(found) {
		added = append(added,
			indent+"- for: {profile: "+profile+"}", indent+"  owner: # who answers for it", indent+"  reason: # why it is needed", indent+"  review: # a day like 2027-03-01")
		for _, k := range profiles.Kinds() {
			first := true
			for _, s := range found {
				if s.profile != profile || s.kind != k.Name {
					continue
				}
				if first {
					added, first = append(added, indent+"  "+k.Name+":"), false
				}
				added = append(added, indent+"    - path: "+quoteYAML(s.place.Path))
				if s.place.Script != "" {
					added = append(added, indent+"      script: "+quoteYAML(s.place.Script))
				}
				if s.place.SHA256 != "" {
					added = append(added, indent+"      sha256: "+s.place.SHA256)
				}
			}
		}
	}
	context := before[max(0, len(before)-3):]
	var b strings.Builder
	b.WriteString(head)
	if len(before) == 0 {
		fmt.Fprintf(&b, "@@ -0,0 +1,%d @@\n", len(added))
	} else {
		from := len(before) - len(context) + 1
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n", from, len(context), from, len(context)+len(added))
	}
	for _, line := range context {
		b.WriteString(" " + line + "\n")
	}
	for _, line := range added {
		b.WriteString("+" + line + "\n")
	}
	return b.String(), nil
}

func profilesOf(found []*suggestion) []string {
	var out []string
	for _, s := range found {
		if !slices.Contains(out, s.profile) {
			out = append(out, s.profile)
		}
	}
	slices.Sort(out)
	return out
}

// listIndent is how far the items of expectations are indented. They have to be
// the end of the file, where the suggestions go.
func listIndent(lines []string) (string, error) {
	in, indent, found := false, "", false
	for _, line := range lines {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case strings.HasPrefix(line, "expectations:"):
			in = true
		case in && !found && strings.HasPrefix(trimmed, "- "):
			indent, found = line[:len(line)-len(trimmed)], true
		case in && trimmed == line && !strings.HasPrefix(line, "- "):
			return "", errors.New("put expectations last in the file, and name before it")
		}
	}
	if !found {
		return "", errors.New("write each expectation as a list item of its own, beginning with a dash")
	}
	return indent, nil
}

// quoteYAML writes text as YAML takes it for text: in single quotes where it
// might be taken for something else.
func quoteYAML(text string) string {
	plain := strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")
	if plain == "" && strings.HasPrefix(text, "/") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
