package node

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mount is one mounted file system of the host, without what differs between
// equal nodes: no mount identifier and no device number.
type Mount struct {
	Path    string   `json:"path"`           // where it is mounted
	Layer   int      `json:"layer"`          // 0 for the lowest mount on this path, counting up
	Visible bool     `json:"visible"`        // a lookup of Path ends here: nothing is mounted over it
	Root    string   `json:"root"`           // the directory of the file system that is mounted
	Type    string   `json:"type"`           // of the file system
	Source  string   `json:"source"`         // as the kernel shows it: a name, never a proof
	Device  Device   `json:"device"`         // what it is on, followed by major:minor through sysfs
	Options []string `json:"options"`        // of this mount alone; the first is ro or rw
	Super   []string `json:"super"`          // of the file system, shared by all its mounts; the first is ro or rw
	Anon    string   `json:"anon,omitempty"` // of a file system whose block device has no name here: its first path in this list
}

// Device is the block device that a file system is on, by name.
type Device struct {
	Kind string `json:"kind"` // "dm", "loop", "disk", "none" (no block device) or "unknown"
	Name string `json:"name"` // dm name, backing file of a loop device, partition label or kernel name
}

// ReadOnly reports whether this mount refuses writes, whatever others of the
// same file system do.
func (m Mount) ReadOnly() bool {
	return len(m.Options) > 0 && m.Options[0] == "ro" || m.SuperReadOnly()
}

// SuperReadOnly reports whether the file system itself refuses writes.
func (m Mount) SuperReadOnly() bool { return len(m.Super) > 0 && m.Super[0] == "ro" }

// Option returns the value of a file system option ("lowerdir"), or of its
// appended form ("lowerdir+"), joined by colons where it stands several times.
func (m Mount) Option(key string) (string, bool) {
	var values []string
	for _, o := range m.Super {
		k, v, _ := strings.Cut(o, "=")
		if k == key || k == key+"+" {
			values = append(values, v)
		}
	}
	return strings.Join(values, ":"), values != nil
}

// Mounts is the mount table of process 1. Format: proc_pid_mountinfo(5).
// Mounts of pods, containers and users' sessions are left out and counted in
// [PassingMounts].
var Mounts = Source[[]Mount]{
	Name:  "mounts",
	Doc:   "file systems mounted in the host's mount namespace (/proc/1/mountinfo)",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]Mount, []Gap, error) {
		t, err := h.gathering.mounts()
		if err != nil {
			return nil, nil, err
		}
		h.evidence.add(t.from, t.bytes)
		passing := t.passing()
		anon := t.anonymous(passing)
		out := []Mount{}
		for i := range t.mounts {
			if passing[i] {
				continue
			}
			out = append(out, t.view(h, i, anon))
		}
		// Units mount in parallel, so that the order of lines differs between equal
		// nodes, as device numbers do.
		slices.SortFunc(out, func(a, b Mount) int { return cmp.Or(strings.Compare(a.Path, b.Path), a.Layer-b.Layer) })
		return out, nil, nil
	},
}

// view is mount i as facts show it; anon has the names of the file systems that
// have no block device.
func (t *mountTable) view(h *Host, i int, anon map[string]string) Mount {
	m := t.mounts[i]
	v := Mount{
		Path: m.path, Layer: t.layer(i), Visible: t.lookup(m.path) == i, Root: stableRoot(m.root), Type: m.fstype,
		Source: withoutUUID(m.source), Device: t.device(h, m), Options: m.options, Super: stableOptions(m.super),
	}
	if v.Device.Name == "" {
		v.Anon = anon[m.dev]
	}
	return v
}

// Passing counts the mounts that [Mounts] leaves out.
type Passing struct {
	Mounts int `json:"mounts"` // of pods, containers and sessions
}

// PassingMounts counts mounts that come and go with pods and sessions.
var PassingMounts = Source[Passing]{
	Name:  "passing-mounts",
	Doc:   "how many mounts belong to pods, containers and users' sessions",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (Passing, []Gap, error) {
		t, err := h.gathering.mounts()
		if err != nil {
			return Passing{}, nil, err
		}
		var p Passing
		for _, passing := range t.passing() {
			if passing {
				p.Mounts++
			}
		}
		return p, nil, nil
	},
}

// maxMountinfo bounds a mount table: at 200 bytes a line, 80,000 mounts.
const maxMountinfo = 16 << 20

// hostMounts is where the mount table of process 1 is read.
const hostMounts = "/proc/1/mountinfo"

// readMounts reads the mount table of process 1 and tells the file tree what
// must not be touched from now on.
func readMounts(h *Host) (*mountTable, error) {
	b, err := h.ReadFile(hostMounts[1:], maxMountinfo)
	if err != nil {
		// Without process 1 our own table still says what not to touch.
		if own, ownErr := h.ReadFile("proc/self/mountinfo", maxMountinfo); ownErr == nil {
			if m, parseErr := parseMountinfo(own); parseErr == nil {
				h.FS.Avoid(untouchable(m))
			}
		}
		return nil, err
	}
	m, err := parseMountinfo(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", hostMounts, err)
	}
	h.FS.Avoid(untouchable(m))
	return newMountTable(hostMounts, b, m), nil
}

// untouchable lists the mounts below which a read can hang on somebody else: a
// FUSE daemon, a server, another node, or an automounter that would mount
// something. A type without a block device that is not known to be the kernel's
// own is one of them. A root file system that is served cannot be avoided.
func untouchable(mounts []mount) []string {
	var dirs []string
	for i := range mounts {
		m := &mounts[i]
		local := localTypes[m.fstype]
		if !strings.HasPrefix(m.dev, "0:") {
			local = !slices.Contains([]string{"fuseblk", "gfs2", "ocfs2"}, m.fstype)
		}
		if !local && m.path != "/" {
			dirs = append(dirs, m.path)
		}
	}
	// An overlay reads from its layers.
	for i := range mounts {
		if m := &mounts[i]; m.fstype == "overlay" && m.path != "/" && slices.ContainsFunc(dirs, func(dir string) bool { return m.layered(dir) }) {
			dirs = append(dirs, m.path)
		}
	}
	return dirs
}

// localTypes are file systems without a block device of their own that the
// kernel answers for alone.
var localTypes = map[string]bool{
	"aufs": true, "bcachefs": true, "binder": true, "binfmt_misc": true, "bpf": true, "btrfs": true, "cgroup": true, "cgroup2": true,
	"configfs": true, "cpuset": true, "debugfs": true, "devpts": true, "devtmpfs": true, "ecryptfs": true, "efivarfs": true, "erofs": true,
	"fusectl": true, "hugetlbfs": true, "mqueue": true, "nfsd": true, "nsfs": true, "overlay": true, "proc": true, "pstore": true,
	"ramfs": true, "resctrl": true, "rootfs": true, "rpc_pipefs": true, "securityfs": true, "selinuxfs": true, "smackfs": true, "squashfs": true,
	"sysfs": true, "tmpfs": true, "tracefs": true, "xenfs": true, "zfs": true,
}

// layered reports whether the overlay m has a layer at or below dir.
func (m mount) layered(dir string) bool {
	for _, o := range m.super {
		key, value, _ := strings.Cut(o, "=")
		if !slices.Contains([]string{"lowerdir", "lowerdir+", "datadir+", "upperdir"}, key) {
			continue
		}
		for layer := range strings.SplitSeq(value, ":") {
			if layer == dir || strings.HasPrefix(layer, dir+"/") {
				return true
			}
		}
	}
	return false
}

// passing reports whether the mount comes and goes with a pod, a container or
// a session, by the places that the kubelet, the runtimes and logind use. None
// of them is on an image path.
func (m mount) passing() bool {
	if !strings.HasPrefix(m.path, "/run/") && !strings.HasPrefix(m.path, "/var/") && !strings.HasPrefix(m.path, "/system/") {
		return false
	}
	if m.fstype == "nsfs" {
		return true
	}
	// k0s, k3s, MicroK8s and Talos have these under folders of their own.
	for _, part := range []string{"/kubelet/pods/", "/kubelet/plugins/kubernetes.io/", "containerd/io.containerd.", "/containerd/tmpmounts/"} {
		if _, rest, ok := strings.Cut(m.path, part); ok && rest != "" {
			return true
		}
	}
	for _, dir := range []string{
		"/run/containers/storage/", "/var/lib/containers/storage/overlay/", "/var/lib/containers/storage/overlay-containers/",
		"/var/lib/docker/btrfs/", "/var/lib/docker/containers/", "/var/lib/docker/fuse-overlayfs/", "/var/lib/docker/overlay2/",
		"/var/lib/docker/rootfs/", "/var/lib/docker/volumes/", "/run/docker/",
		"/run/k3s/containerd/", "/var/lib/rancher/k3s/agent/containerd/", "/var/lib/rancher/rke2/agent/containerd/",
		"/run/netns/", "/run/ipcns/", "/run/utsns/", "/run/userns/", "/run/user/", "/run/credentials/",
	} {
		if strings.HasPrefix(m.path, dir) && len(m.path) > len(dir) {
			return true
		}
	}
	return false
}

// findPassing says of each mount whether it comes and goes. Where /var is a bind
// of a folder elsewhere, as on Bottlerocket, what is mounted below it shows up
// below that folder too: the same mount at a path that ends in the same way.
func (t *mountTable) findPassing() []bool {
	type what struct{ dev, root string }
	out := make([]bool, len(t.mounts))
	staying := map[what][]int{}
	for i := range t.mounts {
		m := &t.mounts[i]
		if out[i] = m.passing(); !out[i] && !onImagePath(m.path) {
			staying[what{m.dev, m.root}] = append(staying[what{m.dev, m.root}], i)
		}
	}
	again := make([]bool, len(t.mounts))
	for i := range t.mounts {
		if m := &t.mounts[i]; out[i] {
			for _, j := range staying[what{m.dev, m.root}] {
				again[j] = again[j] || strings.HasSuffix(t.mounts[j].path, m.path)
			}
		}
	}
	for i := range out {
		out[i] = out[i] || again[i]
	}
	return out
}

// anonymous names file systems by the first path that they are mounted on, and
// by its layer where that is not the lowest: their device numbers mean nothing.
func (t *mountTable) anonymous(passing []bool) map[string]string {
	first := map[string]int{}
	for i, m := range t.mounts {
		if passing[i] {
			continue
		}
		j, ok := first[m.dev]
		if !ok || cmp.Or(strings.Compare(m.path, t.mounts[j].path), t.layer(i)-t.layer(j)) < 0 {
			first[m.dev] = i
		}
	}
	names := make(map[string]string, len(first))
	for dev, i := range first {
		names[dev] = t.mounts[i].path
		if n := t.layer(i); n > 0 {
			names[dev] += " layer " + strconv.Itoa(n)
		}
	}
	return names
}

var updateCounts = []struct {
	hint    string
	pattern *regexp.Regexp
	to      string
}{
	{"/.snapshots/", regexp.MustCompile(`/\.snapshots/[0-9]+/`), "/.snapshots/N/"},               // snapper
	{"/var/lib/overlay/", regexp.MustCompile(`/var/lib/overlay/[0-9]+/`), "/var/lib/overlay/N/"}, // transactional-update before 5
	{"/deploy/", regexp.MustCompile(`(/deploy/[0-9a-f]{64})\.[0-9]+`), "${1}.N"},                 // ostree: one more for each change of the kernel's arguments
}

// stableRoot leaves out of a path numbers that count the updates that a node has
// had: equal nodes had unequal many.
func stableRoot(p string) string {
	for _, c := range updateCounts {
		if !strings.Contains(p, c.hint) {
			continue
		}
		p = c.pattern.ReplaceAllString(p, c.to)
	}
	return p
}

// stableOptions leaves out what differs between equal nodes: descriptors, process
// groups, inode numbers of pipes, subvolume numbers, and sizes that follow the
// memory.
func stableOptions(opts []string) []string {
	out := make([]string, 0, len(opts))
	for _, o := range opts {
		key, _, valued := strings.Cut(o, "=")
		if valued && slices.Contains([]string{"fd", "pgrp", "pipe_ino", "size", "nr_inodes", "nr_blocks", "subvolid"}, key) {
			continue
		}
		out = append(out, withoutUUID(stableRoot(o)))
	}
	return out
}
