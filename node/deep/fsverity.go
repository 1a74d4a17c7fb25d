package deep

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/seaworthy/seaworthy/node"
)

// fileDigest computes the fs-verity digest of a file of this size from what is in
// it: the hash of a descriptor that has the root of a hash tree. Each level of the
// tree is hashed while the one below is, so that one block of each is held.
// What was read is told, piece by piece.
// Source: the kernel's Documentation/filesystems/fsverity.rst, "Merkle tree" and
// "fs-verity descriptor"; struct fsverity_descriptor of its fs/verity.
func fileDigest(ctx context.Context, in pages, size int64, m node.FileMeasure, paces *pace, tell func(offset int64, content []byte)) (string, error) {
	number, ok := map[string]byte{"sha256": 1, "sha512": 2}[m.Algorithm]
	if !ok {
		return "", fmt.Errorf("the hash %q of fs-verity: %w", m.Algorithm, errUnsupported)
	}
	salt, err := hex.DecodeString(m.Salt)
	if err != nil || len(salt) > 32 {
		return "", fmt.Errorf("the salt %.100q of fs-verity is not 32 bytes in hexadecimal", m.Salt)
	}
	if m.BlockSize < 1024 || m.BlockSize > 64<<10 || m.BlockSize&(m.BlockSize-1) != 0 {
		return "", fmt.Errorf("blocks of %d bytes of fs-verity: %w", m.BlockSize, errUnsupported)
	}
	t := newMerkle(algorithms[m.Algorithm](), m.BlockSize, salt)
	if err := t.readFrom(ctx, in, size, paces, tell); err != nil {
		return "", err
	}
	descriptor := make([]byte, 256)
	descriptor[0], descriptor[1] = 1, number
	descriptor[2] = byte(log2(m.BlockSize))
	descriptor[3] = byte(len(salt))
	binary.LittleEndian.PutUint64(descriptor[8:], uint64(size))
	copy(descriptor[16:80], t.root())
	copy(descriptor[80:112], salt)
	t.hash.Reset()
	t.hash.Write(descriptor)
	return m.Algorithm + ":" + hex.EncodeToString(t.hash.Sum(nil)), nil
}

func log2(n int) int {
	log := 0
	for n > 1 {
		n, log = n/2, log+1
	}
	return log
}

// merkle is the hash tree of a file, while it is made.
type merkle struct {
	hash   hash.Hash
	salt   []byte // filled up to a whole input block of the hash
	block  int
	levels [][]byte // hashes that are not yet a block, the lowest level first
	sum    []byte
}

func newMerkle(h hash.Hash, block int, salt []byte) *merkle {
	m := &merkle{hash: h, block: block}
	if len(salt) > 0 {
		m.salt = make([]byte, (len(salt)+h.BlockSize()-1)/h.BlockSize()*h.BlockSize())
		copy(m.salt, salt)
	}
	return m
}

func (m *merkle) readFrom(ctx context.Context, in pages, size int64, paces *pace, tell func(offset int64, content []byte)) error {
	stream := streamOf(ctx, in, size, paces)
	defer stream.close()
	padded := make([]byte, m.block)
	for {
		piece, err := stream.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if piece.err != nil {
			return &readError{"", piece.offset + int64(len(piece.content)), piece.err}
		}
		for b := piece.content; len(b) > 0; b = b[min(m.block, len(b)):] {
			block := b[:min(m.block, len(b))]
			if len(block) < m.block { // the last one is filled up
				clear(padded[copy(padded, block):])
				block = padded
			}
			m.add(0, block)
		}
		tell(piece.offset, piece.content)
		stream.free(piece)
	}
}

// add hashes a block of the data, or of the level below another, into a level.
func (m *merkle) add(lvl int, block []byte) {
	if lvl == len(m.levels) {
		m.levels = append(m.levels, make([]byte, 0, m.block))
	}
	if len(m.levels[lvl]) == m.block { // only now: above a single block there is no level
		m.raise(lvl)
	}
	m.hash.Reset()
	m.hash.Write(m.salt)
	m.hash.Write(block)
	m.sum = m.hash.Sum(m.sum[:0])
	m.levels[lvl] = append(m.levels[lvl], m.sum...)
}

// raise hashes what a level holds, filled up, into the one above.
func (m *merkle) raise(lvl int) {
	n := len(m.levels[lvl])
	block := m.levels[lvl][:m.block]
	clear(block[n:])
	m.add(lvl+1, block)
	m.levels[lvl] = m.levels[lvl][:0]
}

// root is the hash of the only block of the highest level: nothing for an empty file.
func (m *merkle) root() []byte {
	for lvl := 0; lvl < len(m.levels); lvl++ {
		if lvl+1 == len(m.levels) && len(m.levels[lvl]) == m.hash.Size() {
			return m.levels[lvl]
		}
		m.raise(lvl)
	}
	return nil
}
