package node

import (
	"path"
	"slices"
	"strings"
)

// grammar is how an interpreter finds its script among its arguments.
type grammar struct {
	none      string   // short options after which there is no script file: code, a module, standard input
	value     string   // short options with a value: the rest of the word, else the next word
	next      string   // short options whose value is always the next word; the word goes on
	rest      string   // short options that take the rest of their word, if any
	digits    string   // short options that take digits of their word, if any
	script    string   // short options whose value is the script
	noneLong  []string // the same for long options
	valueLong []string
	flagLong  []string // long options that may stand after a single dash
	input     string   // short options after which the script is read from standard input
	reads     bool     // without a script file it reads one from standard input
	plus      bool     // options may begin with +
	dash      bool     // "-" ends the options; elsewhere it means standard input
}

// Options: bash(1), dash(1); python(1); perlrun(1); ruby(1); node(1); lua(1);
// php(1); ld.so(8).
var grammars = map[string]grammar{
	"sh": {
		none: "c", input: "s", reads: true, next: "oO", valueLong: []string{"rcfile", "init-file", "emulate"}, plus: true, dash: true,
		flagLong: []string{"debug", "debugger", "dump-po-strings", "dump-strings", "login", "noediting", "noprofile", "norc", "posix", "pretty-print", "protected", "restricted", "verbose", "wordexp"},
	},
	"python": {none: "cm", reads: true, value: "WXQ", valueLong: []string{"check-hash-based-pycs"}},
	"perl":   {none: "eE", value: "I", rest: "MmiFxCDdV", digits: "0l"},
	"ruby": {
		none: "e", value: "rICE", rest: "FiKWTx", digits: "0",
		valueLong: []string{"encoding", "external-encoding", "internal-encoding", "enable", "disable", "backtrace-limit"},
	},
	"node": {
		none: "ep", value: "rC", noneLong: []string{"eval", "print"},
		valueLong: []string{"require", "import", "loader", "experimental-loader", "conditions", "input-type", "title", "inspect-port", "icu-data-dir", "openssl-config", "redirect-warnings", "trace-event-categories", "disable-warning", "diagnostic-dir"},
	},
	"lua": {value: "el"},
	"php": {
		none: "rBREa", value: "cdzSt", script: "fF",
		noneLong: []string{"run", "interactive"}, valueLong: []string{"define", "php-ini", "server", "docroot", "zend-extension"},
	},
	// The loader runs any program that is its argument, whatever its exec bit or
	// the noexec of its mount say, and is itself the executable.
	"ld.so": {valueLong: []string{"library-path", "preload", "audit", "argv0", "inhibit-rpath", "glibc-hwcaps-prepend", "glibc-hwcaps-mask"}},
	"other": {},
}

var interpreters = map[string]string{
	"sh": "sh", "bash": "sh", "rbash": "sh", "dash": "sh", "ash": "sh", "zsh": "sh", "ksh": "sh", "mksh": "sh",
	"python": "python", "pypy": "python", "platform-python": "python",
	"perl": "perl", "ruby": "ruby", "node": "node", "nodejs": "node", "lua": "lua", "luajit": "lua", "php": "php", "php-cgi": "php",
	"busybox": "busybox", "toybox": "busybox", "tclsh": "other", "expect": "other", "fish": "other", "csh": "other", "tcsh": "other",
}

// interpreter is the family of the interpreter that the executable is, "" where
// it is none: python3.11 is a python, ld-linux-x86-64.so.2 the loader.
func interpreter(exe string) string {
	name := path.Base(exe)
	if strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "ld-musl-") || name == "ld.so" || strings.HasPrefix(name, "ld64.so") ||
		len(name) > 3 && strings.HasPrefix(name, "ld-") && name[3] >= '0' && name[3] <= '9' {
		return "ld.so"
	}
	if f := interpreters[name]; f != "" {
		return f
	}
	return interpreters[strings.TrimRight(name, "0123456789.-")]
}

// fromInput stands for the script that an interpreter reads from its standard
// input. No argument is like it.
const fromInput = "\x00"

// findScript is the script that an interpreter of the family runs with the
// arguments args (without the first), fromInput where it reads one, and "" where
// it runs none.
func findScript(family string, args []string) string {
	if len(args) > 1 && args[0] == "--" {
		return args[1]
	}
	g := grammars[family]
	input := ""
	if g.reads {
		input = fromInput
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--" || a == "-" && g.dash:
			if i+1 < len(args) {
				return args[i+1]
			}
			return input
		case a == "-":
			return input
		case a == "":
			return ""
		case a[0] != '-' && !(g.plus && a[0] == '+'):
			return a
		}
		long, _, valued := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case slices.Contains(g.valueLong, long):
			if !valued {
				i++
			}
			continue
		case slices.Contains(g.noneLong, long):
			return ""
		case strings.HasPrefix(a, "--") || slices.Contains(g.flagLong, long):
			continue
		}
		script, skip, none := g.short(a[1:], args[i+1:])
		if script != "" || none {
			return script
		}
		i += skip
	}
	return input
}

// short reads one word of short options; skip counts the words after it that
// are values, none says that there is no script.
func (g *grammar) short(word string, after []string) (script string, skip int, none bool) {
	for i := 0; i < len(word); i++ {
		c := word[i : i+1]
		switch {
		case strings.Contains(g.none, c):
			return "", skip, true
		case strings.Contains(g.input, c):
			return fromInput, skip, false
		case strings.Contains(g.next, c):
			skip++
		case strings.Contains(g.rest, c):
			return "", skip, false
		case strings.Contains(g.value, c):
			if i+1 == len(word) {
				skip++
			}
			return "", skip, false
		case strings.Contains(g.script, c):
			if i+1 < len(word) {
				return word[i+1:], skip, false
			}
			if skip < len(after) {
				return after[skip], skip, false
			}
			return "", skip, true
		case strings.Contains(g.digits, c):
			for i+1 < len(word) && word[i+1] >= '0' && word[i+1] <= '9' {
				i++
			}
		}
	}
	return "", skip, false
}
