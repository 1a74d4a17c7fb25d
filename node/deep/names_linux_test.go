package deep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// What mkfs.erofs(1) makes of files with the attribute is found, whether the
// attribute is a file's own or one that files share.
func TestNamesOfErofs(t *testing.T) {
	needTool(t, "mkfs.erofs")
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	var known objects
	for i := range 300 {
		name := filepath.Join(dir, strings.Repeat("n", i%7), strings.Repeat("x", i%200+1))
		digest := sha256.Sum256([]byte{byte(i % 99)})
		write(t, name, nil)
		if err := os.Truncate(name, int64(i)*1000); err != nil {
			t.Fatal(err)
		}
		object := fmt.Sprintf("/%02x/%d.file", i%99, i%99)
		for attribute, value := range map[string][]byte{"metacopy": append(bytes.Clone(metacopyHead), digest[:]...), "redirect": []byte(object)} {
			if err := unix.Setxattr(name, "trusted.overlay."+attribute, value, 0); err != nil {
				t.Skipf("an attribute of root's cannot be set here: %v: no image of mkfs.erofs is searched", err)
			}
		}
		known.add(object, "sha256:"+hex.EncodeToString(digest[:]))
	}
	if out, err := exec.Command("mkfs.erofs", "--chunksize=65536", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v\n%s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(node.DeepNames{Objects: 99, Digests: 99, Found: 99}, namedIn(&known, b, 1<<20)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	delete(known.proven, "/00/0.file")
	first := sha256.Sum256([]byte{0})
	want := node.DeepNames{Objects: 99, Digests: 99, Found: 98, MissingObject: "/00/0.file", MissingDigest: "sha256:" + hex.EncodeToString(first[:])}
	if diff := cmp.Diff(want, namedIn(&known, b, 1<<20)); diff != "" {
		t.Errorf("an object was taken away (-want +got):\n%s", diff)
	}
}

// The image of a composefs is asked for after the folders of its objects, and what
// it names is held to what was proven of them.
func TestFilesNamed(t *testing.T) {
	needTool(t, "fsverity")
	dir := t.TempDir()
	kernel := kernelOf{}
	sealed := func(name string, content []byte) (digest [32]byte) {
		write(t, filepath.Join(dir, name), content)
		out, err := exec.Command("fsverity", "digest", "--compact", filepath.Join(dir, name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		kernel[node.Question{Kind: node.AskMeasure, Of: name}] = node.FileMeasure{Enabled: true, Algorithm: "sha256", Digest: strings.TrimSpace(string(out)), BlockSize: 4096}
		if _, err := hex.Decode(digest[:], bytes.TrimSpace(out)); err != nil {
			t.Fatal(err)
		}
		return digest
	}
	a, b := sealed("store/aa/1.file", noise(5000)), sealed("store/bb/2.file", noise(6000))
	sealed("image", imageOf(0, 0, file("/aa/1.file", a), make([]byte, 2<<20), file("/bb/2.file", b)))
	ask := func() node.DeepNames {
		t.Helper()
		h := hostAt(t, dir, kernel)
		_, _ = answer[node.DeepFiles](t, h, node.Question{Kind: node.AskDeepFiles, Of: "store"})
		got, err := answer[node.DeepFiles](t, h, node.Question{Kind: node.AskDeepFiles, Of: "image"})
		if err != nil || got.Names == nil {
			t.Fatalf("got %+v, %v", got, err)
		}
		return *got.Names
	}
	if diff := cmp.Diff(node.DeepNames{Objects: 2, Digests: 2, Found: 2}, ask()); diff != "" {
		t.Errorf("sound (-want +got):\n%s", diff)
	}
	missing := node.DeepNames{Objects: 2, Digests: 2, Found: 1, MissingObject: "/bb/2.file", MissingDigest: "sha256:" + hex.EncodeToString(b[:])}
	sealed("store/bb/2.file", noise(6001))
	if diff := cmp.Diff(missing, ask()); diff != "" {
		t.Errorf("an object was replaced by another with fs-verity (-want +got):\n%s", diff)
	}
	kernel[node.Question{Kind: node.AskMeasure, Of: "store/bb/2.file"}] = node.FileMeasure{}
	if diff := cmp.Diff(missing, ask()); diff != "" {
		t.Errorf("an object was replaced by another without fs-verity (-want +got):\n%s", diff)
	}
	kernel[node.Question{Kind: node.AskMeasure, Of: "store/bb/2.file"}] = &node.Error{Op: "asking", Name: "x", Code: node.Denied}
	if diff := cmp.Diff(node.DeepNames{Objects: 2, Digests: 2, Found: 1, Unknown: "not all of /store was read"}, ask()); diff != "" {
		t.Errorf("an object may not be read (-want +got):\n%s", diff)
	}
	if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(node.DeepNames{Objects: 2, Digests: 2, Unknown: "not all of /store was read"}, ask()); diff != "" {
		t.Errorf("there is no folder of objects (-want +got):\n%s", diff)
	}
}
