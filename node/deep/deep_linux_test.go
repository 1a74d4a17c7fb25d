package deep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// kernelOf answers questions from a table; what is not in it has no answer.
type kernelOf map[node.Question]any

func (k kernelOf) Ask(q node.Question) (json.RawMessage, error) {
	v, ok := k[q]
	if !ok {
		return nil, &node.Error{Op: "asking the kernel for", Name: q.Name(), Code: node.Unsupported}
	}
	if err, bad := v.(error); bad {
		return nil, err
	}
	return json.Marshal(v)
}

// hostAt is a file tree as a host, with a kernel of answers that is asked for its
// image.
func hostAt(t *testing.T, dir string, kernel kernelOf) *node.Host {
	t.Helper()
	h, err := hostfs.Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	h.Kernel = kernel
	Ask(t.Context(), h, dir, Options{})
	return h
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer asks for the files at a path.
func answer[T any](t *testing.T, h *node.Host, q node.Question) (T, error) {
	t.Helper()
	var v T
	b, err := h.Kernel.Ask(q)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return v, err
}

// A store of objects: each that the kernel has a digest of is read and held to it;
// the first that differs is named.
func TestFiles(t *testing.T) {
	needTool(t, "fsverity")
	dir := t.TempDir()
	kernel := kernelOf{}
	for i := range 5 {
		name := fmt.Sprintf("store/%02x/%d.file", i, i)
		write(t, filepath.Join(dir, name), noise(10000*(i+1)))
		out, err := exec.Command("fsverity", "digest", "--compact", filepath.Join(dir, name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		kernel[node.Question{Kind: node.AskMeasure, Of: name}] = node.FileMeasure{Enabled: true, Algorithm: "sha256", Digest: strings.TrimSpace(string(out)), BlockSize: 4096}
	}
	write(t, filepath.Join(dir, "store/03/commit"), []byte("x"))
	kernel[node.Question{Kind: node.AskMeasure, Of: "store/03/commit"}] = node.FileMeasure{}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "store/03/link")); err != nil {
		t.Fatal(err)
	}
	store, single := node.Question{Kind: node.AskDeepFiles, Of: "store"}, node.Question{Kind: node.AskDeepFiles, Of: "store/01/1.file"}

	got, err := answer[node.DeepFiles](t, hostAt(t, dir, kernel), store)
	if diff := cmp.Diff(node.DeepFiles{Path: "/store", Read: 5, Without: 1}, got); err != nil || diff != "" {
		t.Errorf("whole: %v (-want +got):\n%s", err, diff)
	}
	digest := kernel[node.Question{Kind: node.AskMeasure, Of: single.Of}].(node.FileMeasure)
	got, err = answer[node.DeepFiles](t, hostAt(t, dir, kernel), single)
	if diff := cmp.Diff(node.DeepFiles{Path: "/" + single.Of, Read: 1, Digest: "sha256:" + digest.Digest, Names: &node.DeepNames{Unknown: "it has no superblock of erofs"}}, got); err != nil || diff != "" {
		t.Errorf("a single file: %v (-want +got):\n%s", err, diff)
	}
	if _, err := answer[node.DeepFiles](t, hostAt(t, dir, kernel), node.Question{Kind: node.AskDeepFiles, Of: "none"}); !node.IsAbsent(err) {
		t.Errorf("no such store: got %v", err)
	}

	changed := noise(20000)
	changed[19999] ^= 1
	write(t, filepath.Join(dir, single.Of), changed)
	got, err = answer[node.DeepFiles](t, hostAt(t, dir, kernel), store)
	if err != nil || got.Bad == nil || got.Bad.Path != "/"+single.Of || got.Bad.Wanted != "sha256:"+digest.Digest || got.Bad.Computed == got.Bad.Wanted || got.Read != 1 {
		t.Errorf("one byte was changed: got %+v, %v", got, err)
	}

	kernel[node.Question{Kind: node.AskMeasure, Of: "store/00/0.file"}] = &node.Error{Op: "asking", Name: "x", Code: node.Denied}
	if got, err := answer[node.DeepFiles](t, hostAt(t, dir, kernel), store); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a digest that may not be asked for: got %+v, %v", got, err)
	}
}

// What is below a mount that must not be touched is not opened.
func TestFilesUntouched(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "store/a"), []byte("x"))
	h := hostAt(t, dir, kernelOf{})
	h.FS.Avoid([]string{"store"})
	var e *node.Error
	if _, err := answer[node.DeepFiles](t, h, node.Question{Kind: node.AskDeepFiles, Of: "store"}); !errors.As(err, &e) || e.Code != node.Untouched {
		t.Errorf("got %v, want that it is not touched", err)
	}
}

// Questions about anything else go where they went.
func TestAskPassesOn(t *testing.T) {
	h := hostAt(t, t.TempDir(), kernelOf{{Kind: node.AskUname}: node.Uname{Release: "6.12"}})
	if u, err := answer[node.Uname](t, h, node.Question{Kind: node.AskUname}); err != nil || u.Release != "6.12" {
		t.Errorf("got %+v, %v", u, err)
	}
	if a, err := answer[node.DeepAsked](t, h, node.Question{Kind: node.AskDeep}); err != nil || a.Asked != "yes" {
		t.Errorf("got %+v, %v", a, err)
	}
	tree := &node.Host{FS: h.FS}
	if Ask(t.Context(), tree, "/", Options{}); tree.Kernel != nil {
		t.Error("a file tree was given a kernel")
	}
}

// A device that has no table of one verity target is not read.
func TestDeviceRefuses(t *testing.T) {
	table := func(name, kind, params string) node.DMTable {
		return node.DMTable{Name: name, Dev: "253:0", Targets: []node.DMTarget{{Length: 8, Type: kind, Params: params}}}
	}
	h := hostAt(t, t.TempDir(), kernelOf{{Kind: node.AskDM}: []node.DMTable{
		table("linear", "linear", "8:1 0"), table("verity", "verity", "1 8:1 8:1 4096"), {Name: "empty"},
		table("gone", "verity", "1 8:1 8:1 4096 4096 1 1 sha256 "+strings.Repeat("ab", 32)+" -"),
	}})
	for name, code := range map[string]node.Code{"linear": node.Failed, "verity": node.Failed, "empty": node.Failed, "none": node.Absent, "gone": node.Absent} {
		d, err := answer[node.DeepDevice](t, h, node.Question{Kind: node.AskDeepVerity, Of: name})
		var e *node.Error
		if !errors.As(err, &e) || e.Code != code || d.Whole() {
			t.Errorf("%s: got %+v, %v, want %s", name, d, err, code)
		}
	}
}

// needDisk is the disk that this machine's / is on, which is only read.
func needDisk(t *testing.T) (dev string, h *node.Host) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may read a disk: no block device is opened")
	}
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Skipf("this machine: %v: no block device is opened", err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		t.Fatal(err)
	}
	dev = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if _, err := os.Stat("/sys/dev/block/" + dev); err != nil {
		t.Skipf("/ is on no disk: %v: no block device is opened", err)
	}
	return dev, h
}

// A block device is opened by its number, and read past the page cache.
func TestOpenDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no loop device is made, and no block device is opened")
	}
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	write(t, image, bytes.Repeat([]byte("x"), 64*page))
	out, err := exec.Command("losetup", "--find", "--show", "--read-only", image).Output()
	if err != nil {
		t.Fatalf("making a loop device: %v", err)
	}
	loop := strings.TrimSpace(string(out))
	defer exec.Command("losetup", "--detach", loop).Run()
	dev, err := os.ReadFile("/sys/block/" + filepath.Base(loop) + "/dev")
	if err != nil {
		t.Fatal(err)
	}
	a := &asking{h.Kernel, t.Context(), h.FS, "/", Options{}, objects{}}
	in, err := a.openDevice(strings.TrimSpace(string(dev)))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	buf := newBuffer(2 * page)
	defer freeBuffer(buf)
	if n, err := fill(in, buf, 0); n != len(buf) || err != nil || !in.direct {
		t.Errorf("read %d bytes, direct %t: %v", n, in.direct, err)
	}
	if n, err := in.ReadAt(buf, in.Size()/page*page+page); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind its end: read %d bytes, %v, want its end", n, err)
	}
}

// Another device under the name of one is not opened, and neither is what is none.
func TestOpenDeviceRefuses(t *testing.T) {
	dev, h := needDisk(t)
	event, err := h.FS.ReadFile("sys/dev/block/"+dev+"/uevent", 1<<16, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sys := func(dev, uevent string) {
		at := filepath.Join(dir, "sys/devices", dev)
		write(t, filepath.Join(at, "uevent"), []byte(uevent))
		if err := os.MkdirAll(filepath.Join(dir, "sys/dev/block"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../devices/"+dev, filepath.Join(dir, "sys/dev/block", dev)); err != nil {
			t.Fatal(err)
		}
	}
	sys("1:1", string(event))
	sys("1:2", "DEVNAME=file\n")
	sys("1:3", "DEVNAME=../../../etc/passwd\n")
	sys("1:4", "MAJOR=1\n")
	write(t, filepath.Join(dir, "dev/file"), []byte("x"))
	tree, err := hostfs.Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"/", dir} {
		a := &asking{nil, t.Context(), tree.FS, root, Options{}, objects{}}
		for _, dev := range []string{"1:1", "1:2", "1:3", "1:4", "1:5"} {
			if in, err := a.openDevice(dev); err == nil {
				in.Close()
				t.Errorf("%s below %s was opened", dev, root)
			}
		}
	}
}

// A loop device whose file is where nothing may be touched is not read, and
// neither is what stands on it.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	for dev, files := range map[string]map[string]string{
		"7:0":   {"loop/backing_file": "/nfs/image\n"},
		"7:1":   {"loop/backing_file": "/var/image (deleted)\n"},
		"254:0": {"slaves/loop0/dev": "7:0\n"},
		"254:1": {"slaves/loop1/dev": "7:1\n"},
		"254:2": {"slaves/dm-2/dev": "254:2\n"},
	} {
		for name, text := range files {
			write(t, filepath.Join(dir, "sys/devices", dev, name), []byte(text))
		}
	}
	write(t, filepath.Join(dir, "sys/devices/7:0/loop0p1/partition"), []byte("1\n"))
	write(t, filepath.Join(dir, "nfs/image"), nil)
	block := filepath.Join(dir, "sys/dev/block")
	if err := os.MkdirAll(block, 0o700); err != nil {
		t.Fatal(err)
	}
	for dev, at := range map[string]string{"7:0": "7:0", "7:1": "7:1", "254:0": "254:0", "254:1": "254:1", "254:2": "254:2", "259:0": "7:0/loop0p1"} {
		if err := os.Symlink("../../devices/"+at, filepath.Join(block, dev)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := hostfs.Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	tree.FS.Avoid([]string{"nfs"})
	a := &asking{fs: tree.FS}
	for _, dev := range []string{"7:0", "7:1", "254:0", "254:1", "254:2", "259:0", "9:9"} {
		good := slices.Contains([]string{"7:1", "254:1"}, dev)
		if err := a.onDisk(dev, 0); (err == nil) != good {
			t.Errorf("%s: got %v", dev, err)
		}
	}
}
