package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// LogState is where the system keeps its logs and who may read them.
type LogState struct {
	// Journald is "runs", "installed" (its program is there) or "absent".
	Journald string `json:"journald"`
	// Settings are those of journald.conf(5) that are set, by name.
	Settings map[string]LogSetting `json:"settings"`
	// Folders are the places of journals: /var/log/journal, which outlasts a
	// restart of the system, and /run/log/journal, which does not.
	Folders []LogFolder `json:"folders"`
	// Audit is what the kernel has of audit.
	Audit KernelAudit `json:"audit"`
}

// LogSetting is a setting and the file that it stands in.
type LogSetting struct {
	Value string `json:"value"`
	From  string `json:"from"`
}

// LogFolder is a place of journals.
type LogFolder struct {
	Path  string `json:"path"`
	Found string `json:"found"` // "yes", "no"; "unknown" where it could not be looked at
	// Modes are those of the folder, the folders in it and the journals, each once.
	Modes []LogMode `json:"modes"`
}

// LogMode is type, mode and owner of journals or of the folders that they are in.
// Access control lists are not read.
type LogMode struct {
	Type FileType `json:"type"`
	Mode uint32   `json:"mode"`
	UID  uint32   `json:"uid"`
	GID  uint32   `json:"gid"`
}

// KernelAudit is what the kernel has of audit: audit(7), audit(8).
type KernelAudit struct {
	// BuiltIn is "yes" or "no": whether processes have a login uid (proc_pid_loginuid(5)).
	BuiltIn string `json:"builtIn"`
	// Followed is "yes" where a program reads the group of netlink(7) in which the
	// kernel repeats its audit records (AUDIT_NLGRP_READLOG), as systemd-journald
	// does, else "no". auditd, which has a connection of its own, does not show here.
	Followed string `json:"followed"`
}

// Logs are where the system keeps its logs.
var Logs = Source[LogState]{
	Name:  "logs",
	Doc:   "how the journal is kept and who may read it, and what the kernel has of audit",
	Scope: Cohort,
	Every: Hour,
	Read:  readLogs,
}

func readLogs(_ context.Context, h *Host) (LogState, []Gap, error) {
	v := LogState{Journald: "absent", Folders: []LogFolder{}}
	t, err := h.gathering.processes()
	if err != nil {
		return v, nil, err
	}
	var gaps []Gap
	for _, name := range []string{"usr/lib/systemd/systemd-journald", "lib/systemd/systemd-journald"} {
		if _, err := h.Stat(name); err == nil {
			v.Journald = "installed"
		} else if !IsAbsent(err) {
			gaps = append(gaps, GapOf("the program of the journal", err).In("journald"))
		}
	}
	for p := range t.hostProcesses() {
		if path.Base(p.exe) == "systemd-journald" || p.exe == "" && p.comm == "systemd-journal" {
			v.Journald = "runs"
		}
	}
	if v.Journald == "absent" {
		for _, g := range t.gaps {
			gaps = append(gaps, g.In("journald"))
		}
	}
	var more []Gap
	v.Settings, more = systemdSettings(h, "journald.conf", "Journal")
	gaps = append(gaps, more...)
	for _, name := range []string{"var/log/journal", "run/log/journal"} {
		f, more := readLogFolder(h, name, maxJournals)
		v.Folders = append(v.Folders, f)
		gaps = append(gaps, more...)
	}
	audit, err := readKernelAudit(h)
	if err != nil {
		gaps = append(gaps, GapOf("the kernel's audit", err).In("audit"))
	}
	v.Audit = audit
	return v, gaps, nil
}

const (
	maxLogFolders = 256  // machines whose journals are kept
	maxJournals   = 5000 // in one place; journald keeps 100 of its own
)

// readLogFolder looks at a place of journals, and at most so many in it: it has a folder a machine, named by
// its id, and these hold the files.
func readLogFolder(h *Host, name string, most int) (LogFolder, []Gap) {
	f := LogFolder{Path: "/" + name, Found: "unknown", Modes: []LogMode{}}
	unread := tally{what: "journals in /" + name}
	modes := map[LogMode]bool{}
	left := most
	look := func(at string) {
		if left--; left < 0 {
			return
		}
		info, err := h.Lstat(at)
		if err == nil && (info.Type == Directory || info.Type == Regular) {
			modes[LogMode{info.Type, info.Mode, info.UID, info.GID}] = true
		} else if err != nil && !IsAbsent(err) {
			unread.add(0, err)
		}
	}
	// A link is followed, as journald does.
	info, err := h.Stat(name)
	switch {
	case IsAbsent(err):
		f.Found = "no"
		return f, nil
	case err != nil:
		return f, []Gap{GapOf("/"+name, err).In("folders")}
	case info.Type != Directory:
		f.Found = "no"
		return f, nil
	}
	f.Found = "yes"
	modes[LogMode{info.Type, info.Mode, info.UID, info.GID}] = true
	machines, err := h.ReadDir(name, maxLogFolders)
	if err != nil {
		unread.add(0, err)
	}
	for _, m := range machines {
		if m.Name == "remote" {
			continue // other machines' journals, of a user of their own: systemd-journal-remote(8)
		}
		at := path.Join(name, m.Name)
		look(at)
		if m.Type != Directory {
			continue
		}
		files, err := h.ReadDir(at, most)
		if err != nil && !IsAbsent(err) {
			unread.add(0, err)
		}
		for _, file := range files {
			look(path.Join(at, file.Name))
		}
	}
	if left < 0 {
		unread.add(0, &Error{"listing", "/" + name, TooLarge, fmt.Sprintf("stopped after %d journals", most)})
	}
	f.Modes = slices.AppendSeq(f.Modes, maps.Keys(modes))
	slices.SortFunc(f.Modes, func(a, b LogMode) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.UID, b.UID), cmp.Compare(a.GID, b.GID))
	})
	gaps := unread.gaps()
	for i := range gaps {
		gaps[i] = gaps[i].In("folders")
		gaps[i].Count = 0 // how many journals there are differs between equal nodes
		gaps[i].Reason = machineID.ReplaceAllString(gaps[i].Reason, "<machine-id>")
	}
	return f, gaps
}

// machineID is a name of machine-id(5), which differs between equal nodes.
var machineID = regexp.MustCompile(`[0-9a-f]{32}`)

func readKernelAudit(h *Host) (KernelAudit, error) {
	var v KernelAudit
	_, err := h.Lstat("proc/1/loginuid")
	switch {
	case err == nil:
		v.BuiltIn = "yes"
	case IsAbsent(err):
		return KernelAudit{BuiltIn: "no", Followed: "no"}, nil
	default:
		return v, err
	}
	b, err := h.ReadFile("proc/1/net/netlink", maxSocketTable)
	if IsAbsent(err) {
		return v, &Error{"reading", "/proc/1/net/netlink", Unsupported, "this kernel does not show it"}
	}
	if err != nil {
		return v, err
	}
	followed, err := parseAuditFollowed(b)
	if err != nil {
		return v, &Error{"reading", "/proc/1/net/netlink", Malformed, err.Error()}
	}
	v.Followed = "no"
	if followed {
		v.Followed = "yes"
	}
	return v, nil
}

// LogProgram is a program that takes logs elsewhere or that watches the kernel, as
// its executable's name says. A container may call its programs what it likes.
type LogProgram struct {
	Name      string `json:"name"`
	Role      string `json:"role"`           // "ships", "syslog", "audits" or "keeps-time"
	Path      string `json:"path,omitempty"` // of a host process
	Container bool   `json:"container,omitempty"`
}

// LogProgramState are the programs that have to do with logs and time.
type LogProgramState struct {
	Programs []LogProgram `json:"programs"`
	// Containers is "some" where processes of containers run beside, else "none".
	Containers string `json:"containers"`
}

// LogPrograms are the programs that ship logs, watch the kernel or keep the time.
var LogPrograms = Source[LogProgramState]{
	Name:  "log-programs",
	Doc:   "programs that ship logs, watch the kernel or keep the time, on the host and in containers, by name",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (LogProgramState, []Gap, error) {
		v := LogProgramState{Programs: []LogProgram{}, Containers: "none"}
		t, err := h.gathering.processes()
		if err != nil {
			return v, nil, err
		}
		for i := range t.processes {
			p := &t.processes[i]
			container := p.container != "" && p.container != "self"
			if container {
				v.Containers = "some"
			}
			name := path.Base(p.exe)
			role, known := logRoles[name]
			if !known {
				continue
			}
			found := LogProgram{Name: name, Role: role, Container: p.container != ""}
			if !found.Container {
				found.Path = quoteName(p.exe)
			}
			v.Programs = append(v.Programs, found)
		}
		slices.SortFunc(v.Programs, func(a, b LogProgram) int {
			return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path), compareBools(a.Container, b.Container))
		})
		v.Programs = slices.Compact(v.Programs)
		return v, slices.Clone(t.gaps), nil
	},
}

// logRoles are programs by the name of their executable. Sources: their manuals.
var logRoles = map[string]string{
	"systemd-journal-upload":  "ships",
	"alloy":                   "ships",
	"amazon-cloudwatch-agent": "ships",
	"filebeat":                "ships",
	"fluent-bit":              "ships",
	"journalbeat":             "ships",
	"otelcol":                 "ships",
	"otelcol-contrib":         "ships",
	"promtail":                "ships",
	"splunkd":                 "ships",
	"vector":                  "ships",
	"rsyslogd":                "syslog", // may ship, and may only write files
	"syslog-ng":               "syslog",
	"auditd":                  "audits",
	"dragent":                 "audits", // Sysdig
	"falcon-sensor":           "audits", // CrowdStrike
	"falcon-sensor-bpf":       "audits",
	"falco":                   "audits",
	"kubearmor":               "audits",
	"osqueryd":                "audits",
	"tetragon":                "audits",
	"tracee":                  "audits",
	"wdavdaemon":              "audits", // Microsoft Defender
	"chronyd":                 "keeps-time",
	"ntpd":                    "keeps-time",
	"ntp-daemon":              "keeps-time", // ntpd-rs
	"phc2sys":                 "keeps-time",
	"systemd-timesyncd":       "keeps-time",
}

// systemdFolders are where systemd looks for configuration, the strongest first, relative to
// the root. Source: journald.conf(5).
var systemdFolders = []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"}

const maxSystemdConfig = 1 << 20

// systemdSettings reads a configuration of systemd: the first main file that is
// there, then the drop-ins of all folders in the order of their names, where of
// two with one name the stronger folder's counts. Source: systemd.unit(5),
// journald.conf(5), "configuration directories and precedence".
func systemdSettings(h *Host, name, section string) (map[string]LogSetting, []Gap) {
	var gaps []Gap
	unread := func(what string, err error) { gaps = append(gaps, GapOf(what, err).In("settings")) }
	files := []string{}
	for _, dir := range systemdFolders {
		_, err := h.Stat(path.Join(dir, name))
		if IsAbsent(err) {
			continue
		}
		files = append(files, path.Join(dir, name))
		break
	}
	dropIns := map[string]string{}
	for _, dir := range systemdFolders {
		entries, err := h.ReadDir(path.Join(dir, name+".d"), maxKubeletDropIns)
		if err != nil && !IsAbsent(err) {
			unread("configuration in /"+path.Join(dir, name+".d"), err)
		}
		for _, e := range entries {
			if _, stronger := dropIns[e.Name]; !stronger && path.Ext(e.Name) == ".conf" {
				dropIns[e.Name] = path.Join(dir, name+".d", e.Name)
			}
		}
	}
	names := make([]string, 0, len(dropIns))
	for n := range dropIns {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		files = append(files, dropIns[n])
	}
	out := map[string]LogSetting{}
	for _, file := range files {
		if to, err := h.ReadLink(file); err == nil && to == "/dev/null" {
			continue // masked
		}
		b, err := h.ReadSecret(file, maxSystemdConfig, redactSystemdConfig)
		var set []systemdSetting
		if err == nil {
			set, err = parseSystemdConfig(b, section)
		}
		if err != nil {
			unread("configuration in /"+file, err)
			continue
		}
		for _, s := range set {
			if s.value == "" {
				delete(out, s.key) // back to the default
				continue
			}
			if s.key == "ForwardToSocket" {
				s.value = "set" // an address
			}
			out[s.key] = LogSetting{strings.ToValidUTF8(s.value, "\uFFFD"), "/" + file}
		}
	}
	return out, gaps
}
