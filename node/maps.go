package node

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// codeMap is a file that a process has mapped so that it can be executed.
type codeMap struct {
	dev     string // major:minor
	ino     uint64
	path    string // without " (deleted)"
	deleted bool
}

// redactMaps takes out of the memory map of a process all but the files that it
// may execute, and where they are in its memory: addresses defeat the
// randomization that protects it. What it cannot read it leaves as it is, for the
// parser to refuse.
func redactMaps(b []byte) []byte {
	out := make([]byte, 0, min(len(b), 4096))
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSuffix(string(line), "\n")
		_, code, err := parseMap(text)
		if err == nil && !code {
			continue
		}
		if err == nil {
			f := strings.SplitN(text, " ", 6)
			text = "0-0 " + f[1] + " 0 " + f[3] + " " + f[4] + " " + strings.TrimLeft(f[5], " ")
		}
		if !seen[text] {
			seen[text] = true
			out = append(append(out, text...), '\n')
		}
	}
	return out
}

// parseMaps parses proc_pid_maps(5), whole or as redactMaps leaves it, and returns
// the files that can be executed, each once, in the order of the text.
func parseMaps(b []byte) ([]codeMap, error) {
	var out []codeMap
	seen := map[codeMap]bool{}
	for line := range bytes.Lines(b) {
		m, code, err := parseMap(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			return nil, err
		}
		if code && !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out, nil
}

// parseMap parses one line; code says whether it is a file that can be executed.
func parseMap(line string) (m codeMap, code bool, err error) {
	f := strings.SplitN(line, " ", 6)
	if len(f) < 5 {
		return m, false, fmt.Errorf("memory map %.200q has too few fields", line)
	}
	from, to, ok := strings.Cut(f[0], "-")
	for _, hex := range []string{from, to, f[2]} {
		if _, err := strconv.ParseUint(hex, 16, 64); err != nil || !ok {
			return m, false, fmt.Errorf("memory map %.200q has no range or offset", line)
		}
	}
	if len(f[1]) != 4 || !permission(f[1][0], 'r') || !permission(f[1][1], 'w') || !permission(f[1][2], 'x') || f[1][3] != 'p' && f[1][3] != 's' {
		return m, false, fmt.Errorf("memory map %.200q has no permissions", line)
	}
	major, minor, ok := strings.Cut(f[3], ":")
	maj, err1 := strconv.ParseUint(major, 16, 32)
	mnr, err2 := strconv.ParseUint(minor, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return m, false, fmt.Errorf("memory map %.200q has no device", line)
	}
	if m.ino, err = strconv.ParseUint(f[4], 10, 64); err != nil {
		return m, false, fmt.Errorf("memory map %.200q has no inode", line)
	}
	m.dev = fmt.Sprintf("%d:%d", maj, mnr)
	if len(f) == 6 {
		m.path = strings.TrimLeft(f[5], " ")
	}
	// "[heap]", "[vdso]" and "[anon:…]" are no files.
	if f[1][2] != 'x' || !strings.HasPrefix(m.path, "/") {
		return codeMap{}, false, nil
	}
	m.path, m.deleted = strings.CutSuffix(m.path, " (deleted)")
	m.path = strings.ReplaceAll(m.path, `\012`, "\n") // the only character that is escaped
	return m, true, nil
}

// permission reports whether c is the permission or stands for its absence.
func permission(c, set byte) bool { return c == set || c == '-' }

// inMemory reports whether what is mapped is in memory only: a file of
// memfd_create(2), memory shared under System V or without a name (mm/shmem.c),
// or huge pages without one (fs/hugetlbfs/inode.c).
func (m codeMap) inMemory() bool {
	return isMemory(m.path) || m.deleted && (strings.HasPrefix(m.path, "/SYSV") || m.path == "/dev/zero" || m.path == "/anon_hugepage")
}
