package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// flatcarLike is a writable root with a read-only /usr.
var flatcarLike = []node.Mount{flatcarRoot, flatcarUsr, varLib}

func unitFact(edit func(*node.UnitFiles), gaps ...node.Gap) node.Facts {
	u := node.UnitFiles{Systemd: "yes", Units: []node.UnitFile{}, Timers: []node.UnitFile{}, DropIns: []node.UnitFile{}, Links: []node.UnitFile{}, Generators: []node.UnitFile{}}
	if edit != nil {
		edit(&u)
	}
	return withFact(withFact(onHost(), node.Mounts, flatcarLike), node.Units, u, gaps...)
}

func unitAt(path string, edits ...func(*node.UnitFile)) node.UnitFile {
	u := node.UnitFile{Definition: node.Definition{Path: path, Mode: 0o644, SHA256: "aa"}, Name: path[lastSlash(path)+1:]}
	for _, edit := range edits {
		edit(&u)
	}
	return u
}

func lastSlash(path string) int {
	for i := len(path) - 1; ; i-- {
		if path[i] == '/' {
			return i
		}
	}
}

func linkTo(target string) func(*node.UnitFile) {
	return func(u *node.UnitFile) { u.Link, u.Target, u.SHA256 = target, target, "" }
}

func starting(programs ...string) func(*node.UnitFile) {
	return func(u *node.UnitFile) { u.Starts = programs }
}

func from(origin string) func(*node.UnitFile) {
	return func(u *node.UnitFile) { u.Origin, u.SHA256 = origin, "" }
}

func allowUnits(places ...profiles.Place) profiles.Profile {
	return profiles.Profile{Persistence: profiles.Persistence{Units: places}}
}

var partGap = func(part string) node.Gap { g := deniedGap; g.Part = part; return g }

func TestUnitsFromImage(t *testing.T) {
	units := func(list ...node.UnitFile) node.Facts {
		return unitFact(func(u *node.UnitFiles) { u.Units = list })
	}
	links := func(list ...node.UnitFile) node.Facts {
		return unitFact(func(u *node.UnitFiles) { u.Links = list })
	}
	const evil = "/etc/systemd/system/evil.service"
	testJudge(t, unitsFromImage, []judgedRow{
		{name: "none", facts: unitFact(nil), want: "pass none"},
		{name: "a file in /etc", facts: units(unitAt(evil, starting("/var/evil"))), want: "fail outside-image", items: []string{evil + " starts /var/evil"}},
		{name: "it takes the place of the image's", facts: units(unitAt("/etc/systemd/system/sshd.service", func(u *node.UnitFile) { u.Overrides = "/usr/lib/systemd/system/sshd.service" })), want: "fail outside-image", items: []string{"/etc/systemd/system/sshd.service (in place of /usr/lib/systemd/system/sshd.service)"}},
		{name: "a link to the image's", facts: units(unitAt("/etc/systemd/system/dbus.service", linkTo("/usr/lib/systemd/system/dbus-broker.service"))), want: "pass from-image"},
		{name: "a link to writable storage", facts: units(unitAt(evil, linkTo("/var/evil.service"))), want: "fail outside-image", items: []string{evil + " -> /var/evil.service"}},
		{name: "masked", facts: units(unitAt("/etc/systemd/system/x.service", linkTo("/dev/null"))), want: "pass from-image"},
		{name: "a link to nowhere", facts: units(unitAt("/etc/systemd/system/x.service", func(u *node.UnitFile) { u.Link = "/gone" })), want: "pass from-image"},
		{name: "declared", profile: allowUnits(profiles.Place{Path: evil}), facts: units(unitAt(evil)), want: "pass declared", items: []string{evil}},
		{name: "declared with its digest", profile: allowUnits(profiles.Place{Path: evil, SHA256: "aa"}), facts: units(unitAt(evil)), want: "pass declared"},
		{name: "declared with another digest", profile: allowUnits(profiles.Place{Path: evil, SHA256: "bb"}), facts: units(unitAt(evil)), want: "fail outside-image"},
		{name: "a declared digest does not hold for a link", profile: allowUnits(profiles.Place{Path: evil, SHA256: "aa"}), facts: units(unitAt(evil, linkTo("/var/evil.service"))), want: "fail outside-image"},
		{name: "equal to the image's copy", facts: units(unitAt(evil, func(u *node.UnitFile) { u.Image = "/usr/etc/systemd/system/evil.service" })), want: "pass from-image"},
		{name: "equal to a copy that is no image's", facts: units(unitAt(evil, func(u *node.UnitFile) { u.Image = "/var/etc/x" })), want: "fail outside-image"},
		{name: "a unit of the image is enabled", facts: links(unitAt("/etc/systemd/system/multi-user.target.wants/a.service", linkTo("/usr/lib/systemd/system/a.service"))), want: "pass from-image"},
		{name: "something else is enabled", facts: links(unitAt("/etc/systemd/system/multi-user.target.wants/a.service", linkTo("/var/a.service"))), want: "fail outside-image"},
		{name: "what is enabled is named once", facts: unitFact(func(u *node.UnitFiles) {
			u.Units = []node.UnitFile{unitAt(evil)}
			u.Links = []node.UnitFile{unitAt("/etc/systemd/system/multi-user.target.wants/evil.service", linkTo(evil))}
		}), want: "fail outside-image", items: []string{evil}},
		{name: "a generator made it for a program of the image", facts: units(unitAt("/run/systemd/generator/a.service", from("generated"), starting("/usr/bin/a", "b"))), want: "pass from-image"},
		{name: "a generator made it for another program", facts: units(unitAt("/run/systemd/generator/rc-local.service", from("generated"), starting("/etc/rc.local"))), want: "fail outside-image", items: []string{"/run/systemd/generator/rc-local.service starts /etc/rc.local (generated)"}},
		{name: "systemd-run of a program in a home folder", facts: units(unitAt("/run/systemd/transient/run-uN.service", from("transient"), starting("%h/evil"))), want: "fail outside-image"},
		{name: "a generator made it for a program in /usr/local, a link to /var on Fedora CoreOS", facts: units(unitAt("/run/systemd/generator/a.service", from("generated"), starting("/usr/local/bin/a"))), want: "fail outside-image"},
		{name: "merged /usr", facts: units(unitAt("/run/systemd/generator/a.service", from("generated"), starting("/bin/true"))), want: "pass from-image"},
		{name: "a declared program", profile: allowUnits(profiles.Place{Path: "/opt/bin/*"}), facts: units(unitAt("/run/systemd/generator/a.service", from("generated"), starting("/opt/bin/a"))), want: "pass from-image"},
		{name: "no image at all", facts: withFact(units(unitAt(evil)), node.Mounts, []node.Mount{flatcarRoot}), want: "fail no-image"},
		{name: "below an overlay on /etc that hides its lower folder", facts: withFact(units(unitAt(evil)), node.Mounts, append([]node.Mount{withSuper(mounted("/etc", "overlay", "overlay", "rw", "rw"), "lowerdir=/sysroot/x/etc", "upperdir=/var/o")}, flatcarLike...)), want: "unknown below-overlay"},
		{name: "written to that overlay", facts: withFact(units(unitAt(evil, func(u *node.UnitFile) { u.Upper = true })), node.Mounts, append([]node.Mount{withSuper(mounted("/etc", "overlay", "overlay", "rw", "rw"), "lowerdir=/sysroot/x/etc", "upperdir=/var/o")}, flatcarLike...)), want: "fail outside-image"},
		{name: "Flatcar's overlay shows its lower folder", facts: withFact(units(unitAt(evil)), node.Mounts, append([]node.Mount{withSuper(mounted("/etc", "overlay", "overlay", "rw", "rw"), "lowerdir=/sysroot/usr/share/flatcar/etc", "upperdir=/sysroot/etc")}, flatcarLike...)), want: "fail outside-image"},
		{name: "not listed", facts: unitFact(func(u *node.UnitFiles) { u.Units = nil }), want: "unknown unread"},
		{name: "Talos", facts: withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.OS, node.System{Init: "init", PIDNamespace: "initial"}), want: "not-applicable no-systemd"},
		{name: "Talos' sandbox", facts: withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "systemd is process 1 and its folder is not there", facts: unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), want: "unknown not-booted"},
		{name: "whether systemd runs is not known", facts: unitFact(func(u *node.UnitFiles) { u.Systemd = "" }), want: "unknown unread"},
		{name: "a container's process 1", facts: withFact(unitFact(nil), node.OS, node.System{Init: "systemd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "gap", facts: unitFact(nil, partGap("units")), want: "unknown gap-denied"},
		{name: "a gap in another part", facts: unitFact(nil, partGap("timers")), want: "pass none"},
		{name: "a file in /etc over a gap", facts: unitFact(func(u *node.UnitFiles) { u.Units = []node.UnitFile{unitAt(evil)} }, partGap("units")), want: "fail outside-image"},
		{name: "fact missing", facts: lacking(unitFact(nil), node.Units, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestTimersFromImage(t *testing.T) {
	const evil = "/etc/systemd/system/evil.timer"
	timers := func(list ...node.UnitFile) node.Facts {
		return unitFact(func(u *node.UnitFiles) { u.Timers = list })
	}
	testJudge(t, timersFromImage, []judgedRow{
		{name: "none", facts: unitFact(nil), want: "pass none"},
		{name: "a timer in /etc", facts: timers(unitAt(evil)), want: "fail outside-image", items: []string{evil}},
		{name: "a timer of the image is enabled", facts: unitFact(func(u *node.UnitFiles) {
			u.Links = []node.UnitFile{unitAt("/etc/systemd/system/timers.target.wants/fstrim.timer", linkTo("/usr/lib/systemd/system/fstrim.timer"))}
		}), want: "pass from-image"},
		{name: "another is enabled", facts: unitFact(func(u *node.UnitFiles) {
			u.Links = []node.UnitFile{unitAt("/etc/systemd/system/timers.target.wants/x.timer", linkTo("/opt/x.timer"))}
		}), want: "fail outside-image"},
		{name: "services are another check's", facts: unitFact(func(u *node.UnitFiles) { u.Units = []node.UnitFile{unitAt("/etc/systemd/system/evil.service")} }), want: "pass none"},
		{name: "declared", profile: allowUnits(profiles.Place{Path: evil}), facts: timers(unitAt(evil)), want: "pass declared"},
		{name: "not listed", facts: unitFact(func(u *node.UnitFiles) { u.Timers = nil }), want: "unknown unread"},
		{name: "Talos", facts: withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.OS, node.System{Init: "init", PIDNamespace: "initial"}), want: "not-applicable no-systemd"},
		{name: "gap", facts: unitFact(nil, partGap("links")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(unitFact(nil), node.Units, node.Blocked, "blocked"), want: "unknown fact-blocked"},
	})
}

func TestDropInsDeclared(t *testing.T) {
	const kubeadm, autologin = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/etc/systemd/system/serial-getty@ttyS0.service.d/autologin-core.conf"
	dropIns := func(list ...node.UnitFile) node.Facts {
		return unitFact(func(u *node.UnitFiles) { u.DropIns = list })
	}
	testJudge(t, dropInsDeclared, []judgedRow{
		{name: "none", facts: unitFact(nil), want: "pass none"},
		{name: "kubeadm's, which the profile knows", profile: allowUnits(profiles.Place{Path: kubeadm}), facts: dropIns(unitAt(kubeadm)), want: "pass declared"},
		// corpus fcos/systemctl-cat-serial-getty-autologin
		{name: "Fedora CoreOS' autologin", profile: allowUnits(profiles.Place{Path: kubeadm}), facts: dropIns(unitAt(autologin, starting("/usr/sbin/agetty"))), want: "fail outside-image", items: []string{autologin + " starts /usr/sbin/agetty"}},
		{name: "systemctl set-property of this boot", facts: dropIns(unitAt("/run/systemd/system.control/a.service.d/50.conf", from("transient"))), want: "pass from-image"},
		{name: "systemctl edit --runtime that starts something else", facts: dropIns(unitAt("/run/systemd/transient/a.service.d/x.conf", from("transient"), starting("/tmp/x"))), want: "fail outside-image"},
		{name: "not listed", facts: unitFact(func(u *node.UnitFiles) { u.DropIns = nil }), want: "unknown unread"},
		{name: "no systemd", facts: withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.OS, node.System{Init: "init", PIDNamespace: "initial"}), want: "not-applicable no-systemd"},
		{name: "gap", facts: unitFact(nil, partGap("dropIns")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(unitFact(nil), node.Units, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestGeneratorsFromImage(t *testing.T) {
	const evil = "/etc/systemd/system-generators/evil"
	generators := func(list ...node.UnitFile) node.Facts {
		return unitFact(func(u *node.UnitFiles) { u.Generators = list })
	}
	testJudge(t, generatorsFromImage, []judgedRow{
		{name: "none", facts: unitFact(nil), want: "pass none"},
		{name: "a program", facts: generators(unitAt(evil)), want: "fail outside-image", items: []string{evil}},
		{name: "one that is switched off", facts: generators(unitAt("/etc/systemd/system-generators/systemd-gpt-auto-generator", linkTo("/dev/null"))), want: "pass from-image"},
		{name: "declared", profile: allowUnits(profiles.Place{Path: evil, SHA256: "aa"}), facts: generators(unitAt(evil)), want: "pass declared"},
		{name: "not listed", facts: unitFact(func(u *node.UnitFiles) { u.Generators = nil }), want: "unknown unread"},
		{name: "no systemd", facts: withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.OS, node.System{Init: "init", PIDNamespace: "initial"}), want: "not-applicable no-systemd"},
		{name: "gap", facts: unitFact(nil, partGap("generators")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(unitFact(nil), node.Units, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestUnitsAgree(t *testing.T) {
	const kubelet, dropIn = "/etc/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/10.conf"
	files := unitFact(func(u *node.UnitFiles) {
		u.Units = []node.UnitFile{unitAt(kubelet, starting("/usr/bin/kubelet")), unitAt("/etc/systemd/system/linked.service", linkTo("/opt/linked.service"), starting("sleep")),
			unitAt("/etc/systemd/system/home.service", starting("%h/bin/a"))}
		u.DropIns = []node.UnitFile{unitAt(dropIn, starting("/opt/bin/kubelet"))}
	})
	says := func(units ...node.LoadedUnit) node.Facts {
		return withFact(files, node.LoadedUnits, node.SystemdUnits{Asked: "yes", Units: units})
	}
	unit := func(fragment string, dropIns []string, starts ...string) node.LoadedUnit {
		return node.LoadedUnit{Name: fragment[lastSlash(fragment)+1:], Fragment: fragment, DropIns: dropIns, Starts: starts}
	}
	stale := unit(kubelet, nil, "/usr/bin/kubelet")
	stale.Stale = true
	testJudge(t, unitsAgree, []judgedRow{
		{name: "both say the same", facts: says(unit(kubelet, []string{dropIn}, "/usr/bin/kubelet", "/opt/bin/kubelet")), want: "pass agree"},
		{name: "systemd has loaded nothing from outside", facts: says(), want: "pass agree"},
		{name: "the file was removed after it was loaded", facts: says(unit("/etc/systemd/system/evil.service", nil, "/var/evil")), want: "fail differ", items: []string{"evil.service: systemd has it from /etc/systemd/system/evil.service, which was not found"}},
		{name: "the drop-in was removed after it was loaded", facts: says(unit("/usr/lib/systemd/system/sshd.service", []string{"/run/systemd/system/sshd.service.d/x.conf"}, "/var/evil")), want: "fail differ"},
		{name: "from a folder that no unit is in", facts: says(unit("/opt/evil.service", nil, "/var/evil")), want: "fail differ"},
		{name: "a linked unit by its own place", facts: says(unit("/opt/linked.service", nil, "/usr/bin/sleep")), want: "pass agree"},
		{name: "the file was changed after it was loaded", facts: says(unit(kubelet, nil, "/var/evil")), want: "fail differ", items: []string{"kubelet.service: systemd starts /var/evil, which its files do not say"}},
		{name: "a specifier stands for what only systemd knows", facts: says(unit("/etc/systemd/system/home.service", nil, "/root/bin/a")), want: "pass agree"},
		{name: "what the vendor's file starts is not known", facts: says(unit("/usr/lib/systemd/system/a.service", []string{dropIn}, "/usr/bin/a")), want: "pass agree"},
		{name: "files that are newer than what is loaded", facts: says(stale), want: "fail differ", items: []string{"kubelet.service: its files have changed since systemd read them"}},
		{name: "what systemd-run has made meanwhile", facts: says(unit("/run/systemd/transient/run-uN.service", nil, "/var/x")), want: "pass agree"},
		{name: "nobody asked", facts: withFact(files, node.LoadedUnits, node.SystemdUnits{Asked: "no"}), want: "not-applicable bus-not-asked"},
		{name: "nobody said whether anybody asked", facts: withFact(files, node.LoadedUnits, node.SystemdUnits{}), want: "unknown unread"},
		{name: "nobody asked in a container", facts: withFact(withFact(files, node.LoadedUnits, node.SystemdUnits{Asked: "no"}), node.OS, node.System{Init: "systemd", PIDNamespace: "other"}), want: "not-applicable bus-not-asked"},
		{name: "Talos", facts: withFact(withFact(unitFact(func(u *node.UnitFiles) { u.Systemd = "no" }), node.LoadedUnits, node.SystemdUnits{Asked: "no"}), node.OS, node.System{Init: "init", PIDNamespace: "initial"}), want: "not-applicable no-systemd"},
		{name: "the files were not listed", facts: withFact(unitFact(func(u *node.UnitFiles) { u.DropIns = nil }), node.LoadedUnits, node.SystemdUnits{Asked: "yes"}), want: "unknown unread"},
		{name: "the bus did not answer", facts: lacking(files, node.LoadedUnits, node.Failed, "asking the kernel for systemd-units: connection refused"), want: "unknown fact-failed"},
		{name: "gap", facts: withFact(unitFact(nil, partGap("units")), node.LoadedUnits, node.SystemdUnits{Asked: "yes"}), want: "unknown gap-denied"},
	})
}
