package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// parseUdevRules finds the programs that udev rules start: RUN, PROGRAM and
// IMPORT{program}. A name without a folder is one in /usr/lib/udev. Source:
// udev(7).
func parseUdevRules(b []byte) ([]string, error) {
	lines, err := joinedLines(b, "#", "")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		found, err := udevPrograms(l.text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
		out = append(out, found...)
	}
	return distinct(out), nil
}

// udevStarts are the keys that start a program.
var udevStarts = []string{"RUN", "RUN{program}", "PROGRAM", "IMPORT{program}"}

func udevPrograms(rule string) ([]string, error) {
	var out []string
	for rest := strings.Trim(rule, " \t,"); rest != ""; rest = strings.Trim(rest, " \t,") {
		end := strings.IndexAny(rest, "=!+-: \t")
		if brace := strings.IndexByte(rest, '{'); brace >= 0 && end > brace { // an attribute may hold these
			closed := strings.IndexByte(rest, '}')
			if closed < 0 {
				return nil, errors.New("an attribute is not closed")
			}
			end = closed + 1
		}
		if end <= 0 {
			return nil, errors.New("a key without an operator")
		}
		key := rest[:end]
		rest = strings.TrimLeft(rest[end:], " \t")
		op := rest[:len(rest)-len(strings.TrimLeft(rest, "=!+-:"))]
		if !slices.Contains([]string{"==", "!=", "=", "+=", "-=", ":="}, op) {
			return nil, errors.New("a key without an operator")
		}
		value, after, err := udevValue(strings.TrimLeft(rest[len(op):], " \t"))
		if err != nil {
			return nil, err
		}
		rest = after
		if slices.Contains(udevStarts, key) && op != "-=" {
			if program := firstUdevWord(value); program != "" {
				out = append(out, program)
			}
		}
	}
	return out, nil
}

// udevValue cuts a quoted value off; an e or i before the quote changes how it is
// read, not where it ends.
func udevValue(text string) (value, rest string, err error) {
	text = strings.TrimLeft(text, "ei")
	if !strings.HasPrefix(text, `"`) {
		return "", "", errors.New("a value without quotes")
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i], text[i+1:], nil
		}
	}
	return "", "", errOpenQuote
}

func firstUdevWord(value string) string {
	value = strings.TrimSpace(value)
	if quoted, ok := strings.CutPrefix(value, "'"); ok {
		word, _, _ := strings.Cut(quoted, "'")
		return word
	}
	word, _, _ := strings.Cut(value, " ")
	return word
}
