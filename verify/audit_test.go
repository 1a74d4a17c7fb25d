package verify

import (
	"slices"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func clockOf(c node.ClockState, gaps ...node.Gap) node.Facts {
	return withFact(nil, node.ClockSync, c, gaps...)
}

var (
	rightClock = node.ClockState{Synchronised: "yes", Leap: "none", Offset: "under 100 ms", Bound: "under 2 s"}
	lostClock  = node.ClockState{Synchronised: "no", Leap: "none", Offset: "1 s or more", Bound: "16 s or more"}
)

// withoutClock are the rows that the checks of the clock must have.
var withoutClock = []judgedRow{
	{name: "denied", facts: lacking(nil, node.ClockSync, node.Denied, "asking the kernel for clock: permission denied"), want: "unknown fact-denied"},
	{name: "a gap", facts: clockOf(rightClock, deniedGap), want: "unknown gap-denied"},
	{name: "nothing said", facts: clockOf(node.ClockState{}), want: "unknown unread"},
}

func TestClockSynchronised(t *testing.T) {
	testJudge(t, clockSynchronised, append(withoutClock, []judgedRow{
		{name: "as it should be", facts: clockOf(rightClock), want: "pass synchronised"},
		{name: "a leap second changes nothing", facts: clockOf(node.ClockState{Synchronised: "yes", Leap: "insert"}), want: "pass synchronised"},
		{name: "no daemon, over a gap", facts: clockOf(lostClock, deniedGap), want: "fail unsynchronised"},
	}...))
}

func TestClockErrorSmall(t *testing.T) {
	off := func(offset, bound string) node.Facts {
		return clockOf(node.ClockState{Synchronised: "yes", Offset: offset, Bound: bound})
	}
	testJudge(t, clockErrorSmall, append(withoutClock, []judgedRow{
		{name: "as it should be", facts: clockOf(rightClock), want: "pass small"},
		{name: "half a second to slew", facts: off("under 1 s", "under 2 s"), want: "pass small"},
		{name: "two seconds to slew", facts: off("1 s or more", "under 2 s"), want: "fail large"},
		{name: "synchronised, and nobody corrected it for hours", facts: off("under 100 ms", "under 16 s"), want: "fail large"},
		{name: "a class of a later version is no pass", facts: off("under 100 ms", "under 4 s"), want: "fail large"},
	}...))
}

// programs are the programs that have to do with logs and time.
func programs(containers string, list ...node.LogProgram) node.LogProgramState {
	return node.LogProgramState{Programs: list, Containers: containers}
}

func hostProgram(role, path, name string) node.LogProgram {
	return node.LogProgram{Name: name, Role: role, Path: path}
}

func TestTimeSourceRuns(t *testing.T) {
	facts := func(host node.Facts, p node.LogProgramState, c node.ClockState, gaps ...node.Gap) node.Facts {
		return withFact(withFact(host, node.LogPrograms, p, gaps...), node.ClockSync, c)
	}
	chronyd := hostProgram("keeps-time", "/usr/sbin/chronyd", "chronyd")
	talos := profiles.Profile{Audit: profiles.Audit{TimeKeeper: "machined keeps the time"}}
	testJudge(t, timeSourceRuns, []judgedRow{
		{name: "chronyd", facts: facts(onHost(), programs("some", chronyd), rightClock), want: "pass runs", items: []string{"/usr/sbin/chronyd"}},
		{name: "chronyd that has not found its servers yet", facts: facts(onHost(), programs("some", chronyd), lostClock), want: "pass runs"},
		{name: "Talos keeps the time itself", profile: talos, facts: facts(inSandbox(), programs("some"), rightClock), want: "pass system"},
		{name: "Talos was told not to", profile: talos, facts: facts(onHost(), programs("some"), lostClock), want: "fail none"},
		{name: "nothing", facts: facts(onHost(), programs("none"), lostClock), want: "fail none"},
		{name: "nothing that could be seen without root", facts: facts(onHost(), programs("none"), lostClock, deniedGap), want: "unknown gap-denied"},
		{name: "nothing, in a sandbox", facts: facts(inSandbox(), programs("none"), lostClock), want: "unknown part-of-machine"},
		{name: "the hypervisor, perhaps", facts: facts(onHost(), programs("none"), rightClock), want: "unknown unseen"},
		{name: "a pod calls its program chronyd", facts: facts(onHost(), programs("some", node.LogProgram{Name: "chronyd", Role: "keeps-time", Container: true}), lostClock), want: "unknown in-container"},
		{name: "a shipper keeps no time", facts: facts(onHost(), programs("none", hostProgram("ships", "/usr/bin/vector", "vector")), lostClock), want: "fail none"},
		{name: "processes denied", facts: lacking(clockOf(rightClock), node.LogPrograms, node.Denied, "listing /proc: permission denied"), want: "unknown fact-not-recorded"},
		{name: "some processes denied", facts: facts(onHost(), programs("some", chronyd), rightClock, deniedGap), want: "unknown gap-denied"},
		{name: "the clock says nothing", facts: facts(onHost(), programs("none"), node.ClockState{}), want: "unknown unread"},
	})
}

func logsOf(l node.LogState, gaps ...node.Gap) node.Facts {
	return withFact(withFact(nil, node.Logs, l, gaps...), node.Mounts, []node.Mount{
		{Path: "/", Type: "squashfs", Visible: true}, {Path: "/var", Type: "xfs", Visible: true}, {Path: "/run", Type: "tmpfs", Visible: true},
	})
}

// journal is the journal as shipped, with edits.
func journal(edits ...func(*node.LogState)) node.LogState {
	l := node.LogState{Journald: "runs", Settings: map[string]node.LogSetting{}, Folders: []node.LogFolder{
		{Path: "/var/log/journal", Found: "yes", Modes: []node.LogMode{{Type: node.Directory, Mode: 0o2755, GID: 190}, {Type: node.Regular, Mode: 0o640, GID: 190}}},
		{Path: "/run/log/journal", Found: "no"},
	}}
	for _, edit := range edits {
		edit(&l)
	}
	return l
}

func storage(value string) func(*node.LogState) {
	return func(l *node.LogState) {
		l.Settings["Storage"] = node.LogSetting{Value: value, From: "/etc/systemd/journald.conf.d/10-x.conf"}
	}
}

func noFolder(l *node.LogState) {
	l.Folders[0] = node.LogFolder{Path: "/var/log/journal", Found: "no"}
}

// withoutJournal are the rows that the checks of the journal must have.
var withoutJournal = []judgedRow{
	{name: "Talos", facts: logsOf(journal(func(l *node.LogState) { l.Journald = "absent" })), want: "not-applicable no-journald"},
	{name: "whether it runs was not all seen", facts: logsOf(journal(func(l *node.LogState) { l.Journald = "absent" }), deniedGap.In("journald")), want: "unknown gap-denied"},
	{name: "denied", facts: lacking(logsOf(journal()), node.Logs, node.Denied, "listing /proc: permission denied"), want: "unknown fact-denied"},
	{name: "journals denied", facts: logsOf(journal(), deniedGap.In("folders")), want: "unknown gap-denied"},
	{name: "the folder denied", facts: logsOf(journal(func(l *node.LogState) { l.Folders[0] = node.LogFolder{Path: "/var/log/journal", Found: "unknown"} })), want: "unknown unread"},
	{name: "nothing said", facts: logsOf(node.LogState{}), want: "unknown unread"},
}

func TestJournalPersistent(t *testing.T) {
	inMemory := withFact(logsOf(journal()), node.Mounts, []node.Mount{{Path: "/", Type: "squashfs", Visible: true}, {Path: "/var", Type: "xfs", Visible: true}, {Path: "/var/log", Type: "tmpfs", Visible: true}})
	testJudge(t, journalPersistent, append(withoutJournal, []judgedRow{
		{name: "auto, and the folder is there", facts: logsOf(journal()), want: "pass kept"},
		{name: "persistent", facts: logsOf(journal(storage("persistent"))), want: "pass kept"},
		{name: "installed, and another keeps it from running now", facts: logsOf(journal(func(l *node.LogState) { l.Journald = "installed" })), want: "pass kept"},
		{name: "volatile", facts: logsOf(journal(storage("volatile"))), want: "fail not-kept", items: []string{"Storage=volatile"}},
		{name: "none, over a gap", facts: logsOf(journal(storage("none")), deniedGap), want: "fail not-kept"},
		{name: "a word of a later systemd", facts: logsOf(journal(storage("cloud"))), want: "fail not-kept"},
		{name: "auto without the folder", facts: logsOf(journal(noFolder)), want: "fail no-folder"},
		{name: "the folder is in memory", facts: inMemory, want: "fail in-memory", items: []string{"/var/log/journal"}},
		{name: "no mount is known", facts: withFact(logsOf(journal()), node.Mounts, []node.Mount{}), want: "unknown unread"},
		{name: "a gap in the kernel's audit", facts: logsOf(journal(), deniedGap.In("audit")), want: "pass kept"},
	}...))
}

func TestJournalClosed(t *testing.T) {
	mode := func(m node.LogMode) node.LogState {
		return journal(func(l *node.LogState) { l.Folders[0].Modes = append(slices.Clone(l.Folders[0].Modes), m) })
	}
	testJudge(t, journalClosed, append(withoutJournal, []judgedRow{
		{name: "as shipped: everybody may list the folder", facts: logsOf(journal()), want: "pass closed", items: []string{"/var/log/journal: folder 2755 0:190", "/var/log/journal: journal 0640 0:190"}},
		{name: "everybody can read one", facts: logsOf(mode(node.LogMode{Type: node.Regular, Mode: 0o644, GID: 190})), want: "fail open", items: []string{"/var/log/journal: journal 0644 0:190"}},
		{name: "its group can change one", facts: logsOf(mode(node.LogMode{Type: node.Regular, Mode: 0o660, GID: 190})), want: "fail open"},
		{name: "everybody can write to the folder, over a gap", facts: logsOf(mode(node.LogMode{Type: node.Directory, Mode: 0o1777}), deniedGap), want: "fail open"},
		{name: "a log agent's user owns one", facts: logsOf(mode(node.LogMode{Type: node.Regular, Mode: 0o600, UID: 1000})), want: "fail open"},
		{name: "there is none at all", facts: logsOf(journal(noFolder)), want: "not-applicable no-journal"},
	}...))
}

func TestLogsLeaveNode(t *testing.T) {
	facts := func(host node.Facts, p node.LogProgramState, l node.LogState, b node.BootState, gaps ...node.Gap) node.Facts {
		return withFact(withFact(withFact(host, node.LogPrograms, p, gaps...), node.Logs, l), node.Boot, b)
	}
	inPod := node.LogProgram{Name: "fluent-bit", Role: "ships", Container: true}
	rsyslog := hostProgram("syslog", "/usr/sbin/rsyslogd", "rsyslogd")
	declares := func(path string) profiles.Profile {
		return profiles.Profile{Audit: profiles.Audit{Shippers: []profiles.Place{{Path: path}}}}
	}
	socket := journal(func(l *node.LogState) { l.Settings["ForwardToSocket"] = node.LogSetting{Value: "set", From: "/x"} })
	kernelLog := node.BootState{Cmdline: []node.Word{{Key: "talos.logging.kernel", Value: "tcp://203.0.113.7:6050/", Valued: true}}}
	testJudge(t, logsLeaveNode, []judgedRow{
		{name: "journal-upload", facts: facts(onHost(), programs("some", hostProgram("ships", "/usr/lib/systemd/systemd-journal-upload", "systemd-journal-upload")), journal(), node.BootState{}), want: "pass ships"},
		{name: "an agent in a pod that is declared", profile: declares("container:fluent-bit"), facts: facts(onHost(), programs("some", inPod), journal(), node.BootState{}), want: "pass declared", items: []string{"container:fluent-bit"}},
		{name: "an agent in a pod that nobody declared", facts: facts(onHost(), programs("some", inPod), journal(), node.BootState{}), want: "unknown in-container"},
		{name: "another one is declared", profile: declares("container:vector"), facts: facts(onHost(), programs("some", inPod), journal(), node.BootState{}), want: "unknown in-container"},
		{name: "rsyslog may write files alone", facts: facts(onHost(), programs("none", rsyslog), journal(), node.BootState{}), want: "unknown syslog"},
		{name: "rsyslog that is declared", profile: declares("/usr/sbin/rsyslogd"), facts: facts(onHost(), programs("none", rsyslog), journal(), node.BootState{}), want: "pass declared"},
		{name: "journald forwards", facts: facts(onHost(), programs("none"), socket, node.BootState{}), want: "pass journald"},
		{name: "Talos sends the kernel's log", facts: facts(onHost(), programs("some"), journal(), kernelLog), want: "unknown kernel-log"},
		{name: "a pod of another name could", facts: facts(onHost(), programs("some"), journal(), node.BootState{}), want: "unknown unseen"},
		{name: "nothing and no container", facts: facts(onHost(), programs("none"), journal(), node.BootState{}), want: "fail none"},
		{name: "nothing that could be seen without root", facts: facts(onHost(), programs("none"), journal(), node.BootState{}, deniedGap), want: "unknown gap-denied"},
		{name: "nothing and no container in a sandbox", facts: facts(inSandbox(), programs("none"), journal(), node.BootState{}), want: "unknown unseen"},
		{name: "nothing said", facts: facts(onHost(), node.LogProgramState{}, journal(), node.BootState{}), want: "unknown unread"},
		{name: "some processes denied", facts: facts(onHost(), programs("some", hostProgram("ships", "/usr/bin/vector", "vector")), journal(), node.BootState{}, deniedGap), want: "unknown gap-denied"},
		{name: "the command line is not known", facts: lacking(facts(onHost(), programs("none"), journal(), node.BootState{}), node.Boot, node.Denied, "reading /proc/cmdline: permission denied"), want: "unknown fact-denied"},
	})
}

func TestAuditPresent(t *testing.T) {
	facts := func(host node.Facts, p node.LogProgramState, followed, cmdline string, gaps ...node.Gap) node.Facts {
		l, b := node.LogState{Audit: node.KernelAudit{BuiltIn: "yes", Followed: followed}}, node.BootState{}
		if cmdline != "" {
			b.Cmdline = []node.Word{{Key: "audit", Value: cmdline, Valued: true}}
		}
		return withFact(withFact(withFact(host, node.LogPrograms, p), node.Logs, l, gaps...), node.Boot, b)
	}
	auditd := hostProgram("audits", "/usr/sbin/auditd", "auditd")
	falco := node.LogProgram{Name: "falco", Role: "audits", Container: true}
	declared := profiles.Profile{Audit: profiles.Audit{Sensors: []profiles.Place{{Path: "container:falco"}}}}
	testJudge(t, auditPresent, []judgedRow{
		{name: "auditd", facts: facts(onHost(), programs("some", auditd), "no", ""), want: "pass sensor", items: []string{"/usr/sbin/auditd"}},
		{name: "auditd, and the kernel makes no records", facts: facts(onHost(), programs("some", auditd), "no", "0"), want: "fail off"},
		{name: "off by word", facts: facts(onHost(), programs("some", auditd), "yes", "off"), want: "fail off"},
		{name: "a sensor needs no records", facts: facts(onHost(), programs("some", hostProgram("audits", "/opt/falco/falco", "falco")), "no", "0"), want: "pass sensor"},
		{name: "on by word", facts: facts(onHost(), programs("some"), "yes", "1"), want: "pass followed"},
		{name: "Flatcar: journald follows", facts: facts(onHost(), programs("some"), "yes", ""), want: "pass followed"},
		{name: "Falco in a pod that is declared", profile: declared, facts: facts(onHost(), programs("some", falco), "no", ""), want: "pass declared"},
		{name: "Falco in a pod that nobody declared", facts: facts(onHost(), programs("some", falco), "no", ""), want: "unknown in-container"},
		{name: "Bottlerocket as shipped", profile: profiles.Profile{Audit: profiles.Audit{NoAuditd: "Bottlerocket ships no auditd"}}, facts: facts(onHost(), programs("some"), "no", ""), want: "fail none"},
		{name: "nothing, over a gap", facts: facts(onHost(), programs("some"), "no", "", deniedGap), want: "unknown gap-denied"},
		{name: "nothing, in a sandbox", facts: facts(inSandbox(), programs("some"), "no", ""), want: "unknown part-of-machine"},
		{name: "netlink denied", facts: facts(onHost(), programs("some"), "", "", deniedGap.In("audit")), want: "unknown gap-denied"},
		{name: "a gap in the settings of the journal", facts: facts(onHost(), programs("some"), "yes", "", deniedGap.In("settings")), want: "pass followed"},
		{name: "the command line is not known", facts: lacking(facts(onHost(), programs("some"), "yes", ""), node.Boot, node.Denied, "reading /proc/cmdline: permission denied"), want: "unknown fact-denied"},
	})
}
