//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// silentFUSE is a FUSE file system whose daemon says hello and then takes every
// question without answering it. Whoever asks hangs: once the daemon has the
// question not even SIGKILL ends that. With a file in it, the daemon answers what
// opening this takes, and is silent when it is read.
type silentFUSE struct {
	at   string
	dev  *os.File
	file string // the name of its only file, "" for none

	mu    sync.Mutex
	asked []FUSERequest // what it did not answer
}

// FUSERequest is a question that was not answered.
type FUSERequest struct {
	Opcode uint32 `json:"opcode"` // enum fuse_opcode of the kernel's include/uapi/linux/fuse.h
	PID    int    `json:"pid"`    // who asked
}

// The requests that are answered: enum fuse_opcode.
const (
	fuseLookup  = 1
	fuseForget  = 2
	fuseGetattr = 3
	fuseOpen    = 14
	fuseRelease = 18
	fuseFlush   = 25
	fuseInit    = 26
)

// mountSilent mounts such a file system on a folder.
func mountSilent(at, file string) (*silentFUSE, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("silent", at, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting FUSE on %s: %w", at, err), unix.Close(fd))
	}
	s := &silentFUSE{at: at, dev: os.NewFile(uintptr(fd), "/dev/fuse"), file: file}
	go s.serve()
	return s, nil
}

// unanswered are the questions so far.
func (s *silentFUSE) unanswered() []FUSERequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]FUSERequest{}, s.asked...)
}

// end ends the daemon: the kernel tells whoever waits.
func (s *silentFUSE) end() error { return s.dev.Close() }

func (s *silentFUSE) serve() {
	request := make([]byte, 1<<20)
	e := binary.NativeEndian
	for {
		n, err := s.dev.Read(request)
		if err != nil { // it was ended, or unmounted
			return
		}
		const head = 40 // struct fuse_in_header: len, opcode, unique, nodeid, uid, gid, pid
		if n < head {
			continue
		}
		opcode, unique := e.Uint32(request[4:]), e.Uint64(request[8:])
		var answer []byte
		switch {
		case opcode == fuseInit: // struct fuse_init_out
			answer = make([]byte, 64)
			e.PutUint32(answer[0:], 7)
			e.PutUint32(answer[4:], 31)
			e.PutUint32(answer[20:], 4096)
		case opcode == fuseForget:
			continue
		case s.file != "" && opcode == fuseLookup: // struct fuse_entry_out
			answer = append(make([]byte, 40), s.attributes(2)...)
			e.PutUint64(answer[0:], 2)
			e.PutUint64(answer[16:], 3600)
			e.PutUint64(answer[24:], 3600)
		case s.file != "" && opcode == fuseGetattr: // struct fuse_attr_out
			answer = append(make([]byte, 16), s.attributes(e.Uint64(request[16:]))...)
			e.PutUint64(answer[0:], 3600)
		case s.file != "" && opcode == fuseOpen: // struct fuse_open_out
			answer = make([]byte, 16)
		case s.file != "" && (opcode == fuseFlush || opcode == fuseRelease):
			answer = []byte{}
		default:
			s.mu.Lock()
			s.asked = append(s.asked, FUSERequest{opcode, int(e.Uint32(request[32:]))})
			s.mu.Unlock()
			continue
		}
		out := make([]byte, 16, 16+len(answer)) // struct fuse_out_header: len, error, unique
		e.PutUint32(out[0:], uint32(16+len(answer)))
		e.PutUint64(out[8:], unique)
		if _, err := s.dev.Write(append(out, answer...)); err != nil {
			fmt.Printf(guestSays+"FUSE %s: answering %d: %v\n", s.at, opcode, err)
		}
	}
}

// attributes are struct fuse_attr of the root, which is node 1, or of the file.
func (s *silentFUSE) attributes(node uint64) []byte {
	b := make([]byte, 88)
	e := binary.NativeEndian
	e.PutUint64(b[0:], node)
	e.PutUint64(b[8:], 1<<16) // size
	mode := uint32(unix.S_IFREG | 0o644)
	if node == 1 {
		mode = unix.S_IFDIR | 0o755
	}
	e.PutUint32(b[60:], mode)
	e.PutUint32(b[64:], 1)
	return b
}
