//go:build linux

package lab

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// composefsVerity is composefs as the kernel checks it: [composefs] enabled =
// verity in prepare-root.conf. Neither Fedora nor Red Hat ships it so.
var composefsVerity = Shape{
	Name:   "composefs-verity",
	Like:   "Fedora CoreOS 41 and later with [composefs] enabled = verity",
	What:   "an ostree deployment as composefs: overlay of an erofs of names over the repository's objects, with fs-verity and verity=require",
	Series: "6.12",
	Build: func(b *Builder, _ map[string]string) (Boot, error) {
		return buildComposefs(b, b.ostreeTree("41").Copy(b.CLI, cliProgram, 0o755))
	},
	Boot:    func(g *InGuest, at string) error { return bootComposefs(g, at, true) },
	Up:      upComposefs,
	Profile: "fedora-coreos",
	Level:   3,
}

// composefsPlain is composefs as it is shipped: [composefs] enabled = true.
var composefsPlain = Shape{
	Name:    "composefs-plain",
	Like:    "Fedora CoreOS 41 and later as shipped, RHCOS 4.20 and later",
	What:    "an ostree deployment as composefs: overlay of an erofs of names over the repository's objects, nothing is checked on read",
	Series:  "6.12",
	Slow:    true,
	Build:   func(b *Builder, _ map[string]string) (Boot, error) { return buildComposefs(b, b.ostreeTree("41")) },
	Boot:    func(g *InGuest, at string) error { return bootComposefs(g, at, false) },
	Up:      upComposefs,
	Profile: "fedora-coreos",
	Level:   2,
}

// composefsImage is the image in a deployment: OSTREE_COMPOSEFS_NAME of ostree's
// src/libotcore/otcore.h.
const composefsImage = ".ostree.cfs"

// objectsDir are ostree's objects in the physical root.
const objectsDir = "ostree/repo/objects"

// buildComposefs adds the composefs image to a deployment of a tree that Debian's
// ostree made, which is older than composefs.
func buildComposefs(b *Builder, t *Tree) (Boot, error) {
	d, err := b.deploy("41", t)
	if err != nil {
		return Boot{}, err
	}
	names, err := d.names()
	if err != nil {
		return Boot{}, fmt.Errorf("listing the deployment for composefs: %w", err)
	}
	image, err := b.Erofs("composefs.img", names, "-U"+verityUUID, "--chunksize=65536")
	if err != nil {
		return Boot{}, err
	}
	d.sysroot.Copy(image, filepath.Join(d.dir, composefsImage), 0o644)
	return d.boot()
}

// names is the tree of a deployment without the content of its files: each is a
// hole of its size that says in the attributes of overlayfs which object holds
// the content and what the object's fs-verity digest is. Source: composefs'
// libcomposefs/lcfs-writer-erofs.c, ostree's src/libostree/ostree-repo-composefs.c
// for the name of an object, the kernel's fs/overlayfs/overlayfs.h.
func (d *deployed) names() (*Tree, error) {
	objects, err := objectsByInode(d.sysroot.path(objectsDir))
	if err != nil {
		return nil, err
	}
	t := d.b.Tree("composefs.tree")
	root := d.sysroot.path(d.dir)
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case name == "etc":
			t.Mkdir(name) // bound over it
			return fs.SkipDir
		case e.IsDir():
			t.Mkdir(name).do(func() error { return os.Chmod(t.path(name), info.Mode()) })
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			t.Link(target, name)
		case info.Size() == 0:
			t.File(name, info.Mode(), "")
		default:
			object, ok := objects[info.Sys().(*syscall.Stat_t).Ino]
			if !ok {
				return fmt.Errorf("%s is no object of the repository", name)
			}
			t.File(name, info.Mode(), "").do(func() error { return d.redirect(t.path(name), object, info.Size()) })
		}
		return t.Err
	})
	return t, err
}

// redirect makes a file the name of an object.
func (d *deployed) redirect(name, object string, size int64) error {
	out, err := output(d.b.Ctx, "fsverity", "digest", "--compact", d.sysroot.path(filepath.Join(objectsDir, object)))
	if err != nil {
		return err
	}
	digest, err := hex.DecodeString(strings.TrimSpace(out))
	if err != nil || len(digest) != 32 {
		return fmt.Errorf("fsverity said the digest %q", out)
	}
	// struct ovl_metacopy: version, its own length, flags, algorithm, digest.
	metacopy := append([]byte{0, byte(4 + len(digest)), 0, unix.FS_VERITY_HASH_ALG_SHA256}, digest...)
	return first(
		os.Truncate(name, size),
		unix.Setxattr(name, "trusted.overlay.metacopy", metacopy, 0),
		unix.Setxattr(name, "trusted.overlay.redirect", []byte("/"+object), 0),
	)
}

// objectsByInode are the objects of a repository, "xx/….file", by inode: a
// deployment consists of hard links to them.
func objectsByInode(dir string) (map[uint64]string, error) {
	paths, err := filepath.Glob(dir + "/??/*.file")
	if err != nil {
		return nil, err
	}
	objects := map[uint64]string{}
	for _, p := range paths {
		info, err := os.Lstat(p)
		if err != nil {
			return nil, err
		}
		objects[info.Sys().(*syscall.Stat_t).Ino] = strings.TrimPrefix(p, dir+"/")
	}
	return objects, nil
}

// bootComposefs does what ostree-prepare-root of 2025 does with composefs. Source:
// ostree's src/switchroot/ostree-prepare-root.c, composefs' libcomposefs/lcfs-mount.c.
// With verity, what happens on a real system when an object is written happens
// first: fs-verity is enabled on every object and on the image. Two options leave
// something out: "verity" is "off" for a mount that does not require it, "image"
// is "bare" for an image without fs-verity.
func bootComposefs(g *InGuest, at string, verity bool) error {
	const private = "/run/ostree/.private"
	if err := mount(g.Disk("root"), "/sysroot", "ext4", unix.MS_RELATIME, ""); err != nil {
		return err
	}
	dir, err := bootedDeployment("/sysroot")
	if err != nil {
		return err
	}
	image := filepath.Join(dir, composefsImage)
	if verity {
		if err := sealObjects("/sysroot/" + objectsDir); err != nil {
			return err
		}
		if g.Plan.Options["image"] != "bare" {
			if err := seal(image); err != nil {
				return err
			}
		}
	}
	var stat unix.Stat_t
	if err := first(unix.Stat(dir, &stat), setImmutable(dir, true), os.MkdirAll("/run/ostree", 0o755), os.Mkdir(private, 0)); err != nil {
		return err
	}
	device, err := attachLoop(image)
	if err != nil {
		return err
	}
	defer device.Close()
	lower := private + "/cfsroot-lower"
	if err := mount(device.Name(), lower, "erofs", unix.MS_RDONLY, "noacl"); err != nil {
		return err
	}
	booted := vardict(
		pairEntry("backing-root-device-inode", stat.Dev, stat.Ino), boolEntry("root.transient", false),
		boolEntry("composefs", true), boolEntry("composefs.verity", verity), boolEntry("sysroot-ro", true),
	)
	return first(
		mountOverlay(at, composefsOptions(lower, verity && g.Plan.Options["verity"] != "off")),
		unix.Unmount(lower, unix.MNT_DETACH),
		unix.Mount(dir+"/etc", at+"/etc", "", unix.MS_BIND, ""),
		unix.Mount("/sysroot/ostree/deploy/"+stateroot+"/var", "/sysroot/ostree/deploy/"+stateroot+"/var", "", unix.MS_BIND, ""),
		unix.Mount("/sysroot", at+"/sysroot", "", unix.MS_MOVE, ""),
		unix.Mount("", at+"/sysroot", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_RELATIME, ""),
		os.WriteFile("/run/ostree-booted", booted, 0o644),
	)
}

// composefsOptions are the options of the overlay, in the order in which composefs
// sets them.
func composefsOptions(names string, verity bool) [][2]string {
	options := [][2]string{{"source", "composefs"}, {"metacopy", "on"}, {"redirect_dir", "on"}}
	if verity {
		options = append(options, [2]string{"verity", "require"})
	}
	return append(options, [2]string{"lowerdir+", names}, [2]string{"datadir+", "/sysroot/" + objectsDir})
}

// sealObjects enables fs-verity on all objects that are files.
func sealObjects(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(path, ".file") {
			err = seal(path)
		}
		return err
	})
}

// seal enables fs-verity on a file. Source: the kernel's
// Documentation/filesystems/fsverity.rst, FS_IOC_ENABLE_VERITY.
func seal(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: unix.FS_VERITY_HASH_ALG_SHA256, Block_size: 4096}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.FS_IOC_ENABLE_VERITY, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("enabling fs-verity on %s: %w", path, errno)
	}
	return nil
}

// attachLoop makes a read-only loop device of a file. It lasts as long as
// somebody has it open or mounted.
func attachLoop(path string) (device *os.File, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("asking for a loop device: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if device, err = os.Open(fmt.Sprintf("/dev/loop%d", n)); err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], path)
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("making %s of %s: %w", device.Name(), path, err), device.Close())
	}
	return device, nil
}

// mountOverlay mounts a read-only overlay with options that mount(2) does not
// take in one string: lowerdir+ and datadir+.
func mountOverlay(at string, options [][2]string) error {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, o := range options {
		if err := unix.FsconfigSetString(fd, o[0], o[1]); err != nil {
			return fmt.Errorf("setting %s=%s of the overlay: %w", o[0], o[1], err)
		}
	}
	if err := first(unix.FsconfigSetFlag(fd, "ro"), unix.FsconfigCreate(fd)); err != nil {
		return fmt.Errorf("making the overlay: %w", err)
	}
	mounted, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return fmt.Errorf("mounting the overlay: %w", err)
	}
	defer unix.Close(mounted)
	return unix.MoveMount(mounted, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// upComposefs is upOstree without what ostree-remount does before composefs.
func upComposefs(g *InGuest) error {
	return first(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""), unix.Mount("", "/sysroot", "", unix.MS_PRIVATE, ""), coreosMounts(g))
}
