package node

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
)

// mountNamespaces are the mount namespaces of all processes, each read once.
type mountNamespaces struct {
	mu      sync.Mutex  // guards what is made when it is first needed: a source that was left behind goes on beside the next
	host    *mountTable // of process 1
	hostErr error       // why there is none
	byName  map[string]*mountNamespace
	order   []*mountNamespace // by the lowest pid in it
	anon    map[string]string // device → name of file systems without a block device in the host's table
	views   map[viewed]Mount  // as far as asked
}

// viewed is a mount of a table, by its index.
type viewed struct {
	table *mountTable
	i     int
}

// mountNamespace is one of them.
type mountNamespace struct {
	host bool     // process 1's, as far as the names tell
	dirs []string // of processes in it

	bytes []byte // its mount table
	err   error  // why there is none
	// few leaves out the mounts of pods, containers and sessions, of which a
	// node has thousands, and which every namespace of a service repeats.
	few, all       *mountTable
	fewErr, allErr error
}

func newMountNamespaces(h *Host) *mountNamespaces {
	n := &mountNamespaces{byName: map[string]*mountNamespace{}, views: map[viewed]Mount{}}
	if n.host, n.hostErr = h.gathering.mounts(); n.hostErr != nil {
		return n
	}
	n.anon = n.host.anonymous(n.host.passing())
	return n
}

// key names the namespace of a process: by its link, or where that could not be
// read by the process itself.
func (p *process) key() string {
	if p.mntns != "" {
		return p.mntns
	}
	return p.dir
}

func (n *mountNamespaces) add(p *process) {
	ns := n.byName[p.key()]
	if ns == nil {
		ns = &mountNamespace{}
		n.byName[p.key()] = ns
		n.order = append(n.order, ns)
	}
	ns.dirs = append(ns.dirs, p.dir)
	if p.pid == 1 {
		ns.host = true
	}
}

func (n *mountNamespaces) of(p *process) *mountNamespace { return n.byName[p.key()] }

// load reads the mount table of every namespace but process 1's.
func (n *mountNamespaces) load(h *Host) {
	left := maxNamespaces
	for _, ns := range n.order {
		if ns.host {
			continue
		}
		if left < 0 {
			ns.err = &Error{"reading", "/" + ns.dirs[0] + "/mountinfo", TooLarge, fmt.Sprintf("the mount tables of all namespaces are more than %d bytes", maxNamespaces)}
			continue
		}
		ns.bytes, ns.err = ns.load(h)
		left -= len(ns.bytes)
	}
}

// maxNamespaces bounds the mount tables of all namespaces together: a container
// can make many of them, and each of 16 MiB.
const maxNamespaces = 128 << 20

// load reads the mount table of the namespace from a process in it whose root is
// the namespace's: after chroot(2) a process sees a part of it under other names.
func (ns *mountNamespace) load(h *Host) ([]byte, error) {
	var first error = &Error{"reading", "/" + ns.dirs[0] + "/mountinfo", Absent, ""}
	for i, dir := range ns.dirs {
		if i == 16 {
			break
		}
		root, err := h.ReadLink(dir + "/root")
		if err == nil && root != "/" {
			err = &Error{"reading", "/" + dir + "/mountinfo", Failed, "no process of this mount namespace has its root"}
		}
		if err == nil || codeOf(err) == Denied { // mounts may be read where the root may not
			var b []byte
			if b, err = h.ReadFile(dir+"/mountinfo", maxMountinfo); err == nil {
				return b, nil
			}
		}
		if codeOf(err) == Failed && ended(h, dir) { // mountinfo of a zombie answers EINVAL
			continue
		}
		if vanished(first) {
			first = err
		}
	}
	return nil, first
}

// isHosts reports whether the namespace is process 1's. Where the links could
// not be compared, the number of the root mount tells: it is unique on a system
// as long as the mount lives. Source: proc_pid_mountinfo(5).
func (n *mountNamespaces) isHosts(ns *mountNamespace) (bool, error) {
	if ns.host || n.hostErr != nil {
		return ns.host, n.hostErr
	}
	t, err := n.table(ns, "/")
	if err != nil {
		return false, err
	}
	a, b := t.lookup("/"), n.host.lookup("/")
	return a >= 0 && b >= 0 && t.mounts[a].id == n.host.mounts[b].id, nil
}

// rootIsHosts reports whether "/" is the same directory of the same file system
// for the process as for process 1.
func (n *mountNamespaces) rootIsHosts(p *process) (bool, error) {
	ns := n.of(p)
	if ns.host {
		return true, nil
	}
	if n.hostErr != nil {
		return false, n.hostErr
	}
	if ns.err != nil {
		return false, ns.err
	}
	root, err := rootOf(ns.bytes)
	if err != nil {
		return false, err
	}
	i := n.host.lookup("/")
	return i >= 0 && root.dev == n.host.mounts[i].dev && root.root == n.host.mounts[i].root, nil
}

// rootOf is the mount that is seen on "/" in a mount table, found without
// parsing the rest of it.
func rootOf(b []byte) (mount, error) {
	var lines []byte
	for line := range bytes.Lines(b) {
		if mountPoint(line) == "/" {
			lines = append(lines, line...)
		}
	}
	m, err := parseMountinfo(lines)
	if err != nil {
		return mount{}, err
	}
	t := newMountTable("", nil, m)
	i := t.lookup("/")
	if i < 0 {
		return mount{}, &Error{"reading", "the mount table of a process", Malformed, "it has no root"}
	}
	return m[i], nil
}

// mountPoint is the fifth field of a line of mountinfo, as it stands there.
func mountPoint(line []byte) string {
	for range 4 {
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return ""
		}
		line = line[i+1:]
	}
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		return string(line[:i])
	}
	return ""
}

// table is the mount table of the namespace, whole enough for a lookup of p.
func (n *mountNamespaces) table(ns *mountNamespace, p string) (*mountTable, error) {
	switch {
	case ns.host:
		return n.host, n.hostErr
	case ns.err != nil:
		return nil, ns.err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if (mount{path: p}).passing() {
		if ns.all == nil && ns.allErr == nil {
			ns.all, ns.allErr = tableOf(ns.bytes)
		}
		return ns.all, ns.allErr
	}
	if ns.few == nil && ns.fewErr == nil {
		kept := make([]byte, 0, min(len(ns.bytes), 1<<16))
		for line := range bytes.Lines(ns.bytes) {
			if !(mount{path: mountPoint(line)}).passing() {
				kept = append(kept, line...)
			}
		}
		ns.few, ns.fewErr = tableOf(kept)
	}
	return ns.few, ns.fewErr
}

func tableOf(b []byte) (*mountTable, error) {
	m, err := parseMountinfo(b)
	if err != nil {
		return nil, &Error{"reading", "/proc/<pid>/mountinfo", Malformed, err.Error()}
	}
	return newMountTable("/proc/<pid>/mountinfo", b, m), nil
}

// inside is the path within mount i's file system that the absolute path p,
// which must be on mount i, stands for.
func (t *mountTable) inside(i int, p string) string {
	m := t.mounts[i]
	return path.Join(m.root, strings.TrimPrefix(p, strings.TrimSuffix(m.path, "/")))
}

var (
	snapshotPattern = regexp.MustCompile(`/snapshots/[0-9]+`)
	digestPattern   = regexp.MustCompile(`[0-9a-f]{64}`)
)

// view is mount i of t as facts show it. Snapshots that an engine numbers, and
// containers, differ between equal nodes. A file system that the host's table
// has not, and that has no block device, has no name in Anon.
func (n *mountNamespaces) view(h *Host, t *mountTable, i int) Mount {
	n.mu.Lock()
	v, known := n.views[viewed{t, i}]
	n.mu.Unlock()
	if known {
		return v
	}
	v = t.view(h, i, n.anon) // asked without the lock, for a read can hang
	if t != n.host {
		v.Root = stableName(v.Root)
		for j, o := range v.Super {
			v.Super[j] = stableName(o)
		}
	}
	n.mu.Lock()
	n.views[viewed{t, i}] = v
	n.mu.Unlock()
	return v
}

// stableName leaves out of a name what an engine chose: numbers of snapshots,
// identifiers of containers and layers.
func stableName(s string) string {
	return withoutUUID(digestPattern.ReplaceAllString(snapshotPattern.ReplaceAllString(s, "/snapshots/N"), "<id>"))
}
