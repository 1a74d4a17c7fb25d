package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// agentChecks are about antivirus and similar agents.
var agentChecks = []Check{noAntivirusAgent, securityAgentsContained}

var noAntivirusAgent = Check{
	ID:        "no-antivirus-agent",
	Rev:       1,
	Title:     "no undeclared antivirus or EDR agent runs with power over an image-based host",
	Topic:     Processes,
	Severity:  Low,
	Refs:      []Ref{{sp80053, "CM-7"}, {sp80053, "CM-11"}, {pciDSS, "5.2.3"}, {grundschutz, "SYS.1.1.A9"}},
	ImageOnly: true,
	Help: Help{
		Why: "On a host whose programs are an image that cannot be changed, such an agent is the largest piece of privileged code that the image does not hold: it parses hostile files as root, loads into the kernel, updates itself, and has taken whole fleets down. Where one has to be there, this finding is the row of the compensating control worksheet that says what it is allowed.",
		How: "About twenty products are known by the names of their programs, on the host and in containers, and by the folders that their packages make (profiles/common.yaml). Finding none proves that none of these is there, not that none is. On an ordinary host, where programs are installed one by one and an antivirus has its place, this does not apply and lists what there is.",
		Remedy: map[string]string{
			"": "Take the agent's DaemonSet or package off these nodes and show the auditor this report in its place; or declare the product under agents in the site overlay, with who asked for it.",
		},
	},
	Judge: On2(node.Agents, node.OS.Parts("init", "pidNamespace"), func(v node.AgentState, o node.System, g Given) Finding {
		return wholeMachine(o, judgeAntivirus(v, g))
	}),
}

func judgeAntivirus(v node.AgentState, g Given) Finding {
	if v.Running == nil {
		return unsaid("which security agents it has")
	}
	if len(g.Profile.Containers.Agents) == 0 {
		return unknown("no-list", "the profile names no product that counts as an antivirus")
	}
	var bad, declared []string
	for _, p := range g.Profile.Containers.Agents {
		if p.Kind != "antivirus" {
			continue
		}
		var items []string
		for _, a := range v.Running {
			if slices.Contains(p.Programs, a.Name) {
				items = append(items, p.Name+": "+agentText(a))
			}
		}
		if len(items) == 0 {
			for _, dir := range intersect(v.Installed, p.Folders) {
				items = append(items, p.Name+": installed in "+dir+", not running")
			}
		}
		if slices.ContainsFunc(g.Profile.Containers.AllowedAgents, func(a profiles.Place) bool { return a.Path == p.Name }) {
			declared = append(declared, items...)
		} else {
			bad = append(bad, items...)
		}
	}
	switch {
	case len(bad) > 0 && g.Profile.Unsettled != "":
		return unknown("system-unsettled", "whether this host is an image is not settled, and an antivirus is there: "+strings.Join(bad, "; "), bad...)
	case len(bad) > 0 && g.Profile.Ordinary:
		return notApplicable("ordinary-host", "this is an ordinary host, where an antivirus has its place: "+strings.Join(bad, "; "), bad...)
	case len(bad) > 0:
		return fail("antivirus", "an antivirus is there, with rights that nothing else on this host has: "+strings.Join(bad, "; "), bad...)
	case len(declared) > 0:
		return pass("declared", "only agents that the profile names are there: "+strings.Join(declared, "; "), declared...)
	}
	return pass("none", "none of the known antivirus and EDR agents runs or is installed")
}

// agentText says what an agent is and what it is allowed.
func agentText(a node.Agent) string {
	text := a.Program
	switch {
	case a.Pod != "":
		text += " in pod " + a.Pod
	case a.Container:
		text += " in a container"
	case a.Unit != "":
		text += " as " + a.Unit
	}
	var rights []string
	if a.Root {
		rights = append(rights, "root")
	}
	if n := len(a.Capabilities); n > 8 {
		rights = append(rights, fmt.Sprintf("%d capabilities", n))
	} else if n > 0 {
		rights = append(rights, strings.Join(a.Capabilities, ", "))
	}
	if a.Seccomp == "off" {
		rights = append(rights, "no seccomp filter")
	}
	for _, m := range a.Mounts {
		if m.Writable {
			rights = append(rights, m.Host+" writable")
		} else {
			rights = append(rights, m.Host)
		}
	}
	if len(rights) == 0 {
		return text
	}
	return text + " (" + strings.Join(rights, "; ") + ")"
}

var securityAgentsContained = Check{
	ID:       "security-agents-contained",
	Rev:      1,
	Title:    "security agents can watch the host but cannot change it",
	Topic:    Processes,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "AC-6"}, {sp80053, "SC-39"}, {sp800190, "4.4.3"}, {iso27001, "8.2"}, {grundschutz, "SYS.1.6.A17"}},
	Help: Help{
		Why: "An agent that watches needs to read. One that can load modules, mount, or write the host's files is a way to root on every node at once, for whoever owns the vendor's update server.",
		How: "Antivirus, sensors and scanners alike, by the list in profiles/common.yaml. Watching takes BPF, PERFMON, SYS_PTRACE, SYS_RESOURCE, DAC_READ_SEARCH and read-only mounts: those pass. A capability to change the kernel or the host (SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_BOOT, MAC_ADMIN, MAC_OVERRIDE), a writable mount of the host's own folders, and root on the host outside a container without no_new_privs do not.",
		Remedy: map[string]string{
			"": "Falco, Tetragon and others run with a modern eBPF probe and named capabilities in place of privileged: true (Falco: driver.kind=modern_ebpf, driver.modernEbpf.leastPrivileged=true); mount what they read with readOnly: true. An agent as a service: NoNewPrivileges=yes and a CapabilityBoundingSet= in a drop-in.",
		},
	},
	Judge: On2(node.Agents.Parts("running"), node.OS.Parts("init", "pidNamespace"), func(v node.AgentState, o node.System, g Given) Finding {
		return wholeMachine(o, judgeAgentsContained(v, g))
	}),
}

// changing are the capabilities with which an agent can change the host.
var changing = []string{"MAC_ADMIN", "MAC_OVERRIDE", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO"}

func judgeAgentsContained(v node.AgentState, g Given) Finding {
	if v.Running == nil {
		return unsaid("which security agents it has")
	}
	var bad, good []string
	for _, a := range v.Running {
		product := a.Name
		for _, p := range g.Profile.Containers.Agents {
			if slices.Contains(p.Programs, a.Name) {
				product = p.Name
			}
		}
		var faults []string
		if caps := intersect(a.Capabilities, changing); len(caps) > 0 {
			faults = append(faults, strings.Join(caps, ", "))
		}
		for _, m := range a.Mounts {
			own := slices.Contains(rootPaths, m.Host) || slices.ContainsFunc(programPaths, func(p string) bool { return below(p, m.Host) })
			if m.Writable && own {
				faults = append(faults, m.Host+" writable")
			}
		}
		if !a.Container && a.Root && a.NoNewPrivs != "on" {
			faults = append(faults, "root on the host without no_new_privs")
		}
		item := product + ": " + a.Program
		if len(faults) > 0 {
			bad = append(bad, item+" has "+strings.Join(faults, "; "))
		} else {
			good = append(good, item)
		}
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	switch {
	case len(bad) > 0:
		return fail("uncontained", "security agents can change the host: "+strings.Join(bad, "; "), bad...)
	case len(good) == 0:
		return notApplicable("no-agent", "none of the known security agents runs")
	}
	return pass("contained", "security agents can look and not change: "+strings.Join(good, "; "), good...)
}
