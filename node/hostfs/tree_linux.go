package hostfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// tree is a file tree on Linux.
type tree struct {
	avoided
	digests digests
	root    int  // O_PATH
	openat2 bool // Linux 5.6; a seccomp filter may refuse it
	// proc and sys are procfs and sysfs on the tree's /proc and /sys, -1 where
	// they are something else. They hold no device, FIFO or socket, so that files
	// in them are opened at once and without leaving the file system.
	proc, sys int
	// falseSys marks a machine whose /sys is something else than sysfs.
	falseSys bool
}

func fileTree(dir string) (*node.Host, error) {
	t, err := newTree(dir)
	if err != nil {
		return nil, err
	}
	return &node.Host{FS: t}, nil
}

func machine(root string) (*node.Host, error) {
	t, err := newTree(root)
	if err != nil {
		return nil, err
	}
	if t.proc < 0 {
		return nil, fmt.Errorf("opening the machine at %q: its /proc is not procfs; for a file tree without a kernel use --root", root)
	}
	if t.sys < 0 {
		fd, err := t.openPath("sys", unix.O_PATH)
		if t.falseSys = err == nil; t.falseSys {
			unix.Close(fd)
		}
	}
	return &node.Host{FS: t, Kernel: &kernel{t}}, nil
}

func newTree(dir string) (*tree, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the root %q: %w", dir, err)
	}
	t := &tree{root: root, proc: -1, sys: -1}
	if fd, err := openWithin(root, ".", unix.O_PATH, 0); err == nil {
		unix.Close(fd)
		t.openat2 = true
	}
	t.proc = t.mounted("proc", unix.PROC_SUPER_MAGIC)
	t.sys = t.mounted("sys", unix.SYSFS_MAGIC)
	return t, nil
}

// mounted opens a directory of the root if it is a file system of this type.
func (t *tree) mounted(dir string, magic int64) int {
	fd, err := t.openPath(dir, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return -1
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || int64(st.Type) != magic {
		unix.Close(fd)
		return -1
	}
	return fd
}

// openWithin opens a path below dir that holds no link: with one it is ELOOP.
func openWithin(dir int, p string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | resolve,
	}
	for {
		fd, err := unix.Openat2(dir, p, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// openPath opens a path that holds no link, but for a last one with
// O_PATH|O_NOFOLLOW, which then is what is opened.
func (t *tree) openPath(p string, flags int) (int, error) {
	if t.falseSys && strings.HasPrefix(p, "sys/") {
		return -1, errMountedOver
	}
	if dir, rest := t.kernelDir(p); dir >= 0 {
		return t.openKernel(dir, rest, p, flags)
	}
	if t.openat2 {
		return openWithin(t.root, p, flags, 0)
	}
	return t.walk(p, flags)
}

// walk opens a path part by part.
func (t *tree) walk(p string, flags int) (int, error) {
	at := t.root
	for {
		part, rest, more := strings.Cut(p, "/")
		open := unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
		if !more && flags&unix.O_PATH == 0 {
			open = flags | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := unix.Openat(at, part, open, 0)
		if err == unix.ENOTDIR { // what O_DIRECTORY says of a link
			var st unix.Stat_t
			if unix.Fstatat(at, part, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
				err = unix.ELOOP
			}
		}
		if at != t.root {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		if more || flags&unix.O_NOFOLLOW == 0 && flags&unix.O_PATH != 0 {
			var st unix.Stat_t
			if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
				err = unix.ELOOP
			}
			if err != nil {
				unix.Close(fd)
				return -1, err
			}
		}
		if !more {
			return fd, nil
		}
		at, p = fd, rest
	}
}

// open opens name after its links, in the last part only if follow says so.
func (t *tree) open(name string, follow bool, flags int) (int, error) {
	if name == "" {
		name = "."
	}
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	if name == "." || plain(name) {
		if t.has(name) {
			return -1, errUntouched
		}
		fd, err := t.openPath(name, flags)
		if !errors.Is(err, unix.ELOOP) {
			return fd, err
		}
	}
	p, err := resolve(name, follow, &t.avoided, t.linkText)
	if err != nil {
		return -1, err
	}
	return t.openPath(p, flags|unix.O_NOFOLLOW)
}

// linkText returns the text of a link, or "" for what is none.
func (t *tree) linkText(p string) (string, error) {
	fd, err := t.openPath(p, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", nil
	}
	if kernelLink(p) {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return "", err
		}
		if fs.Type == unix.PROC_SUPER_MAGIC {
			return "", errKernelLink
		}
	}
	return readLink(fd, "")
}

// kernelLink reports whether p ends as the links of a process in procfs do that
// lead to open files: proc_pid_exe(5), proc_pid_cwd(5), proc_pid_root(5),
// proc_pid_fd(5), proc_pid_ns(5), proc_pid_map_files(5).
func kernelLink(p string) bool {
	parts := strings.Split(p, "/")
	n := len(parts)
	if n < 2 {
		return false
	}
	at := n - 2 // the process's directory
	switch {
	case slices.Contains([]string{"exe", "cwd", "root"}, parts[n-1]):
	case n > 2 && slices.Contains([]string{"fd", "ns", "map_files"}, parts[n-2]):
		at = n - 3
	default:
		return false
	}
	return parts[at] != "" && strings.Trim(parts[at], "0123456789") == ""
}

func readLink(dir int, p string) (string, error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Readlinkat(dir, p, buf)
		if err != nil {
			return "", err
		}
		if n < len(buf) {
			return string(buf[:n]), nil
		}
		buf = make([]byte, 4*len(buf))
	}
}

// openKernelFile opens what stands in procfs or sysfs itself; ok is false where
// name does not.
func (t *tree) openKernelFile(name string, flags int) (fd int, ok bool, err error) {
	dir, p := t.kernelDir(name)
	if dir < 0 || !t.openat2 || !plain(p) || t.has(name) {
		return -1, false, nil
	}
	fd, err = openWithin(dir, p, flags, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EXDEV) {
		return -1, false, nil
	}
	return fd, true, err
}

// readFlags never wait for another side and never make a terminal ours.
const readFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY

func (t *tree) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	const op = "reading"
	fd, ok, err := t.openKernelFile(name, readFlags)
	if !ok {
		fd, err = t.openRegular(name, max)
	}
	if err != nil {
		var e *node.Error
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, refusal(op, name, err)
	}
	defer unix.Close(fd)
	b, err := readAll(fd, max)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	if redact != nil && int64(len(b)) <= max {
		b = redact(b)
	}
	if int64(len(b)) > max {
		return nil, tooLarge(op, name, max, "bytes")
	}
	return b, nil
}

// Digest hashes a file once for as long as its inode, size and time of change
// (statx(2), stx_ctime) stay the same.
func (t *tree) Digest(name string, max int64) (string, error) {
	const op = "hashing"
	fd, err := t.openRegular(name, max)
	if err != nil {
		var e *node.Error
		if errors.As(err, &e) {
			return "", &node.Error{Op: op, Name: e.Name, Code: e.Code, Detail: e.Detail}
		}
		return "", refusal(op, name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", refusal(op, name, err)
	}
	key := content{st.Dev, st.Ino, st.Size, st.Ctim}
	if sum, ok := t.digests.get(key); ok {
		return sum, nil
	}
	var sum string
	Idly(func() {
		sum, err = digest(func(p []byte) (int, error) {
			for {
				n, err := unix.Read(fd, p)
				if err != unix.EINTR {
					return n, err
				}
			}
		}, max)
	})
	if errors.Is(err, errTooLarge) {
		return "", tooLarge(op, name, max, "bytes")
	}
	if err != nil {
		return "", refusal(op, name, err)
	}
	t.digests.put(key, sum)
	return sum, nil
}

func (t *tree) Head(name string, n int) ([]byte, error) {
	const op = "reading the head of"
	fd, err := t.openRegular(name, math.MaxInt64)
	if err != nil {
		var e *node.Error
		if errors.As(err, &e) {
			return nil, &node.Error{Op: op, Name: e.Name, Code: e.Code, Detail: e.Detail}
		}
		return nil, refusal(op, name, err)
	}
	defer unix.Close(fd)
	b := make([]byte, n)
	for got := 0; ; {
		m, err := unix.Read(fd, b[got:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, refusal(op, name, err)
		case m == 0: // the end, or nothing left to ask for
			return b[:got], nil
		default:
			got += m
		}
	}
}

// content tells whether a file was changed since it was hashed. Whoever can set
// the clock or write to the device below the file system can deceive it.
type content struct {
	dev   uint64
	ino   uint64
	size  int64
	ctime unix.Timespec
}

// digests are the last sums that were made or asked for, in two generations: what
// was asked for lately outlives what was not.
type digests struct {
	mu       sync.Mutex
	new, old map[content]string
}

// maxDigests bounds a generation at about 1 MiB.
const maxDigests = 1 << 13

func (d *digests) get(c content) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sum, ok := d.new[c]; ok {
		return sum, true
	}
	sum, ok := d.old[c]
	if ok {
		d.add(c, sum)
	}
	return sum, ok
}

func (d *digests) put(c content, sum string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(c, sum)
}

func (d *digests) add(c content, sum string) {
	if d.new == nil || len(d.new) >= maxDigests {
		d.new, d.old = map[content]string{}, d.new
	}
	d.new[c] = sum
}

// openRegular opens a regular file for reading. It looks first: opening a device
// or a FIFO can have an effect, and a file may be too large to begin with.
func (t *tree) openRegular(name string, max int64) (int, error) {
	at, err := t.open(name, true, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return -1, err
	}
	if typ := fileType(st.Mode); typ != node.Regular {
		return -1, notRegular("reading", name, typ)
	}
	if st.Size > max {
		return -1, tooLarge("reading", name, max, "bytes")
	}
	return unseen(func(noatime int) (int, error) { return reopen(at, readFlags|noatime) })
}

// unseen opens something for reading so that this is not noted as its time of last
// access, which would be a write to the disk. That is for whoever owns it or has
// CAP_FOWNER; others read it as everybody does. Source: open(2), O_NOATIME.
func unseen(open func(noatime int) (int, error)) (int, error) {
	fd, err := open(unix.O_NOATIME)
	if err == unix.EPERM {
		return open(0)
	}
	return fd, err
}

// reopen opens what an O_PATH descriptor stands for. Source: open(2), O_PATH.
func reopen(fd, flags int) (int, error) {
	again, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return -1, errors.New("this program needs its own /proc to open a file")
	}
	return again, err
}

// scratch lets files of unknown size, which those of procfs are, be read in one
// go and copied to their size.
var scratch = sync.Pool{New: func() any { return &buffer{make([]byte, 32<<10)} }}

type buffer struct{ b []byte }

// readAll reads at most one byte more than max.
func readAll(fd int, max int64) ([]byte, error) {
	buf := scratch.Get().(*buffer)
	defer scratch.Put(buf)
	size := 0
	for int64(size) <= max {
		if size == len(buf.b) {
			buf.b = append(buf.b, make([]byte, size)...) // kept for the next large file
		}
		n, err := unix.Read(fd, buf.b[size:min(int64(len(buf.b)), max+1)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return append([]byte{}, buf.b[:size]...), nil
		default:
			size += n
		}
	}
	return append([]byte{}, buf.b[:size]...), nil
}

func (t *tree) ReadDir(name string, max int) ([]node.DirEntry, error) {
	const op = "listing"
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_DIRECTORY
	fd, ok, err := t.openKernelFile(name, flags)
	if !ok {
		fd, err = unseen(func(noatime int) (int, error) { return t.open(name, true, flags|noatime) }) // O_DIRECTORY opens nothing else
	}
	if err == unix.ENOTDIR {
		if _, statErr := t.Stat(name); statErr == nil {
			return nil, refusal(op, name, errors.New("not a directory"))
		}
	}
	if err != nil {
		return nil, refusal(op, name, err)
	}
	defer unix.Close(fd)
	buf := scratch.Get().(*buffer)
	defer scratch.Put(buf)
	out := []node.DirEntry{}
	for {
		n, err := unix.Getdents(fd, buf.b)
		if err != nil {
			return nil, refusal(op, name, err)
		}
		if n == 0 {
			break
		}
		if out, err = appendEntries(out, buf.b[:n]); err != nil {
			return nil, refusal(op, name, err)
		}
		if len(out) > max {
			return nil, tooLarge(op, name, int64(max), "entries")
		}
	}
	for i, e := range out {
		if e.Type != "" {
			continue
		}
		// Some file systems do not say what an entry is.
		out[i].Type = node.OtherType
		var st unix.Stat_t
		if !t.has(strings.TrimPrefix(name+"/"+e.Name, "./")) &&
			unix.Fstatat(fd, e.Name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) == nil {
			out[i].Type = fileType(st.Mode)
		}
	}
	slices.SortFunc(out, func(a, b node.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// appendEntries parses what getdents64(2) wrote. An entry of unknown type has none.
func appendEntries(out []node.DirEntry, b []byte) ([]node.DirEntry, error) {
	const head = 19 // d_ino, d_off, d_reclen, d_type
	for len(b) > 0 {
		if len(b) < head {
			return nil, errors.New("a directory entry is cut")
		}
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size < head || size > len(b) {
			return nil, fmt.Errorf("a directory entry of %d bytes, of which there are %d", size, len(b))
		}
		name, _, _ := strings.Cut(string(b[head:size]), "\x00")
		if name != "." && name != ".." && name != "" {
			var typ node.FileType
			if b[18] != unix.DT_UNKNOWN {
				typ = fileType(uint32(b[18]) << 12) // DTTOIF of dirent.h
			}
			out = append(out, node.DirEntry{Name: name, Type: typ})
		}
		b = b[size:]
	}
	return out, nil
}

func (t *tree) Lstat(name string) (node.FileInfo, error) { return t.info(name, false) }
func (t *tree) Stat(name string) (node.FileInfo, error)  { return t.info(name, true) }

func (t *tree) info(name string, follow bool) (node.FileInfo, error) {
	const op = "looking at"
	fd, err := t.open(name, follow, unix.O_PATH)
	if err != nil {
		return node.FileInfo{}, refusal(op, name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return node.FileInfo{}, refusal(op, name, err)
	}
	return node.FileInfo{
		Type: fileType(st.Mode),
		Mode: st.Mode & 0o7777,
		UID:  st.Uid,
		GID:  st.Gid,
		Size: st.Size,
		Dev:  fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))),
		Ino:  st.Ino,
	}, nil
}

func (t *tree) ReadLink(name string) (string, error) {
	const op = "reading link"
	// Links of processes are many. Their folders hold no other links. A mount over
	// the folder of a process or of its descriptors is seen when that is listed.
	if p, ok := strings.CutPrefix(name, "proc/"); ok && t.proc >= 0 && processLink(p) && !t.has(name) {
		text, err := readLink(t.proc, p)
		if err != nil {
			return "", refusal(op, name, err)
		}
		return text, nil
	}
	fd, err := t.open(name, false, unix.O_PATH)
	if err != nil {
		return "", refusal(op, name, err)
	}
	defer unix.Close(fd)
	text, err := readLink(fd, "")
	if err == unix.EINVAL || err == unix.ENOENT { // ENOENT: readlinkat(2) of no link and an empty path
		err = errors.New("not a symbolic link")
	}
	if err != nil {
		return "", refusal(op, name, err)
	}
	return text, nil
}

// processLink reports whether p is a link of a process, relative to procfs.
func processLink(p string) bool {
	first, rest, _ := strings.Cut(p, "/")
	if first == "" || strings.Trim(first, "0123456789") != "" {
		return false
	}
	dir, last, below := strings.Cut(rest, "/")
	if !below {
		return dir == "exe" || dir == "cwd" || dir == "root"
	}
	return dir == "fd" && last != "" && last[0] != '.' && !strings.Contains(last, "/")
}

// maxXattr is the largest value of an attribute: XATTR_SIZE_MAX.
const maxXattr = 64 << 10

func (t *tree) Xattr(name, attr string) ([]byte, error) {
	const op = "reading attribute of"
	fd, err := t.open(name, false, unix.O_PATH)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 256)
	// fgetxattr(2) refuses an O_PATH descriptor.
	n, err := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), attr, buf)
	if err == unix.ERANGE {
		buf = make([]byte, maxXattr)
		n, err = unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), attr, buf)
	}
	if err == unix.ENODATA {
		err = unix.ENOENT
	}
	if err != nil {
		return nil, refusal(op, name, err)
	}
	return slices.Clone(buf[:n]), nil
}

func fileType(mode uint32) node.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return node.Regular
	case unix.S_IFDIR:
		return node.Directory
	case unix.S_IFLNK:
		return node.Symlink
	case unix.S_IFSOCK:
		return node.Socket
	case unix.S_IFIFO:
		return node.FIFO
	case unix.S_IFCHR:
		return node.CharDev
	case unix.S_IFBLK:
		return node.BlockDev
	}
	return node.OtherType
}
