//go:build linux

package lab

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// verityLockdown is what Bottlerocket looks like: its programs are below its
// target triple, its configuration is in memory, and a service of its locks the
// kernel down once it is up.
var verityLockdown = Shape{
	Name:    "verity-lockdown",
	Like:    "Bottlerocket",
	What:    "erofs on dm-verity, set up from dm-mod.create= on the kernel command line, in a kernel that user space locks down",
	Series:  "6.12",
	Modules: []string{"dm-verity", "erofs", "overlay"},
	Build:   buildVerityLockdown,
	Boot:    bootVerityCreate,
	Up:      upVerityLockdown,
	Profile: "bottlerocket",
	Level:   3,
}

// sysRoot is where Bottlerocket has its programs.
const sysRoot = "x86_64-bottlerocket-linux-gnu/sys-root"

func buildVerityLockdown(b *Builder, _ map[string]string) (Boot, error) {
	t := b.Tree("root").Base(b, System{ID: "bottlerocket", Name: "Bottlerocket", Version: "1.53.0", More: "VARIANT_ID=aws-k8s-1.33\nBUILD_ID=00000000\n"})
	t.File("etc/passwd", 0o644, "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n") // there is no shell to log in with
	t.Mkdir(sysRoot, "local", "usr/libexec/cni/bin", "usr/share/factory")
	t.do(func() error {
		return first(
			os.Rename(t.path("etc"), t.path("usr/share/factory/etc")),
			os.Rename(t.path("usr"), t.path(sysRoot+"/usr")),
		)
	})
	t.Mkdir("etc").Link(sysRoot+"/usr", "usr")
	image, err := b.Erofs("root.img", t)
	if err != nil {
		return Boot{}, err
	}
	v, err := b.Verity(image)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("data.img", "BOTTLEROCKET-DATA", 64, b.Tree("data").Mkdir("var/lib", "var/log", "opt/cni", "mnt"))
	if err != nil {
		return Boot{}, err
	}
	return Boot{
		Disks: []Disk{{"root", image}, {"data", data}},
		Cmdline: fmt.Sprintf("root=/dev/dm-0 rootwait ro raid=noautodetect random.trust_cpu=on selinux=1 enforcing=1 \"dm-mod.create=root,,,ro,%s\"",
			v.Table("/dev/vda", "restart_on_corruption", "ignore_zero_blocks")),
	}, nil
}

// upVerityLockdown mounts what Bottlerocket has on its DATA partition and in
// memory. The option "lockdown" is its settings.kernel.lockdown.
func upVerityLockdown(g *InGuest) error {
	const noSetuid, closed = unix.MS_NOSUID | unix.MS_NODEV, unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := first(
		remount("/run", closed),
		mount("tmpfs", "/tmp", "tmpfs", closed, "mode=1777"),
		mount("tmpfs", "/etc", "tmpfs", noSetuid|unix.MS_NOEXEC, "mode=755"),
		g.Quiet("cp", "-a", "/usr/share/factory/etc/.", "/etc"),
		mount(g.Disk("data"), "/local", "ext4", noSetuid|unix.MS_NOATIME, ""),
	); err != nil {
		return err
	}
	for _, d := range []string{"/var", "/opt", "/mnt"} {
		if err := first(
			unix.Mount("/local"+d, d, "", unix.MS_BIND, ""),
			unix.Mount("/srv", "/local"+d, "", unix.MS_BIND, ""), // nobody is to come that way
		); err != nil {
			return fmt.Errorf("binding %s: %w", d, err)
		}
	}
	if err := first(
		dataOverlay("/usr/libexec/cni", "/opt/cni", "/var/lib/cni-plugins", noSetuid|unix.MS_NOATIME),
		dataOverlay("/"+sysRoot+"/usr/lib/modules", "/"+sysRoot+"/usr/lib/modules", "/var/lib/kernel-modules", closed),
		sharedMemory(),
		startedBySystemd(),
	); err != nil {
		return err
	}
	if g.Plan.Options["lockdown"] == "none" {
		return nil
	}
	return os.WriteFile("/sys/kernel/security/lockdown", []byte("integrity"), 0)
}

// dataOverlay lays a writable overlay of a folder with its upper layer in state.
func dataOverlay(lower, at, state string, flags uintptr) error {
	state += "/.overlay"
	if err := first(os.MkdirAll(state+"/upper", 0o755), os.MkdirAll(state+"/work", 0o700)); err != nil {
		return err
	}
	return mount("overlay", at, "overlay", flags, "lowerdir="+lower+",upperdir="+state+"/upper,workdir="+state+"/work")
}
