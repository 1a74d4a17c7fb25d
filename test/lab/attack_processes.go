//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

const forever = "86400" // seconds

var processFromVar = Attack{
	Name:   "process-from-var",
	What:   "/var is remounted without noexec, and a program in it runs as a service",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		const program = "/var/lib/intruder/sleep"
		return first(
			remountBind("/var", unix.MS_NOSUID|unix.MS_NODEV),
			plant("/usr/bin/sleep", program),
			g.intrude(program, exec.Command(program, forever)),
		)
	},
	Undo: func(g *InGuest) error {
		return first(g.expel(), os.RemoveAll("/var/lib/intruder"), remountBind("/var", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC))
	},
	Changes: []Change{
		{"mappings-from-image", "pass from-image", "fail outside-image"},
		{"no-undeclared-writable-exec", "pass declared-only", "fail undeclared"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
		{"writable-executables-declared", "pass declared", "fail undeclared"},
		{"writable-mounts-restricted", "pass restricted", "fail unrestricted"},
	},
	Level:    3,
	Mutation: Mutation{"verify/processes.go", "|| p.OwnRoot || !imageMount(p.On) {", "|| p.OwnRoot {", "processes-from-image"},
}

var processDeleted = Attack{
	Name:   "process-deleted",
	What:   "a program runs from /run, and its file is deleted",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		const program = intruderDir + "/sleep"
		return first(
			plant("/usr/bin/sleep", program),
			g.intrude(program, exec.Command(program, forever)),
			os.Remove(program),
		)
	},
	Undo: (*InGuest).expel,
	Changes: []Change{
		{"mappings-from-image", "pass from-image", "fail outside-image"},
		{"no-deleted-executables", "pass all-on-disk", "fail deleted"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/processes.go", `case p.Deleted:`, `case false:`, "no-deleted-executables"},
}

var processDetached = Attack{
	Name:   "process-detached",
	What:   "a program runs from a file system in memory whose mount is then detached (umount -l)",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		const program = intruderDir + "/sleep"
		return first(
			mount("tmpfs", intruderDir, "tmpfs", 0, ""),
			plant("/usr/bin/sleep", program),
			g.intrude(program, exec.Command(program, forever)),
			unix.Unmount(intruderDir, unix.MNT_DETACH),
		)
	},
	Undo: (*InGuest).expel,
	Changes: []Change{
		{"mappings-from-image", "pass from-image", "fail outside-image"},
		{"no-deleted-executables", "pass all-on-disk", "fail deleted"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/processes.go", "case p.Detached:\n\t\t\tdeleted", "case false:\n\t\t\tdeleted", "no-deleted-executables"},
}

var processInMemory = Attack{
	Name:   "process-in-memory",
	What:   "a program runs from a file in memory (memfd_create)",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		fd, err := unix.MemfdCreate("intruder", unix.MFD_CLOEXEC)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "intruder")
		defer f.Close()
		b, err := os.ReadFile("/usr/bin/sleep")
		if err != nil {
			return err
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
		return g.intrude("/memfd:intruder", exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), forever))
	},
	Undo: (*InGuest).expel,
	Changes: []Change{
		{"no-deleted-executables", "pass all-on-disk", "fail memory-only"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/processes.go", "if p.Memory || p.Detached || p.OwnRoot || !imageMount(p.On) {", "if !p.Memory && (p.Detached || p.OwnRoot || !imageMount(p.On)) {", "processes-from-image"},
}

const script = "/var/lib/intruder/script.sh"

// leaveScript ends the script and takes it away.
func leaveScript(g *InGuest) error { return first(g.expel(), os.RemoveAll("/var/lib/intruder")) }

var scriptFromVar = Attack{
	Name:   "script-from-var",
	What:   "the image's shell runs a script in /var, which is mounted noexec",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return first(
			write(script, 0o644, "sleep "+forever+"\n"),
			g.intrude("/usr/bin/busybox", exec.Command("/usr/bin/sh", script)),
		)
	},
	Undo: leaveScript,
	Changes: []Change{
		{"no-scripts-from-writable-storage", "pass none", "fail writable-script"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/mappings.go", `case p.Script == "":`, `case p.Script == "" || !p.Memory:`, "no-scripts-from-writable-storage"},
}

var scriptFromInput = Attack{
	Name:   "script-from-input",
	What:   "the image's shell runs a script in /var that it reads from its standard input",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		if err := write(script, 0o644, "sleep "+forever+"\n"); err != nil {
			return err
		}
		f, err := os.Open(script)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd := exec.Command("/usr/bin/sh")
		cmd.Stdin = f
		return g.intrude("/usr/bin/busybox", cmd)
	},
	Undo: leaveScript,
	Changes: []Change{
		{"no-scripts-from-writable-storage", "pass none", "fail writable-script"},
		{"processes-from-image", "pass from-image", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/processes.go", "case fromImage(p, mounts):", "case imageMount(mountOf(mounts, p.Path)):", "processes-from-image"},
}

// library is any shared object; that it brings no code of an intruder's makes
// no difference to what can be seen of it.
const (
	imageLibraries = "/usr/lib/x86_64-linux-gnu"
	imageLibrary   = imageLibraries + "/libm.so.6"
	library        = intruderDir + "/intruder.so"
)

var ldPreload = Attack{
	Name:   "ld-preload",
	What:   "a program of the image is started with LD_PRELOAD of a library in /run",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		cmd := exec.Command("/usr/bin/sleep", forever)
		cmd.Env = append(os.Environ(), "LD_PRELOAD="+library)
		return first(plant(imageLibrary, library), g.intrude(library, cmd))
	},
	Undo: (*InGuest).expel,
	Changes: []Change{
		{"mappings-from-image", "pass from-image", "fail outside-image"},
		{"no-preload", "pass none", "fail preload"},
		{"writable-executables-declared", "pass declared", "fail undeclared"},
	},
	Level:    3,
	Mutation: Mutation{"verify/loader.go", `if v.Name != "LD_LIBRARY_PATH" && slices`, `if v.Name == "LD_AUDIT" && slices`, "no-preload"},
}

var ldSoPreload = Attack{
	Name:   "ld-so-preload",
	What:   "/etc/ld.so.preload names a library in /run, and a program of the image is started",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return first(
			plant(imageLibrary, library),
			write("/etc/ld.so.preload", 0o644, library+"\n"),
			g.intrude(library, exec.Command("/usr/bin/sleep", forever)),
		)
	},
	Undo: func(g *InGuest) error { return first(os.Remove("/etc/ld.so.preload"), g.expel()) },
	Changes: []Change{
		{"mappings-from-image", "pass from-image", "fail outside-image"},
		{"no-preload", "pass none", "fail preload"},
		{"writable-executables-declared", "pass declared", "fail undeclared"},
	},
	Level:    3,
	Mutation: Mutation{"verify/loader.go", "range l.Preload {", "range l.Preload[:0] {", "no-preload"},
}
