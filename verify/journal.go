package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// withJournal makes a judge of the journal that has nothing to say where there is
// no journald.
func withJournal(f func(node.LogState, []node.Mount, Given) Finding) Judge {
	return On2(node.Logs.Parts("journald", "settings", "folders"), node.Mounts, func(l node.LogState, m []node.Mount, g Given) Finding {
		switch {
		case l.Journald == "absent":
			return notApplicable("no-journald", "there is no journald: no process of it and no such program below /usr/lib/systemd")
		case l.Journald == "" || len(l.Folders) == 0:
			return unsaid("where its journal is")
		}
		return f(l, m, g)
	})
}

// journalFolder is where journals outlast a restart of the system.
const journalFolder = "/var/log/journal"

func logFolder(l node.LogState, path string) node.LogFolder {
	i := slices.IndexFunc(l.Folders, func(f node.LogFolder) bool { return f.Path == path })
	if i < 0 {
		return node.LogFolder{}
	}
	return l.Folders[i]
}

var journalPersistent = Check{
	ID:       "journal-persistent",
	Rev:      1,
	Title:    "the journal survives a reboot",
	Topic:    Audit,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "AU-4"}, {sp80053, "AU-11"}, {pciDSS, "10.5.1"}, {iso27001, "8.15"}, {cisBottlerocket, "4.1.1.1"}},
	Help: Help{
		Why: "The first thing that happens to a node that misbehaves is a restart. With the journal in memory, what happened before is gone.",
		How: "Storage= of journald.conf and its drop-ins. With auto, the default, the journal is kept where /var/log/journal exists; with persistent journald makes that folder. It has to exist and to lie on storage that is not in memory. volatile and none fail.",
		Remedy: map[string]string{
			"flatcar":       "Storage=persistent in /etc/systemd/journald.conf.d/90-storage.conf, by the Butane configuration; then systemctl restart systemd-journald.",
			"bottlerocket":  "Bottlerocket keeps it on its data volume: see that /var/log/journal is there, and replace the node if it is not.",
			"fedora-coreos": "Remove Storage=volatile from the drop-ins of journald.conf; on OpenShift it comes from a MachineConfig.",
			"microos":       "mkdir /var/log/journal && journalctl --flush; no Storage=volatile may stand in a drop-in.",
			"":              "Storage=persistent in a drop-in of /etc/systemd/journald.conf.d, then systemctl restart systemd-journald.",
		},
	},
	Judge: withJournal(func(l node.LogState, mounts []node.Mount, _ Given) Finding {
		storage, from := "auto", "journald's default"
		if s := l.Settings["Storage"]; s.Value != "" {
			storage, from = s.Value, s.From
		}
		said := fmt.Sprintf("Storage=%s (%s)", storage, from)
		folder := logFolder(l, journalFolder)
		if storage != "auto" && storage != "persistent" {
			return fail("not-kept", said+": the journal is not kept over a restart", "Storage="+storage)
		}
		switch folder.Found {
		case "yes":
		case "no":
			return fail("no-folder", said+", and there is no "+journalFolder+": the journal is in memory", journalFolder)
		default:
			return unsaid("whether " + journalFolder + " exists")
		}
		m := mountOf(mounts, journalFolder)
		switch m.Type {
		case "":
			return unsaid("on which file system " + journalFolder + " is")
		case "tmpfs", "ramfs":
			return fail("in-memory", fmt.Sprintf("%s is on %s, which is in memory", journalFolder, nameOf(m)), journalFolder)
		}
		return pass("kept", fmt.Sprintf("%s, and %s is on %s", said, journalFolder, nameOf(m)))
	}),
}

var journalClosed = Check{
	ID:       "journal-closed",
	Rev:      1,
	Title:    "the journal is not readable by everybody, and only root can change it",
	Topic:    Audit,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "AU-9"}, {pciDSS, "10.3.1"}, {pciDSS, "10.3.2"}, {iso27001, "8.15"}, {cisBottlerocket, "4.1.2"}},
	Help: Help{
		Why: "Logs tell which accounts exist, what fails and now and then a password; whoever can change them can remove the traces of an attack.",
		How: "Mode and owner of /var/log/journal, /run/log/journal, the folders in them and the journals. Others may not read a journal; neither group nor others may write to a journal or a folder; all belong to root. That everybody may list a folder is journald's way and passes. Journals of other machines (remote) and access control lists are not read.",
		Remedy: map[string]string{
			"bottlerocket": "The system sets these modes at every boot: restart the node, and look for the pod that mounts /var/log and changed them.",
			"":             "systemd-tmpfiles --create --prefix /var/log/journal puts the modes back; look for what changed them, often a log agent's init container.",
		},
	},
	Judge: withJournal(func(l node.LogState, _ []node.Mount, _ Given) Finding {
		const otherRead, anyWrite = 0o004, groupWrite | otherWrite
		var bad, seen []string
		for _, f := range l.Folders {
			for _, m := range f.Modes {
				what := "folder"
				if m.Type == node.Regular {
					what = "journal"
				}
				item := fmt.Sprintf("%s: %s %04o %d:%d", f.Path, what, m.Mode, m.UID, m.GID)
				seen = append(seen, item)
				if m.UID != 0 || m.Mode&anyWrite != 0 || m.Type == node.Regular && m.Mode&otherRead != 0 {
					bad = append(bad, item)
				}
			}
		}
		unseen := slices.ContainsFunc(l.Folders, func(f node.LogFolder) bool { return f.Found != "yes" && f.Found != "no" })
		switch {
		case len(bad) > 0:
			return fail("open", "not only root can change the journal, or everybody can read it: "+strings.Join(bad, "; "), bad...)
		case unseen:
			return unsaid("who may read its journal")
		case len(seen) == 0:
			return notApplicable("no-journal", "there is no journal: neither "+journalFolder+" nor /run/log/journal exists")
		}
		return pass("closed", "only root can change the journal, and not everybody can read it", seen...)
	}),
}
