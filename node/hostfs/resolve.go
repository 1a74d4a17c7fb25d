//go:build unix

package hostfs

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/seaworthy/seaworthy/node"
)

// maxLinks is how many links one path may hold: MAXSYMLINKS of Linux.
const maxLinks = 40

// errUntouched says that a path leads to where nothing may be touched.
var errUntouched = errors.New("below a mount that is not touched")

// errKernelLink says that a path leads through a link of procfs to an open
// file, whose text does not say where it leads.
var errKernelLink = errors.New("a link of the kernel, which is not followed")

// avoided are the directories, relative to the root, that nothing may touch.
type avoided struct {
	dirs atomic.Pointer[map[string]bool]
}

// Avoid replaces what Avoid said before: mounts come and go. The root itself
// cannot be avoided.
func (a *avoided) Avoid(dirs []string) {
	set := make(map[string]bool, len(dirs))
	for _, d := range dirs {
		if d = path.Clean("/" + d)[1:]; d != "" {
			set[d] = true
		}
	}
	a.dirs.Store(&set)
}

// has reports whether p, which holds no link, is at or below one of them.
func (a *avoided) has(p string) bool {
	set := a.dirs.Load()
	if set == nil || len(*set) == 0 {
		return false
	}
	for i := range len(p) {
		if p[i] == '/' && (*set)[p[:i]] {
			return true
		}
	}
	return (*set)[p]
}

// plain reports whether name has neither ".." nor an empty part, so that
// without links it is the path that the kernel would walk.
func plain(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// resolve follows the links in name, in the last part only if follow says so,
// and returns a path without any. readlink returns the text of a link, or "" for
// what is none. A part that must not be touched is not even asked for.
func resolve(name string, follow bool, a *avoided, readlink func(string) (string, error)) (string, error) {
	left := strings.Split(strings.TrimRight(name, "/"), "/")
	at, links := "", 0
	for len(left) > 0 {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..": // at the root it stays there
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, part)
		if a.has(next) {
			return "", errUntouched
		}
		if len(left) == 0 && !follow {
			at = next
			continue
		}
		text, err := readlink(next)
		if err != nil {
			return "", err
		}
		if text == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		if text[0] == '/' {
			at = ""
		}
		left = append(strings.Split(text, "/"), left...)
	}
	if at == "" {
		at = "."
	}
	return at, nil
}

// refusal is the error for what the system said about name.
func refusal(op, name string, err error) *node.Error {
	if name == "." {
		name = ""
	}
	e := &node.Error{Op: op, Name: "/" + name, Code: node.Failed}
	var errno syscall.Errno
	switch {
	case errors.Is(err, errUntouched):
		e.Code = node.Untouched
		return e
	case !errors.As(err, &errno):
		if err != nil {
			e.Detail = err.Error()
		}
		return e
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ESRCH: // ESRCH: the process is gone
		e.Code = node.Absent
	case syscall.EACCES, syscall.EPERM:
		e.Code = node.Denied
	case syscall.ELOOP:
		e.Code = node.LinkLoop
	case syscall.EISDIR:
		e.Code, e.Detail = node.NotRegular, "a directory"
	case syscall.EOPNOTSUPP, syscall.ENOSYS:
		e.Code = node.Unsupported
	default:
		e.Detail = errno.Error()
	}
	return e
}

func tooLarge(op, name string, max int64, what string) *node.Error {
	e := refusal(op, name, nil)
	e.Code, e.Detail = node.TooLarge, fmt.Sprintf("more than %d %s", max, what)
	return e
}

func notRegular(op, name string, t node.FileType) *node.Error {
	e := refusal(op, name, nil)
	e.Code, e.Detail = node.NotRegular, map[node.FileType]string{
		node.Directory: "a directory",
		node.Symlink:   "a symbolic link",
		node.Socket:    "a socket",
		node.FIFO:      "a FIFO",
		node.CharDev:   "a character device",
		node.BlockDev:  "a block device",
	}[t]
	return e
}
