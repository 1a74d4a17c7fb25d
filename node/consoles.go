package node

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
)

// Console is a unit that gives a console to whoever is at it.
type Console struct {
	Unit string `json:"unit"` // "serial-getty@ttyS0.service"
	// Kind is "autologin" (a user is logged in without being asked), "shell" (the
	// unit starts a shell) or "debug-shell" (that unit is started at boot).
	Kind string `json:"kind"`
	User string `json:"user,omitempty"` // of "autologin"
	File string `json:"file"`           // what says so
	// Active marks one that has an effect: a drop-in of a unit, or one that is
	// enabled. A unit that waits to be started is not.
	Active bool `json:"active"`
}

// ConsoleFolders are where units of consoles and their drop-ins are: those of
// [UnitFolders] and of generators. Without leading slash.
var ConsoleFolders = slices.Concat(UnitFolders, []string{"run/systemd/generator.early", "run/systemd/generator", "run/systemd/generator.late"})

// Consoles are units that hand out a console without asking who is there. What
// the kernel command line adds is in the fact boot.
var Consoles = Source[[]Console]{
	Name:  "consoles",
	Doc:   "units that log somebody in, or start a shell, on a console without asking",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) ([]Console, []Gap, error) {
		out := []Console{}
		var gaps []Gap
		if _, err := h.Lstat("."); err != nil {
			return nil, nil, err
		}
		note := func(name string, err error) {
			if err != nil && !IsAbsent(err) {
				gaps = append(gaps, GapOf("/"+name, err))
			}
		}
		left := maxConsoleFiles
		for _, dir := range ConsoleFolders {
			names, err := h.ReadDir(dir, maxUnits)
			note(dir, err)
			for _, e := range names {
				name := dir + "/" + e.Name
				unit, dropIns := strings.CutSuffix(e.Name, ".d")
				_, isWants := strings.CutSuffix(e.Name, ".wants")
				switch {
				case isWants:
					list, err := h.ReadDir(name, maxUnits)
					note(name, err)
					for _, l := range list {
						if l.Name == debugShell {
							masked, err := unitMasked(h, debugShell)
							note(name+"/"+l.Name, err)
							out = append(out, Console{debugShell, "debug-shell", "", "/" + name + "/" + l.Name, !masked})
						}
					}
				case !isConsole(unit):
				case dropIns:
					list, err := h.ReadDir(name, maxUnits)
					note(name, err)
					for _, l := range list {
						if path.Ext(l.Name) == ".conf" {
							found, err := readConsole(h, name+"/"+l.Name, unit, &left)
							note(name+"/"+l.Name, err)
							out = append(out, found...)
						}
					}
				case unit != debugShell:
					found, err := readConsole(h, name, unit, &left)
					note(name, err)
					out = append(out, found...)
				}
			}
		}
		slices.SortFunc(out, func(a, b Console) int {
			return cmp.Or(strings.Compare(a.Unit, b.Unit), strings.Compare(a.File, b.File), strings.Compare(a.Kind, b.Kind), strings.Compare(a.User, b.User))
		})
		return slices.Compact(out), gaps, nil
	},
}

const (
	debugShell      = "debug-shell.service"
	maxConsoleFiles = 200
)

// isConsole reports whether the unit is one of a console: systemd.special(7),
// systemd-getty-generator(8).
func isConsole(unit string) bool {
	name, service := strings.CutSuffix(unit, ".service")
	name, _, _ = strings.Cut(name, "@")
	return service && slices.Contains([]string{"getty", "serial-getty", "console-getty", "container-getty", "autovt", "debug-shell"}, name)
}

func readConsole(h *Host, name, unit string, left *int) ([]Console, error) {
	info, err := h.Lstat(name)
	if err != nil {
		return nil, err
	}
	if info.Type == Symlink {
		if to, err := h.ReadLink(name); err != nil || to == "/dev/null" {
			return nil, err
		}
	}
	if *left--; *left < 0 {
		return nil, &Error{"reading", "/" + name, TooLarge, "stopped after 200 files"}
	}
	b, err := h.ReadSecret(name, 1<<20, redactUnitStart)
	if err != nil {
		return nil, err
	}
	var out []Console
	for _, c := range parseUnitStart(b) {
		out = append(out, Console{unit, c.kind, c.user, "/" + name, true})
	}
	return out, nil
}

// redactUnitStart leaves of a unit its ExecStart lines, and of these the program
// and whom it logs in.
func redactUnitStart(b []byte) []byte {
	text := strings.ReplaceAll(string(b), "\\\n", " ")
	return redactLines([]byte(text), func(line string) string {
		value, ok := assigned(line, "ExecStart")
		if !ok {
			return ""
		}
		f := strings.Fields(value)
		if len(f) == 0 {
			return "ExecStart="
		}
		// A backslash at the end would join the next line when this is read again.
		program := cmp.Or(strings.TrimRight(strings.TrimLeft(f[0], "-@:+!|"), `\`), "unnamed")
		user, ok := autologin(f[1:])
		if user = strings.TrimRight(user, `\`); !ok || user == "" {
			return "ExecStart=" + program
		}
		return "ExecStart=" + program + " --autologin " + user
	})
}

// autologin is the user of agetty(8)'s option --autologin, or -a.
func autologin(args []string) (user string, ok bool) {
	for i, a := range args {
		a = strings.Trim(a, `"'`)
		if user, ok := strings.CutPrefix(a, "--autologin="); ok && user != "" {
			return user, true
		}
		if user, ok := strings.CutPrefix(a, "-a"); ok && user != "" && a[1] != '-' {
			return user, true
		}
		if (a == "--autologin" || a == "-a") && i+1 < len(args) {
			return strings.Trim(args[i+1], `"'`), true
		}
	}
	return "", false
}

type consoleStart struct{ kind, user string }

// parseUnitStart reads what a unit starts, after redactUnitStart. An empty
// ExecStart takes those before it away: systemd.service(5).
func parseUnitStart(b []byte) []consoleStart {
	var out []consoleStart
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "ExecStart="))
		if len(f) == 0 {
			out = nil
			continue
		}
		user, auto := autologin(f[1:])
		switch {
		case auto:
			out = append(out, consoleStart{"autologin", quoteName(user)})
		case interpreter(f[0]) == "sh":
			out = append(out, consoleStart{"shell", ""})
		}
	}
	return out
}
