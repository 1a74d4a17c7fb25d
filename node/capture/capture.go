// Package capture records all that sources ask of a host and replays it
// elsewhere, any time.
package capture

import (
	"errors"
	"io"
	"time"

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

// Tape holds questions with their answers. A question that is not on it is
// answered by an error with code not-recorded.
type Tape struct {
	Header Header
}

// Record returns a host that answers as h does and writes all of it on tape.
func Record(h *node.Host) (*node.Host, *Tape) { return nil, nil }

// Host is the host that the tape replays.
func (t *Tape) Host() *node.Host { return nil }

// Write writes the tape in its portable form.
func (t *Tape) Write(w io.Writer) error { return errors.New("not written yet") }

// Read reads what Write wrote. What is damaged is refused with its place.
func Read(r io.Reader) (*Tape, error) { return nil, errors.New("not written yet") }
