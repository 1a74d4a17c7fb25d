package main

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// style is how text is shown: how wide, and what the reader's terminal can do.
type style struct {
	width   int  // columns
	colour  bool // ANSI colours; never the only sign of anything
	unicode bool // whether more than ASCII may be shown
}

// pipeWidth is how wide text is that does not go to a terminal.
const pipeWidth = 100

// styleOf is the style for what is written to w. Colours follow
// https://no-color.org; the locale is that of locale(7).
func styleOf(w io.Writer, getenv func(string) string) style {
	s := style{width: pipeWidth, unicode: utf8Locale(runtime.GOOS, getenv)}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.colour = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		s.width = min(max(width, 40), 160)
	} else {
		s.width = 80
	}
	return s
}

// utf8Locale reports whether the locale's characters are UTF-8. Where the
// variables say nothing, a Unix has the C locale; other systems have UTF-8.
func utf8Locale(goos string, getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return goos == "windows" || goos == "darwin"
}

// The colours, as SGR parameters of ECMA-48.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours text where the terminal can.
func (s style) paint(text string, sgr ...string) string {
	if !s.colour || text == "" || len(sgr) == 0 {
		return text
	}
	return "\x1b[" + strings.Join(sgr, ";") + "m" + text + "\x1b[0m"
}

// ascii spells what the pages and the table are written with.
var ascii = strings.NewReplacer("✗", "x", "✓", "+", "–", "-", "—", "-", "·", "|", "…", "...", "→", "->", "’", "'", "“", `"`, "”", `"`, "≥", ">=", "≤", "<=", "−", "-")

// show makes text fit for the terminal: in ASCII where it must be.
func (s style) show(text string) string {
	if s.unicode {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r > 126 {
			return '?'
		}
		return r
	}, ascii.Replace(text))
}
