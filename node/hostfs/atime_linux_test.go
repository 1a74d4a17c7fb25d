package hostfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A time of last access that changes is a write to the disk of a node whose agent
// should only read.
func TestReadingLeavesNoTimeOfAccess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: without root it may be allowed to nobody")
	}
	root := t.TempDir()
	mkdir(t, filepath.Join(root, "dir"))
	write(t, filepath.Join(root, "dir/file"), "content\n")
	write(t, filepath.Join(root, "dir/other"), "content\n")
	link(t, "/dir", filepath.Join(root, "link"))
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	accessed := func(name string) time.Time {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(root, name), &st); err != nil {
			t.Fatal(err)
		}
		return time.Unix(st.Atim.Unix()).UTC()
	}
	for _, name := range []string{"dir/file", "dir/other", "dir"} {
		if err := os.Chtimes(filepath.Join(root, name), old, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	for op, err := range map[string]error{
		"ReadFile":            second(h.FS.ReadFile("dir/file", 100, nil)),
		"Digest":              second(h.FS.Digest("dir/file", 100)),
		"Head":                second(h.FS.Head("dir/file", 4)),
		"ReadDir":             second(h.FS.ReadDir("dir", 100)),
		"ReadDir by its link": second(h.FS.ReadDir("link", 100)),
	} {
		if err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	for _, name := range []string{"dir/file", "dir"} {
		if at := accessed(name); !at.Equal(old) {
			t.Errorf("%s is noted as accessed at %v", name, at)
		}
	}
	if _, err := os.ReadFile(filepath.Join(root, "dir/other")); err != nil {
		t.Fatal(err)
	}
	if accessed("dir/other").Equal(old) {
		t.Skip("SKIPPED: this file system notes no access at all, so this shows nothing")
	}
}

func TestReadingWhatSomebodyElseOwns(t *testing.T) {
	tries := 0
	fd, err := unseen(func(noatime int) (int, error) {
		if tries++; noatime != 0 {
			return -1, unix.EPERM
		}
		return 7, nil
	})
	if fd != 7 || err != nil || tries != 2 {
		t.Errorf("got %d, %v after %d tries", fd, err, tries)
	}
}
