package deep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
		if err := unix.Setxattr(name, "trusted.overlay.metacopy", append(bytes.Clone(metacopyHead), digest[:]...), 0); err != nil {
			t.Skipf("an attribute of root's cannot be set here: %v: no image of mkfs.erofs is searched", err)
		}
		known.add("sha256:" + hex.EncodeToString(digest[:]))
	}
	if out, err := exec.Command("mkfs.erofs", "--chunksize=65536", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v\n%s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if got := namedIn(&known, b, 1<<20); got.Unknown != "" || got.Missing != "" || got.Named < 99 || got.Found != got.Named {
		t.Errorf("got %+v, want 99 digests and more", got)
	}
	first := sha256.Sum256([]byte{0})
	delete(known.proven, first)
	if got := namedIn(&known, b, 1<<20); got.Missing != "sha256:"+hex.EncodeToString(first[:]) {
		t.Errorf("an object was taken away: got %+v", got)
	}
}
