package capture

import (
	"encoding/json"
	"errors"

	"github.com/seaworthy/seaworthy/node"
)

// Record returns a host that answers as h does and writes all of it on tape.
// A question that is asked again is answered from the tape, so that a replay
// cannot differ from what was seen.
func Record(h *node.Host) (*node.Host, *Tape) {
	t := New(Header{Kind: Recorded, Sources: []string{}})
	t.kernel = h.Kernel != nil
	r := recorder{player{t}, h}
	out := &node.Host{FS: r}
	if t.kernel {
		out.Kernel = r
	}
	return out, t
}

// recorder answers from its tape and, where that has no answer yet, puts the
// answer of the live host there first.
type recorder struct {
	player
	live *node.Host
}

// begin reports whether k is still to be asked of the live host, and notes that
// it is being asked.
func (r recorder) begin(k key) bool {
	t := r.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	have, ok := t.records[k]
	if ok && !have.pending {
		return false
	}
	have = newRecord(k)
	have.pending = true
	t.records[k] = have
	return true
}

// end puts the answer on the tape unless another asked the same and was faster.
func (r recorder) end(rec record, err error) {
	if err != nil {
		rec.Error = refused(rec.key(), err)
		rec.Text, rec.Entries, rec.Info, rec.Answer = nil, nil, nil, nil
	}
	t := r.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.records[rec.key()]; !ok || have.pending {
		t.records[rec.key()] = rec
	}
}

// refused is err as a node.Error, which all errors of a host are.
func refused(k key, err error) *node.Error {
	var e *node.Error
	if errors.As(err, &e) {
		return clone(e)
	}
	return k.refusal(node.Failed, err.Error())
}

// retry forgets that k was too large where it is now asked for with a larger limit.
func (r recorder) retry(k key, max int64) {
	t := r.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.records[k]; ok && have.Error != nil && have.Error.Code == node.TooLarge && max > have.Max {
		delete(t.records, k)
	}
}

func (r recorder) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	k := key{op: opRead, name: name}
	r.retry(k, max)
	if r.begin(k) {
		rec := newRecord(k)
		b, err := r.live.FS.ReadFile(name, max, redact)
		content := text(b)
		rec.Text = &content
		if isTooLarge(err) {
			rec.Max = max
		}
		r.end(rec, err)
	} else if redact != nil {
		r.redact(k, redact)
	}
	return r.player.ReadFile(name, max, redact)
}

// redact takes out of a file what the source that asks for it now knows to be
// secret and the one that asked first did not.
func (r recorder) redact(k key, redact func([]byte) []byte) {
	t := r.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.records[k]; have.Text != nil {
		content := text(redact([]byte(*have.Text)))
		have.Text = &content
		t.records[k] = have
	}
}

func isTooLarge(err error) bool {
	var e *node.Error
	return errors.As(err, &e) && e.Code == node.TooLarge
}

func (r recorder) Digest(name string, max int64) (string, error) {
	k := key{op: opDigest, name: name}
	r.retry(k, max)
	if r.begin(k) {
		rec := newRecord(k)
		sum, err := r.live.FS.Digest(name, max)
		content := text(sum)
		rec.Text = &content
		if isTooLarge(err) {
			rec.Max = max
		}
		r.end(rec, err)
	}
	return r.player.Digest(name, max)
}

// Head is recorded in full, whatever part of it was asked for.
func (r recorder) Head(name string, n int) ([]byte, error) {
	k := key{op: opHead, name: name}
	if r.begin(k) {
		rec := newRecord(k)
		b, err := r.live.FS.Head(name, node.MaxHead)
		content := text(b)
		rec.Text = &content
		r.end(rec, err)
	}
	return r.player.Head(name, n)
}

func (r recorder) ReadDir(name string, max int) ([]node.DirEntry, error) {
	k := key{op: opList, name: name}
	r.retry(k, int64(max))
	if r.begin(k) {
		rec := newRecord(k)
		entries, err := r.live.FS.ReadDir(name, max)
		list := make([]entry, 0, len(entries))
		for _, e := range entries {
			list = append(list, entry{text(e.Name), e.Type})
		}
		rec.Entries = &list
		if isTooLarge(err) {
			rec.Max = int64(max)
		}
		r.end(rec, err)
	}
	return r.player.ReadDir(name, max)
}

func (r recorder) Lstat(name string) (node.FileInfo, error) {
	r.info(opLstat, name, r.live.FS.Lstat)
	return r.player.Lstat(name)
}

func (r recorder) Stat(name string) (node.FileInfo, error) {
	r.info(opStat, name, r.live.FS.Stat)
	return r.player.Stat(name)
}

func (r recorder) info(op, name string, ask func(string) (node.FileInfo, error)) {
	k := key{op: op, name: name}
	if r.begin(k) {
		rec := newRecord(k)
		info, err := ask(name)
		rec.Info = &info
		r.end(rec, err)
	}
}

func (r recorder) ReadLink(name string) (string, error) {
	k := key{op: opLink, name: name}
	if r.begin(k) {
		rec := newRecord(k)
		to, err := r.live.FS.ReadLink(name)
		content := text(to)
		rec.Text = &content
		r.end(rec, err)
	}
	return r.player.ReadLink(name)
}

func (r recorder) Xattr(name, attr string) ([]byte, error) {
	k := key{opXattr, name, attr}
	if r.begin(k) {
		rec := newRecord(k)
		v, err := r.live.FS.Xattr(name, attr)
		content := text(v)
		rec.Text = &content
		r.end(rec, err)
	}
	return r.player.Xattr(name, attr)
}

// Avoid is no question: it only tells the live host what not to touch.
func (r recorder) Avoid(dirs []string) { r.live.FS.Avoid(dirs) }

func (r recorder) Ask(q node.Question) (json.RawMessage, error) {
	k := key{opAsk, q.Kind, q.Of}
	if r.begin(k) {
		rec := newRecord(k)
		answer, err := r.live.Kernel.Ask(q)
		rec.Answer = answer
		r.end(rec, err)
	}
	return r.player.Ask(q)
}
