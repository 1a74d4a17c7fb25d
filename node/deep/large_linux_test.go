package deep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// large makes data of this size in a file. Most of it are holes, which are read
// and hashed as all else is.
func large(t testing.TB, size int64) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "data")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, at := range filled(size) {
		if _, err := f.WriteAt(noise(1<<20), at); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// filled are the places that hold a MiB of data, and no hole.
func filled(size int64) []int64 {
	return []int64{0, size / 3 / 4096 * 4096, size / 2, size - 1<<20}
}

func open(t testing.TB, name string) *Input {
	t.Helper()
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

// One flipped bit in an image of 1 GiB is found, at its block and offset. With the
// race detector the image is smaller: it makes the reading many times slower, and
// nothing in it depends on the size. The tree is made here, for holes need to be
// hashed only once then.
func TestProveLarge(t *testing.T) {
	size := int64(1 << 30)
	if racing {
		size = 32 << 20
	}
	const block = 4096
	hashes := bytes.Repeat(saltedHash("salt", make([]byte, block)), int(size/block))
	for _, at := range filled(size) {
		for i, data := int64(0), noise(1<<20); i < 1<<20; i += block {
			copy(hashes[(at+i)/block*sha256.Size:], saltedHash("salt", data[i:i+block]))
		}
	}
	tree, root := ownTree(hashes, block, "salt")
	dataFile, treeFile := large(t, size), filepath.Join(t.TempDir(), "tree")
	write(t, treeFile, tree)
	table := node.VerityTarget{
		Version: 1, DataBlockSize: block, HashBlockSize: block, DataBlocks: size / block, Algorithm: "sha256",
		RootHash: root, Salt: hex.EncodeToString([]byte("salt")), Data: "data", Hash: "tree",
	}
	bad := size/block - 777
	f, err := os.OpenFile(dataFile, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0x40}, bad*block+123); err != nil { // in a hole: one bit
		t.Fatal(err)
	}
	d, err := Prove(t.Context(), table, open(t, dataFile), open(t, treeFile), Options{})
	if err != nil || d.Bad == nil || d.Bad.Of != node.BadData || d.Bad.Block != bad || d.Bad.Offset != bad*block || d.Read != bad {
		t.Errorf("got %+v, %v, want block %d to be bad", d, err, bad)
	}
}

// BenchmarkProve proves an image of 256 MiB, with veritysetup verify on the same
// files beside it: veritysetup-ratio is how many times as long that takes.
func BenchmarkProve(b *testing.B) {
	const size = 256 << 20
	needTool(b, "veritysetup")
	dataFile := large(b, size)
	treeFile := dataFile + ".tree"
	root := rootOf(b, "format", dataFile, treeFile)
	table, err := Superblock(open(b, treeFile), 0)
	if err != nil {
		b.Fatal(err)
	}
	table.RootHash, table.Data, table.Hash = root, "data", "tree"
	b.SetBytes(size)
	var ours time.Duration
	for b.Loop() {
		began := time.Now()
		data, tree := open(b, dataFile), open(b, treeFile)
		if d, err := Prove(b.Context(), table, data, tree, Options{}); err != nil || !d.Whole() {
			b.Fatalf("got %+v, %v, want it whole", d, err)
		}
		ours += time.Since(began)
	}
	b.StopTimer()
	began := time.Now()
	for range 3 {
		if out, err := exec.Command("veritysetup", "verify", dataFile, treeFile, table.RootHash).CombinedOutput(); err != nil {
			b.Fatalf("veritysetup verify: %v\n%s", err, out)
		}
	}
	theirs := time.Since(began) / 3
	b.ReportMetric(theirs.Seconds()/(ours/time.Duration(b.N)).Seconds(), "veritysetup-ratio")
	b.ReportMetric(float64(size)/(1<<20)/theirs.Seconds(), "veritysetup-MiB/s")
}
