package node

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// unitCommands are the settings of unit files that hold commands. Source:
// systemd.service(5), systemd.socket(5); systemd.mount(5) and systemd.swap(5)
// have none.
var unitCommands = []string{
	"ExecCondition", "ExecReload", "ExecReloadPost", "ExecStart", "ExecStartPost", "ExecStartPre", "ExecStop", "ExecStopPost", "ExecStopPre",
}

// unitCommand is a command of a unit file: its program, and whom agetty(8) is
// told to log in.
type unitCommand struct{ key, program, user string }

// parseUnit finds the programs that a unit file or a drop-in starts.
func parseUnit(b []byte) ([]string, error) {
	commands, err := parseUnitCommands(b)
	if err != nil {
		return nil, err
	}
	return programsOf(commands), nil
}

func programsOf(commands []unitCommand) []string {
	var out []string
	for _, c := range commands {
		out = append(out, c.program)
	}
	slices.Sort(out)
	return distinct(out)
}

// parseUnitCommands finds the commands of a unit file or a drop-in. An empty value
// takes back what the file said before. With an error it returns what it did
// understand; errors name the line and quote nothing of it, for there may be a
// secret in it. Source: systemd.syntax(7).
func parseUnitCommands(b []byte) ([]unitCommand, error) {
	lines, err := joinedLines(b, "#;", " ")
	if err != nil {
		return nil, err
	}
	found := map[string][]unitCommand{}
	section := ""
	refuse := func(e error) {
		if err == nil {
			err = e
		}
	}
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		if name, ok := strings.CutPrefix(text, "["); ok {
			if section, ok = strings.CutSuffix(name, "]"); !ok || section == "" {
				refuse(fmt.Errorf("line %d: the name of a section is not closed", l.number))
			}
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !ok:
			refuse(fmt.Errorf("line %d has no =", l.number))
			continue
		case section == "":
			refuse(fmt.Errorf("line %d stands in no section", l.number))
		}
		switch {
		case !slices.Contains(unitCommands, key):
		case value == "":
			delete(found, key)
		default:
			commands, e := commandLine(key, value)
			if e != nil {
				refuse(fmt.Errorf("line %d, %s: %w", l.number, key, e))
			}
			found[key] = append(found[key], commands...)
		}
	}
	var out []unitCommand
	for _, key := range unitCommands {
		out = append(out, found[key]...)
	}
	return out, err
}

// commandLine are the commands of a line of a unit; a lone semicolon parts them.
// Source: systemd.service(5), "Command lines".
func commandLine(key, value string) ([]unitCommand, error) {
	words, err := unitWords(value)
	if err != nil {
		return nil, err
	}
	var out []unitCommand
	for len(words) > 0 {
		end := slices.Index(words, ";")
		if end < 0 {
			end = len(words)
		}
		if end > 0 {
			c := unitCommand{key: key, program: strings.TrimLeft(words[0], "@-:+!|")}
			if c.program == "" {
				return out, errors.New("a command without a program")
			}
			if key == "ExecStart" {
				c.user, _ = autologin(words[1:end])
			}
			out = append(out, c)
		}
		words = words[min(end+1, len(words)):]
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

// reducedUnit is what is kept of a unit file: no value of the environment and no
// argument. Several sources read the same file, and a capture keeps it once: all
// of them must read it through one redactor.
type reducedUnit struct {
	environment []string // the files that it names for the environment
	commands    []unitCommand
	varies      bool
	refused     string
}

// redactUnit is the redactor of unit files on a node of this name.
func redactUnit(nodeName string) func([]byte) []byte {
	return func(b []byte) []byte {
		if _, err := readReducedUnit(b); err == nil {
			return b
		}
		u := reducedUnit{environment: environmentFiles(b), varies: variesByNode(b, nodeName)}
		var err error
		if u.commands, err = parseUnitCommands(b); err != nil {
			u.refused = err.Error()
		}
		return u.text()
	}
}

// readUnit reads a unit file as far as it is kept.
func readUnit(h *Host, name string) (reducedUnit, error) {
	own, err := nodeName(h)
	if err != nil {
		own = "" // then no name can stand in it that is known
	}
	b, err := h.ReadSecret(name, maxUnit, redactUnit(own))
	if err != nil {
		return reducedUnit{}, err
	}
	return readReducedUnit(b)
}

// text writes one thing a line, its parts quoted as in Go.
func (u reducedUnit) text() []byte {
	var out bytes.Buffer
	for _, name := range u.environment {
		fmt.Fprintf(&out, "environment %s\n", strconv.Quote(name))
	}
	for _, c := range u.commands {
		fmt.Fprintf(&out, "%s %s %s\n", c.key, strconv.Quote(c.program), strconv.Quote(c.user))
	}
	if u.refused != "" {
		fmt.Fprintf(&out, "%s %s\n", reducedRefused, strconv.Quote(u.refused))
	}
	if u.varies {
		fmt.Fprintln(&out, reducedVaries)
	}
	return out.Bytes()
}

// readReducedUnit reads what redactUnit has left, and nothing else.
func readReducedUnit(b []byte) (reducedUnit, error) {
	var u reducedUnit
	for line := range bytes.Lines(b) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		var parts []string
		for rest != "" {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return u, fmt.Errorf("line %.200q is not reduced", line)
			}
			part, err := strconv.Unquote(quoted)
			if err != nil {
				return u, fmt.Errorf("line %.200q is not reduced", line)
			}
			parts, rest = append(parts, part), strings.TrimPrefix(rest[len(quoted):], " ")
		}
		switch {
		case word == reducedVaries && len(parts) == 0:
			u.varies = true
		case word == "environment" && len(parts) == 1:
			u.environment = append(u.environment, parts[0])
		case word == reducedRefused && len(parts) == 1:
			u.refused = parts[0]
		case slices.Contains(unitCommands, word) && len(parts) == 2:
			u.commands = append(u.commands, unitCommand{word, parts[0], parts[1]})
		default:
			return u, fmt.Errorf("line %.200q is not reduced", line)
		}
	}
	if !bytes.Equal(u.text(), b) {
		return u, errors.New("it is reduced in another order")
	}
	return u, nil
}
