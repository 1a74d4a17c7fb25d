package node

import (
	"testing"
)

// Measured on Linux 6.18: mkfs.btrfs -U, stat -f -c %i.
func TestBtrfsFSID(t *testing.T) {
	const uuid = "6b1e3c54-9a0f-4f27-8d5e-2f1a7c90b3d8"
	for subvolume, want := range map[uint64]string{5: "e640134ee69ffcfa", 256: "e640134ee69ffdff"} {
		if got, err := btrfsFSID(uuid, subvolume); err != nil || got != want {
			t.Errorf("subvolume %d: got %s, %v, want %s", subvolume, got, err, want)
		}
	}
	for _, bad := range []string{"features", "", uuid + "0", "0" + uuid} {
		if got, err := btrfsFSID(bad, 5); err == nil {
			t.Errorf("%q: got %s, want an error", bad, got)
		}
	}
}

func TestBtrfsDevice(t *testing.T) {
	const (
		uuid    = "6b1e3c54-9a0f-4f27-8d5e-2f1a7c90b3d8"
		devices = "sys/fs/btrfs/" + uuid + "/devices/"
		table   = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:39 / /usr ro - btrfs /dev/fake ro,subvolid=5,subvol=/\n"
	)
	usr := Question{AskStatfs, "usr"}
	onDM := map[string]string{
		"sys/fs/btrfs/features/x": "", "sys/fs/btrfs/11111111-9a0f-4f27-8d5e-2f1a7c90b3d8/devices/sda/uevent": "",
		devices + "dm-0": "-> ../../../../devices/virtual/block/dm-0", "sys/devices/virtual/block/dm-0/dm/name": "usr\n",
	}
	for name, tt := range map[string]struct {
		table  string
		files  map[string]string
		kernel map[Question]any
		want   Device
	}{
		"on a device-mapper device, whatever the source says": {table, onDM, map[Question]any{usr: Statfs{FSID: "e640134ee69ffcfa"}}, Device{"dm", "usr"}},
		"another file system":        {table, onDM, map[Question]any{usr: Statfs{FSID: "e640134ee69ffdff"}}, Device{Kind: "none"}},
		"on two devices":             {table, map[string]string{devices + "sda": "", devices + "sdb": ""}, map[Question]any{usr: Statfs{FSID: "e640134ee69ffcfa"}}, Device{Kind: "none"}},
		"a kernel that says nothing": {table, onDM, map[Question]any{}, Device{Kind: "none"}},
		"a file tree":                {table, onDM, nil, Device{Kind: "none"}},
		"an old capture":             {table, onDM, map[Question]any{usr: Statfs{}}, Device{Kind: "none"}},
		"a kernel that shows no subvolid": {
			"1 0 8:1 / / rw - ext4 x rw\n2 1 0:39 / /usr ro - btrfs /dev/fake ro\n", onDM, map[Question]any{usr: Statfs{FSID: "e640134ee69ffcfa"}}, Device{Kind: "none"},
		},
		"hidden by another mount, where a path would lead to that": {
			table + "3 2 0:40 / /usr rw - tmpfs t rw\n", onDM, map[Question]any{usr: Statfs{FSID: "e640134ee69ffcfa"}}, Device{Kind: "none"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memHost{files: map[string]string{"proc/1/mountinfo": tt.table}, kernel: tt.kernel}
			for k, v := range tt.files {
				m.files[k] = v
			}
			mounts, _, err := Mounts.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			if got := mounts[1].Device; mounts[1].Type != "btrfs" || got != tt.want {
				t.Errorf("got %+v of %s, want %+v", got, mounts[1].Type, tt.want)
			}
		})
	}
	// The table of another namespace has paths that lead elsewhere here.
	m, err := parseMountinfo([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	host := (&memHost{files: onDM, kernel: map[Question]any{usr: Statfs{FSID: "e640134ee69ffcfa"}}}).host()
	if got := newMountTable("/proc/7/mountinfo", nil, m).device(host, m[1]); got.Kind != "none" {
		t.Errorf("in another namespace: got %+v", got)
	}
}
