package test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// corpusDir holds outputs of real nodes that people have published, each with
// its source. It is read in place.
const corpusDir = "../../shared/corpus"

// sample is one published output.
type sample struct {
	name string // its file, relative to the corpus
	about
	raw   string         // the output as published; "" for a facts file
	facts map[string]any // the facts of a facts file; nil for an output
}

// about is what is known of a sample.
type about struct {
	OS        string `json:"os"`
	OSVersion string `json:"os_version"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	Source    string `json:"source"`
}

// needCorpus skips loudly where the corpus is not there.
func needCorpus(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(corpusDir); err != nil {
		t.Skipf("SKIPPED: this test reads the published samples: %v", err)
	}
}

// samples reads the whole corpus but the folders of the lab, which labNodes reads.
func samples(t *testing.T) []sample {
	t.Helper()
	var out []sample
	err := filepath.WalkDir(corpusDir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(corpusDir, p)
		if rel == "lab" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.Contains(rel, "/") || strings.HasSuffix(rel, ".source.yaml") {
			return nil
		}
		s := sample{name: filepath.ToSlash(rel)}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if strings.HasSuffix(rel, ".facts.yaml") {
			if err := yaml.Unmarshal(b, &s.facts); err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
			text, err := json.Marshal(s.facts["about"])
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, &s.about); err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
		} else {
			s.raw = string(b)
			if s.about, err = readAbout(p + ".source.yaml"); err != nil {
				return err
			}
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the corpus: %v", err)
	}
	return out
}

// readAbout reads a sidecar.
func readAbout(file string) (about, error) {
	var a about
	b, err := os.ReadFile(file)
	if err != nil {
		return a, err
	}
	if err := yaml.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// needSample is one sample by its name; the test ends where it is missing.
func needSample(t *testing.T, all []sample, name string) sample {
	t.Helper()
	i := slices.IndexFunc(all, func(s sample) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("the corpus has no %s", name)
	}
	return all[i]
}

// mountLine is one mounted file system as mount(8), findmnt(8) or a restated
// sample shows it: one set of options, in which ro may be the mount's or the
// file system's.
type mountLine struct {
	Target, Source, Type string
	Options              []string
	MajMin, Root         string
	Super                []string
}

// vfsOptions are those that mountinfo shows for the mount, not the file system.
var vfsOptions = []string{"nosuid", "nodev", "noexec", "noatime", "relatime", "nodiratime", "nosymfollow"}

// mountinfo restates mounts in the form of proc_pid_mountinfo(5). What such a
// sample cannot say is filled with the weakest that fits: a device file has a
// number that no sysfs knows, the superblock is read-only only where the kernel
// knows no other.
func mountinfo(mounts []mountLine) string { return mountinfoFrom(0, mounts) }

// mountinfoFrom restates mounts that follow n others, the first of which is /.
func mountinfoFrom(n int, mounts []mountLine) string {
	// The root comes first, so that everything has a parent.
	mounts = slices.Clone(mounts)
	slices.SortStableFunc(mounts, func(a, b mountLine) int {
		root := func(m mountLine) int {
			if m.Target == "/" {
				return 0
			}
			return 1
		}
		return root(a) - root(b)
	})
	var b strings.Builder
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	devs := map[string]string{}
	for i, m := range mounts {
		parent, best := 1, -1
		if n > 0 {
			parent, best = 20, 0
		}
		for j, o := range mounts[:i] {
			if (o.Target == "/" || m.Target == o.Target || strings.HasPrefix(m.Target, o.Target+"/")) && len(o.Target) >= best {
				best, parent = len(o.Target), n+j+20
			}
		}
		perMount, super := []string{"rw"}, []string{"rw"}
		if slices.Contains(m.Options, "ro") {
			perMount[0] = "ro"
			if m.onlyReadOnly() {
				super[0] = "ro"
			}
		}
		for _, o := range m.Options {
			switch {
			case o == "ro" || o == "rw":
			case slices.Contains(vfsOptions, o):
				perMount = append(perMount, o)
			default:
				super = append(super, o)
			}
		}
		if m.Super != nil {
			super = m.Super
		}
		if device := strings.HasPrefix(m.Source, "/dev/"); devs[m.Source+m.Type] == "" || !device {
			major := 0
			if device && m.Type != "btrfs" {
				major = 259 // of block devices that have no major of their own
			}
			devs[m.Source+m.Type] = fmt.Sprintf("%d:%d", major, 100+n+i)
		}
		dev := m.MajMin
		if dev == "" {
			dev = devs[m.Source+m.Type]
		}
		root := m.Root
		if root == "" {
			root = "/"
		}
		fmt.Fprintf(&b, "%d %d %s %s %s %s - %s %s %s\n", n+i+20, parent, dev, escape.Replace(root), escape.Replace(m.Target),
			strings.Join(perMount, ","), m.Type, escape.Replace(m.Source), strings.Join(super, ","))
	}
	return b.String()
}

// onlyReadOnly reports whether the file system of a mount that is shown as ro
// can be nothing else: the kernel cannot write such a type, or it was mounted
// with rescue=, which btrfs takes only for reading, also at a remount. Source:
// btrfs(5).
func (m mountLine) onlyReadOnly() bool {
	return slices.Contains([]string{"squashfs", "erofs", "iso9660"}, m.Type) ||
		m.Type == "btrfs" && slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "rescue=") })
}

// mountsOf are the mounts that a sample shows; nil for one that shows none.
func (s sample) mountsOf() []mountLine {
	var out []mountLine
	switch {
	case s.facts != nil:
		list, _ := s.facts["mounts"].([]any)
		for _, e := range list {
			m, _ := e.(map[string]any)
			line := mountLine{Target: str(m["target"]), Source: str(m["source"]), Type: str(m["fstype"]), MajMin: str(m["majmin"]), Root: str(m["root"])}
			line.Options, line.Super = strs(m["options"]), strs(m["super_options"])
			if line.Target == "" || line.Type == "" || line.Options == nil {
				continue // df and the like
			}
			out = append(out, line)
		}
	case s.Kind == "proc-mounts":
		for line := range strings.Lines(s.raw) {
			if f := strings.Fields(line); len(f) == 6 {
				out = append(out, mountLine{Target: f[1], Source: f[0], Type: f[2], Options: strings.Split(f[3], ",")})
			}
		}
	case s.Kind == "findmnt":
		return findmntOf(s.raw)
	case s.Kind == "mount":
		for line := range strings.Lines(s.raw) {
			head, opts, ok := strings.Cut(strings.TrimSpace(line), " (")
			f := strings.Split(head, " ")
			if !ok || len(f) < 5 || f[1] != "on" || f[len(f)-2] != "type" {
				continue
			}
			out = append(out, mountLine{Target: strings.Join(f[2:len(f)-2], " "), Source: f[0], Type: f[len(f)-1], Options: strings.Split(strings.TrimSuffix(opts, ")"), ",")})
		}
	}
	return out
}

// findmntOf reads the tables that findmnt(8) prints: the tree in the first
// column, and in brackets after the source the directory that is mounted.
func findmntOf(text string) []mountLine {
	var out []mountLine
	inTable := false
	for line := range strings.Lines(text) {
		f := strings.Fields(strings.Map(func(r rune) rune {
			if strings.ContainsRune("├─└│|`", r) {
				return ' '
			}
			return r
		}, line))
		switch {
		case slices.Equal(f, []string{"TARGET", "SOURCE", "FSTYPE", "OPTIONS"}):
			inTable = true
		case inTable && len(f) == 5 && f[0] == "-": // what is left of an ASCII tree
			f = f[1:]
			fallthrough
		case inTable && len(f) == 4 && strings.HasPrefix(strings.TrimLeft(f[0], "-"), "/"):
			m := mountLine{Target: strings.TrimLeft(f[0], "-"), Source: f[1], Type: f[2], Options: strings.Split(f[3], ",")}
			m.Source, m.Root, _ = strings.Cut(strings.TrimSuffix(m.Source, "]"), "[")
			out = append(out, m)
		default:
			inTable = false
		}
	}
	return out
}

func str(v any) string { s, _ := v.(string); return s }

func strs(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// putBlockDevices puts what a lab's list of /sys/block says on the tape: lines
// of "vda ro=0 size=1 dev=254:0 slaves=[] holders=[]" and "dm-0/dm/name=usr".
func putBlockDevices(tape *capture.Tape, list string) {
	type block struct {
		dev    string
		slaves []string
		files  map[string]string
	}
	blocks := map[string]*block{}
	var names []string
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		name, rest, spaced := strings.Cut(line, " ")
		if spaced && !strings.Contains(name, "/") {
			b := &block{files: map[string]string{}}
			for _, f := range strings.Split(rest, " ") {
				if k, v, ok := strings.Cut(f, "="); ok && (k == "ro" || k == "size" || k == "dev") {
					b.files[k] = v
				}
			}
			b.dev = b.files["dev"]
			if _, in, ok := strings.Cut(rest, "slaves=["); ok {
				in, _, _ = strings.Cut(in, "]")
				b.slaves = strings.Fields(in)
			}
			blocks[name] = b
			names = append(names, name)
			continue
		}
		if file, value, ok := strings.Cut(line, "="); ok {
			if of, sub, ok := strings.Cut(file, "/"); ok && blocks[of] != nil {
				blocks[of].files[sub] = value
			}
		}
	}
	slices.Sort(names)
	var entries []node.DirEntry
	for _, name := range names {
		b := blocks[name]
		entries = append(entries, node.DirEntry{Name: name, Type: node.Symlink})
		tape.Link("sys/dev/block/"+b.dev, "../../devices/virtual/block/"+name)
		for _, dir := range []string{"sys/block/" + name, "sys/dev/block/" + b.dev} {
			for _, kind := range []string{"dm/name", "loop/backing_file", "uevent"} {
				if _, ok := b.files[kind]; !ok {
					tape.Absent(dir + "/" + kind)
				}
			}
			for file, value := range b.files {
				tape.File(dir+"/"+file, value+"\n")
			}
			var below []node.DirEntry
			for _, s := range slices.Sorted(slices.Values(b.slaves)) {
				below = append(below, node.DirEntry{Name: s, Type: node.Symlink})
				if blocks[s] != nil {
					tape.File(dir+"/slaves/"+s+"/dev", blocks[s].dev+"\n")
				}
			}
			tape.Dir(dir+"/slaves", below...)
		}
	}
	tape.Dir("sys/block", entries...)
}

// putTables puts the kernel's device-mapper tables on the tape from what a lab's
// probe printed of DM_TABLE_STATUS.
func putTables(tape *capture.Tape, probe string) error {
	tables := []node.DMTable{}
	for line := range strings.Lines(probe) {
		line = strings.TrimSpace(line)
		var dev, name, status, uuid, kind, params string
		var flags int
		var start, length uint64
		if n, _ := fmt.Sscanf(line, "dm dev=%s name=%s", &dev, &name); n == 2 {
			tables = append(tables, node.DMTable{Name: name, Dev: dev, Targets: []node.DMTarget{}})
			continue
		}
		if n, _ := fmt.Sscanf(line, "table flags=%v uuid=%q start=%d len=%d type=%s params=%q", &flags, &uuid, &start, &length, &kind, &params); n == 6 {
			if len(tables) == 0 {
				return fmt.Errorf("a table line without a device: %.100q", line)
			}
			at := &tables[len(tables)-1]
			at.UUID = uuid
			at.Targets = append(at.Targets, node.DMTarget{Start: start, Length: length, Type: kind, Params: params})
			continue
		}
		if n, _ := fmt.Sscanf(line, "status flags=%v uuid=%q start=%d len=%d type=%s params=%q", &flags, &uuid, &start, &length, &kind, &status); n == 6 {
			at := &tables[len(tables)-1]
			at.Targets[len(at.Targets)-1].Status = status
		}
	}
	tape.Answer(node.Question{Kind: node.AskDM}, tables)
	return nil
}

// labFiles are the files of a lab folder by the name that a node has for them.
var labFiles = []struct{ sample, name string }{
	{"mountinfo", "proc/1/mountinfo"}, {"cmdline", "proc/cmdline"}, {"os-release", "etc/os-release"},
	{"kernel-osrelease", "proc/sys/kernel/osrelease"}, {"lsm", "sys/kernel/security/lsm"}, {"lockdown", "sys/kernel/security/lockdown"},
}

// labTape composes the capture of one folder of the lab: what a guest showed.
func labTape(dir string) (*capture.Tape, error) {
	tape := capture.New(capture.Header{Kind: capture.Composed, Node: path.Base(path.Dir(dir)), Sources: []string{"lab/" + dir}})
	files := []string{"sys-block", "labprobe"}
	for _, f := range labFiles {
		files = append(files, f.sample)
	}
	files = slices.DeleteFunc(files, func(name string) bool {
		_, err := os.Stat(filepath.Join(corpusDir, "lab", dir, name))
		return os.IsNotExist(err)
	})
	return tape, putLab(tape, dir, files...)
}

// putLab puts what files in a folder of the lab say on the tape.
func putLab(tape *capture.Tape, dir string, files ...string) error {
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(corpusDir, "lab", dir, file))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(labFiles, func(f struct{ sample, name string }) bool { return f.sample == file })
		switch {
		case i >= 0:
			tape.File(labFiles[i].name, string(b))
		case file == "sys-block":
			putBlockDevices(tape, string(b))
		case file == "labprobe":
			if err := putTables(tape, string(b)); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
		default:
			return fmt.Errorf("%s: nothing is known of %s", dir, file)
		}
	}
	return nil
}
