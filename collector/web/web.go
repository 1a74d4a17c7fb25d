// Package web draws the pages: HTML made on the server from what it is given,
// one style sheet, no script. It decides nothing and reads nothing.
package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// Style is the style sheet, served at [StylePath].
//
//go:embed style.css
var Style []byte

// Icon is the icon, served at [IconPath].
//
//go:embed icon.svg
var Icon []byte

// Where pages expect the style sheet and the icon.
const (
	StylePath = "/style.css"
	IconPath  = "/icon.svg"
)

//go:embed templates/*.html
var templates embed.FS

// Site draws every page of one collector.
type Site struct {
	Checks   []verify.Check
	Profiles []*profiles.Profile
	Demo     bool   // pages say that they show recorded nodes
	Version  string // of the program

	pages map[string]*template.Template
}

// Node is one node as pages show it.
type Node struct {
	Cluster   string
	Name      string
	Origin    string // "recorded" or "composed", "" for a live node
	Note      string // on where its facts are from; further lines are what they were made from
	Agent     string
	Interval  time.Duration
	FirstSeen time.Time
	LastSeen  time.Time
	Gathered  time.Time // by the node's clock
	Silent    bool
	OS        string // in words, as the node calls it
	Kernel    string // release, "" where it is not known
	Report    verify.Report
	Digests   map[string]string // of the facts, on the node's own page
	History   []Span            // newest first, on the node's own page
}

// Span is an interval in which a node was in one state, by the digests of its
// cohort facts and of its own; Until is zero while it lasts.
type Span struct {
	Cohort string
	Node   string
	Since  time.Time
	Until  time.Time
}

// Parse reads the templates; it is called once, before any page is drawn.
func (s *Site) Parse() error {
	s.pages = map[string]*template.Template{}
	for _, page := range []string{"fleet", "node", "check", "checks", "problem"} {
		t, err := template.New("layout.html").Funcs(functions).ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/"+page+".html")
		if err != nil {
			return fmt.Errorf("reading the page %s: %w", page, err)
		}
		s.pages[page] = t
	}
	return nil
}

// layout is what every page has.
type layout struct {
	Title   string
	Demo    bool
	Version string
	At      time.Time // when it was drawn
	Here    string    // the entry of the menu
	Page    any
}

// draw writes a whole page or nothing.
func (s *Site) draw(w io.Writer, page, title, here string, at time.Time, data any) error {
	var b bytes.Buffer
	if err := s.pages[page].Execute(&b, layout{title, s.Demo, s.Version, at, here, data}); err != nil {
		return fmt.Errorf("drawing the page %s: %w", page, err)
	}
	_, _ = b.WriteTo(w) // a reader that is gone needs no page
	return nil
}

// Problem draws the page of an error.
func (s *Site) Problem(w io.Writer, what string, at time.Time) error {
	return s.draw(w, "problem", "Problem", "", at, what)
}

var functions = template.FuncMap{
	"stamp":    stamp,
	"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"short":    short,
	"every":    every,
	"number":   number,
	"plural":   plural,
	"nodePath": NodePath,
	"list":     func(items ...any) []any { return items },
}

// stamp is a time without its zone, which the page names.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// short is the beginning of a digest.
func short(digest string) string { return digest[:min(len(digest), 12)] }

// number groups digits by thousands.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 node" or "3 nodes"; many is the plural of one.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// NodePath is the address of a node's page.
func NodePath(cluster, name string) string {
	return "/nodes/" + url.PathEscape(cluster) + "/" + url.PathEscape(name)
}

func (s *Site) check(id string) (verify.Check, bool) {
	for _, c := range s.Checks {
		if c.ID == id {
			return c, true
		}
	}
	return verify.Check{}, false
}

func (s *Site) profile(name string) *profiles.Profile {
	for _, p := range s.Profiles {
		if p.Name == name {
			return p
		}
	}
	return &profiles.Profile{Name: name, Title: name}
}

// system names the operating system of a node as its profile does, and as the
// node does where the profile fits any.
func (s *Site) system(n Node) string {
	p := s.profile(n.Report.Profile.Name)
	if p.Name == profiles.Generic || n.Report.OS.Version == "" {
		return n.OS
	}
	return p.Title + " " + n.Report.OS.Version
}

// every is an interval in few words: "1m", not "1m0s".
func every(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "!") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// docOf says what a source reads.
func docOf(source string) string {
	for _, s := range node.Sources() {
		if s.Info().Name == source {
			return s.Info().Doc
		}
	}
	return ""
}
