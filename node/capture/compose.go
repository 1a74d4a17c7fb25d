package capture

import (
	"encoding/json"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// The methods of this file put answers on a tape by hand: for tests, and for
// composed captures. A later answer to the same question takes the place of an
// earlier one. Names are relative to the root, as in [node.FS].

// Content puts what a regular file holds, and nothing of its owner and mode.
func (t *Tape) Content(name, content string) {
	r := newRecord(key{op: opRead, name: name})
	r.Text = (*text)(&content)
	t.put(r)
}

// Digest puts the SHA-256 of what a regular file holds, in hexadecimal.
func (t *Tape) Digest(name, sum string) {
	r := newRecord(key{op: opDigest, name: name})
	r.Text = (*text)(&sum)
	t.put(r)
}

// Head puts what a regular file begins with.
func (t *Tape) Head(name, head string) {
	r := newRecord(key{op: opHead, name: name})
	r.Text = (*text)(&head)
	t.put(r)
}

// File puts a regular file of root's, mode 0644.
func (t *Tape) File(name, content string) {
	t.Content(name, content)
	t.Info(name, node.FileInfo{Type: node.Regular, Mode: 0o644, Size: int64(len(content)), Dev: "0:1"})
}

// Dir puts a directory of root's, mode 0755, with exactly these entries, which
// must be sorted by name.
func (t *Tape) Dir(name string, entries ...node.DirEntry) {
	list := make([]entry, 0, len(entries))
	for _, e := range entries {
		list = append(list, entry{text(e.Name), e.Type})
	}
	r := newRecord(key{op: opList, name: name})
	r.Entries = &list
	t.put(r)
	t.Info(name, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
}

// Link puts a symbolic link. What is behind it is put under the name of the link
// too, by a call after this one.
func (t *Tape) Link(name, target string) {
	r := newRecord(key{op: opLink, name: name})
	r.Text = (*text)(&target)
	t.put(r)
	r = newRecord(key{op: opLstat, name: name})
	r.Info = &node.FileInfo{Type: node.Symlink, Mode: 0o777, Size: int64(len(target)), Dev: "0:1"}
	t.put(r)
}

// Info puts what Stat says of name, and Lstat unless it is a link.
func (t *Tape) Info(name string, info node.FileInfo) {
	for _, op := range []string{opStat, opLstat} {
		if op == opLstat && info.Type != node.Symlink {
			if have, ok := t.get(key{op: op, name: name}); ok && have.Info != nil && have.Info.Type == node.Symlink {
				continue
			}
		}
		r := newRecord(key{op: op, name: name})
		r.Info = &info
		t.put(r)
	}
}

// Absent puts names that nothing has.
func (t *Tape) Absent(names ...string) {
	for _, name := range names {
		t.Refuse(name, node.Absent, "")
	}
}

// Refuse puts a refusal for whatever is asked about name but its attributes.
func (t *Tape) Refuse(name string, code node.Code, detail string) {
	for _, op := range []string{opRead, opList, opLstat, opStat, opLink} {
		k := key{op: op, name: name}
		r := newRecord(k)
		r.Error = k.refusal(code, detail)
		t.put(r)
	}
}

// Attribute puts an extended attribute of name.
func (t *Tape) Attribute(name, attr, value string) {
	r := newRecord(key{opXattr, name, attr})
	r.Text = (*text)(&value)
	t.put(r)
}

// Answer puts the kernel's answer to q: a value of the type that q asks for. It
// panics on a value that JSON does not know.
func (t *Tape) Answer(q node.Question, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("answering %s: %v", q.Name(), err))
	}
	r := newRecord(key{opAsk, q.Kind, q.Of})
	r.Answer = b
	t.put(r)
}

// RefuseAnswer puts the kernel's refusal to answer q.
func (t *Tape) RefuseAnswer(q node.Question, code node.Code, detail string) {
	k := key{opAsk, q.Kind, q.Of}
	r := newRecord(k)
	r.Error = k.refusal(code, detail)
	t.put(r)
}
