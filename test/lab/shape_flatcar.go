//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// verityUsr has its /usr alone on dm-verity, opened by veritysetup, and a writable
// root, as Flatcar from 3572 to 4593 has it. Its /usr was ext4 until 2023.
var verityUsr = Shape{
	Name:    "verity-usr-initramfs",
	Like:    "Flatcar",
	What:    "/usr an ext4 on dm-verity, opened by veritysetup in the initramfs; / a writable ext4",
	Series:  "6.12",
	Modules: []string{"dm-verity", "overlay"},
	Build:   buildVerityUsr,
	Boot:    bootVerityUsr,
	Up:      upSystemd,
	Profile: "flatcar",
	Level:   3,
}

var flatcarSystem = System{ID: "flatcar", Name: "Flatcar", Version: "1.0.0", More: "ID_LIKE=coreos\nBUILD_ID=1\n"}

func buildVerityUsr(b *Builder, _ map[string]string) (Boot, error) {
	t := b.Tree("root").Base(b, flatcarSystem).Mkdir("oem", "boot", "var/lib", "var/log", "var/tmp", "home/core")
	t.File("oem/oem-release", 0o644, "ID=qemu\n")
	t.File("usr/share/flatcar/release", 0o644, "FLATCAR_RELEASE_VERSION=1.0.0\n")
	t.File("usr/share/flatcar/update.conf", 0o644, "GROUP=stable\n")
	// The image brings the /etc that the overlay shows; ROOT has what was changed.
	t.do(func() error { return run(b.Ctx, "cp", "-a", t.path("etc"), t.path("usr/share/flatcar/etc")) })
	t.do(func() error {
		return first(os.Remove(t.path("usr/share/flatcar/etc/machine-id")), os.RemoveAll(t.path("etc")), t.Mkdir("etc").Err)
	})
	t.File("etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")
	usr := b.Tree("usr")
	usr.Err = first(usr.Err, t.Err)
	usr.do(func() error { return first(os.Remove(usr.Dir), os.Rename(t.path("usr"), usr.Dir), t.Mkdir("usr").Err) })
	image, err := b.Ext4("usr.img", "USR-A", 96, usr, "-b", "4096", "-O", "^has_journal", "-m", "0", "-U", verityUUID)
	if err != nil {
		return Boot{}, err
	}
	v, err := b.Verity(image)
	if err != nil {
		return Boot{}, err
	}
	root, err := b.Ext4("root.img", "ROOT", 64, t)
	// The hash stands last, where the boot loader appends it.
	words := "BOOT_IMAGE=/flatcar/vmlinuz-a mount.usr=/dev/mapper/usr verity.usr=PARTLABEL=USR-A rootflags=rw mount.usrflags=ro root=LABEL=ROOT flatcar.oem.id=qemu lab.hash-offset=%d verity.usrhash=%s"
	return Boot{Disks: []Disk{{"usr", image}, {"root", root}}, Cmdline: fmt.Sprintf(words, v.DataBlocks*4096, v.RootHash)}, err
}

func bootVerityUsr(g *InGuest, at string) error {
	hash, err := kernelWord("verity.usrhash")
	if err != nil {
		return err
	}
	offset, err := kernelWord("lab.hash-offset")
	if err != nil {
		return err
	}
	usr := g.Disk("usr")
	const etc = "/sysroot/usr/share/flatcar/etc"
	return first(
		mount(g.Disk("root"), at, "ext4", unix.MS_NOATIME, ""),
		g.Quiet("veritysetup", "--panic-on-corruption", "--hash-offset="+offset, "open", usr, "usr", usr, hash),
		mount("/dev/mapper/usr", filepath.Join(at, "usr"), "ext4", unix.MS_RDONLY, ""),
		os.Symlink(at, "/sysroot"),
		os.MkdirAll("/sysroot/.etc-work", 0o700),
		mount("overlay", "/sysroot/etc", "overlay", unix.MS_NOATIME, "lowerdir="+etc+",upperdir=/sysroot/etc,workdir=/sysroot/.etc-work,redirect_dir=on,metacopy=off"),
	)
}
