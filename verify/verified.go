package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var imageVerified = Check{
	ID:       "image-verified",
	Rev:      1,
	Title:    "the kernel checks the content of the OS image on every read",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "SI-7(6)"},
		Ref{sp80053, "CM-14"},
		Ref{sp80053, "SI-7(1)"},
		Ref{cisBottlerocket, "1.3.1"},
	),
	Help: Help{
		Why: "Root can write to the disk below a read-only file system. Where the kernel compares every block or file with a hash before it hands it out, what was written there does not run.",
		How: "dm-verity: the kernel's own table of the device that carries the image has one verity target over the whole device, status V, no ignore_corruption, and the root hash that the kernel command line names. " +
			"V means that no bad block was read yet, not that the disk is intact: a block that was overwritten and that nobody has read since leaves it at V, and seaworthy scan --deep, which reads them all, settles it (image-content-intact). Names, device files and the command line alone prove nothing: the table takes root (CAP_SYS_ADMIN and /dev/mapper/control) to read, and without it the answer is unknown. " +
			"composefs: the overlay is mounted with verity=require. Images that live in memory and systems without such a mechanism are not held to it.",
		Remedy: map[string]string{
			"":              "Replace the node by one from a released image.",
			"flatcar":       "Boot a released image: verity.usrhash has to stand on the command line, put there by the boot loader from the signed kernel.",
			"cos":           "Boot the entry \"verified image\", not \"local image\": recreate the node.",
			"bottlerocket":  "Replace the node.",
			"fedora-coreos": "composefs as shipped verifies nothing; [composefs] enabled = verity in the image's prepare-root.conf makes it do so.",
		},
	},
	ImageOnly: true,
	Judge: onImage(func(f *imageFacts, g Given) Finding {
		var proofs, names []string
		finding := f.each(Finding{}, func(p part) outcome {
			o := f.verified(p, g)
			if o.verdict == Pass && p.role != store {
				proofs, names = append(proofs, o.why), append(names, p.String())
			}
			return o
		})
		if finding.Code != "" {
			return finding
		}
		return pass("verified", strings.Join(proofs, "; "), names...)
	}),
}

// verified judges whether the kernel checks one part of the image on read. The
// sentence of a pass says by what.
func (f *imageFacts) verified(p part, g Given) outcome {
	switch {
	case p.role == store:
		return outcome{verdict: Pass} // what composefs checks of it, it checks through the overlay
	case p.role == base && isComposefs(p.Mount):
		return f.verifiedComposefs(p, g)
	case p.Type == "overlay":
		return f.unverified(p, g, fmt.Sprintf("%s is an overlay, which checks nothing", p.Path))
	case f.inMemory(p):
		return outcome{NotApplicable, "image-in-memory", fmt.Sprintf("%s is an image in memory: no disk is read that could be checked", p.Path)}
	case p.Device.Kind == "unknown":
		return outcome{Unknown, "device-unknown", fmt.Sprintf("the device under %s could not be followed through /sys/dev/block", p.Path)}
	case p.Device.Kind != "dm" && !(p.Type == "btrfs" && p.Device.Kind == "none"):
		return f.unverified(p, g, fmt.Sprintf("%s (%s) is on no device that the kernel checks", p.Path, p.Type))
	}
	v, missing := f.held(devices)
	if missing != nil {
		return *missing
	}
	d, ok := deviceOf(p.Mount, v)
	switch {
	case !ok && p.Device.Kind == "dm":
		return outcome{Unknown, "device-unknown", fmt.Sprintf("nothing is known of the device-mapper device %q under %s", p.Device.Name, p.Path)}
	case !ok && g.Profile.Image.Verity && p.role == base && (len(v.Devices) > 0 || f.unlisted()):
		return unknownBtrfs(p)
	case !ok:
		return f.unverified(p, g, fmt.Sprintf("%s (%s) is on no device that the kernel checks", p.Path, p.Type))
	}
	return f.verifiedDevice(p, d, v, g)
}

// unverified is the outcome on a part without any mechanism that checks it.
func (f *imageFacts) unverified(p part, g Given, why string) outcome {
	if p.role == base && !g.Profile.Image.Verity {
		return outcome{NotApplicable, "not-offered", why}
	}
	return outcome{Fail, "not-verified", why}
}

// verifiedComposefs judges composefs: only verity=require makes the overlay
// refuse a file whose fs-verity digest differs. The keys of /run/ostree-booted
// say what was wanted, the mount option what the kernel does.
func (f *imageFacts) verifiedComposefs(p part, g Given) outcome {
	if how, _ := p.Option("verity"); how != "require" {
		v, missing := f.held(composefs)
		if missing == nil && v.Ostree != nil && (v.Ostree.ComposefsVerity == "true" || v.Ostree.ComposefsSigned != "") {
			return outcome{Fail, "fs-verity-not-required", fmt.Sprintf("this deployment was prepared for fs-verity, but %s is mounted without verity=require", p.Path)}
		}
		return f.unverified(p, g, fmt.Sprintf("%s is a composefs without verity=require: files are read unchecked", p.Path))
	}
	v, missing := f.held(composefs)
	if missing != nil {
		return *missing
	}
	if v.ComposefsImage == "off" {
		return outcome{Fail, "image-without-fs-verity", "the composefs image of the booted deployment has no fs-verity: its list of files can be changed"}
	}
	return outcome{Pass, "", fmt.Sprintf("%s is a composefs with verity=require", p.Path)}
}

// verifiedDevice judges the device-mapper device under one part. Source: the
// kernel's Documentation/admin-guide/device-mapper/verity.rst.
func (f *imageFacts) verifiedDevice(p part, d node.DMDevice, v node.VerityState, g Given) outcome {
	booted, twice := bootedHash(v, d.Name)
	claimed := booted != "" || g.Profile.Image.Verity
	t := d.Verity
	switch {
	case !d.ReadOnly && t == nil:
		// A verity target can only be loaded into a read-only device.
		return f.notVerity(p, g, claimed, fmt.Sprintf("the device %s under %s is writable, so it is no verity device", d.Name, p.Path))
	case v.NoTables != nil:
		return outcome{Unknown, "table-" + string(v.NoTables.Code), fmt.Sprintf(
			"whether the device %s under %s is a verity device only its kernel table says, which %s", d.Name, p.Path, unreadTable(v.NoTables))}
	case t == nil:
		return f.notVerity(p, g, claimed, fmt.Sprintf("the device %s under %s is %s, not verity", d.Name, p.Path, targetTypes(d)))
	case !t.Whole:
		return outcome{Fail, "not-whole", fmt.Sprintf("the verity target of %s does not cover the whole device", d.Name)}
	case slices.Contains(t.Args, "ignore_corruption"):
		return outcome{Fail, "corruption-ignored", fmt.Sprintf("the verity target of %s has ignore_corruption: bad blocks are logged and read all the same", d.Name)}
	case t.Status == "C":
		return outcome{Fail, "corrupted", fmt.Sprintf("the kernel has read blocks of %s that do not match their hash (status C)", d.Name)}
	case t.Status != "V":
		return outcome{Unknown, "status-unknown", fmt.Sprintf("the verity status of %s is %q, neither V nor C", d.Name, t.Status)}
	case t.Version != 0 && t.Version != 1:
		return outcome{Unknown, "format-unknown", fmt.Sprintf("the verity table of %s has format %d, which this program does not know", d.Name, t.Version)}
	case !strongHash(t.Algorithm):
		return outcome{Fail, "weak-hash", fmt.Sprintf("the verity target of %s hashes with %s", d.Name, t.Algorithm)}
	case d.Suspended:
		return outcome{Unknown, "suspended", fmt.Sprintf("the device %s is suspended: its table is being replaced", d.Name)}
	case twice:
		return outcome{Fail, "hash-twice", fmt.Sprintf("the kernel command line names two root hashes for %s", d.Name)}
	case booted == "":
		return outcome{Unknown, "no-booted-hash", fmt.Sprintf("the kernel command line names no root hash for %s, so nothing says that %.16s… is the one that was to boot", d.Name, t.RootHash)}
	case booted != t.RootHash:
		return outcome{Fail, "hash-differs", fmt.Sprintf("the kernel command line names root hash %.16s… for %s, the active table has %.16s…", booted, d.Name, t.RootHash)}
	}
	how := fmt.Sprintf("%s is on verity device %s, root hash %.16s… as booted, status V: no bad block was read yet (whether all are good, scan --deep settles)", p.Path, d.Name, t.RootHash)
	if slices.Contains(t.Args, "check_at_most_once") {
		how += "; each block is checked only the first time it is read (check_at_most_once)"
	}
	return outcome{Pass, "", how}
}

// unreadTable says of the kernel's tables why they could not be read, and what
// would settle it only where that would.
func unreadTable(why *node.Missing) string {
	if why.Code == node.Denied {
		return "takes root (CAP_SYS_ADMIN and /dev/mapper/control) to read: " + why.Reason
	}
	return "could not be read: " + why.Reason
}

// notVerity is the outcome on a device-mapper device of another kind: what an
// ordinary host has below LVM or LUKS, and a replaced table where a hash was
// asked for or the system always has one.
func (f *imageFacts) notVerity(p part, g Given, claimed bool, why string) outcome {
	if claimed {
		return outcome{Fail, "not-verity", why}
	}
	return f.unverified(p, g, why)
}

// bootedHash is the root hash that the command line names for a device, and
// whether it names two different ones.
func bootedHash(v node.VerityState, name string) (hash string, twice bool) {
	for _, b := range v.Booted {
		if b.Name != name {
			continue
		}
		if hash != "" && hash != b.Hash {
			twice = true
		}
		hash = b.Hash
	}
	return hash, twice
}

func targetTypes(d node.DMDevice) string {
	var types []string
	for _, t := range d.Targets {
		if !slices.Contains(types, t.Type) {
			types = append(types, t.Type)
		}
	}
	if len(types) == 0 {
		return "empty"
	}
	return strings.Join(types, " and ")
}

// strongHash reports whether nobody can make two blocks of one hash. SHA-1 and
// MD5 are broken for that: NIST SP 800-131A rev. 2, section 9.
func strongHash(algorithm string) bool {
	for _, prefix := range []string{"sha224", "sha256", "sha384", "sha512", "sha3-", "blake2", "sm3", "streebog"} {
		if strings.HasPrefix(algorithm, prefix) {
			return true
		}
	}
	return false
}

var cmdlineMatchesMapping = Check{
	ID:       "cmdline-matches-mapping",
	Rev:      1,
	Title:    "the dm-verity root hash in use is the one that the kernel command line names",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "SI-7(1)"},
		Ref{sp80053, "SI-7(9)"},
		Ref{sp80053, "CM-14"},
	),
	Help: Help{
		Why: "The command line says which image was to run, the kernel's tables which image does. Between the two somebody can load another table, mount another partition, or type a second hash.",
		How: "Every root hash on the command line must belong to a device-mapper device that carries a protected path, and be the hash of its verity table. No device may be named with two hashes. " +
			"Where the kernel's file name and the partition's label both name a slot (vmlinuz-a and USR-A), the slots must be the same.",
		Remedy: map[string]string{
			"": "Replace the node by one from a released image, and find out who changed the boot entry.",
		},
	},
	ImageOnly: true,
	Judge: withBoot(func(b node.BootState) Judge {
		return onImage(func(f *imageFacts, g Given) Finding { return f.matchesCmdline(b, g) })
	}),
}

func (f *imageFacts) matchesCmdline(b node.BootState, g Given) Finding {
	v, missing := f.held(devices)
	switch {
	case missing != nil:
		return unknown(missing.code, missing.why)
	case len(v.Booted) == 0:
		return f.withoutHash(g)
	}
	return f.matchesBooted(b, v)
}

// withoutHash is the finding where the command line names no root hash.
func (f *imageFacts) withoutHash(g Given) Finding {
	for _, p := range f.parts {
		if p.role == base && f.inMemory(p) {
			return notApplicable("image-in-memory", "the image is in memory, and the command line names no root hash")
		}
	}
	if g.Profile.Image.Verity {
		return fail("no-booted-hash", "the kernel command line names no root hash, which a released image of this system always does")
	}
	return notApplicable("no-hash", "the kernel command line names no root hash")
}

func (f *imageFacts) matchesBooted(b node.BootState, v node.VerityState) Finding {
	var names, unread []string
	carried := false // one of them, that is: COS verifies the partition of the OEM too
	for _, asked := range v.Booted {
		if slices.Contains(names, asked.Name) {
			continue
		}
		names = append(names, asked.Name)
		if _, twice := bootedHash(v, asked.Name); twice {
			return fail("hash-twice", fmt.Sprintf("the kernel command line names two root hashes for %s", asked.Name), asked.Word)
		}
		i := slices.IndexFunc(v.Devices, func(d node.DMDevice) bool { return d.Name == asked.Name })
		if i < 0 && f.unlisted() {
			return unsaid("whether the device " + asked.Name + " is active")
		}
		if i < 0 {
			return fail("not-mapped", fmt.Sprintf("the kernel command line asks for the verity device %s, and no device of that name is active", asked.Name), asked.Name)
		}
		d := v.Devices[i]
		carried = carried || f.carries(d, v)
		if kernel, slot, differ := otherSlot(b, d); differ {
			return fail("slot-differs", fmt.Sprintf("the kernel was booted as %s, but %s is on slot %s", kernel, d.Name, slot), kernel, d.Name)
		}
		switch {
		case v.NoTables != nil && !d.ReadOnly:
			return fail("not-verity", fmt.Sprintf("the command line asks for the verity device %s, and the active device is writable", d.Name), d.Name)
		case v.NoTables != nil:
			unread = append(unread, d.Name)
		case d.Verity == nil:
			return fail("not-verity", fmt.Sprintf("the command line asks for the verity device %s, and the active table is %s", d.Name, targetTypes(d)), d.Name)
		case d.Verity.RootHash != asked.Hash:
			return fail("hash-differs", fmt.Sprintf("the command line names root hash %.16s… for %s, the active table has %.16s…", asked.Hash, d.Name, d.Verity.RootHash), d.Name)
		}
	}
	if !carried {
		if slices.ContainsFunc(f.parts, func(p part) bool { return p.Device.Kind == "unknown" || p.Type == "btrfs" && p.Device.Kind == "none" }) {
			return unknown("device-unknown", fmt.Sprintf("whether %s carries %s is not known: the device under it could not be followed", strings.Join(names, ", "), strings.Join(f.paths, ", ")), names...)
		}
		return fail("not-mounted", fmt.Sprintf("the command line asks for the verity device %s, and it carries no part of %s", strings.Join(names, ", "), strings.Join(f.paths, ", ")), names...)
	}
	if len(unread) > 0 {
		return unknown("table-"+string(v.NoTables.Code), fmt.Sprintf("the command line names a root hash for %s, but what the active table has is not known: it %s", strings.Join(unread, ", "), unreadTable(v.NoTables)), unread...)
	}
	return pass("matches", fmt.Sprintf("the active table of %s has the root hash that the command line names", strings.Join(names, ", ")), names...)
}

// carries reports whether the device is under a part of the image.
func (f *imageFacts) carries(d node.DMDevice, v node.VerityState) bool {
	return slices.ContainsFunc(f.parts, func(p part) bool {
		under, ok := deviceOf(p.Mount, v)
		return ok && under.Name == d.Name
	})
}

var (
	kernelSlot    = regexp.MustCompile(`/vmlinuz[-.]([abAB])$`)
	partitionSlot = regexp.MustCompile(`^(?:USR|ROOT)-([AB])$`)
)

// otherSlot compares the slot in the name of the booted kernel (Flatcar's
// /flatcar/vmlinuz-a, COS's /syslinux/vmlinuz.A) with that in the label of the
// partition below the device.
func otherSlot(b node.BootState, d node.DMDevice) (kernel, slot string, differ bool) {
	for _, w := range b.Cmdline {
		m := kernelSlot.FindStringSubmatch(w.Value)
		if w.Key != "BOOT_IMAGE" {
			m = kernelSlot.FindStringSubmatch(w.Key)
		}
		if m == nil || w.AfterDashes {
			continue
		}
		for _, on := range d.On {
			if p := partitionSlot.FindStringSubmatch(on); p != nil && !strings.EqualFold(m[1], p[1]) {
				return strings.TrimPrefix(m[0], "/"), on, true
			}
		}
	}
	return "", "", false
}
