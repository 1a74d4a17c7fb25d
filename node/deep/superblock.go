package deep

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// superblockSize is how much a superblock of dm-verity takes.
const superblockSize = 512

// Superblock reads the superblock that veritysetup(8) writes before a hash tree,
// at an offset in bytes, and makes of it the table of the device, which lacks the
// root hash: that is what has to be known otherwise.
func Superblock(in io.ReaderAt, offset int64) (node.VerityTarget, error) {
	buf := newBuffer(2 * page)
	defer freeBuffer(buf)
	start := offset / page * page
	n, err := fill(in, buf, start)
	at := int(offset - start)
	if n < at+superblockSize {
		return node.VerityTarget{}, &readError{"the superblock", offset, err}
	}
	t, err := parseSuperblock(buf[at : at+superblockSize])
	if err != nil {
		return t, fmt.Errorf("reading a superblock of dm-verity at byte %d: %w", offset, err)
	}
	// As veritysetup does: the tree begins with the next block of hashes.
	size := int64(t.HashBlockSize)
	t.HashStart = (offset + superblockSize + size - 1) / size
	return t, nil
}

// parseSuperblock parses a superblock. Source: struct verity_sb of cryptsetup's
// lib/verity/verity.c.
func parseSuperblock(b []byte) (node.VerityTarget, error) {
	var t node.VerityTarget
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	switch {
	case len(b) != superblockSize:
		return t, fmt.Errorf("it is %d bytes, not %d", len(b), superblockSize)
	case string(b[:8]) != "verity\x00\x00":
		return t, fmt.Errorf("it begins with %q, not with \"verity\"", b[:8])
	case word(8) != 1:
		return t, fmt.Errorf("its version is %d, not 1", word(8))
	case word(12) > 1:
		return t, fmt.Errorf("the format of its tree is %d, neither 0 nor 1", word(12))
	}
	t.Version = int(word(12))
	name, rest, _ := bytes.Cut(b[32:64], []byte{0})
	if len(bytes.Trim(rest, "\x00")) > 0 || len(name) == 0 || strings.Trim(string(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return t, fmt.Errorf("its hash is called %q", b[32:64])
	}
	t.Algorithm = string(name)
	for at, into := range map[int]*int{64: &t.DataBlockSize, 68: &t.HashBlockSize} {
		if size := word(at); size < 512 || size > maxBlock || size&(size-1) != 0 {
			return t, fmt.Errorf("a block size of %d is no power of two from 512 to %d", size, maxBlock)
		}
		*into = int(word(at))
	}
	blocks := binary.LittleEndian.Uint64(b[72:])
	if blocks == 0 || blocks > 1<<62/uint64(t.DataBlockSize) {
		return t, fmt.Errorf("it has %d blocks of data", blocks)
	}
	t.DataBlocks = int64(blocks)
	size := int(binary.LittleEndian.Uint16(b[80:]))
	if size > 256 {
		return t, fmt.Errorf("its salt has %d bytes, more than 256", size)
	}
	if t.Salt = "-"; size > 0 {
		t.Salt = hex.EncodeToString(b[88 : 88+size])
	}
	return t, nil
}
