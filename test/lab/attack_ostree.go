//go:build linux

package lab

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ostreeUnlock, ostreeTransient and ostreeHotfix are the three ways in which
// ostree itself unlocks a deployment.
var (
	ostreeUnlock = Attack{
		Name:     "ostree-unlock",
		What:     "ostree admin unlock: a writable overlay over /usr until the next boot",
		Shapes:   []string{"ostree-sysroot"},
		Do:       func(g *InGuest) error { return g.Quiet("ostree", "admin", "unlock") },
		Undo:     lock,
		Changes:  append(slices.Clone(unlocked), Change{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"}),
		Mutation: Mutation{File: "verify/unmodified.go", Check: "image-unmodified", Old: `found("unlocked", "unlocked: "+how)`, New: `_ = how`},
	}
	ostreeTransient = Attack{
		Name:     "ostree-unlock-transient",
		What:     "ostree admin unlock --transient: an overlay over /usr that is read-only but in namespaces that remount it",
		Shapes:   []string{"ostree-sysroot"},
		Do:       func(g *InGuest) error { return g.Quiet("ostree", "admin", "unlock", "--transient") },
		Undo:     lock,
		Changes:  unlocked,
		Mutation: Mutation{File: "verify/image.go", Check: "image-read-only", Old: `case p.role == over && hasUpper(p.Mount):`, New: `case p.role == over && hasUpper(p.Mount) && !p.ReadOnly():`},
	}
	ostreeHotfix = Attack{
		Name:     "ostree-unlock-hotfix",
		What:     "ostree admin unlock --hotfix: a writable overlay over /usr that stays over boots",
		Shapes:   []string{"ostree-sysroot"},
		Do:       func(g *InGuest) error { return g.Quiet("ostree", "admin", "unlock", "--hotfix") },
		Slow:     true,
		Changes:  append(slices.Clone(unlocked), Change{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"}),
		Mutation: Mutation{File: "verify/protected.go", Check: "no-shadowed-paths", Old: `return m.Layer > 0`, New: `return m.Layer > 1`},
	}
)

// unlocked is what changes with every way to unlock a deployment.
var unlocked = []Change{
	{"image-read-only", "pass read-only", "fail writable-overlay"},
	{"image-unmodified", "pass unmodified", "fail unlocked"},
	{"kernel-from-current-image", "pass current", "fail outside-image"},
	{"mappings-from-image", "pass from-image", "fail no-image"},
	{"modules-from-image", "pass from-image", "fail outside-image"},
	{"no-shadowed-paths", "pass nothing", "fail writable-overlay"},
	{"processes-from-image", "pass from-image", "fail outside-image"},
}

// lock takes back what ostree unlocked, as a reboot does.
func lock(*InGuest) error {
	left, err := filepath.Glob("/var/tmp/ostree-unlock-ovl.*")
	if err != nil {
		return err
	}
	err = first(unix.Unmount("/usr", unix.MNT_DETACH), os.RemoveAll("/run/ostree/deployment-state"))
	for _, dir := range left {
		err = first(err, os.RemoveAll(dir))
	}
	return err
}

var (
	sysrootWritable = Attack{
		Name:   "sysroot-writable",
		What:   "/sysroot, the disk of which /usr is a part, is remounted writable; /usr stays read-only",
		Shapes: []string{"ostree-sysroot"},
		Do:     func(*InGuest) error { return sysrootFlags(0) },
		Undo:   func(*InGuest) error { return sysrootFlags(unix.MS_RDONLY) },
		Changes: []Change{
			{"image-read-only", "pass read-only", "fail writable-elsewhere"},
			{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		},
		Mutation: Mutation{
			File: "profiles/fedora-coreos.yaml", Check: "no-undeclared-writable-exec",
			Old: `    - {path: /dev, why: device nodes}`,
			New: "    - {path: /dev, why: device nodes}\n    - {path: /sysroot, why: a mutation}",
		},
	}
	objectsWritable = Attack{
		Name:   "objects-writable",
		What:   "/sysroot, which holds the objects below composefs, is remounted writable",
		Shapes: []string{"composefs-verity", "composefs-plain"},
		Do:     func(*InGuest) error { return sysrootFlags(0) },
		Undo:   func(*InGuest) error { return sysrootFlags(unix.MS_RDONLY) },
		Changes: []Change{
			{"image-read-only", "pass read-only", "fail writable-mount"},
			{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		},
		Mutation: Mutation{File: "verify/protected.go", Check: "image-read-only", Old: `im.paths = append(im.paths, "/sysroot")`, New: `_ = mounted`},
	}
)

// sysrootFlags sets the flags of the mount on /sysroot, and none of its file
// system.
func sysrootFlags(flags uintptr) error {
	return unix.Mount("", "/sysroot", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RELATIME|flags, "")
}

var composefsTwice = Attack{
	Name:   "composefs-over-usr",
	What:   "the composefs of the deployment is mounted once more, without verity=require, and bound over /usr",
	Shapes: []string{"composefs-verity"},
	Do: func(*InGuest) error {
		dir, err := bootedDeployment("/sysroot")
		if err != nil {
			return err
		}
		device, err := attachLoop(filepath.Join(dir, composefsImage))
		if err != nil {
			return err
		}
		defer device.Close()
		const again = "/run/again"
		return first(
			mount(device.Name(), again+"/names", "erofs", unix.MS_RDONLY, "noacl"),
			os.Mkdir(again+"/root", 0o755),
			mountOverlay(again+"/root", composefsOptions(again+"/names", false)),
			unix.Mount(again+"/root/usr", "/usr", "", unix.MS_BIND, ""),
			unix.Unmount(again+"/root", unix.MNT_DETACH),
			unix.Unmount(again+"/names", unix.MNT_DETACH),
			os.RemoveAll(again),
		)
	},
	Undo: func(*InGuest) error { return unix.Unmount("/usr", unix.MNT_DETACH) },
	Changes: []Change{
		{"image-unwritable", "pass unwritable", "fail writable-lower"}, // the erofs is no longer mounted where the overlay says that it is
		{"image-verified", "pass verified", "fail not-verified"},
		{"no-shadowed-paths", "pass nothing", "fail shadowed"},
	},
	Level:    1,
	Mutation: Mutation{File: "verify/shadows.go", Check: "no-shadowed-paths", Old: `case len(items) > 0:`, New: `case len(items) > 1:`},
}

var (
	composefsNotRequired = Attack{
		Name:    "composefs-not-required",
		What:    "a deployment that was prepared for fs-verity is mounted without verity=require",
		Shapes:  []string{"composefs-verity"},
		Slow:    true,
		Options: map[string]string{"verity": "off"},
		Changes: []Change{{"image-verified", "pass verified", "fail fs-verity-not-required"}},
		Level:   2,
		Mutation: Mutation{
			File: "verify/verified.go", Check: "image-verified",
			Old: `if how, _ := p.Option("verity"); how != "require" {`,
			New: `if how, _ := p.Option("verity"); how == "off" {`,
		},
	}
	composefsBareImage = Attack{
		Name:    "composefs-bare-image",
		What:    "the composefs image, which names the files and their digests, has no fs-verity itself",
		Shapes:  []string{"composefs-verity"},
		Options: map[string]string{"image": "bare"},
		Changes: []Change{{"image-verified", "pass verified", "fail image-without-fs-verity"}},
		Level:   2,
		Slow:    true,
		Mutation: Mutation{
			File: "verify/verified.go", Check: "image-verified",
			Old: `if v.ComposefsImage == "off" {`,
			New: `if v.ComposefsImage == "missing" {`,
		},
	}
)

var (
	objectRefused = Attack{
		Name:   "object-replaced-verity",
		What:   "an object below composefs is replaced by another with other content, on a second mount of the disk; the kernel refuses to open the file (EIO)",
		Shapes: []string{"composefs-verity"},
		Do: func(g *InGuest) error {
			if err := replaceObject(g); err != nil {
				return err
			}
			if err := markedBegins(replaced); !errors.Is(err, unix.EIO) {
				return fmt.Errorf("the file whose object was replaced is not refused with EIO: %w", cmp.Or(err, errors.New("it is read")))
			}
			return nil
		},
		Undo:  restoreObject,
		Level: 3,
		Why:   "the kernel lets nobody open the file, and a scan does not open every file of the image; --deep finds that what lies there has no digest that the image names (TestDeepComposefs)",
	}
	objectRead = Attack{
		Name:   "object-replaced",
		What:   "an object below composefs is replaced by another with other content, on a second mount of the disk, and is read as the file",
		Shapes: []string{"composefs-plain"},
		Do: func(g *InGuest) error {
			if err := replaceObject(g); err != nil {
				return err
			}
			return markedBegins(replaced)
		},
		Undo:  restoreObject,
		Level: 2,
		Why:   "level 2 says that the kernel has no way to write the image, not that it checks what is read: that is level 3",
	}
)

// replaced is how a replaced object begins.
const replaced = "somebody else's content\n"

// aside is where an object is kept that was replaced, beside it.
const aside = ".aside"

// replaceObject replaces the object of the marked file. It is as long as it was:
// the names hold the length.
func replaceObject(g *InGuest) error {
	return onDisk(g, func(root string) error {
		objects, err := filepath.Glob(filepath.Join(root, objectsDir, "??/*.file"))
		if err != nil {
			return err
		}
		for _, o := range objects {
			info, err := os.Lstat(o)
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() || info.Size() > 1<<20 {
				continue
			}
			b, err := os.ReadFile(o)
			if err != nil {
				return err
			}
			if bytes.HasPrefix(b, []byte(mark)) {
				copy(b, replaced)
				return first(os.Rename(o, o+aside), os.WriteFile(o, b, 0o644))
			}
		}
		return fmt.Errorf("none of %d objects is the marked file", len(objects))
	})
}

func restoreObject(g *InGuest) error {
	err := onDisk(g, func(root string) error {
		kept, err := only(filepath.Join(root, objectsDir, "??/*"+aside))
		if err != nil {
			return err
		}
		return os.Rename(kept, strings.TrimSuffix(kept, aside))
	})
	// The overlay remembers which object it opened.
	if err := first(err, os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0)); err != nil {
		return err
	}
	return markedBegins(mark)
}

// markedBegins reads the marked file and looks how it begins.
func markedBegins(want string) error {
	b, err := os.ReadFile(MarkedFile)
	if err == nil && !bytes.HasPrefix(b, []byte(want)) {
		err = fmt.Errorf("%s begins with %q, not with %q", MarkedFile, b[:min(len(b), 40)], want)
	}
	return err
}

// onDisk mounts the disk of the physical root once more, writable, for as long as
// something is done on it.
func onDisk(g *InGuest, do func(root string) error) error {
	const root = "/run/disk"
	if err := mount(g.Disk("root"), root, "ext4", 0, ""); err != nil {
		return err
	}
	return first(do(root), unix.Unmount(root, 0), os.Remove(root))
}
