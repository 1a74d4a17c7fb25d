package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var inventoryChecks = []Check{
	writableExecutablesDeclared, noSetuidOnWritableStorage, noCapabilitiesOnWritableStorage, noWorldWritableExecutables, executablesOwnedByRoot,
	mappingsFromImage, noDeletedLibraries, noMemoryMappings, noPreload, libraryPathsFromImage, noScriptsFromWritableStorage,
}

// onStored makes a judge of the executables on storage that can be written.
func onStored(judge func(writable, Given) Finding) Judge {
	return On4(node.StoredExecutables, node.PassingExecutables, node.Mounts, node.OS.Parts("init", "pidNamespace"),
		func(staying, passing node.Inventory, m []node.Mount, s node.System, g Given) Finding {
			if len(staying.Looked) == 0 || len(passing.Looked) == 0 || len(m) == 0 { // /etc and /run are everywhere
				return unsaid("which executables lie on storage that can be written")
			}
			if finding, elsewhere := notTheHost(s); elsewhere {
				return finding
			}
			return judge(newWritable(slices.Concat(staying.Files, passing.Files), m), g)
		})
}

// writable is what can be run from outside the image.
type writable struct {
	files   []storedFile
	ofImage int // how many more are the image's own
}

type storedFile struct {
	node.StoredExecutable
	on node.Mount
}

// newWritable leaves out what is the image's: files on a mount of it, and copies of
// its own in a layer above, as /etc is made of them.
func newWritable(files []node.StoredExecutable, mounts []node.Mount) writable {
	var s writable
	for _, f := range files {
		on := mountOf(mounts, f.Path)
		if imageMount(on) || f.Copy != "" && imageMount(mountOf(mounts, f.Copy)) {
			s.ofImage++
			continue
		}
		s.files = append(s.files, storedFile{f, on})
	}
	return s
}

// can reports whether the mount that a file is on lets it do so: "noexec" keeps it
// from being run, "nosuid" from giving rights. Source: mount(8).
func (f storedFile) can(forbidden string) bool { return !slices.Contains(f.on.Options, forbidden) }

// String is the file as findings name it: a waiver of it is of this content alone.
func (f storedFile) String() string {
	if f.SHA256 == "" {
		return f.Path + " (not hashed)"
	}
	return f.Path + " sha256:" + f.SHA256
}

// standing is what the places of a profile say of a file.
type standing int

const (
	isUndeclared standing = iota
	isDeclared
	isChanged  // declared, and with another content
	isUnhashed // declared with a content, which could not be read
)

// standingOf looks for a path among places. Where one of them demands a content,
// others that leave it open do not count.
func standingOf(path, sum string, places []profiles.Place) standing {
	is := isUndeclared
	for _, p := range places {
		if p.Script != "" || !matches(path, p.Path) {
			continue
		}
		switch {
		case p.SHA256 == "":
			if is == isUndeclared {
				is = isDeclared
			}
		case sum != "" && strings.EqualFold(p.SHA256, sum):
			return isDeclared
		case sum == "":
			is = isUnhashed
		default:
			is = isChanged
		}
	}
	return is
}

// executablePlaces are where the profile has programs outside the image.
func executablePlaces(p *profiles.Profile) []profiles.Place {
	out := slices.Clone(p.Inventory.Allowed)
	for _, place := range p.Processes.Allowed {
		if place.Script != "" {
			place.Path, place.Script = place.Script, ""
		}
		out = append(out, place)
	}
	return out
}

// maxListed bounds what one finding names.
const maxListed = 100

// failNaming is the finding that fails on these things: it names the first of them,
// and says how many there are.
func failNaming(code string, items []string, sentence func(n int) string) Finding {
	items = slices.Compact(slices.Sorted(slices.Values(items)))
	n := len(items)
	items = items[:min(n, maxListed)]
	text := sentence(n) + ": " + strings.Join(items, "; ")
	if n > maxListed {
		text += fmt.Sprintf("; and %d more", n-maxListed)
	}
	return fail(code, text, items...)
}

var writableExecutablesDeclared = Check{
	ID:       "writable-executables-declared",
	Rev:      1,
	Title:    "every executable on writable storage is declared",
	Topic:    Immutability,
	Severity: High,
	Refs: []Ref{
		{sp80053, "SI-7"}, {sp80053, "SI-7(1)"}, {sp80053, "CM-7(5)"}, {sp80053, "CM-8(3)"}, {pciDSS, "5.2.2"}, {pciDSS, "11.5.2"},
		{cisControls, "2.5"}, {iso27001, "8.7"}, {iso27001, "8.19"}, {soc2, "CC6.8"},
	},
	ImageOnly: true,
	Help: Help{
		Why: "An intruder who wants to survive a reboot has to store a program where the image does not reach. A full list of what can be run from there, each file with its digest, is what an antivirus scan of such a host comes down to.",
		How: "Once an hour /opt, /usr/local, /etc, /home, /root, /var/lib, /var/tmp, /tmp, /dev/shm and /run are looked through, without the storage of containers, for regular files with a permission to execute them or a setuid bit. Each is hashed. Left out are files on mounts of the image, copies of the image's own files, and what lies on a mount with noexec. A place of the profile or of a site overlay must name each of the rest, and where it names a digest, the file must have that.",
		Remedy: map[string]string{
			"talos":        "Nothing but network plugins belongs into /opt here. Ship programs as a system extension in the installer image, and wipe what is left of others: talosctl reset --system-labels-to-wipe EPHEMERAL.",
			"flatcar":      "Bring the program as a system extension image, or have Ignition write it and name its path and digest in a site overlay. Remove the rest with rm, once you know who put it there.",
			"bottlerocket": "A bootstrap container, a CSI or a CNI driver wrote it below /local. Take the node out of service and replace it where none of them did.",
			"cos":          "GKE writes its programs to /home/kubernetes/bin. Whatever a start-up script of yours adds goes into a site overlay with its digest; recreate the node for anything else.",
			"":             "Look at who owns the file and when it came. Then declare it by path and digest in a site overlay, or delete it.",
		},
	},
	Judge: onStored(judgeDeclared),
}

func judgeDeclared(s writable, g Given) Finding {
	places := executablePlaces(g.Profile)
	var strange, different, open []string
	known, inert := 0, 0
	for _, f := range s.files {
		switch is := standingOf(f.Path, f.SHA256, places); {
		case is == isChanged:
			different = append(different, f.String())
		case is == isDeclared:
			known++
		case !f.can("noexec"):
			inert++
		case is == isUnhashed:
			open = append(open, f.String())
		default:
			strange = append(strange, f.String())
		}
	}
	switch {
	case len(different) > 0:
		return failNaming("changed", slices.Concat(different, strange), func(n int) string {
			return fmt.Sprintf("executables that are not declared, or have another content than is declared (%d)", n)
		})
	case len(strange) > 0:
		return failNaming("undeclared", strange, func(n int) string {
			return fmt.Sprintf("executables on writable storage that nobody declared (%d)", n)
		})
	case len(open) > 0:
		return unknown("not-hashed", fmt.Sprintf("%d executables are declared with a digest and could not be hashed: %s", len(open), strings.Join(open, "; ")), open...)
	}
	return pass("declared", fmt.Sprintf("%d executables on writable storage are declared; %d more cannot be run where they lie (noexec), %d are the image's", known, inert, s.ofImage))
}

var noSetuidOnWritableStorage = Check{
	ID:       "no-setuid-on-writable-storage",
	Rev:      1,
	Title:    "no setuid or setgid program takes effect on writable storage",
	Topic:    Immutability,
	Severity: High,
	Refs:     []Ref{{sp80053, "AC-6(10)"}, {sp80053, "CM-7"}, {sp80053, "SI-7"}},
	Help: Help{
		Why: "A setuid file of root is a back door that outlives a password change: anybody who gets a shell on the node, or a container with a hostPath, becomes root by running it. The few that a system needs are in its image.",
		How: "Among the executables outside the image, those with a setuid or setgid bit are listed, wherever the mount does not disarm them with nosuid. A place under setuid of the profile or a site overlay excuses one.",
		Remedy: map[string]string{
			"talos":        "Find the pod whose hostPath below /var holds the file and end it. What it left goes with talosctl reset --system-labels-to-wipe EPHEMERAL --reboot.",
			"bottlerocket": "/local is mounted nosuid, so the file lies on a mount of its own. Find the container that has that mount, and end it before you replace the node.",
			"":             "Take the bit away (chmod ug-s FILE) and find out who set it; mount the file system nosuid where nothing on it needs one.",
		},
	},
	Judge: onStored(func(s writable, g Given) Finding {
		return judgeRights(s, "setuid", "setuid or setgid files", g.Profile.Inventory.Setuid, func(f storedFile) string {
			switch {
			case f.Mode&0o4000 != 0:
				return fmt.Sprintf("setuid %d", f.UID)
			case f.Mode&0o2000 != 0:
				return fmt.Sprintf("setgid %d", f.GID)
			}
			return ""
		})
	}),
}

var noCapabilitiesOnWritableStorage = Check{
	ID:       "no-file-capabilities-on-writable-storage",
	Rev:      1,
	Title:    "no program on writable storage has file capabilities that take effect",
	Topic:    Immutability,
	Severity: High,
	Refs:     []Ref{{sp80053, "AC-6(10)"}, {sp80053, "CM-7"}, {sp80053, "SI-7"}},
	Help: Help{
		Why: "File capabilities do what a setuid bit does, and ls does not show them: cap_setuid or cap_sys_admin on a copy of a shell is root. Searches for setuid files miss them.",
		How: "The attribute security.capability of every executable outside the image is read and decoded (capabilities(7)). It must be absent, or the mount nosuid, which disarms it, or the path declared under capabilities.",
		Remedy: map[string]string{
			"talos":        "No service of Talos needs file capabilities: remove the pod that wrote the file, then the file from a pod that has its folder mounted.",
			"bottlerocket": "No service of Bottlerocket needs file capabilities outside the image: remove the container that wrote the file, and replace the node.",
			"":             "Remove them with setcap -r FILE after you have noted what getcap shows. A service gets what it needs from its unit instead: AmbientCapabilities=.",
		},
	},
	Judge: onStored(func(s writable, g Given) Finding {
		return judgeRights(s, "capabilities", "files with capabilities", g.Profile.Inventory.Capabilities, func(f storedFile) string { return strings.Join(f.Capabilities, " ") })
	}),
}

// judgeRights fails on files that give a right, as gives says; "" for none.
func judgeRights(s writable, code, what string, places []profiles.Place, gives func(storedFile) string) Finding {
	var bad []string
	known, inert := 0, 0
	for _, f := range s.files {
		right := gives(f)
		switch {
		case right == "":
		case standingOf(f.Path, f.SHA256, places) == isDeclared:
			known++
		case !f.can("nosuid"):
			inert++
		default:
			bad = append(bad, fmt.Sprintf("%s (%s)", f, right))
		}
	}
	if len(bad) > 0 {
		return failNaming(code, bad, func(n int) string { return fmt.Sprintf("%s on writable storage (%d)", what, n) })
	}
	return pass("none", fmt.Sprintf("of %d executables outside the image none does; %d that would are declared, %d are disarmed by nosuid", len(s.files), known, inert))
}

var noWorldWritableExecutables = Check{
	ID:       "no-world-writable-executables",
	Rev:      1,
	Title:    "no executable outside the image is world-writable or in a world-writable folder",
	Topic:    Immutability,
	Severity: High,
	Refs:     []Ref{{sp80053, "CM-5(6)"}, {sp80053, "AC-6"}, {osSRG, "SRG-OS-000259-GPOS-00100"}},
	Help: Help{
		Why: "Where everybody may write a program or its folder, an unprivileged process, or a container that has the folder mounted, decides what the next caller runs, and that caller is often root.",
		How: "Every executable outside the image must lack the write permission for others, and so must each folder on the way to it, unless the folder is sticky as /tmp is. What lies on a mount with noexec is left out.",
		Remedy: map[string]string{
			"talos":        "Change the mode where the file is written, mostly in the installer of a network plugin: the node has no shell to do it in.",
			"bottlerocket": "Change the mode where the file is written, mostly in the installer of a network or storage plugin, and restart its DaemonSet.",
			"":             "chmod o-w the file or the folder that is named, then compare the file with its source: it may have been changed already.",
		},
	},
	Judge: onStored(func(s writable, _ Given) Finding {
		var bad []string
		for _, f := range s.files {
			switch {
			case !f.can("noexec"):
			case f.Mode&0o002 != 0:
				bad = append(bad, fmt.Sprintf("%s (mode %04o)", f, f.Mode))
			case f.OpenFolder != "":
				bad = append(bad, fmt.Sprintf("%s (everybody may write %s)", f, f.OpenFolder))
			}
		}
		if len(bad) > 0 {
			return failNaming("world-writable", bad, func(n int) string { return fmt.Sprintf("executables that everybody can change or replace (%d)", n) })
		}
		return pass("closed", fmt.Sprintf("none of %d executables outside the image", len(s.files)))
	}),
}

var executablesOwnedByRoot = Check{
	ID:       "declared-executables-owned-by-root",
	Rev:      1,
	Title:    "declared programs on writable storage belong to root, and only root can write them",
	Topic:    Immutability,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "CM-5(6)"}, {osSRG, "SRG-OS-000259-GPOS-00100"}},
	Help: Help{
		Why: "The kubelet, network plugins and what else is declared run as root. If another user owns the file, or a group may write it, that user is root with one more step.",
		How: "The owner of each executable that a place of the profile or of a site overlay names must be user 0, and its group 0 where the group may write it.",
		Remedy: map[string]string{
			"talos":        "The installer of the network plugin writes the file: let it set owner 0 and mode 0755, and restart its DaemonSet.",
			"bottlerocket": "What installs the network or storage plugin writes the file: let it set owner 0 and mode 0755, or update the plugin.",
			"flatcar":      "Where Ignition writes the file, leave out user and group there. For one that an installer put into /opt/bin: chown root:root, chmod 0755.",
			"":             "chown root:root FILE; chmod go-w FILE. Installers that unpack an archive as it is keep the owner of the machine where it was packed.",
		},
	},
	Judge: onStored(func(s writable, g Given) Finding {
		places := executablePlaces(g.Profile)
		var bad []string
		of := 0
		for _, f := range s.files {
			if standingOf(f.Path, f.SHA256, places) == isUndeclared {
				continue
			}
			of++
			switch {
			case f.UID != 0:
				bad = append(bad, fmt.Sprintf("%s (user %d)", f, f.UID))
			case f.GID != 0 && f.Mode&0o020 != 0:
				bad = append(bad, fmt.Sprintf("%s (group %d may write it)", f, f.GID))
			}
		}
		if len(bad) > 0 {
			return failNaming("not-roots", bad, func(n int) string { return fmt.Sprintf("declared executables that not only root can change (%d)", n) })
		}
		return pass("roots", fmt.Sprintf("all %d declared executables on writable storage belong to root", of))
	}),
}
