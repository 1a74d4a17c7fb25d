package verify

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// The words that node looks for are those that the profiles know.
func TestAgentNamesAreThoseOfTheProfile(t *testing.T) {
	_, common, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	var programs, folders []string
	for _, p := range common.Containers.Agents {
		if !slices.Contains([]string{"antivirus", "sensor", "scanner"}, p.Kind) {
			t.Errorf("%s is of the kind %q", p.Name, p.Kind)
		}
		programs = append(programs, p.Programs...)
		folders = append(folders, p.Folders...)
	}
	slices.Sort(programs)
	slices.Sort(folders)
	if d := cmp.Diff(programs, node.AgentPrograms); d != "" {
		t.Errorf("programs (-profile +node):\n%s", d)
	}
	if d := cmp.Diff(folders, node.AgentFolders); d != "" {
		t.Errorf("folders (-profile +node):\n%s", d)
	}
	if len(common.Containers.Agents) < 20 {
		t.Errorf("%d products, want at least 20", len(common.Containers.Agents))
	}
}

var falcon = profiles.SecurityAgent{Name: "Falcon", Kind: "antivirus", Programs: []string{"falcon-sensor"}, Folders: []string{"/opt/CrowdStrike"}}

func agentFacts(installed []string, running ...node.Agent) node.Facts {
	if running == nil {
		running = []node.Agent{}
	}
	return withFact(onHost(), node.Agents, node.AgentState{Running: running, Installed: installed})
}

func TestNoAntivirusAgent(t *testing.T) {
	known := profiles.Profile{Containers: profiles.Containers{Agents: []profiles.SecurityAgent{falcon, {Name: "Falco", Kind: "sensor", Programs: []string{"falco"}}}}}
	ordinary, unsettled, allowed := known, known, known
	ordinary.Ordinary = true
	unsettled.Ordinary, unsettled.Unsettled = true, "os-release could not be read"
	allowed.Containers.AllowedAgents = []profiles.Place{{Path: "Falcon"}}
	sensor := node.Agent{Program: "/opt/CrowdStrike/falcon-sensor", Name: "falcon-sensor", Unit: "/system.slice/falcon-sensor.service", Root: true, Capabilities: []string{"SYS_ADMIN"}, Seccomp: "off"}
	testJudge(t, noAntivirusAgent, []judgedRow{
		{name: "none", profile: known, facts: agentFacts(nil), want: "pass none"},
		{name: "one runs", profile: known, facts: agentFacts(nil, sensor), want: "fail antivirus", items: []string{"Falcon: /opt/CrowdStrike/falcon-sensor as /system.slice/falcon-sensor.service (root; SYS_ADMIN; no seccomp filter)"}},
		{name: "one is installed and does not run", profile: known, facts: agentFacts([]string{"/opt/CrowdStrike"}), want: "fail antivirus"},
		{name: "a sensor is none", profile: known, facts: agentFacts(nil, node.Agent{Program: "/usr/bin/falco", Name: "falco"}), want: "pass none"},
		{name: "the site has it", profile: allowed, facts: agentFacts(nil, sensor), want: "pass declared"},
		{name: "on an ordinary host", profile: ordinary, facts: agentFacts(nil, sensor), want: "not-applicable ordinary-host"},
		{name: "on a host whose system could not be told", profile: unsettled, facts: agentFacts(nil, sensor), want: "unknown system-unsettled"},
		{name: "a profile without a list", facts: agentFacts(nil), want: "unknown no-list"},
		{name: "nothing was said", profile: known, facts: withFact(onHost(), node.Agents, node.AgentState{}), want: "unknown unread"},
		{name: "no process table", profile: known, facts: lacking(onHost(), node.Agents, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "executables could not be read", profile: known, facts: withFact(onHost(), node.Agents, node.AgentState{Running: []node.Agent{}}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestSecurityAgentsContained(t *testing.T) {
	falco := func(caps []string, mounts ...node.HostMount) node.Facts {
		return agentFacts(nil, node.Agent{Program: "/usr/bin/falco", Name: "falco", Pod: "falco/falco-x", Container: true, Root: true, Capabilities: caps, Mounts: mounts})
	}
	testJudge(t, securityAgentsContained, []judgedRow{
		{name: "it looks and cannot change", facts: falco([]string{"BPF", "PERFMON", "SYS_PTRACE", "SYS_RESOURCE"}, node.HostMount{Host: "/proc", At: "/host/proc"}, node.HostMount{Host: "/etc", At: "/host/etc"}), want: "pass contained"},
		{name: "it can load modules", facts: falco([]string{"SYS_MODULE"}), want: "fail uncontained", items: []string{"falco: /usr/bin/falco has SYS_MODULE"}},
		{name: "it can write /etc", facts: falco(nil, node.HostMount{Host: "/etc", At: "/host/etc", Writable: true}), want: "fail uncontained"},
		{name: "it can write its own folder", facts: falco(nil, node.HostMount{Host: "/opt/falco", At: "/opt/falco", Writable: true}), want: "pass contained"},
		{name: "root on the host", facts: agentFacts(nil, node.Agent{Program: "/opt/x/clamd", Name: "clamd", Root: true, NoNewPrivs: "off"}), want: "fail uncontained"},
		{name: "a user on the host", facts: agentFacts(nil, node.Agent{Program: "/opt/x/clamd", Name: "clamd", NoNewPrivs: "off"}), want: "pass contained"},
		{name: "none", facts: agentFacts(nil), want: "not-applicable no-agent"},
		{name: "nothing was said", facts: withFact(onHost(), node.Agents, node.AgentState{}), want: "unknown unread"},
		{name: "no process table", facts: lacking(onHost(), node.Agents, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "mounts could not be read", facts: withFact(onHost(), node.Agents, node.AgentState{Running: []node.Agent{}}, deniedGap.In("running")), want: "unknown gap-denied"},
	})
}
