//go:build unix && !linux

package hostfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// tree is a file tree on a system that is not Linux: a copy of a host.
type tree struct {
	avoided
	root *os.Root
}

func machine(string) (*node.Host, error) {
	return nil, fmt.Errorf("this is %s, and only a Linux machine can be read: record one with `seaworthy capture -w FILE` there, then `seaworthy scan --capture FILE` here", runtime.GOOS)
}

func fileTree(dir string) (*node.Host, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the root %q: %w", dir, err)
	}
	return &node.Host{FS: &tree{root: root}}, nil
}

// resolve returns the path that name leads to and what is there.
func (t *tree) resolve(name string, follow bool) (string, fs.FileInfo, error) {
	p, err := resolve(name, follow, &t.avoided, func(p string) (string, error) {
		info, err := t.root.Lstat(p)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return "", err
		}
		return t.root.Readlink(p)
	})
	if err != nil {
		return "", nil, err
	}
	info, err := t.root.Lstat(p)
	return p, info, err
}

func (t *tree) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	const op = "reading"
	p, info, err := t.resolve(name, true)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(op, name, fileType(info.Mode()))
	}
	f, err := t.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
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

func (t *tree) Digest(name string, max int64) (string, error) {
	const op = "hashing"
	p, info, err := t.resolve(name, true)
	if err != nil {
		return "", refusal(op, name, err)
	}
	if !info.Mode().IsRegular() {
		return "", notRegular(op, name, fileType(info.Mode()))
	}
	f, err := t.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", refusal(op, name, err)
	}
	defer f.Close()
	sum, err := digest(f.Read, max)
	if errors.Is(err, errTooLarge) {
		return "", tooLarge(op, name, max, "bytes")
	}
	if err != nil {
		return "", refusal(op, name, err)
	}
	return sum, nil
}

func (t *tree) Head(name string, n int) ([]byte, error) {
	const op = "reading the head of"
	p, info, err := t.resolve(name, true)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(op, name, fileType(info.Mode()))
	}
	f, err := t.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(n)))
	if err != nil {
		return nil, refusal(op, name, err)
	}
	return b, nil
}

func (t *tree) ReadDir(name string, max int) ([]node.DirEntry, error) {
	const op = "listing"
	p, info, err := t.resolve(name, true)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, refusal(op, name, err)
	}
	f, err := t.root.Open(p)
	if err != nil {
		return nil, refusal(op, name, err)
	}
	defer f.Close()
	entries, err := f.ReadDir(max + 1)
	if err != nil && err != io.EOF {
		return nil, refusal(op, name, err)
	}
	if len(entries) > max {
		return nil, tooLarge(op, name, int64(max), "entries")
	}
	out := make([]node.DirEntry, 0, len(entries))
	for _, e := range entries {
		out = append(out, node.DirEntry{Name: e.Name(), Type: fileType(e.Type())})
	}
	slices.SortFunc(out, func(a, b node.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (t *tree) Lstat(name string) (node.FileInfo, error) { return t.info(name, false) }
func (t *tree) Stat(name string) (node.FileInfo, error)  { return t.info(name, true) }

func (t *tree) info(name string, follow bool) (node.FileInfo, error) {
	_, info, err := t.resolve(name, follow)
	if err != nil {
		return node.FileInfo{}, refusal("looking at", name, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return node.FileInfo{}, refusal("looking at", name, errors.New("the system tells no owner"))
	}
	return node.FileInfo{
		Type: fileType(info.Mode()),
		Mode: uint32(st.Mode) & 0o7777,
		UID:  st.Uid,
		GID:  st.Gid,
		Size: info.Size(),
		Dev:  fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))),
		Ino:  uint64(st.Ino),
	}, nil
}

func (t *tree) ReadLink(name string) (string, error) {
	p, info, err := t.resolve(name, false)
	if err == nil && info.Mode()&fs.ModeSymlink == 0 {
		err = errors.New("not a symbolic link")
	}
	var text string
	if err == nil {
		text, err = t.root.Readlink(path.Clean(p))
	}
	if err != nil {
		return "", refusal("reading link", name, err)
	}
	return text, nil
}

func (t *tree) Xattr(name, _ string) ([]byte, error) {
	return nil, refusal("reading attribute of", name, syscall.EOPNOTSUPP)
}

func fileType(m fs.FileMode) node.FileType {
	switch {
	case m.IsRegular():
		return node.Regular
	case m.IsDir():
		return node.Directory
	case m&fs.ModeSymlink != 0:
		return node.Symlink
	case m&fs.ModeSocket != 0:
		return node.Socket
	case m&fs.ModeNamedPipe != 0:
		return node.FIFO
	case m&fs.ModeCharDevice != 0:
		return node.CharDev
	case m&fs.ModeDevice != 0:
		return node.BlockDev
	}
	return node.OtherType
}
