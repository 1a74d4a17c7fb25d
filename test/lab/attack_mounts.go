//go:build linux

package lab

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

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
		{"modules-from-image", "pass from-image", "fail outside-image"},
		{"no-shadowed-paths", "pass nothing", "fail writable-overlay"},
		{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		{"processes-from-image", "pass from-image", "fail outside-image"}, // the agent's own program is under it
	},
	Level:    0,
	Mutation: Mutation{"verify/shadows.go", "range f.undeclared {", "range f.undeclared[:0] {", "no-shadowed-paths"},
}

var bindBinary = Attack{
	Name:   "bind-over-binary",
	What:   "a file in /run is mounted over one program of the image",
	Shapes: []string{"verity-create"},
	Do: func(*InGuest) error {
		const program = intruderDir + "/dmsetup"
		return first(plant("/usr/bin/busybox", program), unix.Mount(program, "/usr/sbin/dmsetup", "", unix.MS_BIND, ""))
	},
	Undo: func(g *InGuest) error {
		return first(unix.Unmount("/usr/sbin/dmsetup", 0), g.Quiet("rm", "-r", intruderDir))
	},
	Changes: []Change{
		{"image-read-only", "pass read-only", "fail writable-mount"},
		{"image-unwritable", "pass unwritable", "fail writable-backing"},
		{"image-verified", "pass verified", "fail not-verified"},
		{"no-shadowed-paths", "pass nothing", "fail shadowed"},
		{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		{"writable-executables-declared", "pass declared", "fail undeclared"}, // the file in /run
	},
	Level:    0,
	Mutation: Mutation{"verify/protected.go", "return reached", `return reached && m.Root == "/"`, "no-shadowed-paths"},
}

var tmpfsLibraries = Attack{
	Name:   "tmpfs-over-libraries",
	What:   "a file system in memory with copies of the libraries is mounted over their folder below /usr/lib",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return first(
			mount("tmpfs", intruderDir, "tmpfs", 0, ""),
			g.Quiet("sh", "-c", "cp "+imageLibraries+"/* "+intruderDir),
			unix.Mount(intruderDir, imageLibraries, "", unix.MS_MOVE, ""),
		)
	},
	Undo: func(g *InGuest) error {
		return first(unix.Unmount(imageLibraries, unix.MNT_DETACH), g.Quiet("rmdir", intruderDir))
	},
	Changes: []Change{
		{"image-read-only", "pass read-only", "fail writable-mount"},
		{"image-unwritable", "pass unwritable", "fail writable-backing"},
		{"image-verified", "pass verified", "fail not-verified"},
		{"no-shadowed-paths", "pass nothing", "fail shadowed"},
		{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
	},
	Level:    0,
	Mutation: Mutation{"verify/protected.go", "return reached", "return reached && !memoryType(m.Type)", "no-shadowed-paths"},
}

var namespaceSbin = Attack{
	Name:   "namespace-over-sbin",
	What:   "one service mounts a writable folder over /usr/sbin in a mount namespace of its own",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return first(
			plant("/usr/bin/busybox", intruderDir+"/init"),
			g.intrude("/usr/bin/sleep", inNamespace("mount -o bind "+intruderDir+" /usr/sbin")),
		)
	},
	Undo: (*InGuest).expel,
	Changes: []Change{
		{"mount-namespaces-agree", "pass agree", "fail writable"},
		{"writable-executables-declared", "pass declared", "fail undeclared"}, // the file in /run
	},
	Level:    3, // of what process 1 sees
	Mutation: Mutation{"verify/shadows.go", "case !im.holds(m.Path),", "case !slices.Contains(im.paths, m.Path),", "mount-namespaces-agree"},
}

var namespaceLocal = Attack{
	Name:   "namespace-over-local",
	What:   "one service mounts a file system in memory over /usr/local, where programs are looked for first, in a mount namespace of its own",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return g.intrude("/usr/bin/sleep", inNamespace("mount -t tmpfs tmpfs /usr/local"))
	},
	Undo:     (*InGuest).expel,
	Changes:  []Change{{"mount-namespaces-agree", "pass agree", "fail writable"}},
	Level:    3,
	Mutation: Mutation{"verify/shadows.go", ` || below(path, "/usr/local") && imageMount(mountOf(im.mounts, path))`, "", "mount-namespaces-agree"},
}

// inNamespace is a service that mounts something where only it sees it.
func inNamespace(does string) *exec.Cmd {
	return exec.Command("/usr/bin/unshare", "-m", "--propagation", "private", "/usr/bin/sh", "-c", does+" && exec /usr/bin/sleep "+forever)
}
