package verify

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// sound are nodes as they are shipped.
var sound = map[string]func() imageNode{
	"talos":             talos,
	"talos-secure-boot": talosSecureBoot,
	"talos-extended":    talosExtended,
	"flatcar":           flatcar,
	"bottlerocket":      bottlerocket,
	"cos":               cos,
	"coreos":            coreos,
	"coreos-before":     coreosBefore,
	"microos":           microos,
	"debian":            debian,
}

// asShipped are the verdicts on each of them.
var asShipped = map[string]map[string]string{
	"talos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable image-in-memory",
		"image-anchored":              "fail secure-boot-off",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable image-in-memory",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"talos-secure-boot": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable image-in-memory",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable image-in-memory",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"talos-extended": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"flatcar": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "fail secure-boot-off",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"bottlerocket": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"cos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"coreos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"coreos-before": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"microos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"debian": {
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "not-applicable no-image",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "not-applicable no-image",
		"no-undeclared-writable-exec": "not-applicable no-expectation",
	},
}

var shippedLevels = map[string]int{
	"talos": 2, "talos-secure-boot": 4, "talos-extended": 4, "flatcar": 3, "bottlerocket": 4,
	"cos": 3, "coreos": 2, "coreos-before": 1, "microos": 1, "debian": 0,
}

func TestImagesAsShipped(t *testing.T) {
	for name, n := range sound {
		t.Run(name, func(t *testing.T) {
			verdicts, level, _ := n().judge(t)
			if diff := cmp.Diff(asShipped[name], verdicts); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			want := shippedLevels[name]
			if level.Number != want || level.Claimed != want || level.Name != levelNames[want] {
				t.Errorf("got level %d %s, claimed %d; want %d", level.Number, level.Name, level.Claimed, want)
			}
		})
	}
}

// remount replaces text in the mount table; it must be there.
func (n *imageNode) remount(t *testing.T, old, with string) {
	t.Helper()
	if !strings.Contains(n.mounts, old) {
		t.Fatalf("the mount table has no %q", old)
	}
	n.mounts = strings.Replace(n.mounts, old, with, 1)
}

func (n *imageNode) mount(line string) { n.mounts += line + "\n" }

// TestOneEdit changes one thing about a sound node. Only the verdicts that are
// named may change.
func TestOneEdit(t *testing.T) {
	tests := []struct {
		name    string
		node    string
		edit    func(*testing.T, *imageNode)
		change  map[string]string
		level   int
		claimed int // where it is not the level
	}{{
		// Read-only or not.
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
	}, {
		// Mounts.
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
	}, {
		// Talos.
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
	}, {
		// ostree.
		name: "composefs with verity=require",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "metacopy=on", "metacopy=on,verity=require")
			n.verity.ComposefsImage = "on"
			n.verity.Ostree.ComposefsVerity = "true"
		},
		change: map[string]string{"image-verified": "pass verified"},
		level:  3,
	}, {
		name: "verity=require over an image that has no fs-verity itself",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "metacopy=on", "metacopy=on,verity=require")
		},
		change: map[string]string{"image-verified": "fail image-without-fs-verity"},
		level:  2,
	}, {
		name: "a deployment prepared for fs-verity and mounted without",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.verity.Ostree.ComposefsSigned = "/etc/ostree/initramfs-root-binding.key"
		},
		change: map[string]string{"image-verified": "fail fs-verity-not-required"},
		level:  2,
	}, {
		name: "verity=on checks only files that have a digest",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "metacopy=on", "metacopy=on,verity=on")
		},
		level: 2,
	}, {
		name: "the older form of composefs, whose source says overlay",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "overlay composefs ro,seclabel,lowerdir+=/run/ostree/.private/cfsroot-lower,datadir+=/sysroot/ostree/repo/objects",
				"overlay overlay ro,seclabel,lowerdir=/run/ostree/.private/cfsroot-lower::/sysroot/ostree/repo/objects")
		},
		level: 2,
	}, {
		name: "ostree admin unlock: a /usr line on a composefs host",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.mount("90 1 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=usr,upperdir=/proc/self/fd/4/upper,workdir=/proc/self/fd/4/work")
		},
		change: map[string]string{
			"image-read-only":             "fail writable-overlay",
			"image-unwritable":            "fail writable-overlay",
			"no-shadowed-paths":           "fail writable-overlay",
			"no-undeclared-writable-exec": "fail undeclared",
		},
		level: 0,
	}, {
		name: "unlocked before composefs: two lines on /usr, the last one wins",
		node: "coreos-before",
		edit: func(t *testing.T, n *imageNode) {
			n.mount("90 12 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=usr,upperdir=/var/tmp/ostree-unlock-ovl.KZ4V50/upper,workdir=/var/tmp/ostree-unlock-ovl.KZ4V50/work")
		},
		change: map[string]string{
			"image-read-only":             "fail writable-overlay",
			"no-shadowed-paths":           "fail writable-overlay",
			"no-undeclared-writable-exec": "fail undeclared",
		},
		level: 0,
	}, {
		name: "/sysroot remounted writable: the objects below composefs can be written",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) { n.remount(t, "/ /sysroot ro,", "/ /sysroot rw,") },
		change: map[string]string{
			"image-read-only":             "fail writable-mount",
			"no-undeclared-writable-exec": "fail undeclared",
		},
		level: 0,
	}, {
		name: "/boot writable is a finding on CoreOS",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "/ /boot ro,nosuid,nodev,relatime - ext4 /dev/vda3 ro,", "/ /boot rw,nosuid,nodev,relatime - ext4 /dev/vda3 rw,")
		},
		change: map[string]string{"no-undeclared-writable-exec": "fail undeclared"},
		level:  2,
	}, {
		name: "/usr unmounted before composefs: what is left is the writable deployment",
		node: "coreos-before",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "12 1 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0/usr /usr ro,relatime - xfs /dev/vda4 rw,seclabel,prjquota\n", "")
		},
		change: map[string]string{"image-read-only": "fail writable-mount"},
		level:  0,
	}, {
		name: "root.transient: the upper directory is in memory, and writable all the same",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "/ / ro,relatime - overlay composefs ro,", "/ / rw,relatime - overlay composefs rw,upperdir=/run/ostree/.private/root/upper,workdir=/run/ostree/.private/root/work,")
		},
		change: map[string]string{
			"image-read-only":        "fail writable-overlay",
			"image-unwritable":       "fail writable-overlay",
			"mount-namespaces-agree": "not-applicable no-image",
		},
		level: 0,
	}, {
		name: "root.transient-ro: read-only here, written in namespaces of its own",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "overlay composefs ro,", "overlay composefs rw,upperdir=/run/ostree/.private/root/upper,workdir=/run/ostree/.private/root/work,")
		},
		change: map[string]string{"image-unwritable": "fail writable-overlay"},
		level:  1,
	}, {
		name: "unlocked, by its marker",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) { n.deploy.Ostree.Unlocked = []string{"development"} },
		change: map[string]string{
			"image-unmodified": "fail unlocked",
		},
		level: 2,
	}, {
		name: "rpm-ostree apply-live leaves \"transient\": customized, not unlocked",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.deploy.Ostree.Unlocked, n.deploy.Ostree.Layered = []string{"transient"}, []string{"tcpdump"}
		},
		change: map[string]string{
			"image-unmodified": "fail customized",
		},
		level: 2,
	}, {
		name: "an origin without signature",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.deploy.Ostree.Origin = "ostree-unverified-registry:quay.io/x/y:latest"
		},
		change: map[string]string{
			"image-unmodified": "fail unverified-origin",
		},
		level: 2,
	}, {
		name: "the machine-config operator pins by digest",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.deploy.Ostree.Origin = "ostree-unverified-registry:quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:" + hashA
		},
		level: 2,
	}, {
		// MicroOS: the rows of the research note, 2.2.
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
	}, {
		// Namespaces.
		name: "ostree admin unlock --transient in the namespace of a shell",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
				{Path: "/usr", Type: "overlay", Root: "/", Options: []string{"rw"}, Super: []string{"rw", "lowerdir=usr", "upperdir=/var/x"}}}}}
		},
		change: map[string]string{"mount-namespaces-agree": "fail writable"},
		level:  2,
	}, {
		name: "rpm-ostreed writes the store in its own namespace by design",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/rpm-ostree"}, Mounts: []node.Mount{
				{Path: "/sysroot", Type: "xfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
		},
		level: 2,
	}, {
		name: "a shell in the namespace of rpm-ostreed is not by design",
		node: "coreos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash", "/usr/bin/rpm-ostree"}, Mounts: []node.Mount{
				{Path: "/sysroot", Type: "xfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
		},
		change: map[string]string{"mount-namespaces-agree": "fail writable"},
		level:  2,
	}, {
		name: "a service that sees /usr read-only as well",
		node: "flatcar",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/lib/systemd/systemd-resolved"}, Mounts: []node.Mount{
				{Path: "/usr/lib/modules", Type: "tmpfs", Root: "/systemd/inaccessible/dir", Source: "tmpfs", Options: []string{"ro"}, Super: []string{"rw"}},
				{Path: "/home", Type: "tmpfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
		},
		level: 3,
	}, {
		name: "Talos's kubelet has an image of its own as its root",
		node: "talos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/local/bin/kubelet"}, Mounts: []node.Mount{
				{Path: "/", Type: "overlay", Root: "/", Source: "overlay", Device: node.Device{Kind: "none"}, Options: []string{"rw"}, Super: []string{"rw", "lowerdir=/var/a", "upperdir=/var/b"}}}}}
		},
		level: 2,
	}, {
		name: "a shell that has the image itself writable in a namespace of its own",
		node: "coreos-before",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
				{Path: "/usr", Type: "xfs", Root: "/ostree/deploy/fedora-coreos/deploy/abc.0/usr", Source: "/dev/vda4", Device: node.Device{Kind: "disk", Name: "root"},
					Options: []string{"rw"}, Super: []string{"rw", "seclabel", "prjquota"}}}}}
		},
		change: map[string]string{"mount-namespaces-agree": "fail writable"},
		level:  1,
	}, {
		name: "a service that started before the extensions were merged sees the image without them",
		node: "flatcar",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/lib/systemd/systemd-udevd"}, Mounts: []node.Mount{
				{Path: "/usr", Type: "ext4", Root: "/", Source: "/dev/mapper/usr", Device: node.Device{Kind: "dm", Name: "usr"}, Options: []string{"ro"}, Super: []string{"ro", "seclabel"}}}}}
		},
		level: 3,
	}, {
		name: "a service that sees the image where process 1 has an overlay of the system",
		node: "talos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/sbin/init"}, Mounts: []node.Mount{
				{Path: "/usr/libexec/kubernetes", Type: "squashfs", Root: "/usr/libexec/kubernetes", Source: "/dev/loop0",
					Device: node.Device{Kind: "loop", Name: "/rootfs.sqsh (deleted)"}, Options: []string{"ro"}, Super: []string{"ro", "errors=continue"}}}}}
		},
		level: 2,
	}, {
		name: "another directory of the same file system in place of /usr/bin",
		node: "talos",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/sbin/init"}, Mounts: []node.Mount{
				{Path: "/usr/bin", Type: "squashfs", Root: "/usr/share", Source: "/dev/loop0",
					Device: node.Device{Kind: "loop", Name: "/rootfs.sqsh (deleted)"}, Options: []string{"ro"}, Super: []string{"ro", "errors=continue"}}}}}
		},
		change: map[string]string{"mount-namespaces-agree": "fail shadowed"},
		level:  2,
	}, {
		name: "another file system on /usr/bin in the namespace of a service",
		node: "flatcar",
		edit: func(_ *testing.T, n *imageNode) {
			n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/x"}, Mounts: []node.Mount{
				{Path: "/usr/bin", Type: "ext4", Root: "/bin", Device: node.Device{Kind: "disk", Name: "ROOT"}, Options: []string{"ro"}, Super: []string{"rw"}}}}}
		},
		change: map[string]string{"mount-namespaces-agree": "fail shadowed"},
		level:  3,
	}, {
		// What could not be read.
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
		edit:  func(_ *testing.T, n *imageNode) { n.gapIn = "/run/ostree-booted" },
		level: 3,
	}, {
		name: "what ostree says could not be read: it decides about a composefs that demands fs-verity",
		node: "coreos",
		edit: func(t *testing.T, n *imageNode) {
			n.remount(t, "metacopy=on", "metacopy=on,verity=require")
			n.verity.ComposefsImage = ""
			n.gapIn = "fs-verity of the composefs image"
		},
		change: map[string]string{"image-verified": "unknown gap-denied"},
		level:  2,
	}, {
		name:  "the property of a subvolume could not be read: nothing to a verity root",
		node:  "flatcar",
		edit:  func(_ *testing.T, n *imageNode) { n.gapIn = "the read-only property of the subvolume on /" },
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
	for _, tt := range tests {
		t.Run(tt.node+": "+tt.name, func(t *testing.T) {
			n := sound[tt.node]().edit(func(*imageNode) {})
			tt.edit(t, &n)
			got, level, _ := n.judge(t)
			want := maps.Clone(asShipped[tt.node])
			for check, verdict := range tt.change {
				if want[check] == verdict {
					t.Errorf("%s: %q is no change", check, verdict)
				}
				want[check] = verdict
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			claimed := max(tt.claimed, tt.level)
			if level.Number != tt.level || level.Claimed != claimed {
				t.Errorf("got level %d, claimed %d; want %d, claimed %d", level.Number, level.Claimed, tt.level, claimed)
			}
		})
	}
}

func TestFindingsNameWhatIsAtFault(t *testing.T) {
	n := flatcar()
	n.mount("15 14 0:43 / /usr/bin rw,relatime - tmpfs tmpfs rw")
	_, _, findings := n.judge(t)
	for check, want := range map[string][]string{
		"image-read-only":             {"/usr/bin tmpfs"},
		"no-shadowed-paths":           {"/usr/bin tmpfs"},
		"no-undeclared-writable-exec": {"/usr/bin tmpfs"},
	} {
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == check })
		if diff := cmp.Diff(want, findings[i].Items); diff != "" {
			t.Errorf("%s: items (-want +got):\n%s", check, diff)
		}
	}
}

func TestCheckAtMostOnceIsSaid(t *testing.T) {
	n := cos()
	n.verity.Devices[0].Verity.Args = []string{"check_at_most_once"}
	_, _, findings := n.judge(t)
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == imageVerified.ID })
	if f := findings[i]; f.Verdict != Pass || !strings.Contains(f.Reason, "check_at_most_once") {
		t.Errorf("got %s %q, want a pass that says check_at_most_once", f.Verdict, f.Reason)
	}
}
