//go:build linux

package lab

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var (
	full   = flag.Bool("full", false, "run all guests and not only those of the short form")
	update = flag.Bool("update", false, "write the golden files and docs/proven.md anew")
)

// needs are the programs that guests are made and run with, by Debian package.
var needs = map[string]string{
	"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "mksquashfs": "squashfs-tools", "mkfs.erofs": "erofs-utils",
	"mkfs.ext4": "e2fsprogs", "mkfs.btrfs": "btrfs-progs", "veritysetup": "cryptsetup-bin", "dmsetup": "dmsetup", "cpio": "cpio", "modprobe": "kmod", "xz": "xz-utils",
	"apt-get": "apt", "ostree": "ostree",
}

// programs are built once for all tests.
var programs struct{ agent, cli, guest string }

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "seaworthy-lab-")
	if err != nil {
		panic(err)
	}
	programs.agent, programs.cli, programs.guest = filepath.Join(dir, "seaworthy-agent"), filepath.Join(dir, "seaworthy"), filepath.Join(dir, "guest")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// builder makes a builder for one guest, or skips the test and says what is
// missing.
func builder(t *testing.T, series string) *Builder {
	t.Helper()
	var missing []string
	for program, pkg := range needs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		t.Skipf("NOT RUN: guests are made with programs that are not here: apt-get install %s", strings.Join(missing, " "))
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: images of root's files are made by root")
	}
	cache, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	for path, pkg := range map[string]string{programs.agent: "cmd/seaworthy-agent", programs.cli: "cmd/seaworthy", programs.guest: "test/lab/guest"} {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../../"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, b)
		}
	}
	b := &Builder{Ctx: t.Context(), Cache: cache, Dir: t.TempDir(), Agent: programs.agent, CLI: programs.cli, Guest: programs.guest}
	if b.Kernel, err = cache.Kernel(context.WithoutCancel(t.Context()), series); err != nil {
		t.Fatal(err)
	}
	return b
}

// judged is a report of a guest as the collector judges it.
func judged(t *testing.T, r *Result, name string) verify.Report {
	t.Helper()
	b, ok := r.Files["reports/"+name+".json"]
	if !ok {
		t.Fatalf("no report %q left the guest", name)
	}
	w, err := wire.Decode(b)
	if err != nil {
		t.Fatalf("report %q: %v", name, err)
	}
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	profile, _ := verify.Detect(w.Facts, all)
	return verify.NewReport("lab", verify.Checks(), w.Facts, profile, w.At)
}

// lines are the level, the profile and the findings of a report, as a golden file
// has them.
func lines(r verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile %s\nlevel %d %s\n\n", r.Profile.Name, r.Level.Number, r.Level.Name)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s\n", f.Check, outcomeOf(f))
	}
	return b.String()
}

// outcomeOf is the verdict of a finding with its code.
func outcomeOf(f verify.Finding) string {
	return f.Verdict.String() + " " + f.Code
}

func TestShapes(t *testing.T) {
	for _, s := range Shapes() {
		t.Run(s.Name, func(t *testing.T) {
			if s.Slow && !*full {
				t.Skipf("NOT RUN: %s is no part of the short form: what it needs takes long to build", s.Name)
			}
			b := builder(t, s.Series)
			r, err := b.Start(s, Plan{Steps: []Step{{"report", "before"}}}, 3*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, the report in %.1f s", r.Took.Round(100*time.Millisecond), r.Outcomes[0].Seconds)
			got := judged(t, r, "before")
			if got.Profile.Name != s.Profile || got.Level.Number != s.Level {
				t.Errorf("profile %s level %d, want %s %d: %v", got.Profile.Name, got.Level.Number, s.Profile, s.Level, got.Level.Reasons)
			}
			golden(t, s.Name, lines(got))
		})
	}
}

// golden compares text with a golden file, or writes it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}
