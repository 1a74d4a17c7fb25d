package deep

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// metacopy is an entry as an image has it.
func metacopy(digest [32]byte) []byte {
	b := append([]byte{16, 4, 36, 0}, metacopyName...)
	return append(append(b, metacopyHead...), digest[:]...)
}

// imageOf is the superblock of an erofs, and attributes behind it.
func imageOf(incompat uint32, prefixes byte, attributes ...[]byte) []byte {
	b := make([]byte, 2048)
	binary.LittleEndian.PutUint32(b[1024:], 0xe0f5e1e2)
	binary.LittleEndian.PutUint32(b[1024+80:], incompat)
	b[1024+91] = prefixes
	return append(b, bytes.Join(attributes, nil)...)
}

func objectsOf(digests ...[32]byte) *objects {
	o := &objects{}
	for _, d := range digests {
		o.add("sha256:" + hex.EncodeToString(d[:]))
	}
	return o
}

// namedIn searches an image that is read in pieces, of which the first holds the
// superblock.
func namedIn(known *objects, image []byte, piece int) node.DeepNames {
	n := names{known: known}
	first := min(2048, len(image))
	n.add(image[:first])
	for b := image[first:]; len(b) > 0; b = b[min(piece, len(b)):] {
		n.add(b[:min(piece, len(b))])
	}
	return *n.end()
}

func TestNames(t *testing.T) {
	a, b, c := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b")), sha256.Sum256([]byte("c"))
	hexOf := func(d [32]byte) string { return "sha256:" + hex.EncodeToString(d[:]) }
	edited := func(edit func([]byte) []byte) []byte { return edit(metacopy(a)) }
	set := func(at int, value byte) []byte {
		return edited(func(b []byte) []byte { b[at] = value; return b })
	}
	filled := make([]byte, 4000)
	partial := objectsOf(a)
	partial.lacks("not all of /b was read")
	for _, tt := range []struct {
		name    string
		known   *objects
		image   []byte
		want    node.DeepNames
		unknown string // what Unknown says
	}{
		{name: "all are there", known: objectsOf(a, b, c), image: imageOf(0, 0, metacopy(a), filled, metacopy(b)), want: node.DeepNames{Named: 2, Found: 2}},
		{name: "files in chunks", known: objectsOf(a), image: imageOf(4, 0, metacopy(a), filled), want: node.DeepNames{Named: 1, Found: 1}},
		{name: "two files of the same content", known: objectsOf(a), image: imageOf(0, 0, metacopy(a), metacopy(a)), want: node.DeepNames{Named: 2, Found: 2}},
		{name: "two are missing", known: objectsOf(a), image: imageOf(0, 0, filled, metacopy(b), metacopy(c), metacopy(a)), want: node.DeepNames{Named: 3, Found: 1, Missing: hexOf(b)}},
		{name: "there are no objects", known: &objects{}, image: imageOf(0, 0, metacopy(a)), want: node.DeepNames{Named: 1, Missing: hexOf(a)}},
		{name: "no names", known: objectsOf(a), image: imageOf(0, 0, filled)},
		{name: "another folder of objects was not read whole", known: partial, image: imageOf(0, 0, metacopy(a), metacopy(b)), want: node.DeepNames{Named: 2, Found: 1}, unknown: "not all of /b was read"},
		{name: "a folder was not read whole, and all are in the others", known: partial, image: imageOf(0, 0, metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}},

		{name: "in the content of a file, where no entry begins", known: objectsOf(a), image: imageOf(0, 0, []byte("x"), metacopy(b), []byte("xxx"), metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}},
		{name: "the escaped attribute of an overlay in the image", known: objectsOf(a), image: imageOf(0, 0, append([]byte{24, 4, 36, 0}, "overlay.overlay.metacopy"...), filled, metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}},
		{name: "a file that is called so", known: objectsOf(a), image: imageOf(0, 0, []byte(strings.Repeat("overlay.metacopy", 9)), metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}},
		{name: "the attribute of a user", known: objectsOf(a), image: imageOf(0, 0, set(1, 1), metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}},

		{name: "a digest of sha512", known: objectsOf(a), image: imageOf(0, 0, set(23, 2)), unknown: "no digest of sha256"},
		{name: "another version", known: objectsOf(a), image: imageOf(0, 0, set(20, 1)), unknown: "no digest of sha256"},
		{name: "flags", known: objectsOf(a), image: imageOf(0, 0, set(22, 1)), unknown: "no digest of sha256"},
		{name: "a longer value", known: objectsOf(a), image: imageOf(0, 0, set(2, 68), filled), unknown: "no digest of sha256"},
		{name: "no value", known: objectsOf(a), image: imageOf(0, 0, metacopy(a), set(2, 0)[:20]), want: node.DeepNames{Named: 1, Found: 1}, unknown: "at byte 2104, 0 bytes"},
		{name: "one is cut off", known: objectsOf(a), image: imageOf(0, 0, metacopy(a), metacopy(a)[:55]), want: node.DeepNames{Named: 1, Found: 1}, unknown: "no digest of sha256"},

		{name: "prefixes of names", known: objectsOf(a), image: imageOf(0, 1, metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}, unknown: "1 prefixes"},
		{name: "the feature of prefixes", known: objectsOf(a), image: imageOf(0x40, 0, metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}, unknown: "features 0x40"},
		{name: "compressed metadata", known: objectsOf(a), image: imageOf(0x104, 0, metacopy(a)), want: node.DeepNames{Named: 1, Found: 1}, unknown: "features 0x104"},
		{name: "no erofs", known: objectsOf(a), image: append(make([]byte, 4096), metacopy(a)...), want: node.DeepNames{Named: 1, Found: 1}, unknown: "no superblock"},
		{name: "nothing", known: objectsOf(a), unknown: "no superblock"},
	} {
		for _, piece := range []int{1, 4, 55, 56, 57, 4096} {
			got := namedIn(tt.known, tt.image, piece)
			if !strings.Contains(got.Unknown, tt.unknown) || (tt.unknown == "") != (got.Unknown == "") {
				t.Errorf("%s, in pieces of %d: unknown because of %q, want %q", tt.name, piece, got.Unknown, tt.unknown)
			}
			got.Unknown = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, in pieces of %d (-want +got):\n%s", tt.name, piece, diff)
			}
		}
	}
}

// However an image is cut into pieces, it names the same.
func FuzzNames(f *testing.F) {
	digest := sha256.Sum256([]byte("a"))
	f.Add(imageOf(0, 0, metacopy(digest), make([]byte, 100), metacopy(digest)), 7)
	f.Add(imageOf(4, 0, metacopy(digest)[:40]), 56)
	f.Add([]byte("overlay.metacopy"), 1)
	f.Fuzz(func(t *testing.T, image []byte, piece int) {
		known := objectsOf(digest)
		whole, pieces := namedIn(known, image, len(image)+1), namedIn(known, image, max(1, piece))
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Errorf("in pieces of %d (-whole +pieces):\n%s", piece, diff)
		}
		if whole.Found > whole.Named || (whole.Found < whole.Named) != (whole.Missing != "") {
			t.Errorf("got %+v", whole)
		}
	})
}
