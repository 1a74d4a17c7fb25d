package verify

import (
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// mountEdits change mounts over the image and beside it.
var mountEdits = []oneEdit{{
	name: "Flatcar's /usr is btrfs since 2023: an anonymous device number, and the device lists its mount",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel",
			"10 1 0:35 / /usr ro,relatime - btrfs /dev/mapper/usr ro,seclabel,rescue=nologreplay,space_cache=v2,subvolid=5,subvol=/")
		n.verity.Devices[0].Mounted = []string{"/usr"}
	},
	level: 3,
}, {
	name: "a btrfs /usr whose source says /dev/mapper/usr, and no device that lists it: a name is no proof",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel",
			"10 1 0:35 / /usr ro,relatime - btrfs /dev/mapper/usr ro,seclabel,rescue=nologreplay,space_cache=v2,subvolid=5,subvol=/")
	},
	change: map[string]string{
		"image-unwritable":        "unknown device-unknown",
		"image-verified":          "unknown device-unknown",
		"cmdline-matches-mapping": "unknown device-unknown",
	},
	level: 1,
}, {
	name: "Flatcar without extensions",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		i := strings.Index(n.mounts, "14 10 0:42")
		n.mounts = n.mounts[:i]
	},
	change: map[string]string{"no-shadowed-paths": "pass nothing"},
	level:  3,
}, {
	name: "a writable layer in the overlay of extensions",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ /usr ro,relatime - overlay sysext ro,", "/ /usr rw,relatime - overlay sysext rw,upperdir=/var/lib/extensions.mutable/usr,")
	},
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"image-unwritable":            "fail writable-overlay",
		"image-verified":              "fail not-verified",
		"no-shadowed-paths":           "fail writable-overlay",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "a writable layer that process 1 sees read-only counts all the same",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ /usr ro,relatime - overlay sysext ro,", "/ /usr ro,relatime - overlay sysext ro,upperdir=/var/lib/extensions.mutable/usr,")
	},
	change: map[string]string{
		"image-read-only":   "fail writable-overlay",
		"image-unwritable":  "fail writable-overlay",
		"image-verified":    "fail not-verified",
		"no-shadowed-paths": "fail writable-overlay",
	},
	level: 0,
}, {
	name: "an overlay on /usr that shows a writable directory beside the image",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("15 14 0:43 / /usr ro,relatime - overlay overlay ro,lowerdir=/var/lib/x:/usr")
	},
	change: map[string]string{
		"image-unwritable":  "fail writable-lower",
		"image-verified":    "fail not-verified",
		"no-shadowed-paths": "fail shadowed",
	},
	level: 1,
}, {
	name: "a writable bind on /usr/bin",
	node: "bottlerocket",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 1 259:9 /bin /usr/bin rw,relatime - xfs /dev/nvme1n1p1 rw,seclabel")
	},
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "fail writable-backing",
		"image-verified":              "fail not-verified",
		"image-anchored":              "fail not-verified",
		"no-shadowed-paths":           "fail shadowed",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "a bind on /usr/bin that is read-only per mount over a writable file system",
	node: "bottlerocket",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 1 259:9 /bin /usr/bin ro,relatime - xfs /dev/nvme1n1p1 rw,seclabel")
	},
	change: map[string]string{
		"image-read-only":   "fail writable-elsewhere", // through /local/bin
		"image-unwritable":  "fail writable-backing",
		"image-verified":    "fail not-verified",
		"image-anchored":    "fail not-verified",
		"no-shadowed-paths": "fail shadowed",
	},
	level: 0,
}, {
	name: "the file system of a read-only root is mounted writable elsewhere",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ / rw,relatime - ext4", "/ / ro,relatime - ext4")
		n.mount("90 1 8:1 / /mnt rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro")
	},
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "fail writable-elsewhere",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 0,
}, {
	name: "another file system of the same type is another one",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ / rw,relatime - ext4", "/ / ro,relatime - ext4")
		n.devices["8:2"] = "disk sda2"
		n.mount("90 1 8:2 / /mnt rw,relatime - ext4 /dev/sda2 rw")
	},
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "pass read-only",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 1,
}, {
	name: "no os-release: what the mounts prove stands",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) { n.lacks = map[string]node.Code{"os": node.NotRecorded} },
	change: map[string]string{
		"image-unmodified": "unknown fact-not-recorded",
	},
	level: 2,
}, {
	name:  "a marker path that could not be looked at takes nothing from the mounts",
	node:  "cos",
	edit:  func(_ *testing.T, n *imageNode) { n.gaps = []string{"os"} },
	level: 3,
}, {
	name: "a second file system on / over the verified one",
	node: "cos",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 1 8:1 /x / rw,relatime - ext4 /dev/sda1 rw")
	},
	// What is visible is no image any more: the verified one lies under it.
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "fail writable-backing",
		"image-verified":              "fail not-verified",
		"no-shadowed-paths":           "fail shadowed",
		"mount-namespaces-agree":      "not-applicable no-image",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "Bottlerocket's planted module overlay on another path",
	node: "bottlerocket",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "sys-root/usr/lib/modules rw,", "sys-root/usr/libexec rw,")
	},
	change: map[string]string{
		"image-read-only":   "fail writable-overlay",
		"image-unwritable":  "fail writable-overlay",
		"image-verified":    "fail not-verified",
		"image-anchored":    "fail not-verified",
		"no-shadowed-paths": "fail writable-overlay",
	},
	level: 0,
}, {
	name: "a disk over /tmp without noexec (captured on a GCE machine)",
	node: "cos",
	edit: func(t *testing.T, n *imageNode) {
		n.devices["259:0"] = "disk nvme0n1"
		n.mount("90 6 259:0 / /tmp rw,relatime - ext4 /dev/nvme0n1 rw")
	},
	change: map[string]string{"no-undeclared-writable-exec": "fail undeclared"},
	level:  3,
}, {
	name: "a disk below /mnt/disks is where disks belong",
	node: "cos",
	edit: func(t *testing.T, n *imageNode) {
		n.devices["259:0"] = "disk nvme0n1"
		n.mount("90 1 259:0 / /mnt/disks/local-ssd-0 rw,relatime - ext4 /dev/nvme0n1 rw")
	},
	level: 3,
}}
