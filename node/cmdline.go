package node

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Word is one word of the kernel command line. Source: the kernel's
// Documentation/admin-guide/kernel-parameters.rst and lib/cmdline.c: words are
// parted by blanks outside double quotes, and a quote may stand before the key.
type Word struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	// Valued tells "key=" from "key".
	Valued bool `json:"valued,omitempty"`
	// Redacted marks a value that is a secret and was replaced.
	Redacted bool `json:"redacted,omitempty"`
	// AfterDashes marks words after "--", which the kernel hands to process 1.
	// The dashes themselves are no word.
	AfterDashes bool `json:"afterDashes,omitempty"`
}

// Is reports whether the word has this key. The kernel takes "-" and "_" for
// the same there (kernel/params.c, parameq).
func (w Word) Is(key string) bool {
	return strings.ReplaceAll(w.Key, "-", "_") == strings.ReplaceAll(key, "-", "_")
}

// parseCmdline parses /proc/cmdline as next_arg in the kernel's lib/cmdline.c
// does. A quote that is left open reaches to the end, as it does there. What no
// kernel prints is refused: a second line, a NUL, text that is not UTF-8.
func parseCmdline(b []byte) ([]Word, error) {
	text := strings.TrimSuffix(string(b), "\n")
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("command line %.200q is not UTF-8", text)
	}
	if i := strings.IndexAny(text, "\x00\n"); i >= 0 {
		return nil, fmt.Errorf("command line %.200q has a %q at byte %d", text, text[i], i)
	}
	words := []Word{}
	dashes := false
	for _, raw := range splitCmdline(text) {
		if raw.blank {
			continue
		}
		w := raw.word()
		if !dashes && w.Key == "--" && !w.Valued {
			dashes = true
			continue
		}
		w.AfterDashes = dashes
		w.Redacted = strings.Contains(w.Key+w.Value, redacted)
		words = append(words, w)
	}
	return words, nil
}

// cmdlinePart is a piece of the command line: one word with its quotes, or the
// blanks between two.
type cmdlinePart struct {
	text  string
	blank bool
}

// splitCmdline cuts a command line into words and the blanks between them.
func splitCmdline(s string) []cmdlinePart {
	var parts []cmdlinePart
	for i := 0; i < len(s); {
		start, quoted := i, false
		blank := isBlank(s[i])
		for i < len(s) && (quoted || isBlank(s[i]) == blank) {
			if s[i] == '"' {
				quoted = !quoted
			}
			i++
		}
		parts = append(parts, cmdlinePart{s[start:i], blank})
	}
	return parts
}

// isBlank is the kernel's isspace, for ASCII.
func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// word takes key and value out of a piece as next_arg does: a quote before the
// key ends at the end of the word, one after the equals sign is dropped, and an
// equals sign in first place is part of the key.
func (p cmdlinePart) word() Word {
	s := p.text
	quoted := strings.HasPrefix(s, `"`)
	if quoted {
		s = s[1:]
	}
	at := -1
	if len(s) > 1 {
		if i := strings.IndexByte(s[1:], '='); i >= 0 {
			at = i + 1
		}
	}
	if at < 0 {
		if quoted {
			s = strings.TrimSuffix(s, `"`)
		}
		return Word{Key: s}
	}
	key, value := s[:at], s[at+1:]
	if rest, ok := strings.CutPrefix(value, `"`); ok {
		value = strings.TrimSuffix(rest, `"`)
	} else if quoted {
		value = strings.TrimSuffix(value, `"`)
	}
	return Word{Key: key, Value: value, Valued: true}
}

// cmdlineText writes a word so that it parses to the same key and value.
func cmdlineText(key, value string) string {
	if strings.ContainsFunc(key+value, func(r rune) bool { return r < 0x80 && isBlank(byte(r)) }) {
		return `"` + key + "=" + value + `"`
	}
	return key + "=" + value
}
