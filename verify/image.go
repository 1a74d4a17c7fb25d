package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// imageChecks are the checks of the OS image. The first five make the level;
// see [LevelOf].
var imageChecks = []Check{
	imageReadOnly, imageUnwritable, imageVerified, imageAnchored, imageAttested,
	noShadowedPaths, mountNamespacesAgree, cmdlineMatchesMapping, imageUnmodified, noUndeclaredWritableExec,
}

// imageRefs are what every check of the OS image is evidence for, beside more.
func imageRefs(more ...Ref) []Ref {
	return slices.Concat(more, []Ref{
		{sp80053, "CM-6"},
		{sp80053, "SI-7"},
		{sp800190, "4.5.3"},
		{pciDSS, "11.5.2"},
		{iso27001, "8.9"},
		{grundschutz, "SYS.1.1.A38"},
	})
}

var imageReadOnly = Check{
	ID:       "image-read-only",
	Rev:      1,
	Title:    "every file system of the OS image is read-only",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "SC-34"},
		Ref{sp80053, "CM-5"},
		Ref{cisBottlerocket, "1.3.1"},
	),
	Help: Help{
		Why: "What cannot be written cannot be changed by whoever breaks out of a container. It is the ground that every other statement about the image stands on.",
		How: "Which paths are the image follows from what is mounted: / where it is read-only, /usr and /sysroot on ostree before composefs, /usr where that is a file system of its own. " +
			"Every layer on those paths and every undeclared mount over them must be read-only, by its own flag or by its file system's. " +
			"On btrfs two switches must both be set: the mount and the read-only property of the subvolume; the property alone leaves the mount open to the next change, the mount alone is one remount away.",
		Remedy: map[string]string{
			"":              "Nothing makes an ordinary host immutable. Run the node on a container-optimized system.",
			"fedora-coreos": "Reboot: ostree admin unlock and remounts do not survive it. After \"ostree admin unlock --hotfix\" deploy again: rpm-ostree rebase or rollback.",
			"microos":       "Reboot into the snapshot. microos-ro sets only the property back and leaves the mount writable.",
			"flatcar":       "Remove /var/lib/extensions.mutable/usr and reboot. An image built without verification has to be replaced by a released one.",
			"talos":         "Reboot the node; upgrade it to a released image if that does not help.",
			"bottlerocket":  "Replace the node.",
			"cos":           "Recreate the node.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(f *imageFacts, g Given) Finding {
		var names []string
		for _, p := range f.parts {
			names = append(names, p.String())
		}
		good := pass("read-only", "read-only: "+strings.Join(names, ", "), names...)
		return f.each(good, func(p part) outcome { return f.readOnly(p) })
	}),
}

// readOnly judges whether one part of the image refuses writes.
func (f *imageFacts) readOnly(p part) outcome {
	switch {
	case p.role == over && hasUpper(p.Mount):
		// Whatever its flags: some namespace writes it, or its upper directory is written.
		return outcome{Fail, "writable-overlay", fmt.Sprintf("an overlay with an upper directory lies over %s", p.Path)}
	case !p.ReadOnly() && hasUpper(p.Mount):
		return outcome{Fail, "writable-overlay", fmt.Sprintf("%s is an overlay that is written to its upper directory", p.Path)}
	case !p.ReadOnly() && !imageType(p.Type):
		return outcome{Fail, "writable-mount", fmt.Sprintf("%s is mounted writable (%s)", p.Path, p.Type)}
	case slices.Contains(p.Super, "emergency_ro"):
		// ext4 since Linux 6.15 says so when an error made it read-only.
		return outcome{Fail, "read-only-by-error", fmt.Sprintf("%s is read-only because of an error on its disk, which protects nothing", p.Path)}
	case p.Type == "btrfs" && p.role != store:
		if o := f.readOnlySubvolume(p); o.verdict != Pass || f.propertySet(p) {
			return o // the property holds wherever else it is mounted
		}
	}
	if m, ok := f.writableElsewhere(p); ok {
		return outcome{Fail, "writable-elsewhere", fmt.Sprintf("%s is read-only by its mount alone, and the same files can be written through %s", p.Path, nameOf(m))}
	}
	return outcome{verdict: Pass}
}

// writableElsewhere finds a writable mount of the same file system through
// which the files of a part can be reached. A mount's own flag holds no further
// than the mount.
func (f *imageFacts) writableElsewhere(p part) (node.Mount, bool) {
	if p.SuperReadOnly() {
		return node.Mount{}, false
	}
	for _, m := range f.mounts {
		if m.Type != p.Type || m.Device != p.Device || m.Anon != p.Anon || m.ReadOnly() || !m.Visible || !below(p.Root, m.Root) {
			continue
		}
		there := path.Join(m.Path, strings.TrimPrefix(p.Root, m.Root))
		if on, ok := carrier(f.mounts, there); ok && on.Path == m.Path {
			return m, true
		}
	}
	return node.Mount{}, false
}

// propertySet reports whether the subvolume on a part is known to be read-only.
func (f *imageFacts) propertySet(p part) bool {
	return slices.Contains(f.verity.Subvolumes, node.MountedSubvolume{Path: p.Path, ReadOnly: true})
}

// readOnlySubvolume judges the second switch of btrfs: the property of the
// subvolume, which outlives a remount. A directory of a subvolume, as ostree
// binds it, has none of its own. A file system that is read-only as a whole
// needs the property too, because an error makes it so as well, unless its
// device cannot be written or it was mounted with a rescue option, which btrfs
// takes only for reading. Source: btrfs(5), btrfs-property(8).
func (f *imageFacts) readOnlySubvolume(p part) outcome {
	if subvol, ok := p.Option("subvol"); ok && subvol != p.Root {
		return outcome{verdict: Pass}
	}
	if _, rescue := p.Option("rescue"); rescue && p.SuperReadOnly() {
		return outcome{verdict: Pass}
	}
	v, missing := f.held(subvolumes)
	if missing != nil {
		return *missing
	}
	if d, ok := deviceOf(p.Mount, v); ok && d.ReadOnly && p.SuperReadOnly() {
		return outcome{verdict: Pass}
	}
	if i := slices.IndexFunc(v.Loops, func(l node.LoopDevice) bool { return slices.Contains(l.Mounted, p.Path) }); i >= 0 && v.Loops[i].ReadOnly {
		return outcome{verdict: Pass}
	}
	i := slices.IndexFunc(v.Subvolumes, func(s node.MountedSubvolume) bool { return s.Path == p.Path })
	switch {
	case i < 0:
		return outcome{Unknown, "subvolume-unknown", fmt.Sprintf("whether the btrfs subvolume on %s has the read-only property is not known", p.Path)}
	case !v.Subvolumes[i].ReadOnly:
		return outcome{Fail, "writable-subvolume", fmt.Sprintf("%s is mounted read-only, but its btrfs subvolume has not the read-only property: a remount away from writable", p.Path)}
	}
	return outcome{verdict: Pass}
}

// deviceOf is the device-mapper device that a mount is on. A btrfs mount shows
// an anonymous device number, so there the device's own list of mounts decides.
func deviceOf(m node.Mount, v node.VerityState) (node.DMDevice, bool) {
	i := slices.IndexFunc(v.Devices, func(d node.DMDevice) bool {
		if m.Device.Kind == "none" {
			return m.Type == "btrfs" && slices.Contains(d.Mounted, m.Path)
		}
		return m.Device.Kind == "dm" && d.Name == m.Device.Name
	})
	if i < 0 {
		return node.DMDevice{}, false
	}
	return v.Devices[i], true
}

// unknownBtrfs is the outcome on a btrfs whose device is not known: its mounts
// show an anonymous device number, and with device-mapper in use it may be on one.
func unknownBtrfs(p part) outcome {
	return outcome{Unknown, "device-unknown", fmt.Sprintf("which device the btrfs on %s is on is not known", p.Path)}
}

var imageUnwritable = Check{
	ID:       "image-unwritable",
	Rev:      1,
	Title:    "the file systems of the OS image cannot be written while they are mounted",
	Topic:    Immutability,
	Severity: High,
	Refs: imageRefs(
		Ref{sp80053, "SC-34"},
		Ref{sp80053, "CM-14"},
	),
	Help: Help{
		Why: "A flag can be turned: root remounts, or sets a property. A file system without write support, or on a device that the kernel refuses to write, has no such switch.",
		How: "Every part of the image must be squashfs, erofs, cramfs, romfs or iso9660; a composefs overlay; an overlay without an upper directory over such file systems; or on a device-mapper device that the kernel holds read-only. " +
			"Systems that are not built so (btrfs snapshots, read-only binds) are not held to it and stay on level 1.",
		Remedy: map[string]string{
			"fedora-coreos": "Update to a release with composefs (41 and later) and remove ostree.prepare-root.composefs=0 from the kernel arguments.",
			"flatcar":       "Remove what lies over /usr (a mutable extension, an overlay) and reboot. An image that mounts /usr from a plain partition has to be replaced by a released one.",
			"":              "Replace the node by one from a released image.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(f *imageFacts, g Given) Finding {
		var names []string
		for _, p := range f.parts {
			if p.role != store {
				names = append(names, p.String())
			}
		}
		good := pass("unwritable", "no file system of the image can be written: "+strings.Join(names, ", "), names...)
		return f.each(good, func(p part) outcome { return f.unwritable(p, g) })
	}),
}

// unwritable judges whether one part of the image has no way to be written.
func (f *imageFacts) unwritable(p part, g Given) outcome {
	switch {
	case p.role == store, imageType(p.Type), p.role == base && isComposefs(p.Mount):
		return outcome{verdict: Pass}
	case hasUpper(p.Mount):
		return f.notSo(p, g, "writable-overlay", fmt.Sprintf("%s is an overlay with an upper directory", p.Path))
	case p.Type == "overlay":
		return f.unwritableOverlay(p, g)
	case p.Device.Kind == "unknown":
		return outcome{Unknown, "device-unknown", fmt.Sprintf("the device under %s could not be followed through /sys/dev/block", p.Path)}
	case p.Device.Kind == "dm" || p.Device.Kind == "none" && p.Type == "btrfs":
		v, missing := f.held(devices)
		if missing != nil {
			return *missing
		}
		d, ok := deviceOf(p.Mount, v)
		switch {
		case ok && d.ReadOnly:
			return outcome{verdict: Pass}
		case !ok && p.Device.Kind == "dm":
			return outcome{Unknown, "device-unknown", fmt.Sprintf("nothing is known of the device-mapper device %q under %s", p.Device.Name, p.Path)}
		case !ok && g.offers(2) && (len(v.Devices) > 0 || f.unlisted()):
			return unknownBtrfs(p)
		}
	}
	return f.notSo(p, g, "writable-backing", fmt.Sprintf("%s is %s, which root can write after a remount or a change of its properties", p.Path, p.Type))
}

// notSo is the outcome on a part that can be written: a failure, but where the
// system offers no more. That is so on an ordinary host, in a read-only bind of
// an ostree deployment, which is what such systems were before composefs, and
// where the profile says it. Of a read-only root the generic profile knows
// nothing, so there it is a failure.
func (f *imageFacts) notSo(p part, g Given, code, why string) outcome {
	offered := g.offers(2) || g.Profile.Ordinary && f.layout != ordinary
	if p.role == base && (!offered || f.layout == ostreeBind) {
		return outcome{NotApplicable, "not-offered", why}
	}
	return outcome{Fail, code, why}
}

// unwritableOverlay follows the lower directories of an overlay without an
// upper one. Talos unmounts them when the overlay stands; what is left to see
// are the loop devices that the layers are on.
func (f *imageFacts) unwritableOverlay(p part, g Given) outcome {
	lowers, hidden := lowerDirs(p.Mount), 0
	if len(lowers) == 0 {
		return outcome{Unknown, "lower-unknown", fmt.Sprintf("the overlay on %s does not say what it shows", p.Path)}
	}
	for _, dir := range lowers {
		m, ok := f.under(p, dir)
		if !ok {
			hidden++
			continue
		}
		if o := f.unwritable(part{m, base}, g); o.verdict != Pass {
			return f.notSo(p, g, "writable-lower", fmt.Sprintf("the overlay on %s shows %s, which is on %s", p.Path, dir, nameOf(m)))
		}
	}
	if hidden == 0 {
		return outcome{verdict: Pass}
	}
	v, missing := f.held(devices)
	if missing != nil {
		return *missing
	}
	loops := 0
	for _, l := range v.Loops {
		if l.ReadOnly {
			loops++
		}
	}
	if loops < hidden {
		return outcome{Unknown, "lower-unknown", fmt.Sprintf("the overlay on %s shows %d directories that cannot be looked up any more, and %d read-only loop devices are in use", p.Path, hidden, loops)}
	}
	return outcome{verdict: Pass}
}

// under is the mount that a lower directory of the overlay p is on: never p
// itself, but a layer below it on the same path where the directory lies there.
func (f *imageFacts) under(p part, dir string) (under node.Mount, ok bool) {
	if !strings.HasPrefix(dir, "/") {
		return under, false // relative to what the mounting program had as its directory
	}
	for _, m := range f.mounts {
		lower := m.Path == p.Path && m.Layer < p.Layer
		if !below(dir, m.Path) || m.Path == p.Path && !lower || m.Path != p.Path && !m.Visible {
			continue
		}
		if !ok || len(m.Path) >= len(under.Path) {
			under, ok = m, true
		}
	}
	return under, ok
}

// inMemory reports whether an image is a loop device whose backing file is in
// memory, or was unlinked: nothing on a disk can change it while it runs.
func (f *imageFacts) inMemory(p part) bool {
	if p.Device.Kind != "loop" {
		return false
	}
	if strings.HasSuffix(p.Device.Name, " (deleted)") {
		return true
	}
	m, ok := carrier(f.mounts, p.Device.Name)
	return ok && memoryType(m.Type)
}

var imageAttested = Check{
	ID:       "image-attested",
	Rev:      1,
	Title:    "a TPM quote proves what booted",
	Topic:    Immutability,
	Severity: Low,
	Refs: imageRefs(
		Ref{sp80053, "SI-7(9)"},
		Ref{grundschutz, "APP.4.4.A17"},
	),
	Help: Help{
		Why: "All that a node says of itself is a claim of the node. A quote is signed by a chip that its root cannot command.",
		How: "This version takes no quote, so it never passes and never fails: not-applicable until there is one.",
		Remedy: map[string]string{
			"": "There is nothing to do: this version takes no quote and fails no node for it.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(*imageFacts, Given) Finding {
		// No fact holds a quote: what was read proves that none was taken.
		return notApplicable("no-quote", "no TPM quote was taken: this version has no source for one")
	}),
}
