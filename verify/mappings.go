package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// onMappings makes a judge of what host processes have mapped to be executed.
func onMappings(judge func([]node.Mapping, Given) Finding) Judge {
	return On2(node.Mappings, node.OS.Parts("init", "pidNamespace"), func(m []node.Mapping, s node.System, g Given) Finding {
		if len(m) == 0 {
			return unsaid("what its programs have mapped") // process 1 runs something
		}
		return wholeMachine(s, judge(m, g))
	})
}

// isProgram reports whether a mapping is the executable of the processes that have
// it, and no library: checks of processes judge those.
func isProgram(m node.Mapping) bool { return slices.Contains(m.Programs, m.Path) }

func mappingText(m node.Mapping) string {
	text := m.Path
	switch {
	case m.Memory:
		text += " (in memory only)"
	case m.Detached:
		text += " (from a mount that was detached)"
	case m.Deleted:
		text += " (deleted)"
	case m.OwnRoot:
		text += " (in a root of its own)"
	}
	if m.SHA256 != "" {
		text += " sha256:" + m.SHA256
	}
	if len(m.Programs) > 0 && !isProgram(m) {
		text += " in " + strings.Join(m.Programs[:min(3, len(m.Programs))], ", ")
		if n := len(m.Programs) - 3; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
	}
	return text
}

// standingOfMapping is what the profile says of a mapping outside the image. A
// program that has a root of its own by design brings its libraries in it.
func standingOfMapping(m node.Mapping, p *profiles.Profile) standing {
	programs := executablePlaces(p)
	places := slices.Concat(programs, p.Inventory.Mappings, p.Inventory.Libraries)
	if is := standingOf(m.Path, m.SHA256, places); is != isUndeclared || !m.OwnRoot || len(m.Programs) == 0 {
		return is
	}
	for _, program := range m.Programs {
		if standingOf(program, "", programs) != isDeclared {
			return isUndeclared
		}
	}
	return isDeclared
}

var mappingsFromImage = Check{
	ID:        "mappings-from-image",
	Rev:       2,
	Title:     "all code that host processes have mapped is in the OS image or declared",
	Topic:     Processes,
	Severity:  Critical,
	Refs:      slices.Concat(processRefs, []Ref{{sp80053, "SI-7(1)"}}),
	ImageOnly: true,
	Help: Help{
		Why: "A program of the image is no more to be trusted than the libraries that it loads. Malware for Linux prefers to be a library: it hides in the sshd or the kubelet that everybody expects to see.",
		How: "Once an hour the memory map of each host process (proc_pid_maps(5)) is read for files that are mapped to be executed. Each must be on a mount of the image, or a place of the profile or of a site overlay must name it, with its digest where one is given. Files in memory and deleted ones have checks of their own.",
		Remedy: map[string]string{
			"talos":   "No service of the system loads anything from /var or /opt. Take the node out of service, keep its disk, and install it anew.",
			"flatcar": "Put plug-ins of a service into the extension image that brings the service; what sits in /opt/lib can be named in a site overlay under mappings.",
			"":        "See which program has it (the finding names up to three) and why: a plug-in can be declared under mappings of a site overlay, anything else ends with a fresh installation of the node.",
		},
	},
	Judge: onMappings(judgeMappings),
}

func judgeMappings(mappings []node.Mapping, g Given) Finding {
	var bad, different, open []string
	image, known := 0, 0
	for _, m := range mappings {
		if m.Memory {
			continue
		}
		if imageMount(m.On) && !m.OwnRoot && !m.Detached {
			image++
			continue
		}
		switch standingOfMapping(m, g.Profile) {
		case isDeclared:
			known++
		case isChanged:
			different = append(different, mappingText(m))
		case isUnhashed:
			open = append(open, mappingText(m))
		default:
			bad = append(bad, mappingText(m))
		}
	}
	switch {
	case image == 0 && len(bad) > 0:
		return fail("no-image", fmt.Sprintf("nothing that host processes run is on a read-only image: there is none, or it is writable; %d files are mapped from writable places", len(bad)))
	case len(different) > 0:
		return failNaming("changed", slices.Concat(different, bad), func(n int) string {
			return fmt.Sprintf("files whose code host processes run, and that are not declared or have another content than is declared (%d)", n)
		})
	case len(bad) > 0:
		return failNaming("outside-image", bad, func(n int) string {
			return fmt.Sprintf("files outside the image whose code host processes run, and that nobody declared (%d)", n)
		})
	case len(open) > 0:
		return unknown("not-hashed", fmt.Sprintf("%d files are declared with a digest and were not hashed: %s", len(open), strings.Join(open, "; ")), open...)
	}
	return pass("from-image", fmt.Sprintf("%d files are in the image, %d are declared", image, known))
}

var noDeletedLibraries = Check{
	ID:       "no-deleted-libraries",
	Rev:      1,
	Title:    "no host process runs code of a deleted library",
	Topic:    Processes,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "SI-4"}, {sp80053, "SI-2"}, {sp80053, "SI-7"}},
	Help: Help{
		Why: "A library that was deleted after it was loaded cannot be looked at any more, which is why intruders do it. The honest case is an update: then the process still runs the code that the update was to replace.",
		How: "Files that are mapped to be executed must still have a name, and lie on a mount that is still there. Executables themselves are judged by no-deleted-executables.",
		Remedy: map[string]string{
			"microos": "transactional-update changes the next snapshot, never the running one, so this is no update: find out what the program is before you reboot into the snapshot.",
			"":        "Restart the program after an update of its libraries. Where there was none, keep /proc/PID/map_files before you end the process.",
		},
	},
	Judge: onMappings(func(mappings []node.Mapping, _ Given) Finding {
		var bad []string
		for _, m := range mappings {
			if !m.Memory && !isProgram(m) && (m.Deleted || m.Detached) {
				bad = append(bad, mappingText(m))
			}
		}
		if len(bad) > 0 {
			return failNaming("deleted", bad, func(n int) string { return fmt.Sprintf("deleted libraries whose code host processes run (%d)", n) })
		}
		return pass("all-there", fmt.Sprintf("all of the %d files that host processes have mapped have their names", len(mappings)))
	}),
}

var noMemoryMappings = Check{
	ID:       "no-memory-mappings",
	Rev:      1,
	Title:    "no host process runs code from a file that is only in memory",
	Topic:    Processes,
	Severity: High,
	Refs:     []Ref{{sp80053, "SI-4"}, {sp80053, "SI-3"}, {sp80053, "SI-7"}},
	Help: Help{
		Why: "A library can be loaded from memfd_create(2) or shared memory without ever touching a disk: no scan of files sees it. Programs of a container host have no need of that. Some just-in-time compilers do it (.NET: doublemapper), which is why there is a list.",
		How: "The memory maps of host processes are searched for files of memory that may be executed. Memory without a file, as most compilers use it, is left out: it cannot be told from theirs. A place \"/memfd:NAME\" under mappings excuses one.",
		Remedy: map[string]string{
			"": "Ask what the program is: one with a just-in-time compiler belongs into a container. If it is one of the image, treat the node as taken over: save /proc/PID/maps and its memory first, end it afterwards.",
		},
	},
	Judge: onMappings(func(mappings []node.Mapping, g Given) Finding {
		var bad []string
		for _, m := range mappings {
			if m.Memory && !isProgram(m) && standingOf(m.Path, "", g.Profile.Inventory.Mappings) != isDeclared {
				bad = append(bad, mappingText(m))
			}
		}
		if len(bad) > 0 {
			return failNaming("memory-only", bad, func(n int) string {
				return fmt.Sprintf("files in memory only whose code host processes run (%d)", n)
			})
		}
		return pass("none", fmt.Sprintf("none of the %d files that host processes have mapped", len(mappings)))
	}),
}

var noScriptsFromWritableStorage = Check{
	ID:        "no-scripts-from-writable-storage",
	Rev:       2,
	Title:     "no interpreter on the host runs a script from undeclared writable storage",
	Topic:     Processes,
	Severity:  High,
	Refs:      []Ref{{sp80053, "CM-7(5)"}, {sp80053, "SC-18"}, {sp80053, "SI-7"}, {cisControls, "2.7"}},
	ImageOnly: true,
	Help: Help{
		Why: "bash and python of a verified image run whatever they are given: noexec, setuid rules and the digest of the interpreter say nothing about the script. It is the shortest way around an immutable system.",
		How: "The arguments of interpreters and of the dynamic loader outside containers are read for the file that they run; a shell or Python without one reads its standard input, and what that leads to counts, but for a terminal. It must be on a mount of the image, or a place of the profile or a site overlay must name it. A script that comes through a pipe (curl | sh) or from memory is on none.",
		Remedy: map[string]string{
			"cos": "Scripts of start-up metadata end with the boot; one that stays belongs into a container, or into a site overlay if it is GKE's.",
			"":    "Find the unit or the person that started it. What has to stay on the host is better shipped in the image, and declared by its path (script: PATH) if it cannot be.",
		},
	},
	Judge: On2(node.Processes, node.OS.Parts("init", "pidNamespace"), func(programs []node.Program, s node.System, g Given) Finding {
		return wholeMachine(s, judgeScripts(programs, g))
	}),
}

func judgeScripts(programs []node.Program, g Given) Finding {
	if len(programs) == 0 {
		return unsaid("what runs on it")
	}
	var bad, open []string
	image, known := 0, 0
	for _, p := range programs {
		switch {
		case p.Script == "":
		case imageMount(p.On) && !p.Memory && !p.OwnRoot:
			image++
		case placeDeclared(p, g.Profile.Processes.Allowed):
			known++
		case len(p.On.Options) == 0 && !p.Memory && !p.OwnRoot && !p.Detached:
			open = append(open, programText(p))
		default:
			bad = append(bad, programText(p))
		}
	}
	switch {
	case len(bad) > 0:
		return failNaming("writable-script", bad, func(n int) string {
			return fmt.Sprintf("scripts that interpreters run from storage that can be written (%d)", n)
		})
	case len(open) > 0:
		return unknown("mount-unknown", fmt.Sprintf("the file system of %d scripts is not known: %s", len(open), strings.Join(open, "; ")), open...)
	}
	return pass("none", fmt.Sprintf("interpreters run %d scripts of the image, %d that are declared, and no other", image, known))
}
