package node

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cgroupRoot is where every system that this program knows mounts its cgroups.
const cgroupRoot = "sys/fs/cgroup"

// cgroupTree reads the cgroups of the host, in version 1 or 2.
type cgroupTree struct {
	h       *Host
	version int // 0 where no cgroup file system is mounted
}

// cgroupsOf finds out which version is mounted: version 2 alone has
// cgroup.controllers at its root. Source: Documentation/admin-guide/cgroup-v2.rst.
func cgroupsOf(h *Host) (cgroupTree, error) {
	_, err := h.Stat(cgroupRoot + "/cgroup.controllers")
	if err == nil {
		return cgroupTree{h, 2}, nil
	}
	if !IsAbsent(err) {
		return cgroupTree{h, 0}, err
	}
	_, err = h.Stat(cgroupRoot + "/memory")
	if err == nil {
		return cgroupTree{h, 1}, nil
	}
	if !IsAbsent(err) {
		return cgroupTree{h, 0}, err
	}
	return cgroupTree{h, 0}, nil
}

// dir is the folder of a cgroup in a version 1 hierarchy or in the unified one.
func (t cgroupTree) dir(controller, cgroup string) string {
	if t.version == 2 {
		return path.Join(cgroupRoot, cgroup)
	}
	return path.Join(cgroupRoot, controller, cgroup)
}

// exists reports whether a cgroup exists; in version 1 in every hierarchy of
// those that the kubelet limits, as the kubelet wants it.
// Source: pkg/kubelet/cm/cgroup_v1_manager_linux.go, Validate.
func (t cgroupTree) exists(cgroup string) (bool, error) {
	if t.version == 0 {
		return false, nil
	}
	controllers := []string{"memory"}
	if t.version == 1 {
		controllers = []string{"cpu", "memory", "pids"}
	}
	for _, c := range controllers {
		if t.version == 1 {
			if _, err := t.h.Stat(path.Join(cgroupRoot, c)); IsAbsent(err) {
				continue // not mounted
			}
		}
		info, err := t.h.Stat(t.dir(c, cgroup))
		if IsAbsent(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if info.Type != Directory {
			return false, nil
		}
	}
	return true, nil
}

// number reads a file of a cgroup that holds one number. Absence is an error
// that IsAbsent knows.
func (t cgroupTree) number(controller, cgroup, v1, v2 string) (int64, error) {
	name := v1
	if t.version == 2 {
		name = v2
	}
	file := path.Join(t.dir(controller, cgroup), name)
	b, err := t.h.readOnce(file, 4096, nil)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(string(b), "\n"), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("parsing /%s: %.40q is no count", file, b)
	}
	return n, nil
}

// keyed reads a file of a cgroup that holds one "key number" a line.
func (t cgroupTree) keyed(controller, cgroup, name string) (map[string]int64, error) {
	file := path.Join(t.dir(controller, cgroup), name)
	b, err := t.h.readOnce(file, 64<<10, nil)
	if err != nil {
		return nil, err
	}
	m, err := parseFlatKeyed(b)
	if err != nil {
		return nil, fmt.Errorf("parsing /%s: %w", file, err)
	}
	return m, nil
}

// parseFlatKeyed reads the flat keyed format of Documentation/admin-guide/cgroup-v2.rst.
func parseFlatKeyed(b []byte) (map[string]int64, error) {
	out := map[string]int64{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSuffix(string(line), "\n")
		key, value, ok := strings.Cut(text, " ")
		n, err := strconv.ParseUint(value, 10, 64)
		if !ok || key == "" || err != nil {
			return nil, fmt.Errorf("line %.60q is no key and number", text)
		}
		// hierarchical_memory_limit of version 1 is near 2^63 or above where there is none.
		out[key] = int64(min(n, 1<<63-1))
	}
	return out, nil
}

// cgroupNames are the paths that a cgroup in the kubelet's settings may stand
// for. With the systemd driver the last component names a slice, "-" makes a
// slice inside another; without a driver in the settings the container runtime
// chooses it, so that either may be meant.
// Source: pkg/kubelet/cm/cgroup_manager_linux.go, ParseSystemdToCgroupName, ToSystemd.
func cgroupNames(name, driver string) []string {
	plain := path.Clean("/" + name)
	slice := systemdSlice(path.Base(plain))
	switch driver {
	case "systemd":
		return []string{slice}
	case "cgroupfs":
		return []string{plain}
	}
	return slices.Compact([]string{plain, slice})
}

// systemdSlice is the path of a slice: "a-b" is "/a.slice/a-b.slice".
// Source: systemd.slice(5).
func systemdSlice(name string) string {
	name = strings.TrimSuffix(name, ".slice")
	if name == "" || name == "/" || name == "-" {
		return "/"
	}
	out, prefix := "", ""
	for part := range strings.SplitSeq(name, "-") {
		prefix += part
		out += "/" + prefix + ".slice"
		prefix += "-"
	}
	return out
}
