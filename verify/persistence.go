package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// persistenceChecks are about what starts programs again after a boot.
var persistenceChecks = []Check{
	unitsFromImage, timersFromImage, dropInsDeclared, generatorsFromImage, unitsAgree,
	noCronJobs, noBootScripts, udevRulesFromImage, moduleLoadingDeclared, loginHooksFromImage, libraryFoldersFromImage, binfmtHandlersKnown,
	networkPluginsKnown, kubeletPluginsKnown, bpfProgramsKnown,
}

// persistenceRefs are what every check of persistence is evidence for.
func persistenceRefs(more ...Ref) []Ref {
	return slices.Concat(more, []Ref{
		{sp80053, "SI-7"}, {sp80053, "CM-3"}, {sp80053, "CM-7(5)"}, {sp80053, "CM-11"},
		{pciDSS, "11.5.2"}, {pciContainers, "8.2"}, {sp800190, "4.5.2"},
		{iso27001, "8.19"}, {soc2, "CC6.8"}, {grundschutz, "SYS.1.1.A31"}, {cisControls, "2.5"},
	})
}

// origin is where a definition comes from.
type origin int

const (
	ofImage  origin = iota // it is a file of the OS image, or equal to one
	inert                  // a link that leads nowhere, or masks
	declared               // the profile declares it
	hidden                 // it may be the image's: what lies below an overlay is not seen
	foreign
)

// originOf tells where a definition comes from.
func originOf(d node.Definition, mounts []node.Mount, places []profiles.Place) origin {
	at := d.Path
	if d.Target != "" {
		at = d.Target
	}
	switch {
	case d.Link != "" && (d.Target == "" || d.Target == "/dev/null"):
		return inert
	case imageMount(mountOf(mounts, at)), d.Image != "" && imageMount(mountOf(mounts, d.Image)):
		return ofImage
	case slices.ContainsFunc(places, func(p profiles.Place) bool {
		return p.Script == "" && matches(d.Path, p.Path) && (p.SHA256 == "" || p.SHA256 == d.SHA256)
	}):
		return declared
	case !d.Upper && hidesImage(mountOf(mounts, at)):
		return hidden
	}
	return foreign
}

// copiedLowers are folders of the image that show what lies below the overlay on
// /etc: a file that has no equal there is not the image's.
var copiedLowers = []string{"/usr/share/flatcar/etc", "/usr/etc"}

// hidesImage reports whether m is an overlay on /etc over files of the image that
// cannot be looked up any more.
func hidesImage(m node.Mount) bool {
	return m.Path == "/etc" && m.Type == "overlay" && slices.ContainsFunc(lowerDirs(m), func(dir string) bool {
		return !slices.Contains(copiedLowers, strings.TrimPrefix(dir, "/sysroot"))
	})
}

// things are how a check calls what it looks at.
type things struct{ one, many string }

func (t things) count(n int) string {
	if n == 1 {
		return "1 " + t.one
	}
	return fmt.Sprintf("%d %s", n, t.many)
}

// sorted is a list of definitions by where they come from.
type sorted map[origin][]string

func sortDefinitions(list []node.Definition, mounts []node.Mount, places []profiles.Place) sorted {
	out := sorted{}
	for _, d := range list {
		o := originOf(d, mounts, places)
		out[o] = append(out[o], definitionText(d))
	}
	return out
}

// finding is the verdict on a sorted list of what an OS image has of its own.
func (s sorted) finding(what things, mounts []node.Mount) Finding {
	bad := s[foreign]
	switch {
	case len(bad) > 0 && !anyImage(mounts):
		return s.verdict(what, "no-image", "on a host without a read-only image")
	case len(bad) > 0:
		return s.verdict(what, "outside-image", "from outside the image and from no declared place")
	}
	return s.verdict(what, "", "")
}

// undeclared is the verdict on a sorted list of what a cluster puts on any host.
func (s sorted) undeclared(what things) Finding {
	return s.verdict(what, "undeclared", "neither of an image nor declared")
}

// verdict fails with this code and these words where something is foreign.
// Nothing at all is a pass: it was looked for.
func (s sorted) verdict(what things, code, words string) Finding {
	total := 0
	for o, list := range s {
		slices.Sort(list)
		s[o] = slices.Compact(list)
		total += len(s[o])
	}
	switch bad := s[foreign]; {
	case len(bad) > 0:
		return fail(code, fmt.Sprintf("%s %s: %s", what.count(len(bad)), words, strings.Join(bad, "; ")), bad...)
	case len(s[hidden]) > 0:
		return unknown("below-overlay", fmt.Sprintf("whether the image has them is hidden by the overlay on /etc: %s", strings.Join(s[hidden], "; ")), s[hidden]...)
	case total == 0:
		return pass("none", "there is no "+what.one)
	case len(s[declared]) > 0:
		return pass("declared", fmt.Sprintf("of %s, these are declared and the others from the image: %s", what.count(total), strings.Join(s[declared], "; ")), s[declared]...)
	}
	return pass("from-image", fmt.Sprintf("%s: from the image, or masked", what.count(total)))
}

// anyImage reports whether some part of the system is a read-only image.
func anyImage(mounts []node.Mount) bool {
	return slices.ContainsFunc([]string{"/", "/usr"}, func(path string) bool { return imageMount(mountOf(mounts, path)) })
}

func definitionText(d node.Definition) string {
	text := d.Path
	switch {
	case d.Link != "":
		text += " -> " + d.Link
	case d.Target != "":
		text += " (" + d.Target + ")"
	}
	if len(d.Starts) > 0 {
		text += " starts " + strings.Join(d.Starts, ", ")
	}
	return text
}

// startupJudge makes the judge of one list of the fact startup.
func startupJudge(part string, what things, list func(node.StartupFiles) []node.Definition) Judge {
	return On3(node.Startup.Parts(part), node.Mounts, node.OS.Parts("init", "pidNamespace"), func(v node.StartupFiles, m []node.Mount, s node.System, g Given) Finding {
		return wholeMachine(s, judgeStartup(list(v), what, m, g.Profile.Persistence.Startup))
	})
}

func judgeStartup(list []node.Definition, what things, mounts []node.Mount, places []profiles.Place) Finding {
	if list == nil {
		return unsaid("whether it has a " + what.one)
	}
	return sortDefinitions(list, mounts, places).finding(what, mounts)
}
