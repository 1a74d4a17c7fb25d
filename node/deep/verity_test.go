package deep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// made is a dm-verity image that veritysetup(8) made, without root.
type made struct {
	data, tree []byte
	table      node.VerityTarget
}

// needTool skips loudly where a tool of the tests is not installed.
func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: nothing is compared with it", name)
	}
}

// format makes a tree over data with veritysetup and takes the root hash from what
// it says, and the rest from its superblock.
func format(t testing.TB, data []byte, options ...string) made {
	t.Helper()
	needTool(t, "veritysetup")
	dir := t.TempDir()
	dataFile, treeFile := filepath.Join(dir, "data"), filepath.Join(dir, "tree")
	if err := os.WriteFile(dataFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, append([]string{"format", dataFile, treeFile}, options...)...)
	tree, err := os.ReadFile(treeFile)
	if err != nil {
		t.Fatal(err)
	}
	table, err := Superblock(bytes.NewReader(tree), 0)
	if err != nil {
		t.Fatal(err)
	}
	table.RootHash, table.Data, table.Hash = root, "data", "tree"
	return made{data, tree, table}
}

func rootOf(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("veritysetup", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("veritysetup %q: %v\n%s", args, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if root, ok := strings.CutPrefix(line, "Root hash:"); ok {
			return strings.TrimSpace(root)
		}
	}
	t.Fatalf("veritysetup %q names no root hash:\n%s", args, out)
	return ""
}

func (m made) prove(t testing.TB) node.DeepDevice {
	t.Helper()
	d, err := Prove(t.Context(), m.table, bytes.NewReader(m.data), bytes.NewReader(m.tree), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// noise is n bytes that differ from one another.
func noise(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{7})
	_, _ = source.Read(b)
	return b
}

// shapes are images at the edges of what a tree can look like. Of blocks of 4096
// bytes 128 hashes of SHA-256 fit into one of the tree.
var shapes = []struct {
	blocks  int
	options []string
}{
	{1, nil}, {2, nil}, {127, nil}, {128, nil}, {129, nil}, {255, nil}, {256, nil}, {257, nil}, {700, nil},
	{300, []string{"--salt=-"}},
	{300, []string{"--salt=" + strings.Repeat("ab", 256)}},
	{300, []string{"--salt=00"}},
	{300, []string{"--format=0"}},
	{300, []string{"--format=0", "--salt=-"}},
	{300, []string{"--hash=sha512"}},
	{300, []string{"--hash=sha512", "--format=0"}},
	{64, []string{"--hash=sha512"}}, {65, []string{"--hash=sha512"}}, {4097, []string{"--hash=sha512"}},
	{300, []string{"--hash=sha1"}},
	{300, []string{"--hash=sha1", "--format=0"}}, // 204 fit in, 128 are taken
	{300, []string{"--hash=sha384"}},
	{300, []string{"--hash-block-size=1024"}}, {32, []string{"--hash-block-size=1024"}}, {33, []string{"--hash-block-size=1024"}}, {1025, []string{"--hash-block-size=1024"}},
	{300, []string{"--data-block-size=1024", "--hash-block-size=1024"}},
	{301, []string{"--data-block-size=512", "--hash-block-size=4096"}},
	{301, []string{"--data-block-size=4096", "--hash-block-size=512"}},
	{17, []string{"--data-block-size=65536", "--hash-block-size=65536"}},
}

func dataSize(options []string) int {
	for _, o := range options {
		if text, ok := strings.CutPrefix(o, "--data-block-size="); ok {
			n, _ := strconv.Atoi(text)
			return n
		}
	}
	return 4096
}

// What veritysetup made is whole, in every shape; and whichever bit of the data or
// of the tree is flipped, it is found at its block and offset.
func TestProve(t *testing.T) {
	for _, shape := range shapes {
		t.Run(fmt.Sprintf("%d blocks %v", shape.blocks, shape.options), func(t *testing.T) {
			m := format(t, noise(shape.blocks*dataSize(shape.options)), shape.options...)
			d := m.prove(t)
			if !d.Whole() || d.DataBlocks != int64(shape.blocks) || d.Computed != m.table.RootHash {
				t.Fatalf("as it was made: got %+v, want it whole", d)
			}
			hashSize := int64(m.table.HashBlockSize)
			if start := m.table.HashStart * hashSize; d.HashRead*hashSize != int64(len(m.tree))-start {
				t.Errorf("it read %d blocks of the tree, want all %d", d.HashRead, (int64(len(m.tree))-start)/hashSize)
			}
			for _, at := range edges(len(m.data), m.table.DataBlockSize) {
				m.data[at] ^= 0x10
				block := int64(at / m.table.DataBlockSize)
				want := &node.BadBlock{Of: node.BadData, Device: "data", Block: block, Offset: block * int64(m.table.DataBlockSize)}
				m.wantBad(t, want, fmt.Sprintf("byte %d of the data", at))
				m.data[at] ^= 0x10
			}
			for _, lvl := range levelsOf(m) {
				for _, at := range edges(int(lvl.blocks*hashSize), int(hashSize)) {
					at := int(lvl.first*hashSize) + at
					m.tree[at] ^= 0x01
					block := int64(at) / hashSize
					want := &node.BadBlock{Of: node.BadHash, Level: lvl.number, Device: "tree", Block: block, Offset: block * hashSize}
					m.wantBad(t, want, fmt.Sprintf("byte %d of the tree, level %d", at, lvl.number))
					m.tree[at] ^= 0x01
				}
			}
			m.table.RootHash = "00" + m.table.RootHash[2:]
			if d := m.prove(t); d.Bad == nil || d.Whole() || d.Read != 0 {
				t.Errorf("with another root hash: got %+v, want it bad", d)
			}
		})
	}
}

// edges are the first and the last byte of the first, a middle and the last block.
func edges(size, block int) []int {
	middle := size / block / 2 * block
	return []int{0, block - 1, middle, size - block, size - 1}
}

type levelPlace struct {
	number        int
	first, blocks int64
}

// levelsOf places the levels anew, from the sizes alone: those that the last of
// them is counted down from the end of the tree.
func levelsOf(m made) []levelPlace {
	var levels []levelPlace
	size, per := algorithms[m.table.Algorithm]().Size(), int64(1)
	for per*2*int64(size) <= int64(m.table.HashBlockSize) {
		per *= 2
	}
	end := int64(len(m.tree)) / int64(m.table.HashBlockSize)
	for n := m.table.DataBlocks; n > 1; {
		n = (n + per - 1) / per
		end -= n
		levels = append(levels, levelPlace{len(levels), end, n})
	}
	return levels
}

func (m made) wantBad(t *testing.T, want *node.BadBlock, what string) {
	t.Helper()
	d := m.prove(t)
	if d.Bad == nil || d.Whole() {
		t.Fatalf("%s was changed and not found: %+v", what, d)
	}
	got := *d.Bad
	if got.Wanted == got.Computed || len(got.Wanted) != len(m.table.RootHash) || len(got.Computed) != len(m.table.RootHash) {
		t.Errorf("%s: got hashes %q and %q", what, got.Wanted, got.Computed)
	}
	got.Wanted, got.Computed = "", ""
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("%s was changed (-want +got):\n%s", what, diff)
	}
}

// The data may be followed by its tree on one device, at any block.
func TestProveOneDevice(t *testing.T) {
	needTool(t, "veritysetup")
	image := filepath.Join(t.TempDir(), "image")
	data := noise(300 * 4096)
	if err := os.WriteFile(image, data, 0o600); err != nil {
		t.Fatal(err)
	}
	offset := int64(len(data) + 3*4096)
	root := rootOf(t, "format", "--data-blocks=300", "--hash-offset="+strconv.FormatInt(offset, 10), image, image)
	in, err := Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	table, err := Superblock(in, offset)
	if err != nil {
		t.Fatal(err)
	}
	table.RootHash = root
	var said []int64
	d, err := Prove(t.Context(), table, in, in, Options{Progress: func(_ string, done, total int64) {
		if said = append(said, done); total != 300*4096 {
			t.Errorf("the progress is of %d bytes", total)
		}
	}})
	if err != nil || !d.Whole() {
		t.Errorf("got %+v, %v, want it whole", d, err)
	}
	if len(said) != 2 || said[1] != 300*4096 {
		t.Errorf("the progress was %v", said)
	}
}

// Where the table says ignore_zero_blocks, as Bottlerocket's does, the kernel reads
// no block whose hash is that of zeros: what lies there on the disk is no matter.
func TestProveIgnoresZeroBlocks(t *testing.T) {
	for _, options := range [][]string{nil, {"--format=0"}} {
		data := noise(300 * 4096)
		clear(data[50*4096 : 60*4096])
		m := format(t, data, options...)
		m.data[55*4096+9] = 1
		m.wantBad(t, &node.BadBlock{Of: node.BadData, Device: "data", Block: 55, Offset: 55 * 4096}, "a block of zeros")
		m.table.Args = []string{"restart_on_corruption", "ignore_zero_blocks"}
		if d := m.prove(t); !d.Whole() {
			t.Errorf("%v: got %+v, want it whole", options, d)
		}
		m.data[61*4096] ^= 1
		m.wantBad(t, &node.BadBlock{Of: node.BadData, Device: "data", Block: 61, Offset: 61 * 4096}, "a block of data")
		m.data[61*4096] ^= 1
		clear(m.data[61*4096 : 62*4096]) // zeros where there should be none
		m.wantBad(t, &node.BadBlock{Of: node.BadData, Device: "data", Block: 61, Offset: 61 * 4096}, "a block of data")
	}
}

// What is no tree that could be read is refused before anything is read.
func TestProveRefuses(t *testing.T) {
	good := node.VerityTarget{Version: 1, DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 2, Algorithm: "sha256", RootHash: strings.Repeat("ab", 32), Salt: "-"}
	for name, change := range map[string]func(*node.VerityTarget){
		"another hash":              func(t *node.VerityTarget) { t.Algorithm = "md5" },
		"a short root hash":         func(t *node.VerityTarget) { t.RootHash = "abab" },
		"a salt that is none":       func(t *node.VerityTarget) { t.Salt = "x" },
		"another format":            func(t *node.VerityTarget) { t.Version = 2 },
		"a large block":             func(t *node.VerityTarget) { t.DataBlockSize = 1 << 20 },
		"a block that is no power":  func(t *node.VerityTarget) { t.HashBlockSize = 4095 },
		"no data":                   func(t *node.VerityTarget) { t.DataBlocks = 0 },
		"more data than there is":   func(t *node.VerityTarget) { t.DataBlocks = 1 << 60 },
		"a tree where no device is": func(t *node.VerityTarget) { t.HashStart = 1 << 60 },
		"one hash in a block": func(t *node.VerityTarget) {
			t.Algorithm, t.RootHash, t.HashBlockSize = "sha512", strings.Repeat("ab", 64), 512
			t.HashBlockSize = 64
		},
		"a tree before the device":   func(t *node.VerityTarget) { t.HashStart = -1 },
		"a number of blocks below 0": func(t *node.VerityTarget) { t.DataBlocks = -5 },
	} {
		table := good
		change(&table)
		if d, err := Prove(t.Context(), table, nil, nil, Options{}); err == nil || d.Whole() {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
}

// failing fails at an offset, and ends at another.
type failing struct {
	io.ReaderAt
	at, end int64
	err     error
}

func (f failing) ReadAt(b []byte, offset int64) (int, error) {
	if f.end > 0 && offset+int64(len(b)) > f.end {
		n, _ := f.ReaderAt.ReadAt(b[:max(0, f.end-offset)], offset)
		return n, io.EOF
	}
	if f.err != nil && f.at >= offset && f.at < offset+int64(len(b)) {
		n, _ := f.ReaderAt.ReadAt(b[:(f.at-offset)/page*page], offset)
		return n, f.err
	}
	return f.ReaderAt.ReadAt(b, offset)
}

// An error of the disk, or its end, is neither whole nor bad: what was read before
// it counts, and its place is named.
func TestProveUnreadable(t *testing.T) {
	broken := errors.New("input/output error")
	m := format(t, noise(700*4096))
	data, tree := bytes.NewReader(m.data), bytes.NewReader(m.tree)
	for _, tt := range []struct {
		name       string
		data, tree io.ReaderAt
		want       node.UnreadablePlace
		read       int64
	}{
		{"the data", failing{data, 300 * 4096, 0, broken}, tree, node.UnreadablePlace{Device: "data", Offset: 300 * 4096, Reason: "input/output error"}, 300},
		{"the first block", failing{data, 0, 0, broken}, tree, node.UnreadablePlace{Device: "data", Reason: "input/output error"}, 0},
		{"the lowest level", data, failing{tree, 4 * 4096, 0, broken}, node.UnreadablePlace{Device: "tree", Offset: 4 * 4096, Reason: "input/output error"}, 256},
		{"the top", data, failing{tree, 4096, 0, broken}, node.UnreadablePlace{Device: "tree", Offset: 4096, Reason: "input/output error"}, 0},
		{"the device is too short", failing{data, 0, 600*4096 + 100, nil}, tree, node.UnreadablePlace{Device: "data", Offset: 600*4096 + 100, Reason: "it ends there"}, 600},
	} {
		d, err := Prove(t.Context(), m.table, tt.data, tt.tree, Options{})
		if err != nil || d.Unreadable == nil || d.Bad != nil || d.Whole() {
			t.Errorf("%s: got %+v, %v, want it unreadable", tt.name, d, err)
			continue
		}
		if diff := cmp.Diff(tt.want, *d.Unreadable); diff != "" || d.Read != tt.read {
			t.Errorf("%s: read %d, want %d (-want +got):\n%s", tt.name, d.Read, tt.read, diff)
		}
	}
}

// gated is read only as often as somebody lets it.
type gated struct {
	io.ReaderAt
	gate chan struct{}
}

func (g gated) ReadAt(b []byte, offset int64) (int, error) {
	<-g.gate
	return g.ReaderAt.ReadAt(b, offset)
}

// Who asked can leave at any time, and nothing is claimed then.
func TestProveInterrupted(t *testing.T) {
	m := format(t, noise(8<<20))
	ctx, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	options := Options{Progress: func(string, int64, int64) { cancel(); close(gate) }}
	d, err := Prove(ctx, m.table, gated{bytes.NewReader(m.data), gate}, bytes.NewReader(m.tree), options)
	if !errors.Is(err, context.Canceled) || d.Whole() || d.Read != pieceSize/4096 {
		t.Errorf("got %+v, %v, want that it was cancelled after the first piece", d, err)
	}
	if _, err := Prove(ctx, m.table, bytes.NewReader(m.data), bytes.NewReader(m.tree), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after it: got %v, want that it was cancelled", err)
	}
	if _, err := Prove(ctx, m.table, bytes.NewReader(m.data), bytes.NewReader(m.tree), Options{Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("while it waits for its limit: got %v, want that it was cancelled", err)
	}
}

// A limit changes nothing but the time.
func TestProveLimited(t *testing.T) {
	m := format(t, noise(300*4096))
	d, err := Prove(t.Context(), m.table, bytes.NewReader(m.data), bytes.NewReader(m.tree), Options{Limit: 64 << 20})
	if err != nil || !d.Whole() {
		t.Errorf("got %+v, %v, want it whole", d, err)
	}
}

// ownTree makes a tree by the definition alone, from the bottom, without
// veritysetup: over the hashes of the data blocks, one after the other.
func ownTree(hashes []byte, block int, salt string) (tree []byte, root string) {
	var levels [][]byte
	level := hashes
	for len(level) > sha256.Size {
		level = append(level, make([]byte, (block-len(level)%block)%block)...)
		levels = append([][]byte{level}, levels...)
		var above []byte
		for at := 0; at < len(level); at += block {
			above = append(above, saltedHash(salt, level[at:at+block])...)
		}
		level = above
	}
	return bytes.Join(levels, nil), hex.EncodeToString(level)
}

func saltedHash(salt string, block []byte) []byte {
	sum := sha256.Sum256(append([]byte(salt), block...))
	return sum[:]
}

// Of any number of blocks a tree that is made here is whole.
func TestProveOwnTrees(t *testing.T) {
	for blocks := 1; blocks < 300; blocks++ {
		data := noise(blocks * 512)
		var hashes []byte
		for at := 0; at < len(data); at += 512 {
			hashes = append(hashes, saltedHash("salt", data[at:at+512])...)
		}
		tree, root := ownTree(hashes, 512, "salt")
		m := made{data, tree, node.VerityTarget{
			Version: 1, DataBlockSize: 512, HashBlockSize: 512, DataBlocks: int64(blocks), Algorithm: "sha256",
			RootHash: root, Salt: hex.EncodeToString([]byte("salt")), Data: "data", Hash: "tree",
		}}
		if d := m.prove(t); !d.Whole() {
			t.Errorf("%d blocks: got %+v, want it whole", blocks, d)
		}
	}
}
