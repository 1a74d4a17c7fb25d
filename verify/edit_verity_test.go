package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// verityEdits change device-mapper: tables, hashes, targets.
var verityEdits = []oneEdit{{
	name: "a dm-verity root whose table nobody may read is claimed, not proven",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { withoutTables(&n.verity) },
	change: map[string]string{
		"image-verified":          "unknown table-denied",
		"cmdline-matches-mapping": "unknown table-denied",
	},
	level: 2, claimed: 3,
}, {
	name: "Secure Boot over a table that nobody may read claims 4",
	node: "bottlerocket",
	edit: func(_ *testing.T, n *imageNode) { withoutTables(&n.verity) },
	change: map[string]string{
		"image-verified":          "unknown table-denied",
		"image-anchored":          "unknown table-denied",
		"cmdline-matches-mapping": "unknown table-denied",
	},
	level: 2, claimed: 4,
}, {
	name: "a file tree has no kernel to ask for tables: nothing is claimed that root could settle",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) {
		withoutTables(&n.verity)
		n.verity.NoTables.Code = node.NoKernel
	},
	change: map[string]string{
		"image-verified":          "unknown table-no-kernel",
		"cmdline-matches-mapping": "unknown table-no-kernel",
	},
	level: 2,
}, {
	name: "status C: the kernel has seen corruption",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.Status = "C" },
	change: map[string]string{
		"image-verified": "fail corrupted",
	},
	level: 2,
}, {
	name: "ignore_corruption fails whatever the status",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.Args = []string{"ignore_corruption"} },
	change: map[string]string{
		"image-verified": "fail corruption-ignored",
	},
	level: 2,
}, {
	name: "a linear target under the name vroot (GHSA-6vq3-w69p-w63m)",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) {
		d := &n.verity.Devices[0]
		d.Verity, d.Targets = nil, []node.DMTarget{{Type: "linear"}}
	},
	change: map[string]string{
		"image-verified":          "fail not-verity",
		"cmdline-matches-mapping": "fail not-verity",
	},
	level: 2,
}, {
	name: "a writable device under the expected name is no verity device, even without its table",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) {
		withoutTables(&n.verity)
		n.verity.Devices[0].ReadOnly = false
	},
	change: map[string]string{
		"image-unwritable":        "fail writable-backing",
		"image-verified":          "fail not-verity",
		"cmdline-matches-mapping": "fail not-verity",
	},
	level: 1,
}, {
	name: "another root hash than the one that was booted",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.RootHash = hashB },
	change: map[string]string{
		"image-verified":          "fail hash-differs",
		"cmdline-matches-mapping": "fail hash-differs",
	},
	level: 2,
}, {
	name: "two hashes for one device on the command line",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.verity.Booted = append(n.verity.Booted, node.BootedHash{Word: "verity.usrhash", Name: "usr", Hash: hashB})
	},
	change: map[string]string{
		"image-verified":          "fail hash-twice",
		"cmdline-matches-mapping": "fail hash-twice",
	},
	level: 2,
}, {
	name:  "the same hash twice is one hash",
	node:  "flatcar",
	edit:  func(_ *testing.T, n *imageNode) { n.verity.Booted = append(n.verity.Booted, n.verity.Booted[0]) },
	level: 3,
}, {
	name: "a developer image names no hash",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Booted = nil },
	change: map[string]string{
		"image-verified":          "unknown no-booted-hash",
		"cmdline-matches-mapping": "fail no-booted-hash",
	},
	level: 2,
}, {
	name: "dm-mod.create on the command line and a plain partition on /: the word proves nothing",
	node: "cos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "1 0 254:0 / / ro,relatime - ext2 /dev/root ro", "1 0 8:3 / / ro,relatime - ext2 /dev/mapper/vroot ro")
		n.devices["8:3"] = "disk ROOT-A"
	},
	change: map[string]string{
		"image-unwritable":        "fail writable-backing",
		"image-verified":          "fail not-verified",
		"cmdline-matches-mapping": "fail not-mounted",
	},
	level: 1,
}, {
	name: "dm-mod.create on the command line and no such device",
	node: "cos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "1 0 254:0 / / ro,relatime - ext2 /dev/root ro", "1 0 8:3 / / ro,relatime - ext2 /dev/root ro")
		n.devices["8:3"] = "disk ROOT-A"
		n.verity.Devices = nil
	},
	change: map[string]string{
		"image-unwritable":        "fail writable-backing",
		"image-verified":          "fail not-verified",
		"cmdline-matches-mapping": "fail not-mapped",
	},
	level: 1,
}, {
	name: "the verity target covers half of the device",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.Whole = false },
	change: map[string]string{
		"image-verified": "fail not-whole",
	},
	level: 2,
}, {
	name: "SHA-1 is no hash to verify with",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.Algorithm = "sha1" },
	change: map[string]string{
		"image-verified": "fail weak-hash",
	},
	level: 2,
}, {
	name: "a table that is being replaced",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Suspended = true },
	change: map[string]string{
		"image-verified": "unknown suspended",
	},
	level: 2,
}, {
	name: "a status that is neither V nor C",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].Verity.Status = "" },
	change: map[string]string{
		"image-verified": "unknown status-unknown",
	},
	level: 2,
}, {
	name: "a kernel of slot A on the partition of slot B",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].On = []string{"USR-B"} },
	change: map[string]string{
		"cmdline-matches-mapping": "fail slot-differs",
	},
	level: 3,
}, {
	name: "COS names its kernel without BOOT_IMAGE",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Devices[0].On = []string{"ROOT-B"} },
	change: map[string]string{
		"cmdline-matches-mapping": "fail slot-differs",
	},
	level: 3,
}, {
	name: "sysfs does not say what is under /usr",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) { delete(n.devices, "254:0") },
	change: map[string]string{
		"image-unwritable":        "unknown device-unknown",
		"image-verified":          "unknown device-unknown",
		"cmdline-matches-mapping": "unknown device-unknown",
	},
	level: 1,
}}
