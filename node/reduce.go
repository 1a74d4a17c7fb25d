package node

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A definition is reduced to what it starts before it is returned or recorded:
// arguments, environment and whatever else stands in it may be secret. What is
// left are lines of a word and, but for varies, a text quoted as in Go.
const (
	reducedStart   = "starts"
	reducedRefused = "refused"
	reducedVaries  = "varies"
)

// reducer is the redactor of a kind of definition. A text that it has reduced it
// leaves as it is.
func reducer(parse func([]byte) ([]string, error), nodeName string) func([]byte) []byte {
	return func(b []byte) []byte {
		if _, _, err := readReduced(b); err == nil {
			return b
		}
		var out bytes.Buffer
		starts, err := parse(b)
		if err != nil {
			fmt.Fprintf(&out, "%s %s\n", reducedRefused, strconv.Quote(err.Error()))
		}
		for _, s := range starts {
			fmt.Fprintf(&out, "%s %s\n", reducedStart, strconv.Quote(s))
		}
		if variesByNode(b, nodeName) {
			fmt.Fprintln(&out, reducedVaries)
		}
		return out.Bytes()
	}
}

// parseReduced reads what a reducer has left.
func parseReduced(b []byte) (starts []string, varies bool, err error) {
	r, refused, err := readReduced(b)
	if err == nil && refused != "" {
		err = fmt.Errorf("parsing it: %s", refused)
	}
	return r.starts, r.varies, err
}

// unitStarts reads what redactUnit has left.
func unitStarts(b []byte) (starts []string, varies bool, err error) {
	u, err := readReducedUnit(b)
	if err == nil && u.refused != "" {
		err = fmt.Errorf("parsing it: %s", u.refused)
	}
	return programsOf(u.commands), u.varies, err
}

type reduced struct {
	starts []string
	varies bool
}

func readReduced(b []byte) (r reduced, refused string, err error) {
	for line := range bytes.Lines(b) {
		text, whole := strings.CutSuffix(string(line), "\n")
		word, quoted, _ := strings.Cut(text, " ")
		value, quoteErr := strconv.Unquote(quoted)
		switch {
		case !whole:
			return r, "", fmt.Errorf("line %.200q is cut", text)
		case text == reducedVaries:
			r.varies = true
		case quoteErr != nil || strconv.Quote(value) != quoted || value == "":
			return r, "", fmt.Errorf("line %.200q is not reduced", text)
		case word == reducedStart:
			r.starts = append(r.starts, value)
		case word == reducedRefused:
			refused = value
		default:
			return r, "", fmt.Errorf("line %.200q is not reduced", text)
		}
	}
	return r, refused, nil
}

// nodeSpecific are texts that differ between equal nodes: addresses of version 4
// and 6 and of network cards, UUIDs and machine identifiers.
var nodeSpecific = []*regexp.Regexp{
	regexp.MustCompile(`\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b`),
	regexp.MustCompile(`\b[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{0,4}){3,7}\b`),
	uuidPattern,
	regexp.MustCompile(`\b[0-9a-f]{32}\b`),
}

// fixedAddresses are the same on every node.
var fixedAddresses = []string{"0.0.0.0", "127.0.0.1", "255.255.255.255", "169.254.169.254"}

func variesByNode(b []byte, nodeName string) bool {
	if len(nodeName) > 2 && nodeName != "localhost" && bytes.Contains(b, []byte(nodeName)) {
		return true
	}
	for _, pattern := range nodeSpecific {
		for _, found := range pattern.FindAll(b, -1) {
			if !slices.Contains(fixedAddresses, string(found)) {
				return true
			}
		}
	}
	return false
}

// textLine is a line of a definition, joined with those that continue it.
type textLine struct {
	number int // of its first line
	text   string
}

// plainLines are the lines of a text. Empty lines and those that begin with one
// of the comment characters are left out. A text that holds a NUL or is no UTF-8
// is refused: programs disagree on what it says.
func plainLines(b []byte, comments string) ([]textLine, error) {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, errors.New("it is no text")
	}
	var out []textLine
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		text := strings.TrimSpace(line)
		if text != "" && !strings.ContainsRune(comments, rune(text[0])) {
			out = append(out, textLine{n, text})
		}
	}
	return out, nil
}

// joinedLines is plainLines for a format in which a backslash at the end of a
// line continues it: the next one follows after joint. Comments between lines
// that continue each other are left out.
func joinedLines(b []byte, comments, joint string) ([]textLine, error) {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, errors.New("it is no text")
	}
	var out []textLine
	open := false
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		text := strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(text)
		if trimmed != "" && strings.ContainsRune(comments, rune(trimmed[0])) {
			continue
		}
		if !open {
			if trimmed == "" {
				continue
			}
			out = append(out, textLine{number: n})
		}
		last := &out[len(out)-1]
		text, open = strings.CutSuffix(text, `\`)
		if last.text != "" {
			last.text += joint
		}
		last.text += text
	}
	return out, nil
}

// distinct are the texts without repetitions, in their order.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
