package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// noSystemd is the finding on a host that systemd does not run, proven by what
// process 1 is and by what systemd makes when it starts (sd_booted(3)).
func noSystemd(u node.UnitFiles, s node.System) (Finding, bool) {
	switch {
	case u.Systemd == "":
		return unsaid("whether systemd runs it"), true
	case u.Systemd == "no" && (s.Init == "" || s.Init == "systemd"):
		return unknown("not-booted", fmt.Sprintf("process 1 is %s and /run/systemd/system is not there: what starts its services is not known", orUnread(s.Init))), true
	case u.Systemd == "no":
		return notApplicable("no-systemd", "process 1 is "+s.Init+" and there is no /run/systemd/system: systemd does not run this host"), true
	}
	return Finding{}, false
}

// unitJudge makes the judge of some lists of the fact units.
func unitJudge(judge func(node.UnitFiles, []node.Mount, Given) Finding, parts ...string) Judge {
	return On3(node.Units.Parts(append(parts, "systemd")...), node.Mounts, node.OS.Parts("init", "pidNamespace"), func(u node.UnitFiles, m []node.Mount, s node.System, g Given) Finding {
		f, none := noSystemd(u, s)
		if !none {
			f = judge(u, m, g)
		}
		return wholeMachine(s, f)
	})
}

// sortUnits sorts unit files by where they come from. What was made at run time
// is as good as the programs that it starts: it is gone at the next boot.
func sortUnits(out sorted, list []node.UnitFile, mounts []node.Mount, places []profiles.Place) sorted {
	for _, u := range list {
		o := originOf(u.Definition, mounts, places)
		if (o == foreign || o == hidden) && u.Origin != "" && startsImage(u.Definition, mounts, places) {
			o = ofImage
		}
		text := definitionText(u.Definition)
		if u.Overrides != "" && o == foreign {
			text += " (in place of " + u.Overrides + ")"
		}
		if u.Origin != "" {
			text += " (" + u.Origin + ")"
		}
		out[o] = append(out[o], text)
	}
	return out
}

// startsImage reports whether all programs of a definition are the image's, or
// declared. A name without a folder is looked for by systemd in the image's
// folders first.
func startsImage(d node.Definition, mounts []node.Mount, places []profiles.Place) bool {
	return !slices.ContainsFunc(d.Starts, func(program string) bool {
		if !strings.Contains(program, "/") {
			return !anyImage(mounts)
		}
		// One that is not absolute begins with a specifier such as %h.
		return !path.IsAbs(program) || !leadsToImage(program, mounts) && !placeNames(places, path.Clean(program))
	})
}

var unitsFromImage = Check{
	ID:        "units-from-image",
	Rev:       2,
	Title:     "every unit of systemd comes from the OS image or is declared",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(Ref{pciDSS, "10.2.1.7"}),
	ImageOnly: true,
	Help: Help{
		Why: "A unit is how a program comes back after a boot. On a system whose programs are an image, a unit file on writable storage was written by whoever set the node up, or by whoever broke into it.",
		How: "All folders of the unit search path (systemd.unit(5)) beside the vendor's are listed, users' managers and lingering users included. A unit file must be on the image, equal the copy that the image keeps, be a link to a file of the image or to /dev/null, or stand in the profile. What generators or systemd-run made for this boot may start programs of the image, shells among them. The links in .wants and .requires are held to the same: enabling a unit of the image is no finding.",
		Remedy: map[string]string{
			"flatcar":       "Compare the unit with the Butane configuration of the node. What stands there goes into a site overlay with its digest; anything else: systemctl disable --now NAME, remove the file, and find out who wrote it.",
			"fedora-coreos": "On OpenShift units come from MachineConfig: oc describe node shows whether the machine config daemon finds a difference. Elsewhere compare with the Ignition file; systemctl disable --now what is in neither, then remove it.",
			"bottlerocket":  "Bottlerocket writes only drop-ins into /etc/systemd/system, at each boot: a unit there was put by somebody with root. Take the node out of the cluster before looking further.",
			"microos":       "Take it out with systemctl disable --now NAME and rm; units of packages belong into a snapshot, through transactional-update pkg install.",
			"cos":           "/etc is in memory: what writes the unit at each boot is user-data, a startup script, or the cloud-init of the instance template. Correct it there and recreate the machine.",
			"":              "systemctl cat NAME shows the unit, systemctl disable --now NAME ends it. Declare by path and digest what belongs to the team.",
		},
	},
	Judge: unitJudge(func(u node.UnitFiles, m []node.Mount, g Given) Finding {
		if u.Units == nil || u.Links == nil {
			return unsaid("what units it has")
		}
		places := g.Profile.Persistence.Units
		out := sortUnits(sorted{}, u.Units, m, places)
		for _, l := range u.Links {
			if !strings.HasSuffix(l.Name, ".timer") && !judgedItself(u.Units, l) {
				out = sortUnits(out, []node.UnitFile{l}, m, places)
			}
		}
		return out.finding(things{"unit file", "unit files"}, m)
	}, "units", "links"),
}

// judgedItself reports whether a link leads to a unit file that is judged itself.
func judgedItself(units []node.UnitFile, link node.UnitFile) bool {
	return link.Link != "" && slices.ContainsFunc(units, func(u node.UnitFile) bool { return u.Path == link.Target && u.Link == "" })
}

var timersFromImage = Check{
	ID:        "timers-from-image",
	Rev:       2,
	Title:     "every timer of systemd comes from the OS image or is declared",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "A timer starts its service again and again, long after whoever set it has left. It is what cron was, and as quiet.",
		How: "Timer units outside the vendor's folder, and links that start timers with another unit, must be or lead to files of the image, or stand in the profile. Timers that systemd-run made for this boot may start programs of the image.",
		Remedy: map[string]string{
			"flatcar": "systemctl list-timers shows when it runs next. Put the team's timers into the Butane configuration and a site overlay; stop others with systemctl disable --now NAME.timer.",
			"":        "Stop the timer with systemctl disable --now NAME.timer and remove its file, or declare it.",
		},
	},
	Judge: unitJudge(func(u node.UnitFiles, m []node.Mount, g Given) Finding {
		if u.Timers == nil || u.Links == nil {
			return unsaid("what timers it has")
		}
		places := g.Profile.Persistence.Units
		out := sortUnits(sorted{}, u.Timers, m, places)
		for _, l := range u.Links {
			if strings.HasSuffix(l.Name, ".timer") && !judgedItself(u.Timers, l) {
				out = sortUnits(out, []node.UnitFile{l}, m, places)
			}
		}
		return out.finding(things{"timer", "timers"}, m)
	}, "timers", "links"),
}

var dropInsDeclared = Check{
	ID:        "drop-ins-declared",
	Rev:       2,
	Title:     "every change to a unit is made by the OS image or declared",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "A drop-in replaces what a unit of the image starts, or adds to it, and the unit's own file stays untouched: who looks at that alone sees nothing.",
		How: "Files in folders NAME.d of the unit search path beside the vendor's must be on the image, equal its copy, or stand in the profile, which lists what the system and kubeadm write there by design. Drop-ins that systemctl set-property or a generator made may start programs of the image.",
		Remedy: map[string]string{
			"bottlerocket":  "Bottlerocket generates its drop-ins from its settings at each boot; others were added by hand: reboot, and replace the node where they are there again.",
			"fedora-coreos": "systemctl revert NAME removes drop-ins of a unit. On OpenShift let a MachineConfig carry what is meant.",
			"":              "systemd-delta --type=extended lists drop-ins, systemctl revert NAME takes those of a unit away. Declare the rest by path and digest.",
		},
	},
	Judge: unitJudge(func(u node.UnitFiles, m []node.Mount, g Given) Finding {
		if u.DropIns == nil {
			return unsaid("what drop-ins it has")
		}
		return sortUnits(sorted{}, u.DropIns, m, g.Profile.Persistence.Units).finding(things{"drop-in", "drop-ins"}, m)
	}, "dropIns"),
}

var generatorsFromImage = Check{
	ID:        "generators-from-image",
	Rev:       1,
	Title:     "systemd runs no generator from outside the OS image",
	Topic:     Persistence,
	Severity:  Critical,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "Generators run as root before anything else at each boot and each reload, log nowhere, and can change every unit. No team needs one on a node.",
		How: "The folders of generators for the system, for users and for environments (systemd.generator(7), systemd.environment-generator(7)) beside the vendor's are listed. Only links to /dev/null and files of the image may be there, and what the profile declares.",
		Remedy: map[string]string{
			"flatcar": "Remove it from /etc/systemd/system-generators, reload with systemctl daemon-reload, and take the node out of service until it is known who put it there.",
			"":        "Take the node out of service: a generator has run with all rights at every boot since it was put there.",
		},
	},
	Judge: unitJudge(func(u node.UnitFiles, m []node.Mount, g Given) Finding {
		if u.Generators == nil {
			return unsaid("what generators it has")
		}
		return sortUnits(sorted{}, u.Generators, m, g.Profile.Persistence.Units).finding(things{"generator", "generators"}, m)
	}, "generators"),
}

var unitsAgree = Check{
	ID:       "units-agree",
	Rev:      1,
	Title:    "systemd, asked itself, has loaded what its files say",
	Topic:    Persistence,
	Severity: High,
	Refs:     persistenceRefs(Ref{sp80053, "SI-4"}),
	Help: Help{
		Why: "What systemd has loaded and what its files say are two witnesses. A unit whose file was removed after it was loaded, or changed without a reload, runs what no file shows.",
		How: "Where the program was started with --systemd, systemd is asked through D-Bus for the units that it has loaded: every fragment and drop-in from outside the vendor's folders must be among the files that were found, start the same programs, and be no older than what systemd has read. D-Bus is power over the host, so that the DaemonSet mounts no socket of it and asks nobody: there is one witness then, the files, which other checks judge, and this one does not apply. The systemd install may ask. It also sees what eBPF programs the kernel has, which takes CAP_SYS_ADMIN.",
		Remedy: map[string]string{
			"": "systemctl daemon-reload reads the files again; systemctl status NAME names the file that a unit was loaded from. A file that is gone was removed after the unit was started: find out by whom.",
		},
	},
	Judge: On3(node.Units.Parts("systemd", "units", "timers", "dropIns"), node.LoadedUnits, node.OS.Parts("init", "pidNamespace"), judgeUnitsAgree),
}

// judgeUnitsAgree compares the two witnesses where there are two. An installation
// that asks nobody has proven that there is one alone: what the files say is
// judged by other checks, and what runs by those of processes.
func judgeUnitsAgree(u node.UnitFiles, loaded node.SystemdUnits, s node.System, _ Given) Finding {
	f, none := noSystemd(u, s)
	switch {
	case loaded.Asked == "":
		return unsaid("whether systemd was asked")
	case none:
	case loaded.Asked == "no":
		return notApplicable("bus-not-asked", "this installation does not ask systemd what it has loaded, which takes --systemd: the files are the only witness")
	default:
		f = compareLoadedUnits(u, loaded.Units)
	}
	return wholeMachine(s, f)
}

func compareLoadedUnits(files node.UnitFiles, loaded []node.LoadedUnit) Finding {
	if files.Units == nil || files.Timers == nil || files.DropIns == nil {
		return unsaid("what units it has")
	}
	found := map[string]node.UnitFile{}
	for _, u := range slices.Concat(files.Units, files.Timers, files.DropIns) {
		found[u.Path] = u
		if u.Target != "" { // systemd names a unit by what a link in its folders leads to
			found[u.Target] = u
		}
	}
	var bad []string
	for _, l := range loaded {
		if l.Stale {
			bad = append(bad, l.Name+": its files have changed since systemd read them")
		}
		var starts []string
		whole := l.Fragment != ""
		for _, name := range slices.Concat([]string{l.Fragment}, l.DropIns) {
			u, ok := found[name]
			switch {
			case name == "":
			case below(name, "/run/systemd/transient"): // it may have come since the files were listed
				whole = false
			case below(name, "/usr/lib/systemd"), below(name, "/lib/systemd"):
				whole = false // the vendor's: what it starts was not read
			case !ok:
				bad, whole = append(bad, fmt.Sprintf("%s: systemd has it from %s, which was not found", l.Name, name)), false
			default:
				starts = append(starts, u.Starts...)
			}
		}
		for _, program := range l.Starts {
			if whole && !slices.ContainsFunc(starts, func(s string) bool { return mayBe(program, s) }) {
				bad = append(bad, fmt.Sprintf("%s: systemd starts %s, which its files do not say", l.Name, program))
			}
		}
	}
	slices.Sort(bad)
	if bad = slices.Compact(bad); len(bad) > 0 {
		return fail("differ", "systemd and its files do not agree: "+strings.Join(bad, "; "), bad...)
	}
	return pass("agree", fmt.Sprintf("systemd has loaded %d units from outside the vendor's folders, and all are as their files say", len(loaded)))
}

// mayBe reports whether a program may be what a unit file says: the same, a name
// without a folder, or one with an escape or a specifier such as %h in it.
func mayBe(program, said string) bool {
	return program == said || path.Base(program) == said || strings.ContainsAny(said, `%\`)
}
