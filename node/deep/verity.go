package deep

import (
	"bytes"
	"context"
	"crypto/sha1" // what a table asks for is computed; whether it is enough is judged elsewhere
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

// errUnsupported is what this program cannot compute.
var errUnsupported = errors.New("not supported")

// algorithms are the hashes by the names that dm-verity and fs-verity have for
// them: those of the kernel's crypto API.
var algorithms = map[string]func() hash.Hash{
	"sha1":   sha1.New,
	"sha224": sha256.New224,
	"sha256": sha256.New,
	"sha384": sha512.New384,
	"sha512": sha512.New,
}

// maxBlock is the largest block that veritysetup(8) makes.
const maxBlock = 512 << 10

// Prove reads the data and the hash tree of a dm-verity device, whose table is t,
// and compares every block with the hash that the tree has of it, up to the root
// hash: as the kernel does for each block that somebody reads, but all of them. It
// goes through the data once, in order, and through each level of the tree beside
// it, so that it holds one piece of each and no more. It ends at the first block
// that is bad. Inputs are read as [pages] says.
//
// Sources: the kernel's Documentation/admin-guide/device-mapper/verity.rst, and
// verity_hash_at_level, verity_verify_level and verity_ctr of its
// drivers/md/dm-verity-target.c.
func Prove(ctx context.Context, t node.VerityTarget, data, tree io.ReaderAt, options Options) (node.DeepDevice, error) {
	p, err := newProof(t, data, tree)
	if err != nil {
		return p.result, err
	}
	// Both threads of a proof read when nobody else does.
	idly(func() { err = p.run(ctx, options) })
	p.result.Computed = hex.EncodeToString(p.top)
	return p.result, err
}

// proof is a reading of one device.
type proof struct {
	table  node.VerityTarget
	data   io.ReaderAt
	root   []byte
	salt   []byte
	hash   hash.Hash
	sum    []byte // the last hash
	top    []byte // what the block under the root hash comes to
	zero   []byte // the hash of a block of zeros, where such blocks are not read; else nil
	bits   int    // 1<<bits hashes are in a block of the tree
	stride int    // bytes from one to the next
	levels []level
	paces  *pace
	result node.DeepDevice
}

// level is a level of the tree, the lowest first.
type level struct {
	first   int64 // its first block, on the hash device
	in      window
	at      int64 // the block that is held, within the level; -1 for none
	content []byte
}

func newProof(t node.VerityTarget, data, tree io.ReaderAt) (*proof, error) {
	p := &proof{table: t, data: data, paces: &pace{}, result: node.DeepDevice{
		Algorithm: t.Algorithm, DataBlockSize: t.DataBlockSize, HashBlockSize: t.HashBlockSize, DataBlocks: t.DataBlocks, RootHash: t.RootHash,
	}}
	of := algorithms[t.Algorithm]
	if of == nil {
		return p, fmt.Errorf("the hash %q: %w", t.Algorithm, errUnsupported)
	}
	p.hash = of()
	size := p.hash.Size()
	var err error
	if p.root, err = hex.DecodeString(t.RootHash); err != nil || len(p.root) != size {
		return p, fmt.Errorf("the root hash %.200q is not one of %s", t.RootHash, t.Algorithm)
	}
	if t.Salt != "-" {
		if p.salt, err = hex.DecodeString(t.Salt); err != nil {
			return p, fmt.Errorf("the salt %.200q: %w", t.Salt, err)
		}
	}
	if t.Version != 0 && t.Version != 1 {
		return p, fmt.Errorf("format %d of dm-verity: %w", t.Version, errUnsupported)
	}
	for _, block := range []int{t.DataBlockSize, t.HashBlockSize} {
		if block < 512 || block > maxBlock || block&(block-1) != 0 {
			return p, fmt.Errorf("a block size of %d bytes: %w", block, errUnsupported)
		}
	}
	if slices.Contains(t.Args, "ignore_zero_blocks") {
		p.zero = bytes.Clone(p.hashOf(make([]byte, t.DataBlockSize)))
	}
	for 1<<(p.bits+1) <= t.HashBlockSize/size {
		p.bits++
	}
	if p.bits == 0 {
		return p, fmt.Errorf("blocks of %d bytes hold no two hashes of %s", t.HashBlockSize, t.Algorithm)
	}
	if p.stride = size; t.Version == 1 {
		p.stride = t.HashBlockSize >> p.bits
	}
	const most = 1 << 62
	if t.DataBlocks < 1 || t.DataBlocks > most/int64(t.DataBlockSize) || t.HashStart < 0 || t.HashStart > most/int64(t.HashBlockSize)-t.DataBlocks {
		return p, fmt.Errorf("%d blocks of data and a tree at block %d: no device is that large", t.DataBlocks, t.HashStart)
	}
	// As many levels as it takes until one block holds all hashes; of a single data
	// block there is none. The top one comes first on the device.
	var blocks []int64
	for n := t.DataBlocks; n > 1; {
		n = (n + 1<<p.bits - 1) >> p.bits
		blocks = append(blocks, n)
	}
	p.levels = make([]level, len(blocks))
	next := t.HashStart
	for i := len(blocks) - 1; i >= 0; i-- {
		p.levels[i] = level{first: next, at: -1, in: newWindow(tree, blocks[i]*int64(t.HashBlockSize), t.HashBlockSize, p.paces)}
		next += blocks[i]
	}
	return p, nil
}

// run reads the data through; what it finds is in p.result.
func (p *proof) run(ctx context.Context, options Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.paces.begin(ctx, options.Limit)
	defer p.paces.end()
	defer func() {
		for i := range p.levels {
			p.levels[i].in.close()
		}
	}()
	size := int64(p.table.DataBlockSize)
	total := p.table.DataBlocks * size
	stream := streamOf(ctx, p.data, total, p.paces)
	defer stream.close()
	for {
		piece, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for at := int64(0); at < int64(len(piece.content)); at += size {
			if int64(len(piece.content))-at < size {
				break // the device ends within this block: piece.err says so
			}
			if ok, err := p.check(-1, p.result.Read, piece.content[at:at+size]); !ok || err != nil {
				return p.ended(err)
			}
			p.result.Read++
		}
		if piece.err != nil {
			return p.ended(&readError{p.table.Data, piece.offset + int64(len(piece.content)), piece.err})
		}
		if options.Progress != nil {
			options.Progress("", p.result.Read*size, total)
		}
		stream.free(piece)
	}
}

// ended puts an error of the disk into the result.
func (p *proof) ended(err error) error {
	var read *readError
	if !errors.As(err, &read) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	p.result.Unreadable = &node.UnreadablePlace{Device: read.device, Offset: read.offset, Reason: read.err.Error()}
	return nil
}

// readError is where a device could not be read.
type readError struct {
	device string
	offset int64
	err    error
}

func (e *readError) Error() string {
	return fmt.Sprintf("reading %s at byte %d: %v", e.device, e.offset, e.err)
}
func (e *readError) Unwrap() error { return e.err }

// check compares a block, of the data for level -1, with what the tree has of it;
// where they differ, that is the first bad block.
func (p *proof) check(lvl int, block int64, content []byte) (bool, error) {
	want, ok, err := p.wanted(lvl, block)
	if !ok || err != nil {
		return false, err
	}
	if lvl < 0 && p.zero != nil && bytes.Equal(want, p.zero) { // the kernel gives out zeros, whatever is on the disk
		if len(p.levels) == 0 {
			p.top = p.zero
		}
		return true, nil
	}
	p.sum = p.hashOf(content)
	if lvl+1 == len(p.levels) {
		p.top = bytes.Clone(p.sum)
	}
	if bytes.Equal(p.sum, want) {
		return true, nil
	}
	bad := &node.BadBlock{Of: node.BadData, Block: block, Device: p.table.Data, Offset: block * int64(p.table.DataBlockSize)}
	if lvl >= 0 {
		at := p.levels[lvl].first + block
		bad = &node.BadBlock{Of: node.BadHash, Level: lvl, Block: at, Device: p.table.Hash, Offset: at * int64(p.table.HashBlockSize)}
	}
	bad.Wanted, bad.Computed = hex.EncodeToString(want), hex.EncodeToString(p.sum)
	p.result.Bad = bad
	return false, nil
}

// hashOf is the hash of a block with the salt, until it is called again.
func (p *proof) hashOf(content []byte) []byte {
	p.hash.Reset()
	if p.table.Version == 1 {
		p.hash.Write(p.salt)
	}
	p.hash.Write(content)
	if p.table.Version == 0 {
		p.hash.Write(p.salt)
	}
	return p.hash.Sum(p.sum[:0])
}

// wanted is the hash that the level above has of a block, and whether that level
// is itself as it should be.
func (p *proof) wanted(lvl int, block int64) ([]byte, bool, error) {
	above := lvl + 1
	if above == len(p.levels) {
		return p.root, true, nil
	}
	l := &p.levels[above]
	if at := block >> p.bits; l.at != at {
		offset := (l.first + at) * int64(p.table.HashBlockSize)
		content, err := l.in.bytes(offset, p.table.HashBlockSize)
		if err != nil {
			return nil, false, &readError{p.table.Hash, offset, err}
		}
		if ok, err := p.check(above, at, content); !ok || err != nil {
			return nil, false, err
		}
		l.at, l.content = at, content
		p.result.HashRead++
	}
	return l.content[int(block&(1<<p.bits-1))*p.stride:][:len(p.root)], true, nil
}
