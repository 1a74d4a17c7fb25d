package peers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// weight is what one run of a program costs, all that it starts with it.
type weight struct {
	CPU    time.Duration // user and system
	Wall   time.Duration
	MaxRSS int // KiB, of its largest process
}

// weighed is a program that looks at this machine.
type weighed struct {
	name string
	args []string
	ok   []int // exit codes that say that it did its work
}

// BenchmarkBesideOthers runs Seaworthy, kube-bench and Lynis on this machine, in
// turns, so that what else runs here weighs on all alike, and prints the medians.
// `make peers` runs it.
func BenchmarkBesideOthers(b *testing.B) {
	dir := b.TempDir()
	programs := []weighed{
		{"seaworthy scan", []string{seaworthy(b, dir), "scan", "-o", "json"}, []int{0, 3, 4}},
		{"kube-bench, targets node", kubeBenchHere(b), []int{0}},
		{"lynis audit system", lynis(b, dir), nil},
	}
	if _, err := exec.LookPath("time"); err != nil {
		b.Skip("SKIPPED: GNU time is not installed (apt: time)")
	}
	all := make([][]weight, len(programs))
	for _, p := range programs { // fills the caches of the kernel
		p.run(b, dir)
	}
	for b.Loop() {
		for i, p := range programs {
			all[i] = append(all[i], p.run(b, dir))
		}
	}
	medians := make([]weight, len(programs))
	for i := range programs {
		medians[i] = weight{
			CPU:    median(all[i], func(w weight) time.Duration { return w.CPU }),
			Wall:   median(all[i], func(w weight) time.Duration { return w.Wall }),
			MaxRSS: median(all[i], func(w weight) int { return w.MaxRSS }),
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "medians of %d runs, in turns\n\n| program | user+sys | wall | max RSS | user+sys, ratio | wall, ratio | max RSS, ratio |\n|---|---|---|---|---|---|---|\n", len(all[0]))
	first := medians[0]
	for i, m := range medians {
		fmt.Fprintf(&table, "| %s | %.0f ms | %.0f ms | %.1f MiB | %.1f | %.1f | %.1f |\n", programs[i].name,
			m.CPU.Seconds()*1000, m.Wall.Seconds()*1000, float64(m.MaxRSS)/1024,
			m.CPU.Seconds()/first.CPU.Seconds(), m.Wall.Seconds()/first.Wall.Seconds(), float64(m.MaxRSS)/float64(first.MaxRSS))
	}
	b.Log(table.String())
}

func median[T cmp.Ordered](of []weight, by func(weight) T) T {
	values := make([]T, len(of))
	for i, w := range of {
		values[i] = by(w)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// run runs the program once. The kernel counts into the memory of a new process
// that of the one that started it: so it is time(1), which is small, that does.
func (p weighed) run(b *testing.B, dir string) weight {
	peak := filepath.Join(dir, "peak")
	cmd := exec.CommandContext(b.Context(), "time", append([]string{"-q", "-f", "%M", "-o", peak}, p.args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || p.ok != nil && !slices.Contains(p.ok, cmd.ProcessState.ExitCode()) {
		b.Fatalf("%s: %v\n%s", p.name, err, &stderr)
	}
	text, err := os.ReadFile(peak)
	if err != nil {
		b.Fatal(err)
	}
	rss, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.Fatalf("%s: time printed %q", p.name, text)
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return weight{time.Duration(used.Utime.Nano() + used.Stime.Nano()), wall, rss}
}

// seaworthy builds the program as the Makefile does.
func seaworthy(b *testing.B, dir string) string {
	out := filepath.Join(dir, "seaworthy")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-o", out, "../../cmd/seaworthy")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building seaworthy: %v\n%s", err, text)
	}
	return out
}

func kubeBenchHere(b *testing.B) []string {
	k, err := buildKubeBench()
	if errors.Is(err, errNoKubeBench) {
		b.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		b.Fatal(err)
	}
	return []string{k.program, "run", "--targets", "node", "--benchmark", kubeBenchBenchmark,
		"--config-dir", k.config, "--config", filepath.Join(k.config, "config.yaml"), "--json"}
}

// lynis keeps Lynis from fetching the lists of the package manager, which it does
// otherwise, and has it write its log and its report below dir. It still writes
// its process file to /run and temporary files to /tmp, and removes them.
func lynis(b *testing.B, dir string) []string {
	if _, err := exec.LookPath("lynis"); err != nil {
		b.Skip("SKIPPED: lynis is not installed (apt: lynis)")
	}
	profile := filepath.Join(dir, "lynis.prf")
	shipped, err := os.ReadFile("/etc/lynis/default.prf")
	if err != nil {
		b.Fatal(err)
	}
	quiet := bytes.Replace(shipped, []byte("\nrefresh-repositories=yes"), []byte("\nrefresh-repositories=no"), 1)
	if bytes.Equal(quiet, shipped) {
		b.Fatal("/etc/lynis/default.prf does not say refresh-repositories=yes: see how this version is kept from fetching")
	}
	if err := os.WriteFile(profile, quiet, 0o600); err != nil {
		b.Fatal(err)
	}
	return []string{"lynis", "audit", "system", "-Q", "--no-colors", "--profile", profile,
		"--logfile", filepath.Join(dir, "lynis.log"), "--report-file", filepath.Join(dir, "lynis-report.dat")}
}
