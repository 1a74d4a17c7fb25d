package deep

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// large makes an image of this size with veritysetup in a file. Most of it are
// holes, which are read as they are: the hashing costs the same.
func large(t testing.TB, size int64) (dataFile, treeFile string, table node.VerityTarget) {
	t.Helper()
	needTool(t, "veritysetup")
	dir := t.TempDir()
	dataFile, treeFile = filepath.Join(dir, "data"), filepath.Join(dir, "tree")
	f, err := os.Create(dataFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, size / 3 / 4096 * 4096, size / 2, size - 1<<20} {
		if _, err := f.WriteAt(noise(1<<20), at); err != nil {
			t.Fatal(err)
		}
	}
	root := rootOf(t, "format", dataFile, treeFile)
	tree := open(t, treeFile)
	if table, err = Superblock(tree, 0); err != nil {
		t.Fatal(err)
	}
	table.RootHash, table.Data, table.Hash = root, "data", "tree"
	return dataFile, treeFile, table
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

// One flipped bit in a large image is found, at its block and offset. With the
// race detector the image is smaller: it makes the hashing many times slower, and
// what it looks for does not depend on the size.
func TestProveLarge(t *testing.T) {
	size := int64(1 << 30)
	if racing {
		size = 32 << 20
	}
	dataFile, treeFile, table := large(t, size)
	f, err := os.OpenFile(dataFile, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := size/4096 - 777
	if _, err := f.WriteAt([]byte{0x40}, block*4096+123); err != nil { // in a hole: one bit
		t.Fatal(err)
	}
	data, tree := open(t, dataFile), open(t, treeFile)
	d, err := Prove(t.Context(), table, data, tree, Options{})
	if err != nil || d.Bad == nil || d.Bad.Of != node.BadData || d.Bad.Block != block || d.Bad.Offset != block*4096 || d.Read != block {
		t.Errorf("got %+v, %v, want block %d to be bad", d, err, block)
	}
}

// BenchmarkProve proves an image of 256 MiB, with veritysetup verify on the same
// files beside it: veritysetup-ratio is how many times as long that takes.
func BenchmarkProve(b *testing.B) {
	const size = 256 << 20
	dataFile, treeFile, table := large(b, size)
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
