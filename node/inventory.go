package node

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
)

// StoredExecutable is a file that can be run, on storage that is no read-only
// file system: a regular file with a permission to execute it, or with a setuid
// or setgid bit. What an interpreter or the loader runs or maps without such a
// permission is seen in [Processes] and [Mappings] instead.
type StoredExecutable struct {
	Path string `json:"path"` // a path that is not UTF-8 is quoted as in Go
	// Kind is what the file begins with: "elf", "script" (#!), "other", "empty", or
	// "unread".
	Kind string `json:"kind"`
	Mode uint32 `json:"mode"` // permission bits with setuid, setgid and sticky: 07777
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Size int64  `json:"size"` // in bytes
	// SHA256 is of the content, in hexadecimal; "" where it could not be read.
	SHA256 string `json:"sha256"`
	// Capabilities are what the file gives to whoever runs it, as getcap(8) writes
	// each: "cap_net_raw=ep". Source: capabilities(7).
	Capabilities []string `json:"capabilities,omitempty"`
	// Copy is a file of the same content, mode and owner in a layer below, or in
	// the folder where the system keeps what /etc is made from; "" for none.
	Copy string `json:"copy,omitempty"`
	// OpenFolder is the nearest folder on the path to the file that everybody may
	// write and that is not sticky: there anybody can put another file in its
	// place. "" for none.
	OpenFolder string `json:"openFolder,omitempty"`
}

// Inventory is what can be run from storage that can be written.
type Inventory struct {
	// Looked are the folders at which the search began: those of the source's list
	// that are there.
	Looked []string           `json:"looked"`
	Files  []StoredExecutable `json:"files"`
}

// stayingRoots are where administrators, clouds and Kubernetes keep programs
// beside the image: hier(7), file-hierarchy(7), and /var/{home,opt,roothome,
// usrlocal}, to which ostree systems link them. Disks of the team (/mnt, /srv,
// /media) are left out: they are data, and of any size.
var stayingRoots = []string{
	"/etc", "/home", "/opt", "/root", "/usr/libexec/kubernetes", "/usr/local",
	"/var/home", "/var/lib", "/var/opt", "/var/roothome", "/var/usrlocal",
}

// passingRoots are where everybody may write, or where names are made up anew on
// each node.
var passingRoots = []string{"/dev/shm", "/run", "/tmp", "/var/lib/cloud", "/var/tmp"}

// StoredExecutables are the executables where equal nodes have equal ones.
//
// A reading is bounded; what it did not reach the next one does, so that a large
// tree is whole after some hours, and is then looked at again piece by piece.
// Until it is whole a gap says how far it came.
var StoredExecutables = Source[Inventory]{
	Name:  "stored-executables",
	Doc:   "executables, setuid files and file capabilities on storage that can be written, by digest: /opt, /usr/local, /etc, /home, /root, /var/lib without containers",
	Scope: Cohort,
	Every: Hour,
	Read: func(ctx context.Context, h *Host) (Inventory, []Gap, error) {
		return readStored(ctx, h, defaultLimits)
	},
}

func readStored(ctx context.Context, h *Host, limits inventoryLimits) (Inventory, []Gap, error) {
	inv, gaps, err := readInventory(ctx, h, stayingRoots, &h.gathering.walked.staying, limits)
	for i := range inv.Files {
		f := &inv.Files[i]
		f.Path, f.Copy, f.OpenFolder = stableName(f.Path), stableName(f.Copy), stableName(f.OpenFolder)
	}
	// Of two whose names are made up alike, the order tells nothing.
	slices.SortFunc(inv.Files, compareStored)
	inv.Files = slices.CompactFunc(inv.Files, func(a, b StoredExecutable) bool { return compareStored(a, b) == 0 })
	return inv, gaps, err
}

func compareStored(a, b StoredExecutable) int {
	return cmp.Or(
		strings.Compare(a.Path, b.Path), strings.Compare(a.SHA256, b.SHA256), strings.Compare(a.Kind, b.Kind), cmp.Compare(a.Mode, b.Mode),
		cmp.Compare(a.UID, b.UID), cmp.Compare(a.GID, b.GID), cmp.Compare(a.Size, b.Size), slices.Compare(a.Capabilities, b.Capabilities),
		strings.Compare(a.Copy, b.Copy), strings.Compare(a.OpenFolder, b.OpenFolder),
	)
}

// PassingExecutables are the executables where names and contents come and go.
var PassingExecutables = Source[Inventory]{
	Name:  "passing-executables",
	Doc:   "executables, setuid files and file capabilities where everybody may write or names are made up: /tmp, /var/tmp, /dev/shm, /run, /var/lib/cloud",
	Scope: Node,
	Every: Hour,
	Read: func(ctx context.Context, h *Host) (Inventory, []Gap, error) {
		return readInventory(ctx, h, passingRoots, &h.gathering.walked.passing, passingLimits)
	},
}

// containerStorage reports whether a folder holds what containers are made of:
// images, their layers, volumes of pods, and root file systems of containers
// that were unpacked. A node has a million such files; the runtimes answer for
// them. By path, as the engines and systemd have them by default, and containerd's
// own by the names of its plugins, wherever it keeps them.
func containerStorage(p string) bool {
	name := path.Base(p)
	if strings.HasPrefix(name, "io.containerd.") {
		return true
	}
	if strings.HasSuffix(p, "/kubelet/pods") || strings.HasSuffix(p, "/kubelet/plugins/kubernetes.io") || strings.HasSuffix(p, "/.local/share/containers") ||
		strings.HasPrefix(p, "/var/lib/rancher/") && strings.HasSuffix(p, "/agent/containerd") {
		return true
	}
	return slices.Contains([]string{
		"/var/lib/buildkit", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/host-containerd", "/var/lib/incus",
		"/var/lib/k0s/containerd", "/var/lib/lxc", "/var/lib/lxd", "/var/lib/machines", "/var/lib/nerdctl", "/var/lib/portables", "/var/lib/toolbox",
		"/run/containerd", "/run/containers", "/run/docker", "/run/host-containerd", "/run/k3s/containerd", "/run/user",
	}, p)
}

// storesFiles reports whether somebody can put files on such a file system: all
// but those that the kernel makes up.
func storesFiles(fstype string) bool {
	return !slices.Contains([]string{
		"autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts", "efivarfs", "fusectl", "mqueue",
		"nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sysfs", "tracefs", "xenfs",
	}, fstype)
}

// looksInto reports whether mount i of t is looked into: neither what comes and
// goes with pods, nor what no write reaches. An overlay is, whatever it says of
// itself, for a layer of it may be written past it.
func (t *mountTable) looksInto(i int) bool {
	m := &t.mounts[i]
	readOnly := slices.Contains(m.super, "ro") && m.fstype != "overlay"
	return !t.passing()[i] && storesFiles(m.fstype) && !readOnly
}

// layersOf are the folders that the mount shows at p, below what was written to
// it, and where the system keeps what /etc is made from.
func (m mount) layersOf(p string) []string {
	var out []string
	if m.fstype == "overlay" {
		rest := strings.TrimPrefix(p, m.path)
		for _, o := range m.super {
			if key, value, _ := strings.Cut(o, "="); key == "lowerdir" || key == "lowerdir+" {
				for dir := range strings.SplitSeq(value, ":") {
					if strings.HasPrefix(dir, "/") && dir != m.path {
						out = append(out, dir+rest)
					}
				}
			}
		}
	}
	if rest, ok := strings.CutPrefix(p, "/etc/"); ok {
		// ostree, MicroOS since transactional-update 5; Flatcar's lower layer.
		out = append(out, "/usr/etc/"+rest, "/usr/share/flatcar/etc/"+rest)
	}
	return out
}
