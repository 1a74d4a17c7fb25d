package hostfs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Source: ioprio_set(2), and the kernel's include/uapi/linux/ioprio.h.
const (
	ioprioWhoProcess = 1 // of 0: the thread that asks
	ioprioClassIdle  = 3 << 13
)

// Idly runs read on a thread whose reads from disks wait until nobody else has
// any, as far as the disk's scheduler heeds that: a node's own work comes first.
// Where the thread cannot be set back it ends with its goroutine, and where it
// cannot be set at all read runs as it is.
func Idly(read func()) {
	runtime.LockOSThread()
	was, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
	if errno == 0 {
		_, _, errno = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioClassIdle)
	}
	if errno != 0 {
		runtime.UnlockOSThread()
		read()
		return
	}
	defer func() {
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, was); errno == 0 {
			runtime.UnlockOSThread()
		}
	}()
	read()
}
