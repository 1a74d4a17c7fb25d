package node

import (
	"bytes"
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
)

// SocketHolder is a container that can open a runtime socket.
type SocketHolder struct {
	Socket string `json:"socket"` // its path on the host
	Engine string `json:"engine"`
	// Container is the container's identifier, as far as its cgroup shows it;
	// "self" for the container that this program runs in, where it cannot see it.
	Container string `json:"container"`
	// Pod is "namespace/name", where the node's log folders name it, else the
	// pod's uid, else "".
	Pod     string `json:"pod"`
	Program string `json:"program"` // executable, as the container names it
	// By is the mount that leads to the socket: "socket" (the socket itself) or
	// the host folder that is mounted: "/run", "/".
	By string `json:"by"`
	At string `json:"at"` // where the container sees the socket
	// UID and GID are those of the process; As says which of the socket's rights
	// opens it: "root" (a capability over every file), "owner", "group", "other".
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
	As  string `json:"as"`
}

// SocketHolders are the containers that can open a runtime socket, found from
// mount tables and identities: a mount of the socket or of a folder above it,
// which is visible in the container, and a process there whose user, groups or
// capabilities let it write to the socket and search the folders between. That
// the mount is read-only does not matter: connect(2) writes to no file system.
// SELinux and AppArmor, which may still refuse it, are not considered.
var SocketHolders = Source[[]SocketHolder]{
	Name:  "socket-holders",
	Doc:   "containers that can open a runtime socket",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]SocketHolder, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return nil, nil, err
		}
		sockets, gaps := findSockets(h)
		gaps = append(gaps, t.gapsOfContainers()...)
		unread := tally{what: "mounts and identities of container processes"}
		out := []SocketHolder{}
		exposed := map[*mountNamespace][]exposure{}
		for i := range t.processes {
			p := &t.processes[i]
			if p.container == "" {
				continue
			}
			unread.of++
			ns := t.namespaces.of(p)
			found, known := exposed[ns]
			if !known {
				if found, err = t.namespaces.exposures(ns, sockets); err != nil && !vanished(err) {
					unread.add(p.pid, err)
					continue
				}
				exposed[ns] = found
			}
			for _, e := range found {
				as, err := p.opens(h, e)
				if err != nil && !vanished(err) {
					unread.add(p.pid, err)
				}
				if as != "" {
					out = append(out, SocketHolder{e.socket.Path, e.socket.Engine, p.container, p.pod, p.name(), e.by, quoteName(e.at), p.uid, p.gid, as})
				}
			}
		}
		gaps = append(gaps, unread.gaps()...)
		gaps = append(gaps, withPodNames(h, out, func(s *SocketHolder) *string { return &s.Pod })...)
		slices.SortFunc(out, compareHolders)
		return slices.Compact(out), gaps, nil
	},
}

func compareHolders(a, b SocketHolder) int {
	return cmp.Or(
		cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Program, b.Program),
		cmp.Compare(a.At, b.At), cmp.Compare(a.By, b.By), cmp.Compare(a.UID, b.UID), cmp.Compare(a.GID, b.GID), cmp.Compare(a.As, b.As),
	)
}

// exposure is a runtime socket that is seen in a mount namespace.
type exposure struct {
	socket foundSocket
	by, at string
}

// exposures are the sockets that are visible in ns, each at its shortest path.
// A mount shows the socket when it is of the same file system and its root is
// the socket or a folder above it there. Whether the mounts below a folder came
// with it (rbind) needs no guess: each has its own line.
func (n *mountNamespaces) exposures(ns *mountNamespace, sockets []foundSocket) ([]exposure, error) {
	if ns.err != nil {
		return nil, ns.err
	}
	var table *mountTable
	var out []exposure
	for _, s := range sockets {
		i := n.host.lookup(s.real)
		if s.Type != Socket || i < 0 {
			continue
		}
		dev, inside := n.host.mounts[i].dev, n.host.inside(i, s.real)
		if table == nil {
			if !bytes.Contains(ns.bytes, []byte(" "+dev+" ")) {
				continue
			}
			var err error
			if table, err = tableOf(ns.bytes); err != nil {
				return nil, err
			}
		}
		var best exposure
		for j, m := range table.mounts {
			if m.dev != dev {
				continue
			}
			rest, ok := below(m.root, inside)
			at := path.Join(m.path, rest)
			if !ok || table.lookup(at) != j {
				continue // other files, or something is mounted over it
			}
			if best.at == "" || len(at) < len(best.at) || len(at) == len(best.at) && at < best.at {
				best = exposure{s, "socket", at}
				if rest != "" {
					best.by = cmp.Or(strings.TrimSuffix(s.real, rest), "/")
				}
			}
		}
		if best.at != "" {
			out = append(out, best)
		}
	}
	return out, nil
}

// below is what follows dir in the path p, "" for p itself.
func below(dir, p string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(p, strings.TrimSuffix(dir, "/"))
	return rest, ok && (rest == "" || rest[0] == '/')
}

// Numbers of capabilities: capabilities(7).
const (
	capChown         = 0
	capDACOverride   = 1
	capDACReadSearch = 2
	capFowner        = 3
	capSetgid        = 6
	capSetuid        = 7
)

// becomesRoot are the capabilities with which a process can open any socket: by
// its own right, by changing the socket's owner or mode, or by becoming root or
// another group. Source: capabilities(7).
const becomesRoot = 1<<capChown | 1<<capDACOverride | 1<<capFowner | 1<<capSetgid | 1<<capSetuid

// opens says by which right the process can open the socket, "" for none. The
// rules are those of path_resolution(7): the first class that fits decides. What
// a process may take at any time counts as what it has: a capability that it has
// permitted and not in effect, a user or group that it has saved.
func (p *process) opens(h *Host, e exposure) (string, error) {
	s := e.socket
	if p.capPrm&becomesRoot != 0 {
		// In a user namespace of its own a capability counts for files whose
		// owner and group are mapped there: user_namespaces(7).
		owned, err := p.maps(h, s.UID, s.GID)
		if owned || err != nil {
			return "root", err // where it cannot be told, the worse is said, with a gap
		}
	}
	for _, uid := range p.uids {
		for _, gid := range p.gids {
			if as := p.opensAs(uid, gid, e); as != "" {
				return as, nil
			}
		}
	}
	return "", nil
}

// opensAs is opens for one of the users and groups that the process may take.
func (p *process) opensAs(uid, gid uint32, e exposure) string {
	as := p.class(uid, gid, e.socket.UID, e.socket.GID)
	if !allows(as, e.socket.Mode, 2) {
		return ""
	}
	for _, f := range e.socket.Parents {
		// The folders above the mounted one are the container's own. For a mount of
		// the socket itself all are.
		if e.by == "socket" || len(f.Path) < len(e.by) {
			continue
		}
		if !allows(p.class(uid, gid, f.UID, f.GID), f.Mode, 1) && p.capPrm&(1<<capDACReadSearch) == 0 {
			return ""
		}
	}
	return as
}

// class is which of the three sets of permission bits of a file counts for the
// process as a user and a group.
func (p *process) class(uid, gid, fileUID, fileGID uint32) string {
	switch {
	case uid == fileUID:
		return "owner"
	case gid == fileGID || slices.Contains(p.groups, fileGID):
		return "group"
	}
	return "other"
}

func allows(class string, mode, bit uint32) bool {
	shift := map[string]int{"owner": 6, "group": 3, "other": 0}[class]
	return mode>>shift&bit != 0
}

// maps reports whether the user and the group exist in the process's user namespace.
func (p *process) maps(h *Host, uid, gid uint32) (bool, error) {
	for _, m := range []struct {
		file string
		id   uint32
	}{{"uid_map", uid}, {"gid_map", gid}} {
		b, err := h.ReadFile(p.dir+"/"+m.file, 1<<16)
		if IsAbsent(err) {
			continue // a kernel without user namespaces, or the process is no more
		} else if err != nil {
			return false, err
		}
		ranges, err := parseIDMap(b)
		if err != nil {
			return false, &Error{"reading", "/" + p.dir + "/" + m.file, Malformed, err.Error()}
		}
		if !mapped(ranges, m.id) {
			return false, nil
		}
	}
	return true, nil
}

// gapsOfContainers are the gaps of the table without those that are of host
// processes alone.
func (t *processTable) gapsOfContainers() []Gap {
	return slices.DeleteFunc(slices.Clone(t.gaps), func(g Gap) bool {
		return strings.HasPrefix(g.What, "executables") || strings.HasPrefix(g.What, "arguments")
	})
}

// withPodNames replaces the uids of pods in a list by their names, where they are
// known.
func withPodNames[T any](h *Host, list []T, pod func(*T) *string) []Gap {
	if !slices.ContainsFunc(list, func(v T) bool { return *pod(&v) != "" }) {
		return nil
	}
	names, err := podNames(h)
	for i := range list {
		at := pod(&list[i])
		*at = cmp.Or(names[*at], *at)
	}
	if err != nil {
		return []Gap{GapOf("names of pods", err)}
	}
	return nil
}

// podNames are "namespace/name" by uid, from the folders of their logs, which
// the kubelet names <namespace>_<name>_<uid>. None of the three holds a "_".
func podNames(h *Host) (map[string]string, error) {
	list, err := h.ReadDir("var/log/pods", 1<<16)
	if IsAbsent(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, e := range list {
		if f := strings.Split(e.Name, "_"); len(f) == 3 {
			names[f[2]] = f[0] + "/" + f[1]
		}
	}
	return names, nil
}
