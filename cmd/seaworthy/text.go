package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean spells control characters out. What a host says of itself is shown on
// terminals, which must not obey it.
func clean(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case hidden(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden reports whether r steers a terminal or the direction of writing.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// length is how many columns text takes.
func length(text string) int { return utf8.RuneCountInString(text) }

// pad fills text with blanks up to width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-length(text)))
}

// wrap breaks text between words into lines of at most width columns. A word
// that is longer stands alone: names are never broken.
func wrap(text string, width int) []string {
	return flow(strings.Fields(text), " ", width)
}

// flow puts words into lines of at most width columns, sep between two of them.
func flow(words []string, sep string, width int) []string {
	var lines []string
	line := ""
	for i, word := range words {
		switch {
		case i == 0:
			line = word
		case length(line)+length(sep)+length(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += sep + word
		}
	}
	return append(lines, line)
}

// plural is "1 check", "2 checks".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// nearest is the name that is most like word, "" where none is.
func nearest(word string, names []string) string {
	best, least := "", max(2, length(word)/3)+1
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// mostReason is how many columns of a reason the table shows: four lines or so.
const mostReason = 240

// brief leaves out what a reason lists beyond mostReason, and says how much that
// is. The parts of a list are set apart by semicolons.
func brief(reason string) string {
	signs := []rune(reason)
	if len(signs) <= mostReason {
		return reason
	}
	cut := strings.LastIndex(string(signs[:mostReason]), "; ")
	if cut < 0 {
		return reason
	}
	more := strings.Count(reason[cut:], "; ")
	if more == 1 {
		return reason
	}
	if further := furtherGaps.FindStringSubmatch(reason); further != nil {
		n, err := strconv.Atoi(further[1])
		if err != nil {
			return reason
		}
		more += n - 1
	}
	return fmt.Sprintf("%s; and %d more", reason[:cut], more)
}
