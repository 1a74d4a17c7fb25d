package hostfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// ownMounts gives the calling thread a mount namespace of its own, which ends
// with the test.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Skipf("SKIPPED: no mount namespace can be made here (root can): %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("binding %s over %s: %v", from, to, err)
	}
}

// Root can mount a file over one of the kernel's, and an empty folder over that
// of a process. What lies there then is not the kernel's word.
func TestWhatIsMountedOverTheKernelsFiles(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "fake")
	write(t, fake, "0\n")
	mkdir(t, filepath.Join(dir, "empty"))
	other := strconv.Itoa(os.Getppid())
	over := func(e *node.Error) bool { return e != nil && e.Code == node.Failed }
	t.Run("in a thread of its own", func(t *testing.T) {
		ownMounts(t)
		trees := trees(t, "/")
		for _, tr := range trees {
			if b, err := tr.ReadFile("proc/sys/kernel/tainted", 64, nil); err != nil || len(b) == 0 {
				t.Fatalf("before: %q, %v", b, err)
			}
		}
		bind(t, fake, "/proc/sys/kernel/tainted")
		bind(t, "/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max")
		bind(t, filepath.Join(dir, "empty"), "/proc/"+other)
		bind(t, fake, "/sys/kernel/uevent_seqnum")
		bind(t, "/proc/sys/net", "/proc/sys/net") // as a container runtime does to make it read-only
		for name, tr := range trees {
			for _, file := range []string{"proc/sys/kernel/tainted", "proc/" + other + "/status", "sys/kernel/uevent_seqnum"} {
				var e *node.Error
				b, err := tr.ReadFile(file, 1<<20, nil)
				if errors.As(err, &e); !over(e) {
					t.Errorf("%s: reading %s with something mounted over it: %q, %v", name, file, b, err)
				}
				if _, err := tr.Stat(file); err == nil || node.IsAbsent(err) {
					t.Errorf("%s: looking at %s with something mounted over it: %v", name, file, err)
				}
			}
			if !tr.openat2 {
				continue
			}
			if b, err := tr.ReadFile("proc/sys/kernel/threads-max", 64, nil); err == nil {
				t.Errorf("%s: another file of the kernel was read in its place: %q", name, b)
			}
			if to, err := tr.ReadLink("proc/" + other + "/ns/mnt"); err == nil || node.IsAbsent(err) {
				t.Errorf("%s: a link of a process with something mounted over it: %q, %v", name, to, err)
			}
			if _, err := tr.ReadFile("proc/sys/net/core/somaxconn", 64, nil); err != nil {
				t.Errorf("%s: a folder mounted over itself is itself: %v", name, err)
			}
		}
	})
}

// Systems mount file systems of the kernel on procfs and sysfs: those are the
// kernel's word, and others in their places are not.
func TestFileSystemsOfTheKernelOnSysfs(t *testing.T) {
	for _, m := range []struct{ fstype, at string }{
		{"bpf", "/sys/fs/bpf"},
		{"binfmt_misc", "/proc/sys/fs/binfmt_misc"},
		{"securityfs", "/sys/kernel/security"},
	} {
		t.Run(m.fstype, func(t *testing.T) {
			ownMounts(t)
			if err := unix.Mount(m.fstype, m.at, m.fstype, 0, ""); err != nil {
				t.Skipf("SKIPPED: this kernel mounts no %s on %s: %v", m.fstype, m.at, err)
			}
			for name, tr := range trees(t, "/") {
				if _, err := tr.ReadDir(m.at[1:], 1<<16); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := unix.Mount("other", m.at, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			for name, tr := range trees(t, "/") {
				if entries, err := tr.ReadDir(m.at[1:], 1<<16); err == nil || node.IsAbsent(err) {
					t.Errorf("%s: a tmpfs over it was listed as %v, %v", name, entries, err)
				}
			}
		})
	}
}

// A sysfs that is none is read by no machine.
func TestMachineWithoutSysfs(t *testing.T) {
	t.Run("in a thread of its own", func(t *testing.T) {
		ownMounts(t)
		if err := unix.Mount("fake", "/sys", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		mkdir(t, "/sys/fs/selinux")
		write(t, "/sys/fs/selinux/enforce", "1")
		h, err := Machine("/")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := h.ReadFile("sys/fs/selinux/enforce", 64); err == nil || node.IsAbsent(err) {
			t.Errorf("got %q, %v, want an error that is not absence", b, err)
		}
	})
}
