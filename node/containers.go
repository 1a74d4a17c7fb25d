package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// ContainerState is what runs in containers and can reach the host.
type ContainerState struct {
	// Present says whether any container runs, whether it reaches the host or not.
	Present bool `json:"present"`
	// Reaching are the containers that have a path of the host, a namespace of the
	// host other than that of cgroups, or a capability beyond what engines give.
	Reaching []Container `json:"reaching"`
	// UserNamespaces are the pods that have a user namespace of their own:
	// "namespace/name" or uid; "container:<id>" for a container that no pod has.
	UserNamespaces []string `json:"userNamespaces"`
}

// Container is a container and what it has of the host.
type Container struct {
	ID string `json:"id"` // 12 digits of its identifier, or its name: "admin"; "self" for this program's own
	// Pod is "namespace/name" where the node's log folders name it, else the pod's
	// uid, "" where the cgroup names none.
	Pod     string `json:"pod"`
	Program string `json:"program"` // executable of its first process, as the container names it
	Root    bool   `json:"root"`    // a process of it is user 0 of the host, or can become it
	// UserNamespace is "initial" (a capability counts on the host), "own", or ""
	// where it could not be told.
	UserNamespace string `json:"userNamespace"`
	// Shares are the namespaces that it has in common with process 1: "cgroup",
	// "ipc", "net", "pid", "uts".
	Shares []string `json:"shares"`
	// Capabilities are those that a process of it has permitted, beyond the
	// engines' default; Bounding those that a file with rights could give it.
	Capabilities []string `json:"capabilities"`
	Bounding     []string `json:"bounding"`
	// Seccomp and NoNewPrivs are "on", "off", or "" where the kernel does not say;
	// "off" where a single process of it has it off.
	Seccomp    string `json:"seccomp"`
	NoNewPrivs string `json:"noNewPrivs"`
	// Mounts are the paths of the host that it has, but those of its own pod.
	Mounts []HostMount `json:"mounts"`
}

// HostMount is a path of the host that a container has.
type HostMount struct {
	// Host is the path on the host, or "device NAME" for a block device that the
	// host has not mounted.
	Host string `json:"host"`
	At   string `json:"at"` // where the container has it
	// Writable says that neither the mount nor its file system is read-only.
	Writable bool `json:"writable"`
}

// Containers are the containers that can reach the host, by mount tables,
// capabilities and namespaces: proc_pid_mountinfo(5), capabilities(7),
// namespaces(7). Device nodes that an engine makes in a container are no mounts
// and are not seen.
var Containers = Source[ContainerState]{
	Name:  "containers",
	Doc:   "containers that have paths, namespaces or capabilities of the host",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (ContainerState, []Gap, error) {
		v := ContainerState{Reaching: []Container{}, UserNamespaces: []string{}}
		t, err := h.gathering.processes()
		if err != nil {
			return v, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, g := range t.gaps {
			if !strings.HasPrefix(g.What, "executables") && !strings.HasPrefix(g.What, "arguments") {
				gaps = append(gaps, g)
			}
		}
		groups := t.containers()
		v.Present = len(groups) > 0
		names := map[string]string{}
		if slices.ContainsFunc(groups, func(g []*process) bool { return g[0].pod != "" }) {
			if names, err = podNames(h); err != nil {
				gaps = append(gaps, GapOf("names of pods", err))
			}
		}
		unread := containerTallies{{what: "mounts of containers"}, {what: "namespaces of containers"}}
		own := readNamespaceLinks(h, "proc/1", &unread[1])
		table := newHostPaths(t.namespaces.host)
		for _, g := range groups {
			c := t.container(h, g, table, own, &unread)
			c.Pod = cmp.Or(names[c.Pod], c.Pod)
			if c.UserNamespace == "own" {
				v.UserNamespaces = append(v.UserNamespaces, c.who())
			}
			if c.reaches() {
				v.Reaching = append(v.Reaching, c)
			}
		}
		for i, part := range []string{"mounts", "shares"} {
			for _, g := range unread[i].gaps() {
				gaps = append(gaps, g.In(part))
			}
		}
		slices.Sort(v.UserNamespaces)
		v.UserNamespaces = slices.Compact(v.UserNamespaces)
		slices.SortFunc(v.Reaching, func(a, b Container) int {
			return cmp.Or(cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Program, b.Program), cmp.Compare(a.ID, b.ID))
		})
		return v, gaps, nil
	},
}

// containerTallies count what could not be read of containers: mounts, then namespaces.
type containerTallies [2]tally

func (c Container) who() string { return cmp.Or(c.Pod, "container:"+c.ID) }

func (c Container) reaches() bool {
	return len(c.Mounts) > 0 || len(c.Capabilities) > 0 || len(c.Bounding) > 0 ||
		slices.ContainsFunc(c.Shares, func(s string) bool { return s != "cgroup" })
}

// containers are the processes of each container, lowest pid first.
func (t *processTable) containers() [][]*process {
	index := map[string]int{}
	var out [][]*process
	for i := range t.processes {
		p := &t.processes[i]
		if p.container == "" {
			continue
		}
		n, known := index[p.container]
		if !known {
			n = len(out)
			index[p.container] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], p)
	}
	return out
}

func (t *processTable) container(h *Host, processes []*process, host *hostPaths, own map[string]string, unread *containerTallies) Container {
	first := processes[0]
	c := Container{ID: first.container, Pod: first.pod, Program: first.name(), Seccomp: "on", NoNewPrivs: "on", Shares: []string{}, Mounts: []HostMount{}}
	if len(c.ID) == 64 {
		c.ID = c.ID[:12]
	}
	var permitted, bounding uint64
	seen := map[*mountNamespace]bool{}
	unread[0].of++
	for _, p := range processes {
		permitted |= p.capPrm
		bounding |= p.capBnd
		c.Root = c.Root || slices.Contains(p.uids, 0)
		c.Seccomp = weaker(c.Seccomp, p.seccomp)
		c.NoNewPrivs = weaker(c.NoNewPrivs, p.noNewPrivs)
		ns := t.namespaces.of(p)
		if seen[ns] {
			continue
		}
		seen[ns] = true
		mounts, err := host.in(h, ns, p.pod)
		if err != nil && !vanished(err) {
			unread[0].add(p.pid, err)
		}
		c.Mounts = append(c.Mounts, mounts...)
	}
	slices.SortFunc(c.Mounts, func(a, b HostMount) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.At, b.At), compareBools(a.Writable, b.Writable))
	})
	c.Mounts = slices.Compact(c.Mounts)
	c.Capabilities = capabilityNames(permitted &^ defaultCapabilities)
	c.Bounding = capabilityNames(bounding &^ permitted &^ defaultCapabilities)
	links := readNamespaceLinks(h, first.dir, &unread[1])
	for _, name := range slices.Sorted(maps.Keys(links)) {
		same := own[name] != "" && own[name] == links[name]
		switch {
		case name == "user" && same:
			c.UserNamespace = "initial"
		case name == "user" && own[name] != "":
			c.UserNamespace = "own"
		case same:
			c.Shares = append(c.Shares, name)
		}
	}
	return c
}

// weaker is what holds for a container of which one process has the field.
func weaker(so, field string) string {
	switch {
	case so == "off" || field == "0":
		return "off"
	case so == "" || field == "":
		return ""
	}
	return "on"
}

// readNamespaceLinks are the texts of a process's namespace links; those that
// this kernel does not have are left out.
func readNamespaceLinks(h *Host, dir string, unread *tally) map[string]string {
	out := map[string]string{}
	unread.of++
	for _, name := range []string{"cgroup", "ipc", "net", "pid", "user", "uts"} {
		link, err := h.ReadLink(dir + "/ns/" + name)
		switch {
		case err == nil:
			out[name] = link
		case !vanished(err):
			unread.add(pidOf(dir), err)
			return out // the right to one is that to all: proc_pid_ns(5)
		}
	}
	return out
}

// pidOf is the pid in the folder of a process.
func pidOf(dir string) int {
	pid, _, _ := strings.Cut(strings.TrimPrefix(dir, "proc/"), "/")
	n, err := number(pid)
	if err != nil {
		return 0
	}
	return n
}

// hostPaths finds out which path of the host a mount of a container shows.
type hostPaths struct {
	table *mountTable
	byDev map[string][]int
}

func newHostPaths(t *mountTable) *hostPaths {
	p := &hostPaths{t, map[string][]int{}}
	for i, m := range t.mounts {
		p.byDev[m.dev] = append(p.byDev[m.dev], i)
	}
	return p
}

// sandboxFile is what an engine keeps of a container for it: its hostname,
// resolv.conf and shared memory, by the names of containerd, CRI-O and Docker.
var sandboxFile = regexp.MustCompile(`/(sandboxes|containers|overlay-containers)/[0-9a-f]{64}/`)

// in are the paths of the host that a container's mount namespace shows. The
// mounts below a folder that came with it (rbind) are left out. So is what every
// container has: its own file systems of the kernel, its sandbox's files and its
// own pod's volumes.
func (p *hostPaths) in(h *Host, ns *mountNamespace, pod string) ([]HostMount, error) {
	if ns.host || ns.err != nil {
		return nil, ns.err
	}
	t, err := tableOf(ns.bytes)
	if err != nil {
		return nil, err
	}
	var out []HostMount
	for i, m := range t.mounts {
		if m.path == "/" || kernelOwn(m) || t.lookup(m.path) != i {
			continue
		}
		host := p.of(m, pod)
		if host == "" && !strings.HasPrefix(m.dev, "0:") && p.byDev[m.dev] == nil {
			host = "device " + t.device(h, m).Name
		}
		if host == "" {
			continue
		}
		out = append(out, HostMount{quoteName(host), quoteName(m.path), m.options[0] == "rw" && m.super[0] == "rw"})
	}
	slices.SortFunc(out, func(a, b HostMount) int { return cmp.Or(len(a.At)-len(b.At), cmp.Compare(a.At, b.At)) })
	kept := out[:0]
	for _, m := range out {
		came := slices.ContainsFunc(kept, func(above HostMount) bool {
			rest, inside := below(above.At, m.At)
			return inside && rest != "" && path.Join(above.Host, rest) == m.Host
		})
		if !came {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// of is the shortest path of the host that shows what m shows, or would if
// nothing were mounted over it; "" where there is none, or where each is the
// container's own.
func (p *hostPaths) of(m mount, pod string) string {
	var visible, covered []string
	for _, i := range p.byDev[m.dev] {
		h := p.table.mounts[i]
		rest, ok := below(h.root, m.root)
		at := path.Join(h.path, rest)
		switch {
		case !ok || sandboxFile.MatchString(at) || pod != "" && strings.Contains(at, "/pods/"+pod+"/"):
		case p.table.lookup(at) == i:
			visible = append(visible, at)
		default:
			covered = append(covered, at)
		}
	}
	if len(visible) == 0 {
		visible = covered
	}
	if len(visible) == 0 {
		return ""
	}
	return slices.MinFunc(visible, func(a, b string) int { return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) })
}

// kernelOwn reports whether a mount is a file system of the kernel where every
// container has one. Before Linux 5.8 all of /proc in one PID namespace are one
// file system; that the namespace is shared is said elsewhere.
func kernelOwn(m mount) bool {
	switch m.fstype {
	case "cgroup", "cgroup2", "mqueue", "devpts", "nsfs":
		return true
	case "proc":
		return m.path == "/proc" || strings.HasPrefix(m.path, "/proc/")
	case "sysfs":
		return m.path == "/sys" || strings.HasPrefix(m.path, "/sys/")
	}
	// In a user namespace an engine cannot make device nodes, and mounts these.
	return m.fstype == "devtmpfs" && slices.Contains([]string{"/null", "/zero", "/full", "/random", "/urandom", "/tty"}, m.root)
}

// capabilities are the names of capabilities by number, without CAP_:
// include/uapi/linux/capability.h.
var capabilities = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
	"SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
	"AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// defaultCapabilities are those that containerd and Docker give every container:
// containerd, pkg/oci/spec.go, defaultUnixCaps. CRI-O gives fewer.
const defaultCapabilities uint64 = 0xa80425fb

func capabilityNames(set uint64) []string {
	out := []string{}
	for i := range 64 {
		if set>>i&1 == 0 {
			continue
		}
		if i < len(capabilities) {
			out = append(out, capabilities[i])
		} else {
			out = append(out, fmt.Sprint(i))
		}
	}
	slices.Sort(out)
	return out
}
