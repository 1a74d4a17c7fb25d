package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func peerOf(program node.Program, edits ...func(*node.SocketPeer)) node.SocketPeer {
	p := node.SocketPeer{Socket: "/run/containerd/containerd.sock", Engine: "containerd", Program: program}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func TestRuntimeSocketPeersDeclared(t *testing.T) {
	image := node.Mount{Path: "/usr", Type: "squashfs", Options: []string{"ro"}, Super: []string{"ro"}}
	disk := node.Mount{Path: "/", Type: "ext4", Options: []string{"rw"}, Super: []string{"rw"}}
	program := func(path string, on node.Mount) node.Program {
		return node.Program{Path: path, Unit: "/system.slice/x.service", On: on}
	}
	pod := peerOf(node.Program{Path: "/bin/gc"}, func(p *node.SocketPeer) { p.Pod, p.Container, p.UID = "kube-system/gc-x7", "6f3c", 1000 })
	control := peerOf(node.Program{Path: "/bin/apiclient"}, func(p *node.SocketPeer) {
		p.Socket, p.Engine, p.Container = "/run/api.sock", "bottlerocket-api", "control"
	})
	kubelet := peerOf(program("/usr/bin/kubelet", image))
	ctr := peerOf(program("/usr/bin/ctr", image))
	facts := func(p ...node.SocketPeer) node.Facts {
		return withFact(withFact(onHost(), node.RuntimeSockets, []node.RuntimeSocket{containerdSocket()}), node.SocketPeers, p)
	}
	clients := func(paths ...string) profiles.Profile {
		var p profiles.Profile
		for _, path := range append(paths, "containerd kubelet*", "containerd-shim containerd", "incomplete") {
			p.Containers.Clients = append(p.Containers.Clients, profiles.Place{Path: path, Why: "it belongs there"})
		}
		return p
	}
	allowed := clients()
	allowed.Processes.Allowed = []profiles.Place{{Path: "/opt/bin/kubelet", Why: "installed by Ignition"}, {Path: "/opt/agent.py", Why: "a script"}}
	holding := clients()
	holding.Runtime.Holders = []profiles.Place{{Path: "/run/containerd/* kube-system/gc-*", Why: "it collects garbage"}, {Path: "/run/api.sock container:control", Why: "the control container"}}
	ordinary := clients()
	ordinary.Ordinary = true
	const who = "/run/containerd/containerd.sock ← "
	script := program("/usr/bin/python3", image)
	script.Script = "/opt/agent.py"
	memory := program("/memfd:kubelet", node.Mount{Options: []string{"rw"}})
	memory.Memory = true
	testJudge(t, runtimeSocketPeersDeclared, []judgedRow{
		{name: "the kubelet of the image", profile: clients(), facts: facts(kubelet), want: "pass declared", items: []string{who + "/usr/bin/kubelet (/system.slice/x.service, user 0)"}},
		{name: "a kubelet in a declared place", profile: allowed, facts: facts(peerOf(program("/opt/bin/kubelet", disk))), want: "pass declared"},
		{name: "with its version in its name", profile: clients(), facts: facts(peerOf(program("/usr/bin/kubelet-v1.33.4", image))), want: "pass declared"},
		{name: "something in /tmp that calls itself kubelet", profile: clients(), facts: facts(peerOf(program("/tmp/kubelet", disk))), want: "fail undeclared-peers", items: []string{who + "/tmp/kubelet (/system.slice/x.service, user 0)"}},
		{name: "the same on an ordinary host, which has no image", profile: ordinary, facts: facts(peerOf(program("/usr/local/bin/kubelet", disk))), want: "pass declared"},
		{name: "the kubelet of memory", profile: ordinary, facts: facts(peerOf(memory)), want: "fail undeclared-peers"},
		{name: "where the kubelet runs from was not read", profile: clients(), facts: facts(peerOf(program("/usr/bin/kubelet", node.Mount{}))), want: "unknown mount-unknown"},
		{name: "the kubelet at another engine's socket", profile: clients(), facts: facts(peerOf(kubelet.Program, func(p *node.SocketPeer) { p.Socket, p.Engine = "/run/docker.sock", "docker" })), want: "fail undeclared-peers"},
		{name: "ctr of the image, which a person started", profile: clients(), facts: facts(kubelet, ctr), want: "fail undeclared-peers", items: []string{who + "/usr/bin/ctr (/system.slice/x.service, user 0)"}},
		{name: "ctr by its path", profile: clients("containerd /usr/bin/ctr"), facts: facts(ctr), want: "pass declared"},
		{name: "whatever is below a path", profile: clients("containerd /opt/agent/*"), facts: facts(peerOf(program("/opt/agent/bin/agent", disk))), want: "pass declared"},
		{name: "a path for another engine", profile: clients("docker /usr/bin/ctr"), facts: facts(ctr), want: "fail undeclared-peers"},
		{name: "a script by its path", profile: clients("containerd /opt/agent.py"), facts: facts(peerOf(script)), want: "pass declared"},
		{name: "an interpreter that is declared runs any script", profile: clients("containerd /usr/bin/python3"), facts: facts(peerOf(script)), want: "fail undeclared-peers"},
		{name: "an empty profile declares nobody", facts: facts(kubelet), want: "fail undeclared-peers"},
		{name: "containerd at a shim's socket", profile: clients(), facts: facts(peerOf(program("/usr/bin/containerd", image), func(p *node.SocketPeer) { p.Socket, p.Engine = "/run/containerd/s/*", "containerd-shim" })), want: "pass declared"},
		{name: "ctr at a shim's socket", profile: clients(), facts: facts(peerOf(ctr.Program, func(p *node.SocketPeer) { p.Socket, p.Engine = "@/containerd-shim/*", "containerd-shim" })), want: "fail undeclared-peers"},
		{name: "a pod", profile: clients(), facts: facts(kubelet, pod), want: "fail undeclared-peers", items: []string{who + "pod kube-system/gc-x7 (/bin/gc, user 1000)"}},
		{name: "a pod of which no more is known", profile: clients(), facts: facts(peerOf(node.Program{}, func(p *node.SocketPeer) { p.Pod = "default/agent" })), want: "fail undeclared-peers", items: []string{who + "pod default/agent"}},
		{name: "a pod's program called kubelet is no kubelet", profile: clients(), facts: facts(peerOf(kubelet.Program, func(p *node.SocketPeer) { p.Pod, p.Container = "default/agent", "6f3c" })), want: "fail undeclared-peers"},
		{name: "a declared pod", profile: holding, facts: facts(kubelet, pod), want: "pass declared"},
		{name: "bottlerocket: the control container", profile: holding, facts: facts(control), want: "pass declared", items: []string{"/run/api.sock ← container control (/bin/apiclient, user 0)"}},
		{name: "nobody is connected", facts: facts(), want: "pass unconnected"},
		{name: "no socket to connect to", facts: withFact(facts(), node.RuntimeSockets, []node.RuntimeSocket{}), want: "not-applicable no-socket"},
		{name: "connected to a socket whose file is gone", facts: withFact(facts(ctr), node.RuntimeSockets, []node.RuntimeSocket{}), want: "fail undeclared-peers"},
		{name: "in a sandbox", profile: clients(), facts: withFact(facts(kubelet), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "a stranger in a sandbox", facts: withFact(facts(ctr), node.OS, node.System{PIDNamespace: "other"}), want: "fail undeclared-peers"},
		{name: "a DaemonSet, which is not in the host's network", facts: lacking(facts(), node.SocketPeers, node.Unsupported, "another network namespace"), want: "unknown fact-unsupported"},
		{name: "sockets missing", profile: clients(), facts: lacking(facts(kubelet), node.RuntimeSockets, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: clients(), facts: withFact(facts(), node.SocketPeers, []node.SocketPeer{kubelet}, deniedGap), want: "unknown gap-denied"},
		{name: "nobody, over a gap", facts: withFact(facts(), node.SocketPeers, []node.SocketPeer{}, deniedGap), want: "unknown gap-denied"},
		{name: "a stranger over a gap", profile: clients(), facts: withFact(facts(), node.SocketPeers, []node.SocketPeer{ctr}, deniedGap), want: "fail undeclared-peers"},
	})
}

func TestBeyondPeers(t *testing.T) {
	memory := node.Program{Path: "/memfd:x", Memory: true}
	facts := withFact(withFact(nil, node.Mounts, []node.Mount{}), node.SocketPeers, []node.SocketPeer{
		peerOf(node.Program{Path: "/opt/agent/agent"}), peerOf(node.Program{Path: "/opt/agent/agent"}), peerOf(memory), peerOf(node.Program{Path: "comm-only"}),
		peerOf(node.Program{Path: "/app"}, func(p *node.SocketPeer) { p.Pod, p.Container = "default/agent", "6f3c" }),
	})
	want := map[string][]profiles.Place{
		"clients": {{Path: "containerd /opt/agent/agent"}}, "holders": {{Path: "/run/containerd/containerd.sock default/agent"}},
	}
	if d := cmp.Diff(want, Beyond(facts, &profiles.Profile{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
