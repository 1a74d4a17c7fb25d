package node

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mount is one mounted file system of the host, without what differs between
// equal nodes: no mount identifier and no device number.
type Mount struct {
	Path    string   `json:"path"`           // where it is mounted
	Layer   int      `json:"layer"`          // 0 for the first mount on this path, counting up
	Visible bool     `json:"visible"`        // a lookup of Path ends here: nothing is mounted over it
	Root    string   `json:"root"`           // the directory of the file system that is mounted
	Type    string   `json:"type"`           // of the file system
	Source  string   `json:"source"`         // as the kernel shows it: a name, never a proof
	Device  Device   `json:"device"`         // what it is on, followed by major:minor through sysfs
	Options []string `json:"options"`        // of this mount alone; the first is ro or rw
	Super   []string `json:"super"`          // of the file system, shared by all its mounts; the first is ro or rw
	Anon    string   `json:"anon,omitempty"` // tells file systems without a block device apart within this table
}

// Device is the block device that a file system is on, by name.
type Device struct {
	Kind string `json:"kind"` // "dm", "loop", "disk", "none" (no block device) or "unknown"
	Name string `json:"name"` // dm name, backing file of a loop device, partition label or kernel name
}

// ReadOnly reports whether this mount refuses writes, whatever others of the
// same file system do.
func (m Mount) ReadOnly() bool { return m.Options[0] == "ro" || m.SuperReadOnly() }

// SuperReadOnly reports whether the file system itself refuses writes.
func (m Mount) SuperReadOnly() bool { return m.Super[0] == "ro" }

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
		out := make([]Mount, 0, len(t.mounts))
		anon := map[string]string{}
		for i, m := range t.mounts {
			if m.passing() {
				continue
			}
			mm := Mount{
				Path: m.path, Layer: t.layer(i), Visible: t.lookup(m.path) == i, Root: m.root, Type: m.fstype,
				Source: withoutUUID(m.source), Device: t.device(h, m), Options: m.options, Super: stableOptions(m.super),
			}
			if mm.Device.Kind == "none" {
				if anon[m.dev] == "" {
					anon[m.dev] = "fs" + strconv.Itoa(len(anon))
				}
				mm.Anon = anon[m.dev]
			}
			out = append(out, mm)
		}
		return out, nil, nil
	},
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
		for _, m := range t.mounts {
			if m.passing() {
				p.Mounts++
			}
		}
		return p, nil, nil
	},
}

// maxMountinfo bounds a mount table: at 200 bytes a line, 80,000 mounts.
const maxMountinfo = 16 << 20

// readMounts reads the mount table of process 1 and tells the file tree what
// must not be touched from now on.
func readMounts(h *Host) (*mountTable, error) {
	const from = "proc/1/mountinfo"
	b, err := h.ReadFile(from, maxMountinfo)
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
		return nil, fmt.Errorf("reading /%s: %w", from, err)
	}
	h.FS.Avoid(untouchable(m))
	return newMountTable("/"+from, b, m), nil
}

// untouchable lists the mounts below which a read can hang on somebody else:
// a FUSE daemon, a server, or an automounter that would mount something.
func untouchable(mounts []mount) []string {
	var dirs []string
	for _, m := range mounts {
		t := m.fstype
		if t == "fuse" || t == "fuseblk" || strings.HasPrefix(t, "fuse.") || strings.HasPrefix(t, "nfs") && t != "nfsd" ||
			slices.Contains([]string{"cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gfs2", "ocfs2", "autofs", "virtiofs", "ncpfs", "coda", "orangefs"}, t) {
			if m.path != "/" { // a root file system that is served cannot be avoided
				dirs = append(dirs, m.path)
			}
		}
	}
	return dirs
}

// mount is a line of mountinfo.
type mount struct {
	id, parent int
	dev        string // major:minor
	root, path string
	options    []string
	fstype     string
	source     string
	super      []string
}

// passing reports whether the mount comes and goes with a pod, a container or
// a session, by the places that the kubelet, the runtimes and logind use.
func (m mount) passing() bool {
	if m.fstype == "nsfs" {
		return true
	}
	for _, dir := range []string{
		"/var/lib/kubelet/pods/", "/var/lib/kubelet/plugins/kubernetes.io/",
		"/run/containerd/io.containerd.", "/var/lib/containerd/io.containerd.", "/var/lib/containerd/tmpmounts/",
		"/run/containers/storage/", "/var/lib/containers/storage/overlay/", "/var/lib/containers/storage/overlay-containers/",
		"/var/lib/docker/overlay2/", "/var/lib/docker/containers/", "/run/docker/", "/var/lib/docker/btrfs/",
		"/run/k3s/containerd/", "/var/lib/rancher/k3s/agent/containerd/", "/var/lib/rancher/rke2/agent/containerd/",
		"/run/netns/", "/run/ipcns/", "/run/utsns/", "/run/userns/", "/run/user/", "/run/credentials/",
	} {
		if strings.HasPrefix(m.path, dir) && len(m.path) > len(dir) {
			return true
		}
	}
	return false
}

// mountTable answers lookups in the mounts of one namespace.
type mountTable struct {
	from     string
	bytes    []byte
	mounts   []mount
	children map[int]map[string]int // mount identifier → path → index of the mount on it
	root     int                    // index of the mount that lookups start from, -1 without one
	devices  map[string]Device      // major:minor → device, as far as asked
}

func newMountTable(from string, b []byte, mounts []mount) *mountTable {
	t := &mountTable{from: from, bytes: b, mounts: mounts, children: map[int]map[string]int{}, root: -1, devices: map[string]Device{}}
	ids := map[int]bool{}
	for _, m := range mounts {
		ids[m.id] = true
	}
	for i, m := range mounts {
		if m.path == "/" && (!ids[m.parent] || m.parent == m.id) {
			if t.root < 0 {
				t.root = i
			}
			continue
		}
		c := t.children[m.parent]
		if c == nil {
			c = map[string]int{}
			t.children[m.parent] = c
		}
		c[m.path] = i // of two with one parent the later is on top
	}
	return t
}

// lookup returns the index of the mount that a lookup of the absolute path
// ends in, or -1 if the table has no root.
func (t *mountTable) lookup(p string) int {
	at := t.root
	if at < 0 {
		return -1
	}
	at = t.top(at, "/")
	for i := 1; i < len(p); {
		j := strings.IndexByte(p[i:], '/')
		if j < 0 {
			i = len(p)
		} else {
			i += j
		}
		at = t.top(at, p[:i])
		i++
	}
	return at
}

// top follows mounts that are stacked on one path.
func (t *mountTable) top(at int, p string) int {
	for range len(t.mounts) {
		next, ok := t.children[t.mounts[at].id][p]
		if !ok || next == at {
			return at
		}
		at = next
	}
	return at
}

// layer counts the mounts on the same path that stand before index i.
func (t *mountTable) layer(i int) int {
	n := 0
	for _, m := range t.mounts[:i] {
		if m.path == t.mounts[i].path {
			n++
		}
	}
	return n
}

// device follows major:minor through sysfs to a name that means something.
func (t *mountTable) device(h *Host, m mount) Device {
	if strings.HasPrefix(m.dev, "0:") {
		return Device{Kind: "none"}
	}
	d, ok := t.devices[m.dev]
	if !ok {
		d = blockDevice(h, m.dev)
		t.devices[m.dev] = d
	}
	return d
}

// blockDevice names the block device of a major:minor. Source: the kernel's
// Documentation/ABI/stable/sysfs-block and testing/sysfs-block-dm.
func blockDevice(h *Host, dev string) Device {
	link, err := h.ReadLink("sys/dev/block/" + dev)
	if err != nil {
		return Device{Kind: "unknown"}
	}
	kernelName := path.Base(link)
	dir := "sys/dev/block/" + dev + "/"
	if name, err := readLine(h, dir+"dm/name"); err == nil {
		return Device{"dm", name}
	}
	if file, err := readLine(h, dir+"loop/backing_file"); err == nil {
		return Device{"loop", file}
	}
	if b, err := h.ReadFile(dir+"uevent", 1<<16); err == nil {
		for line := range strings.Lines(string(b)) {
			if label, ok := strings.CutPrefix(strings.TrimSpace(line), "PARTNAME="); ok && label != "" {
				return Device{"disk", label}
			}
		}
	}
	return Device{"disk", kernelName}
}

// readLine returns the only line of a small file of the kernel.
func readLine(h *Host, name string) (string, error) {
	b, err := h.ReadFile(name, 4096)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// parseMountinfo parses mountinfo; see proc_pid_mountinfo(5). It refuses what
// is not exactly of that form and quotes it.
func parseMountinfo(b []byte) ([]mount, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("the mount table is empty")
	}
	if b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the mount table is cut: no newline at its end")
	}
	var mounts []mount
	seen := map[int]bool{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		m, err := parseMountLine(string(line[:len(line)-1]))
		if err != nil {
			return nil, fmt.Errorf("mount line %d %.200q: %w", n, line[:len(line)-1], err)
		}
		if seen[m.id] {
			return nil, fmt.Errorf("mount line %d %.200q: mount id %d stands twice", n, line[:len(line)-1], m.id)
		}
		seen[m.id] = true
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func parseMountLine(line string) (mount, error) {
	var m mount
	if !utf8.ValidString(line) {
		return m, fmt.Errorf("not UTF-8")
	}
	// The kernel escapes space, tab, newline, # and backslash as three octal
	// digits, so that a single space always separates fields.
	f := strings.Split(line, " ")
	sep := -1
	for i := 6; i < len(f); i++ {
		if f[i] == "-" {
			sep = i
			break
		}
	}
	if sep < 0 {
		return m, fmt.Errorf("no separator after the optional fields")
	}
	if len(f) != sep+4 {
		return m, fmt.Errorf("%d fields after the separator, want 3", len(f)-sep-1)
	}
	var err error
	if m.id, err = number(f[0]); err != nil {
		return m, fmt.Errorf("mount id: %w", err)
	}
	if m.parent, err = number(f[1]); err != nil {
		return m, fmt.Errorf("parent id: %w", err)
	}
	major, minor, ok := strings.Cut(f[2], ":")
	if !ok {
		return m, fmt.Errorf("device %q is not major:minor", f[2])
	}
	for _, n := range []string{major, minor} {
		if _, err := number(n); err != nil {
			return m, fmt.Errorf("device %q: %w", f[2], err)
		}
	}
	m.dev = f[2]
	if m.root, err = unescape(f[3]); err != nil {
		return m, fmt.Errorf("root: %w", err)
	}
	if m.path, err = unescape(f[4]); err != nil {
		return m, fmt.Errorf("mount point: %w", err)
	}
	if !strings.HasPrefix(m.path, "/") {
		return m, fmt.Errorf("mount point %q is not absolute", m.path)
	}
	if m.options, err = options(f[5]); err != nil {
		return m, fmt.Errorf("mount options: %w", err)
	}
	if m.options[0] != "ro" && m.options[0] != "rw" {
		return m, fmt.Errorf("mount options %q do not begin with ro or rw", m.options)
	}
	if m.fstype = f[sep+1]; m.fstype == "" {
		return m, fmt.Errorf("no file system type")
	}
	if m.source, err = unescape(f[sep+2]); err != nil { // may be empty: mount(2) with source ""
		return m, fmt.Errorf("source: %w", err)
	}
	if m.super, err = options(f[sep+3]); err != nil {
		return m, fmt.Errorf("super options: %w", err)
	}
	if m.super[0] != "ro" && m.super[0] != "rw" {
		return m, fmt.Errorf("super options %q do not begin with ro or rw", m.super)
	}
	return m, nil
}

// number parses a decimal number without sign, blank or leading zero.
func number(s string) (int, error) {
	if s == "" || len(s) > 10 || len(s) > 1 && s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return strconv.Atoi(s)
}

// unescape turns the kernel's three octal digits into the byte they stand for.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+4 > len(s) {
			return "", fmt.Errorf("%q ends within an escape", s)
		}
		v, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil {
			return "", fmt.Errorf("%q: %q is not an escape of three octal digits", s, s[i:i+4])
		}
		b.WriteByte(byte(v))
		i += 3
	}
	return b.String(), nil
}

// options splits at commas that no quotes enclose (SELinux contexts hold some).
func options(s string) ([]string, error) {
	var out []string
	start, quoted := 0, false
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] == '"' {
			quoted = !quoted
		}
		if i == len(s) || s[i] == ',' && !quoted {
			o, err := unescape(s[start:i])
			if err != nil {
				return nil, err
			}
			out = append(out, o)
			start = i + 1
		}
	}
	if quoted {
		return nil, fmt.Errorf("%q has an open quote", s)
	}
	return out, nil
}

// stableOptions leaves out what differs between equal nodes: descriptors,
// process groups, inode numbers of pipes, and sizes that follow the memory.
func stableOptions(opts []string) []string {
	out := make([]string, 0, len(opts))
	for _, o := range opts {
		key, _, valued := strings.Cut(o, "=")
		if valued && slices.Contains([]string{"fd", "pgrp", "pipe_ino", "size", "nr_inodes", "nr_blocks", "subvolid"}, key) {
			continue
		}
		out = append(out, withoutUUID(o))
	}
	return out
}
