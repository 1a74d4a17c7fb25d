package deep

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

func FuzzSuperblock(f *testing.F) {
	good := make([]byte, superblockSize)
	copy(good, "verity\x00\x00\x01\x00\x00\x00\x01")
	copy(good[32:], "sha256")
	copy(good[64:], "\x00\x10\x00\x00\x00\x10\x00\x00\x05")
	copy(good[80:], "\x02\x00")
	f.Add(good)
	f.Add([]byte("verity"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSuperblock(b)
		if err != nil {
			return
		}
		// What is accepted is a table that a tree can be made of, once a root hash is in it.
		of := algorithms[s.Algorithm]
		if of == nil {
			return
		}
		s.RootHash = strings.Repeat("00", of().Size())
		if text := fmt.Sprintf("%d 1:1 1:1 %d %d %d 1 %s %s %s", s.Version, s.DataBlockSize, s.HashBlockSize, s.DataBlocks, s.Algorithm, s.RootHash, s.Salt); s.Salt != "" {
			if _, err := node.ParseVerity(text); err != nil {
				t.Errorf("a superblock that was accepted makes no table: %v", err)
			}
		}
		again, salt := superblockOf(s), 88+len(strings.Trim(s.Salt, "-"))/2
		for _, ignored := range [][2]int{{16, 32}, {82, 88}, {salt, len(b)}} { // the UUID, and what stands for nothing
			copy(again[ignored[0]:ignored[1]], b[ignored[0]:ignored[1]])
		}
		if !bytes.Equal(again, b) {
			t.Errorf("got %x of %x", again, b)
		}
	})
}

// superblockOf writes a superblock as it is read.
func superblockOf(t node.VerityTarget) []byte {
	b := make([]byte, superblockSize)
	copy(b, "verity\x00\x00\x01\x00\x00\x00")
	b[12] = byte(t.Version)
	copy(b[32:], t.Algorithm)
	put := func(at, n, v int) {
		for i := range n {
			b[at+i] = byte(v >> (8 * i))
		}
	}
	put(64, 4, t.DataBlockSize)
	put(68, 4, t.HashBlockSize)
	put(72, 8, int(t.DataBlocks))
	if t.Salt != "-" {
		salt, _ := hex.DecodeString(t.Salt)
		put(80, 2, len(salt))
		copy(b[88:], salt)
	}
	return b
}

func TestSuperblockRefuses(t *testing.T) {
	good := superblockOf(node.VerityTarget{Version: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 5, Salt: "abab"})
	if _, err := parseSuperblock(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"cut":                        func(b []byte) []byte { return b[:511] },
		"no signature":               func(b []byte) []byte { b[0] = 'V'; return b },
		"another version":            func(b []byte) []byte { b[8] = 2; return b },
		"another format":             func(b []byte) []byte { b[12] = 2; return b },
		"no hash":                    func(b []byte) []byte { b[32] = 0; return b },
		"a hash that is no word":     func(b []byte) []byte { b[33] = '/'; return b },
		"something behind the hash":  func(b []byte) []byte { b[60] = 'x'; return b },
		"a block that is no power":   func(b []byte) []byte { b[64] = 1; return b },
		"a hash block of 4 GiB":      func(b []byte) []byte { b[71] = 255; return b },
		"no data":                    func(b []byte) []byte { b[72] = 0; return b },
		"more data than there can":   func(b []byte) []byte { b[79] = 255; return b },
		"a salt longer than its box": func(b []byte) []byte { b[81] = 2; return b },
	} {
		if got, err := parseSuperblock(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}
