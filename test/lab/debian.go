//go:build linux

package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Debian is a small Debian with systemd, for guests whose process 1 is not ours.
type Debian struct {
	Root   string // its tree, without what only its making needs
	Initrd string // an initramfs of systemd's, with dm-verity
}

// debianPackages are what it is made of, beside what they need.
var debianPackages = []string{"systemd", "udev", "dbus", "kmod", "cryptsetup-bin", "dmsetup", "dracut-core"}

// debianLeft is what only making it needed, as patterns.
var debianLeft = []string{
	"boot", "initrd.img", "etc/apt", "etc/cron.*", "usr/lib/modules", "usr/lib/dracut", "usr/lib/apt", "usr/lib/dpkg",
	"usr/lib/x86_64-linux-gnu/perl*", "usr/lib/x86_64-linux-gnu/libperl*", "usr/share/perl*", "usr/bin/perl*",
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/zoneinfo", "usr/share/bash-completion",
	"usr/lib/x86_64-linux-gnu/gconv", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log",
}

// initrdModules are the parts of dracut in the initramfs: systemd alone sets up
// the root, by its own generators.
const initrdModules = "base systemd systemd-initrd systemd-udevd systemd-journald systemd-veritysetup udev-rules dm"

// Debian makes the tree and its initramfs for a kernel, and keeps them by the
// versions of the packages.
func (c *Cache) Debian(ctx context.Context, k Kernel) (Debian, error) {
	name, err := debianName(ctx, k)
	if err != nil {
		return Debian{}, err
	}
	dir, err := c.Make(name, func(path string) error { return buildDebian(ctx, k, path) })
	return Debian{filepath.Join(dir, "root"), filepath.Join(dir, "initrd.img")}, err
}

// debianName is the name in the cache of what buildDebian makes.
func debianName(ctx context.Context, k Kernel) (string, error) {
	from := sha256.New()
	fmt.Fprintln(from, k.Release, debianLeft, initrdModules)
	for _, name := range append([]string{"libc6"}, debianPackages...) {
		version, err := candidate(ctx, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(from, name, version)
	}
	return fmt.Sprintf("systems/debian-%.8x", from.Sum(nil)), nil
}

func buildDebian(ctx context.Context, k Kernel, path string) error {
	root := filepath.Join(path, "root")
	args := []string{"--quiet", "--variant=minbase", "--include=" + strings.Join(debianPackages, ","), "--aptopt=APT::Sandbox::User \"root\""}
	for _, d := range []string{"doc", "man", "info", "locale"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+d+"/*")
	}
	if err := first(installed("mmdebstrap util-linux", "mmdebstrap", "unshare"), os.MkdirAll(path, 0o755)); err != nil {
		return err
	}
	if err := run(ctx, "mmdebstrap", append(args, "bookworm", root)...); err != nil {
		return err
	}
	err := first(
		removeAll(root, []string{"usr/lib/udev/hwdb.*"}), // a third of an initramfs
		os.MkdirAll(filepath.Join(root, "usr/lib/modules"), 0o755),
		run(ctx, "cp", "-a", k.Modules(), filepath.Join(root, "usr/lib/modules/")),
		run(ctx, "cp", filepath.Join(k.Dir, "boot", "config-"+k.Release), filepath.Join(root, "boot/")),
		// dracut runs on the tree's own files, and nothing that it mounts is seen here.
		run(ctx, "unshare", "-m", "--propagation", "private", "sh", "-c", `mount -t proc proc "$1/proc" && shift && exec chroot "$@"`, "sh", root, root,
			"dracut", "--quiet", "--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode", "--no-compress", "--kver", k.Release,
			"-m", initrdModules, "--drivers", "virtio_pci virtio_blk dm-verity squashfs erofs ext4 overlay loop", "/initrd.img"),
		os.Rename(filepath.Join(root, "initrd.img"), filepath.Join(path, "initrd.img")),
	)
	if err != nil {
		return err
	}
	return removeAll(root, debianLeft)
}

// removeAll removes what these patterns name below a folder.
func removeAll(dir string, patterns []string) error {
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := os.RemoveAll(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// debianUnits are units of Debian's that a guest does without, so that it is up
// sooner: what sets a machine up at its first boot, consoles, and timers.
var debianUnits = []string{
	"systemd-hwdb-update.service", "systemd-journal-catalog-update.service", "ldconfig.service", "systemd-update-done.service",
	"systemd-firstboot.service", "systemd-sysusers.service", "systemd-machine-id-commit.service", "systemd-boot-system-token.service",
	"systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-repart.service", "systemd-binfmt.service",
	"proc-sys-fs-binfmt_misc.automount", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service",
	"getty.target", "systemd-tmpfiles-clean.timer", "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
	"systemd-pstore.service", "systemd-logind.service", "systemd-random-seed.service", "e2scrub_reap.service",
}

// guestUnit runs the plan. It is started as systemd starts any service, and ends
// with the machine off.
const guestUnit = `[Unit]
Description=Laboratory
After=multi-user.target

[Service]
ExecStart=` + unitProgram + ` unit
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
`

// Debian fills the tree with a small Debian that follows the plan in a unit.
func (t *Tree) Debian(b *Builder, s System) (initrd string) {
	t.do(func() error {
		d, err := b.Cache.Debian(t.ctx, b.Kernel)
		if err != nil {
			return err
		}
		initrd = d.Initrd
		return first(run(t.ctx, "cp", "-a", d.Root+"/.", t.Dir), os.RemoveAll(t.path("usr/lib/os-release")), os.RemoveAll(t.path("etc/os-release")))
	})
	t.Copy(b.Agent, agentProgram, 0o755).Copy(b.Guest, unitProgram, 0o755)
	// What the initramfs loads has its file in the image, as on a real system.
	t.KernelFiles(b, "virtio_pci", "virtio_blk", "squashfs", "erofs", "autofs4", "efivarfs", "crc32c-intel", "sha256-ssse3").OSRelease(s)
	const units = "usr/lib/systemd/system/"
	t.do(func() error {
		off := []string{"etc/systemd/system/*.wants", units + "default.target", "etc/modules", "etc/modules-load.d/modules.conf", "root/.*rc", "root/.profile"}
		for _, unit := range debianUnits {
			off = append(off, units+"*.wants/"+unit)
		}
		return removeAll(t.Dir, off)
	})
	t.Link("/usr/share/systemd/tmp.mount", units+"tmp.mount").Link("../tmp.mount", units+"local-fs.target.wants/tmp.mount")
	t.File(units+"lab.service", 0o644, guestUnit).Link("../lab.service", units+"multi-user.target.wants/lab.service").Link("multi-user.target", units+"default.target")
	t.File("etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")
	return initrd
}
