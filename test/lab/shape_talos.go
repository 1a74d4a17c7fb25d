//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var squashfsLoopModules = []string{"squashfs", "overlay", "loop"}

// squashfsLoop has its image in the initramfs, as Talos does up to 1.13 without
// Secure Boot. Partitions that are xfs there are ext4 here.
var squashfsLoop = Shape{
	Name:    "squashfs-loop",
	Like:    "Talos",
	What:    "squashfs from the initramfs on a read-only loop device, its file deleted",
	Series:  "6.12",
	Slow:    true,
	Modules: squashfsLoopModules,
	Build:   func(b *Builder, _ map[string]string) (Boot, error) { return buildTalos(b, nil) },
	Boot:    bootSquashfsLoop,
	Up:      upTalos,
	Profile: "talos",
	Level:   2,
}

// squashfsLoopExtensions is a Talos that the Image Factory built with an extension.
var squashfsLoopExtensions = Shape{
	Name:    "squashfs-loop-extensions",
	Like:    "Talos with system extensions",
	What:    "an overlay without an upper directory over two squashfs from the initramfs, the layers unmounted",
	Series:  "6.12",
	Modules: squashfsLoopModules,
	Build: func(b *Builder, _ map[string]string) (Boot, error) {
		return buildTalos(b, b.Tree("extension").File("usr/local/share/lab/release", 0o644, "1\n"))
	},
	Boot:    bootSquashfsLoopExtensions,
	Up:      upTalos,
	Profile: "talos",
	Level:   2,
}

var talosSystem = System{ID: "talos", Name: "Talos Linux", Version: "v0.0.0"}

// talosWords are the default arguments of Talos 1.13 (pkg/machinery/kernel and
// pkg/kernel/kspp).
const talosWords = "talos.platform=metal init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never"

// talosSysctls are those of pkg/kernel/kspp in Talos 1.12 and later.
var talosSysctls = []string{
	"dev.tty.ldisc_autoload=0", "dev.tty.legacy_tiocsti=0", "fs.protected_symlinks=1", "fs.protected_hardlinks=1", "fs.protected_fifos=2",
	"fs.protected_regular=2", "fs.suid_dumpable=0", "kernel.kptr_restrict=2", "kernel.dmesg_restrict=1", "kernel.perf_event_paranoid=3",
	"kernel.randomize_va_space=2", "kernel.yama.ptrace_scope=2", "user.max_user_namespaces=0", "kernel.unprivileged_bpf_disabled=1",
	"net.core.bpf_jit_harden=2", "vm.unprivileged_userfaultfd=0",
}

// The overlays of Talos 1.13 on the ephemeral disk (internal/pkg/mount/v3).
var talosOverlays = []string{"/etc/cni", "/etc/kubernetes", "/usr/libexec/kubernetes", "/opt"}

// talosFiles are files of /etc that machined writes and binds over the image's.
var talosFiles = map[string]string{
	"hosts": "127.0.0.1 localhost\n", "resolv.conf": "nameserver 10.0.2.3\n", "hostname": "guest\n", "machine-id": "0123456789abcdef0123456789abcdef\n",
}

// talosExtensions is the list of an image with one extension
// (pkg/machinery/extensions).
const talosExtensions = `layers:
    - image: 000.lab.sqsh
      metadata:
        name: lab
        version: v1.0.0
        author: laboratory
        description: an extension of a laboratory guest
        compatibility:
            talos:
                version: '>= v0.0.0'
`

func buildTalos(b *Builder, extension *Tree) (Boot, error) {
	t := b.Tree("root").Base(b, talosSystem)
	t.Mkdir("system/state", "etc/cni/net.d", "etc/kubernetes/manifests", "usr/libexec/kubernetes", "usr/local", "opt/containerd")
	t.File("etc/passwd", 0o644, "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
	t.File("usr/lib/sysctl.d/50-lab.conf", 0o644, strings.Join(talosSysctls, "\n")+"\n")
	t.File("etc/extensions.yaml", 0o644, "") // empty in every image of Talos
	for name := range talosFiles {
		t.File("etc/"+name, 0o644, "")
	}
	root, err := b.Squashfs("rootfs.sqsh", t)
	if err != nil {
		return Boot{}, err
	}
	var layer string
	if extension != nil {
		if layer, err = b.Squashfs("000.lab.sqsh", extension); err != nil {
			return Boot{}, err
		}
	}
	initrd, err := b.Initramfs("initrd.img", func(t *Tree) {
		t.Copy(root, "rootfs.sqsh", 0o644)
		if layer != "" {
			t.Copy(layer, "000.lab.sqsh", 0o644).File("extensions.yaml", 0o644, talosExtensions)
		}
	}, squashfsLoopModules...)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("data.img", "EPHEMERAL", 64, nil)
	if err != nil {
		return Boot{}, err
	}
	state, err := b.Ext4("state.img", "STATE", 16, nil)
	return Boot{Initrd: initrd, Disks: []Disk{{"data", data}, {"state", state}}, Cmdline: talosWords}, err
}

func bootSquashfsLoop(g *InGuest, at string) error {
	return loopImage(g, "/dev/loop0", "/rootfs.sqsh", at)
}

// loopImage mounts a squashfs of the initramfs and deletes its file, as
// switch_root does there.
func loopImage(g *InGuest, device, file, at string) error {
	return first(
		g.Quiet("losetup", "-r", device, file),
		mount(device, at, "squashfs", unix.MS_RDONLY, ""),
		os.Remove(file),
	)
}

func bootSquashfsLoopExtensions(g *InGuest, at string) error {
	return first(
		loopImage(g, "/dev/loop0", "/rootfs.sqsh", "/layers/root"),
		loopImage(g, "/dev/loop1", "/000.lab.sqsh", "/layers/layer1"),
		mount("overlay", at, "overlay", unix.MS_RDONLY, "lowerdir=/layers/layer1:/layers/root"),
		unix.Unmount("/layers/layer1", 0),
		unix.Unmount("/layers/root", 0),
		bindReadOnly("/extensions.yaml", at+"/etc/extensions.yaml"),
	)
}

// bindReadOnly binds a file or a folder over another, read-only.
func bindReadOnly(from, to string) error {
	return first(
		unix.Mount(from, to, "", unix.MS_BIND, ""),
		unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""),
	)
}

// upTalos mounts what machined does, up to 1.13.
func upTalos(g *InGuest) error {
	err := first(
		unix.Mount("", "/run", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NOEXEC, ""),
		mount("tmpfs", "/system", "tmpfs", 0, "mode=755"),
		mount(g.Disk("state"), "/system/state", "ext4", 0, ""),
		os.Chmod("/system/state", 0o700),
		mount(g.Disk("data"), "/var", "ext4", 0, ""),
		mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=64m,mode=1777"),
		sharedMemory(),
	)
	for name, content := range talosFiles {
		file := filepath.Join("/system/etc", name)
		err = first(err, os.MkdirAll("/system/etc", 0o755), os.WriteFile(file, []byte(content), 0o644), bindReadOnly(file, "/etc/"+name))
	}
	for _, d := range talosOverlays {
		at := "/var/system/overlays/" + strings.ReplaceAll(d[1:], "/", "-")
		err = first(err, overlay(d, d, at+"-diff", at+"-workdir", 0))
	}
	return err
}

// overlay lays a writable overlay over a folder, with what it shows and its upper
// and work folders, which it makes.
func overlay(at, lower, upper, work string, flags uintptr) error {
	return first(
		os.MkdirAll(upper, 0o755),
		os.MkdirAll(work, 0o700),
		mount("overlay", at, "overlay", flags, "lowerdir="+lower+",upperdir="+upper+",workdir="+work),
	)
}
