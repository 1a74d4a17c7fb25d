package capture

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

var at = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func header() Header {
	return Header{Kind: Recorded, Node: "n1", At: at, Program: "seaworthy (devel)", Sources: []string{}}
}

// composed is a tape with every kind of record.
func composed() *Tape {
	t := New(header())
	t.File("etc/os-release", "ID=debian\n")
	t.File("proc/1/cmdline", "\xff\x00/sbin/init")
	t.Dir("etc", node.DirEntry{Name: "a\xff", Type: node.FIFO}, node.DirEntry{Name: "os-release", Type: node.Regular})
	t.Link("etc/mtab", "../proc/self/mounts")
	t.Absent("run/ostree-booted", ".")
	t.Refuse("proc/1/exe", node.Denied, "")
	t.Head("opt/kubelet", "\x7fELF")
	t.Attribute("run/x.sock", "security.selinux", "system_u:object_r:t:s0\x00")
	t.Answer(node.Question{Kind: node.AskUname}, node.Uname{Release: "6.12.0"})
	t.Answer(node.Question{Kind: node.AskStatfs, Of: "var"}, node.Statfs{Type: "0xef53", Size: 1 << 40})
	t.RefuseAnswer(node.Question{Kind: node.AskDM}, node.Denied, "")
	return t
}

func written(t testing.TB, tape *Tape) string {
	t.Helper()
	var b bytes.Buffer
	if err := tape.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteRead(t *testing.T) {
	first := written(t, composed())
	tape, err := Read(strings.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, written(t, tape)); diff != "" {
		t.Errorf("read and written again (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(composed().Exchanges(), tape.Exchanges()); diff != "" {
		t.Errorf("what is on the tape (-composed +read):\n%s", diff)
	}
	h := tape.Host()
	if b, err := h.FS.ReadFile("proc/1/cmdline", 100, nil); err != nil || string(b) != "\xff\x00/sbin/init" {
		t.Errorf("bytes that are not text: got %q, %v", b, err)
	}
	if got, err := h.FS.ReadDir("etc", 10); err != nil || got[0].Name != "a\xff" {
		t.Errorf("a name that is not text: got %q, %v", got, err)
	}
	for n, want := range []string{"", "\x7f", "\x7fE", "\x7fEL", "\x7fELF", "\x7fELF"} {
		if b, err := h.FS.Head("opt/kubelet", n); err != nil || string(b) != want {
			t.Errorf("head of %d bytes: got %q, %v, want %q", n, b, err, want)
		}
	}
	if info, err := h.FS.Lstat("etc/mtab"); err != nil || info.Type != node.Symlink {
		t.Errorf("Lstat of a link: got %v, %v", info, err)
	}
	if b, err := h.FS.Xattr("run/x.sock", "security.selinux"); err != nil || string(b) != "system_u:object_r:t:s0\x00" {
		t.Errorf("attribute: got %q, %v", b, err)
	}
	if b, err := h.Kernel.Ask(node.Question{Kind: node.AskUname}); err != nil || string(b) != `{"release":"6.12.0","version":"","machine":""}` {
		t.Errorf("answer: got %s, %v", b, err)
	}
}

func TestErrorsInWords(t *testing.T) {
	h := composed().Host()
	for _, tt := range []struct {
		ask  func() error
		want string
	}{
		{func() error { _, err := h.FS.ReadFile("run/ostree-booted", 9, nil); return err }, "reading /run/ostree-booted: no such file"},
		{func() error { _, err := h.FS.Stat("."); return err }, "looking at /: no such file"},
		{func() error { _, err := h.FS.ReadLink("proc/1/exe"); return err }, "reading link /proc/1/exe: permission denied"},
		{func() error { _, err := h.FS.ReadFile("etc/shadow", 9, nil); return err }, "reading /etc/shadow: the capture holds no answer to this"},
		{func() error { _, err := h.FS.ReadDir("usr", 9); return err }, "listing /usr: the capture holds no answer to this"},
		{func() error { _, err := h.FS.Lstat("usr"); return err }, "looking at /usr: the capture holds no answer to this"},
		{func() error { _, err := h.FS.Stat("etc/mtab"); return err }, "looking at /etc/mtab: the capture holds no answer to this"},
		{func() error { _, err := h.FS.Xattr("etc", "user.a"); return err }, "reading attribute of /etc: the capture holds no answer to this"},
		{func() error { _, err := h.FS.ReadFile("etc/os-release", 9, nil); return err }, "reading /etc/os-release: too large: more than 9 bytes"},
		{func() error { _, err := h.FS.ReadDir("etc", 1); return err }, "listing /etc: too large: more than 1 entries"},
		{func() error { _, err := h.Kernel.Ask(node.Question{Kind: node.AskDM}); return err }, "asking the kernel for device-mapper: permission denied"},
		{func() error { _, err := h.Kernel.Ask(node.Question{Kind: node.AskStatfs, Of: "usr"}); return err }, "asking the kernel for statfs of /usr: the capture holds no answer to this"},
	} {
		err := tt.ask()
		var e *node.Error
		if !errors.As(err, &e) || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// What is not on a tape is unknown, never absent.
func TestNotRecordedIsNotAbsent(t *testing.T) {
	_, err := New(header()).Host().FS.ReadFile("etc/passwd", 9, nil)
	if node.IsAbsent(err) {
		t.Errorf("%v counts as absent", err)
	}
}

func TestReadRefuses(t *testing.T) {
	good := written(t, composed())
	lines := strings.SplitAfter(good, "\n")
	lines = lines[:len(lines)-1]
	n := len(lines)
	// sealed puts a matching last line below changed ones.
	sealed := func(body ...string) string {
		tape := strings.Join(body, "")
		return tape + seal256(tape, len(body)-1)
	}
	swap := func(i int, old, new string) []string {
		out := append([]string(nil), lines[:n-1]...)
		if !strings.Contains(out[i], old) {
			t.Fatalf("line %d %q has no %q", i+1, out[i], old)
		}
		out[i] = strings.Replace(out[i], old, new, 1)
		return out
	}
	passwd := func(line string) string { return sealed(lines[0], line) }
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                        {"", "line 1: the file is empty"},
		"something else":               {"{}\n", "line 1: this is no capture"},
		"a later version":              {sealed(swap(0, `"version":1`, `"version":2`)...), "line 1: this is version 2 of the format"},
		"a key nobody knows":           {sealed(swap(0, `"kernel":true`, `"kernel":true,"new":1`)...), `line 1: json: unknown field "new"`},
		"a kind nobody knows":          {sealed(swap(0, `"recorded"`, `"invented"`)...), `line 1: the kind "invented"`},
		"time of another zone":         {sealed(swap(0, `12:00:00Z`, `12:00:00+02:00`)...), "line 1: not as this program writes it"},
		"cut after a line":             {strings.Join(lines[:n-1], ""), fmt.Sprintf("line %d: the capture is cut: its last line is missing", n)},
		"cut within a line":            {good[:len(good)/2], "the capture is cut within this line"},
		"cut within the last line":     {good[:len(good)-1], fmt.Sprintf("line %d: the capture is cut within this line", n)},
		"a record less":                {strings.Join(append(append([]string(nil), lines[:3]...), lines[4:]...), ""), fmt.Sprintf("line %d: there are %d records before this line", n-1, n-3)},
		"a byte changed":               {strings.Replace(good, "ID=debian", "ID=debiaN", 1), fmt.Sprintf("line %d: the lines before this one were changed", n)},
		"something after the end":      {good + "\n", fmt.Sprintf("line %d: something follows the last line", n+1)},
		"a record twice":               {sealed(append(lines[:2:2], lines[1:n-1]...)...), `line 3: list "." stands twice`},
		"records out of order":         {sealed(append([]string{lines[0], lines[2], lines[1]}, lines[3:n-1]...)...), "is out of order"},
		"blanks between":               {sealed(swap(1, `,`, `, `)...), "line 2: not as this program writes it"},
		"a key of a record":            {passwd(`{"op":"read","name":"etc/passwd","text":"","size":1}` + "\n"), `line 2: json: unknown field "size"`},
		"no answer":                    {passwd(`{"op":"read","name":"etc/passwd"}` + "\n"), "line 2: read \"etc/passwd\": 0 answers, want one"},
		"two answers":                  {passwd(`{"op":"read","name":"a","text":"","error":{"op":"reading","name":"/a","code":"absent"}}` + "\n"), "2 answers, want one"},
		"an answer to something else":  {passwd(`{"op":"list","name":"a","text":""}` + "\n"), "want one that fits the question"},
		"an operation nobody knows":    {passwd(`{"op":"write","name":"a","text":""}` + "\n"), "there is no such operation"},
		"an error without a code":      {passwd(`{"op":"read","name":"a","error":{"op":"reading","name":"/a","code":""}}` + "\n"), "its error does not say what"},
		"a file type nobody knows":     {passwd(`{"op":"list","name":"a","entries":[{"name":"x","type":"door"}]}` + "\n"), `entry "x": no file type is called "door"`},
		"entries out of order":         {passwd(`{"op":"list","name":"a","entries":[{"name":"x","type":"file"},{"name":"b","type":"file"}]}` + "\n"), `entry "b" is out of order`},
		"base64 of what is text":       {passwd(`{"op":"read","name":"a","text":{"base64":"YQ=="}}` + "\n"), "line 2: not as this program writes it"},
		"an attribute of a plain file": {passwd(`{"op":"read","name":"a","of":"user.x","text":""}` + "\n"), "not about"},
		"one line of 33 MiB":           {lines[0] + strings.Repeat("x", maxLine+2) + "\n", "line 2: longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want … %s …", err, tt.want)
			}
		})
	}
}

// seal256 is a last line that agrees with body.
func seal256(body string, records int) string {
	return fmt.Sprintf(`{"records":%d,"sha256":"%x"}`+"\n", records, sha256.Sum256([]byte(body)))
}

func FuzzRead(f *testing.F) {
	good := written(f, composed())
	f.Add(good)
	f.Add(written(f, New(Header{Kind: Composed, Sources: []string{"a"}, Note: "é\u2028<"})))
	f.Add(strings.SplitAfter(good, "\n")[0] + seal256(strings.SplitAfter(good, "\n")[0], 0))
	f.Fuzz(func(t *testing.T, in string) {
		tape, err := Read(strings.NewReader(in))
		if err != nil {
			// A seal hides most of what lies behind it from the fuzzer: forge one.
			body := strings.TrimSuffix(in, "\n") + "\n"
			in = body + seal256(body, strings.Count(body, "\n")-1)
			if tape, err = Read(strings.NewReader(in)); err != nil {
				return
			}
		}
		if got := written(t, tape); got != in {
			t.Errorf("read and written again: got %q, want %q", got, in)
		}
		for _, e := range tape.Exchanges() {
			if e.Err != nil && e.Err.Error() == "" {
				t.Errorf("%s %s: an error without words", e.Op, e.What)
			}
		}
	})
}

// changing is a host whose every answer differs from the one before.
type changing struct {
	node.FS
	n int
}

func (c *changing) next() string { c.n++; return fmt.Sprint("answer ", c.n) }

func (c *changing) ReadFile(string, int64, func([]byte) []byte) ([]byte, error) {
	return []byte(c.next()), nil
}
func (c *changing) ReadLink(string) (string, error) { return c.next(), nil }
func (c *changing) Lstat(string) (node.FileInfo, error) {
	return node.FileInfo{Type: node.Regular, Dev: c.next()}, nil
}
func (c *changing) Stat(n string) (node.FileInfo, error) { return c.Lstat(n) }
func (c *changing) Xattr(string, string) ([]byte, error) { return []byte(c.next()), nil }
func (c *changing) Ask(node.Question) (json.RawMessage, error) {
	return json.Marshal(c.next())
}
func (c *changing) ReadDir(string, int) ([]node.DirEntry, error) {
	return []node.DirEntry{{Name: c.next(), Type: node.Regular}}, nil
}

func TestRecordAsksOnce(t *testing.T) {
	live := &changing{}
	h, tape := Record(&node.Host{FS: live, Kernel: live})
	ask := func(h *node.Host) string {
		b, _ := h.FS.ReadFile("a", 100, nil)
		link, _ := h.FS.ReadLink("a")
		lstat, _ := h.FS.Lstat("a")
		stat, _ := h.FS.Stat("a")
		attr, _ := h.FS.Xattr("a", "user.a")
		dir, _ := h.FS.ReadDir("a", 100)
		answer, _ := h.Kernel.Ask(node.Question{Kind: "a"})
		return fmt.Sprintf("%s, %s, %v, %v, %s, %v, %s", b, link, lstat, stat, attr, dir, answer)
	}
	first := ask(h)
	if second := ask(h); second != first {
		t.Errorf("asked again: got %s, want %s", second, first)
	}
	if replayed := ask(tape.Host()); replayed != first {
		t.Errorf("replayed: got %s, want %s", replayed, first)
	}
}

// files answers from a map; what is not in it is denied.
type files map[string]string

func (f files) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	s, ok := f[name]
	if !ok {
		return nil, &node.Error{Op: "reading", Name: "/" + name, Code: node.Denied}
	}
	if int64(len(s)) > max {
		return nil, &node.Error{Op: "reading", Name: "/" + name, Code: node.TooLarge, Detail: fmt.Sprintf("more than %d bytes", max)}
	}
	if redact != nil {
		return redact([]byte(s)), nil
	}
	return []byte(s), nil
}

type filesFS struct {
	node.FS
	files
}

func (f filesFS) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	return f.files.ReadFile(name, max, redact)
}

func TestRecordLimits(t *testing.T) {
	h, tape := Record(&node.Host{FS: filesFS{files: files{"a": "0123456789"}}})
	ask := func(h *node.Host, max int64) string {
		b, err := h.FS.ReadFile("a", max, nil)
		return fmt.Sprintf("%s, %v", b, err)
	}
	if got, want := ask(h, 5), ", reading /a: too large: more than 5 bytes"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ask(tape.Host(), 4), ", reading /a: too large: more than 4 bytes"; got != want {
		t.Errorf("replayed with less: got %s, want %s", got, want)
	}
	if got, want := ask(tape.Host(), 20), ", reading /a: the capture holds no answer to this: it has more than 5 bytes"; got != want {
		t.Errorf("replayed with more: got %s, want %s", got, want)
	}
	if got, want := ask(h, 20), "0123456789, <nil>"; got != want {
		t.Errorf("asked with more: got %s, want %s", got, want)
	}
	if got, want := ask(tape.Host(), 5), ", reading /a: too large: more than 5 bytes"; got != want {
		t.Errorf("replayed as first asked: got %s, want %s", got, want)
	}
}

func TestRecordKeepsNoSecret(t *testing.T) {
	redact := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("hunter2"), []byte("<redacted>")) }
	live := filesFS{files: files{"a": "token=hunter2", "b": "token=hunter2"}}
	h, tape := Record(&node.Host{FS: live})
	for _, f := range []func([]byte) []byte{redact, nil} {
		if b, err := h.FS.ReadFile("a", 100, f); string(b) != "token=<redacted>" {
			t.Errorf("got %q, %v", b, err)
		}
	}
	// A source that knows of no secret came first.
	for _, f := range []func([]byte) []byte{nil, redact} {
		if _, err := h.FS.ReadFile("b", 100, f); err != nil {
			t.Error(err)
		}
	}
	if text := written(t, tape); strings.Contains(text, "hunter2") {
		t.Errorf("the capture holds the secret:\n%s", text)
	}
}

func TestNoKernel(t *testing.T) {
	_, tape := Record(&node.Host{FS: filesFS{files: files{}}})
	again, err := Read(strings.NewReader(written(t, tape)))
	if err != nil {
		t.Fatal(err)
	}
	if again.Host().Kernel != nil {
		t.Error("a file tree was recorded, and its replay has a kernel")
	}
}

type hanging struct {
	node.FS
	release chan struct{}
	asked   chan struct{}
}

func (h hanging) ReadFile(string, int64, func([]byte) []byte) ([]byte, error) {
	close(h.asked)
	<-h.release
	return nil, nil
}

func TestWriteWhileAReadHangs(t *testing.T) {
	live := hanging{release: make(chan struct{}), asked: make(chan struct{})}
	h, tape := Record(&node.Host{FS: live})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.FS.ReadFile("mnt/x", 10, nil)
	}()
	<-live.asked
	again, err := Read(strings.NewReader(written(t, tape)))
	if err != nil {
		t.Fatal(err)
	}
	close(live.release)
	<-done
	_, err = again.Host().FS.ReadFile("mnt/x", 10, nil)
	if want := "reading /mnt/x: no answer in time"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWriteSaysWhatIsTooLarge(t *testing.T) {
	tape := New(header())
	tape.File("big", strings.Repeat("x", maxLine))
	err := tape.Write(&bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), `read "big"`) {
		t.Errorf("got %v", err)
	}
}
