package deep

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// entryOf is an attribute as an image has it.
func entryOf(name, value string) []byte {
	b := append([]byte{byte(len(name)), trustedPrefix, byte(len(value)), 0}, name+value...)
	return append(b, make([]byte, (entryAlign-len(b)%entryAlign)%entryAlign)...)
}

// metacopy and redirect are the attributes of a file whose content is an object.
func metacopy(digest [32]byte) []byte {
	return entryOf(metacopyName, string(metacopyHead)+string(digest[:]))
}

func redirect(name string) []byte { return entryOf(redirectName, name) }

func file(name string, digest [32]byte) []byte { return append(metacopy(digest), redirect(name)...) }

// imageOf is the superblock of an erofs, and attributes behind it.
func imageOf(incompat uint32, prefixes byte, attributes ...[]byte) []byte {
	b := make([]byte, 2048)
	binary.LittleEndian.PutUint32(b[1024:], 0xe0f5e1e2)
	binary.LittleEndian.PutUint32(b[1024+80:], incompat)
	b[1024+91] = prefixes
	return append(b, bytes.Join(attributes, nil)...)
}

func objectsOf(files map[string][32]byte) *objects {
	o := &objects{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		digest := files[name]
		o.add(name, "sha256:"+hex.EncodeToString(digest[:]))
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
	set := func(at int, value byte) []byte {
		b := metacopy(a)
		b[at] = value
		return b
	}
	type files = map[string][32]byte
	filled, fa, fb := make([]byte, 4000), file("/a", a), file("/b", b)
	one := node.DeepNames{Objects: 1, Digests: 1, Found: 1}
	two := node.DeepNames{Objects: 2, Digests: 2, Found: 2}
	partial := func(f files) *objects {
		o := objectsOf(f)
		o.lacks("not all of /b was read")
		return o
	}
	differing := objectsOf(files{"/a": a})
	differing.add("/a", hexOf(b))
	long := "/" + strings.Repeat("x", 254)
	for _, tt := range []struct {
		name    string
		known   *objects
		image   []byte
		want    node.DeepNames
		unknown string // what Unknown says
	}{
		{name: "all are there", known: objectsOf(files{"/a": a, "/b": b, "/c": c}), image: imageOf(0, 0, fa, filled, fb), want: two},
		{name: "files in chunks", known: objectsOf(files{"/a": a}), image: imageOf(4, 0, fa, filled), want: one},
		{name: "two files that are one object", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, fa), want: one},
		{name: "two objects of the same content", known: objectsOf(files{"/a": a, "/b": a}), image: imageOf(0, 0, fa, file("/b", a)), want: node.DeepNames{Objects: 2, Digests: 1, Found: 2}},
		{name: "attributes that files share, apart from each other", known: objectsOf(files{"/a": a, "/b": b}), image: imageOf(0, 0, redirect("/b"), redirect("/a"), filled, metacopy(a), metacopy(b)), want: two},
		{name: "a long path", known: objectsOf(files{long: a}), image: imageOf(0, 0, file(long, a)), want: one},

		{name: "an object is gone, or has no fs-verity", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, filled, fb, fa), want: node.DeepNames{Objects: 2, Digests: 2, Found: 1, MissingObject: "/b", MissingDigest: hexOf(b)}},
		{name: "an object was replaced, and is kept under another name", known: objectsOf(files{"/a": a, "/b.aside": b}), image: imageOf(0, 0, fa, fb), want: node.DeepNames{Objects: 2, Digests: 2, Found: 1, MissingObject: "/b", MissingDigest: hexOf(b)}},
		{name: "replaced by one with another digest", known: objectsOf(files{"/a": a, "/b": c, "/c": b}), image: imageOf(0, 0, fa, fb), want: node.DeepNames{Objects: 2, Digests: 2, Found: 1, MissingObject: "/b", MissingDigest: hexOf(b)}},
		{name: "replaced by a copy of another", known: objectsOf(files{"/a": a, "/b": a}), image: imageOf(0, 0, fa, fb), want: node.DeepNames{Objects: 2, Digests: 2, Found: 2, MissingDigest: hexOf(b)}},
		{name: "one of two with the same content is replaced", known: objectsOf(files{"/a": a, "/b": c}), image: imageOf(0, 0, fa, file("/b", a)), want: node.DeepNames{Objects: 2, Digests: 1, Found: 1, MissingObject: "/b"}},
		{name: "exchanged with each other, which is not found", known: objectsOf(files{"/a": b, "/b": a}), image: imageOf(0, 0, fa, fb), want: two},
		{name: "there are no objects", known: &objects{}, image: imageOf(0, 0, fa), want: node.DeepNames{Objects: 1, Digests: 1, MissingObject: "/a", MissingDigest: hexOf(a)}},
		{name: "no names", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, filled)},

		{name: "another folder of objects was not read whole", known: partial(files{"/a": a}), image: imageOf(0, 0, fa, fb), want: node.DeepNames{Objects: 2, Digests: 2, Found: 1}, unknown: "not all of /b was read"},
		{name: "a folder was not read whole, and all are in the others", known: partial(files{"/a": a}), image: imageOf(0, 0, fa), want: one},
		{name: "two folders have another object of the same name", known: differing, image: imageOf(0, 0, file("/a", b)), want: node.DeepNames{Objects: 1, Digests: 1}, unknown: "two folders"},

		{name: "in the content of a file, where no entry begins", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, []byte("x"), fb, []byte("xxx"), fa), want: one},
		{name: "the escaped attribute of an overlay in the image", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, entryOf("overlay.overlay.metacopy", "x"), entryOf("overlay.overlay.redirect", "x"), filled, fa), want: one},
		{name: "a file that is called so", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, []byte(strings.Repeat("overlay.metacopy", 9)), fa), want: one},
		{name: "the attribute of a user", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, set(1, 1), fa), want: one},

		{name: "a digest of sha512", known: &objects{}, image: imageOf(0, 0, set(23, 2)), unknown: "no digest of sha256"},
		{name: "another version", known: &objects{}, image: imageOf(0, 0, set(20, 1)), unknown: "no digest of sha256"},
		{name: "flags", known: &objects{}, image: imageOf(0, 0, set(22, 1)), unknown: "no digest of sha256"},
		{name: "a longer value", known: &objects{}, image: imageOf(0, 0, set(2, 68), filled), unknown: "no digest of sha256"},
		{name: "no value", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, entryOf(metacopyName, "")), want: one, unknown: "0 bytes that begin with "},
		{name: "one is cut off", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, metacopy(a)[:55]), want: one, unknown: "no digest of sha256"},
		{name: "a path is cut off", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, redirect("/ab")[:22]), want: one, unknown: "no path of an object"},
		{name: "the name of a file beside it", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, redirect("a")), want: one, unknown: "no path of an object"},
		{name: "a path that is too long", known: objectsOf(files{"/a": a}), image: imageOf(0, 0, fa, append([]byte{16, 4, 1, 4}, redirectName+"/"+strings.Repeat("x", 1024)...)), want: one, unknown: "1025 bytes"},

		{name: "prefixes of names", known: objectsOf(files{"/a": a}), image: imageOf(0, 1, fa), want: one, unknown: "1 prefixes"},
		{name: "the feature of prefixes", known: objectsOf(files{"/a": a}), image: imageOf(0x40, 0, fa), want: one, unknown: "features 0x40"},
		{name: "compressed metadata", known: objectsOf(files{"/a": a}), image: imageOf(0x104, 0, fa), want: one, unknown: "features 0x104"},
		{name: "no erofs", known: objectsOf(files{"/a": a}), image: append(make([]byte, 4096), fa...), want: one, unknown: "no superblock"},
		{name: "nothing", known: &objects{}, unknown: "no superblock"},
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
	f.Add(imageOf(0, 0, file("/a", digest), make([]byte, 100), file("/b", digest)), 7)
	f.Add(imageOf(4, 0, metacopy(digest)[:40]), 56)
	f.Add([]byte("overlay.redirect"), 1)
	f.Fuzz(func(t *testing.T, image []byte, piece int) {
		known := objectsOf(map[string][32]byte{"/a": digest})
		whole, pieces := namedIn(known, image, len(image)+1), namedIn(known, image, max(1, piece))
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Errorf("in pieces of %d (-whole +pieces):\n%s", piece, diff)
		}
		if whole.Found > whole.Objects || whole.Unknown == "" && (whole.Found < whole.Objects) != (whole.MissingObject != "") {
			t.Errorf("got %+v", whole)
		}
	})
}
