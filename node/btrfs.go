package node

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// btrfsDevice names the block device of a btrfs, whose device number in the mount
// table is anonymous and whose source is a name that anybody with the right to
// scan devices can change. statfs(2) of a mount tells the file system's UUID, and
// sysfs its devices. It has none where that cannot be told, or with several.
// Source: the kernel's fs/btrfs/super.c, btrfs_statfs, and fs/btrfs/sysfs.c.
func (t *mountTable) btrfsDevice(h *Host, dev string) Device {
	none := Device{Kind: "none"}
	if t.from != hostMounts { // a path of another namespace leads elsewhere here
		return none
	}
	fsid, subvolume, ok := t.askBtrfs(h, dev)
	if !ok {
		return none
	}
	systems, err := h.ReadDir("sys/fs/btrfs", 1024)
	if err != nil {
		return none
	}
	for _, s := range systems {
		if id, err := btrfsFSID(s.Name, subvolume); err != nil || id != fsid {
			continue
		}
		dir := "sys/fs/btrfs/" + s.Name + "/devices"
		devices, err := h.ReadDir(dir, 1024)
		if err != nil || len(devices) != 1 {
			return none
		}
		return namedDevice(h, dir+"/"+devices[0].Name+"/", devices[0].Name)
	}
	return none
}

// askBtrfs asks the kernel for the identifier of a file system at a mount of it
// that can be seen, and returns the number of the subvolume that is mounted there.
func (t *mountTable) askBtrfs(h *Host, dev string) (fsid string, subvolume uint64, ok bool) {
	for i, m := range t.mounts {
		if m.dev != dev || t.lookup(m.path) != i {
			continue
		}
		for _, o := range m.super {
			v, found := strings.CutPrefix(o, "subvolid=")
			if !found {
				continue
			}
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				return "", 0, false
			}
			s, err := ask[Statfs](h, AskStatfs, cmp.Or(m.path[1:], "."))
			return s.FSID, n, err == nil && s.FSID != ""
		}
	}
	return "", 0, false
}

// btrfsFSID is what btrfs_statfs makes of a UUID and the number of a subvolume.
func btrfsFSID(uuid string, subvolume uint64) (string, error) {
	if !uuidPattern.MatchString(uuid) || len(uuid) != 36 {
		return "", fmt.Errorf("%q is no UUID", uuid)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil {
		return "", err
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	return fmt.Sprintf("%08x%08x", word(0)^word(2)^uint32(subvolume>>32), word(1)^word(3)^uint32(subvolume)), nil
}
