package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var etcAsShipped = Check{
	ID: "etc-as-shipped", Rev: 1, Topic: Immutability, Severity: Medium,
	Title:     "/etc is as the OS image shipped it, but where the profile says otherwise",
	Refs:      imageRefs(Ref{sp80053, "CM-3"}, Ref{sp80053, "CM-6(2)"}, Ref{grundschutz, "APP.4.4.A8"}),
	ImageOnly: true,
	Help: Help{
		Why: "Everything that an image leaves open is decided in /etc: who may log in, which units start, what a shell runs first. A change there survives reboots and, on most systems, updates.",
		How: "Every file, folder and link of the /etc that the image keeps (/usr/etc, /usr/share/flatcar/etc) is compared with /etc by type, mode, owner, size and, where everybody may read it, content; what was added or removed counts as well. Names are shown, contents never. A read-only /etc is the image's own. Systems that make /etc anew in memory at every boot have nothing to compare.",
		Remedy: map[string]string{
			"flatcar":       "Copy the file back from /usr/share/flatcar/etc, or put the change into the Butane configuration and declare the path in a site overlay.",
			"fedora-coreos": "Copy the file back from /usr/etc (ostree admin config-diff lists them), or put the change into the Butane configuration or a MachineConfig and declare the path in a site overlay.",
			"":              "Replace the node by one that was configured anew, or declare the path in a site overlay.",
		},
	},
	Judge: On3(node.EtcDrift, node.Mounts, node.OS.Parts("init", "pidNamespace"), func(e node.EtcState, m []node.Mount, s node.System, g Given) Finding {
		if f, elsewhere := notTheHost(s); elsewhere {
			return f
		}
		return judgeEtc(e, m, g)
	}),
}

func judgeEtc(e node.EtcState, mounts []node.Mount, g Given) Finding {
	etc := mountOf(mounts, "/etc")
	switch {
	case etc.Path == "":
		return unsaid("what is mounted on it") // / always is
	case etc.ReadOnly():
		return pass("read-only", fmt.Sprintf("/etc is on %s, which is read-only", nameOf(etc)))
	case memoryType(etc.Type):
		return notApplicable("in-memory", "/etc is in memory and made anew at every boot: the image has no /etc to compare it with")
	case e.Defaults == "" && hasUpper(etc) && upperInMemory(etc, mounts):
		return notApplicable("in-memory", "what is written to /etc is in memory and gone after a reboot")
	case e.Defaults == "":
		return unknown("no-defaults", fmt.Sprintf("/etc is on %s, which can be written, and the image keeps no copy to compare it with (looked for /usr/etc and /usr/share/flatcar/etc)", nameOf(etc)))
	case e.Compared == 0:
		return unknown("nothing-compared", "the folder "+e.Defaults+" of the image is empty")
	case g.Profile.Extensions.Etc == nil:
		return withoutExpectation(g, "the profile does not say what in /etc may differ from the image")
	}
	var bad []string
	declared := 0
	add := func(path, what string) {
		if placeNames(g.Profile.Extensions.Etc, path) {
			declared++
			return
		}
		bad = append(bad, path+" ("+what+")")
	}
	for _, c := range e.Changed {
		add(c.Path, "other "+c.What)
	}
	for _, p := range e.Added {
		add(p, "added")
	}
	for _, p := range e.Removed {
		add(p, "removed")
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return fail("differs", fmt.Sprintf("/etc differs from %s: %s", e.Defaults, strings.Join(bad, ", ")), bad...)
	}
	return pass("as-shipped", fmt.Sprintf("%d entries of %s are in /etc as the image has them; %d differences are such as the profile declares", e.Compared, e.Defaults, declared))
}

// upperInMemory reports whether what is written to an overlay lies in memory.
func upperInMemory(m node.Mount, mounts []node.Mount) bool {
	upper, _ := m.Option("upperdir")
	on := mountOf(mounts, upper)
	return strings.HasPrefix(upper, "/") && memoryType(on.Type)
}
