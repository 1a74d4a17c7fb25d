package node

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// short is a mount in few words: path, layer, what it is, and its flags.
func short(m Mount) string {
	s := m.Path
	if m.Layer > 0 {
		s += " layer " + strconv.Itoa(m.Layer)
	}
	if !m.Visible {
		s += " hidden"
	}
	s += " " + m.Type + " on " + m.Device.Kind
	if m.Device.Name != "" {
		s += " " + m.Device.Name
	}
	if m.Root != "/" {
		s += " root " + m.Root
	}
	if m.Anon != "" {
		s += " anon " + m.Anon
	}
	flags := map[bool]string{true: "ro", false: "rw"}
	return s + " " + flags[m.ReadOnly()] + "/" + flags[m.SuperReadOnly()]
}

func TestMounts(t *testing.T) {
	tests := map[string]struct {
		table string
		files map[string]string
		want  []string
	}{
		"a mount that is ro over a file system that is rw, and the reverse": {
			table: "1 0 0:2 / / ro - tmpfs t rw\n2 1 0:3 / /a rw - tmpfs t ro\n",
			want:  []string{"/ tmpfs on none anon / ro/rw", "/a tmpfs on none anon /a ro/ro"},
		},
		"lines in another order": {
			table: "2 1 0:3 / /a rw - tmpfs t ro\n1 0 0:2 / / ro - tmpfs t rw\n",
			want:  []string{"/ tmpfs on none anon / ro/rw", "/a tmpfs on none anon /a ro/ro"},
		},
		"an initramfs below the root": {
			table: "1 1 0:2 / / rw - rootfs none rw\n20 1 253:0 / / ro - squashfs /dev/dm-0 ro\n",
			files: map[string]string{"sys/dev/block/253:0": "-> ../../devices/virtual/block/dm-0", "sys/devices/virtual/block/dm-0/dm/name": "root\n"},
			want:  []string{"/ hidden rootfs on none anon / rw/rw", "/ layer 1 squashfs on dm root ro/ro"},
		},
		"a younger line stands below: it was moved under the older one": {
			table: "30 1 0:9 / / ro - squashfs s ro\n50 60 0:3 / /usr ro - erofs old ro\n60 30 0:4 / /usr rw - tmpfs new rw\n",
			want:  []string{"/ squashfs on none anon / ro/ro", "/usr hidden tmpfs on none anon /usr rw/rw", "/usr layer 1 erofs on none anon /usr layer 1 ro/ro"},
		},
		"a mount that another hides from above": {
			table: "1 0 0:2 / / ro - tmpfs t ro\n2 1 0:3 / /a rw - tmpfs t rw\n3 2 0:4 / /a/b rw - tmpfs t rw\n4 2 0:5 / /a rw - tmpfs t rw\n",
			want: []string{
				"/ tmpfs on none anon / ro/ro", "/a hidden tmpfs on none anon /a rw/rw",
				"/a layer 1 tmpfs on none anon /a layer 1 rw/rw", "/a/b hidden tmpfs on none anon /a/b rw/rw",
			},
		},
		"btrfs subvolumes are one file system": {
			table: "1 0 0:29 /@/.snapshots/12/snapshot / ro - btrfs /dev/sda2 rw,subvolid=267,subvol=/@/.snapshots/12/snapshot\n" +
				"2 1 0:29 /@/var /var rw - btrfs /dev/sda2 rw,subvolid=258,subvol=/@/var\n3 1 0:31 / /mnt rw - btrfs /dev/sdb rw\n",
			want: []string{
				"/ btrfs on none root /@/.snapshots/N/snapshot anon / ro/rw", "/mnt btrfs on none anon /mnt rw/rw", "/var btrfs on none root /@/var anon / rw/rw",
			},
		},
		"an overlay root without upperdir": {
			table: "1 0 0:39 / / ro - overlay composefs ro,lowerdir+=/run/a,datadir+=/sysroot/ostree/repo/objects\n",
			want:  []string{"/ overlay on none anon / ro/ro"},
		},
		"devices by number, whatever the source says": {
			table: "1 0 253:1 / / ro - ext4 /dev/mapper/usr ro\n2 1 7:3 / /a ro - squashfs /dev/sda1 ro\n3 1 8:1 / /b rw - ext4 /dev/dm-0 rw\n4 1 8:2 / /c rw - ext4 x rw\n5 1 8:9 / /d rw - ext4 x rw\n",
			files: map[string]string{
				"sys/dev/block/253:1": "-> ../../devices/virtual/block/dm-1", "sys/devices/virtual/block/dm-1/dm/name": "luks-7f2a1fad-84e8-4c09-8b03-76930cf18c15\n",
				"sys/dev/block/7:3": "-> ../../devices/virtual/block/loop3", "sys/devices/virtual/block/loop3/loop/backing_file": "/opt/x.raw (deleted)\n",
				"sys/dev/block/8:1": "-> ../../devices/pci/block/sda/sda1", "sys/devices/pci/block/sda/sda1/uevent": "MAJOR=8\nPARTN=1\nPARTNAME=STATE\n",
				"sys/dev/block/8:2": "-> ../../devices/pci/block/sda/sda2", "sys/devices/pci/block/sda/sda2/uevent": "MAJOR=8\n",
			},
			want: []string{
				"/ ext4 on dm luks-<uuid> ro/ro", "/a squashfs on loop /opt/x.raw (deleted) ro/ro", "/b ext4 on disk STATE rw/rw",
				"/c ext4 on disk sda2 rw/rw", "/d ext4 on unknown anon /d rw/rw",
			},
		},
		"mounts of pods, and their doubles where /var is a bind": {
			table: "1 0 0:2 / / ro - tmpfs t ro\n2 1 8:1 / /local rw - ext4 x rw\n3 1 8:1 /var /var rw - ext4 x rw\n" +
				"4 3 0:50 / /var/lib/kubelet/pods/p/volumes/v rw - tmpfs t rw\n5 2 0:50 / /local/var/lib/kubelet/pods/p/volumes/v rw - tmpfs t rw\n" +
				"6 1 0:4 net:[1] /run/netns/x rw - nsfs nsfs rw\n7 1 0:51 / /run/user/1000 rw - tmpfs t rw\n" +
				"8 1 0:52 / /run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io/a/rootfs rw - overlay o rw\n",
			want: []string{"/ tmpfs on none anon / ro/ro", "/local ext4 on unknown anon /local rw/rw", "/var ext4 on unknown root /var anon /local rw/rw"},
		},
		"a pod's volume over an image path is no pod's mount": {
			table: "1 0 0:2 / / ro - tmpfs t ro\n4 1 0:50 / /var/lib/kubelet/pods/p/volumes/v rw - tmpfs t rw\n5 1 0:50 / /usr/bin rw - tmpfs t rw\n6 5 0:4 net:[1] /usr/bin/sh rw - nsfs nsfs rw\n",
			want:  []string{"/ tmpfs on none anon / ro/ro", "/usr/bin tmpfs on none anon /usr/bin rw/rw", "/usr/bin/sh nsfs on none root net:[1] anon /usr/bin/sh rw/rw"},
		},
		"a root that is no mount": {
			table: "9 1 0:3 / /a rw - tmpfs t rw\n",
			want:  []string{"/a hidden tmpfs on none anon /a rw/rw"},
		},
		"mounts that are each other's parents": {
			table: "1 2 0:2 / /a rw - tmpfs t rw\n2 1 0:3 / /a rw - tmpfs t rw\n",
			want:  []string{"/a hidden tmpfs on none anon /a rw/rw", "/a layer 1 hidden tmpfs on none anon /a layer 1 rw/rw"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := &memHost{files: map[string]string{"proc/1/mountinfo": tt.table}}
			for k, v := range tt.files {
				m.files[k] = v
			}
			mounts, gaps, err := Mounts.Read(t.Context(), m.host())
			if err != nil || gaps != nil {
				t.Fatalf("got %v, %v", gaps, err)
			}
			var got []string
			for _, m := range mounts {
				got = append(got, short(m))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			passing, _, err := PassingMounts.Read(t.Context(), m.host())
			if want := strings.Count(tt.table, "\n") - len(got); err != nil || passing.Mounts != want {
				t.Errorf("got %d passing mounts, %v, want %d", passing.Mounts, err, want)
			}
		})
	}
}

// Two nodes that are equal but for the order and the numbers of their mounts have
// equal facts.
func TestMountsOfEqualNodes(t *testing.T) {
	one := "1 0 0:29 /@/.snapshots/3/snapshot / ro - btrfs /dev/sda2 rw,subvolid=267,subvol=/@/.snapshots/3/snapshot\n" +
		"2 1 0:30 / /tmp rw - tmpfs tmpfs rw,size=8000k,nr_inodes=5\n3 1 0:31 / /run rw - tmpfs tmpfs rw\n" +
		"4 1 0:40 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw,fd=31,pgrp=1,pipe_ino=2,direct\n" +
		"5 1 0:50 / /etc rw - overlay overlay rw,lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/3/etc,workdir=/sysroot/var/lib/overlay/work-etc\n" +
		"6 1 252:4 /ostree/deploy/fedora-coreos/deploy/9f2c0d1fbd1c51b3e4b0a7c3a9d0d40b3a8a1f1f7f3b7e8cbe2d1ffa5b1f4d3a.0/usr /usr ro - xfs /dev/vda4 rw\n"
	two := "2 9 0:41 / /run rw shared:4 - tmpfs tmpfs rw\n4 9 0:20 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw,fd=29,pgrp=1,pipe_ino=77,direct\n" +
		"6 9 252:4 /ostree/deploy/fedora-coreos/deploy/9f2c0d1fbd1c51b3e4b0a7c3a9d0d40b3a8a1f1f7f3b7e8cbe2d1ffa5b1f4d3a.1/usr /usr ro - xfs /dev/vda4 rw\n" +
		"5 9 0:44 / /etc rw - overlay overlay rw,lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/8/etc,workdir=/sysroot/var/lib/overlay/work-etc\n" +
		"3 9 0:42 / /tmp rw - tmpfs tmpfs rw,size=9000k,nr_inodes=6\n9 0 0:31 /@/.snapshots/8/snapshot / ro - btrfs /dev/sda2 rw,subvolid=301,subvol=/@/.snapshots/8/snapshot\n"
	var got [2][]Mount
	for i, table := range []string{one, two} {
		var err error
		m := &memHost{files: map[string]string{"proc/1/mountinfo": table}}
		if got[i], _, err = Mounts.Read(t.Context(), m.host()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("(-one +two):\n%s", diff)
	}
}

func TestMountOption(t *testing.T) {
	m := Mount{Super: []string{"ro", "lowerdir+=/a", "lowerdir+=/b", "upperdir=", "metacopy"}}
	for key, want := range map[string]string{"lowerdir": "/a:/b true", "upperdir": " true", "metacopy": " true", "workdir": " false", "lower": " false"} {
		v, ok := m.Option(key)
		if got := v + " " + strconv.FormatBool(ok); got != want {
			t.Errorf("Option(%q): got %q, want %q", key, got, want)
		}
	}
}

func TestMountWithoutOptionsIsNotReadOnly(t *testing.T) {
	if m := (Mount{}); m.ReadOnly() || m.SuperReadOnly() {
		t.Error("a mount that says nothing is called read-only")
	}
}

func TestUntouchable(t *testing.T) {
	table := strings.Join([]string{
		"1 0 0:2 / / ro - virtiofs root ro", // a root that is served cannot be avoided
		"2 1 0:3 / /a rw - fuse.sshfs x rw",
		"3 1 0:4 / /b rw - nfs4 x rw",
		"4 1 0:5 / /c rw - autofs x rw",
		"5 1 0:6 / /d rw - newnetfs x rw", // nobody knows it
		"6 1 8:1 / /e rw - ext4 x rw",
		"7 1 8:2 / /f rw - gfs2 x rw", // waits for other nodes
		"8 1 0:7 / /g rw - tmpfs x rw",
		"9 1 0:8 / /h rw - overlay x rw,lowerdir=/e/l:/a/lower,upperdir=/g/u",
		"10 1 0:9 / /i rw - overlay x ro,lowerdir=/e/l:/abc",
		"11 1 0:10 / /proc/fs/nfsd rw - nfsd x rw",
		"12 1 8:3 / /j rw - fuseblk x rw",
		"13 1 0:11 / /k rw - btrfs x rw",
		"14 1 0:12 / /l rw - fusectl x rw",
	}, "\n") + "\n"
	m := &memHost{files: map[string]string{"proc/1/mountinfo": table}}
	if _, _, err := Mounts.Read(t.Context(), m.host()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(m.avoid)
	if diff := cmp.Diff([]string{"/a", "/b", "/c", "/d", "/f", "/h", "/j"}, m.avoid); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without process 1 the program's own table still says what not to touch.
func TestUntouchableWithoutProcess1(t *testing.T) {
	m := &memHost{files: map[string]string{"proc/1/mountinfo": "! denied", "proc/self/mountinfo": "1 0 0:2 / / ro - tmpfs t ro\n2 1 0:3 / /a rw - fuse x rw\n"}}
	_, _, err := Mounts.Read(t.Context(), m.host())
	if want := "reading /proc/1/mountinfo: permission denied"; errorText(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if diff := cmp.Diff([]string{"/a"}, m.avoid); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
