package node

import (
	"errors"
	"slices"
	"strings"
)

// startedBy are the programs that a command of sh(1) starts: the first word
// of each simple command. What a program computes stands as "$". Words that only
// steer the shell, or are its own, are left out. Nothing that a shell would hold
// an argument or a value is returned.
func startedBy(command string) ([]string, error) {
	words, err := shellWords(command)
	if err != nil {
		return nil, err
	}
	var out []string
	first := true
	redirected := false
	for _, w := range words {
		switch {
		case w.operator && strings.ContainsAny(w.text, "<>"):
			redirected = true
		case w.operator:
			first, redirected = true, false
		case redirected:
			redirected = false
		case !first:
		case !w.quoted && slices.Contains(shellKeywords, w.text):
		case isAssignment(w.text):
		default:
			first = false
			switch {
			case strings.ContainsAny(w.text, "$`"):
				out = append(out, "$")
			case !slices.Contains(shellOwn, w.text):
				out = append(out, w.text)
			}
		}
	}
	return distinct(out), nil
}

// shellKeywords stand before a command, shellOwn are commands that start nothing.
var (
	shellKeywords = []string{"!", "{", "}", "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "exec", "command", "time"}
	shellOwn      = []string{":", "[", "[[", "cd", "echo", "exit", "export", "false", "return", "set", "shift", "test", "true", "umask", "unset"}
)

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	if !ok || name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

type shellWord struct {
	text     string
	operator bool
	quoted   bool
}

var errOpenQuote = errors.New("a quote is not closed")

// shellWords splits a command into words and operators, as far as telling where
// a command begins takes. What is substituted is one word with what is around it.
func shellWords(command string) ([]shellWord, error) {
	var out []shellWord
	var word strings.Builder
	in, quoted := false, false
	end := func() {
		if in {
			out = append(out, shellWord{text: word.String(), quoted: quoted})
		}
		word.Reset()
		in, quoted = false, false
	}
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '\\':
			if i+1 < len(command) {
				i++
				word.WriteByte(command[i])
			}
			in = true
		case c == '\'' || c == '"' || c == '`':
			j := i + 1
			for ; j < len(command) && command[j] != c; j++ {
				if command[j] == '\\' && c != '\'' {
					j++
				}
			}
			if j >= len(command) {
				return nil, errOpenQuote
			}
			if c == '`' {
				word.WriteByte('$')
			} else {
				word.WriteString(command[i+1 : j])
			}
			in, quoted, i = true, true, j
		case c == '$' && i+1 < len(command) && command[i+1] == '(':
			depth, j := 0, i+1
			for ; j < len(command); j++ {
				if command[j] == '(' {
					depth++
				} else if command[j] == ')' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if j >= len(command) {
				return nil, errors.New("a substitution is not closed")
			}
			word.WriteByte('$')
			in, i = true, j
		case c == ' ' || c == '\t':
			end()
		case strings.IndexByte(";&|()\n<>", c) >= 0:
			if c == '&' && i > 0 && strings.IndexByte("<>", command[i-1]) >= 0 {
				continue // 2>&1
			}
			if (c == '<' || c == '>') && !quoted && strings.Trim(word.String(), "0123456789") == "" {
				word.Reset() // the number of a descriptor: 2>
				in = false
			}
			end()
			out = append(out, shellWord{text: string(c), operator: true})
		case c == '#' && !in:
			if j := strings.IndexByte(command[i:], '\n'); j >= 0 {
				i += j - 1
				continue
			}
			i = len(command)
		default:
			word.WriteByte(c)
			in = true
		}
	}
	end()
	return out, nil
}
