//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// verityInitramfs has its hash tree on a disk of its own, Bottlerocket's command
// line and mounts, and a verity device that veritysetup opened in the initramfs,
// as most systems without CONFIG_DM_INIT do it. Partitions that are xfs there are
// ext4 here, and Debian's kernel has no SELinux policy.
var verityInitramfs = Shape{
	Name:    "verity-initramfs",
	Like:    "Bottlerocket",
	What:    "squashfs on dm-verity with the hash tree on another disk, opened by veritysetup in the initramfs with restart_on_corruption",
	Series:  "6.12",
	Slow:    true,
	Modules: []string{"dm-verity", "squashfs", "overlay", "loop"},
	Build:   buildVerityInitramfs,
	Boot:    bootVerityInitramfs,
	Up:      upBottlerocket,
	Profile: "bottlerocket",
	Level:   3,
}

// sysroot is where Bottlerocket keeps its programs; /usr leads there.
const sysroot = "x86_64-bottlerocket-linux-gnu/sys-root/usr"

func buildVerityInitramfs(b *Builder, _ map[string]string) (Boot, error) {
	s := System{ID: "bottlerocket", Name: "Bottlerocket", Version: "1.0.0", More: "VARIANT_ID=metal-k8s-1.33\nBUILD_ID=00000001\nVENDOR_NAME=Laboratory\n"}
	t := b.Tree("root").Base(b, s).Mkdir("local", ".bottlerocket", "usr/libexec/cni", "usr/share/licenses", "usr/share/bottlerocket")
	t.File("usr/share/bottlerocket/application-inventory.json", 0o644, `{"Content":[]}`+"\n")
	t.File("etc/passwd", 0o644, "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
	licenses := b.path("licenses.squashfs")
	t.do(func() error {
		_, err := b.Squashfs("licenses.squashfs", b.Tree("licenses").File("lab", 0o644, "none\n"))
		return err
	})
	t.Copy(licenses, "usr/share/bottlerocket/licenses.squashfs", 0o644)
	// /etc is made anew in memory at each boot.
	t.do(func() error { return run(b.Ctx, "cp", "-a", t.path("etc"), t.path("usr/share/factory")) })
	t.do(func() error { return first(os.RemoveAll(t.path("etc")), t.Mkdir("etc", filepath.Dir(sysroot)).Err) })
	t.do(func() error { return os.Rename(t.path("usr"), t.path(sysroot)) }).Link(sysroot, "usr")
	image, err := b.Squashfs("root.img", t)
	if err != nil {
		return Boot{}, err
	}
	tree := b.path("hash.img")
	v, err := b.VerityApart(image, tree)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("data.img", "BOTTLEROCKET-DATA", 64, b.Tree("local").Mkdir("var/lib", "var/log", "opt/cni", "mnt"))
	if err != nil {
		return Boot{}, err
	}
	private, err := b.Ext4("private.img", "BOTTLEROCKET-PRIVATE", 16, nil)
	words := `BOOT_IMAGE=(hd0,gpt3)/vmlinuz root=/dev/dm-0 rootwait ro raid=noautodetect random.trust_cpu=on selinux=1 enforcing=1 "dm-mod.create=root,,,ro,%s" -- systemd.log_target=journal-or-kmsg systemd.log_color=0 systemd.show_status=true`
	table := v.TableApart("/dev/vda", "/dev/vdb", "restart_on_corruption", "ignore_zero_blocks")
	return Boot{Disks: []Disk{{"root", image}, {"hash", tree}, {"data", data}, {"private", private}}, Cmdline: fmt.Sprintf(words, table)}, err
}

// The words of dm-mod.create= for a verity device: the two devices and the hash.
var verityWords = regexp.MustCompile(`verity 1 (\S+) (\S+) 4096 4096 \d+ 1 sha256 (\S+)`)

func bootVerityInitramfs(g *InGuest, at string) error {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	words := verityWords.FindStringSubmatch(string(cmdline))
	if words == nil {
		return fmt.Errorf("no verity device in %q", cmdline)
	}
	return first(
		g.Quiet("veritysetup", "--restart-on-corruption", "--ignore-zero-blocks", "open", words[1], "root", words[2], words[3]),
		mount("/dev/mapper/root", at, "squashfs", unix.MS_RDONLY, ""),
	)
}

// upBottlerocket mounts what the units of its release package do.
func upBottlerocket(g *InGuest) error {
	const (
		data   = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME
		closed = data | unix.MS_NOEXEC
	)
	err := first(
		remountBind("/run", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC),
		mount("tmpfs", "/etc", "tmpfs", 0, "mode=755"),
		g.Quiet("cp", "-a", "/usr/share/factory/.", "/etc/"),
		mount("tmpfs", "/etc/cni", "tmpfs", closed, "mode=755"),
		mount("tmpfs", "/etc/containerd", "tmpfs", closed, "mode=750"),
		mount("tmpfs", "/etc/host-containers", "tmpfs", closed, "mode=750"),
		mount("tmpfs", "/etc/kubernetes/pki/private", "tmpfs", closed, "mode=700"),
		mount("tmpfs", "/tmp", "tmpfs", closed, "mode=1777"),
		sharedMemory(),
		mount(g.Disk("private"), "/.bottlerocket", "ext4", data, ""),
		mount(g.Disk("data"), "/local", "ext4", data, ""),
	)
	for _, d := range []string{"/var", "/opt", "/mnt"} {
		err = first(err, unix.Mount("/local"+d, d, "", unix.MS_BIND|unix.MS_REC, ""), unix.Mount("/srv", "/local"+d, "", unix.MS_BIND, ""))
	}
	const modules = "/var/lib/kernel-modules/.overlay/"
	if g.Plan.Options["lockdown"] != "none" { // settings.kernel.lockdown
		err = first(err, os.WriteFile("/sys/kernel/security/lockdown", []byte("integrity"), 0o644))
	}
	return first(err,
		startedBySystemd(),
		overlay("/opt/cni", "/usr/libexec/cni", "/var/lib/cni-plugins/.overlay/upper", "/var/lib/cni-plugins/.overlay/work", data),
		overlay("/usr/lib/modules", "/usr/lib/modules", modules+"upper", modules+"work", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC),
		g.Quiet("losetup", "-r", "/dev/loop0", "/usr/share/bottlerocket/licenses.squashfs"),
		mount("/dev/loop0", "/usr/share/licenses", "squashfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
	)
}
