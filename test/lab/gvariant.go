//go:build linux

package lab

import "encoding/binary"

// entry is an entry of a GVariant dictionary of type a{sv}: a key, and a value as
// bytes with its type.
type entry struct {
	key   string
	typ   string
	value []byte
}

func boolEntry(key string, on bool) entry {
	if on {
		return entry{key, "b", []byte{1}}
	}
	return entry{key, "b", []byte{0}}
}

// pairEntry is an entry of type (tt).
func pairEntry(key string, a, b uint64) entry {
	return entry{key, "(tt)", binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, a), b)}
}

// vardict writes a dictionary of less than 256 bytes as GLib does, in which every
// framing offset is one byte. Source: the GVariant Specification (gnome.org), 2.3
// to 2.5.
func vardict(entries ...entry) []byte {
	var dict, ends []byte
	pad := func(b []byte) []byte { return append(b, make([]byte, (8-len(b)%8)%8)...) }
	for _, e := range entries {
		one := append([]byte(e.key), 0)
		keyEnd := byte(len(one))
		one = append(append(append(pad(one), e.value...), 0), e.typ...)
		dict = append(pad(dict), append(one, keyEnd)...)
		ends = append(ends, byte(len(dict)))
	}
	return append(dict, ends...)
}
