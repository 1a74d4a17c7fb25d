package node

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
)

// KubeletUnitState is how systemd starts the kubelet, by the files that say so.
type KubeletUnitState struct {
	// Unit is the service that the kubelet or its supervisor runs in
	// ("kubelet.service"), "" where it runs in none, and Cgroup what tells.
	Unit   string `json:"unit"`
	Cgroup string `json:"cgroup"`
	// Files are the unit, its drop-ins and the environment files that they name,
	// with links followed, in the order of their folders.
	Files []KubeletFile `json:"files"`
}

// unitFolders are where systemd looks for the units of the system, first the one
// that wins. Source: systemd.unit(5), "System Unit Search Path"; generators' three
// folders hold what programs of the system made of other files.
var unitFolders = []string{
	"etc/systemd/system.control", "run/systemd/system.control", "run/systemd/transient", "run/systemd/generator.early",
	"etc/systemd/system", "etc/systemd/system.attached", "run/systemd/system", "run/systemd/system.attached", "run/systemd/generator",
	"usr/local/lib/systemd/system", "usr/lib/systemd/system", "run/systemd/generator.late",
}

const (
	maxUnit    = 1 << 20
	maxDropIns = 200
)

var serviceName = regexp.MustCompile(`^[0-9A-Za-z:_.\\@-]+\.service$`)

// KubeletUnit are the files that decide with which arguments systemd starts the
// kubelet.
var KubeletUnit = Source[KubeletUnitState]{
	Name:  "kubelet-unit",
	Doc:   "the unit of the kubelet, its drop-ins and environment files, by mode and owner",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (KubeletUnitState, []Gap, error) {
		k, err := h.gathering.kubelet()
		if err != nil {
			return KubeletUnitState{}, nil, err
		}
		return readKubeletUnit(h, k.cgroup)
	},
}

// readKubeletUnit looks for the files of the service that a cgroup belongs to.
func readKubeletUnit(h *Host, cgroup string) (KubeletUnitState, []Gap, error) {
	v := KubeletUnitState{Cgroup: stableUnit(cgroup), Files: []KubeletFile{}}
	for _, part := range strings.Split(cgroup, "/") {
		if serviceName.MatchString(part) {
			v.Unit = part // the innermost
		}
	}
	if v.Unit == "" {
		return v, nil, nil
	}
	var gaps []Gap
	var environment []string
	add := func(role, name string) {
		to, err := realPath(h, "/"+name)
		if IsAbsent(err) {
			return
		}
		if err != nil {
			gaps = append(gaps, GapOf("the unit of the kubelet", err))
			return
		}
		f, err := kubeletFile(h, role, to)
		if err != nil {
			gaps = append(gaps, GapOf("the unit of the kubelet", err))
		}
		v.Files = append(v.Files, f)
		u, err := readUnit(h, strings.TrimPrefix(to, "/"))
		if err != nil {
			if to != "/dev/null" { // how a unit is masked
				gaps = append(gaps, GapOf("the environment files of the kubelet's unit", err))
			}
			return
		}
		environment = append(environment, u.environment...)
	}
	unit := 0
	for _, dir := range unitFolders {
		before := len(v.Files)
		if unit == 0 { // systemd reads the first alone
			add("unit", path.Join(dir, v.Unit))
			unit = len(v.Files) - before
		}
		dropIns := path.Join(dir, v.Unit+".d")
		entries, err := h.ReadDir(dropIns, maxDropIns)
		if err != nil {
			if !IsAbsent(err) {
				gaps = append(gaps, GapOf("the drop-ins of the kubelet's unit", err))
			}
			continue
		}
		for _, e := range entries {
			if path.Ext(e.Name) == ".conf" {
				add("drop-in", path.Join(dropIns, e.Name))
			}
		}
	}
	if unit == 0 {
		gaps = append(gaps, GapOf("the unit of the kubelet", &Error{"looking for", v.Unit, Absent, "it stands in no folder of units"}))
	}
	// Many paths lead through one folder that may not be seen.
	seen := map[Gap]bool{}
	gaps = slices.DeleteFunc(gaps, func(g Gap) bool {
		again := seen[g]
		seen[g] = true
		return again
	})
	slices.Sort(environment)
	for _, name := range slices.Compact(environment) {
		if strings.ContainsAny(name, "*?[%$") {
			gaps = append(gaps, GapOf("the environment files of the kubelet's unit", &Error{"looking at", quoteName(name), Unsupported, "patterns, specifiers and escapes are not followed"}))
			continue
		}
		f, err := kubeletFile(h, "environment", name)
		if err != nil && !IsAbsent(err) {
			gaps = append(gaps, GapOf("the environment files of the kubelet's unit", err))
		}
		v.Files = append(v.Files, f)
	}
	return v, gaps, nil
}

// environmentFiles are the absolute paths that a unit names its environment files
// by, without the dash that allows one to be absent; an empty one empties the
// list. Source: systemd.exec(5), EnvironmentFile=.
func environmentFiles(unit []byte) []string {
	var names []string
	for line := range strings.Lines(strings.ReplaceAll(string(unit), "\\\n", " ")) {
		name, ok := assigned(line, "EnvironmentFile")
		if !ok {
			continue
		}
		name = strings.TrimPrefix(strings.Trim(name, `"'`), "-")
		if strings.ContainsAny(name, "\\\"'") || strings.HasPrefix(name, "%") {
			name = "/%" // some path that this program does not work out
		}
		switch {
		case name == "":
			names = nil
		case path.IsAbs(name) && !strings.ContainsAny(name, "\x00\r"):
			names = append(names, path.Clean(name))
		}
	}
	return names
}
