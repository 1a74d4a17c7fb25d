package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
)

// MountNamespace is a mount namespace, other than process 1's, that host
// processes run in, and what it has on image paths that process 1's has not.
// Namespaces that differ in nothing are left out; equal ones are one entry.
type MountNamespace struct {
	Programs []string `json:"programs"` // executables (or command names) of the host processes in it, sorted
	// Mounts are the image paths where something is mounted, here or for process
	// 1, and where this namespace has another directory, another file system or
	// other read-only flags. Path is that path, Root what stands there: where
	// process 1 has a mount that is missing here, the mount that lies below it
	// is shown as it is seen on that path.
	// A namespace whose "/" is another directory than process 1's (a service in
	// an image of its own, as Talos runs its kubelet) has "/" alone: the same
	// paths there are other things.
	Mounts []Mount `json:"mounts"`
}

// imagePaths are the paths on and below which hosts have what they run.
// Differences on "/" count for itself alone.
var imagePaths = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/sysroot", "/boot"}

func onImagePath(p string) bool {
	return p == "/" || slices.ContainsFunc(imagePaths, func(dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}

// MountNamespaces are the distinct mount namespaces of host processes that differ from process 1 on image paths.
var MountNamespaces = Source[[]MountNamespace]{
	Name:  "mount-namespaces",
	Doc:   "what host processes see on image paths that process 1 does not",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]MountNamespace, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return nil, nil, err
		}
		// Whose executable could not be read is in its namespace all the same.
		gaps := slices.DeleteFunc(slices.Clone(t.gaps), func(g Gap) bool {
			return strings.HasPrefix(g.What, "executables") || strings.HasPrefix(g.What, "arguments")
		})
		unread := tally{what: "mount namespaces of host processes"}
		programs := map[*mountNamespace]map[string]bool{}
		lowest := map[*mountNamespace]int{}
		var order []*mountNamespace
		for p := range t.hostProcesses() {
			ns := t.namespaces.of(p)
			if programs[ns] == nil {
				programs[ns] = map[string]bool{}
				lowest[ns] = p.pid
				order = append(order, ns)
			}
			programs[ns][p.name()] = true
		}
		out := []MountNamespace{}
		for _, ns := range order {
			unread.of++
			mounts, err := t.namespaces.differences(h, ns)
			switch {
			case vanished(err):
			case err != nil:
				unread.add(lowest[ns], err)
			case len(mounts) > 0:
				out = append(out, MountNamespace{slices.Sorted(maps.Keys(programs[ns])), mounts})
			}
		}
		return mergeNamespaces(out), append(gaps, unread.gaps()...), nil
	},
}

// differences are the mounts that a host process in ns sees on image paths
// otherwise than process 1.
func (n *mountNamespaces) differences(h *Host, ns *mountNamespace) ([]Mount, error) {
	host := n.host
	same, err := n.isHosts(ns)
	if err != nil || same {
		return nil, err
	}
	t, err := n.table(ns, "/")
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for _, table := range []*mountTable{t, host} {
		for i, m := range table.mounts {
			if onImagePath(m.path) && !m.passing() && table.lookup(m.path) == i {
				paths[m.path] = true
			}
		}
	}
	var out []Mount
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		i, j := t.lookup(p), host.lookup(p)
		if i < 0 || j < 0 {
			return nil, &Error{"reading", "/proc/<pid>/mountinfo", Malformed, "the mount table has no root"}
		}
		other := t.mounts[i].dev != host.mounts[j].dev || t.inside(i, p) != host.inside(j, p)
		if !other && readOnlyFlags(t.mounts[i]) == readOnlyFlags(host.mounts[j]) && slices.Equal(stableOptions(t.mounts[i].super), stableOptions(host.mounts[j].super)) {
			continue
		}
		v := n.view(h, t, i)
		if v.Path != p {
			below := t.mounts[i]
			below.root = t.inside(i, p)
			v.Path, v.Root, v.Layer, v.Visible = p, stableName(below.root), 0, true
		}
		out = append(out, v)
		if p == "/" && other {
			break
		}
	}
	return out, nil
}

// readOnlyFlags are those of the mount and of its file system.
func readOnlyFlags(m mount) [2]string { return [2]string{m.options[0], m.super[0]} }

// mergeNamespaces makes one entry of namespaces with equal mounts.
func mergeNamespaces(all []MountNamespace) []MountNamespace {
	order := func(a, b MountNamespace) int { return slices.CompareFunc(a.Mounts, b.Mounts, compareMounts) }
	slices.SortFunc(all, func(a, b MountNamespace) int { return cmp.Or(order(a, b), slices.Compare(a.Programs, b.Programs)) })
	out := all[:0]
	for _, m := range all {
		if last := len(out) - 1; last >= 0 && order(out[last], m) == 0 {
			out[last].Programs = append(out[last].Programs, m.Programs...)
			slices.Sort(out[last].Programs)
			out[last].Programs = slices.Compact(out[last].Programs)
			continue
		}
		out = append(out, m)
	}
	return out
}
