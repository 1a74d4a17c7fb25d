package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// unitCommands are the settings of unit files that hold commands. Source:
// systemd.service(5), systemd.socket(5), systemd.swap(5) has none.
var unitCommands = []string{
	"ExecCondition", "ExecReload", "ExecReloadPost", "ExecStart", "ExecStartPost", "ExecStartPre", "ExecStop", "ExecStopPost", "ExecStopPre",
}

// parseUnit finds the programs that a unit file or a drop-in starts. An empty
// value takes back what the file said before. Errors name the line and quote
// nothing of it, for there may be a secret in it. Source: systemd.syntax(7).
func parseUnit(b []byte) ([]string, error) {
	lines, err := joinedLines(b, "#;", " ")
	if err != nil {
		return nil, err
	}
	programs := map[string][]string{}
	section := ""
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		if name, ok := strings.CutPrefix(text, "["); ok {
			if section, ok = strings.CutSuffix(name, "]"); !ok || section == "" {
				return nil, fmt.Errorf("line %d: the name of a section is not closed", l.number)
			}
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d has no =", l.number)
		case section == "":
			return nil, fmt.Errorf("line %d stands in no section", l.number)
		case !slices.Contains(unitCommands, key):
		case value == "":
			delete(programs, key)
		default:
			found, err := unitPrograms(value)
			if err != nil {
				return nil, fmt.Errorf("line %d, %s: %w", l.number, key, err)
			}
			programs[key] = append(programs[key], found...)
		}
	}
	var out []string
	for _, key := range unitCommands {
		out = append(out, programs[key]...)
	}
	slices.Sort(out)
	return distinct(out), nil
}

// unitPrograms are the programs of a command line of a unit; a lone semicolon
// parts commands. Source: systemd.service(5), "command lines".
func unitPrograms(value string) ([]string, error) {
	words, err := unitWords(value)
	if err != nil {
		return nil, err
	}
	var out []string
	first := true
	for _, w := range words {
		switch {
		case w == ";":
			first = true
		case first:
			program := strings.TrimLeft(w, "@-:+!|")
			if program == "" {
				return nil, errors.New("a command without a program")
			}
			out, first = append(out, program), false
		}
	}
	return out, nil
}

// unitWords splits at white space outside quotes.
func unitWords(value string) ([]string, error) {
	var out []string
	var word strings.Builder
	in := false
	quote := byte(0)
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && i+1 < len(value):
			i++
			if value[i] != '\\' && value[i] != '"' && value[i] != '\'' && value[i] != ' ' {
				word.WriteByte('\\') // an escape such as \x2d stays as it is written
			}
			word.WriteByte(value[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				out = append(out, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errOpenQuote
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}
