package test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var update = flag.Bool("update", false, "accept what the tests see as the golden files")

// theTime is the clock of every judgement in these tests.
var theTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// report judges what a tape replays.
func report(t *testing.T, tape *capture.Tape) verify.Report {
	t.Helper()
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	facts := node.Gather(context.Background(), tape.Host(), theTime)
	profile, _ := verify.Detect(facts, all)
	return verify.NewReport("test", verify.Checks(), facts, profile, theTime)
}

// consumer says how a kind of sample becomes what a node would answer, and which
// fact then rests on it.
type consumer struct {
	kinds []string
	fact  string
	put   func(*capture.Tape, sample) bool // whether the sample has what is needed
}

// consumers are tried in order; a facts file may feed several.
func consumers() []consumer {
	file := func(name string) func(*capture.Tape, sample) bool {
		return func(tape *capture.Tape, s sample) bool {
			if s.raw == "" {
				return false
			}
			tape.File(name, s.raw)
			return true
		}
	}
	restated := func(key, name string, text func(any) string) func(*capture.Tape, sample) bool {
		return func(tape *capture.Tape, s sample) bool {
			v, ok := s.facts[key]
			if !ok {
				return false
			}
			tape.File(name, text(v))
			return true
		}
	}
	return []consumer{
		{[]string{"os-release"}, "os", file("etc/os-release")},
		{nil, "os", restated("os_release", "etc/os-release", func(v any) string {
			m, _ := v.(map[string]any)
			var b strings.Builder
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if !strings.HasPrefix(k, "#") {
					fmt.Fprintf(&b, "%s=%q\n", k, fmt.Sprint(m[k]))
				}
			}
			return b.String()
		})},
		{[]string{"proc-cmdline"}, "boot", file("proc/cmdline")},
		{[]string{"dmesg-cmdline"}, "boot", func(tape *capture.Tape, s sample) bool {
			_, words, ok := strings.Cut(s.raw, "] Command line: ")
			if ok {
				tape.File("proc/cmdline", words)
			}
			return ok
		}},
		{nil, "boot", restated("cmdline", "proc/cmdline", func(v any) string { return strings.Join(strs(v), " ") + "\n" })},
		{nil, "boot", restated("lockdown", "sys/kernel/security/lockdown", func(v any) string {
			var words []string
			for _, w := range []string{"none", "integrity", "confidentiality"} {
				if w == v {
					w = "[" + w + "]"
				}
				words = append(words, w)
			}
			return strings.Join(words, " ") + "\n"
		})},
		{[]string{"sys-kernel-security-lsm"}, "boot", file("sys/kernel/security/lsm")},
		{[]string{"mountinfo"}, "mounts", file("proc/1/mountinfo")},
		{[]string{"proc-mounts", "mount", "findmnt"}, "mounts", putMounts},
		{nil, "mounts", putMounts},
		{nil, "runtime-sockets", putSockets},
		{[]string{"proc-modules"}, "kernel", file("proc/modules")},
		{[]string{"uname", "os-release-and-uname"}, "kernel", func(tape *capture.Tape, s sample) bool {
			for line := range strings.Lines(s.raw) {
				if f := strings.Fields(line); len(f) > 2 && f[0] == "Linux" {
					tape.File("proc/sys/kernel/osrelease", f[2]+"\n")
					return true
				}
			}
			return false
		}},
		{[]string{"hostnamectl"}, "kernel", func(tape *capture.Tape, s sample) bool {
			for line := range strings.Lines(s.raw) {
				if release, ok := strings.CutPrefix(strings.TrimSpace(line), "Kernel: Linux "); ok {
					tape.File("proc/sys/kernel/osrelease", release+"\n")
					return true
				}
			}
			return false
		}},
		{nil, "kernel", func(tape *capture.Tape, s sample) bool {
			m, _ := s.facts["uname"].(map[string]any)
			if str(m["release"]) == "" {
				return false
			}
			tape.File("proc/sys/kernel/osrelease", str(m["release"])+"\n")
			return true
		}},
		{nil, "kernel", func(tape *capture.Tape, s sample) bool {
			m, _ := s.facts["taint"].(map[string]any)
			if m["value"] == nil {
				return false
			}
			if len(tape.Exchanges()) == 0 { // alone it makes no fact, which needs a release
				tape.File("proc/sys/kernel/osrelease", "0.0.0\n")
			}
			tape.File("proc/sys/kernel/tainted", fmt.Sprintf("%v\n", m["value"]))
			return true
		}},
	}
}

func putMounts(tape *capture.Tape, s sample) bool {
	mounts := s.mountsOf()
	if len(mounts) == 0 {
		return false
	}
	tape.File("proc/1/mountinfo", mountinfo(mounts))
	return true
}

// putSockets puts sockets with mode and owner, and that nothing is known of the
// folders above them.
func putSockets(tape *capture.Tape, s sample) bool {
	list, _ := s.facts["sockets"].([]any)
	put := false
	for _, e := range list {
		m, _ := e.(map[string]any)
		mode, err := strconv.ParseUint(str(m["mode"]), 8, 32)
		if err != nil || str(m["owner"]) != "root" || str(m["group"]) != "root" {
			continue // a group has no number here
		}
		tape.Info(strings.TrimPrefix(str(m["path"]), "/"), node.FileInfo{Type: node.Socket, Mode: uint32(mode), Dev: "0:1"})
		put = true
	}
	return put
}

// feed puts what a sample says on the tape and lists the facts that rest on it.
func feed(tape *capture.Tape, s sample) []string {
	var fed []string
	for _, c := range consumers() {
		if (c.kinds == nil && s.facts != nil || slices.Contains(c.kinds, s.Kind)) && c.put(tape, s) && !slices.Contains(fed, c.fact) {
			fed = append(fed, c.fact)
		}
	}
	return fed
}

// TestCorpus feeds every published sample that a source can take to that source
// and holds what came of it to a golden list, so that a change in a parser shows
// as a line that moved.
func TestCorpus(t *testing.T) {
	needCorpus(t)
	var lines []string
	type count struct{ consumed, refused, unused int }
	counts := map[string]*count{}
	for _, s := range samples(t) {
		c := counts[s.OS]
		if c == nil {
			c = &count{}
			counts[s.OS] = c
		}
		tape := capture.New(capture.Header{Kind: capture.Composed, Node: s.name, Sources: []string{s.Source}})
		fed := feed(tape, s)
		if len(fed) == 0 {
			c.unused++
			lines = append(lines, fmt.Sprintf("%s: unused: no source reads a %s", s.name, s.Kind))
			continue
		}
		r := report(t, tape)
		var refused []string
		for _, name := range fed {
			f := r.Facts[name]
			if f.Missing != nil && f.Missing.Code != node.NotRecorded {
				refused = append(refused, f.Missing.Reason)
			}
			for _, g := range f.Gaps {
				if g.Code == node.Malformed {
					refused = append(refused, g.String())
				}
			}
		}
		if len(refused) > 0 {
			c.refused++
			lines = append(lines, fmt.Sprintf("%s: refused: %s", s.name, strings.Join(refused, "; ")))
			continue
		}
		c.consumed++
		lines = append(lines, fmt.Sprintf("%s: %s", s.name, strings.Join(fed, " ")))
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		c := counts[name]
		line := fmt.Sprintf("%s: %d consumed, %d refused, %d unused", name, c.consumed, c.refused, c.unused)
		t.Log(line)
		lines = append(lines, line)
	}
	golden(t, "corpus.txt", strings.Join(lines, "\n")+"\n")
}

// golden holds got to a file below testdata, or accepts it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the test sees; look at the difference, and run with -update if it is right (-want +got):\n%s", file, diff)
	}
}

// TestLab judges what the guests of the lab showed: real kernels with real
// device-mapper, whose roots have the shapes of other systems.
func TestLab(t *testing.T) {
	needCorpus(t)
	const (
		pass    = verify.Pass
		fail    = verify.Fail
		unknown = verify.Unknown
	)
	tests := []struct {
		dir      string
		level    int
		claimed  int
		verdicts map[string]verify.Verdict
	}{
		{"a-dmcreate-DM_INIT-squashfs/before", 3, 3, map[string]verify.Verdict{"image-verified": pass}},
		{"a-dmcreate-DM_INIT-squashfs/after", 2, 2, map[string]verify.Verdict{"image-verified": fail}},
		{"a-dmcreate-emul-erofs/before", 3, 3, map[string]verify.Verdict{"image-verified": pass}},
		{"b-systemd-roothash-erofs/before", 3, 3, map[string]verify.Verdict{"image-verified": pass}},
		{"b-systemd-usrhash-squashfs/before", 3, 3, map[string]verify.Verdict{"image-verified": pass}},
		{"b-systemd-usrhash-squashfs/after", 2, 2, map[string]verify.Verdict{"image-verified": fail}},
		{"c-initrd-erofs-ignorecorrupt/before", 2, 2, map[string]verify.Verdict{"image-verified": fail}},
		{"n-plain-squashfs-noverity/before", 2, 2, map[string]verify.Verdict{"image-unwritable": pass}},
		{"n-rw-ext4/before", 0, 0, map[string]verify.Verdict{"image-read-only": fail}},
		{"s-talos-squashfs-loop-overlay/before", 2, 2, map[string]verify.Verdict{"image-unwritable": pass}},
		{"s-microos-btrfs-ro-snapshot/before", 0, 1, map[string]verify.Verdict{"image-read-only": unknown}},
		{"s-ostree-readonly-sysroot/before", 1, 1, map[string]verify.Verdict{"image-read-only": pass}},
		{"s-cos-verity-overlay-etc/before", 3, 3, map[string]verify.Verdict{"image-verified": pass}},
	}
	for _, test := range tests {
		t.Run(test.dir, func(t *testing.T) {
			tape, err := labTape(test.dir)
			if err != nil {
				t.Fatal(err)
			}
			r := report(t, tape)
			if r.Level.Number != test.level || r.Level.Claimed != test.claimed {
				t.Errorf("got level %d, claimed %d (%s), want %d and %d", r.Level.Number, r.Level.Claimed, strings.Join(r.Level.Reasons, "; "), test.level, test.claimed)
			}
			for id, want := range test.verdicts {
				i := slices.IndexFunc(r.Findings, func(f verify.Finding) bool { return f.Check == id })
				if i < 0 {
					t.Fatalf("no finding of %s", id)
				}
				if f := r.Findings[i]; f.Verdict != want {
					t.Errorf("%s: got %s (%s: %s), want %s", id, f.Verdict, f.Code, f.Reason, want)
				}
			}
		})
	}
}
