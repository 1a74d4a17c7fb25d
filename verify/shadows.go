package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var noShadowedPaths = Check{
	ID:       "no-shadowed-paths",
	Rev:      1,
	Title:    "nothing is mounted over the OS image that the system does not mount itself",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "CM-7(2)"},
		Ref{sp80053, "CM-14"},
	),
	Help: Help{
		Why: "A read-only file system is no use when another one lies over it: a bind mount on /usr/bin or an overlay on /usr replaces programs without touching the image.",
		How: "A second mount on a protected path, and any mount on or below /usr, /bin, /sbin or /lib*, must be one that the profile lists, of the type and with the lower directories that it lists. " +
			"/usr/local is the administrator's and /etc is configuration: both are listed beside the level where they are writable. On a composefs host there is no /usr mount at all.",
		Remedy: map[string]string{
			"": "Find what mounts it (a unit, a systemd-sysext image, a privileged container with mount propagation), remove that, and reboot the node.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(f *imageFacts, _ Given) Finding {
		var items, overlays []string
		for _, p := range f.undeclared {
			items = append(items, p.String())
			if hasUpper(p.Mount) {
				overlays = append(overlays, p.String())
			}
		}
		switch {
		case len(overlays) > 0:
			return fail("writable-overlay", fmt.Sprintf("an overlay with an upper directory lies over the image: %s", strings.Join(overlays, ", ")), items...)
		case len(items) > 0:
			return fail("shadowed", fmt.Sprintf("mounted over the image: %s", strings.Join(items, ", ")), items...)
		case len(f.declared) > 0:
			var names []string
			for _, p := range f.declared {
				names = append(names, p.String())
			}
			return pass("declared-only", "over the image lies only what the system mounts there itself: "+strings.Join(names, ", "), names...)
		}
		return pass("nothing", fmt.Sprintf("nothing lies over %s", strings.Join(f.paths, ", ")))
	}),
}

var mountNamespacesAgree = Check{
	ID:       "mount-namespaces-agree",
	Rev:      2,
	Title:    "no host process sees the OS image writable or replaced",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "SC-34"},
		Ref{sp80053, "SI-4"},
	),
	Help: Help{
		Why: "Mounts are per namespace. \"ostree admin unlock --transient\" shows process 1 a read-only /usr and one shell a writable one.",
		How: "In every other mount namespace of a host process, a mount on or below a protected path must be read-only and show the same directory of the same file system as process 1's. " +
			"Narrowing is no fault: systemd covers paths with an empty, inaccessible directory. A service whose / is another file system runs in an image of its own and is judged by where its program comes from. Programs that update the system may write where the profile says so.",
		Remedy: map[string]string{
			"": "Stop the process that the finding names and reboot the node.",
		},
	},
	ImageOnly: true,
	Judge:     onImageWith(node.MountNamespaces, namespacesAgree),
}

func namespacesAgree(im *imageFacts, spaces []node.MountNamespace, g Given) Finding {
	if im.layout == ordinary {
		return notApplicable("no-image", fmt.Sprintf("process 1 itself sees %s writable: there is no image to agree on", strings.Join(im.paths, ", ")))
	}
	var writable, shadowed []string
	for _, space := range spaces {
		who := strings.Join(space.Programs, ", ")
		for _, m := range space.Mounts {
			switch {
			case m.Path == "/" && !im.shows(m):
				// A service in an image of its own, as Talos runs its kubelet: where
				// its program comes from is another check.
			case !im.holds(m.Path), declaredShadow(m, g.Profile), declaredNamespace(space, m, g):
			case hasUpper(m), !m.ReadOnly() && !imageType(m.Type):
				writable = append(writable, fmt.Sprintf("%s in %s", nameOf(m), who))
			case !im.shows(m):
				shadowed = append(shadowed, fmt.Sprintf("%s in %s", nameOf(m), who))
			}
		}
	}
	switch items := slices.Concat(writable, shadowed); {
	case len(writable) > 0:
		return fail("writable", "host processes see the image writable: "+strings.Join(writable, "; "), items...)
	case len(shadowed) > 0:
		return fail("shadowed", "host processes see something else in place of the image: "+strings.Join(shadowed, "; "), items...)
	}
	return pass("agree", fmt.Sprintf("every host process sees %s as process 1 does", strings.Join(im.paths, ", ")))
}

// holds reports whether the path is the image's for process 1: a protected path,
// one with programs, or /usr/local where nothing of the administrator's is mounted
// there. Programs are looked for in that one first.
func (im osImage) holds(path string) bool {
	return slices.Contains(im.paths, path) || holdsPrograms(path) || below(path, "/usr/local") && imageMount(mountOf(im.mounts, path))
}

// shows reports whether m shows what process 1 has on its path: the same
// directory of the same file system, or of the image below what the system
// mounts over it, or nothing that could be run.
func (im osImage) shows(m node.Mount) bool {
	if memoryType(m.Type) && below(m.Root, "/systemd/inaccessible") {
		return true // systemd.exec(5), InaccessiblePaths=
	}
	seen, ok := carrier(im.mounts, m.Path)
	if ok && sameDirectory(m, seen) {
		return true
	}
	return slices.ContainsFunc(im.parts, func(p part) bool {
		return p.role != over && below(m.Path, p.Path) && sameDirectory(m, p.Mount)
	})
}

// sameDirectory reports whether m shows, on its own path, the directory that
// has this path on own.
func sameDirectory(m, own node.Mount) bool {
	return own.Type == m.Type && own.Source == m.Source && own.Device == m.Device && own.Anon == m.Anon && slices.Equal(own.Super[1:], m.Super[1:]) &&
		path.Join("/", m.Root) == path.Join("/", own.Root, strings.TrimPrefix(m.Path, own.Path))
}

// declaredNamespace reports whether the profile says that every program in the
// namespace has the path writable by design.
func declaredNamespace(space node.MountNamespace, m node.Mount, g Given) bool {
	return len(space.Programs) > 0 && !slices.ContainsFunc(space.Programs, func(program string) bool {
		for _, p := range g.Profile.Image.Namespaces {
			if p.Program == program && matches(m.Path, p.Path) {
				return false
			}
		}
		return true
	})
}

var noUndeclaredWritableExec = Check{
	ID:       "no-undeclared-writable-exec",
	Rev:      1,
	Title:    "nothing is mounted both writable and executable but the places that the profile lists",
	Topic:    Immutability,
	Severity: Medium,
	Refs: imageRefs(
		Ref{sp80053, "CM-7(5)"},
		Ref{cisControls, "2.5"},
	),
	Help: Help{
		Why: "What an intruder brings has to lie somewhere that can be written, and run from there. The fewer such places, the shorter the list that has to be watched.",
		How: "Every mount that is neither read-only nor noexec must be one that the profile lists. File systems that hold no files of anybody's (proc, sysfs, cgroup and their like) are left out. All such mounts are listed beside the level, declared or not.",
		Remedy: map[string]string{
			"":    "Mount it with noexec, or declare the place in a site overlay with the reason why it is needed.",
			"cos": "Mount disks with noexec below /mnt/disks, never over /tmp.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(f *imageFacts, g Given) Finding {
		if g.Profile.Image.Writable == nil {
			return notApplicable("no-expectation", "the profile does not say which places may be written")
		}
		var items, declared []string
		for _, m := range f.mounts {
			switch {
			case !writablePlace(m, g.Profile):
			case writableByDesign(m, g.Profile):
				declared = append(declared, nameOf(m))
			default:
				items = append(items, nameOf(m))
			}
		}
		if len(items) > 0 {
			return fail("undeclared", "writable and executable beyond what the system has by design: "+strings.Join(items, ", "), items...)
		}
		return pass("declared-only", fmt.Sprintf("%d mounts are writable and executable, all by design", len(declared)), declared...)
	}),
}

// writablePlace reports whether a mount is one that must be declared.
func writablePlace(m node.Mount, p *profiles.Profile) bool {
	return m.Visible && writableExec(m) && !declaredShadow(m, p)
}

func writableByDesign(m node.Mount, p *profiles.Profile) bool {
	return placeNames(p.Image.Writable, m.Path)
}

// writableExec reports whether files can be written to the mount and run from it.
func writableExec(m node.Mount) bool {
	return !m.ReadOnly() && !imageType(m.Type) && !slices.Contains(m.Options, "noexec") && !slices.Contains([]string{
		"proc", "sysfs", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "pstore", "efivarfs", "bpf", "configfs", "fusectl",
		"mqueue", "hugetlbfs", "autofs", "selinuxfs", "smackfs", "binfmt_misc", "rpc_pipefs", "nsfs", "nfsd", "devpts", "resctrl",
	}, m.Type)
}
