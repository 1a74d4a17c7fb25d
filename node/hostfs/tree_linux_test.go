package hostfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// trees opens dir as each kernel would have it: with openat2, and before Linux 5.6
// without.
func trees(t testing.TB, dir string) map[string]*tree {
	t.Helper()
	with, err := newTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !with.openat2 {
		t.Log("SKIPPED in part: this kernel has no openat2")
	}
	without := &tree{root: with.root, proc: with.proc, sys: with.sys}
	t.Cleanup(func() { unix.Close(with.root) })
	return map[string]*tree{"openat2": with, "openat": without}
}

func mkdir(t testing.TB, p string) {
	t.Helper()
	if err := os.MkdirAll(p, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, p, content string) {
	t.Helper()
	mkdir(t, filepath.Dir(p))
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, to, p string) {
	t.Helper()
	mkdir(t, filepath.Dir(p))
	if err := os.Symlink(to, p); err != nil {
		t.Fatal(err)
	}
}

// hostile is a root with all that can stand where a file should be, and a file
// outside that no path may lead to.
func hostile(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	write(t, filepath.Join(top, "outside"), "the wrong file")
	root := filepath.Join(top, "root")
	write(t, filepath.Join(root, "etc/os-release"), "ID=inside\n")
	write(t, filepath.Join(root, "outside"), "the file inside")
	write(t, filepath.Join(root, "usr/lib/os-release"), "ID=usr\n")
	link(t, "/etc/os-release", filepath.Join(root, "abs"))
	link(t, "../usr/lib/os-release", filepath.Join(root, "etc/rel"))
	link(t, filepath.Join(top, "outside"), filepath.Join(root, "abs-out"))
	link(t, "../../../../../../../../outside", filepath.Join(root, "etc/rel-out"))
	link(t, "/usr", filepath.Join(root, "u"))
	link(t, "u/lib", filepath.Join(root, "l"))
	link(t, "loop-b", filepath.Join(root, "loop-a"))
	link(t, "loop-a", filepath.Join(root, "loop-b"))
	link(t, "self/x", filepath.Join(root, "self"))
	link(t, "nowhere", filepath.Join(root, "dangling"))
	link(t, "/fifo", filepath.Join(root, "to-fifo"))
	link(t, "/", filepath.Join(root, "etc/slash"))
	write(t, filepath.Join(root, "b\xff\xfe"), "not UTF-8\n")
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: shortPath(t, root) + "/socket"}); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(root, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	if err := big.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	return root
}

// shortPath names a directory by a descriptor: a socket's path is 107 bytes at most.
func shortPath(t testing.TB, dir string) string {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fmt.Sprintf("/proc/self/fd/%d", fd)
}

func TestReadFileOfAHostileTree(t *testing.T) {
	root := hostile(t)
	for _, tt := range []struct{ name, want string }{
		{"etc/os-release", `"ID=inside\n"`},
		{"./etc//os-release", `"ID=inside\n"`},
		{"etc/../etc/os-release", `"ID=inside\n"`},
		{"../../etc/os-release", `"ID=inside\n"`},
		{"abs", `"ID=inside\n"`},
		{"etc/rel", `"ID=usr\n"`},
		{"u/lib/os-release", `"ID=usr\n"`},
		{"l/os-release", `"ID=usr\n"`},
		{"l/../lib/os-release", `"ID=usr\n"`},
		{"etc/slash/outside", `"the file inside"`},
		{"etc/rel-out", `"the file inside"`},
		{"b\xff\xfe", `"not UTF-8\n"`},
		{"abs-out", "reading /abs-out: no such file"},
		{"dangling", "reading /dangling: no such file"},
		{"etc/os-release/x", "reading /etc/os-release/x: no such file"},
		{"missing", "reading /missing: no such file"},
		{"", "reading /: not a regular file: a directory"},
		{"etc", "reading /etc: not a regular file: a directory"},
		{"fifo", "reading /fifo: not a regular file: a FIFO"},
		{"to-fifo", "reading /to-fifo: not a regular file: a FIFO"},
		{"socket", "reading /socket: not a regular file: a socket"},
		{"loop-a", "reading /loop-a: too many symbolic links"},
		{"self", "reading /self: too many symbolic links"},
		{"big", "reading /big: too large: more than 64 bytes"},
		{"a\x00b", "reading /a\x00b: invalid argument"},
		{strings.Repeat("x", 300), "reading /" + strings.Repeat("x", 300) + ": file name too long"},
	} {
		for kind, tree := range trees(t, root) {
			b, err := tree.ReadFile(tt.name, 64, nil)
			got := fmt.Sprintf("%q", b)
			if err != nil {
				got = err.Error()
				var e *node.Error
				if !errors.As(err, &e) {
					t.Errorf("%s: %q: the error is a %T", kind, tt.name, err)
				}
			}
			if got != tt.want {
				t.Errorf("%s: %q: got %s, want %s", kind, tt.name, got, tt.want)
			}
		}
	}
}

// A FIFO that nobody opened has no reader: a writer that does not wait is refused.
func TestFIFOIsNeverOpened(t *testing.T) {
	root := hostile(t)
	for kind, tree := range trees(t, root) {
		before := openFiles(t)
		for _, name := range []string{"fifo", "to-fifo"} {
			if _, err := tree.ReadFile(name, 10, nil); err == nil {
				t.Errorf("%s: %s was read", kind, name)
			}
			if _, err := tree.ReadDir(name, 10); err == nil {
				t.Errorf("%s: %s was listed", kind, name)
			}
			if info, err := tree.Stat(name); err != nil || info.Type != node.FIFO {
				t.Errorf("%s: %s: got %v, %v", kind, name, info, err)
			}
		}
		if _, err := unix.Open(filepath.Join(root, "fifo"), unix.O_WRONLY|unix.O_NONBLOCK, 0); err != unix.ENXIO {
			t.Errorf("%s: a writer got %v, want ENXIO", kind, err)
		}
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d descriptors are open, %d were", kind, after, before)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestDeviceIsNeverOpened(t *testing.T) {
	root := t.TempDir()
	// 10:130 is a watchdog: to open it is to have to feed it.
	if err := unix.Mknod(filepath.Join(root, "watchdog"), unix.S_IFCHR|0o600, int(unix.Mkdev(10, 130))); err != nil {
		t.Skipf("SKIPPED: no device can be made here (root can): %v", err)
	}
	if err := unix.Mknod(filepath.Join(root, "disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 250))); err != nil {
		t.Fatal(err)
	}
	for kind, tree := range trees(t, root) {
		for name, want := range map[string]string{
			"watchdog": "reading /watchdog: not a regular file: a character device",
			"disk":     "reading /disk: not a regular file: a block device",
		} {
			if _, err := tree.ReadFile(name, 10, nil); err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", kind, err, want)
			}
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("SKIPPED: root may read everything; run as another user")
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "shadow"), "x")
	mkdir(t, filepath.Join(root, "private"))
	for p, mode := range map[string]fs.FileMode{"shadow": 0, "private": 0} {
		if err := os.Chmod(filepath.Join(root, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	for kind, tree := range trees(t, root) {
		if _, err := tree.ReadFile("shadow", 10, nil); err == nil || err.Error() != "reading /shadow: permission denied" {
			t.Errorf("%s: got %v", kind, err)
		}
		if _, err := tree.Lstat("private/x"); err == nil || err.Error() != "looking at /private/x: permission denied" {
			t.Errorf("%s: got %v", kind, err)
		}
		if _, err := tree.ReadDir("private", 10); err == nil || err.Error() != "listing /private: permission denied" {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestLimits(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "f"), "0123456789")
	for _, name := range []string{"d/a", "d/b", "d/c"} {
		write(t, filepath.Join(root, name), "")
	}
	grow := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("9"), []byte("<redacted>")) }
	for kind, tree := range trees(t, root) {
		if b, err := tree.ReadFile("f", 10, nil); err != nil || string(b) != "0123456789" {
			t.Errorf("%s: a file of exactly the limit: got %q, %v", kind, b, err)
		}
		if _, err := tree.ReadFile("f", 9, nil); err == nil || err.Error() != "reading /f: too large: more than 9 bytes" {
			t.Errorf("%s: got %v", kind, err)
		}
		if b, err := tree.ReadFile("f", 100, grow); err != nil || string(b) != "012345678<redacted>" {
			t.Errorf("%s: redacted: got %q, %v", kind, b, err)
		}
		if _, err := tree.ReadFile("f", 10, grow); err == nil || err.Error() != "reading /f: too large: more than 10 bytes" {
			t.Errorf("%s: what grows by redaction: got %v", kind, err)
		}
		if got, err := tree.ReadDir("d", 3); err != nil || len(got) != 3 {
			t.Errorf("%s: got %v, %v", kind, got, err)
		}
		if _, err := tree.ReadDir("d", 2); err == nil || err.Error() != "listing /d: too large: more than 2 entries" {
			t.Errorf("%s: got %v", kind, err)
		}
	}
	// Files of procfs have no size: only reading shows how long they are.
	machine, err := newTree("/")
	if err != nil || machine.proc < 0 {
		t.Skipf("SKIPPED in part: no /proc here: %v", err)
	}
	if _, err := machine.ReadFile("proc/self/status", 100, nil); err == nil || err.Error() != "reading /proc/self/status: too large: more than 100 bytes" {
		t.Errorf("a long file of procfs: got %v", err)
	}
	if b, err := machine.ReadFile("proc/self/status", 1<<20, nil); err != nil || !bytes.HasPrefix(b, []byte("Name:\t")) {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestReadDir(t *testing.T) {
	root := hostile(t)
	for kind, tree := range trees(t, root) {
		entries, err := tree.ReadDir(".", 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name+" "+string(e.Type))
		}
		want := []string{
			"abs link", "abs-out link", "big file", "b\xff\xfe file", "dangling link", "etc dir", "fifo fifo", "l link", "loop-a link",
			"loop-b link", "outside file", "self link", "socket socket", "to-fifo link", "u link", "usr dir",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", kind, diff)
		}
		for name, want := range map[string]string{
			"etc/os-release": "listing /etc/os-release: not a directory",
			"missing":        "listing /missing: no such file",
			"loop-a":         "listing /loop-a: too many symbolic links",
		} {
			if _, err := tree.ReadDir(name, 100); err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", kind, err, want)
			}
		}
		if got, err := tree.ReadDir("l", 100); err != nil || len(got) != 1 || got[0].Name != "os-release" {
			t.Errorf("%s: through links: got %v, %v", kind, got, err)
		}
	}
}

func TestInfo(t *testing.T) {
	root := hostile(t)
	if err := os.Chmod(filepath.Join(root, "etc/os-release"), 0o640|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(root, "etc/os-release"), &st); err != nil {
		t.Fatal(err)
	}
	want := node.FileInfo{
		Type: node.Regular, Mode: 0o4640, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Size: 10,
		Dev: fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)), Ino: st.Ino,
	}
	for kind, tree := range trees(t, root) {
		got, err := tree.Stat("abs")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", kind, diff)
		}
		for name, want := range map[string]node.FileType{"abs": node.Symlink, "loop-a": node.Symlink, "u/lib": node.Directory, "socket": node.Socket} {
			if got, err := tree.Lstat(name); err != nil || got.Type != want {
				t.Errorf("%s: %s: got %v, %v, want %s", kind, name, got, err, want)
			}
		}
		for name, want := range map[string]string{"abs": "/etc/os-release", "loop-a": "loop-b", "etc/slash/u": "/usr"} {
			if got, err := tree.ReadLink(name); err != nil || got != want {
				t.Errorf("%s: %s: got %q, %v, want %q", kind, name, got, err, want)
			}
		}
		for name, want := range map[string]string{
			"etc":     "reading link /etc: not a symbolic link",
			"missing": "reading link /missing: no such file",
		} {
			if _, err := tree.ReadLink(name); err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", kind, err, want)
			}
		}
	}
}

func TestAvoid(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "mnt/data/f"), "x")
	write(t, filepath.Join(root, "mnt/database/f"), "y")
	link(t, "/mnt/data/f", filepath.Join(root, "abs"))
	link(t, "mnt", filepath.Join(root, "m"))
	link(t, "../mnt/data", filepath.Join(root, "etc/d"))
	for kind, tree := range trees(t, root) {
		tree.Avoid([]string{"/mnt/data", "/", ""})
		for _, name := range []string{"mnt/data/f", "mnt/data", "mnt/data/missing", "abs", "m/data/f", "etc/d/f", "mnt/./data/f", "mnt/x/../data"} {
			_, err := tree.ReadFile(name, 10, nil)
			want := "reading /" + name + ": below a FUSE, network or autofs mount, which is not touched"
			if name == "mnt/x/../data" {
				want = "reading /mnt/x/../data: no such file" // and so nothing below is touched
			}
			if err == nil || err.Error() != want {
				t.Errorf("%s: got %v, want %s", kind, err, want)
			}
		}
		for op, err := range map[string]error{
			"ReadDir":  second(tree.ReadDir("mnt/data", 9)),
			"Stat":     second(tree.Stat("abs")),
			"Lstat":    second(tree.Lstat("mnt/data")),
			"ReadLink": second(tree.ReadLink("m/data/f")),
			"Xattr":    second(tree.Xattr("mnt/data/f", "user.a")),
			"statfs":   second((&kernel{tree}).Ask(node.Question{Kind: node.AskStatfs, Of: "mnt/data"})),
			"verity":   second((&kernel{tree}).Ask(node.Question{Kind: node.AskVerity, Of: "abs"})),
			"subvol":   second((&kernel{tree}).Ask(node.Question{Kind: node.AskSubvolume, Of: "etc/d"})),
		} {
			var e *node.Error
			if !errors.As(err, &e) || e.Code != node.Untouched {
				t.Errorf("%s: %s: got %v, want it untouched", kind, op, err)
			}
		}
		if b, err := tree.ReadFile("mnt/database/f", 10, nil); err != nil || string(b) != "y" {
			t.Errorf("%s: a name that only begins alike: got %q, %v", kind, b, err)
		}
		if info, err := tree.Lstat("etc/d"); err != nil || info.Type != node.Symlink {
			t.Errorf("%s: a link that leads there: got %v, %v", kind, info, err)
		}
		tree.Avoid(nil)
		if b, err := tree.ReadFile("abs", 10, nil); err != nil || string(b) != "x" {
			t.Errorf("%s: after the mount is gone: got %q, %v", kind, b, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestXattr(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "f"), "")
	long := strings.Repeat("v", 1000)
	for attr, value := range map[string]string{"user.a": "v\x00", "user.long": long} {
		if err := unix.Setxattr(filepath.Join(root, "f"), attr, []byte(value), 0); err != nil {
			t.Skipf("SKIPPED: no attributes can be set here: %v", err)
		}
	}
	for kind, tree := range trees(t, root) {
		if b, err := tree.Xattr("f", "user.a"); err != nil || string(b) != "v\x00" {
			t.Errorf("%s: got %q, %v", kind, b, err)
		}
		if b, err := tree.Xattr("f", "user.long"); err != nil || string(b) != long {
			t.Errorf("%s: a long one: got %d bytes, %v", kind, len(b), err)
		}
		if _, err := tree.Xattr("f", "user.b"); !node.IsAbsent(err) {
			t.Errorf("%s: got %v, want that it is absent", kind, err)
		}
	}
	machine, err := newTree("/")
	if err != nil {
		t.Fatal(err)
	}
	var e *node.Error
	if _, err := machine.Xattr("proc/version", "user.a"); !errors.As(err, &e) || e.Code != node.Unsupported {
		t.Errorf("on procfs: got %v, want that it is not supported", err)
	}
}

func TestProcessesOfThisMachine(t *testing.T) {
	m, err := Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	self := fmt.Sprintf("proc/%d/", os.Getpid())
	for _, name := range []string{"exe", "cwd", "root", "ns/mnt", "ns/net", "fd/0"} {
		want, err := os.Readlink("/" + self + name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.ReadLink(self + name); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	// Links of the kernel lead to where no text says, past any root.
	for _, name := range []string{"root/etc/hostname", "cwd/x", "exe", "fd/0"} {
		if _, err := m.ReadFile(self+name, 10); err == nil || !strings.HasSuffix(err.Error(), "a link of the kernel, which is not followed") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := m.ReadFile("proc/4194305/stat", 10); !node.IsAbsent(err) { // above PID_MAX_LIMIT
		t.Errorf("a process that is not there: got %v", err)
	}
	if b, err := m.ReadFile("proc/mounts", 1<<20); err != nil || len(b) == 0 {
		t.Errorf("through proc's own links: got %d bytes, %v", len(b), err)
	}
	if entries, err := m.ReadDir("proc", 1<<20); err != nil || !slices.Contains(entries, node.DirEntry{Name: "1", Type: node.Directory}) {
		t.Errorf("got %d entries, %v", len(entries), err)
	}
}

func TestRootThatIsNone(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), "")
	for _, open := range []func(string) (*node.Host, error){Tree, Machine} {
		for _, root := range []string{filepath.Join(dir, "f"), filepath.Join(dir, "missing")} {
			if _, err := open(root); err == nil || !strings.Contains(err.Error(), "opening the root") {
				t.Errorf("%s: got %v", root, err)
			}
		}
	}
	if _, err := Machine(dir); err == nil || !strings.Contains(err.Error(), "its /proc is not procfs") {
		t.Errorf("a file tree as a machine: got %v", err)
	}
	h, err := Tree(dir)
	if err != nil || h.Kernel != nil {
		t.Errorf("a file tree: got %v, %v, want no kernel", h, err)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("etc/../a", "/b/c", true)
	f.Add("../..", "../../x", false)
	f.Add("a/a/a", "a/a", true)
	f.Fuzz(func(t *testing.T, name, text string, follow bool) {
		var a avoided
		a.Avoid([]string{"b/c"})
		touched := []string{}
		p, err := resolve(name, follow, &a, func(p string) (string, error) {
			touched = append(touched, p)
			if strings.HasSuffix(p, "a") {
				return text, nil
			}
			return "", nil
		})
		if err == nil {
			touched = append(touched, p)
		}
		for _, p := range touched {
			if p != "." && (strings.HasPrefix(p, "/") || !plain(p)) {
				t.Errorf("%q leads to %q, which is no path below the root", name, p)
			}
			if p == "b/c" || strings.HasPrefix(p, "b/c/") {
				t.Errorf("%q touches %q, which is avoided", name, p)
			}
		}
		if len(touched) > 100000 {
			t.Errorf("%d parts were looked at", len(touched))
		}
	})
}

func TestDigestFollowsTheContent(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	// printf one | sha256sum
	const one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
	write("one")
	for range 2 { // made, then known
		if sum, err := h.FS.Digest("f", 3); err != nil || sum != one {
			t.Fatalf("got %s, %v, want %s", sum, err, one)
		}
	}
	write("two")
	if sum, err := h.FS.Digest("f", 3); err != nil || sum == one {
		t.Errorf("after a change: got %s, %v", sum, err)
	}
	if _, err := h.FS.Digest("f", 2); err == nil || err.Error() != "hashing /f: too large: more than 2 bytes" {
		t.Errorf("a limit below its size: got %v", err)
	}
	if _, err := h.FS.Digest(".", 100); err == nil || err.Error() != "hashing /: not a regular file: a directory" {
		t.Errorf("a folder: got %v", err)
	}
	if _, err := h.FS.Digest("gone", 100); !node.IsAbsent(err) {
		t.Errorf("what is not there: got %v", err)
	}
}
