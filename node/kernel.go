package node

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// KernelState is the running kernel.
type KernelState struct {
	Release string `json:"release"` // /proc/sys/kernel/osrelease: "6.6.95-flatcar"
	Banner  string `json:"banner"`  // /proc/version: with compiler and build time; "" where it could not be read
	// Taints are the bits of /proc/sys/kernel/tainted by letter and name; nil
	// where it could not be read.
	// Source: the kernel's Documentation/admin-guide/tainted-kernels.rst.
	Taints []Taint `json:"taints"`
	// Modules are the loaded modules by name, sorted; empty for a kernel without
	// modules, nil where they could not be read. Source: /proc/modules.
	Modules []Module `json:"modules"`
	// SigEnforce is "on" (unsigned modules are refused), "off", "absent" where
	// the kernel has no module signatures, or "" where it could not be read.
	// Source: /sys/module/module/parameters/sig_enforce.
	SigEnforce string `json:"sigEnforce"`
}

// Taint is one bit that taints the kernel.
type Taint struct {
	Letter string `json:"letter"` // "O"; "?" for a bit that this program does not know
	Name   string `json:"name"`   // "out-of-tree module"
	Bit    int    `json:"bit"`
}

// Module is one loaded kernel module.
type Module struct {
	Name  string `json:"name"`
	Taint string `json:"taint,omitempty"` // its letters: "OE"
}

// Kernel is the running kernel. It is missing where its release cannot be read.
var Kernel = Source[KernelState]{
	Name:  "kernel",
	Doc:   "the running kernel, its taint and its modules",
	Scope: Cohort,
	Every: Scan,
	Read:  readKernel,
}

func readKernel(_ context.Context, h *Host) (KernelState, []Gap, error) {
	var v KernelState
	var gaps []Gap
	gap := func(part, what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err).In(part))
		}
	}
	var err error
	if v.Release, err = readLine(h, "proc/sys/kernel/osrelease"); err != nil {
		return v, nil, err
	}
	if v.Release == "" || !utf8.ValidString(v.Release) || strings.ContainsAny(v.Release, " \t\n") {
		return v, nil, fmt.Errorf("reading /proc/sys/kernel/osrelease: %.200q is no release", v.Release)
	}
	v.Banner, err = readLine(h, "proc/version")
	gap("banner", "the kernel's banner", err)

	line, err := readLine(h, "proc/sys/kernel/tainted")
	if err == nil {
		if v.Taints, err = parseTaint(line); err != nil {
			err = fmt.Errorf("reading /proc/sys/kernel/tainted: %w", err)
		}
	}
	gap("taints", "the kernel's taint", err)

	v.Modules, err = readModules(h)
	gap("modules", "the loaded modules", err)
	v.SigEnforce, err = kernelState(h, "sys/module/module/parameters/sig_enforce", "sys/module",
		map[string]string{"Y": "on", "N": "off"})
	gap("sigEnforce", "module signature enforcement", err)
	return v, gaps, nil
}

// taintBits are the bits of the taint mask in order. Source: the kernel's
// Documentation/admin-guide/tainted-kernels.rst and, for the letters,
// kernel/panic.c.
var taintBits = []Taint{
	{"P", "proprietary module", 0},
	{"F", "module loaded by force", 1},
	{"S", "kernel runs on a system out of its specification", 2},
	{"R", "module unloaded by force", 3},
	{"M", "machine check exception", 4},
	{"B", "bad page", 5},
	{"U", "asked for by a program", 6},
	{"D", "oops or bug", 7},
	{"A", "ACPI table overridden", 8},
	{"W", "warning", 9},
	{"C", "staging driver", 10},
	{"I", "workaround for a bug in the firmware", 11},
	{"O", "out-of-tree module", 12},
	{"E", "unsigned module", 13},
	{"L", "soft lockup", 14},
	{"K", "live patch", 15},
	{"X", "auxiliary, set by the distribution", 16},
	{"T", "structure randomization", 17},
	{"N", "in-kernel test", 18},
	{"J", "mutating debug operation of firmware control", 19},
}

// parseTaint parses the decimal bit mask of /proc/sys/kernel/tainted.
func parseTaint(line string) ([]Taint, error) {
	mask, err := strconv.ParseUint(line, 10, 64)
	if err != nil || strconv.FormatUint(mask, 10) != line {
		return nil, fmt.Errorf("taint %.100q is not a number", line)
	}
	taints := []Taint{}
	for bit := range 64 {
		switch {
		case mask&(1<<bit) == 0:
		case bit < len(taintBits):
			taints = append(taints, taintBits[bit])
		default:
			taints = append(taints, Taint{"?", fmt.Sprintf("bit %d, unknown to this program", bit), bit})
		}
	}
	return taints, nil
}

func readModules(h *Host) ([]Module, error) {
	b, err := h.readOnce("proc/modules", 1<<20, nil)
	if IsAbsent(err) { // a kernel built without modules has no such file
		if _, err := h.Stat("proc/sys"); err != nil {
			return nil, err
		}
		return []Module{}, nil
	}
	if err != nil {
		return nil, err
	}
	modules, err := parseModules(b)
	if err != nil {
		return nil, fmt.Errorf("reading /proc/modules: %w", err)
	}
	return modules, nil
}

// parseModules parses /proc/modules: name, size, use count and users ("-" in a
// kernel that cannot unload), state, address, and taint letters in parentheses,
// with a plus or minus for a module that is coming or going. Source: proc(5)
// and the kernel's kernel/module/procfs.c.
func parseModules(b []byte) ([]Module, error) {
	modules := []Module{}
	seen := map[string]bool{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text, whole := strings.CutSuffix(string(line), "\n")
		m, err := parseModule(text)
		switch {
		case err != nil:
		case !whole:
			err = fmt.Errorf("cut: no newline at its end")
		case seen[m.Name]:
			err = fmt.Errorf("%s stands twice", m.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("module line %d %.200q: %w", n, text, err)
		}
		seen[m.Name] = true
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	return modules, nil
}

func parseModule(line string) (Module, error) {
	f := strings.Split(line, " ")
	if len(f) == 7 && f[6] == "" { // the kernel leaves a blank where the taint would be in some versions
		f = f[:6]
	}
	if len(f) != 6 && len(f) != 7 {
		return Module{}, fmt.Errorf("%d fields, want 6 or 7", len(f))
	}
	m := Module{Name: f[0]}
	if m.Name == "" || strings.ContainsFunc(m.Name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return m, fmt.Errorf("%q is no name", f[0])
	}
	if _, err := number(f[1]); err != nil {
		return m, fmt.Errorf("size: %w", err)
	}
	if f[2] != "-" {
		if _, err := strconv.ParseInt(f[2], 10, 32); err != nil {
			return m, fmt.Errorf("use count %q is not a number", f[2])
		}
	}
	if f[3] == "" {
		return m, fmt.Errorf("no users")
	}
	if !slices.Contains([]string{"Live", "Loading", "Unloading"}, f[4]) {
		return m, fmt.Errorf("state %q is none of Live, Loading, Unloading", f[4])
	}
	if _, err := strconv.ParseUint(f[5], 0, 64); err != nil || !strings.HasPrefix(f[5], "0x") {
		return m, fmt.Errorf("address %q is not a number", f[5])
	}
	if len(f) == 6 {
		return m, nil
	}
	letters, open := strings.CutPrefix(f[6], "(")
	letters, closed := strings.CutSuffix(letters, ")")
	letters = strings.TrimRight(letters, "+-")
	if !open || !closed || strings.Trim(letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ?") != "" {
		return m, fmt.Errorf("taint %q is not letters in parentheses", f[6])
	}
	m.Taint = letters
	return m, nil
}
