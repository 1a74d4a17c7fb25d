package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// unreadEdits change what could not be read.
var unreadEdits = []oneEdit{{
	name: "no device-mapper facts at all: a mount table alone proves a squashfs",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) { n.lacks = map[string]node.Code{"verity": node.Denied} },
	change: map[string]string{
		"cmdline-matches-mapping": "unknown fact-denied",
	},
	level: 2,
}, {
	name: "no device-mapper facts on a verity root",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.lacks = map[string]node.Code{"verity": node.NotRecorded} },
	change: map[string]string{
		"image-unwritable":        "unknown fact-not-recorded",
		"image-verified":          "unknown fact-not-recorded",
		"cmdline-matches-mapping": "unknown fact-not-recorded",
	},
	level: 1,
}, {
	name: "no mounts",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.lacks = map[string]node.Code{"mounts": node.Denied} },
	change: map[string]string{
		"image-read-only":             "unknown fact-denied",
		"image-unwritable":            "unknown fact-denied",
		"image-verified":              "unknown fact-denied",
		"image-anchored":              "unknown fact-denied",
		"image-attested":              "unknown fact-denied",
		"no-shadowed-paths":           "unknown fact-denied",
		"mount-namespaces-agree":      "unknown fact-denied",
		"cmdline-matches-mapping":     "unknown fact-denied",
		"image-unmodified":            "unknown fact-denied",
		"no-undeclared-writable-exec": "unknown fact-denied",
	},
	level: 0,
}, {
	name: "nothing is mounted on /",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.mounts = "10 1 0:40 / /etc rw,relatime - tmpfs tmpfs rw" },
	change: map[string]string{
		"image-read-only":             "unknown no-root",
		"image-unwritable":            "unknown no-root",
		"image-verified":              "unknown no-root",
		"image-anchored":              "unknown no-root",
		"image-attested":              "unknown no-root",
		"no-shadowed-paths":           "unknown no-root",
		"mount-namespaces-agree":      "unknown no-root",
		"cmdline-matches-mapping":     "unknown no-root",
		"image-unmodified":            "unknown no-root",
		"no-undeclared-writable-exec": "unknown no-root",
	},
	level: 0,
}, {
	name: "a gap in what device-mapper facts say: what rests on them is unknown, the rest stands",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) { n.gaps = []string{"verity"} },
	change: map[string]string{
		"image-unwritable":        "unknown gap-denied",
		"image-verified":          "unknown gap-denied",
		"cmdline-matches-mapping": "unknown gap-denied",
	},
	level: 1, claimed: 1,
}, {
	name:  "what ostree says could not be read: nothing to a verity root",
	node:  "cos",
	edit:  func(_ *testing.T, n *imageNode) { n.gapIn = "ostree" },
	level: 3,
}, {
	name: "what ostree says could not be read: it decides about a composefs that demands fs-verity",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "metacopy=on", "metacopy=on,verity=require")
		n.verity.ComposefsImage = ""
		n.gapIn = "composefsImage"
	},
	change: map[string]string{"image-verified": "unknown gap-denied"},
	level:  2,
}, {
	name: "a device-mapper device could not be read: that none of the booted name was seen proves nothing",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) {
		n.verity.Devices, n.gapIn = nil, "devices"
	},
	change: map[string]string{
		"image-unwritable":        "unknown device-unknown",
		"image-verified":          "unknown device-unknown",
		"cmdline-matches-mapping": "unknown gap-denied",
	},
	level: 1,
}, {
	name: "the block devices could not be listed, and a btrfs does not show what it is on",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel", "10 1 0:30 / /usr ro,relatime - btrfs /dev/mapper/usr ro,seclabel,rescue=nologreplay,subvolid=5,subvol=/")
		n.verity.Devices, n.gapIn = nil, "devices"
	},
	change: map[string]string{
		"image-unwritable":        "unknown device-unknown",
		"image-verified":          "unknown device-unknown",
		"cmdline-matches-mapping": "unknown gap-denied",
	},
	level: 1,
}, {
	name:  "the property of a subvolume could not be read: nothing to a verity root",
	node:  "flatcar",
	edit:  func(_ *testing.T, n *imageNode) { n.gapIn = "subvolumes" },
	level: 3,
}, {
	name: "a gap in the mounts",
	node: "microos",
	edit: func(_ *testing.T, n *imageNode) { n.gaps = []string{"mounts"} },
	change: map[string]string{
		"image-read-only":             "unknown gap-denied",
		"image-unwritable":            "unknown gap-denied",
		"image-verified":              "unknown gap-denied",
		"image-anchored":              "unknown gap-denied",
		"image-attested":              "unknown gap-denied",
		"no-shadowed-paths":           "unknown gap-denied",
		"mount-namespaces-agree":      "unknown gap-denied",
		"cmdline-matches-mapping":     "unknown gap-denied",
		"image-unmodified":            "unknown gap-denied",
		"no-undeclared-writable-exec": "unknown gap-denied",
	},
	level: 0,
}, {
	name: "a gap does not hide a failure",
	node: "debian",
	edit: func(_ *testing.T, n *imageNode) { n.gaps = []string{"mount-namespaces", "deployment"} },
	change: map[string]string{
		"mount-namespaces-agree": "unknown gap-denied",
		"image-unmodified":       "unknown gap-denied",
	},
	level: 0,
}, {
	name:  "lockdown could not be read: that is nothing to the command line",
	node:  "flatcar",
	edit:  func(_ *testing.T, n *imageNode) { n.boot.Lockdown, n.gaps = "", []string{"boot"} },
	level: 3,
}, {
	name:   "lockdown could not be read under Secure Boot: root would settle it",
	node:   "bottlerocket",
	edit:   func(_ *testing.T, n *imageNode) { n.boot.Lockdown, n.gaps = "", []string{"boot"} },
	change: map[string]string{"image-anchored": "unknown gap-denied"},
	level:  3, claimed: 4,
}, {
	name:   "the firmware does not say whether it is in setup mode",
	node:   "bottlerocket",
	edit:   func(_ *testing.T, n *imageNode) { n.boot.SetupMode = "" },
	change: map[string]string{"image-anchored": "unknown unread"},
	level:  3,
}}
