package node

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// procStatus is what matters of /proc/<pid>/status: proc_pid_status(5).
type procStatus struct {
	comm       string
	uids, gids []uint32 // effective, then real and saved where they differ
	groups     []uint32
	threads    int
	kthread    bool  // "Kthread: 1", which kernels have since 6.11
	memory     bool  // it has memory of its own: kernel threads and zombies have none
	rss        int64 // resident memory in bytes; 0 where the kernel does not say
	confinement
}

// confinement is what holds a process back, or does not: capabilities(7),
// seccomp(2), PR_SET_NO_NEW_PRIVS(2const).
type confinement struct {
	capPrm     uint64 // permitted capabilities, in the process's user namespace
	capBnd     uint64 // those that it can gain by executing a file
	seccomp    string // "0" off, "1" strict, "2" a filter; "" where the kernel does not say
	noNewPrivs string // "0", "1"; "" where the kernel does not say
}

// parseStatus parses /proc/<pid>/status. Fields that it does not need are not
// looked at; those that it needs must stand there once and be well formed.
func parseStatus(b []byte) (procStatus, error) {
	var s procStatus
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return s, fmt.Errorf("the status is cut: no newline at its end")
	}
	var seen [len(statusFields)]bool
	for line := range bytes.Lines(b) {
		key, value, ok := bytes.Cut(line[:len(line)-1], []byte(":"))
		if !ok {
			return s, fmt.Errorf("status line %.200q: no colon", line)
		}
		if bytes.HasPrefix(key, []byte("Vm")) {
			s.memory = true
			if string(key) == "VmRSS" {
				kib, err := number(strings.TrimSpace(strings.TrimSuffix(string(value), " kB")))
				if err != nil {
					return s, fmt.Errorf("status line %.200q: %w", line, err)
				}
				s.rss = int64(kib) << 10
			}
			continue
		}
		for i, name := range statusFields {
			if string(key) != name {
				continue
			}
			if seen[i] {
				return s, fmt.Errorf("status line %.200q: %s stands twice", line, name)
			}
			seen[i] = true
			if err := s.set(name, strings.TrimPrefix(string(value), "\t")); err != nil {
				return s, fmt.Errorf("status line %.200q: %w", line, err)
			}
		}
	}
	for i, name := range statusFields {
		if !seen[i] && i < neededFields {
			return s, fmt.Errorf("the status has no field %s", name)
		}
	}
	return s, nil
}

// statusFields are the fields that are looked at. The first neededFields of them
// every kernel has.
var statusFields = [...]string{"Name", "Uid", "Gid", "Groups", "Threads", "CapPrm", "Kthread", "CapBnd", "NoNewPrivs", "Seccomp"}

const neededFields = 6

func (s *procStatus) set(name, value string) error {
	var err error
	switch name {
	case "Name":
		// The kernel escapes newline and backslash, and nothing else.
		s.comm = value
		if strings.Contains(value, `\`) {
			s.comm = strings.NewReplacer(`\n`, "\n", `\\`, `\`).Replace(value)
		}
	case "Uid":
		s.uids, err = takable(value)
	case "Gid":
		s.gids, err = takable(value)
	case "Groups":
		for g := range strings.FieldsSeq(value) {
			n, err := strconv.ParseUint(g, 10, 32)
			if err != nil {
				return fmt.Errorf("group %q is not a number", g)
			}
			s.groups = append(s.groups, uint32(n))
		}
	case "Threads":
		s.threads, err = number(value)
	case "Kthread":
		s.kthread = value == "1"
	case "CapPrm", "CapBnd":
		set := &s.capPrm
		if name == "CapBnd" {
			set = &s.capBnd
		}
		if *set, err = strconv.ParseUint(value, 16, 64); err != nil {
			return fmt.Errorf("capabilities %q are no hexadecimal number", value)
		}
	case "NoNewPrivs":
		s.noNewPrivs = value
		_, err = number(value)
	case "Seccomp":
		s.seccomp = value
		_, err = number(value)
	}
	return err
}

// takable are the ids of a process that setresuid(2) lets it have, of real,
// effective, saved and file system id: the effective one first.
func takable(value string) ([]uint32, error) {
	f := strings.Split(value, "\t")
	if len(f) != 4 {
		return nil, fmt.Errorf("%d ids, want 4", len(f))
	}
	var ids []uint32
	for _, text := range []string{f[1], f[0], f[2]} {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("id %q is not a number", text)
		}
		if id := uint32(n); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// idRange is a line of /proc/<pid>/uid_map: user_namespaces(7).
type idRange struct{ inside, outside, count uint64 }

func parseIDMap(b []byte) ([]idRange, error) {
	var out []idRange
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("id map line %.100q: %d fields, want 3", line, len(f))
		}
		var n [3]uint64
		for i := range f {
			var err error
			if n[i], err = strconv.ParseUint(f[i], 10, 32); err != nil {
				return nil, fmt.Errorf("id map line %.100q: %q is not a number", line, f[i])
			}
		}
		out = append(out, idRange{n[0], n[1], n[2]})
	}
	return out, nil
}

// mapped reports whether the id of the reader's namespace exists in the map.
func mapped(ranges []idRange, id uint32) bool {
	for _, r := range ranges {
		if uint64(id) >= r.outside && uint64(id) < r.outside+r.count {
			return true
		}
	}
	return false
}

// quoteName makes a name of the file system fit for JSON, which has no bytes:
// one that is not UTF-8 is quoted as in Go. No absolute path begins with a quote.
func quoteName(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strconv.Quote(s)
}
