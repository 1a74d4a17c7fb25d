package node

import "context"

// VerityState is what holds the content of file systems: device-mapper devices,
// composefs, loop devices and btrfs subvolumes.
type VerityState struct {
	// Devices are all device-mapper devices, by name. Source: sysfs, and where
	// the program may, DM_TABLE_STATUS.
	Devices []DMDevice `json:"devices"`
	// NoTables is why the kernel's device-mapper tables could not be read; nil
	// where they were. It is not a gap: only verified reads rest on tables.
	NoTables *Missing `json:"noTables,omitempty"`
	// Booted are the root hashes that the kernel command line asks for, in
	// order. A word on the command line proves nothing about what was set up.
	Booted []BootedHash `json:"booted"`
	// Ostree is what /run/ostree-booted says, nil where there is no such file.
	Ostree *OstreeBooted `json:"ostree,omitempty"`
	// Loops are the loop devices in use, by kernel name.
	Loops []LoopDevice `json:"loops"`
	// Subvolumes are the mounted btrfs subvolumes on image paths with their
	// read-only property. Source: BTRFS_IOC_SUBVOL_GETFLAGS, btrfs-property(8).
	Subvolumes []MountedSubvolume `json:"subvolumes"`
	// ComposefsImage says whether fs-verity is enabled on the composefs image
	// file of the booted deployment: "on", "off", or "absent" where there is none.
	ComposefsImage string `json:"composefsImage"`
}

// DMDevice is one device-mapper device.
type DMDevice struct {
	Name      string     `json:"name"`
	UUID      string     `json:"uuid"`      // with the UUID in it replaced by a placeholder
	ReadOnly  bool       `json:"readOnly"`  // the device refuses writes: /sys/block/dm-N/ro
	Suspended bool       `json:"suspended"` //
	On        []string   `json:"on"`        // devices below it, by name
	Mounted   []string   `json:"mounted"`   // mount points of it, by major:minor
	Targets   []DMTarget `json:"targets"`   // nil where the table could not be read; device numbers replaced by names
	// Verity is the only target where it is a verity target, parsed.
	Verity *VerityTarget `json:"verity,omitempty"`
}

// VerityTarget is a parsed verity table line with its status. Source: the
// kernel's Documentation/admin-guide/device-mapper/verity.rst.
type VerityTarget struct {
	Version       int      `json:"version"`
	Data          string   `json:"data"` // device below, by name
	Hash          string   `json:"hash"`
	DataBlockSize int      `json:"dataBlockSize"` // bytes
	HashBlockSize int      `json:"hashBlockSize"` // bytes
	DataBlocks    int64    `json:"dataBlocks"`
	HashStart     int64    `json:"hashStart"` // in hash blocks
	Algorithm     string   `json:"algorithm"`
	RootHash      string   `json:"rootHash"`
	Salt          string   `json:"salt"` // "-" for none
	Args          []string `json:"args"` // optional arguments: "ignore_corruption", …
	// Status is "V" (no bad block read yet) or "C" (corruption seen).
	Status string `json:"status"`
	// Whole says whether the target covers the whole device from sector 0.
	Whole bool `json:"whole"`
}

// BootedHash is a root hash that the kernel command line asks for.
type BootedHash struct {
	Word string   `json:"word"` // the key it stands in: "verity.usrhash", "roothash", "dm-mod.create", "dm"
	Name string   `json:"name"` // of the device-mapper device that it is meant for: "usr", "root", "vroot"
	Hash string   `json:"hash"` // lower-case hexadecimal
	Args []string `json:"args"` // optional arguments, where the word carries a table
}

// OstreeBooted is the GVariant dictionary in /run/ostree-booted. Source:
// ostree's src/libotcore/otcore.h. A key that is absent is "".
type OstreeBooted struct {
	Keys            []string `json:"keys"`            // all keys that were there, sorted
	Composefs       string   `json:"composefs"`       // "true", "false" or ""
	ComposefsVerity string   `json:"composefsVerity"` // "true", "false" or ""
	ComposefsSigned string   `json:"composefsSigned"` // the key's name or ""
	RootTransient   string   `json:"rootTransient"`   // "true", "false" or ""
	RootTransientRO string   `json:"rootTransientRO"` // "true", "false" or ""
	SysrootRO       string   `json:"sysrootRO"`       // "true", "false" or ""
	TransientEtc    string   `json:"transientEtc"`    // path or ""
}

// LoopDevice is one loop device in use.
type LoopDevice struct {
	Name     string   `json:"name"`     // kernel name: "loop0"
	Backing  string   `json:"backing"`  // backing file; ends in " (deleted)" where it was unlinked
	ReadOnly bool     `json:"readOnly"` // /sys/block/loopN/ro
	Mounted  []string `json:"mounted"`
}

// MountedSubvolume is a btrfs subvolume where it is mounted.
type MountedSubvolume struct {
	Path     string `json:"path"`
	ReadOnly bool   `json:"readOnly"` // the subvolume's own property, not the mount's flag
}

// Verity is what holds the content of the mounted file systems.
var Verity = Source[VerityState]{
	Name:  "verity",
	Doc:   "device-mapper devices, composefs, loop devices and btrfs subvolumes",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v VerityState, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "verity", Unsupported, "not written yet"}
	},
}
