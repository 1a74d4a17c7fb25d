package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func TestImageContentIntact(t *testing.T) {
	whole := func(name, hash string) node.DeepDevice {
		return node.DeepDevice{Name: name, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 260094, Read: 260094, HashRead: 2049, RootHash: hash, Computed: hash}
	}
	image := node.DeepFiles{Path: "/sysroot/ostree/deploy/x/deploy/abc.0/.ostree.cfs", Read: 1, Digest: "sha256:0123456789abcdef0123456789abcdef", Names: &node.DeepNames{Objects: 28000, Digests: 28000, Found: 28000}}
	objects := node.DeepFiles{Path: "/sysroot/ostree/repo/objects", Read: 30000, Without: 12}
	naming := func(n node.DeepNames) node.DeepFiles {
		named := image
		named.Names = &n
		return named
	}
	unread := node.Gap{Part: "files", What: "the files of /sysroot/ostree/repo/objects", Code: node.Untouched, Reason: "listing /sysroot/ostree/repo/objects"}
	deep := func(n imageNode, d node.DeepState, gaps ...node.Gap) node.Facts {
		return withFact(n.facts(t), node.DeepImage, d, gaps...)
	}
	yes := func(devices ...node.DeepDevice) node.DeepState {
		return node.DeepState{Asked: "yes", Devices: devices, Files: []node.DeepFiles{}}
	}
	files := func(list ...node.DeepFiles) node.DeepState {
		return node.DeepState{Asked: "yes", Devices: []node.DeepDevice{}, Files: list}
	}
	with := func(d node.DeepDevice, edit func(*node.DeepDevice)) node.DeepDevice {
		edit(&d)
		return d
	}
	usr := whole("usr", hashA)
	badData := with(usr, func(d *node.DeepDevice) {
		d.Read = 77
		d.Bad = &node.BadBlock{Of: node.BadData, Block: 77, Device: "USR-A", Offset: 77 * 4096, Wanted: hashA, Computed: hashB}
	})
	badTree := with(usr, func(d *node.DeepDevice) {
		d.Read = 0
		d.Bad = &node.BadBlock{Of: node.BadHash, Level: 2, Block: 260094, Device: "USR-A", Offset: 260094 * 4096, Wanted: hashA, Computed: hashB}
	})
	broken := with(usr, func(d *node.DeepDevice) {
		d.Read = 77
		d.Unreadable = &node.UnreadablePlace{Device: "USR-A", Offset: 77 * 4096, Reason: "input/output error"}
	})
	required := coreos().edit(func(n *imageNode) { n.remount(t, "metacopy=on", "metacopy=on,verity=require") })
	denied := node.Gap{Part: "devices", What: "the blocks of oem", Code: node.Denied, Reason: "opening /dev/sda8: permission denied"}
	of := func(name string) profiles.Profile { return *profileNamed(t, name) }
	testJudge(t, imageContentIntact, []judgedRow{
		{name: "every block is good", profile: of("flatcar"), facts: deep(flatcar(), yes(usr)), want: "pass intact"},
		{name: "a block was overwritten that nobody has read", profile: of("flatcar"), facts: deep(flatcar(), yes(badData)), want: "fail bad-block",
			items: []string{"usr: data block 77 of USR-A, at byte 315392: " + hashA[:16] + "… is wanted and " + hashB[:16] + "… computed"}},
		{name: "a block of the hash tree was overwritten", profile: of("flatcar"), facts: deep(flatcar(), yes(badTree)), want: "fail bad-block",
			items: []string{"usr: block (level 2 of the hash tree) 260094 of USR-A, at byte 1065345024: " + hashA[:16] + "… is wanted and " + hashB[:16] + "… computed"}},
		{name: "of a device beside the image", profile: of("flatcar"), facts: deep(flatcar(), yes(with(badData, func(d *node.DeepDevice) { d.Name = "oem" }), usr)), want: "fail bad-block"},
		{name: "a bad block, and another device that could not be read", profile: of("flatcar"), facts: deep(flatcar(), yes(badData), denied), want: "fail bad-block"},
		{name: "the disk is failing", profile: of("flatcar"), facts: deep(flatcar(), yes(broken)), want: "unknown block-unreadable",
			items: []string{"USR-A under usr at byte 315392: input/output error"}},
		{name: "it was not read to its end", profile: of("flatcar"), facts: deep(flatcar(), yes(with(usr, func(d *node.DeepDevice) { d.Read-- }))), want: "unknown not-whole"},
		{name: "read whole, and nobody says what it comes to", profile: of("flatcar"), facts: deep(flatcar(), yes(with(usr, func(d *node.DeepDevice) { d.Computed = "" }))), want: "unknown not-whole"},
		{name: "a table of no blocks", profile: of("flatcar"), facts: deep(flatcar(), yes(with(usr, func(d *node.DeepDevice) { d.Read, d.DataBlocks = 0, 0 }))), want: "unknown not-whole"},
		{name: "another table was loaded meanwhile", profile: of("flatcar"), facts: deep(flatcar(), yes(whole("usr", hashB))), want: "unknown table-replaced"},
		{name: "the device of the image is not among those that were read", profile: of("flatcar"), facts: deep(flatcar(), yes(whole("oem", hashA))), want: "unknown not-read"},
		{name: "nothing was read", profile: of("flatcar"), facts: deep(flatcar(), yes()), want: "unknown not-read"},
		{name: "the tables were not read", profile: of("flatcar"), facts: deep(flatcar().edit(func(n *imageNode) { withoutTables(&n.verity) }), yes(usr)), want: "unknown table-denied"},
		{name: "gap", profile: of("flatcar"), facts: deep(flatcar(), yes(usr), denied), want: "unknown gap-denied"},
		{name: "nobody asked", profile: of("flatcar"), facts: deep(flatcar(), node.DeepState{Asked: "no"}), want: "not-applicable not-asked"},
		{name: "nobody asked in a container", facts: deep(imageNode{profile: "generic", mounts: debian().mounts, devices: debian().devices, system: node.System{Init: "systemd", PIDNamespace: "other"}}, node.DeepState{Asked: "no"}), want: "not-applicable not-asked"},
		{name: "asked in a container", facts: deep(imageNode{profile: "generic", mounts: debian().mounts, devices: debian().devices, system: node.System{Init: "systemd", PIDNamespace: "other"}}, yes()), want: "unknown not-the-host"},
		{name: "nobody said whether anybody asked", profile: of("flatcar"), facts: deep(flatcar(), node.DeepState{}), want: "unknown unread"},
		{name: "a capture without an answer", profile: of("flatcar"), facts: lacking(flatcar().facts(t), node.DeepImage, node.NotRecorded, "the capture holds no answer to this"), want: "unknown fact-not-recorded"},
		{name: "nobody asked, and the mounts are not known", profile: of("flatcar"), facts: lacking(deep(flatcar(), node.DeepState{Asked: "no"}), node.Mounts, node.Malformed, "the mount table is cut"), want: "not-applicable not-asked"},
		{name: "it was interrupted", profile: of("flatcar"), facts: lacking(flatcar().facts(t), node.DeepImage, node.Blocked, "context canceled"), want: "unknown fact-blocked"},

		{name: "Container-Optimized OS", profile: of("cos"), facts: deep(cos(), yes(whole("oemroot", hashA), whole("vroot", hashB))), want: "pass intact"},
		{name: "Talos, whose image is in memory", profile: of("talos"), facts: deep(talos(), yes()), want: "not-applicable image-in-memory"},
		{name: "MicroOS, which hashes nothing", profile: of("microos"), facts: deep(microos(), yes()), want: "not-applicable no-hashes"},
		{name: "an ordinary host", profile: of("generic"), facts: deep(debian(), yes()), want: "not-applicable no-hashes"},

		{name: "composefs as shipped", profile: of("fedora-coreos"), facts: deep(coreos(), files(objects)), want: "not-applicable no-hashes"},
		{name: "composefs with verity=require", profile: of("fedora-coreos"), facts: deep(required, files(objects, image)), want: "pass intact"},
		{name: "an object was replaced by another, which has fs-verity too", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 28000, Digests: 28000, Found: 27999, MissingObject: "/aa/b.file", MissingDigest: "sha256:" + hashA}))), want: "fail object-replaced"},
		{name: "an object was replaced by another, where nothing is required", profile: of("fedora-coreos"), facts: deep(coreos(), files(objects, naming(node.DeepNames{Objects: 28000, Digests: 28000, Found: 27999, MissingObject: "/aa/b.file", MissingDigest: "sha256:" + hashA}))), want: "not-applicable no-hashes"},
		{name: "an object is missing, and something else was not read", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 28000, Digests: 28000, Found: 27999, MissingObject: "/aa/b.file", MissingDigest: "sha256:" + hashA})), denied), want: "fail object-replaced"},
		{name: "an object has the digest of another", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 5, Digests: 5, Found: 5, MissingDigest: "sha256:" + hashA}))), want: "fail object-replaced"},
		{name: "its image names no digest", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 5, Found: 5}))), want: "unknown names-nothing"},
		{name: "its image names nothing", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{}))), want: "unknown names-nothing"},
		{name: "its image cannot be searched", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 5, Digests: 5, Found: 5, Unknown: "its erofs has 2 prefixes of the names of attributes"}))), want: "unknown names-unknown"},
		{name: "a folder of its objects was not read whole", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 5, Digests: 5, Found: 4, Unknown: "not all of /a was read"})), unread), want: "unknown names-unknown"},
		{name: "fewer were found than named", profile: of("fedora-coreos"), facts: deep(required, files(objects, naming(node.DeepNames{Objects: 5, Digests: 5, Found: 4}))), want: "unknown names-unknown"},
		{name: "its overlay reads the attributes of users", profile: of("fedora-coreos"), facts: deep(coreos().edit(func(n *imageNode) { n.remount(t, "metacopy=on", "metacopy=on,userxattr,verity=require") }), files(objects, image)), want: "unknown names-unknown"},
		{name: "what its image names was not looked for", profile: of("fedora-coreos"), facts: deep(required, files(objects, node.DeepFiles{Path: image.Path, Read: 1, Digest: image.Digest})), want: "unknown not-read"},
		{name: "gap in its files", profile: of("fedora-coreos"), facts: deep(required, files(objects, image), unread), want: "unknown gap-untouched"},
		{name: "its image was not read", profile: of("fedora-coreos"), facts: deep(required, files(objects)), want: "unknown not-read"},
		{name: "none of its objects has fs-verity", profile: of("fedora-coreos"), facts: deep(required, files(image, node.DeepFiles{Path: objects.Path, Without: 30000})), want: "unknown not-read"},
		{name: "an object has another digest", profile: of("fedora-coreos"), facts: deep(required, files(image, node.DeepFiles{Path: objects.Path, Read: 5, Bad: &node.BadFile{Path: "/sysroot/ostree/repo/objects/aa/b.file", Wanted: "sha256:" + hashA, Computed: "sha256:" + hashB}})), want: "fail bad-file",
			items: []string{"/sysroot/ostree/repo/objects/aa/b.file: sha256:" + hashA[:16] + "… is wanted and sha256:" + hashB[:16] + "… computed"}},
		{name: "the kernel refuses to read an object", profile: of("fedora-coreos"), facts: deep(required, files(image, node.DeepFiles{Path: objects.Path, Read: 5, Unreadable: &node.UnreadablePlace{Device: "/sysroot/ostree/repo/objects/aa/b.file", Offset: 4096, Reason: "input/output error"}})), want: "fail bad-file"},
	})
}
