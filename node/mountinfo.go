package node

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mount is a line of mountinfo.
type mount struct {
	id, parent int
	dev        string // major:minor
	root, path string
	options    []string
	fstype     string
	source     string
	super      []string
}

// parseMountinfo parses mountinfo; see proc_pid_mountinfo(5). It refuses what
// is not exactly of that form and quotes it.
func parseMountinfo(b []byte) ([]mount, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("the mount table is empty")
	}
	if b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the mount table is cut: no newline at its end")
	}
	lines := bytes.Count(b, []byte("\n"))
	mounts := make([]mount, 0, lines)
	seen := make(map[int]bool, lines)
	known := optionLists{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		m, err := parseMountLine(string(line[:len(line)-1]), known)
		if err != nil {
			return nil, fmt.Errorf("mount line %d %.200q: %w", n, line[:len(line)-1], err)
		}
		if seen[m.id] {
			return nil, fmt.Errorf("mount line %d %.200q: mount id %d stands twice", n, line[:len(line)-1], m.id)
		}
		seen[m.id] = true
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func parseMountLine(line string, known optionLists) (mount, error) {
	var m mount
	if !utf8.ValidString(line) {
		return m, fmt.Errorf("not UTF-8")
	}
	// The kernel escapes space, tab, newline, # and backslash as three octal
	// digits, so that a single space always separates fields.
	var fields [12]string // as a rule there are 10 or 11
	f := slices.AppendSeq(fields[:0], strings.SplitSeq(line, " "))
	sep := -1
	for i := 6; i < len(f); i++ {
		if f[i] == "-" {
			sep = i
			break
		}
	}
	if sep < 0 {
		return m, fmt.Errorf("no separator after the optional fields")
	}
	if len(f) != sep+4 {
		return m, fmt.Errorf("%d fields after the separator, want 3", len(f)-sep-1)
	}
	var err error
	if m.id, err = number(f[0]); err != nil {
		return m, fmt.Errorf("mount id: %w", err)
	}
	if m.parent, err = number(f[1]); err != nil {
		return m, fmt.Errorf("parent id: %w", err)
	}
	major, minor, ok := strings.Cut(f[2], ":")
	if !ok {
		return m, fmt.Errorf("device %q is not major:minor", f[2])
	}
	for _, n := range []string{major, minor} {
		if _, err := number(n); err != nil {
			return m, fmt.Errorf("device %q: %w", f[2], err)
		}
	}
	m.dev = f[2]
	if m.root, err = unescape(f[3]); err != nil {
		return m, fmt.Errorf("root: %w", err)
	}
	if m.path, err = unescape(f[4]); err != nil {
		return m, fmt.Errorf("mount point: %w", err)
	}
	if !strings.HasPrefix(m.path, "/") {
		return m, fmt.Errorf("mount point %q is not absolute", m.path)
	}
	if m.options, err = known.of(f[5]); err != nil {
		return m, fmt.Errorf("mount options: %w", err)
	}
	if m.options[0] != "ro" && m.options[0] != "rw" {
		return m, fmt.Errorf("mount options %q do not begin with ro or rw", m.options)
	}
	if m.fstype = f[sep+1]; m.fstype == "" {
		return m, fmt.Errorf("no file system type")
	}
	if m.source, err = unescape(f[sep+2]); err != nil { // may be empty: mount(2) with source ""
		return m, fmt.Errorf("source: %w", err)
	}
	if m.super, err = known.of(f[sep+3]); err != nil {
		return m, fmt.Errorf("super options: %w", err)
	}
	if m.super[0] != "ro" && m.super[0] != "rw" {
		return m, fmt.Errorf("super options %q do not begin with ro or rw", m.super)
	}
	return m, nil
}

// number parses a decimal number without sign, blank or leading zero.
func number(s string) (int, error) {
	if s == "" || len(s) > 10 || len(s) > 1 && s[0] == '0' {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	n, err := strconv.ParseUint(s, 10, strconv.IntSize-1)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return int(n), nil
}

// unescape turns the kernel's three octal digits into the byte they stand for.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+4 > len(s) {
			return "", fmt.Errorf("%q ends within an escape", s)
		}
		v, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil {
			return "", fmt.Errorf("%q: %q is not an escape of three octal digits", s, s[i:i+4])
		}
		b.WriteByte(byte(v))
		i += 3
	}
	return b.String(), nil
}

// optionLists are the options of a table by their text: thousands of mounts have
// the same few.
type optionLists map[string][]string

func (l optionLists) of(s string) ([]string, error) {
	if list, ok := l[s]; ok {
		return list, nil
	}
	list, err := options(s)
	if err == nil {
		l[s] = list
	}
	return list, err
}

// options splits at commas, but not within a quoted value: SELinux contexts are
// quoted where they hold a comma. Source: the kernel's security/selinux/hooks.c,
// show_sid. Elsewhere a quote is a byte like others: it may stand in a path.
func options(s string) ([]string, error) {
	out := make([]string, 0, strings.Count(s, ",")+1)
	for rest := s; ; {
		end := strings.IndexByte(rest, ',')
		if at := strings.Index(rest, `="`); at >= 0 && (end < 0 || at < end) {
			n := strings.IndexByte(rest[at+2:], '"')
			if n < 0 {
				return nil, fmt.Errorf("%q has an open quote", s)
			}
			after := at + 2 + n + 1
			if after < len(rest) && rest[after] != ',' {
				return nil, fmt.Errorf("%q goes on after a quote", s)
			}
			end = after
			if after == len(rest) {
				end = -1
			}
		}
		option := rest
		if end >= 0 {
			option = rest[:end]
		}
		o, err := unescape(option)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
		if end < 0 {
			return out, nil
		}
		rest = rest[end+1:]
	}
}
