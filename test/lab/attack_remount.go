//go:build linux

package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var remountVerity = Attack{
	Name:   "remount-rw-verity",
	What:   "mount -o remount,rw of the image is tried on verity; the kernel refuses it",
	Shapes: []string{"verity-create", "verity-initramfs", "verity-usr-initramfs"},
	Do:     func(g *InGuest) error { return refused(unix.Mount("", imagePath(g), "", unix.MS_REMOUNT, "")) },
	Undo:   func(*InGuest) error { return nil },
	Level:  3,
	Why:    "the device under it is read-only",
}

var remountBindVerity = Attack{
	Name:   "remount-bind-rw-verity",
	What:   "the flag of the mount alone is turned by mount -o remount,bind,rw, which succeeds; the super block stays read-only and writes fail",
	Shapes: []string{"verity-create", "verity-initramfs", "verity-usr-initramfs"},
	Do:     func(g *InGuest) error { return first(remountBind(imagePath(g), 0), writes("/", unix.EROFS)) },
	Undo:   func(g *InGuest) error { return remountBind(imagePath(g), unix.MS_RDONLY) },
	Level:  3,
	Why:    "read-only means the super block, which cannot be turned",
}

var remountSquashfs = Attack{
	Name:   "remount-rw-squashfs",
	What:   "mount -o remount,rw and remount,bind,rw of a squashfs; the second succeeds, and writes fail",
	Shapes: []string{"squashfs-loop", "squashfs-loop-extensions", "squashfs-plain"},
	Do: func(*InGuest) error {
		_ = unix.Mount("", "/", "", unix.MS_REMOUNT, "") // some refuse it, some take no notice
		return first(remountBind("/", 0), writes("/", unix.EROFS))
	},
	Undo:  func(*InGuest) error { return remountBind("/", unix.MS_RDONLY) },
	Level: 2,
	Why:   "the file system has no way to be written",
}

var remountExt4 = Attack{
	Name:   "remount-rw-ext4",
	What:   "mount -o remount,rw / of an ext4 that was mounted read-only",
	Shapes: []string{"ro-ext4"},
	Do:     func(*InGuest) error { return first(remountRoot(0), writes("/", nil)) },
	Undo:   func(*InGuest) error { return remountRoot(unix.MS_RDONLY) },
	Changes: []Change{
		{"etc-as-shipped", "pass read-only", "unknown no-defaults"},
		{"image-read-only", "pass read-only", "fail writable-mount"},
		{"image-unmodified", "pass unmodified", "not-applicable no-image"},
		{"image-unwritable", "fail writable-backing", "not-applicable not-offered"},
		{"mappings-from-image", "pass from-image", "fail no-image"},
		{"modules-from-image", "pass from-image", "fail outside-image"},
		{"mount-namespaces-agree", "pass agree", "not-applicable no-image"},
		{"processes-from-image", "pass from-image", "fail no-image"},
	},
	Level:    0,
	Mutation: missWritable,
}

// imagePath is where the verified image of a guest is mounted.
func imagePath(g *InGuest) string {
	if g.Shape.Name == verityUsr.Name {
		return "/usr"
	}
	return "/"
}

// refused says if what was tried was not refused.
func refused(err error) error {
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("it was not refused: %w", err)
	}
	return nil
}

// remountBind changes the flags of a mount and not those of its super block.
func remountBind(at string, flags uintptr) error {
	if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return fmt.Errorf("remounting %s: %w", at, err)
	}
	return nil
}
