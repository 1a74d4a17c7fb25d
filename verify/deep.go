package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// deepChecks rest on what was read again because somebody asked for it.
var deepChecks = []Check{imageContentIntact}

var imageContentIntact = Check{
	ID:       "image-content-intact",
	Rev:      2,
	Title:    "every block of the verified image, read again from its disk, has the hash that is wanted of it",
	Topic:    Immutability,
	Severity: Critical,
	Refs: imageRefs(
		Ref{sp80053, "SI-7(1)"},
		Ref{sp80053, "SI-7(6)"},
		Ref{sp80053, "CM-14"},
	),
	Help: Help{
		Why: "The kernel compares a block with its hash when somebody reads it. What was overwritten on the disk and not read yet is not known to anybody: the status stays V until the block is needed, which can be when the node has to start the program that was in it.",
		How: "seaworthy scan --deep reads the devices below dm-verity, not through it, so that nothing is cached and the kernel's own status stays as it is. Every data block and every block of the hash tree is hashed by this program and compared up to the root hash of the kernel's table; whether that is the one that was booted, cmdline-matches-mapping says. " +
			"The first block that differs is named with its offset. Where the table has ignore_zero_blocks, blocks that are zeros by their hash are not compared: the kernel does not read them either. Of a composefs with verity=require, the image file and every object with fs-verity are read, and their digests computed and compared with those that the kernel holds reads to; and every object that the image names has to have a digest that it names, and every digest has to be that of such an object, for the kernel refuses to open a file whose object has another. Which digest belongs to which object is not compared: of two objects that were exchanged with each other, the kernel refuses both. " +
			"Nobody asks for it by default, for it reads as much as the image is large; the agent never does. What a disk cannot read is unknown. seaworthy verity proves an image that is not booted.",
		Remedy: map[string]string{
			"":              "Take the node out of service and keep its disk: a block that differs was written by somebody, or the disk is failing. Install the image anew.",
			"flatcar":       "Prove the other slot with seaworthy verity, and boot it: the next update writes this one again. A disk whose log shows errors has to be replaced.",
			"bottlerocket":  "Terminate the instance after a snapshot of its disk, which shows what was written and where.",
			"cos":           "Snapshot the boot disk, then recreate the node: the snapshot has the block that differs.",
			"fedora-coreos": "ostree fsck names the objects that are damaged. Deploy the release again, and find out whether the disk or a person changed them.",
		},
	},
	ImageOnly: true,
	Judge: whereAsked(imageJudge(func(f *imageFacts) Judge {
		return On2(node.Mounts, node.DeepImage, func(m []node.Mount, deep node.DeepState, g Given) Finding {
			if deep.Asked != "yes" {
				return unsaid("whether anybody asked for the image to be read again")
			}
			return f.on(m, g, func() Finding { return f.intact(deep) })
		})
	})),
}

// whereAsked is a judge of what was read again, where somebody asked for that: where
// nobody did, that alone is all there is to say.
func whereAsked(judge Judge) Judge {
	return Judge{judge.reads, func(facts node.Facts, g Given) Finding {
		if deep, _, missing := node.DeepImage.Of(facts); missing == nil && deep.Asked == "no" {
			return notApplicable("not-asked", "nobody asked for the image to be read again, which takes --deep: a bad block that nobody has read yet is not known")
		}
		return judge.decide(facts, g)
	}}
}

// intact judges what was read again. A bad block fails wherever it is: what the
// kernel has a verity device for is there to be whole.
func (f *imageFacts) intact(deep node.DeepState) Finding {
	var bad, unreadable []string
	for _, d := range deep.Devices {
		switch {
		case d.Bad != nil:
			bad = append(bad, badBlock(d.Name, *d.Bad))
		case d.Unreadable != nil:
			unreadable = append(unreadable, fmt.Sprintf("%s under %s at byte %d: %s", d.Unreadable.Device, d.Name, d.Unreadable.Offset, d.Unreadable.Reason))
		}
	}
	if len(bad) > 0 {
		return fail("bad-block", "a block does not have the hash that is wanted of it: "+strings.Join(bad, "; "), bad...)
	}
	for _, files := range deep.Files {
		switch {
		case files.Bad != nil:
			bad = append(bad, fmt.Sprintf("%s: %.23s… is wanted and %.23s… computed", files.Bad.Path, files.Bad.Wanted, files.Bad.Computed))
		case files.Unreadable != nil:
			bad = append(bad, fmt.Sprintf("%s at byte %d: %s", files.Unreadable.Device, files.Unreadable.Offset, files.Unreadable.Reason))
		}
	}
	if len(bad) > 0 {
		return fail("bad-file", "a file with fs-verity is not what its digest says, or the kernel refuses to read it, as it does with one that is not: "+strings.Join(bad, "; "), bad...)
	}
	if len(unreadable) > 0 {
		return unknown("block-unreadable", "the disk could not be read: "+strings.Join(unreadable, "; "), unreadable...)
	}
	var proofs, names []string
	finding := f.each(Finding{}, func(p part) outcome {
		if p.role != base {
			return outcome{verdict: Pass} // what lies over the image is not in it, and others judge it
		}
		o := f.partIntact(p, deep)
		if o.verdict == Pass {
			proofs, names = append(proofs, o.why), append(names, p.String())
		}
		return o
	})
	switch {
	case finding.Code != "":
		return finding
	case len(proofs) == 0:
		return unknown("no-image", "nothing that is mounted is known to be the image")
	}
	return pass("intact", strings.Join(proofs, "; "), names...)
}

func badBlock(name string, b node.BadBlock) string {
	what := "data block"
	if b.Of == node.BadHash {
		what = fmt.Sprintf("block (level %d of the hash tree)", b.Level)
	}
	return fmt.Sprintf("%s: %s %d of %s, at byte %d: %.16s… is wanted and %.16s… computed", name, what, b.Block, b.Device, b.Offset, b.Wanted, b.Computed)
}

// partIntact judges one part of the image. The sentence of a pass says what was read.
func (f *imageFacts) partIntact(p part, deep node.DeepState) outcome {
	none := outcome{NotApplicable, "no-hashes", fmt.Sprintf("%s (%s) has no hashes that it could be compared with", p.Path, p.Type)}
	switch {
	case isComposefs(p.Mount):
		return composefsIntact(p, deep)
	case f.inMemory(p):
		return outcome{NotApplicable, "image-in-memory", fmt.Sprintf("%s is an image in memory: there is no disk that it is read from", p.Path)}
	case p.Device.Kind == "unknown":
		return outcome{Unknown, "device-unknown", fmt.Sprintf("the device under %s could not be followed through /sys/dev/block", p.Path)}
	case p.Device.Kind != "dm" && !(p.Type == "btrfs" && p.Device.Kind == "none"):
		return none
	}
	v, missing := f.held(devices)
	if missing != nil {
		return *missing
	}
	d, ok := deviceOf(p.Mount, v)
	switch {
	case !ok && p.Device.Kind == "dm":
		return outcome{Unknown, "device-unknown", fmt.Sprintf("nothing is known of the device-mapper device %q under %s", p.Device.Name, p.Path)}
	case !ok && (len(v.Devices) > 0 || f.unlisted()):
		return unknownBtrfs(p)
	case !ok:
		return none
	case v.NoTables != nil:
		return outcome{Unknown, "table-" + string(v.NoTables.Code), fmt.Sprintf("whether the device %s under %s has hashes only its kernel table says, which %s", d.Name, p.Path, unreadTable(v.NoTables))}
	case d.Verity == nil:
		return none
	}
	i := slices.IndexFunc(deep.Devices, func(read node.DeepDevice) bool { return read.Name == d.Name })
	if i < 0 {
		return outcome{Unknown, "not-read", fmt.Sprintf("the verity device %s under %s was not read again", d.Name, p.Path)}
	}
	switch read := deep.Devices[i]; {
	case read.RootHash != d.Verity.RootHash:
		return outcome{Unknown, "table-replaced", fmt.Sprintf("the table of %s was replaced while it was read: root hash %.16s…, then %.16s…", d.Name, d.Verity.RootHash, read.RootHash)}
	case !read.Whole():
		return outcome{Unknown, "not-whole", fmt.Sprintf("%d of %d blocks of %s under %s were read", read.Read, read.DataBlocks, d.Name, p.Path)}
	default:
		return outcome{Pass, "", fmt.Sprintf("%s: all %d blocks of %d bytes under the verity device %s, and its hash tree, come to its root hash %.16s…", p.Path, read.DataBlocks, read.DataBlockSize, d.Name, read.RootHash)}
	}
}

// composefsIntact judges a composefs: its image file says which object each file
// is and what digest it has, and the objects hold what is in them.
func composefsIntact(p part, deep node.DeepState) outcome {
	if how, _ := p.Option("verity"); how != "require" {
		return outcome{NotApplicable, "no-hashes", fmt.Sprintf("%s is a composefs without verity=require: nothing says what its files must be", p.Path)}
	}
	image, objects := node.DeepFiles{}, 0
	for _, files := range deep.Files {
		if files.Digest != "" {
			image = files
			continue
		}
		objects += files.Read
	}
	names := image.Names
	if names == nil || objects == 0 {
		return outcome{Unknown, "not-read", fmt.Sprintf("the files of the composefs on %s were not read again", p.Path)}
	}
	_, user := p.Option("userxattr")
	switch {
	case names.MissingObject != "":
		return outcome{Fail, "object-replaced", fmt.Sprintf("%s: the composefs image names the object %s, and what lies there is no file with a fs-verity digest that the image names: the kernel refuses to open it", p, names.MissingObject)}
	case names.MissingDigest != "":
		return outcome{Fail, "object-replaced", fmt.Sprintf("%s: the composefs image names an object with the digest %.23s…, and none of its objects has it: the kernel refuses to open the file", p, names.MissingDigest)}
	case names.Unknown != "":
		return outcome{Unknown, "names-unknown", fmt.Sprintf("which objects the composefs image on %s names is not known: %s", p.Path, names.Unknown)}
	case user:
		return outcome{Unknown, "names-unknown", fmt.Sprintf("the overlay on %s has userxattr, and reads other attributes of its image than were searched", p.Path)}
	case names.Objects == 0 || names.Digests == 0:
		return outcome{Unknown, "names-nothing", fmt.Sprintf("the composefs image on %s names %d objects and %d digests of them", p.Path, names.Objects, names.Digests)}
	case names.Found != names.Objects:
		return outcome{Unknown, "names-unknown", fmt.Sprintf("%d of the %d objects that the composefs image on %s names were found", names.Found, names.Objects, p.Path)}
	}
	return outcome{Pass, "", fmt.Sprintf("%s: the composefs image (%.23s…) and %d objects have the fs-verity digests that the kernel holds them to, and each of the %d objects that the image names has one of the %d digests that it names", p.Path, image.Digest, objects, names.Objects, names.Digests)}
}
