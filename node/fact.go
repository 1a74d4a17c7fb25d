package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Fact is what one source read off one node, or why it could not.
// Its content address covers Value, Missing and Gaps; Evidence travels beside.
type Fact struct {
	Value    any        `json:"value,omitempty"`
	Missing  *Missing   `json:"missing,omitempty"`
	Gaps     []Gap      `json:"gaps"`
	Evidence []Evidence `json:"evidence"`
}

// Missing is why a fact as a whole could not be read.
type Missing struct {
	Code   Code   `json:"code"`
	Reason string `json:"reason"`
}

// Gap is a part of a fact that could not be read.
type Gap struct {
	What   string `json:"what"`           // what could not be read, in words without a pid
	Code   Code   `json:"code"`           //
	Reason string `json:"reason"`         // the first of the reasons
	Part   string `json:"part,omitempty"` // the field of the value that it is in, by its JSON name, or what a source calls a part of it; "" for all of it
	// Count is how many of them, Of of how many. Of ten and more one digit counts,
	// rounded down and up: how many processes run moves from scan to scan, and would
	// make another fact of each.
	Count int `json:"count,omitempty"`
	Of    int `json:"of,omitempty"`
}

func (g Gap) String() string {
	if g.Of > 0 {
		return fmt.Sprintf("%d of %d %s could not be read: %s", g.Count, g.Of, g.What, g.Reason)
	}
	return fmt.Sprintf("%s could not be read: %s", g.What, g.Reason)
}

// GapOf is the gap that err leaves in a fact where what could not be read.
func GapOf(what string, err error) Gap {
	return Gap{What: what, Code: codeOf(err), Reason: err.Error()}
}

// In is the gap as one in a part of the value.
func (g Gap) In(part string) Gap {
	g.Part = part
	return g
}

// Evidence is what a source read: a path or a kernel question, and the SHA-256
// of the answer in hexadecimal (after redaction, where a secret was in it).
type Evidence struct {
	What   string `json:"what"`
	SHA256 string `json:"sha256"`
}

// Facts are the facts of one node by the name of their source.
type Facts map[string]Fact

// UnmarshalJSON decodes each value into the type of its source, strictly.
// A fact of an unknown source is an error that names it.
func (f *Facts) UnmarshalJSON(b []byte) error {
	var raw map[string]struct {
		Value    json.RawMessage `json:"value"`
		Missing  *Missing        `json:"missing"`
		Gaps     []Gap           `json:"gaps"`
		Evidence []Evidence      `json:"evidence"`
	}
	if err := strictJSON(b, &raw); err != nil {
		return fmt.Errorf("decoding facts: %w", err)
	}
	out := make(Facts, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		r := raw[name]
		src := lookup(name)
		if src == nil {
			return fmt.Errorf("decoding facts: no source is called %q", name)
		}
		fact := Fact{Missing: r.Missing, Gaps: r.Gaps, Evidence: r.Evidence}
		switch {
		case r.Missing != nil && r.Value != nil:
			return fmt.Errorf("decoding fact %s: it has a value and is missing", name)
		case r.Missing == nil && r.Value == nil:
			return fmt.Errorf("decoding fact %s: it has neither a value nor a reason why it is missing", name)
		case r.Value != nil:
			v, err := src.decode(r.Value)
			if err != nil {
				return fmt.Errorf("decoding fact %s: %w", name, err)
			}
			fact.Value = v
		}
		out[name] = fact.normal()
	}
	*f = out
	return nil
}

// normal replaces nil lists by empty ones, so that equal facts are equal bytes.
func (f Fact) normal() Fact {
	if f.Gaps == nil {
		f.Gaps = []Gap{}
	}
	if f.Evidence == nil {
		f.Evidence = []Evidence{}
	}
	return f
}
