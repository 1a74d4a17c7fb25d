package hostfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// silentFUSE mounts a FUSE file system on dir, in a mount namespace of the
// calling thread, whose daemon says hello and then never answers. asked reports
// whether anybody asked it something since.
func silentFUSE(t *testing.T, dir string) (asked func(wait bool) bool, abort func()) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("SKIPPED: no FUSE here: %v", err)
	}
	open := true
	abort = func() {
		if open {
			unix.Close(fd) // the kernel then ends what waits for us
			open = false
		}
	}
	t.Cleanup(abort)
	runtime.LockOSThread() // for good: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Skipf("SKIPPED: no mount namespace can be made here (root can): %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("silent", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		t.Skipf("SKIPPED: FUSE cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })

	// struct fuse_in_header, fuse_out_header and fuse_init_out of the kernel's
	// include/uapi/linux/fuse.h.
	request := make([]byte, 1<<20)
	n, err := unix.Read(fd, request)
	e := binary.NativeEndian
	if err != nil || n < 40 || e.Uint32(request[4:]) != 26 {
		t.Fatalf("the first request is no FUSE_INIT: %d bytes, %v", n, err)
	}
	answer := make([]byte, 16+64)
	e.PutUint32(answer[0:], uint32(len(answer)))
	e.PutUint64(answer[8:], e.Uint64(request[8:]))
	e.PutUint32(answer[16:], 7)
	e.PutUint32(answer[20:], 31)
	e.PutUint32(answer[36:], 4096)
	if _, err := unix.Write(fd, answer); err != nil {
		t.Fatal(err)
	}
	return func(wait bool) bool {
		timeout := 0
		if wait {
			timeout = -1
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, timeout)
		return err == nil && n == 1
	}, abort
}

func TestFUSEThatNeverAnswers(t *testing.T) {
	root := t.TempDir()
	mkdir(t, filepath.Join(root, "mnt/fuse"))
	write(t, filepath.Join(root, "etc/hostname"), "n1\n")
	write(t, filepath.Join(root, "proc/1/mountinfo"), "1 0 8:1 / / rw - ext4 x rw\n2 1 0:99 / /mnt/fuse rw - fuse silent rw\n")
	link(t, "/mnt/fuse", filepath.Join(root, "link"))
	t.Run("in a thread of its own", func(t *testing.T) {
		asked, abort := silentFUSE(t, filepath.Join(root, "mnt/fuse"))
		h, err := Tree(root)
		if err != nil {
			t.Fatal(err)
		}
		facts := node.Gather(context.Background(), h, time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
		if mounts, _, missing := node.Mounts.Of(facts); missing != nil || len(mounts) != 2 {
			t.Errorf("got %v, %v", mounts, missing)
		}
		k := kernel{h.FS.(*tree)}
		for _, name := range []string{"mnt/fuse", "mnt/fuse/x", "link", "link/x", "etc/../link/x"} {
			for op, err := range map[string]error{
				"ReadFile": second(h.FS.ReadFile(name, 10, nil)),
				"ReadDir":  second(h.FS.ReadDir(name, 10)),
				"Stat":     second(h.FS.Stat(name)),
				"statfs":   second(k.Ask(node.Question{Kind: node.AskStatfs, Of: name})),
			} {
				var e *node.Error
				if !errors.As(err, &e) || e.Code != node.Untouched {
					t.Errorf("%s of %s: got %v, want it untouched", op, name, err)
				}
			}
		}
		if _, err := h.FS.ReadDir("mnt", 10); err != nil {
			t.Error(err)
		}
		if asked(false) {
			t.Error("the FUSE file system was touched")
		}

		// It does hang whoever touches it.
		h.FS.Avoid(nil)
		touched := make(chan error)
		go func() {
			_, err := h.FS.Stat("mnt/fuse/x")
			touched <- err
		}()
		if !asked(true) {
			t.Error("nobody asked the FUSE file system, so this test shows nothing")
		}
		abort()
		t.Logf("whoever touches it is told: %v", <-touched)
	})
}
