package node

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	maxSudoers     = 1 << 20
	maxSudoersList = 200 // files in all
)

// readSudo reads sudoers(5) with what it includes. Of two vendor places the
// first that exists counts.
func readSudo(h *Host) ([]SudoRule, []Gap) {
	var rules []SudoRule
	var gaps []Gap
	note := func(name string, err error) {
		if err != nil && !IsAbsent(err) {
			gaps = append(gaps, GapOf("the sudo rules of "+name, err).In("sudo"))
		}
	}
	open := map[string]bool{} // who is never asked for a password
	left := maxSudoersList
	seen := map[string]bool{}
	var read func(name string) error
	read = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		if left--; left < 0 {
			return &Error{"reading", "/" + name, TooLarge, fmt.Sprintf("stopped after %d files", maxSudoersList)}
		}
		b, err := h.ReadSecret(name, maxSudoers, redactSudoers)
		if err != nil {
			return err
		}
		lines, err := parseSudoers(b)
		if err != nil {
			return &Error{"reading", "/" + name, Malformed, err.Error()}
		}
		for _, l := range lines {
			at := l.who
			if !path.IsAbs(at) {
				at = path.Join("/", path.Dir(name), at)
			}
			switch l.kind {
			case "rule":
				rules = append(rules, SudoRule{quoteName(l.who), l.noPassword, l.all, "/" + name})
			case "unasked":
				for who := range strings.SplitSeq(l.who, ",") {
					open[quoteName(who)] = true
				}
			case "include":
				note(at, read(at[1:]))
			case "includedir":
				list, err := h.ReadDir(at[1:], maxUnits)
				note(at, err)
				for _, e := range list {
					// Names that end in "~" or hold a "." are passed over: sudoers(5).
					if e.Type != Directory && !strings.HasSuffix(e.Name, "~") && !strings.Contains(e.Name, ".") {
						note(at+"/"+e.Name, read(at[1:]+"/"+e.Name))
					}
				}
			}
		}
		return nil
	}
	for _, name := range SudoFiles {
		err := read(name)
		if IsAbsent(err) {
			continue
		}
		note("/"+name, err)
		break
	}
	for i, r := range rules {
		rules[i].NoPassword = r.NoPassword || open["ALL"] || slices.ContainsFunc(strings.Split(r.Who, ","), func(who string) bool { return open[who] })
	}
	slices.SortFunc(rules, func(a, b SudoRule) int {
		return cmp.Or(strings.Compare(a.Who, b.Who), strings.Compare(a.From, b.From), compareBools(a.NoPassword, b.NoPassword), compareBools(a.All, b.All))
	})
	return slices.Compact(rules), gaps
}

// sudoLine is a line of sudoers(5) that matters.
type sudoLine struct {
	kind            string // "rule", "include", "includedir", "unasked" (Defaults !authenticate, exempt_group)
	who             string // the users of a rule, or of Defaults; the path of an include
	noPassword, all bool
}

// redactSudoers leaves includes, and of each rule who it is for, whether it asks
// for a password and whether it is for every command. Commands may hold secrets.
func redactSudoers(b []byte) []byte {
	text := strings.ReplaceAll(string(b), "\\\n", " ") // lines that go on
	aliases := map[string]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "User_Alias" {
			for def := range strings.SplitSeq(strings.Join(f[1:], ""), ":") {
				name, users, _ := strings.Cut(def, "=")
				aliases[name] = users
			}
		}
	}
	return redactLines([]byte(text), func(line string) string { return keepSudo(line, aliases) })
}

const sudoUnread = "unread\t-"

func keepSudo(line string, aliases map[string]string) string {
	if l, ok := parseSudoLine(line); ok {
		return l.String()
	}
	line = strings.TrimSpace(line)
	if line == sudoUnread || line == "" {
		return line
	}
	f := strings.Fields(line)
	switch word := strings.TrimPrefix(strings.TrimPrefix(f[0], "#"), "@"); {
	case (word == "include" || word == "includedir") && f[0] != word:
		if len(f) != 2 || strings.ContainsAny(f[1], `\"%`) {
			return sudoUnread // a quoted path, or one with the host's name in it
		}
		return sudoLine{kind: word, who: f[1]}.String()
	case line[0] == '#' && (len(line) == 1 || line[1] < '0' || line[1] > '9'):
		return ""
	case strings.HasPrefix(line, "Defaults"):
		return keepDefaults(f, aliases)
	case strings.HasSuffix(f[0], "_Alias"):
		return ""
	}
	line, _, _ = strings.Cut(line, " #")
	left, right, ok := strings.Cut(line, "=")
	f = strings.Fields(strings.ReplaceAll(left, ", ", ","))
	if !ok || len(f) != 2 || strings.ContainsAny(left, `\"`) {
		return sudoUnread
	}
	rule := sudoLine{kind: "rule", who: f[0], noPassword: strings.Contains(right, "NOPASSWD")}
	rule.who = cmp.Or(aliases[rule.who], rule.who)
	for c := range strings.SplitSeq(strings.NewReplacer(`\:`, "", `\=`, "", `\,`, "").Replace(right), ",") {
		// Before a command stand users, tags and options (CWD=/srv), and before those
		// of further hosts ": HOSTS =".
		at := strings.LastIndexAny(c, ":)=")
		words := strings.Fields(c[at+1:])
		if at >= 0 && c[at] == '=' && len(words) == 2 {
			words = words[1:]
		}
		rule.all = rule.all || len(words) == 1 && words[0] == "ALL"
	}
	return rule.String()
}

// keepDefaults keeps of a line "Defaults…" whom it spares the password, one line for
// each. What spares it for hosts, commands or other users counts as sparing it for all.
func keepDefaults(f []string, aliases map[string]string) string {
	who, users := strings.CutPrefix(f[0], "Defaults:")
	if who = cmp.Or(aliases[who], who); !users || who == "" || strings.ContainsAny(who, `\"`) || strings.HasSuffix(who, ",") {
		who = "ALL" // those of a list with blanks in it too
	}
	var out []string
	settings := strings.NewReplacer("! ", "!", " =", "=", "= ", "=").Replace(strings.Join(f[1:], " "))
	for _, s := range strings.FieldsFunc(settings, func(r rune) bool { return r == ' ' || r == ',' }) {
		if s == "!authenticate" {
			out = append(out, sudoLine{kind: "unasked", who: who}.String())
		}
		if group, ok := strings.CutPrefix(s, "exempt_group="); ok {
			group = "%" + strings.Trim(group, `"`)
			if group == "%" || strings.ContainsAny(group, `\"`) {
				group = "ALL"
			}
			out = append(out, sudoLine{kind: "unasked", who: group}.String())
		}
	}
	return strings.Join(out, "\n")
}

func (l sudoLine) String() string {
	if l.kind != "rule" {
		return l.kind + "\t" + l.who
	}
	ask, what := "password", "some"
	if l.noPassword {
		ask = "nopassword"
	}
	if l.all {
		what = "all"
	}
	return strings.Join([]string{"rule", l.who, ask, what}, "\t")
}

// parseSudoLine reads a line as keepSudo writes it.
func parseSudoLine(line string) (sudoLine, bool) {
	f := strings.Split(line, "\t")
	l := sudoLine{kind: f[0]}
	switch {
	case len(f) == 4 && l.kind == "rule":
		l.who, l.noPassword, l.all = f[1], f[2] == "nopassword", f[3] == "all"
	case len(f) == 2 && (l.kind == "include" || l.kind == "includedir" || l.kind == "unasked"):
		l.who = f[1]
	}
	return l, l.who != "" && !strings.ContainsAny(l.who, " \t") && l.String() == line
}

// parseSudoers parses sudoers(5) after redactSudoers.
func parseSudoers(b []byte) ([]sudoLine, error) {
	var out []sudoLine
	for line := range strings.Lines(string(b)) {
		l, ok := parseSudoLine(strings.TrimSuffix(line, "\n"))
		if !ok {
			return nil, fmt.Errorf("a line is no rule that this program understands")
		}
		out = append(out, l)
	}
	return out, nil
}
