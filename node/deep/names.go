package deep

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// objects are the files that were read again and come to the fs-verity digest that
// the kernel has of them, by their path below the folder that was asked for. The
// image of a composefs is asked for after the folders of its objects, and what it
// names is looked up here.
type objects struct {
	proven  map[string][32]byte // "/aa/….file": sha256
	partial string              // the first reason why not all are here
}

// add remembers a file and its digest, as fileDigest writes it.
func (o *objects) add(name, digest string) {
	var raw [32]byte
	if n, err := hex.Decode(raw[:], bytes.TrimPrefix([]byte(digest), []byte("sha256:"))); err != nil || n != len(raw) {
		return // of sha512: an image that names such a digest is not understood
	}
	if o.proven == nil {
		o.proven = map[string][32]byte{}
	}
	switch before, ok := o.proven[name]; {
	case ok && before != raw:
		o.lacks("two folders have different objects " + name)
	case !ok && len(o.proven) == maxObjects:
		o.lacks(fmt.Sprintf("there are more than %d objects", maxObjects))
	default:
		o.proven[name] = raw
	}
}

func (o *objects) lacks(why string) {
	if o.partial == "" {
		o.partial = why
	}
}

// The erofs image of a composefs has two attributes of each file whose content is
// an object: trusted.overlay.redirect is the object's path, trusted.overlay.metacopy
// its digest. Each is an entry that begins at a multiple of 4: a head of 4 bytes, the
// name without its prefix, and the value. Source: struct erofs_xattr_entry of the
// kernel's fs/erofs/erofs_fs.h, struct ovl_metacopy of its fs/overlayfs/overlayfs.h,
// ovl_validate_verity of its fs/overlayfs/util.c; composefs' libcomposefs.
const (
	metacopyName  = "overlay.metacopy"
	redirectName  = "overlay.redirect" // as long
	metacopySize  = 4 + 32             // of the value, with a digest of sha256
	redirectMost  = 1024               // of the value
	trustedPrefix = 4                  // EROFS_XATTR_INDEX_TRUSTED
	entryHead     = 4
	entryMost     = entryHead + len(redirectName) + redirectMost
	entryAlign    = 4
)

// metacopyHead is the value up to the digest: version 0, its length, no flags,
// FS_VERITY_HASH_ALG_SHA256.
var metacopyHead = []byte{0, metacopySize, 0, 1}

// names finds the objects and digests that an image names, while it is read. It does
// not go through the file system but searches all of it for such entries: bytes of
// something else that look like one name an object too many, which is not there, and
// none that is an entry is missed, for the kernel reads an entry as the bytes that
// lie there one after another. Two things in a superblock would change that, and
// such an image is not understood: prefixes of names that are kept elsewhere
// (xattr_prefix_count, whatever the feature flags say), and any incompatible feature
// but files in chunks, for metadata can be compressed.
//
// Which object an entry gives the digest of is not known: objects that the image
// names and that were exchanged with each other are not found.
type names struct {
	known    *objects
	buf      []byte // what was read and may begin an entry, from start on
	start    int64
	digests  set[[32]byte]
	redirect set[string]
	why      string // not all is known
}

// set is a set that keeps the order.
type set[T comparable] struct {
	list []T
	has  map[T]bool
}

func (s *set[T]) add(v T) (fits bool) {
	if s.has == nil {
		s.has = map[T]bool{}
	}
	if !s.has[v] {
		s.list, s.has[v] = append(s.list, v), true
	}
	return len(s.list) <= maxObjects
}

// add goes on with the next bytes of the image. The first hold the superblock.
func (n *names) add(b []byte) {
	first := n.start == 0 && len(n.buf) == 0
	n.buf = append(n.buf, b...)
	if first {
		n.superblock(n.buf)
	}
	n.search(entryMost)
	if done := len(n.buf) - (entryMost - 1); done > 0 {
		n.buf, n.start = append(n.buf[:0], n.buf[done:]...), n.start+int64(done)
	}
}

// end is what the image named, and whether it is there.
func (n *names) end() *node.DeepNames {
	n.search(entryHead + len(metacopyName))
	out := &node.DeepNames{Objects: len(n.redirect.list), Digests: len(n.digests.list)}
	held := map[[32]byte]bool{}
	for _, name := range n.redirect.list {
		digest, ok := n.known.proven[name]
		switch {
		case ok && n.digests.has[digest]:
			held[digest] = true
			out.Found++
		case out.MissingObject == "":
			out.MissingObject = name
		}
	}
	for _, digest := range n.digests.list {
		if !held[digest] {
			out.MissingDigest = "sha256:" + hex.EncodeToString(digest[:])
			break
		}
	}
	if out.MissingObject != "" || out.MissingDigest != "" {
		if n.known.partial != "" { // it may be what was not read
			n.unknown(n.known.partial)
		}
		if n.why != "" {
			out.MissingObject, out.MissingDigest = "", ""
		}
	}
	out.Unknown = n.why
	return out
}

// search goes through the entries that have at least so many bytes in the buffer.
func (n *names) search(least int) {
	for at := 0; ; at++ {
		i := bytes.Index(n.buf[at:], []byte("overlay."))
		if i < 0 {
			return
		}
		at += i
		entry := at - entryHead
		if entry < 0 || len(n.buf)-entry < least {
			continue
		}
		b, offset := n.buf[entry:], n.start+int64(entry)
		if offset%entryAlign != 0 || int(b[0]) != len(metacopyName) || b[1] != trustedPrefix {
			continue
		}
		name, value := string(b[entryHead:][:len(metacopyName)]), b[entryHead+len(metacopyName):]
		size := int(binary.LittleEndian.Uint16(b[2:]))
		value = value[:min(size, len(value))]
		switch {
		case name == metacopyName && (size != metacopySize || len(value) < size || !bytes.HasPrefix(value, metacopyHead)):
			n.unknown(fmt.Sprintf("the value of trusted.overlay.metacopy at byte %d, %d bytes that begin with %x, is no digest of sha256", offset, size, value[:min(len(value), len(metacopyHead))]))
		case name == redirectName && (size > redirectMost || len(value) < size || !bytes.HasPrefix(value, []byte("/"))):
			n.unknown(fmt.Sprintf("the value of trusted.overlay.redirect at byte %d, %d bytes that begin with %.20q, is no path of an object", offset, size, value))
		case name == metacopyName && !n.digests.add([32]byte(value[len(metacopyHead):])), name == redirectName && !n.redirect.add(string(value)):
			n.unknown(fmt.Sprintf("it names more than %d objects", maxObjects))
			n.buf = n.buf[:0]
			return
		}
	}
}

func (n *names) unknown(why string) {
	if n.why == "" {
		n.why = why
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
