package node

import (
	"fmt"
	"strings"
)

// parseSystemCrontab finds what /etc/crontab or a file of /etc/cron.d starts:
// five fields of time or one word, a user, a command. Source: crontab(5).
func parseSystemCrontab(b []byte) ([]string, error) { return parseCrontab(b, true) }

// parseUserCrontab finds what a user's table starts; it names no user.
func parseUserCrontab(b []byte) ([]string, error) { return parseCrontab(b, false) }

func parseCrontab(b []byte, user bool) ([]string, error) {
	lines, err := plainLines(b, "#")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		if isSetting(l.text) {
			continue
		}
		fields := 5
		if l.text[0] == '@' {
			fields = 1
		}
		if user {
			fields++
		}
		command, ok := afterFields(l.text, fields)
		if !ok {
			return nil, fmt.Errorf("line %d has no command", l.number)
		}
		programs, err := startedBy(cronCommand(command))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		out = append(out, programs...)
	}
	return distinct(out), nil
}

// parseAnacrontab finds what /etc/anacrontab starts: period, delay, job, command.
// Source: anacrontab(5).
func parseAnacrontab(b []byte) ([]string, error) {
	lines, err := joinedLines(b, "#", " ")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		text := strings.TrimSpace(l.text)
		if isSetting(text) {
			continue
		}
		command, ok := afterFields(text, 3)
		if !ok {
			return nil, fmt.Errorf("line %d has no command", l.number)
		}
		programs, err := startedBy(command)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		out = append(out, programs...)
	}
	return distinct(out), nil
}

// isSetting reports whether a line sets a variable: "MAILTO = root".
func isSetting(line string) bool {
	name, _, ok := strings.Cut(line, "=")
	return ok && isAssignment(strings.TrimSpace(name)+"=")
}

// afterFields is what follows n fields.
func afterFields(text string, n int) (string, bool) {
	for range n {
		i := strings.IndexAny(text, " \t")
		if i < 0 {
			return "", false
		}
		text = strings.TrimLeft(text[i:], " \t")
	}
	return text, text != ""
}

// cronCommand is a command without what cron gives it to read: what follows the
// first percent sign that has no backslash.
func cronCommand(text string) string {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '%':
			return text[:i]
		}
	}
	return text
}
