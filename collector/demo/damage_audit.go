package demo

import (
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

const (
	journalFolder   = "var/log/journal/0123456789abcdef0123456789abcdef"
	journaldDropIns = "etc/systemd/journald.conf.d"
	// followedRecords has the socket of journald's in the group of audit records.
	netlinkHeading  = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
	followedRecords = netlinkHeading + "00000000e9232712 9   1          00000001 0        0        0     2        0        565     \n"
)

// clockSays puts what the kernel says of its clock, with this status and error
// in microseconds.
func clockSays(status int, maximumError int64) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Answer(node.Question{Kind: node.AskClock}, node.Clock{Status: status, MaximumError: maximumError})
	}
}

var (
	rightClock = clockSays(0x2001, 30_000)     // STA_NANO, STA_PLL
	lostClock  = clockSays(0x0040, 16_000_000) // STA_UNSYNC
)

// soundLogs puts a journal as systemd ships it on a node, and a journald that
// follows the kernel's audit records.
func soundLogs(t *capture.Tape) {
	t.File("usr/lib/systemd/systemd-journald", "")
	t.Absent("lib/systemd/systemd-journald", "run/log/journal")
	for _, dir := range []string{"etc", "run", "usr/local/lib", "usr/lib"} {
		t.Absent(dir+"/systemd/journald.conf", dir+"/systemd/journald.conf.d")
	}
	t.Dir("var/log/journal", node.DirEntry{Name: journalFolder[len("var/log/journal/"):], Type: node.Directory})
	t.Dir(journalFolder, node.DirEntry{Name: "system.journal", Type: node.Regular})
	t.Info(journalFolder+"/system.journal", node.FileInfo{Type: node.Regular, Mode: 0o640, GID: 190, Dev: "0:1"})
	t.File("proc/1/loginuid", "4294967295")
	t.Content("proc/1/net/netlink", followedRecords)
}

// runsAs makes a process of the recorded guest one of another program.
func runsAs(exe string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		soundLogs(t)
		t.Link("proc/262/exe", exe)
	}
}

// inPlaceOf puts a program that does nothing of the kind in place of another.
func inPlaceOf(exe string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		for _, e := range t.Exchanges() {
			if m := executableLink.FindStringSubmatch(e.What); m != nil && e.Op == "readlink" && e.Answer == exe {
				t.Link(m[1]+"/exe", "/usr/sbin/httpd")
			}
		}
	}
}

var auditDamages = []Damage{
	{Check: "clock-synchronised", Node: "recorded-lab-flatcar", What: "nobody corrects the clock", Sound: rightClock, Do: lostClock},
	{Check: "clock-error-small", Node: "recorded-lab-flatcar", What: "nobody has corrected the clock for two hours", Sound: rightClock, Do: clockSays(0x2001, 3_600_000)},
	{
		Check: "time-source-runs", Node: "recorded-lab-flatcar", What: "the time daemon was stopped",
		Sound: func(t *capture.Tape) {
			rightClock(t)
			soundLogs(t)
		},
		Do: func(t *capture.Tape) {
			lostClock(t)
			inPlaceOf("/usr/sbin/chronyd")(t)
		},
	},
	{
		Check: "journal-persistent", Node: "recorded-lab-flatcar", What: "the journal is kept in memory", Sound: soundLogs,
		Do: func(t *capture.Tape) {
			t.Dir(journaldDropIns, node.DirEntry{Name: "10-volatile.conf", Type: node.Regular})
			t.File(journaldDropIns+"/10-volatile.conf", "[Journal]\nStorage=volatile\n")
		},
	},
	{
		Check: "journal-closed", Node: "recorded-lab-flatcar", What: "a log agent made the journal readable for everybody", Sound: soundLogs,
		Do: func(t *capture.Tape) {
			t.Info(journalFolder+"/system.journal", node.FileInfo{Type: node.Regular, Mode: 0o644, GID: 190, Dev: "0:1"})
		},
	},
	{
		Check: "logs-leave-node", Node: "recorded-lab-flatcar", What: "the upload of the journal was stopped", Sound: runsAs("/usr/lib/systemd/systemd-journal-upload"),
		Do: inPlaceOf("/usr/lib/systemd/systemd-journal-upload"),
	},
	{
		Check: "audit-present", Node: "recorded-lab-flatcar", What: "nobody follows the kernel's audit records any more", Sound: soundLogs,
		Do: func(t *capture.Tape) { t.Content("proc/1/net/netlink", netlinkHeading) },
	},
}
