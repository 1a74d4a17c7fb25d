//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Two switches hold a btrfs snapshot read-only, its property and its mount, and
// each can be turned alone.

var btrfsPropertyOff = Attack{
	Name:   "btrfs-property-off",
	What:   "the read-only property of the booted snapshot is taken away through /.snapshots, which is writable; / stays mounted read-only",
	Shapes: []string{"btrfs-snapshot"},
	Do: func(g *InGuest) error {
		return first(setSubvolume(g, false), writes("/.snapshots/1/snapshot", nil), writes("/", unix.EROFS))
	},
	Undo: func(g *InGuest) error { return setSubvolume(g, true) },
	Changes: []Change{
		{"image-read-only", "pass read-only", "fail writable-subvolume"},
	},
	Level:    0,
	Mutation: Mutation{File: "verify/image.go", Old: "return o // the property holds", New: "return outcome{verdict: Pass} // the property holds", Check: "image-read-only"},
}

var btrfsMountWritable = Attack{
	Name:     "btrfs-remount-rw",
	What:     "mount -o remount,rw / succeeds; the snapshot keeps its property, so that writes still fail",
	Shapes:   []string{"btrfs-snapshot"},
	Do:       func(*InGuest) error { return first(remountRoot(0), writes("/", unix.EROFS)) },
	Undo:     func(*InGuest) error { return remountBind("/", unix.MS_RDONLY) },
	Changes:  btrfsRemounted,
	Level:    0,
	Mutation: Mutation{File: "verify/image.go", Old: "case !p.ReadOnly() && !imageType(p.Type):", New: "case false:", Check: "image-read-only"},
}

var btrfsBoth = Attack{
	Name:     "btrfs-writable",
	What:     "the property is taken away and / remounted rw: programs of the image can be overwritten",
	Shapes:   []string{"btrfs-snapshot"},
	Do:       func(g *InGuest) error { return first(setSubvolume(g, false), remountRoot(0), writes("/", nil)) },
	Undo:     func(g *InGuest) error { return first(remountBind("/", unix.MS_RDONLY), setSubvolume(g, true)) },
	Changes:  btrfsRemounted,
	Level:    0,
	Mutation: missWritable,
}

// missWritable takes every part of the image for read-only.
var missWritable = Mutation{File: "verify/image.go", Old: "outcome { return f.readOnly(p) }", New: "outcome { return outcome{verdict: Pass} }", Check: "image-read-only"}

// btrfsRemounted is what changes when / is mounted writable.
var btrfsRemounted = []Change{
	{"image-read-only", "pass read-only", "fail writable-mount"},
	{"kernel-from-current-image", "pass current", "fail outside-image"},
	{"mappings-from-image", "pass from-image", "fail no-image"},
	{"modules-from-image", "pass from-image", "fail outside-image"},
	{"mount-namespaces-agree", "pass agree", "not-applicable no-image"},
	{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
	{"processes-from-image", "pass from-image", "fail no-image"},
}

// setSubvolume sets the read-only property of the booted snapshot, through a mount
// that is writable: on / the kernel refuses it.
func setSubvolume(g *InGuest, readOnly bool) error {
	return g.Quiet("btrfs", "property", "set", "-ts", "/.snapshots/1/snapshot", "ro", strconv.FormatBool(readOnly))
}

// remountRoot is mount -o remount of /.
func remountRoot(flags uintptr) error {
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("remounting /: %w", err)
	}
	return nil
}

// writes tries to make a file in the image at a folder, and says if that does not
// end as it should.
func writes(at string, want error) error {
	name := at + "/usr/lib/written"
	err := os.WriteFile(name, nil, 0o644)
	if err == nil {
		_ = os.Remove(name)
	}
	if !errors.Is(err, want) {
		return fmt.Errorf("writing %s: %w, where %s was expected", name, err, fmt.Sprint(want))
	}
	return nil
}
