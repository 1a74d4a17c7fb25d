//go:build linux

package lab

import (
	"fmt"
	"os"
	"strings"
)

// verityUsrhash has systemd in the initramfs and in the root. systemd sets up the
// verity device of /usr from usrhash= as Flatcar's own generator does from
// verity.usrhash=; a command line that has both would name two root hashes.
var verityUsrhash = Shape{
	Name:    "verity-usrhash",
	Like:    "Flatcar",
	What:    "squashfs on dm-verity as /usr, set up by systemd from usrhash=, on a writable ext4",
	Series:  "6.12",
	Slow:    true,
	Build:   buildVerityUsrhash,
	Profile: "flatcar",
	Level:   3,
}

// flatcarSysctls is what flatcar/baselayout sets in lib/sysctl.d/60-baselayout.conf.
const flatcarSysctls = "net.ipv4.ip_forward=1\nnet.ipv4.conf.default.rp_filter=0\nnet.ipv4.conf.all.rp_filter=0\nkernel.kptr_restrict=1\nfs.protected_regular=0\nfs.protected_fifos=0\n"

// flatcarEtc mounts the overlay of /etc in the initramfs with the options of
// Flatcar's bootengine (dracut/99setup-root/initrd-setup-root); its layers keep
// the names that they have there.
const flatcarEtc = `[Unit]
DefaultDependencies=no
RequiresMountsFor=/sysroot /sysroot/usr
Before=initrd-fs.target

[Mount]
What=overlay
Where=/sysroot/etc
Type=overlay
Options=noatime,lowerdir=/sysroot/usr/share/flatcar/etc,upperdir=/sysroot/etc,workdir=/sysroot/.etc-work,redirect_dir=on,metacopy=off
`

func buildVerityUsrhash(b *Builder, _ map[string]string) (Boot, error) {
	t := b.Tree("root")
	initrd := t.Debian(b, flatcarSystem)
	t.File("usr/lib/sysctl.d/60-baselayout.conf", 0o644, flatcarSysctls)
	t.File("usr/share/flatcar/release", 0o644, "FLATCAR_RELEASE_VERSION=1\nFLATCAR_RELEASE_BOARD=amd64-usr\n")
	t.Marked()
	// The image's /etc is the lower layer of an overlay whose upper is the root's.
	usr, root := b.Tree("usr"), b.Tree("rootfs").Mkdir("etc", ".etc-work", "usr")
	root.Mkdir("proc", "sys", "dev", "run", "tmp", "var/log/journal", "oem")
	t.do(func() error {
		return first(os.Rename(t.path("etc"), t.path("usr/share/flatcar/etc")), os.Remove(usr.Dir), os.Rename(t.path("usr"), usr.Dir))
	})
	root.do(func() error { return run(b.Ctx, "sh", "-c", `cp -a "$1/." "$2"`, "sh", t.Dir, root.Dir) })
	root.File("etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")
	if t.Err != nil {
		return Boot{}, t.Err
	}
	image, err := b.Squashfs("usr.img", usr)
	if err != nil {
		return Boot{}, err
	}
	hashes := b.path("hash.img")
	v, err := b.VerityApart(image, hashes)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("root.img", "ROOT", 128, root)
	if err != nil {
		return Boot{}, err
	}
	units := b.Tree("units").File("usr/lib/systemd/system/sysroot-etc.mount", 0o644, flatcarEtc)
	units.Link("../sysroot-etc.mount", "usr/lib/systemd/system/initrd-fs.target.requires/sysroot-etc.mount")
	if initrd, err = b.Appended("initrd.img", initrd, units); err != nil {
		return Boot{}, err
	}
	return Boot{
		Initrd: initrd,
		Disks:  []Disk{{"usr", image}, {"usrhash", hashes}, {"root", data}},
		Cmdline: strings.Join([]string{
			"BOOT_IMAGE=/flatcar/vmlinuz-a mount.usr=/dev/mapper/usr mount.usrfstype=squashfs mount.usrflags=ro rootflags=rw root=LABEL=ROOT",
			"flatcar.oem.id=qemu", systemdQuiet, "systemd.verity_usr_options=panic-on-corruption", v.systemdWords("usr"),
		}, " "),
	}, nil
}

// systemdQuiet leaves out what only costs time in a guest.
const systemdQuiet = "systemd.gpt_auto=0 fsck.mode=skip systemd.show_status=0"

// systemdWords are the words of the kernel command line from which systemd sets
// up the verity device of "usr" or "root", on the disk of that name and the one
// with its hashes: systemd 252 has no word for where they begin on the same disk.
// The root hash comes last, as Flatcar's GRUB puts it.
func (v Verity) systemdWords(device string) string {
	return fmt.Sprintf("systemd.verity_%[1]s_data=/dev/disk/by-id/virtio-%[1]s systemd.verity_%[1]s_hash=/dev/disk/by-id/virtio-%[1]shash %[1]shash=%[2]s",
		device, v.RootHash)
}

// verityRoothash is a system of systemd's own design, as image builders make it.
// None of the systems that Seaworthy knows is built so.
var verityRoothash = Shape{
	Name:    "verity-roothash",
	Like:    "an image of systemd's own design",
	What:    "erofs on dm-verity as the root, set up by systemd from roothash=, with /var on ext4",
	Series:  "6.12",
	Slow:    true,
	Build:   buildVerityRoothash,
	Profile: "generic",
	Level:   3,
}

func buildVerityRoothash(b *Builder, _ map[string]string) (Boot, error) {
	t := b.Tree("root")
	initrd := t.Debian(b, System{ID: "lab", Name: "an image of systemd's own design", Version: "1"})
	t.File("usr/lib/sysctl.d/50-lab.conf", 0o644, strictSysctls)
	t.File("etc/fstab", 0o644, "/dev/disk/by-label/VAR /var ext4 rw,nosuid,nodev,noexec 0 0\n").Marked()
	image, err := b.Erofs("root.img", t)
	if err != nil {
		return Boot{}, err
	}
	hashes := b.path("hash.img")
	v, err := b.VerityApart(image, hashes)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("var.img", "VAR", 64, b.Tree("var").Mkdir("lib", "log/journal", "tmp"))
	if err != nil {
		return Boot{}, err
	}
	return Boot{
		Initrd:  initrd,
		Disks:   []Disk{{"root", image}, {"roothash", hashes}, {"var", data}},
		Cmdline: "root=/dev/mapper/root rootfstype=erofs ro module.sig_enforce=1 " + systemdQuiet + " " + v.systemdWords("root"),
	}, nil
}
