//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/verify"
)

// harmlessShape is the guest in which it is shown that the agent does no harm.
const harmlessShape = "verity-create"

// oneScan is the longest that a gathering of facts may take, with the start of an
// emulated program and its report. Source: node.Deadline, thrice for the whole.
const oneScan = 3*node.Deadline + 15*time.Second

// TestHarmless watches the agent in one guest: over many scans; while mounts and
// processes come and go; with file systems that do not answer; and with processes
// whose memory cannot be read.
func TestHarmless(t *testing.T) {
	scans, stormy, stuck := "12", "1", "2"
	patience := 10 * time.Minute
	if *full {
		scans, stormy, stuck = "1000", "10", "12"
		patience = time.Hour
	}
	s, err := ShapeNamed(harmlessShape)
	if err != nil {
		t.Fatal(err)
	}
	b := builder(t, s.Series)
	defer os.RemoveAll(b.Dir)
	r, err := b.Start(s, Plan{Steps: []Step{{"harmless", scans}, {"storm", stormy}, {"frozen", ""}, {"stuck", stuck}}}, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("guest %s: %s", s.Name, r.Took.Round(100*time.Millisecond))
	for _, o := range r.Outcomes {
		t.Logf("%s %s: %.1f s of the guest's time", o.Task, o.Arg, o.Seconds)
	}
	t.Run("scans", func(t *testing.T) { judgeScans(t, r) })
	t.Run("storm", func(t *testing.T) { judgeStorm(t, r) })
	t.Run("frozen", func(t *testing.T) { judgeFrozen(t, r) })
	t.Run("stuck", func(t *testing.T) { judgeStuck(t, r) })
}

// decoded is a JSON file that left the guest.
func decoded[T any](t *testing.T, r *Result, name string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.Files[name], &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func median(of []Scanned, what func(Scanned) int64) int64 {
	values := make([]int64, len(of))
	for i, s := range of {
		values[i] = what(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// judgeScans compares the first quarter of the scans, after some to warm up, with
// the last.
func judgeScans(t *testing.T, r *Result) {
	got := decoded[Harmless](t, r, "harmless.json")
	all := got.Scans
	warm := all[max(4, len(all)/20):]
	early, late := warm[:len(warm)/4], warm[len(warm)-len(warm)/4:]
	t.Logf("%d scans in %.0f s; the first, with what is read hourly, took %.2f s of CPU", len(all), got.Seconds, all[0].CPU)
	// flat compares a quantity early and late; grown is how much more is nothing.
	flat := func(what string, of func(Scanned) int64, grown int64) {
		first, last := median(early, of), median(late, of)
		most := of(slices.MaxFunc(warm, func(a, b Scanned) int { return int(of(a) - of(b)) }))
		t.Logf("%s: %d early, %d late, at most %d", what, first, last, most)
		if last > first+grown {
			t.Errorf("%s: it grows from %d to %d", what, first, last)
		}
	}
	flat("resident memory in KiB", func(s Scanned) int64 { return s.RSS }, 512)
	flat("of this not the program's own pages, in KiB", func(s Scanned) int64 { return s.Anon }, 512)
	flat("descriptors", func(s Scanned) int64 { return int64(s.Files) }, 0)
	flat("threads", func(s Scanned) int64 { return int64(s.Threads) }, 1)
	flat("page cache of the guest in KiB", func(s Scanned) int64 { return s.Memory.Cache }, 256)
	flat("memory of the guest's kernel in KiB", func(s Scanned) int64 { return s.Memory.Slab }, 1024)
	native, err := calibrate()
	if err != nil {
		t.Fatal(err)
	}
	cost := func(s Scanned) int64 { return int64(1000 * s.Cost) }
	grown := median(early, cost) / 4
	if len(all) < 100 { // the emulator shares its cores with others: few scans tell little
		grown = math.MaxInt32
	}
	flat("CPU of a scan, in thousandths of that of a hundred reads of a status", cost, grown)
	t.Logf("a hundred such reads take %.1f ms here, which makes a scan %.1f ms", 1000*native, float64(median(late, cost))*native)
	for i, s := range all {
		if s.Written != 0 {
			t.Errorf("after scan %d the agent has written %d bytes to storage", i+1, s.Written)
			break
		}
	}
	if len(got.Disks) < 2 {
		t.Errorf("disks %v: the guest has more", got.Disks)
	}
	for _, name := range slices.Sorted(maps.Keys(got.Disks)) {
		d := got.Disks[name]
		t.Logf("disk %s: %d KiB read, %d KiB written", name, d.Read/2, d.Written/2)
		if d.Written != 0 {
			t.Errorf("disk %s: %d sectors were written", name, d.Written)
		}
	}
	t.Logf("page cache, from empty: %d KiB before, %d after the first scan, %d when the agent is gone", got.Before.Cache, all[0].Memory.Cache, got.After.Cache)
	if grown := got.After.Cache - got.Before.Cache; grown > 64<<10 {
		t.Errorf("the agent filled the page cache with %d KiB", grown)
	}
	t.Logf("ended %.1f s after SIGTERM: %s", got.Stopped, got.How)
	if got.How != "exit status 0" {
		t.Errorf("the agent ended with %q", got.How)
	}
	if *full && !t.Failed() {
		proven.add(otherRows, "many scans leave nothing behind", "the agent that stays scans 1,000 times, a second apart",
			"no sector written to any disk; resident memory, descriptors, threads, CPU of a scan, page cache and the kernel's memory flat", repeat("TestHarmless/scans"))
	}
}

// invented are the findings that an unrest made otherwise than unknown: there must
// be none.
func invented(calm, unrest verify.Report) []string {
	var out []string
	for _, c := range Changed(calm, unrest) {
		if !strings.HasPrefix(c.After, "unknown") {
			i := slices.IndexFunc(unrest.Findings, func(f verify.Finding) bool { return f.Check == c.Check })
			out = append(out, fmt.Sprintf("%s: %s became %s: %s", c.Check, c.Before, c.After, unrest.Findings[i].Reason))
		}
	}
	return out
}

// unknowns are the findings that became unknown, with the reason.
func unknowns(calm, unrest verify.Report) []string {
	var out []string
	for _, c := range Changed(calm, unrest) {
		if strings.HasPrefix(c.After, "unknown") {
			i := slices.IndexFunc(unrest.Findings, func(f verify.Finding) bool { return f.Check == c.Check })
			out = append(out, c.Check+": "+unrest.Findings[i].Reason)
		}
	}
	return out
}

// factsOf are the facts of a report.
func factsOf(t *testing.T, r *Result, name string) node.Facts {
	t.Helper()
	w, err := wire.Decode(r.Files["reports/"+name+".json"])
	if err != nil {
		t.Fatalf("report %s: %v", name, err)
	}
	return w.Facts
}

// unread is what facts say that could not be read, one line each.
func unread(facts node.Facts) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		f := facts[name]
		if f.Missing != nil {
			out = append(out, fmt.Sprintf("%s is missing: %s", name, f.Missing.Reason))
		}
		for _, g := range f.Gaps {
			out = append(out, fmt.Sprintf("%s: %s: %s", name, g.What, g.Reason))
		}
	}
	return out
}

// newly are the lines that are in after and not in before.
func newly(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(s string) bool { return slices.Contains(before, s) })
}

// some logs how many lines there are, and the first of them.
func some(t *testing.T, what string, lines []string) {
	t.Helper()
	t.Logf("%s: %d", what, len(lines))
	for _, line := range lines[:min(len(lines), 4)] {
		t.Logf("    %s", line)
	}
}

func judgeStorm(t *testing.T, r *Result) {
	got := decoded[Storm](t, r, "storm.json")
	for _, name := range slices.Sorted(maps.Keys(got.Rates)) {
		t.Logf("%s: %.0f a second", name, got.Rates[name])
		if got.Rates[name] < 5 {
			t.Errorf("%s: %.1f a second is no storm", name, got.Rates[name])
		}
	}
	t.Logf("scans took %.1f s; reports of the agent that stays %.1f s apart", got.Seconds, got.Stays)
	for _, s := range slices.Concat(got.Seconds, got.Stays) {
		if s > oneScan.Seconds() {
			t.Errorf("a scan took %.1f s", s)
		}
	}
	if len(got.Stays) > 0 && got.How != "exit status 0" {
		t.Errorf("the agent ended with %q", got.How)
	}
	calm, before := judged(t, r, "harmless"), factsOf(t, r, "harmless")
	names := []string{}
	for n := range got.Seconds {
		names = append(names, fmt.Sprintf("storm-%d", n))
	}
	for n := range got.Stays {
		names = append(names, fmt.Sprintf("storm-stays-%d", n))
	}
	for _, name := range names {
		for _, line := range invented(calm, judged(t, r, name)) {
			t.Errorf("%s: %s", name, line)
		}
		facts := factsOf(t, r, name)
		some(t, name+": not seen", newly(unread(before), unread(facts)))
		sameMounts(t, name, before, facts)
	}
	if *full && !t.Failed() {
		proven.add(otherRows, "a storm is weathered", "the agent scans while mounts come and go on the host and in another mount namespace, and processes fork, run a program and end, as fast as the emulated machine can",
			"every scan ends in time and with exit 0; no mount is missing or made up; no finding changes to anything but unknown", repeat("TestHarmless/storm"))
	}
}

// sameMounts holds the mounts that a storm left seen against those in a calm: all
// of them are there, and no others but those of the storm.
func sameMounts(t *testing.T, name string, calm, storm node.Facts) {
	t.Helper()
	before, _, missing := node.Mounts.Of(calm)
	if missing != nil {
		t.Fatalf("the mounts in a calm: %s", missing.Reason)
	}
	after, _, missing := node.Mounts.Of(storm)
	if missing != nil {
		t.Logf("%s: the mounts are missing: %s", name, missing.Reason)
		return
	}
	key := func(m node.Mount) string { return fmt.Sprintf("%s layer %d %s %s", m.Path, m.Layer, m.Type, m.Root) }
	keys := func(all []node.Mount) (out []string) {
		for _, m := range all {
			if !strings.HasPrefix(m.Path, stormPlace) {
				out = append(out, key(m))
			}
		}
		return out
	}
	if lost := newly(keys(after), keys(before)); len(lost) > 0 {
		t.Errorf("%s: mounts that were there all the time are not seen: %q", name, lost)
	}
	if made := newly(keys(before), keys(after)); len(made) > 0 {
		t.Errorf("%s: mounts that never were: %q", name, made)
	}
}

func judgeFrozen(t *testing.T, r *Result) {
	got := decoded[Frozen](t, r, "frozen.json")
	t.Logf("a scan took %.1f s, two of an agent that stays %.1f s, it lived %.2f s after SIGKILL", got.Seconds, got.Stays, got.Killed)
	if !got.Hangs {
		t.Error("who looks into a frozen file system does not hang: this shows nothing")
	}
	for _, at := range frozenPlaces {
		if q := got.Asked[at]; len(q) > 0 {
			t.Errorf("the agent touched what is frozen at %s: %v", at, q)
		}
	}
	if got.Apart != "[]" {
		t.Errorf("the agent touched what is frozen in another mount namespace: %s", got.Apart)
	}
	if got.Seconds > oneScan.Seconds() || got.Stays > 2*oneScan.Seconds() {
		t.Errorf("the scans took %.1f s and %.1f s", got.Seconds, got.Stays)
	}
	some(t, "unknown", unknowns(judged(t, r, "frozen-calm"), judged(t, r, "frozen")))
	missed := newly(unread(factsOf(t, r, "frozen-calm")), unread(factsOf(t, r, "frozen")))
	some(t, "not seen", missed)
	for _, at := range frozenPlaces {
		if !slices.ContainsFunc(missed, func(s string) bool { return strings.Contains(s, at) }) {
			t.Errorf("nothing says that %s could not be seen", at)
		}
	}
	if *full && !t.Failed() {
		proven.add(otherRows, "frozen file systems are left alone", "FUSE file systems whose daemon never answers are mounted on "+strings.Join(frozenPlaces, ", ")+", and on "+frozenApart+" in the mount namespace of another host process",
			"nothing is asked of any of them; every scan ends in time and says what it could not see; the agent can be killed, the mounts can be unmounted", repeat("TestHarmless/frozen"))
	}
}

func judgeStuck(t *testing.T, r *Result) {
	got := decoded[Stuck](t, r, "stuck.json")
	t.Logf("what blocks a reader: %v; reports of an agent that stays %.1f s apart; it lived %.1f s after SIGTERM (%s), another %.2f s after SIGKILL",
		got.Blocks, got.Stays, got.Stopped, got.How, got.Killed)
	if !slices.Contains(got.Blocks, "cmdline") {
		t.Errorf("who reads the arguments does not hang: this shows nothing")
	}
	for i, u := range got.Usage {
		t.Logf("after scan %d: %d threads, %d descriptors, %d KiB", i+1, u.Threads, u.Files, u.RSS)
	}
	if u := got.Usage; u[len(u)-1].Threads > u[1].Threads+3 || u[len(u)-1].Files > u[1].Files {
		t.Errorf("threads or descriptors pile up behind what is stuck: %+v", u)
	}
	for _, s := range got.Stays {
		if s > oneScan.Seconds() {
			t.Errorf("a scan took %.1f s", s)
		}
	}
	if got.How != "exit status 0" || got.Stopped > 10 {
		t.Errorf("after SIGTERM the agent ended with %q after %.1f s", got.How, got.Stopped)
	}
	calm, before := judged(t, r, "stuck-calm"), factsOf(t, r, "stuck-calm")
	var names []string
	for n := range got.Stays {
		names = append(names, fmt.Sprintf("stuck-stays-%d", n))
	}
	for _, name := range names {
		after, facts := judged(t, r, name), factsOf(t, r, name)
		for _, line := range invented(calm, after) {
			t.Errorf("%s: %s", name, line)
		}
		if name != names[len(names)-1] && name != names[0] {
			continue
		}
		some(t, name+": unknown", unknowns(calm, after))
		missed := newly(unread(before), unread(facts))
		some(t, name+": not seen", missed)
		list, _, missing := node.Processes.Of(facts)
		if missing != nil || len(list) == 0 {
			t.Errorf("%s: one process that cannot be read hides all others: %v", name, missing)
		}
		if !slices.ContainsFunc(missed, func(s string) bool { return strings.Contains(s, "cmdline") }) {
			t.Errorf("%s: nothing says that arguments could not be read", name)
		}
	}
	if *full && !t.Failed() {
		proven.add(otherRows, "a process that cannot be read hides only itself", "host processes hold the lock of their memory for ever, so that who reads their arguments, environment or maps hangs",
			"every scan ends in time; what could not be read is said, the other processes are seen; threads stay flat; the agent ends when it is told, and can be killed", repeat("TestHarmless/stuck"))
	}
}

// TestTwins boots one image twice: all that is compared between the nodes of a
// fleet is equal.
func TestTwins(t *testing.T) {
	if !*full {
		t.Skip("left out of the short form: make lab runs it")
	}
	s, err := ShapeNamed(harmlessShape)
	if err != nil {
		t.Fatal(err)
	}
	b := builder(t, s.Series)
	defer os.RemoveAll(b.Dir)
	boot, err := b.Prepare(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var twins []node.Facts
	for _, name := range []string{"node-one", "another-node-4711"} {
		plan := Plan{Shape: s.Name, Node: name, Steps: []Step{{"report", "before"}}}
		r, err := b.Run(boot, plan, limit(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("guest %s: %s", name, r.Took.Round(100*time.Millisecond))
		twins = append(twins, factsOf(t, r, "before"))
	}
	compared := 0
	for _, src := range node.Sources() {
		i := src.Info()
		one, other := content(t, twins[0][i.Name]), content(t, twins[1][i.Name])
		switch {
		case i.Scope == node.Cohort:
			compared++
			if one != other {
				t.Errorf("%s differs between equal nodes:\n%s\n%s", i.Name, one, other)
			}
		case one != other:
			t.Logf("%s (%s) differs, as it may: %s", i.Name, i.Scope, difference(one, other))
		}
	}
	t.Logf("%d facts of the cohort are equal", compared)
	if compared < 30 {
		t.Errorf("only %d facts are compared", compared)
	}
	if !t.Failed() {
		proven.add(otherRows, "equal nodes have equal facts", "one image is booted twice, under two names", "every fact that is compared between nodes is equal, byte for byte", repeat("TestTwins"))
	}
}

// content is what a fact is addressed by.
func content(t *testing.T, f node.Fact) string {
	t.Helper()
	b, err := json.Marshal(struct {
		Value   any
		Missing *node.Missing
		Gaps    []node.Gap
	}{f.Value, f.Missing, f.Gaps})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// difference is where two texts begin to differ.
func difference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, i-40):min(len(s), i+60)] }
	return fmt.Sprintf("…%s… and …%s…", cut(a), cut(b))
}
