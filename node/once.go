package node

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// readings are the answers to what more than one source asks: each is asked once a
// gathering, so that sources cannot disagree over it.
type readings struct {
	mu    sync.Mutex
	files map[string]fileReading
	lists map[string]listReading
}

type fileReading struct {
	b   []byte
	err error
}

type listReading struct {
	entries []DirEntry
	err     error
	max     int // the limit that it was asked with
}

// readOnce is ReadSecret for a small file that all who read it read with the same
// limit and the same redactor. What it returns must not be changed.
func (h *Host) readOnce(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	if h.gathering == nil {
		return h.ReadSecret(name, max, redact)
	}
	r := &h.gathering.readings
	r.mu.Lock()
	got, known := r.files[name]
	r.mu.Unlock()
	if !known { // asked without the lock, for a read can hang
		got.b, got.err = h.FS.ReadFile(name, max, redact)
		r.mu.Lock()
		if r.files == nil {
			r.files = map[string]fileReading{}
		}
		r.files[name] = got
		r.mu.Unlock()
	}
	if got.err == nil {
		h.evidence.add("/"+name, got.b)
	}
	return got.b, got.err
}

// listOnce lists a folder once a gathering. What /proc lists is left out: it changes
// while it is read, and there is a lot of it.
func (h *Host) listOnce(name string, max int) ([]DirEntry, error) {
	if h.gathering == nil || name == "proc" || strings.HasPrefix(name, "proc/") {
		return h.FS.ReadDir(name, max)
	}
	r := &h.gathering.readings
	r.mu.Lock()
	got, known := r.lists[name]
	r.mu.Unlock()
	if !known || got.err != nil && codeOf(got.err) == TooLarge && max > got.max {
		got.max = max
		got.entries, got.err = h.FS.ReadDir(name, max)
		r.mu.Lock()
		if r.lists == nil {
			r.lists = map[string]listReading{}
		}
		r.lists[name] = got
		r.mu.Unlock()
	}
	if len(got.entries) > max {
		return nil, &Error{"listing", "/" + name, TooLarge, fmt.Sprintf("more than %d entries", max)}
	}
	return slices.Clone(got.entries), got.err
}
