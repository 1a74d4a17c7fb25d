package node

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// systemdSetting is one assignment.
type systemdSetting struct{ key, value string }

// assigned is what a line of a unit assigns to a key, where it does: white space
// around the equals sign does not count. Source: systemd.syntax(7).
func assigned(line, key string) (value string, ok bool) {
	name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
	return strings.TrimSpace(value), ok && strings.TrimRight(name, " \t") == key
}

// redactSystemdConfig empties the comments of a file of systemd, in which people
// note what they like. Lines keep their numbers.
func redactSystemdConfig(b []byte) []byte {
	return redactLines(b, func(line string) string {
		switch text := strings.TrimSpace(line); {
		case text == "":
			return " " // it ends a line that goes on
		case text[0] == '#' || text[0] == ';':
			return "#"
		}
		return line
	})
}

// parseSystemdConfig returns the assignments in one section of a file of systemd, in
// order. Source: systemd.syntax(7). What systemd would only warn of is refused.
func parseSystemdConfig(b []byte, section string) ([]systemdSetting, error) {
	var out []systemdSetting
	in, n := "", 0
	joined := ""
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSpace(string(line))
		if text != "" && (text[0] == '#' || text[0] == ';') {
			continue // also between two parts of a line
		}
		if begin, more := strings.CutSuffix(text, `\`); more {
			joined += begin + " "
			continue
		}
		text, joined = strings.TrimSpace(joined+text), ""
		switch {
		case text == "":
		case text[0] == '[':
			name, closed := strings.CutSuffix(text[1:], "]")
			if !closed {
				return nil, fmt.Errorf("line %d %.200q: the section is not closed", n, text)
			}
			in = name
		default:
			key, value, ok := strings.Cut(text, "=")
			key = strings.TrimSpace(key)
			if !ok || key == "" || in == "" {
				return nil, fmt.Errorf("line %d %.200q: want key=value in a section", n, text)
			}
			if in == section {
				out = append(out, systemdSetting{key, strings.TrimSpace(value)})
			}
		}
	}
	if joined != "" {
		return nil, fmt.Errorf("line %d: the last line is continued and there is none", n)
	}
	return out, nil
}

// parseAuditFollowed reports whether in /proc/<pid>/net/netlink a program's socket
// of NETLINK_AUDIT is in the group of audit records. Source: netlink(7),
// net/netlink/af_netlink.c, include/uapi/linux/audit.h.
func parseAuditFollowed(b []byte) (bool, error) {
	const netlinkAudit, readLog = "9", 1 << 0
	followed, n := false, 0
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if n++; n == 1 {
			if len(f) < 4 || f[1] != "Eth" || f[3] != "Groups" {
				return false, fmt.Errorf("first line %.200q: not the heading of a table of netlink sockets", line)
			}
			continue
		}
		if len(f) < 4 {
			return false, fmt.Errorf("netlink line %d %.200q: %d fields, want at least 4", n, line, len(f))
		}
		groups, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil {
			return false, fmt.Errorf("netlink line %d %.200q: groups %q", n, line, f[3])
		}
		followed = followed || f[1] == netlinkAudit && groups&readLog != 0
	}
	if n == 0 {
		return false, fmt.Errorf("the table of netlink sockets is empty")
	}
	return followed, nil
}
