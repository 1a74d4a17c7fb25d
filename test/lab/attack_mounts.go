//go:build linux

package lab

import "golang.org/x/sys/unix"

var overlayUsr = Attack{
	Name:   "overlay-usr",
	What:   "a writable overlay is mounted over /usr",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return first(
			mount("tmpfs", "/mnt/disks", "tmpfs", 0, ""),
			g.Quiet("mkdir", "/mnt/disks/upper", "/mnt/disks/work"),
			mount("overlay", "/usr", "overlay", 0, "lowerdir=/usr,upperdir=/mnt/disks/upper,workdir=/mnt/disks/work"),
		)
	},
	Undo: func(g *InGuest) error {
		return first(unix.Unmount("/usr", unix.MNT_DETACH), unix.Unmount("/mnt/disks", unix.MNT_DETACH))
	},
	Changes: []Change{
		{"image-read-only", "pass read-only", "fail writable-overlay"},
		{"image-unwritable", "pass unwritable", "fail writable-overlay"},
		{"image-verified", "pass verified", "fail not-verified"},
		{"kernel-from-current-image", "pass current", "fail outside-image"},
		{"mappings-from-image", "pass from-image", "fail no-image"},
		{"no-shadowed-paths", "pass nothing", "fail writable-overlay"},
		{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		{"processes-from-image", "pass from-image", "fail outside-image"}, // the agent's own program is under it
	},
	Level: 0,
}
