package hostfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

func ioPriority(t *testing.T) uintptr {
	t.Helper()
	class, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
	if errno != 0 {
		t.Skipf("SKIPPED: this kernel tells no priority: %v", errno)
	}
	return class
}

func TestIdly(t *testing.T) {
	before := ioPriority(t)
	var during uintptr
	var thread, after int
	Idly(func() { during, thread = ioPriority(t), unix.Gettid() })
	if after = unix.Gettid(); after == thread && ioPriority(t) != before {
		t.Errorf("the thread stays at priority %x, which was %x", ioPriority(t), before)
	}
	if during != ioprioClassIdle {
		t.Errorf("while it reads: got priority %x, want %x", during, ioprioClassIdle)
	}
}

// What was hashed is not read again until it changes.
func TestDigestIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	write(t, name, "one")
	tr, err := newTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum := func() string {
		t.Helper()
		s, err := tr.Digest("f", 100)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := sum()
	// In place of what was hashed, so that an answer that is not read again is seen.
	known := func() {
		t.Helper()
		for c := range tr.digests.new {
			tr.digests.new[c] = "known"
		}
		if got := sum(); got != "known" {
			t.Errorf("an unchanged file was hashed again: got %s", got)
		}
	}
	known()
	for what, change := range map[string]func() error{
		"its mode":    func() error { return os.Chmod(name, 0o700) }, // the time of change, nothing else
		"its content": func() error { return os.WriteFile(name, []byte("one"), 0o600) },
		"another file": func() error {
			write(t, name+".new", "one")
			return os.Rename(name+".new", name)
		},
	} {
		known()
		for stamp := ctime(t, name); stamp == ctime(t, name); { // the clock of a file system ticks slowly
			if err := change(); err != nil {
				t.Fatal(err)
			}
		}
		if got := sum(); got != first {
			t.Errorf("after a change of %s: got %s, want %s", what, got, first)
		}
	}
}

func ctime(t *testing.T, name string) unix.Timespec {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ctim
}

// Whoever asks for as many as one generation holds, again and again, has each
// hashed once.
func TestDigestsAreKept(t *testing.T) {
	var d digests
	for i := range uint64(maxDigests) {
		d.put(content{ino: i}, "x")
	}
	for range 3 {
		for i := range uint64(maxDigests) {
			if _, ok := d.get(content{ino: i}); !ok {
				t.Fatalf("file %d was forgotten", i)
			}
		}
	}
	for i := range uint64(5 * maxDigests) {
		d.put(content{ino: maxDigests + i}, "x")
		if n := len(d.new) + len(d.old); n > 2*maxDigests {
			t.Fatalf("%d digests are kept", n)
		}
	}
	if _, ok := d.get(content{ino: 0}); ok {
		t.Error("what nobody asks for is kept")
	}
}

func TestHead(t *testing.T) {
	root := hostile(t)
	for kind, tree := range trees(t, root) {
		for _, tt := range []struct {
			name string
			n    int
			want string
			err  string
		}{
			{"etc/os-release", 4, "ID=i", ""},
			{"etc/os-release", 100, "ID=inside\n", ""},
			{"abs", 2, "ID", ""},
			{"etc", 4, "", "reading the head of /etc: not a regular file: a directory"},
			{"fifo", 4, "", "reading the head of /fifo: not a regular file: a FIFO"},
			{"missing", 4, "", "reading the head of /missing: no such file"},
		} {
			got, err := tree.Head(tt.name, tt.n)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if string(got) != tt.want || text != tt.err {
				t.Errorf("%s: %s: got %q, %q, want %q, %q", kind, tt.name, got, text, tt.want, tt.err)
			}
		}
	}
	h, err := Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := h.Head("etc/os-release", 100); err != nil || len(b) != node.MaxHead {
		t.Errorf("through a host: got %q, %v, want %d bytes", b, err, node.MaxHead)
	}
}
