package node

import (
	"errors"
	"fmt"
	"io/fs"
)

// A Code says in one stable word why something could not be read.
type Code string

// The codes of an [Error], a [Missing] and a [Gap].
const (
	Absent      Code = "absent"       // there is no such file or directory
	Denied      Code = "denied"       // the program lacks a right; root would have it
	TooLarge    Code = "too-large"    // larger than the source accepts; nothing is cut
	NotRegular  Code = "not-regular"  // a FIFO, a device, a socket or a directory where a file should be
	LinkLoop    Code = "link-loop"    // more symbolic links than the kernel follows
	Untouched   Code = "untouched"    // below a FUSE, network or autofs mount, which this program does not touch
	Blocked     Code = "blocked"      // a read did not return in time and is not started again
	Malformed   Code = "malformed"    // read, and refused by its parser
	NoKernel    Code = "no-kernel"    // the host is a file tree: it has no kernel to ask
	NotRecorded Code = "not-recorded" // the capture holds no answer to this question
	Unsupported Code = "unsupported"  // this kernel or platform cannot answer
	Failed      Code = "failed"       // any other input or output error
)

// Error is why one thing could not be read off a node.
// Its text follows from its fields alone, so that a replayed capture words it
// as the host did.
type Error struct {
	Op     string `json:"op"`               // reading, listing, looking at, asking the kernel for
	Name   string `json:"name"`             // an absolute path on the node, or a kernel question
	Code   Code   `json:"code"`             //
	Detail string `json:"detail,omitempty"` // what the code does not say
}

func (e *Error) Error() string {
	text := map[Code]string{
		Absent:      "no such file",
		Denied:      "permission denied",
		TooLarge:    "too large",
		NotRegular:  "not a regular file",
		LinkLoop:    "too many symbolic links",
		Untouched:   "below a FUSE, network or autofs mount, which is not touched",
		Blocked:     "no answer in time",
		Malformed:   "malformed",
		NoKernel:    "this is a file tree, which has no kernel to ask",
		NotRecorded: "the capture holds no answer to this",
		Unsupported: "not supported here",
		Failed:      "input/output error",
	}[e.Code]
	switch {
	case e.Detail == "" && text == "": // a code of a later version
		text = string(e.Code)
	case text == "" || e.Detail != "" && e.Code == Failed:
		text = e.Detail
	case e.Detail != "":
		text += ": " + e.Detail
	}
	return fmt.Sprintf("%s %s: %s", e.Op, e.Name, text)
}

// Is lets callers branch with errors.Is on fs.ErrNotExist and fs.ErrPermission.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && e.Code == Absent ||
		target == fs.ErrPermission && e.Code == Denied
}

// codeOf is the code of err, or Malformed for an error that came from a parser.
func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Malformed
}

// IsAbsent reports whether err says that a file does not exist.
// Absence is a value; every other error is unknown.
func IsAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
