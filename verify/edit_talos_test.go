package verify

import (
	"testing"
)

// talosEdits change Talos and its boot chain.
var talosEdits = []oneEdit{{
	name: "Talos 1.14.0 came up without lockdown under Secure Boot (siderolabs/talos#14237)",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.boot.Lockdown = "none" },
	change: map[string]string{
		"image-anchored": "fail no-lockdown",
	},
	level: 2,
}, {
	name: "an old kernel without the lockdown module",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.boot.Lockdown = "absent" },
	change: map[string]string{
		"image-anchored": "fail no-lockdown",
	},
	level: 2,
}, {
	name: "lockdown that was not read is unknown",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.boot.Lockdown = "" },
	change: map[string]string{
		"image-anchored": "unknown unread",
	},
	level: 2,
}, {
	name: "Secure Boot that was not read is unknown",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.boot.SecureBoot = "" },
	change: map[string]string{
		"image-anchored": "unknown unread",
	},
	level: 2,
}, {
	name: "firmware in setup mode",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.boot.SetupMode = "on" },
	change: map[string]string{
		"image-anchored": "fail setup-mode",
	},
	level: 2,
}, {
	name: "booted by BIOS",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) {
		n.boot.Firmware, n.boot.SecureBoot, n.boot.SetupMode = "other", "absent", "absent"
	},
	change: map[string]string{
		"image-anchored": "not-applicable no-uefi",
	},
	level: 2,
}, {
	name: "the sandbox of Talos 1.14: process 1 is not the host's",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.system.Init = "sandboxd" },
	change: map[string]string{
		"image-read-only":             "unknown not-the-host",
		"image-unwritable":            "unknown not-the-host",
		"image-verified":              "unknown not-the-host",
		"image-anchored":              "unknown not-the-host",
		"image-attested":              "unknown not-the-host",
		"no-shadowed-paths":           "unknown not-the-host",
		"mount-namespaces-agree":      "unknown not-the-host",
		"cmdline-matches-mapping":     "unknown not-the-host",
		"image-unmodified":            "unknown not-the-host",
		"no-undeclared-writable-exec": "unknown not-the-host",
	},
	level: 0,
}, {
	name: "a squashfs on a disk is not what the UKI holds",
	node: "talos-secure-boot",
	edit: func(_ *testing.T, n *imageNode) { n.devices["7:0"] = "loop /var/rootfs.sqsh" },
	change: map[string]string{
		"image-verified":          "not-applicable not-offered",
		"image-anchored":          "fail not-in-chain",
		"cmdline-matches-mapping": "not-applicable no-hash",
	},
	level: 2,
}, {
	name: "an overlay root with an upper directory",
	node: "talos-extended",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ / ro,relatime - overlay overlay ro,", "/ / rw,relatime - overlay overlay rw,upperdir=/var/x,workdir=/var/y,")
	},
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"image-unwritable":            "fail writable-overlay",
		"image-anchored":              "fail not-in-chain",
		"mount-namespaces-agree":      "not-applicable no-image",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "fewer loop devices than layers: what the root shows is not known",
	node: "talos-extended",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Loops = n.verity.Loops[:2] },
	change: map[string]string{
		"image-unwritable": "unknown lower-unknown",
		"image-anchored":   "fail not-in-chain",
	},
	level: 1,
}, {
	name: "an unexpected extension of the kubelet's folder",
	node: "talos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "lowerdir=/usr/libexec/kubernetes,", "lowerdir=/var/x,")
	},
	change: map[string]string{
		"image-read-only":   "fail writable-overlay",
		"image-unwritable":  "fail writable-overlay",
		"no-shadowed-paths": "fail writable-overlay",
	},
	level: 0,
}}
