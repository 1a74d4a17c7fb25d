//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ostreeSysroot is what ostree's own program makes of the physical root, with
// sysroot.readonly=true and without composefs.
var ostreeSysroot = Shape{
	Name:   "ostree-sysroot",
	Like:   "Fedora CoreOS before 41, RHCOS before 4.19",
	What:   "an ostree deployment on ext4, set up by ostree-prepare-root and ostree-remount: /usr and /sysroot read-only, / an immutable directory",
	Series: "6.12",
	Build: func(b *Builder, _ map[string]string) (Boot, error) {
		t := b.ostreeTree("40").Program("/usr/bin/ostree", "usr/bin")
		d, err := b.deploy("40", b.bootPrograms(t, "ostree-remount"))
		if err != nil {
			return Boot{}, err
		}
		return d.boot("ostree-prepare-root")
	},
	Boot:    bootOstree,
	Up:      upOstree,
	Profile: "fedora-coreos",
	Level:   1,
}

// The names of a deployment as Fedora CoreOS has them. Debian's ostree-boot is of
// 2022, as was that of Fedora CoreOS 37: it leaves /run/ostree-booted empty and
// asks ostree-remount in the root to make /sysroot read-only.
const (
	stateroot  = "fedora-coreos"
	ostreeRef  = "fedora/x86_64/coreos/stable"
	deployPath = "ostree/deploy/" + stateroot + "/deploy"
)

// deployed is a physical root with one ostree deployment.
type deployed struct {
	b        *Builder
	sysroot  *Tree  // the physical root
	bootPart *Tree  // /boot, a file system of its own
	dir      string // of the deployment, in the sysroot
	target   string // of ostree= on the command line
}

// deploy commits a tree to a new repository and deploys it, with the host's
// ostree.
func (b *Builder) deploy(major string, t *Tree) (*deployed, error) {
	if t.Err != nil {
		return nil, t.Err
	}
	d := &deployed{b: b, sysroot: b.Tree("sysroot"), bootPart: b.Tree("boot")}
	sysroot := d.sysroot.Dir
	repo := "--repo=" + sysroot + "/ostree/repo"
	// A deployment's own directory is immutable, which mkfs does not copy and which
	// would keep it here for ever: the guest sets it.
	ostree := []string{"OSTREE_SYSROOT_DEBUG=mutable-deployments", "ostree"}
	for _, args := range [][]string{
		{"admin", "init-fs", sysroot},
		{"admin", "os-init", "--sysroot=" + sysroot, stateroot},
		{repo, "config", "set", "sysroot.readonly", "true"},
		{repo, "remote", "add", "--no-gpg-verify", "fedora", "https://ostree.invalid"},
		{repo, "commit", "--branch=" + ostreeRef, "--tree=dir=" + t.Dir, "--timestamp=2024-11-09T00:00:00Z", "--add-metadata-string=version=" + major + ".20241109.3.0"},
		{repo, "refs", "--create=fedora:" + ostreeRef, ostreeRef},
		{"admin", "deploy", "--sysroot=" + sysroot, "--os=" + stateroot, "--karg=mitigations=auto,nosmt", "--karg=ignition.platform.id=qemu",
			"--karg=root=LABEL=root", "--karg=rw", "fedora:" + ostreeRef},
	} {
		if err := run(b.Ctx, "env", append(ostree, args...)...); err != nil {
			return nil, err
		}
	}
	dir, err := only(filepath.Join(sysroot, deployPath, "*.0"))
	if err != nil {
		return nil, err
	}
	target, err := only(sysroot + "/ostree/boot.?/" + stateroot + "/*/0")
	if err != nil {
		return nil, err
	}
	d.dir, d.target = strings.TrimPrefix(dir, sysroot+"/"), strings.TrimPrefix(target, sysroot)
	// /boot is a partition of its own, and an empty folder of the physical root.
	if err := first(os.Remove(d.bootPart.Dir), os.Rename(sysroot+"/boot", d.bootPart.Dir), os.Mkdir(sysroot+"/boot", 0o755)); err != nil {
		return nil, err
	}
	return d, nil
}

// only is the one path that matches a pattern.
func only(pattern string) (string, error) {
	paths, err := filepath.Glob(pattern)
	if err == nil && len(paths) != 1 {
		err = fmt.Errorf("%d paths match %s, not one: %q", len(paths), pattern, paths)
	}
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// ostreeTree is the tree that is committed: configuration below /usr/etc, data
// nowhere, and links for all else that is written.
func (b *Builder) ostreeTree(major string) *Tree {
	t := b.Tree("tree").Base(b, System{
		ID: "fedora", Name: "Fedora CoreOS", Version: major,
		More: "VARIANT_ID=coreos\nOSTREE_VERSION='" + major + ".20241109.3.0'\n",
	}, append([]string{"erofs"}, bootModules...)...)
	modules := "usr/lib/modules/" + b.Kernel.Release
	t.Copy(b.Kernel.Image(), modules+"/vmlinuz", 0o644)
	t.File(modules+"/initramfs.img", 0o644, "in place of the initramfs, which the laboratory gives to the machine itself\n")
	t.do(func() error { return os.Rename(t.path("etc"), t.path("usr/etc")) })
	for _, name := range []string{"home", "opt", "srv", "mnt", "root"} {
		t.do(func() error { return os.Remove(t.path(name)) })
	}
	t.Link("var/home", "home").Link("var/opt", "opt").Link("var/srv", "srv").Link("var/mnt", "mnt").Link("var/roothome", "root")
	return t.Link("sysroot/ostree", "ostree").Mkdir("sysroot", "boot")
}

// bootPrograms puts programs of Debian's ostree-boot into a tree.
func (b *Builder) bootPrograms(t *Tree, names ...string) *Tree {
	dir, err := b.Cache.Package(b.Ctx, "ostree-boot")
	t.do(func() error { return err })
	for _, name := range names {
		program := filepath.Join(dir, "usr/lib/ostree", name)
		t.Copy(program, "usr/lib/ostree/"+name, 0o755)
		t.do(func() error { return t.libraries(program, nil) })
	}
	return t
}

// boot makes the disks of a deployment, and an initramfs with these programs of
// ostree's.
func (d *deployed) boot(programs ...string) (Boot, error) {
	b := d.b
	root, err := b.Ext4("root.img", "root", 288, d.sysroot, "-b", "4096", "-O", "verity")
	if err != nil {
		return Boot{}, err
	}
	part, err := b.Ext4("boot.img", "boot", 32, d.bootPart)
	if err != nil {
		return Boot{}, err
	}
	initrd, err := b.Initramfs("initrd.img", func(t *Tree) { b.bootPrograms(t, programs...) }, "erofs", "overlay", "loop")
	return Boot{
		Disks:  []Disk{{"root", root}, {"boot", part}},
		Initrd: initrd,
		Cmdline: "BOOT_IMAGE=(hd0,gpt3)/ostree/vmlinuz-" + b.Kernel.Release + " mitigations=auto,nosmt ignition.platform.id=qemu ostree=" + d.target +
			" root=LABEL=root rw rootflags=prjquota",
	}, err
}

// bootedDeployment resolves ostree= on the command line below a physical root.
func bootedDeployment(sysroot string) (string, error) {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	for _, word := range strings.Fields(string(cmdline)) {
		if target, ok := strings.CutPrefix(word, "ostree="); ok {
			return filepath.EvalSymlinks(sysroot + target)
		}
	}
	return "", fmt.Errorf("no ostree= in %q", cmdline)
}

// bootOstree makes the deployment's directory immutable, as it is on every real
// system, and lets ostree do the rest.
func bootOstree(g *InGuest, at string) error {
	if err := mount(g.Disk("root"), at, "ext4", unix.MS_RELATIME, ""); err != nil {
		return err
	}
	dir, err := bootedDeployment(at)
	if err != nil {
		return err
	}
	return first(setImmutable(dir, true), g.Quiet("/usr/lib/ostree/ostree-prepare-root", at))
}

// immutableFlag is FS_IMMUTABLE_FL of the kernel's include/uapi/linux/fs.h.
const immutableFlag = 0x10

// setImmutable is chattr +i or -i on a folder.
func setImmutable(dir string, on bool) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return fmt.Errorf("reading the attributes of %s: %w", dir, err)
	}
	if flags &^= immutableFlag; on {
		flags |= immutableFlag
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.FS_IOC_SETFLAGS, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("setting the attributes of %s: %w", dir, errno)
	}
	return nil
}

// upOstree does what systemd does in the root: shared mounts, without which "ostree
// admin unlock" would change its own mount namespace only, ostree-remount.service,
// and what is next.
func upOstree(g *InGuest) error {
	return first(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""), g.Quiet("/usr/lib/ostree/ostree-remount"), coreosMounts(g))
}

// coreosMounts are var.mount, as ostree's generator makes it, boot.mount and
// tmp.mount.
func coreosMounts(g *InGuest) error {
	const open = unix.MS_NOSUID | unix.MS_NODEV
	return first(
		unix.Mount("/sysroot/ostree/deploy/"+stateroot+"/var", "/var", "", unix.MS_BIND, ""),
		mount(g.Disk("boot"), "/boot", "ext4", unix.MS_RDONLY|open, ""),
		mount("tmpfs", "/tmp", "tmpfs", open, "mode=1777"),
		sharedMemory(),
		os.MkdirAll("/var/tmp", 0o1777),
		os.MkdirAll("/var/roothome", 0o700),
	)
}
