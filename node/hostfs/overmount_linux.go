package hostfs

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// errMountedOver says that a path in procfs or sysfs leads to something that was
// mounted there. Root hides a process by a mount over its folder, and a taint or
// a command line by one over the file; neither is the kernel's word then.
var errMountedOver = errors.New("something is mounted over it, so that it is not what the kernel says")

type submount struct {
	dir    string
	magics []int64
}

// has reports whether p is the folder or below it.
func (s submount) has(p string) bool { return p == s.dir || strings.HasPrefix(p, s.dir+"/") }

// submounts are the file systems of the kernel that systems mount on procfs and
// sysfs.
var submounts = []submount{
	{"proc/sys/fs/binfmt_misc", []int64{unix.BINFMTFS_MAGIC}},
	{"sys/firmware/efi/efivars", []int64{unix.EFIVARFS_MAGIC}},
	{"sys/fs/bpf", []int64{unix.BPF_FS_MAGIC}},
	{"sys/fs/cgroup", []int64{unix.CGROUP2_SUPER_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.TMPFS_MAGIC}}, // version 1 has folders of its own on a tmpfs
	{"sys/fs/selinux", []int64{unix.SELINUX_MAGIC}},
	{"sys/kernel/security", []int64{unix.SECURITYFS_MAGIC}},
}

// kernelDir is the descriptor of procfs or sysfs that p, which holds no link,
// lies in, and the rest of p; -1 where it lies in neither.
func (t *tree) kernelDir(p string) (dir int, rest string) {
	if rest, ok := strings.CutPrefix(p, "proc/"); ok {
		return t.proc, rest
	}
	if rest, ok := strings.CutPrefix(p, "sys/"); ok {
		return t.sys, rest
	}
	return -1, p
}

// openKernel opens the path p of a file system of the kernel, and nothing that
// is mounted over it.
func (t *tree) openKernel(dir int, rest, p string, flags int) (int, error) {
	if !t.openat2 {
		return t.walkKernel(dir, p, flags)
	}
	fd, err := openWithin(dir, rest, flags, unix.RESOLVE_NO_XDEV)
	if err != unix.EXDEV {
		return fd, err
	}
	for _, s := range submounts {
		if s.has(p) {
			return t.openSubmount(s, p, flags)
		}
	}
	// Looked at before it is opened: it may be a device.
	at, err := openWithin(t.root, p, flags&unix.O_NOFOLLOW|unix.O_PATH, 0)
	if err == unix.ENOENT {
		return -1, t.absence(p, func(fd int, _ string) bool { return t.overItself(fd) })
	}
	if err != nil {
		return -1, err
	}
	if !t.overItself(at) {
		unix.Close(at)
		return -1, errMountedOver
	}
	if flags&unix.O_PATH != 0 {
		return at, nil
	}
	defer unix.Close(at)
	return reopen(at, flags&^unix.O_NOFOLLOW)
}

// openSubmount opens a path of a file system of the kernel that is mounted on
// procfs or sysfs.
func (t *tree) openSubmount(s submount, p string, flags int) (int, error) {
	top, err := openWithin(t.root, s.dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	if !isOf(top, s.magics) {
		return -1, errMountedOver
	}
	rest := "."
	if p != s.dir {
		rest = p[len(s.dir)+1:]
	}
	fd, err := openWithin(top, rest, flags, unix.RESOLVE_NO_XDEV)
	if err != unix.EXDEV {
		return fd, err
	}
	at, err := openWithin(top, rest, flags&unix.O_NOFOLLOW|unix.O_PATH, 0) // a hierarchy of cgroups on the tmpfs
	if err != nil {
		return -1, err
	}
	if len(s.magics) == 1 || !isOf(at, s.magics[:2]) {
		unix.Close(at)
		return -1, errMountedOver
	}
	if flags&unix.O_PATH != 0 {
		return at, nil
	}
	defer unix.Close(at)
	return reopen(at, flags&^unix.O_NOFOLLOW)
}

// walkKernel is openKernel before Linux 5.6: what was opened must be of the file
// system of dir, or of one that systems mount there. A file of the same file
// system that is mounted over another is not told from it.
func (t *tree) walkKernel(dir int, p string, flags int) (int, error) {
	ours := func(fd int, p string) bool {
		var own, st unix.Stat_t
		if errors.Join(unix.Fstat(dir, &own), unix.Fstat(fd, &st)) == nil && own.Dev == st.Dev {
			return true
		}
		return slices.ContainsFunc(submounts, func(s submount) bool { return s.has(p) && isOf(fd, s.magics) })
	}
	fd, err := t.walk(p, flags)
	if err == unix.ENOENT {
		return -1, t.absence(p, ours)
	}
	if err != nil {
		return -1, err
	}
	if !ours(fd, p) {
		unix.Close(fd)
		return -1, errMountedOver
	}
	return fd, nil
}

// absence is the error for a path that is not there: it is absent only where the
// nearest folder above it that is there is the kernel's.
func (t *tree) absence(p string, kernels func(fd int, dir string) bool) error {
	for dir := path.Dir(p); strings.Contains(dir, "/"); dir = path.Dir(dir) {
		fd, err := t.walk(dir, unix.O_PATH)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return err
		}
		ok := kernels(fd, dir)
		unix.Close(fd)
		if !ok {
			return errMountedOver
		}
		break
	}
	return unix.ENOENT
}

func isOf(fd int, magics []int64) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && slices.Contains(magics, int64(st.Type))
}

// overItself reports whether a descriptor is on a mount of procfs over the very
// same place of it, as container runtimes make /proc/sys read-only.
func (t *tree) overItself(fd int) bool {
	thread, err := readLink(t.proc, "thread-self")
	if err != nil {
		return false
	}
	table, err := openWithin(t.proc, thread+"/mountinfo", readFlags, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return false
	}
	defer unix.Close(table)
	b, err := readAll(table, 16<<20)
	if err != nil {
		return false
	}
	over, ok := mountOf(fd, b)
	own, found := mountOf(t.proc, b)
	return ok && found && own.root == "/" && over.dev == own.dev && over.at == path.Join(own.at, over.root)
}

// aMount is what of a line of proc_pid_mountinfo(5) overItself compares.
type aMount struct{ dev, root, at string }

// mountOf finds the mount of a descriptor in a mount table.
func mountOf(fd int, table []byte) (aMount, bool) {
	id, err := mountID(fd)
	if err != nil {
		return aMount{}, false
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.SplitN(line, " ", 6); len(f) == 6 && f[0] == id {
			return aMount{f[2], f[3], f[4]}, true
		}
	}
	return aMount{}, false
}
