package node

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
	// Ostree is what /run/ostree-booted says, nil where there is no such file. It
	// has no keys where the file is empty, as old versions left it, or with a gap
	// where it could not be read.
	Ostree *OstreeBooted `json:"ostree,omitempty"`
	// Loops are the loop devices in use, by backing file. They have no names: which
	// number each has depends on which was made first.
	Loops []LoopDevice `json:"loops"`
	// Subvolumes are the mounted btrfs subvolumes on image paths with their
	// read-only property. Source: BTRFS_IOC_SUBVOL_GETFLAGS, btrfs-property(8).
	Subvolumes []MountedSubvolume `json:"subvolumes"`
	// ComposefsImage says whether fs-verity is enabled on the composefs image
	// file of the booted deployment: "on", "off", "absent" where there is none, or
	// "" where it could not be told.
	ComposefsImage string `json:"composefsImage"`
}

// DMDevice is one device-mapper device.
type DMDevice struct {
	Name      string   `json:"name"`      // with the UUID in it replaced by a placeholder, as in Mount.Device
	UUID      string   `json:"uuid"`      // with the UUID in it replaced by a placeholder
	ReadOnly  bool     `json:"readOnly"`  // the device refuses writes: /sys/block/dm-N/ro
	Suspended bool     `json:"suspended"` //
	On        []string `json:"on"`        // devices below it, by name
	Mounted   []string `json:"mounted"`   // mount points of it, by major:minor
	// Targets are nil where the table could not be read. Device numbers are
	// replaced by names; parameters are left out but for verity, linear and
	// striped, since those of others can be keys, and the status but for verity.
	Targets []DMTarget `json:"targets"`
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

// LoopDevice is one loop device in use.
type LoopDevice struct {
	Backing  string   `json:"backing"`  // backing file; ends in " (deleted)" where it was unlinked
	ReadOnly bool     `json:"readOnly"` // /sys/block/loopN/ro
	Mounted  []string `json:"mounted"`
}

// MountedSubvolume is a btrfs subvolume where it is mounted.
type MountedSubvolume struct {
	Path     string `json:"path"`
	ReadOnly bool   `json:"readOnly"` // the subvolume's own property, not the mount's flag
}

// Verity is what holds the content of the mounted file systems. Device-mapper
// and loop devices that only pods and containers have mounted are left out:
// they come and go.
var Verity = Source[VerityState]{
	Name:  "verity",
	Doc:   "device-mapper devices, composefs, loop devices and btrfs subvolumes",
	Scope: Cohort,
	Every: Scan,
	Read:  readVerity,
}

func readVerity(_ context.Context, h *Host) (VerityState, []Gap, error) {
	v := VerityState{Devices: []DMDevice{}, Booted: []BootedHash{}, Loops: []LoopDevice{}, Subvolumes: []MountedSubvolume{}}
	var gaps []Gap
	gap := func(part, what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err).In(part))
		}
	}
	mounts, err := h.gathering.mounts()
	if err != nil {
		return v, nil, err // devices without what is on them say nothing
	}
	blocks, err := h.ReadDir("sys/block", 1<<16)
	gap("devices", "the block devices", err)

	tables, err := ask[[]DMTable](h, AskDM, "")
	if err != nil {
		v.NoTables = &Missing{codeOf(err), err.Error()}
	}
	names := map[string]string{} // one table can name one device in a thousand lines
	name := func(dev string) string {
		if _, known := names[dev]; !known {
			names[dev] = deviceName(h, dev, "unknown")
		}
		return names[dev]
	}
	for _, b := range blocks {
		switch {
		case strings.HasPrefix(b.Name, "dm-"):
			d, more, err := readDMDevice(h, b.Name, mounts)
			if IsAbsent(err) || err == nil && d == nil {
				continue // it went away meanwhile, or is a pod's
			}
			if err != nil {
				gap("devices", "a device-mapper device", err)
				continue
			}
			gaps = append(gaps, more...)
			if v.NoTables == nil {
				gap("devices", "the device-mapper table of "+d.Name, d.addTable(tables, name))
			}
			v.Devices = append(v.Devices, d.DMDevice)
		case strings.HasPrefix(b.Name, "loop"):
			d, err := readLoopDevice(h, b.Name, mounts)
			gap("loops", "a loop device", err)
			if d != nil {
				v.Loops = append(v.Loops, *d)
			}
		}
	}
	slices.SortFunc(v.Devices, func(a, b DMDevice) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Loops, func(a, b LoopDevice) int {
		return cmp.Or(strings.Compare(a.Backing, b.Backing), slices.Compare(a.Mounted, b.Mounted))
	})

	const hashes = "the root hashes on the kernel command line"
	words, err := readCmdline(h)
	gap("booted", hashes, err)
	var errs []error
	v.Booted, errs = bootedHashes(words)
	for _, err := range errs {
		gap("booted", hashes, err)
	}
	v.Ostree, err = readOstreeBooted(h)
	gap("ostree", "/run/ostree-booted", err)

	for _, p := range subvolumePaths {
		at := mounts.lookup(p)
		if at < 0 || mounts.mounts[at].path != p || mounts.mounts[at].fstype != "btrfs" {
			continue
		}
		s, err := ask[Subvolume](h, AskSubvolume, relative(p))
		if err != nil {
			gap("subvolumes", "the read-only property of the subvolume on "+p, err)
			continue
		}
		v.Subvolumes = append(v.Subvolumes, MountedSubvolume{p, s.ReadOnly})
	}
	v.ComposefsImage, err = readComposefsImage(h, v.Loops)
	gap("composefsImage", "fs-verity of the composefs image", err)
	return v, gaps, nil
}

// subvolumePaths are where subvolumes of an OS image are mounted.
var subvolumePaths = []string{"/", "/boot", "/etc", "/sysroot", "/usr"}

// relative is the name that Host has for an absolute path.
func relative(p string) string {
	if p == "/" {
		return "."
	}
	return p[1:]
}

// mountedOn lists where a device is mounted, and says whether only pods,
// containers and sessions have it. A btrfs has a number of its own in the mount
// table, and is matched by the device that it is on.
func (t *mountTable) mountedOn(h *Host, dev string) (paths []string, passing bool) {
	paths = []string{}
	named := blockDevice(h, dev)
	for _, m := range t.mounts {
		switch {
		case m.dev != dev && (m.fstype != "btrfs" || t.device(h, m) != named):
		case m.passing():
			passing = true
		case !slices.Contains(paths, m.path):
			paths = append(paths, m.path)
		}
	}
	slices.Sort(paths)
	return paths, passing && len(paths) == 0
}

// dmDevice is a device-mapper device with what does not leave this package.
type dmDevice struct {
	DMDevice
	name string // as the kernel has it: Name may hold a placeholder
	dev  string // major:minor
	size uint64 // in sectors of 512 bytes
}

// readDMDevice reads what sysfs says of a device-mapper device; nil for one that
// belongs to pods. Source: the kernel's Documentation/ABI/testing/sysfs-block-dm
// and Documentation/ABI/stable/sysfs-block.
func readDMDevice(h *Host, kernelName string, mounts *mountTable) (*dmDevice, []Gap, error) {
	dir := "sys/block/" + kernelName + "/"
	var d dmDevice
	var size string
	for _, f := range []struct {
		name string
		into *string
	}{{"dm/name", &d.name}, {"dm/uuid", &d.UUID}, {"dev", &d.dev}, {"size", &size}} {
		var err error
		if *f.into, err = readLine(h, dir+f.name); err != nil {
			return nil, nil, err
		}
	}
	var passing bool
	if d.Mounted, passing = mounts.mountedOn(h, d.dev); passing {
		return nil, nil, nil
	}
	d.Name, d.UUID = withoutUUID(d.name), stableDMUUID(d.UUID)
	var err error
	if d.size, err = strconv.ParseUint(size, 10, 64); err != nil {
		return nil, nil, fmt.Errorf("reading /%ssize: %.100q is no number", dir, size)
	}
	if d.ReadOnly, err = readBit(h, dir+"ro"); err != nil {
		return nil, nil, err
	}
	if d.Suspended, err = readBit(h, dir+"dm/suspended"); err != nil {
		return nil, nil, err
	}
	d.On = []string{}
	below, err := h.ReadDir(dir+"slaves", 4096)
	if err != nil {
		return &d, []Gap{GapOf("the devices below "+d.Name, err).In("devices")}, nil
	}
	for _, s := range below {
		name := s.Name
		if dev, err := readLine(h, dir+"slaves/"+s.Name+"/dev"); err == nil {
			name = deviceName(h, dev, name)
		}
		d.On = append(d.On, name)
	}
	slices.Sort(d.On)
	return &d, nil, nil
}

// readBit reads a file of sysfs that holds 0 or 1.
func readBit(h *Host, name string) (bool, error) {
	line, err := readLine(h, name)
	if err == nil && line != "0" && line != "1" {
		err = fmt.Errorf("reading /%s: %.100q is neither 0 nor 1", name, line)
	}
	return line == "1", err
}

// deviceName is the name of a block device, or other where sysfs does not tell.
func deviceName(h *Host, dev, other string) string {
	if d := blockDevice(h, dev); d.Name != "" {
		return d.Name
	}
	return other
}

var (
	bareUUID = regexp.MustCompile(`[0-9a-f]{32}`)
	lvmUUID  = regexp.MustCompile(`LVM-[0-9A-Za-z]{64}`)
)

// stableDMUUID replaces what differs between equal nodes in the UUID of a
// device-mapper device: "CRYPT-VERITY-<uuid>-usr".
func stableDMUUID(s string) string {
	s = withoutUUID(s)
	s = bareUUID.ReplaceAllString(s, "<uuid>")
	s = lvmUUID.ReplaceAllString(s, "LVM-<uuid>")
	if head, _, ok := strings.Cut(s, "mpath-"); ok {
		s = head + "mpath-<wwid>"
	}
	return s
}

// addTable adds the kernel's table and status of the device. Parameters are
// kept for the targets that are known to hold no key, the status for verity
// alone: that of others counts. Name is the name of a block device by its number.
func (d *dmDevice) addTable(tables []DMTable, name func(dev string) string) error {
	at := slices.IndexFunc(tables, func(t DMTable) bool { return t.Dev == d.dev })
	if at < 0 {
		return &Error{"asking the kernel for", AskDM, Absent, "no table of this device"}
	}
	if tables[at].Name != d.name {
		return &Error{"asking the kernel for", AskDM, Malformed, fmt.Sprintf("the table of %q has the device's number", tables[at].Name)}
	}
	d.Targets = slices.Clone(tables[at].Targets)
	for i := range d.Targets {
		t := &d.Targets[i]
		switch t.Type {
		case "verity", "linear", "striped":
			t.Params = withDeviceNames(t.Params, name)
		default:
			t.Params = ""
		}
		if t.Type != "verity" {
			t.Status = ""
		}
	}
	if len(d.Targets) != 1 || d.Targets[0].Type != "verity" {
		return nil
	}
	t := &d.Targets[0]
	v, err := ParseVerity(tables[at].Targets[0].Params)
	if err != nil {
		return err
	}
	if v.Status, err = parseVerityStatus(t.Status); err != nil {
		return err
	}
	t.Status = v.Status // without the count of corrected blocks
	v.Data, v.Hash = withDeviceNames(v.Data, name), withDeviceNames(v.Hash, name)
	for i, arg := range v.Args {
		v.Args[i] = withDeviceNames(arg, name)
	}
	v.Whole = t.Start == 0 && t.Length == d.size
	d.Verity = v
	return nil
}

// readLoopDevice reads a loop device; nil for one that is not in use or belongs
// to pods. Source: the kernel's drivers/block/loop.c, loop/backing_file.
func readLoopDevice(h *Host, kernelName string, mounts *mountTable) (*LoopDevice, error) {
	dir := "sys/block/" + kernelName + "/"
	var d LoopDevice
	var err error
	if d.Backing, err = readLine(h, dir+"loop/backing_file"); IsAbsent(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	dev, err := readLine(h, dir+"dev")
	if IsAbsent(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var passing bool
	if d.Mounted, passing = mounts.mountedOn(h, dev); passing || (mount{path: d.Backing}).passing() {
		return nil, nil
	}
	d.Backing = withoutUUID(stableRoot(d.Backing))
	if d.ReadOnly, err = readBit(h, dir+"ro"); err != nil {
		return nil, err
	}
	return &d, nil
}

// composefsName is the composefs image in a deployment: OSTREE_COMPOSEFS_NAME in
// ostree's src/libotcore/otcore.h.
const composefsName = ".ostree.cfs"

// readComposefsImage says whether fs-verity is on for the composefs image of
// the booted deployment, by the deployment or by the loop device on it.
func readComposefsImage(h *Host, loops []LoopDevice) (string, error) {
	d, err := findDeployment(h)
	if err != nil {
		return "", err
	}
	if d == nil {
		return "absent", nil
	}
	name := d.dir() + "/" + composefsName
	if _, err := h.Lstat(name); IsAbsent(err) {
		for _, l := range loops {
			if strings.Contains(l.Backing, "/"+composefsName) {
				return "", &Error{"looking at", "/" + name, Unsupported, "a loop device is on an image that is not there"}
			}
		}
		return "absent", nil
	} else if err != nil {
		return "", err
	}
	v, err := ask[FileVerity](h, AskVerity, name)
	switch {
	case err != nil:
		return "", err
	case v.Enabled:
		return "on", nil
	}
	return "off", nil
}
