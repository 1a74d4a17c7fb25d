package node

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// BinfmtHandler is a program that the kernel starts for files of a format.
// Source: the kernel's Documentation/admin-guide/binfmt-misc.rst.
type BinfmtHandler struct {
	Name        string `json:"name"`
	Enabled     bool   `json:"enabled"`
	Interpreter string `json:"interpreter"`
	// Flags are letters: P (keep the first argument), O (open the file), C (with
	// the rights of the file), F (the interpreter was opened at registration).
	Flags string `json:"flags"`
}

const binfmtDir = "proc/sys/fs/binfmt_misc"

// readBinfmt reads the handlers that the kernel has. They outlive the mount that
// they were registered through, so that without it they are not known.
func readBinfmt(h *Host) ([]BinfmtHandler, error) {
	b, err := h.ReadFile("proc/filesystems", 1<<16)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(b), "\tbinfmt_misc\n") {
		return []BinfmtHandler{}, nil // the kernel has no such thing, or has not loaded it
	}
	entries, err := h.ReadDir(binfmtDir, 4096)
	if err != nil {
		if IsAbsent(err) {
			err = &Error{"listing", "/" + binfmtDir, Failed, "it is not mounted"}
		}
		return nil, err
	}
	out := []BinfmtHandler{}
	mounted := false
	for _, e := range entries {
		switch e.Name {
		case "register":
		case "status":
			mounted = true
		default:
			b, err := h.ReadFile(binfmtDir+"/"+e.Name, 1<<16)
			if IsAbsent(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			handler, err := parseBinfmt(b)
			if err != nil {
				return nil, fmt.Errorf("reading /%s/%s: %w", binfmtDir, e.Name, err)
			}
			handler.Name = e.Name
			out = append(out, handler)
		}
	}
	if !mounted {
		return nil, &Error{"listing", "/" + binfmtDir, Failed, "it is not mounted"}
	}
	return out, nil
}

// parseBinfmt parses the state of one handler.
func parseBinfmt(b []byte) (BinfmtHandler, error) {
	var h BinfmtHandler
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch {
		case i == 0 && (line == "enabled" || line == "disabled"):
			h.Enabled = line == "enabled"
		case i == 0:
			return h, fmt.Errorf("state %.100q is neither enabled nor disabled", line)
		case key == "interpreter" && value != "" && h.Interpreter == "":
			h.Interpreter = value
		case key == "flags:":
			h.Flags = strings.TrimSpace(value)
		case key == "extension", key == "offset", key == "magic", key == "mask":
		default:
			return h, fmt.Errorf("line %.100q is not known", line)
		}
	}
	if h.Interpreter == "" {
		return h, fmt.Errorf("it names no interpreter")
	}
	return h, nil
}

// parseBinfmtFile reads the interpreters of a file of binfmt.d(5): the sixth of
// the fields, which the first character of a line parts.
func parseBinfmtFile(b []byte) ([]string, error) {
	lines, err := plainLines(b, "#;")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		fields := strings.Split(l.text, l.text[:1])
		if len(fields) < 7 || !path.IsAbs(fields[6]) || !utf8.ValidString(fields[6]) {
			return nil, fmt.Errorf("line %d has no interpreter", l.number)
		}
		out = append(out, fields[6])
	}
	return distinct(out), nil
}
