//go:build linux

package lab

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/verify"
)

var (
	full   = flag.Bool("full", false, "run all guests and not only those of the short form")
	update = flag.Bool("update", false, "write the golden files, and with -full docs/proven.md, anew")
)

// needs are the programs that guests are made and run with, and Debian's packages
// of them.
var needs = map[string]string{
	"apt-get": "apt", "busybox": "busybox-static", "cpio": "cpio", "dmsetup": "dmsetup", "fsverity": "fsverity", "mkfs.btrfs": "btrfs-progs", "mkfs.erofs": "erofs-utils",
	"mkfs.ext4": "e2fsprogs", "mksquashfs": "squashfs-tools", "modprobe": "kmod", "ostree": "ostree", "qemu-system-x86_64": "qemu-system-x86",
	"veritysetup": "cryptsetup-bin", "xz": "xz-utils",
}

// work is where the programs and the disks of a run are.
var work string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if work, err = os.MkdirTemp("", "seaworthy-lab-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if code == 0 || *update { // a row is there only of what passed
		if err := proven.settle(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.RemoveAll(work)
	if size, err := cacheSize(); err == nil && size > maxCache {
		fmt.Printf("the cache of guests has %d MiB, more than %d: remove it\n", size>>20, maxCache>>20)
		code = 1
	}
	os.Exit(code)
}

// maxCache is what may be kept between runs; what a run makes is less than a tenth
// of it, one guest's at a time, and gone with it.
const maxCache = 3 << 30

// cacheSize is how many bytes are kept between runs.
func cacheSize() (size int64, err error) {
	cache, err := OpenCache()
	if err != nil {
		return 0, err
	}
	err = filepath.WalkDir(cache.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what is just being made or removed by another run
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size, err
}

// programs builds the programs under test, once.
var programs = sync.OnceValue(func() error {
	for _, pkg := range []string{"cmd/seaworthy-agent", "cmd/seaworthy", "test/lab/guest"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(work, filepath.Base(pkg)), "../../"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", pkg, err, b)
		}
	}
	return nil
})

// builder makes a builder of guests with a folder of its own, or skips the test
// and says what is missing.
func builder(t *testing.T, series string) *Builder {
	t.Helper()
	var missing []string
	for program, pkg := range needs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Skipf("NOT RUN: guests are made with programs that are not here: apt-get install %s", strings.Join(missing, " "))
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: images of root's files are made by root")
	}
	if err := programs(); err != nil {
		t.Fatal(err)
	}
	cache, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background() // what is built serves other tests, too
	kernel, err := cache.Kernel(ctx, series)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(work, "guest-")
	if err != nil {
		t.Fatal(err)
	}
	return &Builder{
		Ctx: ctx, Cache: cache, Dir: dir, Kernel: kernel,
		Agent: filepath.Join(work, "seaworthy-agent"), CLI: filepath.Join(work, "seaworthy"), Guest: filepath.Join(work, "guest"),
	}
}

// limit is how long a guest may take for its boot and for each step.
func limit(steps int) time.Duration { return 3*time.Minute + time.Duration(steps)*time.Minute/2 }

// start runs a guest of its own, whose disks are gone afterwards.
func start(t *testing.T, s Shape, plan Plan) *Result {
	t.Helper()
	b := builder(t, s.Series)
	defer os.RemoveAll(b.Dir)
	r, err := b.Start(s, plan, limit(len(plan.Steps)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guest %s: %d steps in %s", s.Name, len(plan.Steps), r.Took.Round(100*time.Millisecond))
	return r
}

// commons are the guests that several tests look at, by shape. One that broke is
// nil, and not tried again.
var commons = map[string]*Result{}

// common is the guest of a shape that is told: report, then every attack that can
// be taken back, with a report after it and one after it was undone, then a report
// with each confinement.
func common(t *testing.T, s Shape) *Result {
	t.Helper()
	if r, tried := commons[s.Name]; tried {
		if r == nil {
			t.Fatalf("the guest %s broke before", s.Name)
		}
		return r
	}
	commons[s.Name] = nil
	steps := []Step{{"report", "before"}}
	for _, a := range Attacks() {
		if slices.Contains(a.Shapes, s.Name) && a.Undo != nil && !left(a.Slow) {
			steps = append(steps, Step{"attack", a.Name}, Step{"report", a.Name}, Step{"undo", a.Name}, Step{"report", a.Name + "-undone"})
		}
	}
	if s.Name == confinedShape {
		for _, c := range Confinements() {
			steps = append(steps, Step{"confined", c.Name})
		}
	}
	commons[s.Name] = start(t, s, Plan{Steps: steps})
	return commons[s.Name]
}

// left says whether what takes long is left out of this run: make lab runs it.
func left(slow bool) bool { return slow && !*full }

// leftOut are the shapes and attacks that this run leaves out.
func leftOut() (names []string) {
	for _, s := range Shapes() {
		if left(s.Slow) {
			names = append(names, s.Name)
		}
	}
	for _, a := range Attacks() {
		if left(a.Slow) {
			names = append(names, a.Name)
		}
	}
	return names
}

// judged is a report of a guest as the collector judges it.
func judged(t *testing.T, r *Result, name string) verify.Report {
	t.Helper()
	b, ok := r.Files["reports/"+name+".json"]
	if !ok {
		t.Fatalf("no report %q left the guest", name)
	}
	report, err := Judge(b)
	if err != nil {
		t.Fatalf("report %q: %v", name, err)
	}
	return report
}

func TestShapes(t *testing.T) {
	for _, s := range Shapes() {
		if left(s.Slow) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			got := judged(t, common(t, s), "before")
			if got.Profile.Name != s.Profile || got.Level.Number != s.Level {
				t.Errorf("profile %s level %d, want %s %d: %v", got.Profile.Name, got.Level.Number, s.Profile, s.Level, got.Level.Reasons)
			}
			golden(t, s.Name, Outcomes(got))
			if !t.Failed() {
				proven.shape(s, got)
			}
		})
	}
}

// TestAttacks does every attack, and looks whether exactly the findings change
// that must. A report without an attack in between must be equal to the one
// before, or the changes would prove nothing.
func TestAttacks(t *testing.T) {
	for _, a := range Attacks() {
		for _, name := range a.Shapes {
			s, err := ShapeNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			if left(a.Slow || s.Slow) {
				continue
			}
			t.Run(a.Name+"/"+name, func(t *testing.T) {
				r := common(t, s)
				before, after := judged(t, r, "before"), verify.Report{}
				if a.Undo != nil {
					after = judged(t, r, a.Name)
					if d := cmp.Diff(Outcomes(before), Outcomes(judged(t, r, a.Name+"-undone"))); d != "" {
						t.Errorf("after it was undone (-before +undone):\n%s", d)
					}
				} else {
					plan := Plan{Options: a.Options}
					if a.Do != nil {
						plan.Steps = []Step{{"report", "before"}, {"attack", a.Name}}
					}
					plan.Steps = append(plan.Steps, Step{"report", a.Name})
					alone := start(t, s, plan)
					if a.Do != nil {
						if d := cmp.Diff(Outcomes(before), Outcomes(judged(t, alone, "before"))); d != "" {
							t.Errorf("two guests of one shape differ:\n%s", d)
						}
					}
					after = judged(t, alone, a.Name)
					keep(t, a.Name, alone.Files["reports/"+a.Name+".json"])
				}
				if r.Files["reports/"+a.Name+".json"] != nil {
					keep(t, a.Name, r.Files["reports/"+a.Name+".json"])
				}
				got, want := Changed(before, after), slices.Clone(a.Changes)
				slices.SortFunc(want, func(a, b Change) int { return strings.Compare(a.Check, b.Check) })
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("the findings that change (-want +got):\n%s\nas it was:\n%s", d, literal(got, after))
				}
				if after.Level.Number != a.Level {
					t.Errorf("level %d, want %d: %v", after.Level.Number, a.Level, after.Level.Reasons)
				}
				if !t.Failed() {
					proven.attack(a, s, before, after)
				}
			})
		}
	}
}

// literal is a list of changes as the source has them, with the reasons.
func literal(changes []Change, after verify.Report) string {
	var b strings.Builder
	for _, c := range changes {
		i := slices.IndexFunc(after.Findings, func(f verify.Finding) bool { return f.Check == c.Check })
		fmt.Fprintf(&b, "{%q, %q, %q}, // %s\n", c.Check, c.Before, c.After, after.Findings[i].Reason)
	}
	return b.String()
}

// kept are the reports after the attacks, for the mutations.
var kept = map[string]string{}

func keep(t *testing.T, attack string, report []byte) {
	t.Helper()
	path := filepath.Join(work, attack+".json")
	if err := os.WriteFile(path, report, 0o644); err != nil {
		t.Fatal(err)
	}
	kept[attack] = path
}

// TestMutations breaks the check that catches an attack, by an edit of the source
// that the build sees and nobody else, and looks whether the attack is then
// missed. Where it is caught all the same, the row of the attack proves nothing
// about that check. It takes the reports that TestAttacks left. The short form breaks
// one check in each file.
func TestMutations(t *testing.T) {
	if len(kept) == 0 {
		t.Skip("NOT RUN: no attack was done in this run")
	}
	broken := map[string]bool{}
	for _, a := range Attacks() {
		report, done := kept[a.Name]
		if !done || len(a.Changes) == 0 { // then there is nothing to be missed
			continue
		}
		if left(broken[a.Mutation.File]) {
			continue
		}
		broken[a.Mutation.File] = true
		t.Run(a.Name, func(t *testing.T) {
			i := slices.IndexFunc(a.Changes, func(c Change) bool { return c.Check == a.Mutation.Check })
			if i < 0 {
				t.Fatalf("the mutation is of %q, which does not change", a.Mutation.Check)
			}
			missed := a.Changes[i].Check + " " + a.Changes[i].Before
			for line := range strings.Lines(mutated(t, a.Mutation, report)) {
				if strings.HasPrefix(line, a.Mutation.Check+" ") && strings.TrimSpace(line) != missed {
					t.Errorf("the broken check says %q, want %q as before the attack", strings.TrimSpace(line), missed)
				}
			}
		})
	}
}

// mutated is a report as a program judges it that was built from the edited source.
func mutated(t *testing.T, m Mutation, report string) string {
	t.Helper()
	if !strings.HasPrefix(m.File, "verify/") && !strings.HasPrefix(m.File, "profiles/") {
		t.Fatalf("a mutation of %q: it is an edit of a check", m.File)
	}
	file, err := filepath.Abs("../../" + m.File)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.Old); n != 1 {
		t.Fatalf("%s has %d times what the mutation replaces: %q", m.File, n, m.Old)
	}
	dir := t.TempDir()
	edited, overlay, program := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "judge")
	if err := os.WriteFile(edited, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, file, edited), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, "./judge").CombinedOutput(); err != nil {
		t.Fatalf("building the edited source: %v\n%s", err, b)
	}
	out, err := exec.Command(program, report).CombinedOutput()
	if err != nil {
		t.Fatalf("judging by the edited source: %v\n%s", err, out)
	}
	return string(out)
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

// TestTables holds the tables against each other, without a guest.
func TestTables(t *testing.T) {
	names := map[string]int{}
	for _, s := range Shapes() {
		names[s.Name]++
	}
	for _, a := range Attacks() {
		names[a.Name]++
		if len(a.Shapes) == 0 || a.What == "" {
			t.Errorf("attack %s: it has no shape or no sentence", a.Name)
		}
		if (a.Do == nil) == (a.Options == nil) {
			t.Errorf("attack %s: it is done either to a guest that is up or before", a.Name)
		}
		if len(a.Changes) > 0 && a.Mutation.Check == "" {
			t.Errorf("attack %s: no mutation shows that it could be missed", a.Name)
		}
		for _, s := range a.Shapes {
			if _, err := ShapeNamed(s); err != nil {
				t.Errorf("attack %s: %v", a.Name, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] != 1 {
			t.Errorf("%q names %d shapes or attacks", name, names[name])
		}
	}
}
