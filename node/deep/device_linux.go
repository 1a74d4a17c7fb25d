package deep

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

func idly(read func()) { hostfs.Idly(read) }

// newBuffer is memory that begins with a page.
func newBuffer(n int) []byte {
	buf, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return make([]byte, n) // what is read past the page cache is then refused, and read through it
	}
	return buf[:n:n]
}

// freeBuffer gives a buffer back. Of one that was made otherwise the garbage
// collector takes care.
func freeBuffer(buf []byte) {
	_ = unix.Munmap(buf)
}

// Input is a block device or a file that is read without leaving it in the page
// cache, as far as its file system can.
type Input struct {
	fd     int
	direct bool
	size   int64
}

// Open opens a block device or a file to be proven, following links.
func Open(name string) (*Input, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	defer unix.Close(fd)
	in, err := reopen(fd, true, nil)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	return in, nil
}

// reopen opens for reading what a descriptor of O_PATH leads to, if it is a
// regular file or a block device and want agrees. To open anything else can do
// something.
func reopen(fd int, direct bool, want func(unix.Stat_t) bool) (*Input, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFBLK && kind != unix.S_IFREG || want != nil && !want(st) {
		return nil, errors.New("it is not the block device or file that was expected")
	}
	self := "/proc/self/fd/" + strconv.Itoa(fd)
	in := &Input{}
	var err error
	for _, flags := range []int{unix.O_DIRECT | unix.O_NOATIME, unix.O_DIRECT, unix.O_NOATIME, 0} {
		if flags&unix.O_DIRECT != 0 && !direct {
			continue
		}
		in.direct = flags&unix.O_DIRECT != 0
		in.fd, err = unix.Open(self, flags|unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		// Not every file system has O_DIRECT, and O_NOATIME is for the owner.
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if in.size, err = unix.Seek(in.fd, 0, io.SeekEnd); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// Size is how many bytes there are.
func (in *Input) Size() int64 { return in.size }

// Close closes it.
func (in *Input) Close() { unix.Close(in.fd) }

// ReadAt reads as [pages] says.
func (in *Input) ReadAt(buf []byte, offset int64) (int, error) {
	for {
		n, err := unix.Pread(in.fd, buf, offset)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EINVAL) && in.direct:
			// The device has larger sectors, or the file system cannot after all.
			flags, err := unix.FcntlInt(uintptr(in.fd), unix.F_GETFL, 0)
			if err == nil {
				_, err = unix.FcntlInt(uintptr(in.fd), unix.F_SETFL, flags&^unix.O_DIRECT)
			}
			if err != nil {
				return 0, err
			}
			in.direct = false
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		if !in.direct {
			// The image is larger than what the node's own work keeps in memory. Pages that a
			// program has mapped stay.
			_ = unix.Fadvise(in.fd, offset, int64(n), unix.FADV_DONTNEED)
		}
		return n, nil
	}
}

// openDevice opens the block device of this number, by the name that the kernel
// gives it. Source: the kernel's Documentation/ABI/testing/sysfs-uevent.
func (a *asking) openDevice(dev string) (*Input, error) {
	if err := a.onDisk(dev, 0); err != nil {
		return nil, err
	}
	event := "sys/dev/block/" + dev + "/uevent"
	b, err := a.fs.ReadFile(event, 64<<10, nil)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "DEVNAME=")
		if !ok {
			continue
		}
		name = path.Join("/dev", path.Clean("/"+name))
		fd, err := unix.Open(path.Join(a.root, name), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, refused(name, err)
		}
		defer unix.Close(fd)
		in, err := reopen(fd, true, func(st unix.Stat_t) bool {
			return st.Mode&unix.S_IFMT == unix.S_IFBLK && fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)) == dev
		})
		if err != nil {
			return nil, refused(name, err)
		}
		return in, nil
	}
	return nil, fmt.Errorf("reading /%s: it names no device", event)
}

// refused is why a file could not be opened, as all errors of a host are.
func refused(name string, err error) *node.Error {
	e := &node.Error{Op: "opening", Name: name, Code: node.Failed, Detail: err.Error()}
	switch {
	case errors.Is(err, unix.ENOENT):
		e.Code, e.Detail = node.Absent, ""
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		e.Code, e.Detail = node.Denied, ""
	case errors.Is(err, unix.ELOOP):
		e.Code, e.Detail = node.NotRegular, ""
	}
	return e
}

// maxBelow is how many devices stand on each other at most.
const maxBelow = 16

// onDisk makes sure that no device below one is a loop device on a file of a FUSE
// or network file system, which would be read through it. Source: the kernel's
// Documentation/ABI/stable/sysfs-block and drivers/block/loop.c.
func (a *asking) onDisk(dev string, depth int) error {
	if depth == maxBelow {
		return fmt.Errorf("looking below the device %s: more than %d stand on each other", dev, maxBelow)
	}
	dir := "sys/dev/block/" + dev
	link, err := a.fs.ReadLink(dir)
	if err != nil {
		return err
	}
	at := path.Join("sys/dev/block", link)
	disks := []string{at}
	if _, err := a.fs.Lstat(at + "/partition"); err == nil {
		disks = append(disks, path.Dir(at))
	}
	for _, disk := range disks {
		b, err := a.fs.ReadFile(disk+"/loop/backing_file", 64<<10, nil)
		if err == nil {
			file := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), " (deleted)"), "/")
			_, err = a.fs.Lstat(file)
		}
		if err != nil && !node.IsAbsent(err) {
			return err
		}
		below, err := a.fs.ReadDir(disk+"/slaves", 4096)
		if err != nil && !node.IsAbsent(err) { // a partition has none of its own
			return err
		}
		for _, s := range below {
			b, err := a.fs.ReadFile(disk+"/slaves/"+s.Name+"/dev", 64, nil)
			if err != nil {
				return err
			}
			if err := a.onDisk(strings.TrimSpace(string(b)), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// openFile opens a regular file that is on no FUSE or network file system, and no
// other that took its place.
func (a *asking) openFile(of string) (*Input, error) {
	info, err := a.fs.Lstat(of)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(path.Join(a.root, of), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refused("/"+of, err)
	}
	defer unix.Close(fd)
	// A file with fs-verity is read through the page cache whatever one asks for:
	// what is said to be direct would only stay there.
	in, err := reopen(fd, false, func(st unix.Stat_t) bool {
		return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Ino == info.Ino && fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)) == info.Dev
	})
	if err != nil {
		return nil, refused("/"+of, err)
	}
	return in, nil
}
