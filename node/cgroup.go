package node

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// cgroupLine is one line of /proc/<pid>/cgroup: cgroups(7).
type cgroupLine struct {
	controllers string // "" for version 2, "name=systemd" for the named hierarchy
	path        string // as seen from the reader's cgroup namespace: it may begin with /..
	// names are those on the path, without the leading ".." that a reader in a
	// cgroup namespace of its own sees above itself.
	names []string
}

// parseCgroup parses /proc/<pid>/cgroup. The kernel lets no newline into the
// name of a cgroup, so that a line is a line.
func parseCgroup(b []byte) ([]cgroupLine, error) {
	if len(b) == 0 { // no hierarchy is mounted, so that the process is in none
		return nil, nil
	}
	if b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the list of cgroups is cut: no newline at its end")
	}
	var out []cgroupLine
	for line := range bytes.Lines(b) {
		text := string(line[:len(line)-1])
		hierarchy, rest, ok := strings.Cut(text, ":")
		controllers, cgroup, ok2 := strings.Cut(rest, ":")
		if !ok || !ok2 {
			return nil, fmt.Errorf("cgroup line %.200q: want hierarchy:controllers:path", text)
		}
		if _, err := number(hierarchy); err != nil {
			return nil, fmt.Errorf("cgroup line %.200q: hierarchy: %w", text, err)
		}
		if !strings.HasPrefix(cgroup, "/") {
			return nil, fmt.Errorf("cgroup line %.200q: the path is not absolute", text)
		}
		cgroup = strings.TrimSuffix(cgroup, " (deleted)")
		out = append(out, cgroupLine{controllers, cgroup, namesOn(cgroup)})
	}
	slices.SortStableFunc(out, func(a, b cgroupLine) int { return a.rank() - b.rank() })
	return out, nil
}

// rank puts the hierarchies first that container engines and systemd use to
// name what they start.
func (l cgroupLine) rank() int {
	switch l.controllers {
	case "":
		return 0
	case "name=systemd":
		return 1
	}
	return 2
}

func namesOn(cgroup string) []string {
	for {
		cgroup = strings.TrimLeft(cgroup, "/")
		rest, up := strings.CutPrefix(cgroup, "../")
		if !up {
			break
		}
		cgroup = rest
	}
	if cgroup = strings.TrimRight(cgroup, "/"); cgroup == "" || cgroup == ".." {
		return nil
	}
	return strings.Split(cgroup, "/")
}

// outside reports whether the path leads out of the reader's cgroup namespace.
func (l cgroupLine) outside() bool { return l.path == "/.." || strings.HasPrefix(l.path, "/../") }

// containerIn is the identifier of the container that lines name, "" where they
// name none. Every hierarchy is looked at: on version 1 and hybrid hosts the
// version 2 line often stays at the service of the engine. Of nested containers
// the outermost counts: it is the one that the node runs.
//
// The name of a cgroup is what somebody with write access to the hierarchy
// chose. It alone proves no container: see processTable.classify.
func containerIn(lines []cgroupLine) string {
	for _, l := range lines {
		f := l.names
		for i, c := range f {
			if id := containerID(c); id != "" {
				return id
			}
			// containerd without a parent cgroup in the container's specification
			// uses /<namespace>/<identifier>; Bottlerocket's host containers are
			// /default/admin and /default/control.
			if i == 1 && slices.Contains([]string{"default", "k8s.io", "moby", "buildkit"}, f[0]) {
				return c
			}
		}
	}
	return ""
}

// containerID is the identifier in one name of a cgroup path: 64 hexadecimal
// digits alone (cgroupfs driver), as cri-containerd-<id>.scope, crio-<id>.scope,
// docker-<id>.scope, libpod-<id>.scope (systemd driver), or as
// <slice>:cri-containerd:<id> (a systemd path given to the cgroupfs driver).
// conmon watches a container from outside, in a cgroup that is named after it.
func containerID(name string) string {
	name = strings.TrimSuffix(name, ".scope")
	name = name[strings.LastIndexByte(name, ':')+1:]
	if rest, ok := strings.CutPrefix(name, "lxc.payload."); ok {
		return rest
	}
	if len(name) < 64 {
		return ""
	}
	prefix, id := name[:len(name)-64], name[len(name)-64:]
	if strings.Trim(id, "0123456789abcdef") != "" || prefix != "" && !strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, "conmon-") {
		return ""
	}
	return id
}

var podPattern = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)

// podIn is the uid of the pod that lines name, "" where they name none. That of
// a static pod is a digest of 32 digits.
func podIn(lines []cgroupLine) string {
	for _, l := range lines {
		for _, c := range l.names {
			if !strings.Contains(c, "pod") {
				continue
			}
			if m := podPattern.FindStringSubmatch(c); m != nil {
				return strings.ReplaceAll(m[1], "_", "-")
			}
		}
	}
	return ""
}

// serviceIn is the path that tells services apart: that of version 2, where it
// says more than "/", else of name=systemd, else the longest.
func serviceIn(lines []cgroupLine) string {
	best := "/"
	for _, l := range lines {
		p := "/" + strings.Join(l.names, "/")
		if l.rank() < 2 && p != "/" {
			return p
		}
		if len(p) > len(best) {
			best = p
		}
	}
	return best
}

var unitPatterns = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`pod[0-9a-f]{32}(\.slice|/|$)`), "pod<id>$1"}, // a static pod; the d is no digit of it
	{regexp.MustCompile(`[0-9a-f]{64}`), "<id>"},
	{regexp.MustCompile(`[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`[0-9a-f]{32}`), "<id>"},
	{regexp.MustCompile(`/session-c?[0-9]+\.scope`), "/session-N.scope"},
	{regexp.MustCompile(`/user-[0-9]+\.slice`), "/user-N.slice"},
	{regexp.MustCompile(`/(user|user-runtime-dir)@[0-9]+\.service`), "/$1@N.service"},
	// A service per connection: sshd@3-192.0.2.1:22-192.0.2.2:51234.service.
	{regexp.MustCompile(`@[0-9]+-[^/]*\.service`), "@N.service"},
	// What systemd-run starts: run-u12.service, run-r<hex>.scope, run-p1-i2.scope.
	{regexp.MustCompile(`/run-[a-z]?[0-9a-f]+(-[a-z]?[0-9a-f]+)*\.(service|scope)`), "/run-N.$2"},
}

// stableUnit leaves out of a cgroup path what differs between equal nodes:
// sessions, users' numbers, connections, containers.
func stableUnit(p string) string {
	if strings.Trim(p, "/abcdefghijklmnopqrstuvwxyz.-") == "" && len(p) < 32 {
		return p // nothing to replace in "/system.slice/sshd.service"
	}
	for _, u := range unitPatterns {
		p = u.pattern.ReplaceAllString(p, u.to)
	}
	return quoteName(p)
}
