package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// SessionState is who is on the host now, and by what.
type SessionState struct {
	// Logind says whether systemd-logind keeps a list: "yes", or "absent".
	Logind string `json:"logind"`
	// Sessions are those of logind that belong to people. Sorted.
	Sessions []Session `json:"sessions"`
	// Logins are users that utmp(5) has logged in, with a process that still runs.
	Logins []Login `json:"logins"`
	// Shells are interactive shells in the host's own file system. Sorted.
	Shells []Shell `json:"shells"`
	// DebugPods are pods of this node as `kubectl debug node/NAME` makes them. Sorted.
	DebugPods []DebugPod `json:"debugPods"`
	// Toolboxes are root file systems of a toolbox that run, or that were left.
	Toolboxes []Toolbox `json:"toolboxes"`
	// HostContainers are Bottlerocket's host containers that run: "admin", "control".
	HostContainers []string `json:"hostContainers"`
}

// Session is a session of systemd-logind: /run/systemd/sessions.
type Session struct {
	User    string `json:"user"`
	Type    string `json:"type"`    // "tty", "unspecified", …
	Service string `json:"service"` // what logged it in: "sshd", "login"
	Remote  string `json:"remote"`  // "yes", "no"
}

// Login is an entry of utmp(5).
type Login struct {
	User string `json:"user"`
	Line string `json:"line"` // "pts", "tty1"
}

// Shell is an interactive shell outside containers.
type Shell struct {
	Program string `json:"program"`
	Unit    string `json:"unit"` // the cgroup that it runs in
	// Terminal says whether it has one: "yes", "no", "unknown".
	Terminal string `json:"terminal"`
}

// DebugPod is a pod that was made to debug the node.
type DebugPod struct {
	Pod     string `json:"pod"`     // "namespace/name"
	Running bool   `json:"running"` // a process of it runs
}

// Toolbox is a root file system that somebody administers the host from.
type Toolbox struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "machine" (registered with systemd-machined: it runs), "podman" (it runs), "left" (its files are there)
}

// Sessions are who is on the host now. No host name, address or time is kept.
var Sessions = Source[SessionState]{
	Name:  "sessions",
	Doc:   "who is logged in, shells on the host, and containers that people administer it from",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (SessionState, []Gap, error) {
		v := SessionState{Sessions: []Session{}, Logins: []Login{}, Shells: []Shell{}, DebugPods: []DebugPod{}, Toolboxes: []Toolbox{}, HostContainers: []string{}}
		t, err := h.gathering.processes()
		if err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, g := range t.gaps {
			if !strings.HasPrefix(g.What, "arguments") {
				gaps = append(gaps, g)
			}
		}
		note := func(part, what string, err error) {
			if err != nil {
				gaps = append(gaps, GapOf(what, err).In(part))
			}
		}
		v.Logind, v.Sessions, err = readSessions(h)
		note("sessions", "the sessions of systemd-logind", err)
		v.Logins, err = readLogins(h, t)
		note("logins", "the logins of /run/utmp", err)

		terminals := tally{what: "terminals of shells"}
		v.Shells = t.shells(h, &terminals)
		for _, g := range terminals.gaps() {
			gaps = append(gaps, g.In("shells"))
		}
		v.DebugPods, err = t.debugPods(h)
		note("debugPods", "names of pods", err)
		v.Toolboxes, err = t.toolboxes(h)
		note("toolboxes", "the toolboxes", err)
		v.HostContainers = t.hostContainers()
		return v, gaps, nil
	},
}

const sessionFolder = "run/systemd/sessions"

func readSessions(h *Host) (logind string, out []Session, err error) {
	out = []Session{}
	list, err := h.ReadDir(sessionFolder, maxUnits)
	if IsAbsent(err) {
		if _, err := h.Lstat("run"); err != nil {
			return "", out, err
		}
		return "absent", out, nil
	}
	if err != nil {
		return "", out, err
	}
	for _, e := range list {
		if e.Type != Regular || strings.HasPrefix(e.Name, ".") { // 4.ref is a FIFO, .#4 is being written
			continue
		}
		name := sessionFolder + "/" + e.Name
		b, err := h.ReadSecret(name, 64<<10, redactSession)
		if IsAbsent(err) {
			continue // logged out meanwhile
		}
		if err != nil {
			return "yes", out, err
		}
		s, person, err := parseSession(b)
		if err != nil {
			return "yes", out, &Error{"reading", sessionFolder + "/<session>", Malformed, err.Error()}
		}
		if person {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareSessions)
	return "yes", slices.Compact(out), nil
}

func compareSessions(a, b Session) int {
	return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Service, b.Service), strings.Compare(a.Type, b.Type), strings.Compare(a.Remote, b.Remote))
}

var sessionKeys = []string{"USER", "TYPE", "CLASS", "STATE", "REMOTE", "SERVICE"}

// redactSession leaves what is a fact: names of hosts, addresses, times and
// process numbers stay on the node.
func redactSession(b []byte) []byte {
	return redactLines(b, func(line string) string {
		key, _, ok := strings.Cut(line, "=")
		if !ok || !slices.Contains(sessionKeys, key) {
			return ""
		}
		return line
	})
}

// parseSession parses a file of /run/systemd/sessions after redactSession.
// Sessions of cron and of the user's own manager are no people's, and one that
// is closing has nobody in it any more.
// Source: systemd's src/login/logind-session.c, session_save; sd_session_get_class(3).
func parseSession(b []byte) (s Session, person bool, err error) {
	v := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if _, twice := v[key]; !ok || twice || !slices.Contains(sessionKeys, key) {
			return s, false, fmt.Errorf("session line %.100q: no key, or one that stands twice", line)
		}
		v[key] = value
	}
	if v["USER"] == "" {
		return s, false, fmt.Errorf("the session names no user")
	}
	s = Session{User: quoteName(v["USER"]), Type: quoteName(v["TYPE"]), Service: quoteName(v["SERVICE"]), Remote: "no"}
	if v["REMOTE"] == "1" {
		s.Remote = "yes"
	}
	class := v["CLASS"]
	person = (class == "" || strings.HasPrefix(class, "user")) && v["STATE"] != "closing"
	return s, person, nil
}

// shellPrograms are what people type into.
var shellPrograms = []string{"ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "zsh"}

// shells are shells that run no script. Below kubepods one is a pod's that has
// entered the host's mount namespace, as nsenter and chroot /host do.
func (t *processTable) shells(h *Host, unread *tally) []Shell {
	out := []Shell{}
	left := 256
	for p := range t.hostProcesses() {
		name := path.Base(p.exe)
		if interpreter(p.exe) == "busybox" {
			name = p.comm // the applet
		}
		if !slices.Contains(shellPrograms, name) || scriptOf(p.args) != "" {
			continue
		}
		s := Shell{Program: quoteName(p.exe), Unit: p.unit, Terminal: "unknown"}
		unread.of++
		if left--; left < 0 {
			unread.add(p.pid, &Error{"reading", "/proc/<pid>/stat", TooLarge, "stopped after 256 shells"})
			break
		}
		b, err := h.ReadFile(p.dir+"/stat", 4096)
		if vanished(err) {
			continue
		}
		terminal := false
		if err == nil {
			terminal, err = parseTerminal(b)
		}
		switch {
		case err != nil:
			unread.add(p.pid, err)
		case terminal:
			s.Terminal = "yes"
		default:
			s.Terminal = "no"
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Shell) int {
		return cmp.Or(strings.Compare(a.Program, b.Program), strings.Compare(a.Unit, b.Unit), strings.Compare(a.Terminal, b.Terminal))
	})
	return slices.Compact(out)
}

// parseTerminal reports whether the process has a controlling terminal: field 7,
// tty_nr, of proc_pid_stat(5). The name in field 2 may hold blanks and parentheses.
func parseTerminal(b []byte) (bool, error) {
	text := string(b)
	i := strings.LastIndexByte(text, ')')
	f := strings.Fields(text[i+1:])
	if i < 0 || len(f) < 5 {
		return false, fmt.Errorf("stat %.100q has no field tty_nr", text)
	}
	number := strings.TrimPrefix(f[4], "-")
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return false, fmt.Errorf("stat: tty_nr %.40q is no number", f[4])
	}
	return f[4] != "0", nil
}

// debugPods are pods as kubectl names them that it makes to debug a node. The
// folder of their logs is there as long as the pod is.
// Source: k8s.io/kubectl pkg/cmd/debug, generateNodeDebugPod.
func (t *processTable) debugPods(h *Host) ([]DebugPod, error) {
	out := []DebugPod{}
	names, err := podNames(h)
	for uid, name := range names {
		if !strings.HasPrefix(path.Base(name), "node-debugger-") {
			continue
		}
		running := slices.ContainsFunc(t.processes, func(p process) bool {
			return p.pod == uid || strings.Contains(p.cgroup, uid) || strings.Contains(p.cgroup, strings.ReplaceAll(uid, "-", "_"))
		})
		out = append(out, DebugPod{quoteName(name), running})
	}
	slices.SortFunc(out, func(a, b DebugPod) int { return strings.Compare(a.Pod, b.Pod) })
	return out, err
}

// toolboxes are the containers of toolbox(1): on Flatcar, COS and others one of
// systemd-nspawn(1) with its files in /var/lib/toolbox, elsewhere one of podman.
func (t *processTable) toolboxes(h *Host) ([]Toolbox, error) {
	out := []Toolbox{}
	add := func(dir, kind string, keep func(string) bool) error {
		list, err := h.ReadDir(dir, maxUnits)
		if IsAbsent(err) {
			return nil
		}
		for _, e := range list {
			if keep(e.Name) {
				out = append(out, Toolbox{quoteName(e.Name), kind})
			}
		}
		return err
	}
	err := cmp.Or(
		// Beside each machine there is a link from its unit, "unit:machine-x.scope".
		add("run/systemd/machines", "machine", func(name string) bool { return !strings.Contains(name, ":") && !strings.HasPrefix(name, ".") }),
		add("var/lib/toolbox", "left", func(string) bool { return true }),
	)
	for _, p := range t.processes {
		if p.container != "" && p.comm == "toolbox" {
			out = append(out, Toolbox{"toolbox", "podman"})
		}
	}
	slices.SortFunc(out, func(a, b Toolbox) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(out), err
}

var hostContainerUnit = regexp.MustCompile(`/host-containers@([^/@]+)\.service(/|$)`)

// hostContainers are the names of Bottlerocket's host containers, by the unit of
// what starts them and by the cgroup of what runs in them.
// Source: bottlerocket-core-kit packages/release/host-containers@.service,
// sources/host-ctr.
func (t *processTable) hostContainers() []string {
	out := []string{}
	for i := range t.processes {
		p := &t.processes[i]
		if strings.Contains(p.cgroup, "/host-containers@") { // few have; matching all would cost
			if m := hostContainerUnit.FindStringSubmatch(p.cgroup); m != nil {
				out = append(out, quoteName(m[1]))
			}
			continue
		}
		rest, inside := strings.CutPrefix(p.cgroup, "/default/")
		if name, _, _ := strings.Cut(rest, "/"); inside && name != "" && p.container == name {
			out = append(out, quoteName(name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
