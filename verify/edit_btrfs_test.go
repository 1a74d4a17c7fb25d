package verify

import (
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// btrfsEdits change btrfs snapshots, ordinary hosts and developer images.
var btrfsEdits = []oneEdit{{
	name: "microos-rw turns both switches",
	node: "microos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "snapshot / ro,relatime", "snapshot / rw,relatime")
		n.verity.Subvolumes[0].ReadOnly = false
		n.deploy.Masked = []string{"transactional-update.service"}
	},
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"mount-namespaces-agree":      "not-applicable no-image",
		"image-unmodified":            "fail unlocked",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "after microos-ro, or remount,rw alone: the property holds and the mount is open",
	node: "microos",
	edit: func(t *testing.T, n *imageNode) { n.remount(t, "snapshot / ro,relatime", "snapshot / rw,relatime") },
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"mount-namespaces-agree":      "not-applicable no-image",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "btrfs property set / ro false alone: a remount away",
	node: "microos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Subvolumes[0].ReadOnly = false },
	change: map[string]string{
		"image-read-only": "fail writable-subvolume",
	},
	level: 0,
}, {
	name: "the property was not read",
	node: "microos",
	edit: func(_ *testing.T, n *imageNode) { n.verity.Subvolumes = nil },
	change: map[string]string{
		"image-read-only": "unknown subvolume-unknown",
	},
	level: 0, claimed: 1,
}, {
	name: "the next snapshot is being built by transactional-update",
	node: "microos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/sbin/transactional-update"}, Mounts: []node.Mount{
			{Path: "/", Type: "btrfs", Root: "/@/.snapshots/2/snapshot", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	level: 1,
}, {
	name: "system extensions on /usr",
	node: "microos",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 60 0:60 / /usr ro,relatime - overlay sysext ro,lowerdir=/run/systemd/sysext/meta/usr:/run/systemd/sysext/extensions/debug/usr:/usr")
	},
	change: map[string]string{"no-shadowed-paths": "pass declared-only"},
	level:  1,
}, {
	name: "made read-only by an error of the disk",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro", "/ / rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro,emergency_ro")
	},
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "fail read-only-by-error",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 0,
}, {
	name: "an ordinary host remounted read-only: level 1, and no more",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) { n.remount(t, "/ / rw,relatime - ext4", "/ / ro,relatime - ext4") },
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "pass read-only",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 1,
}, {
	name: "the super block read-only under a mount that says rw",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) { n.remount(t, "ext4 /dev/sda1 rw,", "ext4 /dev/sda1 ro,") },
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "pass read-only",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 1,
}, {
	name: "a read-only bind of /usr on itself protects nothing",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) { n.mount("90 1 8:1 /usr /usr ro,relatime - ext4 /dev/sda1 rw") },
	change: map[string]string{
		"no-shadowed-paths": "fail shadowed",
	},
	level: 0,
}, {
	name: "Talos in a container: the root is an overlay of the engine",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro",
			"1 0 0:70 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/var/lib/docker/overlay2/l/B,upperdir=/var/lib/docker/overlay2/c/diff,workdir=/var/lib/docker/overlay2/c/work")
	},
	change: map[string]string{"image-read-only": "fail writable-overlay"},
	level:  0,
}, {
	name: "a btrfs root that an error made read-only, on a LUKS device (captured NixOS)",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro",
			"1 0 0:25 / / ro,relatime - btrfs /dev/dm-0 ro,space_cache=v2,subvolid=265,subvol=/root\n")
		n.mounts = strings.Replace(n.mounts, "1 0 0:25 / /", "1 0 0:25 /root /", 1)
		n.verity.Devices = []node.DMDevice{{Name: "crypt"}}
		n.verity.Subvolumes = []node.MountedSubvolume{{Path: "/", ReadOnly: false}}
	},
	change: map[string]string{
		"image-unwritable":       "fail writable-backing",
		"image-read-only":        "fail writable-subvolume",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 0,
}, {
	name: "squashfs straight on a disk, no profile: an image, and not verified",
	node: "debian",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "ext4 /dev/sda1 rw,errors=remount-ro", "squashfs /dev/sda1 ro,errors=continue")
	},
	change: map[string]string{
		"image-read-only":        "pass read-only",
		"image-unwritable":       "pass unwritable",
		"mount-namespaces-agree": "pass agree",
		"image-unmodified":       "pass unmodified",
	},
	level: 2,
}, {
	name: "Flatcar over the network: /usr is a squashfs in memory",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "1 0 8:9 / / rw,relatime - ext4 /dev/sda9 rw,seclabel", "1 0 0:24 / / rw,relatime - tmpfs tmpfs rw")
		n.remount(t, "10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel", "10 1 7:0 / /usr ro,relatime - squashfs /dev/loop0 ro")
		n.devices["7:0"] = "loop /usr.squashfs"
		n.verity.Devices, n.verity.Booted = nil, nil
		n.boot.Cmdline = cmdline("flatcar.first_boot=1 mount.usr=/usr.squashfs")
	},
	change: map[string]string{
		"image-verified":          "not-applicable image-in-memory",
		"cmdline-matches-mapping": "not-applicable image-in-memory",
	},
	level: 2,
}, {
	name: "Flatcar's developer image: /usr from a plain partition",
	node: "flatcar",
	edit: func(t *testing.T, n *imageNode) {
		n.devices["8:3"] = "disk USR-A"
		n.remount(t, "10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel", "10 1 8:3 / /usr ro,relatime - ext4 /dev/sda3 ro,seclabel")
		n.verity.Devices, n.verity.Booted = nil, nil
		n.boot.Cmdline = cmdline("BOOT_IMAGE=/flatcar/vmlinuz-a mount.usr=PARTUUID=<uuid> mount.usrflags=ro")
	},
	change: map[string]string{
		"image-unwritable":        "fail writable-backing",
		"image-verified":          "fail not-verified",
		"cmdline-matches-mapping": "fail no-booted-hash",
		"image-unmodified":        "fail developer",
	},
	level: 1,
}, {
	name: "COS in developer mode",
	node: "cos",
	edit: func(_ *testing.T, n *imageNode) {
		n.boot.Cmdline = append(n.boot.Cmdline, node.Word{Key: "cros_debug"})
	},
	change: map[string]string{
		"image-unmodified": "fail developer",
	},
	level: 3,
}, {
	name: "a self-built Bottlerocket",
	node: "bottlerocket",
	edit: func(_ *testing.T, n *imageNode) {
		n.system.Release = map[string]string{"ID": "bottlerocket", "BUILD_ID": "91632ff5-dirty"}
	},
	change: map[string]string{
		"image-unmodified": "fail developer",
	},
	level: 4,
}, {
	name: "a directory that makes extensions writable",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.deploy.MutableExtensions = []string{"/var/lib/extensions.mutable/usr"}
	},
	change: map[string]string{
		"image-unmodified": "fail mutable-extensions",
	},
	level: 3,
}}
