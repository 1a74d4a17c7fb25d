package hostfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

func TestAsk(t *testing.T) {
	h, err := Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	ask := func(kind, of string, into any) error {
		b, err := h.Kernel.Ask(node.Question{Kind: kind, Of: of})
		if err == nil {
			err = json.Unmarshal(b, into)
		}
		return err
	}
	code := func(err error) node.Code {
		var e *node.Error
		if !errors.As(err, &e) {
			return ""
		}
		return e.Code
	}

	var u node.Uname
	release, readErr := os.ReadFile("/proc/sys/kernel/osrelease")
	if err := ask(node.AskUname, "", &u); err != nil || readErr != nil || u.Release+"\n" != string(release) || u.Machine == "" {
		t.Errorf("uname: got %+v, %v, want release %s", u, err, release)
	}

	var st unix.Statfs_t
	if err := unix.Statfs("/proc", &st); err != nil {
		t.Fatal(err)
	}
	var s node.Statfs
	if err := ask(node.AskStatfs, "proc", &s); err != nil || s.Type != "0x9fa0" {
		t.Errorf("statfs: got %+v, %v, want type 0x9fa0", s, err)
	}
	if err := ask(node.AskStatfs, "", &s); err != nil || s.Size == 0 {
		t.Errorf("statfs of the root: got %+v, %v", s, err)
	}
	err = ask(node.AskStatfs, "no/such/path", &s)
	if want := "asking the kernel for statfs of /no/such/path: no such file"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	err = ask(node.AskSubvolume, "proc", &node.Subvolume{})
	if want := "asking the kernel for btrfs-subvolume of /proc: not supported here: not on btrfs"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// Debian's 6.12 says of every file system that it knows the attribute.
	var v node.FileVerity
	err = ask(node.AskVerity, "proc/version", &v)
	if want := "asking the kernel for fs-verity of /proc/version: not supported here: this file system does not say"; err != nil && err.Error() != want || v.Enabled {
		t.Errorf("got %+v, %v, want it off or %s", v, err, want)
	}
	if err := ask("weather", "", nil); code(err) != node.Unsupported {
		t.Errorf("a question nobody knows: got %v", err)
	}

	var dm []node.DMTable
	switch err := ask(node.AskDM, "", &dm); code(err) {
	case "":
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d device-mapper devices", len(dm))
	case node.Absent, node.Denied:
		t.Logf("SKIPPED in part: %v", err)
	default:
		t.Errorf("device-mapper: %v", err)
	}
}

// A file at the place of the control device must not be asked.
func TestDMControlThatIsNone(t *testing.T) {
	root := t.TempDir()
	mkdir(t, root+"/sys/class/misc/device-mapper")
	write(t, root+"/dev/mapper/control", "")
	for kind, tree := range trees(t, root) {
		_, err := (&kernel{tree}).Ask(node.Question{Kind: node.AskDM})
		if err == nil || !strings.Contains(err.Error(), "is not the control device 10:236") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestDMThatIsNotLoaded(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/dev/mapper/control", "")
	for kind, tree := range trees(t, root) {
		_, err := (&kernel{tree}).Ask(node.Question{Kind: node.AskDM})
		if want := "asking the kernel for device-mapper: no such file: this kernel runs no device mapper"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", kind, err, want)
		}
	}
}

// An executable on a mount that was taken away keeps its name and loses its mount.
func TestExecutableOfADetachedMount(t *testing.T) {
	dir := t.TempDir()
	t.Run("in a thread of its own", func(t *testing.T) {
		ownMounts(t)
		if err := unix.Mount("x", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile("/bin/sleep")
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		mkdir(t, dir+"/usr/bin")
		if err := os.WriteFile(dir+"/usr/bin/evil", b, 0o755); err != nil {
			t.Fatal(err)
		}
		evil := exec.Command(dir+"/usr/bin/evil", "60")
		if err := evil.Start(); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		defer func() { _ = evil.Process.Kill(); _ = evil.Wait() }()
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
		h, err := Machine("/")
		if err != nil {
			t.Fatal(err)
		}
		if link, err := h.ReadLink(fmt.Sprintf("proc/%d/exe", evil.Process.Pid)); err != nil || link != "/usr/bin/evil" {
			t.Errorf("got %q, %v, want the name that it has without its mount", link, err)
		}
		answer, err := h.Kernel.Ask(node.Question{Kind: node.AskExe, Of: fmt.Sprintf("proc/%d", evil.Process.Pid)})
		var got node.Executable
		if err != nil || json.Unmarshal(answer, &got) != nil {
			t.Fatalf("got %s, %v", answer, err)
		}
		table, err := h.ReadFile(fmt.Sprintf("proc/%d/mountinfo", evil.Process.Pid), 1<<20)
		if err != nil || got.Mount == 0 || strings.Contains("\n"+string(table), fmt.Sprintf("\n%d ", got.Mount)) {
			t.Errorf("got mount %d, which stands in the mount table, %v", got.Mount, err)
		}
	})
}
