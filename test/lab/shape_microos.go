//go:build linux

package lab

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// btrfsSnapshot boots the default subvolume, a snapshot with the read-only
// property, as MicroOS does. Its /etc is the overlay of transactional-update up to
// 4.x.
var btrfsSnapshot = Shape{
	Name:    "btrfs-snapshot",
	Like:    "openSUSE MicroOS, SUSE Linux Micro",
	What:    "a btrfs snapshot that is mounted read-only and has the read-only property, with writable subvolumes of the same file system",
	Series:  "6.12",
	Slow:    true,
	Modules: []string{"btrfs", "overlay"},
	Build:   buildBtrfsSnapshot,
	Boot:    bootBtrfsSnapshot,
	Up:      upSystemd,
	Profile: "microos",
	Level:   1,
}

// snapshot is where the booted system is in its file system.
const snapshot = "@/.snapshots/1/snapshot"

// microosSubvolumes are the writable ones of the image's fstab.
var microosSubvolumes = []string{"boot/grub2/x86_64-efi", "boot/writable", "home", "opt", "root", "srv", "usr/local", "var", ".snapshots"}

func buildBtrfsSnapshot(b *Builder, _ map[string]string) (Boot, error) {
	s := System{ID: `"opensuse-microos"`, Name: "openSUSE MicroOS", Version: `"20241112"`}
	t := b.Tree("root").Base(b, s, "btrfs").Mkdir(microosSubvolumes...).Mkdir("usr/lib/tukit", "boot/grub2")
	t.Program("/usr/bin/btrfs", "usr/sbin").File("usr/etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\n").Copy(b.Kernel.Image(), "usr/lib/modules/"+b.Kernel.Release+"/vmlinuz", 0o644)
	image, err := b.Btrfs("root.img", 256, t, microosSubvolumes)
	return Boot{
		Disks:   []Disk{{"root", image}},
		Cmdline: "BOOT_IMAGE=/boot/vmlinuz root=UUID=" + btrfsUUID + " rd.timeout=60 rd.retry=30 net.ifnames=0",
	}, err
}

func bootBtrfsSnapshot(g *InGuest, at string) error {
	disk := g.Disk("root")
	if err := mount(disk, at, "btrfs", unix.MS_RDONLY, ""); err != nil { // the default subvolume
		return err
	}
	for _, s := range microosSubvolumes {
		if err := mount(disk, filepath.Join(at, s), "btrfs", 0, "subvol=/@/"+s); err != nil {
			return err
		}
	}
	// The names in the overlay's options are those that its folders have in the
	// initramfs there.
	return first(
		os.Symlink(at, "/sysroot"),
		os.MkdirAll("/sysroot/var/log", 0o755),
		overlay("/sysroot/etc", "/sysroot/etc", "/sysroot/var/lib/overlay/1/etc", "/sysroot/var/lib/overlay/work-etc", 0),
	)
}

// upSystemd mounts what systemd does.
func upSystemd(*InGuest) error {
	return first(
		mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
		mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
	)
}
