package node

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// A record of utmp(5) is 384 bytes where it has 32-bit times, as on x86, and 400
// on other 64-bit machines. Type, process, line and user stand at the same places
// in both. Source: utmp(5); glibc bits/utmp.h, __WORDSIZE_TIME64_COMPAT32.
const (
	utmpShort = 384
	utmpLong  = 400

	utmpPID  = 4
	utmpLine = 8
	utmpID   = 40
	utmpUser = 44
	utmpHost = 76

	utmpLoggedIn = 7 // USER_PROCESS
	utmpTypes    = 10
)

// utmpSize is the size of the records in b, by which all types are ones that
// exist; 0 where neither fits.
func utmpSize(b []byte) int {
	for _, size := range []int{utmpShort, utmpLong} {
		if len(b)%size != 0 {
			continue
		}
		fits := true
		for at := 0; at < len(b); at += size {
			// A type has two bytes and two of padding; a line is text.
			fits = fits && binary.NativeEndian.Uint16(b[at:]) < utmpTypes && b[at+2] == 0 && b[at+3] == 0
		}
		if fits {
			return size
		}
	}
	return 0
}

// redactUTMP blanks names of hosts, addresses and times. What is no utmp goes
// as a whole.
func redactUTMP(b []byte) []byte {
	size := utmpSize(b)
	if size == 0 {
		return []byte("no utmp")
	}
	out := slices.Clone(b)
	for at := 0; at < len(out); at += size {
		clear(out[at+2 : at+utmpPID])
		for _, text := range [][]byte{out[at+utmpLine : at+utmpID], out[at+utmpUser : at+utmpHost]} {
			if end := bytes.IndexByte(text, 0); end >= 0 {
				clear(text[end:]) // what an earlier entry has left
			}
		}
		clear(out[at+utmpID : at+utmpUser])
		clear(out[at+utmpHost : at+size])
	}
	return out
}

type utmpRecord struct {
	kind uint16
	pid  int
	Login
}

// parseUTMP parses utmp(5) after redactUTMP.
func parseUTMP(b []byte) ([]utmpRecord, error) {
	size := utmpSize(b)
	if size == 0 {
		return nil, fmt.Errorf("%d bytes are no records of utmp", len(b))
	}
	var out []utmpRecord
	for at := 0; at < len(b); at += size {
		r := b[at : at+size]
		out = append(out, utmpRecord{
			binary.NativeEndian.Uint16(r), int(int32(binary.NativeEndian.Uint32(r[utmpPID:]))),
			Login{quoteName(cText(r[utmpUser:utmpHost])), quoteName(cText(r[utmpLine:utmpID]))},
		})
	}
	return out, nil
}

// cText is the text up to the first NUL.
func cText(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// readLogins reads who utmp has logged in. An entry whose process is gone was
// left by a crash. Systems with logind alone have no such file.
func readLogins(h *Host, t *processTable) ([]Login, error) {
	out := []Login{}
	b, err := h.ReadSecret("run/utmp", 1<<20, redactUTMP)
	if IsAbsent(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	records, err := parseUTMP(b)
	if err != nil {
		return out, &Error{"reading", "/run/utmp", Malformed, err.Error()}
	}
	for _, r := range records {
		if _, runs := t.byPID(r.pid); r.kind != utmpLoggedIn || !runs {
			continue
		}
		if strings.HasPrefix(r.Line, "pts/") {
			r.Line = "pts" // which of them moves with every login
		}
		out = append(out, r.Login)
	}
	slices.SortFunc(out, func(a, b Login) int { return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Line, b.Line)) })
	return slices.Compact(out), nil
}
