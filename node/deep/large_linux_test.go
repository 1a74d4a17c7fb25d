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

	"golang.org/x/sys/unix"

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
// files beside it. The ratios are how many times as long that takes, and how many
// times the processor time; MiB/CPU-s is what one core proves, hash-MiB/s what it
// hashes of such blocks and does nothing else.
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
	var ours, oursCPU, theirs, theirsCPU time.Duration
	rounds := 0
	for b.Loop() { // in turn, for what else runs here hits both
		rounds++
		began, cpu := time.Now(), cpuTime(b)
		data, tree := open(b, dataFile), open(b, treeFile)
		if d, err := Prove(b.Context(), table, data, tree, Options{}); err != nil || !d.Whole() {
			b.Fatalf("got %+v, %v, want it whole", d, err)
		}
		ours += time.Since(began)
		oursCPU += cpuTime(b) - cpu

		b.StopTimer()
		began = time.Now()
		cmd := exec.Command("veritysetup", "verify", dataFile, treeFile, root)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("veritysetup verify: %v\n%s", err, out)
		}
		theirs += time.Since(began)
		theirsCPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		b.StartTimer()
	}
	b.StopTimer()
	cpu := cpuTime(b)
	h, block, salt := sha256.New(), make([]byte, 4096), make([]byte, 32)
	var sum []byte
	for range size / len(block) {
		h.Reset()
		h.Write(salt)
		h.Write(block)
		sum = h.Sum(sum[:0])
	}
	hashed := cpuTime(b) - cpu
	const mib = size >> 20
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "veritysetup-ratio")
	b.ReportMetric(theirsCPU.Seconds()/oursCPU.Seconds(), "veritysetup-cpu-ratio")
	b.ReportMetric(float64(rounds*mib)/ours.Seconds(), "MiB/s")
	b.ReportMetric(float64(rounds*mib)/oursCPU.Seconds(), "MiB/CPU-s")
	b.ReportMetric(mib/hashed.Seconds(), "hash-MiB/s")
}

// cpuTime is what this program has used of processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
