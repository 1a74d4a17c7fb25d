package node

import (
	"fmt"
	"strings"
)

// parseModulesLoad reads the modules of a file of modules-load.d(5), one a line.
func parseModulesLoad(b []byte) ([]string, error) {
	lines, err := plainLines(b, "#;")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		name := strings.Fields(l.text)[0] // /etc/modules of Debian has parameters behind it
		if len(name) > 64 || strings.Trim(name, moduleRunes) != "" {
			return nil, fmt.Errorf("line %d does not begin with the name of a module", l.number)
		}
		out = append(out, name)
	}
	return distinct(out), nil
}

// moduleRunes may stand in the name or the alias of a module.
const moduleRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:"

// parseModprobe finds the programs that a file of modprobe.d(5) starts in place of
// loading or unloading a module: its lines install and remove. Source: modprobe.d(5).
func parseModprobe(b []byte) ([]string, error) {
	lines, err := joinedLines(b, "#", "")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		fields := strings.Fields(l.text)
		switch fields[0] {
		case "install", "remove":
			command, ok := afterFields(strings.TrimSpace(l.text), 2)
			if !ok {
				return nil, fmt.Errorf("line %d has no command", l.number)
			}
			programs, err := startedBy(command)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", l.number, err)
			}
			out = append(out, programs...)
		case "alias", "blacklist", "config", "options", "softdep", "weakdep":
		default:
			return nil, fmt.Errorf("line %d begins with no word of modprobe.d", l.number)
		}
	}
	return distinct(out), nil
}
