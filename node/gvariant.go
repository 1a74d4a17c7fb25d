package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// variant is a GVariant value with its type, not decoded.
type variant struct {
	typ  string
	data []byte
}

// parseVardict parses a GVariant of type a{sv} in its little-endian normal form,
// as the machines that we read write it, and refuses everything else. Source:
// the GVariant Specification (gnome.org), 2.3 to 2.6: a container of size n has
// framing offsets of one byte if n ≤ 0xff, of two if n ≤ 0xffff and so on; an
// array lists the end of each element after the last, a structure those of its
// variable-sized members but the last, in reverse.
func parseVardict(b []byte) (map[string]variant, error) {
	dict := map[string]variant{}
	if len(b) == 0 {
		return dict, nil
	}
	width := offsetSize(len(b))
	table, err := offsetAt(b, len(b)-width, width)
	if err != nil {
		return nil, err
	}
	if table > len(b)-width || (len(b)-table)%width != 0 {
		return nil, fmt.Errorf("the elements end at byte %d of %d, which leaves no whole table of offsets", table, len(b))
	}
	start := 0
	for at := table; at < len(b); at += width {
		end, err := offsetAt(b, at, width)
		if err != nil {
			return nil, err
		}
		// Elements of type {sv} are aligned to 8, because variants are.
		if start, err = padded(b, start, 8, end); err != nil {
			return nil, fmt.Errorf("element %d: %w", (at-table)/width, err)
		}
		key, v, err := parseDictEntry(b[start:end])
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", (at-table)/width, err)
		}
		if _, twice := dict[key]; twice {
			return nil, fmt.Errorf("key %q stands twice", key)
		}
		dict[key] = v
		start = end
	}
	return dict, nil
}

// parseDictEntry parses {sv}: a string, a variant, and where the string ends.
func parseDictEntry(b []byte) (string, variant, error) {
	width := offsetSize(len(b))
	if len(b) < width+2 {
		return "", variant{}, fmt.Errorf("%d bytes are too few", len(b))
	}
	last := len(b) - width
	end, err := offsetAt(b, last, width)
	if err != nil {
		return "", variant{}, err
	}
	if end > last {
		return "", variant{}, fmt.Errorf("the key ends at byte %d of %d", end, last)
	}
	key, err := parseString(b[:end])
	if err != nil {
		return "", variant{}, fmt.Errorf("key: %w", err)
	}
	start, err := padded(b, end, 8, last)
	if err != nil {
		return "", variant{}, fmt.Errorf("key %q: %w", key, err)
	}
	value := b[start:last]
	nul := bytes.LastIndexByte(value, 0)
	if nul < 0 {
		return "", variant{}, fmt.Errorf("key %q: its value has no type", key)
	}
	typ := string(value[nul+1:])
	if typ == "" || strings.Trim(typ, "bynqiuxthdsogvam(){}") != "" {
		return "", variant{}, fmt.Errorf("key %q: %q is no type", key, typ)
	}
	return key, variant{typ, value[:nul]}, nil
}

// boolean is "true" or "false".
func (v variant) boolean() (string, error) {
	if v.typ != "b" {
		return "", fmt.Errorf("type %s, want b", v.typ)
	}
	switch {
	case bytes.Equal(v.data, []byte{0}):
		return "false", nil
	case bytes.Equal(v.data, []byte{1}):
		return "true", nil
	}
	return "", fmt.Errorf("%x is no boolean", v.data)
}

func (v variant) text() (string, error) {
	if v.typ != "s" {
		return "", fmt.Errorf("type %s, want s", v.typ)
	}
	return parseString(v.data)
}

func parseString(b []byte) (string, error) {
	n := len(b) - 1
	if n < 0 || b[n] != 0 || bytes.IndexByte(b[:n], 0) >= 0 || !utf8.Valid(b) {
		return "", fmt.Errorf("%.100q is no string that ends in a NUL", b)
	}
	return string(b[:n]), nil
}

// offsetSize is the width of the framing offsets in a container of n bytes.
func offsetSize(n int) int {
	switch {
	case n <= 0xff:
		return 1
	case n <= 0xffff:
		return 2
	}
	return 4
}

func offsetAt(b []byte, at, width int) (int, error) {
	if at < 0 || at+width > len(b) {
		return 0, fmt.Errorf("no framing offset at byte %d of %d", at, len(b))
	}
	var whole [8]byte
	copy(whole[:], b[at:at+width])
	offset := binary.LittleEndian.Uint64(whole[:])
	if offset > uint64(len(b)) {
		return 0, fmt.Errorf("framing offset %d is beyond %d bytes", offset, len(b))
	}
	return int(offset), nil
}

// padded is the next multiple of alignment at or after start, which must not be
// beyond end and be reached through zeros.
func padded(b []byte, start, alignment, end int) (int, error) {
	next := (start + alignment - 1) / alignment * alignment
	if next > end {
		return 0, fmt.Errorf("it ends at byte %d, before it begins at %d", end, next)
	}
	if i := bytes.IndexFunc(b[start:next], func(r rune) bool { return r != 0 }); i >= 0 {
		return 0, fmt.Errorf("the padding at byte %d is not zero", start+i)
	}
	return next, nil
}
