package hostfs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// withMounts shows as process 1's the mount table of the thread it was made on.
type withMounts struct {
	node.FS
	table []byte
}

func (f withMounts) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	if name == "proc/1/mountinfo" {
		return f.table, nil
	}
	return f.FS.ReadFile(name, max, redact)
}

// A btrfs is followed to its device, whatever name the mount table shows, and its
// subvolumes are asked for their own property.
func TestBtrfs(t *testing.T) {
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := t.TempDir()
	image, at, sub := filepath.Join(dir, "image"), filepath.Join(dir, "at"), filepath.Join(dir, "sub")
	mkdir(t, at)
	mkdir(t, sub)
	write(t, image, "")
	if err := os.Truncate(image, 200<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.btrfs", "-q", image)
	t.Run("in a thread of its own", func(t *testing.T) {
		runtime.LockOSThread() // for good: the thread ends with the test, and the namespace with it
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			t.Skipf("SKIPPED: no mount namespace can be made here (root can): %v", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: btrfs cannot be mounted here: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
		run(t, "btrfs", "subvolume", "create", at+"/writable")
		run(t, "btrfs", "subvolume", "snapshot", "-r", at+"/writable", at+"/readonly")
		if err := unix.Mount(at+"/readonly", sub, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(sub, unix.MNT_DETACH) })

		h, err := Machine("/")
		if err != nil {
			t.Fatal(err)
		}
		table, err := os.ReadFile("/proc/thread-self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		h.FS = withMounts{h.FS, table}
		facts := node.Gather(context.Background(), h, time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
		mounts, _, missing := node.Mounts.Of(facts)
		if missing != nil {
			t.Fatal(missing.Reason)
		}
		found := 0
		for _, m := range mounts {
			if m.Path != at && m.Path != sub {
				continue
			}
			found++
			if want := (node.Device{Kind: "loop", Name: image}); m.Device != want || m.Anon != "" {
				t.Errorf("%s: got device %+v, anon %q, want %+v", m.Path, m.Device, m.Anon, want)
			}
		}
		if found != 2 {
			t.Errorf("found %d of the 2 mounts", found)
		}

		for path, want := range map[string]string{at: `{"readOnly":false}`, at + "/writable": `{"readOnly":false}`, at + "/readonly": `{"readOnly":true}`, sub: `{"readOnly":true}`} {
			b, err := h.Kernel.Ask(node.Question{Kind: node.AskSubvolume, Of: strings.TrimPrefix(path, "/")})
			if err != nil || string(b) != want {
				t.Errorf("%s: got %s, %v, want %s", path, b, err, want)
			}
		}
		mkdir(t, at+"/plain")
		_, err = h.Kernel.Ask(node.Question{Kind: node.AskSubvolume, Of: strings.TrimPrefix(at, "/") + "/plain"})
		if err == nil || !strings.HasSuffix(err.Error(), "not supported here: not the root of a subvolume") {
			t.Errorf("a folder that is no subvolume: got %v", err)
		}
	})
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}
