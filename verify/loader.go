package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var noPreload = Check{
	ID:       "no-preload",
	Rev:      1,
	Title:    "no library is preloaded into host programs (ld.so.preload, LD_PRELOAD, LD_AUDIT)",
	Topic:    Processes,
	Severity: Critical,
	Refs:     []Ref{{sp80053, "SI-3"}, {sp80053, "SI-7"}, {sp80053, "CM-7"}},
	Help: Help{
		Why: "/etc/ld.so.preload loads a library into every dynamic program before anything else, LD_PRELOAD and LD_AUDIT into one. User-space rootkits are such libraries: ls, ps and sshd then tell what the intruder wants.",
		How: "/etc/ld.so.preload must name nothing, and the environment with which each host process was started must not have LD_PRELOAD or LD_AUDIT, unless libraries of the profile or a site overlay names the library. Static programs, as most of Go are, ignore all three.",
		Remedy: map[string]string{
			"": "Do not trust programs of the running system; read the library from another machine or from the disk. Remove the line or the Environment= of the unit, and install the node anew unless you put it there yourself.",
		},
	},
	Judge: On2(node.LoaderState, node.OS.Parts("init", "pidNamespace"), func(l node.Loader, s node.System, g Given) Finding {
		if l.PreloadFile == "" || l.PreloadFile == "unknown" && len(l.Preload) == 0 && len(l.Variables) == 0 {
			return unsaid("whether there is an /etc/ld.so.preload")
		}
		allowed := func(library string) bool {
			return standingOf(library, "", g.Profile.Inventory.Libraries) == isDeclared
		}
		var bad []string
		for _, library := range l.Preload {
			if !allowed(library) {
				bad = append(bad, "/etc/ld.so.preload: "+library)
			}
		}
		for _, v := range l.Variables {
			if v.Name != "LD_LIBRARY_PATH" && slices.ContainsFunc(v.Values, func(library string) bool { return !allowed(library) }) {
				bad = append(bad, variableText(v))
			}
		}
		if len(bad) > 0 {
			return failNaming("preload", bad, func(n int) string { return fmt.Sprintf("libraries that are forced into host programs (%d)", n) })
		}
		return wholeMachine(s, pass("none", "neither /etc/ld.so.preload nor the environment of a host process forces a library on it that nobody declared"))
	}),
}

func variableText(v node.LoaderVariable) string {
	return v.Program + ": " + v.Name + "=" + strings.Join(v.Values, ":")
}

var libraryPathsFromImage = Check{
	ID:        "library-paths-from-image",
	Rev:       2,
	Title:     "LD_LIBRARY_PATH of host programs leads into the OS image only",
	Topic:     Processes,
	Severity:  Medium,
	Refs:      []Ref{{sp80053, "SI-7"}, {sp80053, "CM-7"}},
	ImageOnly: true,
	Help: Help{
		Why: "LD_LIBRARY_PATH is searched before the system's own folders. Whoever can write to a folder in it has his code in the program at its next start, without changing a file of the image.",
		How: "Each folder that LD_LIBRARY_PATH of a host process names must be absolute and on a mount of the image, or be declared under libraries.",
		Remedy: map[string]string{
			"": "Link the program with a run path, or make it static, and drop LD_LIBRARY_PATH from its unit. A relative folder is the working directory of whoever starts it: never leave one.",
		},
	},
	Judge: On3(node.LoaderState.Parts("variables"), node.Mounts, node.OS.Parts("init", "pidNamespace"), func(l node.Loader, mounts []node.Mount, s node.System, g Given) Finding {
		if l.PreloadFile == "" || len(mounts) == 0 {
			return unsaid("what tells the loader where to look")
		}
		var bad []string
		for _, v := range l.Variables {
			if v.Name != "LD_LIBRARY_PATH" {
				continue
			}
			if slices.ContainsFunc(v.Values, func(dir string) bool {
				return !leadsToImage(dir, mounts) && standingOf(dir, "", g.Profile.Inventory.Libraries) != isDeclared
			}) {
				bad = append(bad, variableText(v))
			}
		}
		if len(bad) > 0 {
			return failNaming("outside-image", bad, func(n int) string { return fmt.Sprintf("programs that look for libraries outside the image (%d)", n) })
		}
		return wholeMachine(s, pass("from-image", "no host process was started with a folder outside the image in LD_LIBRARY_PATH"))
	}),
}
