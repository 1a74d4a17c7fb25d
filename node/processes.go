package node

import (
	"cmp"
	"context"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Program is something that runs on the host, outside containers, by what it is
// and where it is, not by process. Kernel threads are left out.
type Program struct {
	// Path is the executable as the kernel names it in the process's own mount
	// namespace (proc_pid_exe(5)), without " (deleted)". A path that is not UTF-8
	// is quoted as in Go.
	Path string `json:"path"`
	// Script is the script that an interpreter runs, absolute where it could be
	// resolved; "/dev/stdin" where a shell or Python reads it from a pipe; "" where
	// the program is no interpreter, was given code or reads what somebody types.
	Script string `json:"script,omitempty"`
	// On is the mount that Path (or Script, where there is one) is on.
	On Mount `json:"on"`
	// Deleted marks an executable that was unlinked while it runs, and a script
	// that is not there any more. The kernel's text cannot be told from a file
	// whose name ends in " (deleted)"; such a file counts as deleted.
	Deleted bool `json:"deleted,omitempty"`
	// Memory marks an executable that is in memory only (memfd_create(2)), and a
	// script that comes from such a file or from a pipe.
	Memory bool `json:"memory,omitempty"`
	// Detached marks an executable that is on none of the mounts that Path is on:
	// its mount was taken away (umount -l) while it runs, and Path, which the
	// kernel then writes as from that mount's root, is the name of another file or
	// of none. On is empty then.
	Detached bool `json:"detached,omitempty"`
	// OwnRoot marks a process whose mount namespace has another file where
	// process 1 has Path, as a service in a container image has.
	OwnRoot bool `json:"ownRoot,omitempty"`
	// Unit is the cgroup that it runs in, without what differs between equal
	// nodes: "/system.slice/sshd.service", "/podruntime/kubelet".
	Unit string `json:"unit"`
}

// Processes are the programs that run on the host outside containers.
var Processes = Source[[]Program]{
	Name:  "processes",
	Doc:   "what runs on the host outside containers, by executable",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]Program, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return nil, nil, err
		}
		gaps := slices.Clone(t.gaps)
		places := tally{what: "mounts that host processes run from"}
		scripts := tally{what: "scripts of host processes"}
		mounts := tally{what: "mounts of executables"}
		out := []Program{}
		var links []string
		for p := range t.hostProcesses() {
			if p.exeErr != nil {
				continue // counted in the table's gaps
			}
			links = append(links, p.exe)
			prog, err := t.program(h, p, unreadPrograms{&scripts, &mounts})
			places.of++
			switch {
			case err == nil:
				out = append(out, prog)
			case !vanished(err):
				places.add(p.pid, err)
			}
		}
		slices.Sort(links)
		h.evidence.add("/proc/<pid>/exe", []byte(strings.Join(links, "\n")))
		slices.SortFunc(out, comparePrograms)
		out = slices.CompactFunc(out, func(a, b Program) bool { return comparePrograms(a, b) == 0 })
		for _, part := range []struct {
			of   *tally
			name string
		}{{&scripts, "script"}, {&mounts, "on"}} {
			for _, g := range part.of.gaps() {
				gaps = append(gaps, g.In(part.name))
			}
		}
		return out, append(gaps, places.gaps()...), nil
	},
}

func comparePrograms(a, b Program) int {
	return cmp.Or(
		cmp.Compare(a.Path, b.Path), cmp.Compare(a.Script, b.Script), cmp.Compare(a.Unit, b.Unit),
		compareMounts(a.On, b.On), compareBools(a.Deleted, b.Deleted), compareBools(a.Memory, b.Memory), compareBools(a.Detached, b.Detached), compareBools(a.OwnRoot, b.OwnRoot),
	)
}

func compareMounts(a, b Mount) int {
	return cmp.Or(
		cmp.Compare(a.Path, b.Path), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Root, b.Root), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.Device.Kind, b.Device.Kind), cmp.Compare(a.Device.Name, b.Device.Name), cmp.Compare(a.Anon, b.Anon), compareBools(a.Visible, b.Visible),
		slices.Compare(a.Options, b.Options), slices.Compare(a.Super, b.Super),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// inMemory is where a file is that is in memory only: on a mount of the kernel's
// own that no mount table shows. Source: memfd_create(2).
func inMemory() Mount {
	return Mount{Type: "tmpfs", Device: Device{Kind: "none"}, Options: []string{"rw"}, Super: []string{"rw"}}
}

// memoryName is what a program makes up anew for each file in memory.
var memoryName = regexp.MustCompile(`[0-9a-f]{8,}`)

// isMemory reports whether the kernel's text for an executable or a descriptor
// stands for a file of memfd_create(2).
func isMemory(link string) bool { return strings.HasPrefix(link, "/memfd:") }

// unreadPrograms counts what could not be read of programs.
type unreadPrograms struct{ scripts, mounts *tally }

func (t *processTable) program(h *Host, p *process, unread unreadPrograms) (Program, error) {
	prog := Program{Path: quoteName(p.exe), Deleted: p.deleted, Unit: p.unit}
	if isMemory(p.exe) {
		prog.Path = memoryName.ReplaceAllString(prog.Path, "<id>")
		prog.Memory, prog.On = true, inMemory()
		return prog, nil
	}
	on, err := t.executableOn(h, p, unread.mounts)
	if err != nil {
		return prog, err
	}
	if on.table == nil {
		prog.Detached = true
		return prog, nil
	}
	prog.OwnRoot = t.namespaces.ownFile(on, p.exe)
	if arg := scriptOf(p.args); arg != "" || readsInput(p.args) {
		unread.scripts.of++
		s, err := t.script(h, p, arg)
		switch {
		case vanished(err):
			return prog, err
		case s.name == "": // nobody wrote it down
		case err != nil:
			unread.scripts.add(p.pid, err)
			prog.Script = quoteName(s.name)
		default:
			prog.Script = quoteName(s.name)
			prog.Deleted = prog.Deleted || s.deleted
			if s.memory {
				prog.Memory, prog.On = true, inMemory()
				return prog, nil
			}
			if on, err = t.mountAt(p, s.at); err != nil {
				return prog, err
			}
			prog.OwnRoot = prog.OwnRoot || t.namespaces.ownFile(on, s.at)
		}
	}
	prog.On = t.namespaces.view(h, on.table, on.index)
	return prog, nil
}

// place is a mount in a mount table; without a table it is none.
type place struct {
	table *mountTable
	index int
}

// mountAt is the mount that a path leads to for the process.
func (t *processTable) mountAt(p *process, at string) (place, error) {
	ns := t.namespaces.of(p)
	table, err := t.namespaces.table(ns, at)
	if err != nil {
		return place{}, err
	}
	i := table.lookup(at)
	if i < 0 {
		return place{}, &Error{"reading", "/" + p.dir + "/mountinfo", Malformed, "the mount table has no root"}
	}
	host := t.namespaces.host
	if same, err := t.namespaces.isHosts(ns); err == nil && same {
		// The host's own table, so that the mount is named as in the fact mounts.
		if j := host.lookup(at); j >= 0 && host.mounts[j].id == table.mounts[i].id {
			return place{host, j}, nil
		}
	}
	return place{table, i}, nil
}

// executableOn is the mount that the executable is on. That its path leads to may
// have been mounted since, as system extensions are over the /usr from which
// process 1 runs; and a mount that was detached has left its path behind. So the
// kernel is asked; a file tree has none, and there the path is believed.
func (t *processTable) executableOn(h *Host, p *process, unread *tally) (place, error) {
	on, err := t.mountAt(p, p.exe)
	if err != nil || h.Kernel == nil {
		return on, err
	}
	unread.of++
	exe, err := ask[Executable](h, AskExe, p.dir)
	if vanished(err) {
		return on, err
	}
	own := on.table.mounts[on.index]
	switch i, j := on.table.byID(exe.Mount), t.namespaces.host.byID(exe.Mount); {
	case err != nil:
		unread.add(p.pid, err)
	case j >= 0:
		return place{t.namespaces.host, j}, nil
	case i >= 0:
		return place{on.table, i}, nil
	case exe.Dev == own.dev: // of a mount namespace that is gone, and of the same file system
	case exe.Mount == 0 && slices.Contains([]string{"btrfs", "overlay"}, own.fstype):
		// There a file shows another number than its mount does.
		unread.add(p.pid, &Error{"asking the kernel for", Question{AskExe, p.dir}.Name(), Unsupported, "this kernel does not tell on which mount a file is"})
	default:
		return place{}, nil
	}
	return on, nil
}

// ownFile reports whether process 1 has no mount, covered or not, on which the
// path is the same file.
func (n *mountNamespaces) ownFile(on place, at string) bool {
	m, inside := on.table.mounts[on.index], on.table.inside(on.index, at)
	if j := n.host.lookup(at); on.table == n.host || j >= 0 && n.host.mounts[j].dev == m.dev && n.host.inside(j, at) == inside {
		return false
	}
	for j, other := range n.host.mounts {
		if _, ok := below(other.path, at); ok && other.dev == m.dev && n.host.inside(j, at) == inside {
			return false
		}
	}
	return true
}

// bashScript is the descriptor that bash keeps the script open on which it reads.
const bashScript = "255"

// scriptFile is where an interpreter has its script from.
type scriptFile struct {
	name    string // as the process names it, made absolute
	at      string // with links followed, where they could be
	deleted bool
	memory  bool
}

// standardInput is the name of what a program reads that is given no file.
const standardInput = "/dev/stdin"

// inputScript finds the file or the pipe that an interpreter reads its script
// from; without a name where its input is a terminal, where somebody types (which
// the fact sessions tells), or nothing.
func inputScript(h *Host, p *process) (scriptFile, error) {
	link, err := h.ReadLink(p.dir + "/fd/0")
	switch {
	case IsAbsent(err): // closed
		return scriptFile{}, nil
	case err != nil:
		return scriptFile{name: standardInput}, err
	case strings.HasPrefix(link, "/dev/") && !strings.HasPrefix(link, "/dev/shm/"):
		return scriptFile{}, nil
	}
	return openScript(link, standardInput), nil
}

// openScript is what a descriptor leads to; what has no file is called as asked.
func openScript(link, called string) (s scriptFile) {
	if s.name, s.deleted = strings.CutSuffix(link, " (deleted)"); !strings.HasPrefix(s.name, "/") {
		s.name, s.memory = called, true // "pipe:[4711]": bash <(curl …)
	}
	s.memory = s.memory || isMemory(s.name)
	s.at = s.name
	return s
}

// script finds the file that the argument arg of an interpreter names; "" stands
// for its standard input.
func (t *processTable) script(h *Host, p *process, arg string) (scriptFile, error) {
	if arg == "" {
		return inputScript(h, p)
	}
	s := scriptFile{name: arg}
	if fd, ok := descriptor(arg); ok {
		link, err := h.ReadLink(p.dir + "/fd/" + fd)
		if IsAbsent(err) {
			link, err = h.ReadLink(p.dir + "/fd/" + bashScript)
		}
		if IsAbsent(err) { // the process runs on, and has closed it
			err = &Error{"reading link", "/" + p.dir + "/fd/" + fd, Failed, "the script's descriptor is closed"}
		}
		if err != nil {
			s.name = path.Dir(arg) + "/N"
			return s, err
		}
		return openScript(link, path.Dir(arg)+"/N"), nil
	}
	root, err := h.ReadLink(p.dir + "/root")
	if err != nil {
		return s, err
	}
	relative := !strings.HasPrefix(arg, "/")
	if !relative {
		s.name = path.Join(root, arg) // the kernel names a directory of chroot(2) as others see it
	} else {
		cwd, err := h.ReadLink(p.dir + "/cwd")
		if err != nil {
			return s, err
		}
		s.name = path.Join(cwd, arg)
	}
	s.at = path.Clean(s.name)
	if host, err := t.namespaces.rootIsHosts(p); err != nil || !host || root != "/" {
		return s, err // links in another root cannot be followed from here
	}
	at := s.name
	if rest, ok := strings.CutPrefix(at, "/proc/self/"); ok {
		at = "/proc/" + strconv.Itoa(p.pid) + "/" + rest // its self, not ours
	}
	real, err := realPath(h, at)
	switch {
	case err == nil:
		s.at = real
	case IsAbsent(err) && relative:
		// The process may have changed its directory since it started.
		if link, err := h.ReadLink(p.dir + "/fd/" + bashScript); err == nil && path.Base(link) == path.Base(arg) {
			s.name, s.at = link, link
			return s, nil
		}
		s.name = arg
		return s, &Error{"looking for", "a script of the working directory", Failed, "it is not there: the process may have changed its directory"}
	case IsAbsent(err):
		s.deleted = true
	default:
		return s, err
	}
	return s, nil
}

// descriptor is N for /dev/fd/N, /proc/self/fd/N and /dev/stdin.
func descriptor(name string) (string, bool) {
	if name == "/dev/stdin" {
		return "0", true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if fd, ok := strings.CutPrefix(name, dir); ok {
			_, err := strconv.ParseUint(fd, 10, 31)
			return fd, err == nil
		}
	}
	return "", false
}
