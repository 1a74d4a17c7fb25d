package capture

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

// A capture is text: lines of JSON, each in the one form that this package
// writes, so that equal tapes are equal bytes and nothing hides in a file.
// The first line says what it is, then comes one line a record, sorted, and the
// last line seals the lines before it.
const (
	format  = "seaworthy-capture"
	version = 1

	// A mount table of 16 MiB still fits a line where every fourth byte is escaped.
	maxLine  = 32 << 20
	maxTotal = 512 << 20
)

type firstLine struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Kernel  bool   `json:"kernel"`
	Header  Header `json:"header"`
}

type lastLine struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"` // of all lines before, with their newlines, in hexadecimal
}

// Write writes the tape in its portable form.
func (t *Tape) Write(w io.Writer) error {
	sum := sha256.New()
	buf := bufio.NewWriter(w)
	both := io.MultiWriter(sum, buf)
	total := 0
	line := func(w io.Writer, what string, v any) error {
		b, err := marshal(v)
		if err != nil {
			return fmt.Errorf("writing capture: %s: %w", what, err)
		}
		total += len(b) + 1
		if len(b) > maxLine || total > maxTotal {
			return fmt.Errorf("writing capture: %s: the capture grows too large: %d bytes in this line, %d in all", what, len(b), total)
		}
		_, err = w.Write(append(b, '\n'))
		if err != nil {
			return fmt.Errorf("writing capture: %w", err)
		}
		return nil
	}
	if err := line(both, "its header", firstLine{format, version, t.kernel, t.Header.normal()}); err != nil {
		return err
	}
	records := t.sorted()
	for _, r := range records {
		if err := line(both, fmt.Sprintf("%s %q", r.Op, r.Name), r); err != nil {
			return err
		}
	}
	if err := line(buf, "its last line", lastLine{len(records), hex.EncodeToString(sum.Sum(nil))}); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("writing capture: %w", err)
	}
	return nil
}

// Read reads what Write wrote. What is damaged is refused with its place.
func Read(r io.Reader) (*Tape, error) {
	in := lines{r: bufio.NewReaderSize(r, 64<<10)}
	t, err := read(&in)
	if err != nil {
		return nil, fmt.Errorf("reading capture: line %d: %w", max(in.n, 1), err)
	}
	return t, nil
}

func read(in *lines) (*Tape, error) {
	b, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	// What it is comes first: a newer version may have keys that this one has not.
	var what struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(b, &what); err != nil || what.Format != format {
		return nil, fmt.Errorf("this is no capture: it does not begin with {\"format\":%q", format)
	}
	if what.Version != version {
		return nil, fmt.Errorf("this is version %d of the format, and this program reads version %d", what.Version, version)
	}
	var first firstLine
	if err := strictJSON(b, &first); err != nil {
		return nil, err
	}
	first.Header = first.Header.normal()
	if err := same(b, first); err != nil {
		return nil, err
	}
	if first.Header.Kind != Recorded && first.Header.Kind != Composed {
		return nil, fmt.Errorf("the kind %q of this capture is neither %s nor %s", first.Header.Kind, Recorded, Composed)
	}
	t := New(first.Header)
	t.kernel = first.Kernel
	sum := sha256.New()
	seal(sum, b)
	var before key
	for {
		b, err := in.next()
		if errors.Is(err, io.EOF) {
			in.n++
			return nil, fmt.Errorf("the capture is cut: its last line is missing")
		}
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(b, []byte(`{"records":`)) {
			return t, last(in, b, len(t.records), hex.EncodeToString(sum.Sum(nil)))
		}
		var r record
		if err := canonical(b, &r); err != nil {
			return nil, err
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s %q: %w", r.Op, r.Name, err)
		}
		switch k := r.key(); {
		case len(t.records) > 0 && k == before:
			return nil, fmt.Errorf("%s %q stands twice", r.Op, r.Name)
		case len(t.records) > 0 && k.compare(before) < 0:
			return nil, fmt.Errorf("%s %q is out of order", r.Op, r.Name)
		default:
			t.records[k], before = r, k
		}
		seal(sum, b)
	}
}

func seal(sum hash.Hash, line []byte) {
	sum.Write(line)
	sum.Write([]byte{'\n'})
}

func last(in *lines, b []byte, records int, sum string) error {
	var l lastLine
	if err := canonical(b, &l); err != nil {
		return err
	}
	if l.Records != records {
		return fmt.Errorf("there are %d records before this line, which says %d", records, l.Records)
	}
	if l.SHA256 != sum {
		return fmt.Errorf("the lines before this one were changed: their SHA-256 is %s, and this line says %q", sum, l.SHA256)
	}
	if _, err := in.next(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return fmt.Errorf("something follows the last line")
	}
	return nil
}

var fileTypes = []node.FileType{
	node.Regular, node.Directory, node.Symlink, node.Socket, node.FIFO, node.CharDev, node.BlockDev, node.OtherType,
}

// digestPattern is a SHA-256 as the host has it.
var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check demands one answer, and one that fits the question.
func (r record) check() error {
	if _, ok := words[r.Op]; !ok {
		return fmt.Errorf("there is no such operation")
	}
	if r.Of != "" && r.Op != opXattr && r.Op != opAsk {
		return fmt.Errorf("a question of this kind is not about %q", r.Of)
	}
	fits := r.Error != nil
	switch r.Op {
	case opRead, opLink, opXattr:
		fits = fits || r.Text != nil
	case opHead:
		fits = fits || r.Text != nil && len(*r.Text) <= node.MaxHead
	case opDigest:
		fits = fits || r.Text != nil && digestPattern.MatchString(string(*r.Text))
	case opList:
		fits = fits || r.Entries != nil
	case opLstat, opStat:
		fits = fits || r.Info != nil
	case opAsk:
		fits = fits || r.Answer != nil
	}
	answers := 0
	for _, has := range []bool{r.Text != nil, r.Entries != nil, r.Info != nil, r.Answer != nil, r.Error != nil} {
		if has {
			answers++
		}
	}
	if !fits || answers != 1 {
		return fmt.Errorf("%d answers, want one that fits the question", answers)
	}
	if r.Error != nil && (r.Error.Op == "" || r.Error.Name == "" || r.Error.Code == "") {
		return fmt.Errorf("its error does not say what, of what, or why")
	}
	tooLarge := r.Error != nil && r.Error.Code == node.TooLarge && (r.Op == opRead || r.Op == opDigest || r.Op == opList)
	if r.Max < 0 || r.Max != 0 && !tooLarge {
		return fmt.Errorf("a limit of %d on what was not too large", r.Max)
	}
	if r.Info != nil && !slices.Contains(fileTypes, r.Info.Type) {
		return fmt.Errorf("no file type is called %q", r.Info.Type)
	}
	if r.Entries != nil {
		for i, e := range *r.Entries {
			if !slices.Contains(fileTypes, e.Type) {
				return fmt.Errorf("entry %q: no file type is called %q", e.Name, e.Type)
			}
			if i > 0 && e.Name <= (*r.Entries)[i-1].Name {
				return fmt.Errorf("entry %q is out of order", e.Name)
			}
		}
	}
	return nil
}

// lines reads lines and counts them and their bytes.
type lines struct {
	r     *bufio.Reader
	n     int
	total int
}

// next returns the next line without its newline, which must be there.
func (l *lines) next() ([]byte, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		l.total += len(part)
		if len(line) > 0 && len(line) == len(part) {
			l.n++
		}
		switch {
		case len(line) > maxLine+1:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		case l.total > maxTotal:
			return nil, fmt.Errorf("the capture is larger than %d bytes", maxTotal)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, fmt.Errorf("the capture is cut within this line")
		case err != nil:
			return nil, err
		}
		return line[:len(line)-1], nil
	}
}

// marshal writes v in the one form that a capture has.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// canonical decodes a line and refuses any other way of writing the same.
func canonical(line []byte, into any) error {
	if err := strictJSON(line, into); err != nil {
		return err
	}
	return same(line, into)
}

// same demands that line is v as this program writes it.
func same(line []byte, v any) error {
	again, err := marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(line, again) {
		i := 0
		for i < len(line) && i < len(again) && line[i] == again[i] {
			i++
		}
		return fmt.Errorf("not as this program writes it, from byte %d: %.60q, want %.60q", i+1, line[i:], again[i:])
	}
	return nil
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the value at byte %d", d.InputOffset())
	}
	return nil
}
