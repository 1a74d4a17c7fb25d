package node

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// processTable is every process of the node as far as /proc shows it, read once
// a gathering and shared by the sources that need it.
type processTable struct {
	processes []process // by pid; kernel threads left out
	// gaps say what could not be read of host processes. A process that vanished
	// between listing and reading is none.
	gaps []Gap
	// namespaces are the mount namespaces of all processes.
	namespaces *mountNamespaces
}

// process is one process of the node. Its pid never becomes part of a fact.
type process struct {
	pid int
	// dir is where it is read from: proc/<pid>, or proc/<pid>/task/<tid> where
	// the first thread has ended and others go on.
	dir  string
	comm string // proc_pid_comm(5)
	// exe is the executable's path in the process's own mount namespace without
	// " (deleted)"; "" where it could not be read, and then exeErr says why.
	exe     string
	deleted bool
	exeErr  error
	// args are the redacted arguments (see argsRedactor), read for interpreters
	// and kubelets only; nil for others.
	args []string
	placement
	// mntns is the text of the namespace link ("mnt:[4026531841]"), "" where it
	// could not be read.
	mntns string
	// uid, gid and groups are the effective ones, uids and gids those and what it
	// may take back (real and saved): proc_pid_status(5).
	uid, gid   uint32
	uids, gids []uint32
	groups     []uint32
	rss        int64 // resident memory in bytes
	confinement
}

// placement is what the cgroups of a process say of it. The processes of a
// container or service have the same.
type placement struct {
	// cgroup is the path that tells services apart: that of version 2, else of
	// the name=systemd or the longest version 1 hierarchy.
	cgroup string
	// unit is cgroup without what differs between equal nodes, of host processes.
	unit string
	// outside marks a cgroup that is outside the reader's cgroup namespace.
	outside bool
	// container is the identifier of the container that the process is in, ""
	// for a host process; pod is the uid of its pod, where the cgroup names one.
	container, pod string
}

func placementIn(lines []cgroupLine) placement {
	p := placement{
		cgroup: serviceIn(lines), container: containerIn(lines), pod: podIn(lines),
		outside: slices.ContainsFunc(lines, cgroupLine.outside),
	}
	if p.container == "" {
		p.unit = stableUnit(p.cgroup)
	}
	return p
}

const (
	maxProcesses = 1 << 18 // names in /proc
	maxStatus    = 1 << 20 // a status can hold 65,536 groups
	maxCgroup    = 1 << 16
	maxArgs      = 4 << 20 // arguments are at most a quarter of the stack's limit
)

// hostProcesses are those outside containers.
func (t *processTable) hostProcesses() iter.Seq[*process] {
	return func(yield func(*process) bool) {
		for i := range t.processes {
			if p := &t.processes[i]; p.container == "" && !yield(p) {
				return
			}
		}
	}
}

// name is the executable, or the command's name where that could not be read.
func (p process) name() string {
	if p.exe != "" {
		return quoteName(p.exe)
	}
	return quoteName(p.comm)
}

// readProcesses reads every process. It needs CAP_SYS_PTRACE for the
// executables and namespaces of other users' processes.
func readProcesses(h *Host) (*processTable, error) {
	names, err := h.ReadDir("proc", maxProcesses)
	if err != nil {
		return nil, err
	}
	t := &processTable{namespaces: newMountNamespaces(h)}
	statuses := tally{what: "processes"}
	exes := tally{what: "executables of host processes"}
	placements := map[string]placement{}
	for _, n := range names {
		pid, err := number(n.Name)
		if err != nil || pid == 0 {
			continue
		}
		statuses.of++
		p, err := readProcess(h, pid, placements)
		if err != nil {
			statuses.add(pid, err)
		} else if p != nil {
			t.processes = append(t.processes, *p)
		}
	}
	slices.SortFunc(t.processes, func(a, b process) int { return a.pid - b.pid })
	if statuses.of == 0 {
		return nil, &Error{"listing", "/proc", Absent, "it holds no process"}
	}
	if _, found := t.byPID(1); !found && statuses.count == 0 {
		if len(t.processes) == 0 {
			return nil, &Error{"reading", "/proc/1/status", Absent, ""}
		}
		// A /proc that is mounted with hidepid=2 shows other users' processes not
		// even by name. Process 1 never ends; where it is not there, what is
		// listed is not all.
		statuses.add(1, &Error{"listing", "/proc", Denied, "process 1 is not shown, so others may be hidden too: hidepid in proc(5)"})
		statuses.of = 0
	}
	own := t.cgroupsOutside()
	containers := tally{what: "mounts of processes in the cgroups of containers"}
	for i := range t.processes {
		p := &t.processes[i]
		if p.container == "" && own && !p.outside {
			p.container = "self"
		}
		t.namespaces.add(p)
	}
	t.namespaces.load(h)
	for i := range t.processes {
		t.classify(&t.processes[i], &containers)
	}
	arguments := tally{what: "arguments of interpreters and kubelets"}
	for i := range t.processes {
		p := &t.processes[i]
		if p.container == "" {
			exes.of++
			if p.exeErr != nil {
				exes.add(p.pid, p.exeErr)
			}
		}
		if p.container == "" || isKubelet(p.exe) {
			p.readArgs(h, &arguments)
		}
	}
	for _, c := range []*tally{&statuses, &exes, &containers, &arguments} {
		t.gaps = append(t.gaps, c.gaps()...)
	}
	return t, nil
}

func (t *processTable) byPID(pid int) (p *process, found bool) {
	i, found := slices.BinarySearchFunc(t.processes, pid, func(p process, pid int) int { return p.pid - pid })
	if !found {
		return nil, false
	}
	return &t.processes[i], true
}

// cgroupsOutside reports whether process 1 is outside the reader's cgroup
// namespace. Paths are then relative to the reader's own cgroup: "/" is the
// container that this program runs in, "/../../system.slice/sshd.service" a
// service of the host. Source: cgroup_namespaces(7).
func (t *processTable) cgroupsOutside() bool {
	p, found := t.byPID(1)
	return found && p.outside
}

// readProcess reads what stands in few, cheap files. It is nil for a kernel
// thread, for a process that has ended, and for one that vanished. It keeps in
// placements what it parsed, by the text.
func readProcess(h *Host, pid int, placements map[string]placement) (*process, error) {
	dir := "proc/" + strconv.Itoa(pid)
	s, err := readStatus(h, dir)
	if vanished(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if s.kthread {
		return nil, nil
	}
	if !s.memory {
		// Without memory nothing of it runs: a kernel thread (before the field
		// Kthread), or a process that has ended. But where only the first thread
		// has ended, the others run on, and what they are stands under task.
		if s.threads < 2 {
			return nil, nil
		}
		if dir, err = livingThread(h, dir, pid); err != nil || dir == "" {
			return nil, err
		}
	}
	p := &process{pid: pid, dir: dir, comm: s.comm, uid: s.uids[0], gid: s.gids[0], uids: s.uids, gids: s.gids, groups: s.groups, rss: s.rss, confinement: s.confinement}

	b, err := h.ReadFile(dir+"/cgroup", maxCgroup)
	switch {
	case err == nil:
		known := false
		if p.placement, known = placements[string(b)]; known {
			break
		}
		lines, err := parseCgroup(b)
		if err != nil {
			return nil, &Error{"reading", "/" + dir + "/cgroup", Malformed, err.Error()}
		}
		p.placement = placementIn(lines)
		placements[string(b)] = p.placement
	case !vanished(err): // absent also in a kernel without cgroups
		return nil, err
	}
	p.mntns, err = h.ReadLink(dir + "/ns/mnt")
	if err != nil {
		p.mntns = ""
	}
	link, err := h.ReadLink(dir + "/exe")
	switch {
	case err == nil:
		p.exe, p.deleted = strings.CutSuffix(link, " (deleted)")
	case vanished(err):
		if ended(h, dir) {
			return nil, nil
		}
		p.exeErr = &Error{"reading link", "/" + dir + "/exe", Failed, "the process runs and has no executable"}
	default:
		p.exeErr = err
	}
	return p, nil
}

func readStatus(h *Host, dir string) (procStatus, error) {
	b, err := h.ReadFile(dir+"/status", maxStatus)
	if err != nil {
		return procStatus{}, err
	}
	s, err := parseStatus(b)
	if err != nil {
		return s, &Error{"reading", "/" + dir + "/status", Malformed, err.Error()}
	}
	return s, nil
}

// livingThread is the directory of a thread of the process that still runs.
func livingThread(h *Host, dir string, pid int) (string, error) {
	tasks, err := h.ReadDir(dir+"/task", maxProcesses)
	if vanished(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	for _, task := range tasks {
		if task.Name == strconv.Itoa(pid) {
			continue
		}
		at := dir + "/task/" + task.Name
		if s, err := readStatus(h, at); err == nil && s.memory {
			return at, nil
		}
	}
	return "", nil
}

// classify takes a process out of its container again where its mounts show
// that it is none of a container's.
//
// Root on the host can move any process into a cgroup that looks like a pod's,
// and would so hide it from what is said of host processes. A container has a
// root file system of its own; so a process in a container's cgroup is a host
// process when "/" in its mount namespace is what "/" is for process 1,
// whether the namespace is process 1's or a copy of it (unshare -m). Where
// neither the namespace nor its mounts can be read, the process counts as the
// container's that its cgroup names, and a gap says that this is not proven.
// Who builds a root file system and cgroup as an engine does, without one, is
// not told apart from a container here.
func (t *processTable) classify(p *process, unproven *tally) {
	if p.container == "" {
		return
	}
	unproven.of++
	host, err := t.namespaces.rootIsHosts(p)
	switch {
	case host:
		p.container, p.pod, p.unit = "", "", stableUnit(p.cgroup)
	case vanished(err): // it ended meanwhile
	case err != nil:
		unproven.add(p.pid, err)
	}
}

func (p *process) readArgs(h *Host, unread *tally) {
	redact := argsRedactor(p.exe)
	if redact == nil {
		return
	}
	unread.of++
	b, err := h.readMemory(p, "cmdline", func(name string) ([]byte, error) { return h.ReadSecret(name, maxArgs, redact) })
	switch {
	case err == nil && len(b) > 0:
		p.args = splitArgs(b)
	case err != nil && !vanished(err):
		unread.add(p.pid, err)
	}
}

// vanished reports whether err says that the process is no more. ESRCH, which a
// file of it answers that had been opened before, is absence too.
func vanished(err error) bool { return IsAbsent(err) }

// ended reports whether nothing of the process runs any more: it vanished, or
// its parent has not yet asked how it ended.
func ended(h *Host, dir string) bool {
	s, err := readStatus(h, dir)
	return vanished(err) || err == nil && !s.memory
}

// tally counts what could not be read of many alike things, for one gap.
type tally struct {
	what      string
	code      Code
	reason    string
	count, of int
}

// add counts err; the reason that a gap quotes is the first, without the pid.
func (t *tally) add(pid int, err error) {
	if t.count++; t.count > 1 {
		return
	}
	t.code = codeOf(err)
	t.reason = strings.ReplaceAll(err.Error(), "/proc/"+strconv.Itoa(pid)+"/", "/proc/<pid>/")
}

func (t *tally) gaps() []Gap {
	if t.count == 0 {
		return nil
	}
	count, of := rough(t.count, false), rough(t.of, true)
	if t.count >= t.of && t.of > 0 {
		of = count
	}
	return []Gap{{What: t.what, Code: t.code, Reason: t.reason, Count: count, Of: of}}
}

// rough is n where it has one digit, else the next number below or above that has
// but one digit beside zeros.
func rough(n int, up bool) int {
	unit := 1
	for n/unit >= 10 {
		unit *= 10
	}
	if up && n%unit > 0 {
		n += unit
	}
	return n - n%unit
}
