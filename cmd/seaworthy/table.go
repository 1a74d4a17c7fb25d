package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// table shows a report to people: what is wrong first, one line a finding.
type table struct {
	style
	profile *profiles.Profile // that the node was judged by
	checks  []verify.Check
	every   bool   // passes as well, and nothing folded
	verbose bool   // the same, and items and facts
	settles string // what would settle a finding that lacked a right: "sudo"
	ids     int    // columns of the longest id that is shown
}

// gutter is where the text beside LEVEL and its lines begins.
const gutter = 20

// manyFindings is from how many findings on a list is parted by topic.
const manyFindings = 7

func (t table) render(r verify.Report) string {
	t.every = t.every || t.verbose
	shown, folded := t.fold(r.Findings)
	byVerdict := map[verify.Verdict][]verify.Finding{}
	for _, f := range shown {
		byVerdict[f.Verdict] = append(byVerdict[f.Verdict], f)
	}
	listed := map[verify.Verdict][]shared{}
	for verdict, findings := range byVerdict {
		listed[verdict] = t.once(byTopic(findings))
		for _, f := range listed[verdict] {
			if t.every || verdict == verify.Fail || verdict == verify.Unknown {
				t.ids = max(t.ids, length(f.Check))
			}
		}
	}

	var b strings.Builder
	t.header(&b, r)
	t.level(&b, r)
	b.WriteByte('\n')
	title := func(title string, v verify.Verdict) string { return fmt.Sprintf("%s %d", title, len(byVerdict[v])) }
	t.list(&b, title("FAIL", verify.Fail), listed[verify.Fail], r.Facts)
	t.list(&b, title("UNKNOWN", verify.Unknown), listed[verify.Unknown], r.Facts)
	if t.every {
		t.list(&b, title("PASS", verify.Pass), listed[verify.Pass], r.Facts)
		t.list(&b, title("NOT APPLICABLE", verify.NotApplicable), listed[verify.NotApplicable], r.Facts)
	} else {
		passed, rest := title("PASS", verify.Pass), " · "+title("NOT APPLICABLE", verify.NotApplicable)
		const hint = "-v shows them"
		space := max(4, min(t.width, pipeWidth)-length(passed+rest+hint))
		b.WriteString(t.paint(passed, green) + rest + strings.Repeat(" ", space) + t.paint(hint, faint) + "\n")
	}
	t.foldLine(&b, folded)
	t.settleLine(&b, r.Findings)
	return t.show(b.String())
}

// fold parts the findings of checks that make no sense on an ordinary host from
// the others.
func (t table) fold(findings []verify.Finding) (shown, folded []verify.Finding) {
	imageOnly := map[string]bool{}
	for _, c := range t.checks {
		imageOnly[c.ID] = c.ImageOnly && t.profile.Ordinary && !t.every
	}
	for _, f := range findings {
		if imageOnly[f.Check] {
			folded = append(folded, f)
		} else {
			shown = append(shown, f)
		}
	}
	return shown, folded
}

func (t table) header(b *strings.Builder, r verify.Report) {
	name := clean(r.Node)
	if name == "" {
		name = "a host without a name"
	}
	words := []string{name, systemName(r)}
	if k, _, missing := node.Kernel.Of(r.Facts); missing == nil {
		words = append(words, "kernel "+clean(k.Release))
	}
	profile := "profile " + r.Profile.Name
	if o := r.Profile.Overlay; o != "" {
		profile += " + site overlay " + o[:min(len(o), 12)]
	}
	words = append(words, profile)
	lines := flow(words, " · ", t.width)
	lines[0] = strings.Replace(lines[0], name, t.paint(name, bold), 1)
	b.WriteString(strings.Join(lines, "\n") + "\n\n")
}

// systemName is what the node calls its operating system.
func systemName(r verify.Report) string {
	if os, _, missing := node.OS.Of(r.Facts); missing == nil {
		for _, name := range []string{os.Release["PRETTY_NAME"], strings.TrimSpace(os.Release["NAME"] + " " + os.Release["VERSION_ID"])} {
			if name != "" {
				return clean(name)
			}
		}
	}
	return "an unknown system"
}

// levelChecks prove the levels 1 to 5.
var levelChecks = []string{"image-read-only", "image-unwritable", "image-verified", "image-anchored", "image-attested"}

func (t table) level(b *strings.Builder, r verify.Report) {
	title := fmt.Sprintf("LEVEL %d %s", r.Level.Number, r.Level.Name)
	colour := green
	if r.Level.Number < 3 {
		colour = yellow
	}
	if r.Level.Number == 0 {
		colour = red
	}
	var reasons []string
	if r.Level.Number > 0 {
		for _, f := range r.Findings {
			if f.Check == levelChecks[min(r.Level.Number, len(levelChecks))-1] && f.Verdict == verify.Pass {
				reasons = append(reasons, f.Reason)
			}
		}
	}
	if r.Level.Claimed > r.Level.Number {
		reasons = append(reasons, fmt.Sprintf("level %d is claimed and not proven", r.Level.Claimed))
	}
	why := r.Level.Reasons
	if t.profile.Ordinary && !t.every { // why not more is no question on a host that has no image
		why = why[:min(1, len(why))]
	}
	for _, reason := range why {
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	var lines []string
	for _, reason := range reasons {
		lines = append(lines, wrap(clean(reason), t.width-gutter)...)
	}
	t.beside(b, title, lines, bold, colour)
	if len(r.Level.Unprotected) > 0 {
		t.beside(b, "  not protected", flow(cleanAll(r.Level.Unprotected), "   ", t.width-gutter))
	}
	if text := outside(r.Findings); text != "" {
		t.beside(b, "  outside the image", wrap(clean(text), t.width-gutter))
	}
}

// outside words which host programs do not run from the image, "" where none
// do or where nothing is known of them.
func outside(findings []verify.Finding) string {
	i := slices.IndexFunc(findings, func(f verify.Finding) bool { return f.Check == "processes-from-image" })
	if i < 0 || len(findings[i].Items) == 0 {
		return ""
	}
	var whose string
	switch findings[i].Code {
	case "declared":
		whose = "declared by the profile"
	case "outside-image":
		whose = "declared by nobody"
	default:
		return ""
	}
	const most = 3
	items := findings[i].Items
	text := plural(len(items), "program", "programs") + ": " + strings.Join(items[:min(most, len(items))], ", ")
	if more := len(items) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " (" + whose + ")"
}

// beside writes lines in the column at gutter, with title before the first.
func (t table) beside(b *strings.Builder, title string, lines []string, sgr ...string) {
	blank := strings.Repeat(" ", max(1, gutter-length(title)))
	b.WriteString(t.paint(title, sgr...))
	if len(lines) > 0 {
		b.WriteString(blank + strings.Join(lines, "\n"+strings.Repeat(" ", gutter)))
	}
	b.WriteByte('\n')
}

func cleanAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = clean(text)
	}
	return out
}

// marks are the shapes of the verdicts; every one differs in shape, not in
// colour alone.
var marks = map[verify.Verdict]string{verify.Fail: "✗", verify.Unknown: "?", verify.Pass: "✓", verify.NotApplicable: "–"}

var colours = map[verify.Verdict]string{verify.Fail: red, verify.Unknown: yellow, verify.Pass: green, verify.NotApplicable: faint}

// shared is a finding with the checks of its topic, no worse than it, that are
// unknown for the same reason.
type shared struct {
	verify.Finding
	also []string
}

// once gives a reason that several checks share in full once; those of one topic
// that are unknown for it follow by name. On an ordinary host it has one line, and
// reasons that begin with the same gap are the same.
func (t table) once(findings []verify.Finding) []shared {
	var out []shared
	if t.verbose {
		for _, f := range findings {
			out = append(out, shared{Finding: f})
		}
		return out
	}
	brief := t.profile.Ordinary && !t.every
	reason := func(f verify.Finding) string {
		if brief && f.Verdict == verify.Unknown {
			return furtherGaps.ReplaceAllString(f.Reason, "")
		}
		return f.Reason
	}
	checks := map[string][]string{} // by reason
	for _, f := range findings {
		checks[reason(f)] = append(checks[reason(f)], f.Check)
	}
	type group struct {
		topic  verify.Topic
		reason string
	}
	place := map[group]int{} // in out
	for _, f := range findings {
		g := group{f.Topic, reason(f)}
		same := checks[g.reason]
		i, seen := place[g]
		switch first := same[0]; {
		case f.Check == first && brief && len(same) > 1:
			f.Reason = g.reason + fmt.Sprintf(" (%d checks)", len(same))
		case f.Check == first:
		case brief:
			continue
		case seen && f.Verdict == verify.Unknown:
			out[i].also = append(out[i].also, f.Check)
			continue
		default:
			f.Reason = "for the same reason as " + first
		}
		place[g] = len(out)
		out = append(out, shared{Finding: f})
	}
	return out
}

// furtherGaps ends a reason that is the first of several gaps.
var furtherGaps = regexp.MustCompile(`; and (\d+) more$`)

// mostNames is how many checks are named that share a reason with another.
const mostNames = 8

// names lists the checks that share a reason, no more than a reader takes in
// unless all was asked for.
func (t table) names(checks []string) string {
	verb := "are"
	if len(checks) == 1 {
		verb = "is"
	}
	if more := len(checks) - mostNames; more > 1 && !t.every {
		return fmt.Sprintf("so %s %s and %d more of this topic", verb, strings.Join(checks[:mostNames], ", "), more)
	}
	return fmt.Sprintf("so %s %s", verb, strings.Join(checks, ", "))
}

// list writes the findings of one verdict. A long list is parted by topic.
func (t table) list(b *strings.Builder, title string, findings []shared, facts node.Facts) {
	if len(findings) == 0 {
		return
	}
	verdict := findings[0].Verdict
	b.WriteString(t.paint(title, bold, colours[verdict]) + "\n")
	topics := len(findings) >= manyFindings && (t.every || !t.profile.Ordinary)
	for i, f := range findings {
		if topics && (i == 0 || findings[i-1].Topic != f.Topic) {
			b.WriteString("  " + t.paint(string(f.Topic), faint) + "\n")
		}
		t.finding(b, f.Finding, verdict == verify.Fail && i == 0)
		if len(f.also) > 0 {
			b.WriteString("      " + strings.Join(wrap(t.names(f.also), t.width-6), "\n      ") + "\n")
		}
		if t.verbose {
			t.details(b, f.Finding, facts)
		}
	}
}

// finding writes one finding; hint says how to learn more about it.
func (t table) finding(b *strings.Builder, f verify.Finding, hint bool) {
	indent := 4 + t.ids + 2 + len(verify.Critical) + 2
	stacked := t.width-indent < 36 // too narrow for a column: below the name
	severity := string(f.Severity)
	if !stacked {
		severity = pad(severity, len(verify.Critical))
	}
	if f.Verdict == verify.Fail && f.Severity == verify.Critical {
		severity = t.paint(severity, bold, red)
	}
	head := fmt.Sprintf("  %s %s  %s", t.paint(marks[f.Verdict], bold, colours[f.Verdict]), pad(f.Check, t.ids), severity)
	lead := "  "
	if stacked {
		indent = 6
		lead = "\n" + strings.Repeat(" ", indent)
	}
	reason := clean(f.Reason)
	if t.verbose || !t.every { // verbose, the items follow
		reason = brief(reason)
	}
	lines := wrap(reason, t.width-indent)
	if hint {
		explain := "seaworthy explain " + f.Check
		last := len(lines) - 1
		if space := t.width - indent - length(lines[last]) - length(explain); space >= 4 {
			lines[last] += strings.Repeat(" ", space) + t.paint(explain, faint)
		} else {
			lines = append(lines, strings.Repeat(" ", max(0, t.width-indent-length(explain)))+t.paint(explain, faint))
		}
	}
	b.WriteString(head + lead + strings.Join(lines, "\n"+strings.Repeat(" ", indent)) + "\n")
}

// details writes what a finding is about and the facts that it rests on.
func (t table) details(b *strings.Builder, f verify.Finding, facts node.Facts) {
	lines := func(first string, lay func(width int) []string) {
		blank := strings.Repeat(" ", 6+length(first))
		b.WriteString("      " + first + strings.Join(lay(t.width-len(blank)), "\n"+blank) + "\n")
	}
	text := func(first, text string) {
		lines(first, func(width int) []string { return wrap(clean(text), width) })
	}
	for _, item := range f.Items {
		text("· ", item)
	}
	for _, name := range f.Reads {
		fact, ok := facts[name]
		first := "rests on " + name + ": "
		switch {
		case !ok:
			text(first, "not gathered")
		case fact.Missing != nil:
			text(first, "missing, "+fact.Missing.Reason)
		default:
			lines(first, func(width int) []string { return flow(evidence(fact), ", ", width) })
		}
		for _, gap := range fact.Gaps {
			text("  but ", gap.String())
		}
	}
}

// evidence lists where a fact was read, at most five places of it.
func evidence(f node.Fact) []string {
	const most = 5
	var places []string
	for _, e := range f.Evidence[:min(most, len(f.Evidence))] {
		places = append(places, fmt.Sprintf("%s (sha256 %.12s)", clean(e.What), e.SHA256))
	}
	if more := len(f.Evidence) - most; more > 0 {
		places = append(places, fmt.Sprintf("and %d more", more))
	}
	if len(places) == 0 {
		return []string{"what exists and what does not"}
	}
	return places
}

// severities in the order in which they are shown.
var severities = []verify.Severity{verify.Critical, verify.High, verify.Medium, verify.Low}

// byTopic sorts findings by topic, the worst first in a topic and among topics.
func byTopic(findings []verify.Finding) []verify.Finding {
	rank := func(f verify.Finding) int { return slices.Index(severities, f.Severity) }
	worst := map[verify.Topic]int{}
	for _, f := range findings {
		if w, ok := worst[f.Topic]; !ok || rank(f) < w {
			worst[f.Topic] = rank(f)
		}
	}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b verify.Finding) int {
		return cmp.Or(
			cmp.Compare(worst[a.Topic], worst[b.Topic]),
			cmp.Compare(slices.Index(verify.Topics, a.Topic), slices.Index(verify.Topics, b.Topic)),
			cmp.Compare(rank(a), rank(b)),
		)
	})
	return sorted
}

// foldLine tells of the checks that were left out on an ordinary host. Their
// verdicts stand in it, because the exit code and the JSON count them.
func (t table) foldLine(b *strings.Builder, folded []verify.Finding) {
	if len(folded) == 0 {
		return
	}
	count := map[verify.Verdict]int{}
	for _, f := range folded {
		count[f.Verdict]++
	}
	var parts []string
	for _, v := range []verify.Verdict{verify.Fail, verify.Unknown, verify.Pass, verify.NotApplicable} {
		if count[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[v], strings.ReplaceAll(v.String(), "-", " ")))
		}
	}
	text := fmt.Sprintf("%s of container-optimized systems %s not fit this host (%s); -v shows them",
		plural(len(folded), "check", "checks"), map[bool]string{true: "does", false: "do"}[len(folded) == 1], strings.Join(parts, ", "))
	b.WriteString(strings.Join(wrap(text, t.width), "\n") + "\n")
}

func (t table) settleLine(b *strings.Builder, findings []verify.Finding) {
	n := 0
	for _, f := range findings {
		if f.Privileged() {
			n++
		}
	}
	if n > 0 && t.settles != "" {
		fmt.Fprintf(b, "%d unknown: %s would settle %s\n", n, t.settles, map[bool]string{true: "it", false: "them"}[n == 1])
	}
}

// plain is one unwrapped line a finding, what failed first: verdict, check,
// severity and reason, parted by tabs.
func plain(r verify.Report) string {
	var b strings.Builder
	for _, v := range []verify.Verdict{verify.Fail, verify.Unknown, verify.Pass, verify.NotApplicable} {
		for _, f := range r.Findings {
			if f.Verdict == v {
				fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", f.Verdict, f.Check, f.Severity, clean(f.Reason))
			}
		}
	}
	return b.String()
}
