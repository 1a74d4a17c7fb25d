package deep

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// objects are the fs-verity digests of the files that were read again and come to
// what the kernel has of them. The image of a composefs is asked for after the
// folders of its objects, and what it names is looked up here.
type objects struct {
	proven  map[[32]byte]bool // of sha256
	partial string            // the first folder that was not read whole, and why
}

// add remembers the digest of a file, as fileDigest writes it.
func (o *objects) add(digest string) {
	var raw [32]byte
	if n, err := hex.Decode(raw[:], bytes.TrimPrefix([]byte(digest), []byte("sha256:"))); err != nil || n != len(raw) {
		return // of sha512: an image that names such a digest is not understood
	}
	if o.proven == nil {
		o.proven = map[[32]byte]bool{}
	}
	if len(o.proven) == maxObjects && !o.proven[raw] {
		o.lacks(fmt.Sprintf("there are more than %d objects", maxObjects))
		return
	}
	o.proven[raw] = true
}

func (o *objects) lacks(why string) {
	if o.partial == "" {
		o.partial = why
	}
}

// The erofs image of a composefs has, of each file whose content is an object, the
// attribute trusted.overlay.metacopy with the object's digest: an entry of 4 bytes,
// the name without its prefix, and the value, a struct ovl_metacopy. An entry
// begins at a multiple of 4. Source: struct erofs_xattr_entry of the kernel's
// fs/erofs/erofs_fs.h, struct ovl_metacopy of its fs/overlayfs/overlayfs.h,
// ovl_validate_verity of its fs/overlayfs/util.c.
const (
	metacopyName  = "overlay.metacopy"
	metacopySize  = 4 + 32 // of the value, with a digest of sha256
	trustedPrefix = 4      // EROFS_XATTR_INDEX_TRUSTED
	entryHead     = 4
	entrySize     = entryHead + len(metacopyName) + metacopySize
	entryAlign    = 4
)

// metacopyHead is the value up to the digest: version 0, its length, no flags,
// FS_VERITY_HASH_ALG_SHA256.
var metacopyHead = []byte{0, metacopySize, 0, 1}

// names finds the digests that an image names, while it is read. It does not go
// through the file system but searches all of it for such entries: bytes of
// something else that look like one name a digest too many, which no object has,
// and none that is an entry is missed, for the kernel reads an entry as the bytes
// that lie there one after another. Two things in a superblock would change that,
// and such an image is not understood: prefixes of names that are kept elsewhere
// (xattr_prefix_count, whatever the feature flags say), and any incompatible
// feature but files in chunks, for metadata can be compressed. Which file an entry is
// of is not known: two objects that were exchanged with each other are not found.
type names struct {
	known *objects
	buf   []byte // what was read and may begin an entry, from start on
	start int64
	out   node.DeepNames
}

// add goes on with the next bytes of the image.
func (n *names) add(b []byte) {
	first := n.start == 0 && len(n.buf) == 0
	n.buf = append(n.buf, b...)
	if first {
		n.superblock(n.buf)
	}
	n.search(entrySize)
	if done := len(n.buf) - (entrySize - 1); done > 0 {
		n.buf, n.start = append(n.buf[:0], n.buf[done:]...), n.start+int64(done)
	}
}

// end is what the image named.
func (n *names) end() *node.DeepNames {
	n.search(entryHead + len(metacopyName))
	return &n.out
}

// search goes through the entries that have at least so many bytes in the buffer.
func (n *names) search(least int) {
	for at := 0; ; at++ {
		i := bytes.Index(n.buf[at:], []byte(metacopyName))
		if i < 0 {
			return
		}
		at += i
		entry := at - entryHead
		if entry < 0 || len(n.buf)-entry < least {
			continue
		}
		if b := n.buf[entry:]; (n.start+int64(entry))%entryAlign == 0 && b[0] == byte(len(metacopyName)) && b[1] == trustedPrefix {
			n.entry(b, n.start+int64(entry))
		}
	}
}

// entry notes one entry.
func (n *names) entry(b []byte, offset int64) {
	value := b[entryHead+len(metacopyName):]
	if size := binary.LittleEndian.Uint16(b[2:]); size != metacopySize || len(value) < metacopySize || !bytes.HasPrefix(value, metacopyHead) {
		n.unknown(fmt.Sprintf("the value of trusted.overlay.metacopy at byte %d, %d bytes that begin with %x, is no digest of sha256", offset, size, value[:min(len(value), len(metacopyHead))]))
		return
	}
	digest := [32]byte(value[len(metacopyHead):])
	n.out.Named++
	switch {
	case n.known.proven[digest]:
		n.out.Found++
	case n.known.partial != "":
		n.unknown(n.known.partial)
	case n.out.Missing == "":
		n.out.Missing = "sha256:" + hex.EncodeToString(digest[:])
	}
}

func (n *names) unknown(why string) {
	if n.out.Unknown == "" {
		n.out.Unknown = why
	}
}

// superblock looks whether the image can be searched. Source: struct
// erofs_super_block of the kernel's fs/erofs/erofs_fs.h; erofs_read_superblock of
// its fs/erofs/super.c.
func (n *names) superblock(image []byte) {
	const (
		at, size = 1024, 128
		magic    = 0xe0f5e1e2
		chunks   = 4 // EROFS_FEATURE_INCOMPAT_CHUNKED_FILE
	)
	if len(image) < at+size || binary.LittleEndian.Uint32(image[at:]) != magic {
		n.unknown("it has no superblock of erofs")
		return
	}
	sb := image[at : at+size]
	if incompat := binary.LittleEndian.Uint32(sb[80:]); incompat&^chunks != 0 {
		n.unknown(fmt.Sprintf("its erofs has the incompatible features %#x, with which its attributes may lie elsewhere", incompat))
	}
	if prefixes := sb[91]; prefixes != 0 {
		n.unknown(fmt.Sprintf("its erofs has %d prefixes of the names of attributes", prefixes))
	}
}
