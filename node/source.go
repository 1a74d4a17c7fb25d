package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// Scope says how far a fact may be compared.
type Scope string

// The scopes of a source.
const (
	Cohort   Scope = "cohort"   // alike on nodes that should be alike: no pid, counter, address or serial
	Node     Scope = "node"     // judged and addressed by content, not compared between nodes
	Volatile Scope = "volatile" // latest only, never judged
)

// Every says how often a source is read by an agent that stays.
type Every string

// The cadences of a source.
const (
	Scan   Every = "scan"
	Hour   Every = "hour"
	AtBoot Every = "boot"
	// OnDemand is read last and has no deadline but the end of the gathering's own
	// context: it takes long where somebody asked for it, and nothing elsewhere.
	OnDemand Every = "demand"
)

// Source reads one kind of fact, of type T, off a host.
// Read touches the node through the host alone. It returns an error when there
// is no value at all, and gaps for what it could not read of one.
type Source[T any] struct {
	Name  string
	Doc   string
	Scope Scope
	Every Every
	Read  func(context.Context, *Host) (T, []Gap, error)

	parts []string // see Parts
}

// Parts is the source for somebody who rests on these fields of its value alone,
// by their JSON names: gaps that are in others are left out of what [Source.Of]
// returns. A gap in no named part counts always.
func (s Source[T]) Parts(fields ...string) Source[T] {
	s.parts = fields
	return s
}

// Info is what a source says of itself.
type Info struct {
	Name  string `json:"name"`
	Doc   string `json:"doc"`
	Scope Scope  `json:"scope"`
	Every Every  `json:"every"`
}

// AnySource is a source of whatever type: what [Sources] lists.
type AnySource interface {
	Info() Info
	read(context.Context, *Host) Fact
	decode(json.RawMessage) (any, error)
}

// Info describes the source.
func (s Source[T]) Info() Info { return Info{s.Name, s.Doc, s.Scope, s.Every} }

// Of is the value of this source in facts, its gaps, and why it is missing.
// Exactly one of value and missing is meaningful.
func (s Source[T]) Of(facts Facts) (value T, gaps []Gap, missing *Missing) {
	f, ok := facts[s.Name]
	if !ok {
		return value, nil, &Missing{NotRecorded, "the fact " + s.Name + " was not gathered"}
	}
	gaps = f.Gaps
	if s.parts != nil {
		gaps = slices.DeleteFunc(slices.Clone(gaps), func(g Gap) bool { return g.Part != "" && !slices.Contains(s.parts, g.Part) })
	}
	if f.Missing != nil {
		return value, gaps, f.Missing
	}
	v, ok := f.Value.(T)
	if !ok {
		return value, gaps, &Missing{Malformed, fmt.Sprintf("the fact %s holds a %T", s.Name, f.Value)}
	}
	return v, gaps, nil
}

func (s Source[T]) read(ctx context.Context, h *Host) (fact Fact) {
	v, gaps, err := s.Read(ctx, h)
	fact = Fact{Gaps: gaps}
	if err != nil {
		fact.Missing = &Missing{codeOf(err), err.Error()}
		return fact
	}
	// A list of nothing is a value; null is none.
	if list := reflect.ValueOf(&v).Elem(); list.Kind() == reflect.Slice && list.IsNil() {
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
	}
	fact.Value = v
	return fact
}

func (s Source[T]) decode(b json.RawMessage) (any, error) {
	var v T
	if string(b) == "null" {
		return nil, errors.New("its value is null")
	}
	if err := strictJSON(b, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// strictJSON decodes one JSON value and refuses unknown fields and what follows it.
func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the value at byte %d", d.InputOffset())
	}
	return nil
}

func lookup(name string) AnySource {
	for _, s := range Sources() {
		if s.Info().Name == name {
			return s
		}
	}
	return nil
}
