package capture

import (
	"encoding/json"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// Host is the host that the tape replays.
func (t *Tape) Host() *node.Host {
	h := &node.Host{FS: player{t}}
	if t.kernel {
		h.Kernel = player{t}
	}
	return h
}

// player answers from a tape alone.
type player struct{ tape *Tape }

// find returns the record of a question that was answered.
func (p player) find(k key) (record, error) {
	r, ok := p.tape.get(k)
	if !ok {
		return r, k.refusal(node.NotRecorded, "")
	}
	if r.Error != nil {
		return r, clone(r.Error)
	}
	return r, nil
}

func (p player) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	k := key{op: opRead, name: name}
	r, err := p.find(k)
	if err != nil {
		return nil, limited(k, r, err, max, "bytes")
	}
	b := []byte(*r.Text)
	if redact != nil {
		b = redact(b)
	}
	if int64(len(b)) > max {
		return nil, tooLarge(k, max, "bytes")
	}
	return b, nil
}

func (p player) Digest(name string, max int64) (string, error) {
	k := key{op: opDigest, name: name}
	r, err := p.find(k)
	if err != nil {
		return "", limited(k, r, err, max, "bytes")
	}
	return string(*r.Text), nil
}

func (p player) Head(name string, n int) ([]byte, error) {
	r, err := p.find(key{op: opHead, name: name})
	if err != nil {
		return nil, err
	}
	return []byte((*r.Text)[:min(n, len(*r.Text))]), nil
}

func (p player) ReadDir(name string, max int) ([]node.DirEntry, error) {
	k := key{op: opList, name: name}
	r, err := p.find(k)
	if err != nil {
		return nil, limited(k, r, err, int64(max), "entries")
	}
	if len(*r.Entries) > max {
		return nil, tooLarge(k, int64(max), "entries")
	}
	out := make([]node.DirEntry, 0, len(*r.Entries))
	for _, e := range *r.Entries {
		out = append(out, node.DirEntry{Name: string(e.Name), Type: e.Type})
	}
	return out, nil
}

// limited words the refusal of what was too large by the limit that is asked
// for now. Beyond the limits that it was asked with, nothing is known of it.
func limited(k key, r record, err error, max int64, unit string) error {
	switch {
	case r.Error == nil || r.Error.Code != node.TooLarge:
		return err
	case max <= r.Max:
		return tooLarge(k, max, unit)
	}
	return k.refusal(node.NotRecorded, fmt.Sprintf("it has more than %d %s", r.Max, unit))
}

// tooLarge says what package hostfs says.
func tooLarge(k key, max int64, unit string) error {
	return k.refusal(node.TooLarge, fmt.Sprintf("more than %d %s", max, unit))
}

func (p player) Lstat(name string) (node.FileInfo, error) { return p.info(opLstat, name) }
func (p player) Stat(name string) (node.FileInfo, error)  { return p.info(opStat, name) }

func (p player) info(op, name string) (node.FileInfo, error) {
	r, err := p.find(key{op: op, name: name})
	if err != nil {
		return node.FileInfo{}, err
	}
	return *r.Info, nil
}

func (p player) ReadLink(name string) (string, error) {
	r, err := p.find(key{op: opLink, name: name})
	if err != nil {
		return "", err
	}
	return string(*r.Text), nil
}

func (p player) Xattr(name, attr string) ([]byte, error) {
	r, err := p.find(key{opXattr, name, attr})
	if err != nil {
		return nil, err
	}
	return []byte(*r.Text), nil
}

// Avoid does nothing: what was not touched is on the tape as that.
func (p player) Avoid([]string) {}

func (p player) Ask(q node.Question) (json.RawMessage, error) {
	r, err := p.find(key{opAsk, q.Kind, q.Of})
	if err != nil {
		return nil, err
	}
	return append(json.RawMessage(nil), r.Answer...), nil
}

func clone(e *node.Error) *node.Error {
	c := *e
	return &c
}
