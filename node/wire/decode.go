package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// BodyError is why the body of a report is refused, and where.
type BodyError struct {
	Field  string // dotted name, "" for the body as a whole
	Offset int64  // byte of the body, 0 where it is not known
	Reason string
}

func (e *BodyError) Error() string {
	var b strings.Builder
	b.WriteString("reading the report")
	if e.Field != "" {
		fmt.Fprintf(&b, ": %s", e.Field)
	}
	if e.Offset > 0 {
		fmt.Fprintf(&b, " at byte %d", e.Offset)
	}
	fmt.Fprintf(&b, ": %s", e.Reason)
	return b.String()
}

// Decode reads the body of a report, strictly: one JSON object in UTF-8, no
// unknown field, no field twice, nothing after it. The cluster of a report
// that names none is [DefaultCluster]. Every error is a [*BodyError].
func Decode(b []byte) (Report, error) {
	if at := invalidUTF8(b); at >= 0 {
		return Report{}, &BodyError{Offset: int64(at), Reason: "not UTF-8"}
	}
	if err := checkShape(b); err != nil {
		return Report{}, err
	}
	var r Report
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Report{}, bodyError(err)
	}
	if r.Cluster == "" {
		r.Cluster = DefaultCluster
	}
	r.At = r.At.UTC()
	if err := r.check(); err != nil {
		return Report{}, err
	}
	return r, nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// bodyError gives an error of encoding/json its place.
func bodyError(err error) *BodyError {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		// The offset of a value within the facts counts from there.
		if strings.HasPrefix(err.Error(), "decoding fact") {
			return &BodyError{Field: "facts", Reason: err.Error()}
		}
		return &BodyError{
			Field: mistyped.Field, Offset: mistyped.Offset,
			Reason: fmt.Sprintf("a JSON %s where a %s is expected", mistyped.Value, mistyped.Type),
		}
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, ok := strings.CutPrefix(text, "unknown field "); ok {
		if field, err := strconv.Unquote(name); err == nil {
			return &BodyError{Field: field, Reason: "no such field"}
		}
	}
	if strings.HasPrefix(text, "decoding fact") {
		return &BodyError{Field: "facts", Reason: text}
	}
	return &BodyError{Reason: text}
}

// maxDepth is how deep the values of a report may nest; facts need about six.
const maxDepth = 64

// checkShape refuses what encoding/json would take in silence: a field twice
// (the last would win) and what follows the object.
func checkShape(b []byte) error {
	type level struct {
		keys  map[string]bool // nil in a list
		key   string          // the field whose value comes next or last
		named bool            // key is set and its value has not ended
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var stack []level
	path := func() string {
		var names []string
		for _, l := range stack {
			if l.named {
				names = append(names, l.key)
			}
		}
		return strings.Join(names, ".")
	}
	for {
		token, err := d.Token()
		if err != nil {
			return shapeError(b, d.InputOffset(), path(), err)
		}
		if len(stack) == 0 && token != json.Delim('{') {
			return &BodyError{Reason: "not a JSON object"}
		}
		if n := len(stack); n > 0 && stack[n-1].keys != nil && !stack[n-1].named && token != json.Delim('}') {
			top := &stack[n-1]
			top.key, top.named = token.(string), true // encoding/json lets nothing else stand here
			if top.keys[top.key] {
				return &BodyError{Field: path(), Offset: d.InputOffset(), Reason: "the field stands twice"}
			}
			top.keys[top.key] = true
			continue
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{keys: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > maxDepth {
			return &BodyError{Field: path(), Offset: d.InputOffset(), Reason: fmt.Sprintf("nested more than %d deep", maxDepth)}
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			continue
		}
		if len(stack) == 0 {
			break
		}
		stack[len(stack)-1].named = false
	}
	if end := d.InputOffset(); len(bytes.TrimLeft(b[end:], " \t\r\n")) > 0 {
		return &BodyError{Offset: end, Reason: "something follows the report"}
	}
	return nil
}

func shapeError(b []byte, offset int64, path string, err error) *BodyError {
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return &BodyError{Reason: "the body is empty"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &BodyError{Field: path, Offset: int64(len(b)), Reason: "it ends in the middle"}
	case errors.As(err, &syntax):
		return &BodyError{Field: path, Offset: syntax.Offset, Reason: syntax.Error()}
	}
	return &BodyError{Field: path, Offset: offset, Reason: strings.TrimPrefix(err.Error(), "json: ")}
}
