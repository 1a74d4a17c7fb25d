// Package capture records all that sources ask of a host and replays it
// elsewhere, any time.
package capture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seaworthy/seaworthy/node"
)

// Kind says how a capture came to be.
type Kind string

// The kinds of captures.
const (
	Recorded Kind = "recorded" // read off one host
	Composed Kind = "composed" // put together from several samples, which Sources cites
)

// Header says of what host a capture is, and when and by what it was made.
type Header struct {
	Kind    Kind      `json:"kind"`
	Node    string    `json:"node"`    // the host's name
	At      time.Time `json:"at"`      // UTC
	Program string    `json:"program"` // name and version of what recorded it
	Sources []string  `json:"sources"` // what a composed capture was made from
	Note    string    `json:"note"`    // for people
}

// normal is h as a capture has it.
func (h Header) normal() Header {
	h.At = h.At.UTC()
	if h.Sources == nil {
		h.Sources = []string{}
	}
	return h
}

// Tape holds questions with their answers. A question that is not on it is
// answered by an error with code not-recorded.
type Tape struct {
	Header Header

	// kernel says whether the host has one at all.
	kernel bool

	// mu guards records: a source that was left behind may still be recording
	// when the tape is written.
	mu      sync.Mutex
	records map[key]record
}

// New returns an empty tape.
func New(h Header) *Tape {
	return &Tape{Header: h, kernel: true, records: map[key]record{}}
}

// The operations of a host. A record's answer stands in the field of its name.
const (
	opRead   = "read"
	opDigest = "digest"
	opHead   = "head"
	opList   = "list"
	opLstat  = "lstat"
	opStat   = "stat"
	opLink   = "readlink"
	opXattr  = "xattr"
	opAsk    = "ask"
)

// words are how errors of node.FS and node.KernelAPI call the operations.
var words = map[string]string{
	opRead:   "reading",
	opDigest: "hashing",
	opHead:   "reading the head of",
	opList:   "listing",
	opLstat:  "looking at",
	opStat:   "looking at",
	opLink:   "reading link",
	opXattr:  "reading attribute of",
	opAsk:    "asking the kernel for",
}

// key is a question. Of is the attribute of opXattr and what opAsk is about.
type key struct{ op, name, of string }

func (k key) compare(l key) int {
	return cmp.Or(strings.Compare(k.name, l.name), strings.Compare(k.op, l.op), strings.Compare(k.of, l.of))
}

// refusal is the error that answers k.
func (k key) refusal(code node.Code, detail string) *node.Error {
	name := "/" + strings.TrimPrefix(k.name, "/")
	switch {
	case k.op == opAsk:
		name = node.Question{Kind: k.name, Of: k.of}.Name()
	case k.name == ".":
		name = "/"
	}
	return &node.Error{Op: words[k.op], Name: name, Code: code, Detail: detail}
}

// record is a question with its answer, of which there is exactly one, as a line
// of a capture has them.
type record struct {
	Op      string          `json:"op"`
	Name    text            `json:"name"`
	Of      text            `json:"of,omitzero"`
	Text    *text           `json:"text,omitempty"`    // of opRead, opDigest, opHead, opLink and opXattr
	Entries *[]entry        `json:"entries,omitempty"` // of opList
	Info    *node.FileInfo  `json:"info,omitempty"`    // of opLstat and opStat
	Answer  json.RawMessage `json:"answer,omitempty"`  // of opAsk
	Error   *node.Error     `json:"error,omitempty"`
	// Max is the largest limit that opRead, opDigest and opList were asked with in vain.
	Max int64 `json:"max,omitempty"`

	pending bool // asked and not answered yet
}

type entry struct {
	Name text          `json:"name"`
	Type node.FileType `json:"type"`
}

func (r record) key() key { return key{r.Op, string(r.Name), string(r.Of)} }

func newRecord(k key) record { return record{Op: k.op, Name: text(k.name), Of: text(k.of)} }

// text is bytes that are text more often than not. In JSON they are a string, or
// an object with base64 where a string cannot hold them.
type text string

func (t text) IsZero() bool { return t == "" }

func (t text) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(t)) {
		return json.Marshal(struct {
			Base64 []byte `json:"base64"`
		}{[]byte(t)})
	}
	return marshal(string(t))
}

func (t *text) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("{")) {
		var v struct {
			Base64 []byte `json:"base64"`
		}
		if err := strictJSON(b, &v); err != nil {
			return err
		}
		*t = text(v.Base64)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}

// put puts an answer on the tape, in place of an earlier one.
func (t *Tape) put(r record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records[r.key()] = r
}

func (t *Tape) get(k key) (record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.records[k]
	return r, ok && !r.pending
}

// sorted returns all records by name. What was asked and never answered is
// recorded as that.
func (t *Tape) sorted() []record {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.SortedFunc(maps.Values(t.records), func(a, b record) int { return a.key().compare(b.key()) })
	for i, r := range out {
		if r.pending {
			out[i] = newRecord(r.key())
			out[i].Error = r.key().refusal(node.Blocked, "")
		}
	}
	return out
}

// Exchange is one question with its answer, in words for people.
type Exchange struct {
	Op     string // read, digest, head, list, lstat, stat, readlink, xattr, ask
	What   string // an absolute path or a kernel question
	Answer string // the text, or the answer in JSON; "" with an error
	Err    error  // a *node.Error
}

// Exchanges lists what is on the tape, by name.
func (t *Tape) Exchanges() []Exchange {
	var out []Exchange
	for _, r := range t.sorted() {
		s := Exchange{Op: r.Op, What: r.key().refusal("", "").Name}
		if r.Op == opXattr {
			s.What += " " + string(r.Of)
		}
		switch {
		case r.Error != nil:
			s.Err = r.Error
		case r.Text != nil:
			s.Answer = string(*r.Text)
		case r.Entries != nil:
			s.Answer = jsonText(r.Entries)
		case r.Info != nil:
			s.Answer = jsonText(r.Info)
		default:
			s.Answer = string(r.Answer)
		}
		out = append(out, s)
	}
	return out
}

func jsonText(v any) string {
	b, err := marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
