package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// AgentState is which security agents there are.
type AgentState struct {
	Running []Agent `json:"running"`
	// Installed are the folders of AgentFolders that are there.
	Installed []string `json:"installed"`
}

// Agent is a running program of a security agent and what it is allowed.
type Agent struct {
	Program   string `json:"program"`   // executable
	Name      string `json:"name"`      // the word of AgentPrograms
	Pod       string `json:"pod"`       // "namespace/name" or uid; "" outside pods
	Container bool   `json:"container"` // it runs in a container
	Unit      string `json:"unit"`      // cgroup of a host process, without what differs between equal nodes
	Root      bool   `json:"root"`      // it is user 0, or can become it
	// Capabilities are those that it has permitted, beyond the engines' default.
	Capabilities []string `json:"capabilities"`
	Seccomp      string   `json:"seccomp"`    // "on", "off", "" where the kernel does not say
	NoNewPrivs   string   `json:"noNewPrivs"` // "on", "off", "" where the kernel does not say
	// Mounts are the paths of the host that its container has.
	Mounts []HostMount `json:"mounts"`
}

// AgentPrograms are the names of executables of security agents, sorted: those
// that profiles/common.yaml names (a test compares them). Kernel names of
// processes are these cut to 15 bytes.
var AgentPrograms = []string{
	"TaniumClient", "bdsecd", "cbagentd", "cbdaemon", "clamd", "clamonacc", "dragent", "drweb-configd", "drweb-filecheck", "ds_agent", "ds_am", "elastic-agent",
	"elastic-endpoint", "esets_daemon", "falco", "falcon-kac", "falcon-sensor", "falcon-sensor-bpf", "falcond", "freshclam", "ir_agent", "isecespd", "kesl", "mdatp",
	"mfeespd", "mfetpd", "nessus-agent-module", "nessusd", "osqueryd", "ossec-agentd", "ossec-syscheckd", "pmd", "qualys-cloud-agent", "rtvscand", "s1-agent",
	"s1-orchestrator", "savd", "savscand", "sisamdaemon", "sisidsdaemon", "sisipsdaemon", "sophos_threat_detector", "tetragon", "tmxbc", "traps_pmd", "twistlock_defender",
	"wazuh-agentd", "wazuh-syscheckd", "wdavdaemon",
}

// AgentFolders are where security agents are installed, sorted: those that
// profiles/common.yaml names.
var AgentFolders = []string{
	"/opt/CrowdStrike", "/opt/Elastic/Agent", "/opt/Elastic/Endpoint", "/opt/McAfee", "/opt/Symantec", "/opt/Tanium", "/opt/TrendMicro", "/opt/bitdefender-security-tools",
	"/opt/carbonblack", "/opt/cybereason", "/opt/drweb.com", "/opt/ds_agent", "/opt/eset", "/opt/kaspersky", "/opt/microsoft/mdatp", "/opt/nessus_agent", "/opt/rapid7",
	"/opt/sentinelone", "/opt/sophos-av", "/opt/sophos-spl", "/opt/traps", "/opt/trellix", "/usr/local/qualys/cloud-agent", "/var/lib/clamav", "/var/ossec",
}

// Agents are security agents, by the names of what runs and of where they are
// installed.
var Agents = Source[AgentState]{
	Name:  "agents",
	Doc:   "antivirus and other security agents, and what they are allowed",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (AgentState, []Gap, error) {
		v := AgentState{Running: []Agent{}, Installed: []string{}}
		t, err := h.gathering.processes()
		if err != nil {
			return v, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, g := range t.gaps {
			if !strings.HasPrefix(g.What, "arguments") {
				gaps = append(gaps, g)
			}
		}
		for _, dir := range AgentFolders {
			switch _, err := h.Stat(dir[1:]); {
			case err == nil:
				v.Installed = append(v.Installed, dir)
			case !IsAbsent(err):
				gaps = append(gaps, GapOf("the folder "+dir, err).In("installed"))
			}
		}
		host := newHostPaths(t.namespaces.host)
		unread := tally{what: "mounts of security agents"}
		for p, name := range t.agents() {
			a := Agent{
				Program: p.name(), Name: name, Pod: p.pod, Container: p.container != "", Unit: p.unit,
				Root: slices.Contains(p.uids, 0), Capabilities: capabilityNames(p.capPrm &^ defaultCapabilities),
				Seccomp: weaker("on", p.seccomp), NoNewPrivs: weaker("on", p.noNewPrivs), Mounts: []HostMount{},
			}
			if a.Container {
				unread.of++
				mounts, err := host.in(h, t.namespaces.of(p), p.pod)
				if err != nil && !vanished(err) {
					unread.add(p.pid, err)
				}
				a.Mounts = append(a.Mounts, mounts...)
			}
			v.Running = append(v.Running, a)
		}
		if slices.ContainsFunc(v.Running, func(a Agent) bool { return a.Pod != "" }) {
			names, err := podNames(h)
			if err != nil {
				gaps = append(gaps, GapOf("names of pods", err))
			}
			for i := range v.Running {
				v.Running[i].Pod = cmp.Or(names[v.Running[i].Pod], v.Running[i].Pod)
			}
		}
		for _, g := range unread.gaps() {
			gaps = append(gaps, g.In("running"))
		}
		slices.SortFunc(v.Running, compareAgents)
		v.Running = slices.CompactFunc(v.Running, func(a, b Agent) bool { return compareAgents(a, b) == 0 })
		return v, gaps, nil
	},
}

func compareAgents(a, b Agent) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Program, b.Program), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Unit, b.Unit),
		compareBools(a.Container, b.Container), compareBools(a.Root, b.Root), slices.Compare(a.Capabilities, b.Capabilities),
		cmp.Compare(a.Seccomp, b.Seccomp), cmp.Compare(a.NoNewPrivs, b.NoNewPrivs),
	)
}

// agents are the processes that bear the name of a security agent, with it. The
// executable's name counts, and the kernel's name for the process, which a
// wrapper in a scripting language sets.
func (t *processTable) agents() func(yield func(*process, string) bool) {
	return func(yield func(*process, string) bool) {
		for i := range t.processes {
			p := &t.processes[i]
			if name := agentName(p); name != "" && !yield(p, name) {
				return
			}
		}
	}
}

func agentName(p *process) string {
	base := path.Base(p.exe)
	if _, found := slices.BinarySearch(AgentPrograms, base); found {
		return base
	}
	for _, name := range AgentPrograms {
		if len(name) >= 6 && p.comm == name[:min(len(name), 15)] {
			return name
		}
	}
	return ""
}

// AgentUse is what the processes of one name use now.
type AgentUse struct {
	Name   string `json:"name"`   // the word of AgentPrograms
	Memory int64  `json:"memory"` // resident bytes, shared ones counted for each process
	CPU    int64  `json:"cpu"`    // milliseconds of processor time since they started
}

// AgentCosts are what security agents use now: VmRSS of proc_pid_status(5),
// utime and stime of proc_pid_stat(5).
var AgentCosts = Source[[]AgentUse]{
	Name:  "agent-costs",
	Doc:   "memory and processor time of security agents",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]AgentUse, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		unread := tally{what: "processor times of security agents"}
		out := []AgentUse{}
		for p, name := range t.agents() {
			unread.of++
			i := slices.IndexFunc(out, func(u AgentUse) bool { return u.Name == name })
			if i < 0 {
				i = len(out)
				out = append(out, AgentUse{Name: name})
			}
			out[i].Memory += p.rss
			var ticks int64
			b, err := h.ReadFile("proc/"+strconv.Itoa(p.pid)+"/stat", 1<<16)
			if err == nil {
				ticks, err = parseStatTicks(b)
			}
			if err != nil && !vanished(err) {
				unread.add(p.pid, err)
			}
			out[i].CPU += ticks * 10 // USER_HZ is 100 wherever Kubernetes runs: time(7)
		}
		slices.SortFunc(out, func(a, b AgentUse) int { return cmp.Compare(a.Name, b.Name) })
		return out, unread.gaps(), nil
	},
}

// parseStatTicks is the processor time of a process, in clock ticks, from
// proc_pid_stat(5). The second field, its name in parentheses, may hold blanks
// and parentheses; the last ")" ends it.
func parseStatTicks(b []byte) (int64, error) {
	text := strings.TrimSuffix(string(b), "\n")
	i := strings.LastIndexByte(text, ')')
	if i < 0 {
		return 0, fmt.Errorf("stat %.100q: no name in parentheses", text)
	}
	f := strings.Fields(text[i+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("stat %.100q: %d fields after the name, want 13 and more", text, len(f))
	}
	var ticks int64
	for _, field := range f[11:13] { // the 14th and the 15th of all
		n, err := strconv.ParseInt(field, 10, 62)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("stat %.100q: %q is no time", text, field)
		}
		ticks += n
	}
	return ticks, nil
}
