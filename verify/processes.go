package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var processChecks = []Check{processesFromImage, noDeletedExecutables}

// processRefs is what every check of host processes is evidence for.
var processRefs = []Ref{
	{sp80053, "SI-7"}, {sp80053, "CM-7(5)"}, {sp80053, "CM-11"},
	{pciDSS, "5.2.3"}, {pciDSS, "11.5.2"}, {pciContainers, "8.2"},
	{sp800190, "4.5.2"}, {sp800190, "4.4.4"},
	{iso27001, "8.7"}, {iso27001, "8.19"}, {soc2, "CC6.8"}, {soc2, "CC7.1"},
	{grundschutz, "SYS.1.1.A27"}, {grundschutz, "SYS.1.1.A31"},
	{dora, "Art. 11(2)(c)"}, {dora, "Art. 11(2)(d)"}, {nis2, "6.9"},
	{cisControls, "2.5"}, {cisControls, "10.7"}, {containerSRG, "SRG-APP-000384"},
}

var processesFromImage = Check{
	ID:        "processes-from-image",
	Rev:       2,
	Title:     "every host process runs from the OS image or from a declared place",
	Topic:     Processes,
	Severity:  Critical,
	Refs:      processRefs,
	ImageOnly: true,
	Help: Help{
		Why: "On a host whose system is an image, a program that runs from anywhere else was put there by somebody. It is what an antivirus would be looking for.",
		How: "For every program outside containers the file system that its executable is on is looked at, and for scripts that of the script as well. It must be mounted read-only, without an upper directory, at /, at or below /usr, /bin, /sbin or /lib* (but /usr/local), or show extension images alone, or the profile must declare the path. A program that is in memory only, on a mount that was detached since, or whose root is not the host's, comes from nowhere in the image. How well the image itself is held is another check's matter.",
		Remedy: map[string]string{
			"talos":        "Find the extension service, static pod or container that started it; programs in /opt that no CNI put there do not belong. Apply the machine configuration anew and reboot; what persists in /var is cleared by talosctl reset --system-labels-to-wipe EPHEMERAL.",
			"flatcar":      "Ship it as a system extension image (/etc/extensions/NAME.raw) in place of a file under /opt, or declare its path in a site overlay. Otherwise remove the unit that starts it.",
			"bottlerocket": "Only host containers, CNI and CSI plugins run from outside the image: apiclient get settings.host-containers, disable what should not be there, or replace the node.",
			"":             "Find what starts it by its cgroup, then put it into the image, declare its path in a site overlay, or remove it.",
		},
	},
	Judge: On3(node.Processes, node.Mounts, node.OS.Parts("init", "pidNamespace"), func(p []node.Program, m []node.Mount, s node.System, g Given) Finding {
		return wholeMachine(s, judgeProcesses(p, m, g))
	}),
}

func judgeProcesses(programs []node.Program, mounts []node.Mount, g Given) Finding {
	if len(programs) == 0 {
		return unsaid("what runs on it") // process 1 is always there
	}
	var bad, declared, open []string
	image := 0
	for _, p := range programs {
		item := programText(p)
		switch {
		case fromImage(p, mounts):
			image++
		case placeDeclared(p, g.Profile.Processes.Allowed):
			declared = append(declared, item)
		case len(p.On.Options) == 0 && !p.Memory && !p.OwnRoot && !p.Detached:
			open = append(open, item)
		default:
			bad = append(bad, item)
		}
	}
	for _, list := range []*[]string{&bad, &declared, &open} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	switch {
	case image == 0 && len(bad) > 0:
		return fail("no-image", fmt.Sprintf("no host process runs from a read-only image: there is none, or it is writable; %d programs run from writable places", len(bad)))
	case len(bad) > 0:
		return fail("outside-image", "programs run from outside the image and from no declared place: "+strings.Join(bad, "; "), bad...)
	case len(open) > 0:
		return unknown("mount-unknown", fmt.Sprintf("the file system of %d programs is not known: %s", len(open), strings.Join(open, "; ")), open...)
	case len(declared) > 0:
		return pass("declared", fmt.Sprintf("%d programs run from the image, %d from places that the profile declares: %s", image, len(declared), strings.Join(declared, "; ")), declared...)
	}
	return pass("from-image", fmt.Sprintf("all %d programs run from the image", image))
}

func programText(p node.Program) string {
	text := p.Path
	if p.Script != "" {
		text += " " + p.Script
	}
	switch {
	case p.Memory:
		text += " (in memory only)"
	case p.Detached:
		text += " (from a mount that was detached)"
	case p.OwnRoot:
		text += " (in a root of its own)"
	}
	return text
}

// fromImage reports whether the program is a file of the OS image, and so is the
// script where it runs one.
func fromImage(p node.Program, mounts []node.Mount) bool {
	if p.Memory || p.Detached || p.OwnRoot || !imageMount(p.On) {
		return false
	}
	return p.Script == "" || imageMount(mountOf(mounts, p.Path))
}

// mountOf is the mount that a path without symbolic links is on, or the zero
// Mount.
func mountOf(mounts []node.Mount, path string) node.Mount {
	m, _ := carrier(mounts, path)
	return m
}

// mergedDirs are links into /usr on every system with a merged /usr: file-hierarchy(7).
var mergedDirs = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// leadsToImage reports whether a path that a program of the host would open, and
// that may have links in it, lies on the OS image. Below /usr/local it does not: that
// is a link to writable storage on some systems. Neither does one with "..", which a
// link before it may send elsewhere.
func leadsToImage(p string, mounts []node.Mount) bool {
	if !path.IsAbs(p) || slices.Contains(strings.Split(p, "/"), "..") {
		return false
	}
	p = path.Clean(p)
	on := mountOf(mounts, p)
	for _, dir := range mergedDirs {
		if below(p, dir) && !below(on.Path, dir) && !imageMount(on) { // nothing can be mounted on a link
			on = mountOf(mounts, "/usr"+p)
		}
	}
	return imageMount(on) && !below(p, "/usr/local")
}

// imageMount reports whether a mount holds a part of the OS image, and is
// read-only: the root, a directory of programs or what is below one, or an
// extension image. A name that a mount gives itself says nothing. An overlay with
// an upper directory is written there, whatever its flags say here.
func imageMount(m node.Mount) bool {
	if len(m.Options) == 0 || len(m.Super) == 0 || !m.ReadOnly() || hasUpper(m) {
		return false
	}
	return m.Path == "/" || holdsPrograms(m.Path) || extensionMount(m)
}

// extensionMount reports whether a mount on /opt shows extension images alone.
// systemd-sysext(8) puts what else is in /opt below them, where that is not
// empty, and then anything that lies there is shown.
func extensionMount(m node.Mount) bool {
	lowers := lowerDirs(m)
	return m.Path == "/opt" && m.Type == "overlay" && !hasUpper(m) && len(lowers) > 0 &&
		!slices.ContainsFunc(lowers, func(dir string) bool { return !below(dir, "/run/systemd/sysext") })
}

// placeDeclared reports whether the profile declares the program's file: the
// executable, or the script where it runs one. A place that names a script is of
// that script alone, run by the interpreter at its path.
func placeDeclared(p node.Program, places []profiles.Place) bool {
	if p.Memory || p.Detached {
		return false
	}
	return slices.ContainsFunc(places, func(place profiles.Place) bool {
		switch {
		case place.Script != "":
			return p.Script != "" && matches(p.Script, place.Script) && (place.Path == "" || matches(p.Path, place.Path))
		case p.Script != "":
			return matches(p.Script, place.Path)
		}
		return matches(p.Path, place.Path)
	})
}

var noDeletedExecutables = Check{
	ID:       "no-deleted-executables",
	Rev:      1,
	Title:    "no host process runs an executable that is deleted or only in memory",
	Topic:    Processes,
	Severity: Critical,
	Refs:     slices.Concat(processRefs, []Ref{{sp80053, "SI-4"}}),
	Help: Help{
		Why: "Code that is on no file system cannot be looked at, hashed or found after a reboot. Intruders run their programs so. On an ordinary host an upgraded package leaves the old program running from a deleted file: then the hole that the upgrade closed is still open.",
		How: "The executable of every process outside containers is asked of the kernel (proc_pid_exe(5)): it must still have a name, lie on a mount that is still there, and not be an anonymous memory file (memfd_create(2)).",
		Remedy: map[string]string{
			"": "Find out who started it before you end it. After a package upgrade restart the service (needrestart lists them) or reboot.",
		},
	},
	Judge: On2(node.Processes, node.OS.Parts("init", "pidNamespace"), func(p []node.Program, s node.System, _ Given) Finding {
		return wholeMachine(s, judgeDeleted(p))
	}),
}

func judgeDeleted(programs []node.Program) Finding {
	if len(programs) == 0 {
		return unsaid("what runs on it") // process 1 is always there
	}
	var memory, deleted []string
	for _, p := range programs {
		switch {
		case p.Memory:
			memory = append(memory, programText(p))
		case p.Detached:
			deleted = append(deleted, programText(p))
		case p.Deleted:
			deleted = append(deleted, programText(p)+" (deleted)")
		}
	}
	bad := slices.Concat(memory, deleted)
	slices.Sort(bad)
	bad = slices.Compact(bad)
	switch {
	case len(memory) > 0:
		return fail("memory-only", "programs run that are in memory only or whose file is deleted: "+strings.Join(bad, "; "), bad...)
	case len(deleted) > 0:
		return fail("deleted", "programs run whose file is deleted: "+strings.Join(bad, "; "), bad...)
	}
	return pass("all-on-disk", fmt.Sprintf("all %d programs run from files that exist", len(programs)))
}
