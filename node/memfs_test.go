package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// memHost is a host for tests of sources: a file tree and kernel answers in
// memory. Keys of files are relative to the root. A value that begins with
// "-> " is a symbolic link, a value that begins with "! " an error code
// ("! denied"), a key that ends in "/" an empty directory. Links are followed in
// every component, absolute ones from the root. Owners are root unless info says
// otherwise; files have mode 0644, directories 0755.
type memHost struct {
	files  map[string]string
	info   map[string]FileInfo   // overrides, by name
	xattrs map[string]string     // "name\x00attr" → value
	kernel map[Question]any      // answers; nil for a host without a kernel
	errors map[Question]*Error   // refusals
	avoid  []string              // as Avoid was last told
	asked  func(op, name string) // called for every question, where set
}

// host makes a Host of m that shares a gathering, as Gather would.
func (m *memHost) host() *Host {
	h := &Host{FS: m}
	if m.kernel != nil || m.errors != nil {
		h.Kernel = m
	}
	g := newGathering(context.Background(), h, time.Time{})
	return &Host{FS: h.FS, Kernel: h.Kernel, gathering: g, evidence: &evidence{}}
}

func (m *memHost) ask(op, name string) {
	if m.asked != nil {
		m.asked(op, name)
	}
}

// resolve follows links in all components but, unless last, the last.
func (m *memHost) resolve(op, name string, last bool) (string, *Error) {
	left := strings.Split(path.Clean("/" + name)[1:], "/")
	at, hops := "", 0
	for len(left) > 0 {
		next := path.Join(at, left[0])
		left = left[1:]
		if len(left) > 0 || last {
			if to, ok := strings.CutPrefix(m.files[next], "-> "); ok {
				if hops++; hops > 40 {
					return "", &Error{op, "/" + name, LinkLoop, ""}
				}
				if !strings.HasPrefix(to, "/") {
					to = "/" + at + "/" + to
				}
				left = append(strings.Split(path.Clean(to)[1:], "/"), left...)
				at = ""
				continue
			}
		}
		at = next
	}
	return at, nil
}

func (m *memHost) isDir(name string) bool {
	if name == "" || name == "." {
		return true
	}
	for f := range m.files {
		if strings.HasPrefix(f, name+"/") {
			return true
		}
	}
	return false
}

func (m *memHost) lookup(op, name string, last bool) (string, string, *Error) {
	at, err := m.resolve(op, name, last)
	if err != nil {
		return "", "", err
	}
	text, ok := m.files[at]
	if code, refused := strings.CutPrefix(text, "! "); ok && refused {
		return "", "", &Error{op, "/" + name, Code(code), ""}
	}
	if !ok && !m.isDir(at) {
		return "", "", &Error{op, "/" + name, Absent, ""}
	}
	return at, text, nil
}

func (m *memHost) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	m.ask("read", name)
	at, text, err := m.lookup("reading", name, true)
	if err != nil {
		return nil, err
	}
	if m.isDir(at) {
		return nil, &Error{"reading", "/" + name, NotRegular, "a directory"}
	}
	if int64(len(text)) > max {
		return nil, &Error{"reading", "/" + name, TooLarge, ""}
	}
	b := []byte(text)
	if redact != nil {
		b = redact(b)
	}
	return b, nil
}

func (m *memHost) Digest(name string, max int64) (string, error) {
	m.ask("digest", name)
	at, text, err := m.lookup("hashing", name, true)
	if err != nil {
		return "", err
	}
	if m.isDir(at) {
		return "", &Error{"hashing", "/" + name, NotRegular, "a directory"}
	}
	if int64(len(text)) > max {
		return "", &Error{"hashing", "/" + name, TooLarge, ""}
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text))), nil
}

func (m *memHost) Head(name string, n int) ([]byte, error) {
	m.ask("head", name)
	_, text, err := m.lookup("reading the head of", name, true)
	if err != nil {
		return nil, err
	}
	return []byte(text[:min(n, len(text))]), nil
}

func (m *memHost) ReadDir(name string, max int) ([]DirEntry, error) {
	m.ask("list", name)
	at, _, err := m.lookup("listing", name, true)
	if err != nil {
		return nil, err
	}
	if !m.isDir(at) {
		return nil, &Error{"listing", "/" + name, Failed, "not a directory"}
	}
	prefix := at + "/"
	if at == "" {
		prefix = ""
	}
	seen := map[string]bool{}
	var out []DirEntry
	for f := range m.files {
		rest, ok := strings.CutPrefix(f, prefix)
		first, _, _ := strings.Cut(rest, "/")
		if !ok || first == "" || seen[first] {
			continue
		}
		seen[first] = true
		info, infoErr := m.Lstat(prefix + first)
		if infoErr != nil {
			info.Type = Regular
		}
		out = append(out, DirEntry{first, info.Type})
	}
	if len(out) > max {
		return nil, &Error{"listing", "/" + name, TooLarge, ""}
	}
	slices.SortFunc(out, func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (m *memHost) stat(name string, last bool) (FileInfo, error) {
	m.ask("stat", name)
	at, text, err := m.lookup("looking at", name, last)
	if err != nil {
		return FileInfo{}, err
	}
	if info, ok := m.info[at]; ok {
		return info, nil
	}
	switch {
	case m.isDir(at):
		return FileInfo{Type: Directory, Mode: 0o755, Dev: "8:1"}, nil
	case strings.HasPrefix(text, "-> "):
		return FileInfo{Type: Symlink, Mode: 0o777, Dev: "8:1"}, nil
	}
	return FileInfo{Type: Regular, Mode: 0o644, Size: int64(len(text)), Dev: "8:1"}, nil
}

func (m *memHost) Lstat(name string) (FileInfo, error) { return m.stat(name, false) }
func (m *memHost) Stat(name string) (FileInfo, error)  { return m.stat(name, true) }

func (m *memHost) ReadLink(name string) (string, error) {
	m.ask("readlink", name)
	_, text, err := m.lookup("reading link", name, false)
	if err != nil {
		return "", err
	}
	to, ok := strings.CutPrefix(text, "-> ")
	if !ok {
		return "", &Error{"reading link", "/" + name, Failed, "not a symbolic link"}
	}
	return to, nil
}

func (m *memHost) Xattr(name, attr string) ([]byte, error) {
	m.ask("xattr", name)
	if _, _, err := m.lookup("reading attribute of", name, false); err != nil {
		return nil, err
	}
	v, ok := m.xattrs[name+"\x00"+attr]
	if !ok {
		return nil, &Error{"reading attribute of", "/" + name, Absent, ""}
	}
	return []byte(v), nil
}

func (m *memHost) Avoid(dirs []string) { m.avoid = dirs }

func (m *memHost) Ask(q Question) (json.RawMessage, error) {
	m.ask(q.Kind, q.Of)
	if err, ok := m.errors[q]; ok {
		return nil, err
	}
	v, ok := m.kernel[q]
	if !ok {
		return nil, &Error{"asking the kernel for", q.Kind, Unsupported, ""}
	}
	return json.Marshal(v)
}
