package node

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// pamControls say what becomes of a module's answer, beside those in brackets.
var pamControls = []string{"include", "optional", "required", "requisite", "substack", "sufficient"}

// parsePAM finds the modules that a file of /etc/pam.d loads, and the program
// that pam_exec(8) starts. A module without a folder is one of the system's
// library folder. Source: pam.d(5).
func parsePAM(b []byte) ([]string, error) {
	lines, err := joinedLines(b, "#", " ")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		if strings.HasPrefix(text, "@include") {
			continue
		}
		kind, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
		if !slices.Contains([]string{"account", "auth", "password", "session"}, strings.TrimPrefix(strings.ToLower(kind), "-")) {
			return nil, fmt.Errorf("line %d begins with none of account, auth, password, session", l.number)
		}
		control := strings.TrimLeft(rest, " ")
		end := strings.IndexByte(control, ' ')
		if strings.HasPrefix(control, "[") {
			end = strings.IndexByte(control, ']')
		}
		if end < 0 {
			return nil, fmt.Errorf("line %d names no module", l.number)
		}
		if !slices.Contains(pamControls, strings.ToLower(control[:end])) && control[0] != '[' {
			return nil, fmt.Errorf("line %d has no control that is known", l.number)
		}
		words := strings.Fields(control[end+1:])
		if len(words) == 0 {
			return nil, fmt.Errorf("line %d names no module", l.number)
		}
		if slices.Contains([]string{"include", "substack"}, strings.ToLower(control[:end])) {
			continue
		}
		out = append(out, words[0])
		if path.Base(words[0]) == "pam_exec.so" {
			if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "/") && w != words[0] }); i > 0 {
				out = append(out, words[i])
			}
		}
	}
	return distinct(out), nil
}
