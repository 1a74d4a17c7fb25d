package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// onHost is what node.OS says where the whole machine was seen.
func onHost() node.Facts {
	return withFact(nil, node.OS, node.System{Init: "systemd", PIDNamespace: "initial"})
}

// inSandbox is what it says in the sandbox of Talos 1.14.
func inSandbox() node.Facts {
	return withFact(nil, node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"})
}

func folders(paths ...string) []node.Folder {
	var out []node.Folder
	for _, p := range paths {
		out = append(out, node.Folder{Path: p, Mode: 0o755})
	}
	return out
}

func containerdSocket(edits ...func(*node.RuntimeSocket)) node.RuntimeSocket {
	s := node.RuntimeSocket{
		Engine: "containerd", Path: "/run/containerd/containerd.sock", Type: node.Socket, Mode: 0o660,
		Parents: folders("/", "/run", "/run/containerd"),
	}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

func socketOf(engine, path string) node.RuntimeSocket {
	return node.RuntimeSocket{Engine: engine, Path: path, Type: node.Socket, Mode: 0o660, Parents: folders("/", "/run")}
}

func TestRuntimeSocketClosed(t *testing.T) {
	facts := func(s ...node.RuntimeSocket) node.Facts { return withFact(nil, node.RuntimeSockets, s) }
	docker := func(gid uint32) node.RuntimeSocket {
		s := socketOf("docker", "/run/docker.sock")
		s.GID = gid
		return s
	}
	machined := node.RuntimeSocket{Engine: "talos-machined", Path: "/system/run/machined/machine.sock", Type: node.Socket, Mode: 0o660, UID: 50, GID: 50,
		Parents: []node.Folder{{Path: "/", Mode: 0o755}, {Path: "/system/run/machined", Mode: 0o771, UID: 50, GID: 50}}}
	talos := profiles.Profile{Runtime: profiles.Runtime{
		SocketGroups: map[string]uint32{machined.Path: 50}, SocketOwners: map[string]uint32{machined.Path: 50},
	}}
	bottlerocket := profiles.Profile{Runtime: profiles.Runtime{SocketGroups: map[string]uint32{"/run/api.sock": 274}}}
	api := node.RuntimeSocket{Engine: "bottlerocket-api", Path: "/run/api.sock", Type: node.Socket, Mode: 0o660, GID: 274, Parents: folders("/", "/run")}
	openAPI := api
	openAPI.Mode = 0o777
	parent := func(i int, mode, uid, gid uint32) func(*node.RuntimeSocket) {
		return func(s *node.RuntimeSocket) {
			s.Parents[i].Mode, s.Parents[i].UID, s.Parents[i].GID = mode, uid, gid
		}
	}
	mode := func(m uint32) func(*node.RuntimeSocket) { return func(s *node.RuntimeSocket) { s.Mode = m } }
	testJudge(t, runtimeSocketClosed, []judgedRow{
		{name: "containerd as shipped", facts: facts(containerdSocket()), want: "pass closed", items: []string{"/run/containerd/containerd.sock 0660 0:0"}},
		{name: "read and execute bits open nothing", facts: facts(containerdSocket(mode(0o755))), want: "pass closed"},
		{name: "chmod 0666", facts: facts(containerdSocket(mode(0o666))), want: "fail socket-open", items: []string{"/run/containerd/containerd.sock: mode 0666 lets every user open it"}},
		{name: "writable by others alone", facts: facts(containerdSocket(mode(0o662))), want: "fail socket-open"},
		{name: "the docker group", facts: facts(docker(998)), want: "fail socket-open", items: []string{"/run/docker.sock: mode 0660 lets group 998 open it"}},
		{name: "a group that may not write", facts: facts(func() node.RuntimeSocket { s := docker(998); s.Mode = 0o640; return s }()), want: "pass closed"},
		{name: "a declared group", profile: profiles.Profile{Runtime: profiles.Runtime{SocketGroups: map[string]uint32{"/run/docker.sock": 998}}}, facts: facts(docker(998)), want: "pass closed"},
		{name: "another group than the declared one", profile: profiles.Profile{Runtime: profiles.Runtime{SocketGroups: map[string]uint32{"/run/docker.sock": 998}}}, facts: facts(docker(999)), want: "fail socket-open"},
		{name: "a group that is declared for another socket", profile: bottlerocket, facts: facts(docker(274)), want: "fail socket-open"},
		{name: "the owner is a user", facts: facts(containerdSocket(func(s *node.RuntimeSocket) { s.UID = 1000 })), want: "fail socket-open", items: []string{"/run/containerd/containerd.sock: user 1000 owns it"}},
		{name: "Bottlerocket's API", profile: bottlerocket, facts: facts(api), want: "pass closed"},
		// corpus bottlerocket/api-sock-ls-2019-world-writable
		{name: "Bottlerocket's API in 2019", profile: bottlerocket, facts: facts(openAPI), want: "fail socket-open", items: []string{"/run/api.sock: mode 0777 lets every user open it"}},
		{name: "Talos' machine socket", profile: talos, facts: facts(machined), want: "pass closed"},
		{name: "Talos' machine socket where nobody declares it", facts: facts(machined), want: "fail socket-open", items: []string{
			"/system/run/machined/machine.sock: user 50 owns it",
			"/system/run/machined/machine.sock: mode 0660 lets group 50 open it",
			"/system/run/machined/machine.sock: user 50 owns the folder /system/run/machined and can replace it",
		}},
		{name: "everybody can replace it", facts: facts(containerdSocket(parent(2, 0o777, 0, 0))), want: "fail socket-open", items: []string{"/run/containerd/containerd.sock: mode 0777 of the folder /run/containerd lets every user replace it"}},
		{name: "a sticky folder keeps it", facts: facts(containerdSocket(parent(2, 0o1777, 0, 0))), want: "pass closed"},
		{name: "a group can replace it", facts: facts(containerdSocket(parent(2, 0o775, 0, 998))), want: "fail socket-open"},
		{name: "root's group can replace it", facts: facts(containerdSocket(parent(2, 0o775, 0, 0))), want: "pass closed"},
		{name: "a folder of a user", facts: facts(containerdSocket(parent(1, 0o755, 1000, 0))), want: "fail socket-open"},
		{name: "a user's own Podman", facts: facts(node.RuntimeSocket{Engine: "podman", Path: "/run/user/1000/podman/podman.sock", Type: node.Socket, Mode: 0o660, UID: 1000, GID: 1000,
			Parents: []node.Folder{{Path: "/run/user/1000", Mode: 0o700, UID: 1000, GID: 1000}}}), want: "pass closed"},
		{name: "a user's own Docker open to everybody", facts: facts(node.RuntimeSocket{Engine: "docker", Path: "/run/user/1000/docker.sock", Type: node.Socket, Mode: 0o666, UID: 1000, GID: 1000}), want: "fail socket-open"},
		{name: "a folder that a hostPath made is no socket", facts: facts(func() node.RuntimeSocket { s := docker(0); s.Type, s.Mode = node.Directory, 0o777; return s }()), want: "not-applicable no-socket"},
		{name: "no socket", facts: facts(), want: "not-applicable no-socket"},
		{name: "one open of two", facts: facts(containerdSocket(), docker(998)), want: "fail socket-open", items: []string{"/run/docker.sock: mode 0660 lets group 998 open it"}},
		{name: "fact missing", facts: lacking(nil, node.RuntimeSockets, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(nil, node.RuntimeSockets, []node.RuntimeSocket{containerdSocket()}, deniedGap), want: "unknown gap-denied"},
		{name: "no socket, over a gap", facts: withFact(nil, node.RuntimeSockets, []node.RuntimeSocket{}, deniedGap), want: "unknown gap-denied"},
		{name: "open over a gap", facts: withFact(nil, node.RuntimeSockets, []node.RuntimeSocket{openAPI}, deniedGap), want: "fail socket-open"},
	})
}

func TestRuntimeNotOnNetwork(t *testing.T) {
	kubelet := node.Listener{Network: "tcp6", Address: "::", Port: 10250, Program: "/usr/bin/kubelet", Service: "kubelet"}
	stream := node.Listener{Network: "tcp", Address: "127.0.0.1", Port: 38117, Program: "/usr/bin/containerd"}
	tcp := func(network, address string, port int, program string) node.Listener {
		return node.Listener{Network: network, Address: address, Port: port, Program: program}
	}
	facts := func(l ...node.Listener) node.Facts { return withFact(onHost(), node.Listeners, l) }
	testJudge(t, runtimeNotOnNetwork, []judgedRow{
		{name: "a kubelet is no engine", facts: facts(kubelet), want: "pass none"},
		{name: "containerd's stream server on loopback", facts: facts(kubelet, stream), want: "pass loopback-only", items: []string{"127.0.0.1:38117 by /usr/bin/containerd"}},
		{name: "loopback of version 6", facts: facts(tcp("tcp6", "::1", 9537, "/usr/bin/crio")), want: "pass loopback-only", items: []string{"[::1]:9537 by /usr/bin/crio"}},
		{name: "version 4 loopback in version 6", facts: facts(tcp("tcp6", "::ffff:127.0.0.1", 9537, "/usr/bin/crio")), want: "pass loopback-only"},
		{name: "dockerd -H tcp://0.0.0.0:2375", facts: facts(kubelet, tcp("tcp", "0.0.0.0", 2375, "/usr/bin/dockerd")), want: "fail on-network", items: []string{"0.0.0.0:2375 by /usr/bin/dockerd"}},
		{name: "docker's port held by systemd", facts: facts(tcp("tcp6", "::", 2376, "/usr/lib/systemd/systemd")), want: "fail on-network", items: []string{"[::]:2376 by /usr/lib/systemd/systemd"}},
		{name: "docker's port and nobody seen", facts: facts(tcp("tcp", "10.0.0.7", 2375, "")), want: "fail on-network", items: []string{"10.0.0.7:2375 by an unseen program"}},
		{name: "containerd's tcp_address", facts: facts(tcp("tcp", "10.0.0.7", 1234, "/opt/bin/containerd")), want: "fail on-network"},
		{name: "an engine in a container on the host's network", facts: facts(node.Listener{Network: "tcp", Address: "0.0.0.0", Port: 1234, Program: "/usr/local/bin/dockerd", Container: true}), want: "fail on-network"},
		{name: "a shim's abstract socket", facts: facts(node.Listener{Network: "unix", Address: "@/containerd-shim/6f3c.sock", Program: "/usr/bin/containerd-shim"}), want: "fail on-network"},
		{name: "a shim's socket with a path", facts: facts(node.Listener{Network: "unix", Address: "/run/containerd/s/6f3c", Program: "/usr/bin/containerd-shim-runc-v2"}), want: "pass none"},
		{name: "an address nobody understands", facts: facts(tcp("tcp", "localhost", 1234, "/usr/bin/crio")), want: "unknown address-unclear"},
		{name: "nothing listens at all", facts: facts(), want: "unknown unread"},
		{name: "in a sandbox", facts: withFact(inSandbox(), node.Listeners, []node.Listener{kubelet}), want: "unknown part-of-machine"},
		{name: "on the network in a sandbox", facts: withFact(inSandbox(), node.Listeners, []node.Listener{tcp("tcp", "0.0.0.0", 2375, "/usr/bin/dockerd")}), want: "fail on-network"},
		{name: "fact missing", facts: lacking(onHost(), node.Listeners, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(onHost(), node.Listeners, []node.Listener{kubelet}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestRuntimeSocketUnreached(t *testing.T) {
	gc := node.SocketHolder{Socket: "/run/containerd/containerd.sock", Engine: "containerd", Container: "6f3c", Pod: "kube-system/docker-gc-x7", Program: "/bin/gc", By: "/run", At: "/host/run/containerd/containerd.sock", As: "root"}
	nameless := gc
	nameless.Pod, nameless.By, nameless.As, nameless.UID, nameless.GID = "", "socket", "group", 1000, 998
	facts := func(h ...node.SocketHolder) node.Facts {
		return withFact(withFact(onHost(), node.RuntimeSockets, []node.RuntimeSocket{containerdSocket()}), node.SocketHolders, h)
	}
	declare := func(path string) profiles.Profile {
		return profiles.Profile{Runtime: profiles.Runtime{Holders: []profiles.Place{{Path: path, Why: "it collects garbage"}}}}
	}
	const item = "/run/containerd/containerd.sock ← pod kube-system/docker-gc-x7 (/bin/gc) by /run as root"
	testJudge(t, runtimeSocketUnreached, []judgedRow{
		{name: "nobody", facts: facts(), want: "pass unreached"},
		{name: "hostPath /run", facts: facts(gc), want: "fail socket-reached", items: []string{item}},
		{name: "two processes of one pod are one item", facts: facts(gc, gc), want: "fail socket-reached", items: []string{item}},
		{name: "a container whose pod is not known", facts: facts(nameless), want: "fail socket-reached", items: []string{"/run/containerd/containerd.sock ← /bin/gc by socket as group"}},
		{name: "a program declares nobody: the container chose its name", profile: declare("/run/containerd/containerd.sock /bin/gc"), facts: facts(gc), want: "fail socket-reached", items: []string{item}},
		{name: "bottlerocket: declared by container", profile: declare("/run/containerd/containerd.sock container:6f3c"), facts: facts(nameless), want: "pass declared"},
		{name: "a container of a pod is not declared by its name", profile: declare("/run/containerd/containerd.sock container:6f3c"), facts: facts(gc), want: "fail socket-reached"},
		{name: "declared by pod", profile: declare("* kube-system/docker-gc-*"), facts: facts(gc), want: "pass declared"},
		{name: "declared in another namespace", profile: declare("* default/docker-gc-*"), facts: facts(gc), want: "fail socket-reached"},
		{name: "declared for another socket", profile: declare("/run/docker.sock /bin/gc"), facts: facts(gc), want: "fail socket-reached"},
		{name: "a declaration without a holder declares nobody", profile: declare("/run/containerd/containerd.sock"), facts: facts(gc), want: "fail socket-reached"},
		{name: "a pod's name is no program", profile: declare("* kube-system/docker-gc-*"), facts: facts(nameless), want: "fail socket-reached"},
		{name: "one declared, one not", profile: declare("* kube-system/docker-gc-*"), facts: facts(gc, nameless), want: "fail socket-reached", items: []string{"/run/containerd/containerd.sock ← /bin/gc by socket as group"}},
		{name: "no socket to reach", facts: withFact(facts(), node.RuntimeSockets, []node.RuntimeSocket{}), want: "not-applicable no-socket"},
		{name: "in a sandbox", facts: withFact(facts(), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "reached in a sandbox", facts: withFact(facts(gc), node.OS, node.System{PIDNamespace: "other"}), want: "fail socket-reached"},
		{name: "whose process 1 it is was not read", facts: withFact(facts(), node.OS, node.System{PIDNamespace: "unknown"}), want: "unknown unread"},
		{name: "fact missing", facts: lacking(facts(), node.SocketHolders, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "sockets missing", facts: lacking(facts(), node.RuntimeSockets, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(facts(), node.SocketHolders, []node.SocketHolder{}, deniedGap), want: "unknown gap-denied"},
		{name: "reached over a gap", facts: withFact(facts(), node.SocketHolders, []node.SocketHolder{gc}, deniedGap), want: "fail socket-reached"},
	})
}

func TestSingleEngine(t *testing.T) {
	facts := func(sockets []node.RuntimeSocket, programs ...string) node.Facts {
		var p []node.Program
		for _, path := range programs {
			p = append(p, node.Program{Path: path})
		}
		return withFact(withFact(onHost(), node.RuntimeSockets, sockets), node.Processes, p)
	}
	only := func(engines ...string) profiles.Profile {
		return profiles.Profile{Runtime: profiles.Runtime{Engines: engines}}
	}
	containerd, docker := socketOf("containerd", "/run/containerd/containerd.sock"), socketOf("docker", "/run/docker.sock")
	crio, host := socketOf("crio", "/run/crio/crio.sock"), socketOf("host-containerd", "/run/host-containerd/containerd.sock")
	nri, api := socketOf("nri", "/run/nri/nri.sock"), socketOf("bottlerocket-api", "/run/api.sock")
	type sockets = []node.RuntimeSocket
	testJudge(t, singleEngine, []judgedRow{
		{name: "containerd alone", profile: only("containerd"), facts: facts(sockets{containerd, nri}, "/usr/bin/containerd", "/usr/bin/kubelet"), want: "pass single", items: []string{"containerd: /run/containerd/containerd.sock, /usr/bin/containerd"}},
		{name: "Bottlerocket's two", profile: only("containerd", "host-containerd"), facts: facts(sockets{containerd, host, api}, "/x86_64-bottlerocket-linux-gnu/sys-root/usr/bin/containerd"), want: "pass single"},
		{name: "docker.socket waits on a containerd host", profile: only("containerd"), facts: facts(sockets{containerd, docker}, "/usr/bin/containerd"), want: "fail second-engine", items: []string{"docker: /run/docker.sock"}},
		{name: "a docker without a socket that was found", profile: only("containerd"), facts: facts(sockets{containerd}, "/opt/bin/dockerd"), want: "fail second-engine", items: []string{"docker: /opt/bin/dockerd"}},
		{name: "containerd under a docker that belongs", profile: only("docker"), facts: facts(sockets{containerd, docker}, "/usr/bin/dockerd", "/usr/bin/containerd"), want: "pass single"},
		{name: "CRI-O beside containerd", profile: only("crio"), facts: facts(sockets{crio, containerd}), want: "fail second-engine", items: []string{"containerd: /run/containerd/containerd.sock"}},
		{name: "an ordinary host with Docker", facts: facts(sockets{containerd, docker}, "/usr/bin/dockerd", "/usr/bin/containerd"), want: "pass single"},
		{name: "an ordinary host with CRI-O and Docker", facts: facts(sockets{crio, docker, containerd}), want: "fail second-engine", items: []string{"crio: /run/crio/crio.sock", "docker: /run/docker.sock"}},
		{name: "cri-dockerd is a part of Docker", facts: facts(sockets{docker, containerd, socketOf("cri-dockerd", "/run/cri-dockerd.sock")}, "/usr/bin/cri-dockerd"), want: "pass single"},
		{name: "LXD beside containerd", profile: only("containerd"), facts: facts(sockets{containerd, socketOf("lxd", "/var/snap/lxd/common/lxd/unix.socket")}), want: "fail second-engine", items: []string{"lxd: /var/snap/lxd/common/lxd/unix.socket"}},
		{name: "a user's own Podman beside containerd", profile: only("containerd"), facts: facts(sockets{containerd, socketOf("podman", "/run/user/1000/podman/podman.sock")}), want: "fail second-engine"},
		{name: "buildkitd beside containerd on an ordinary host", facts: facts(sockets{containerd}, "/usr/local/bin/buildkitd"), want: "fail second-engine"},
		{name: "a folder where docker.sock should be", profile: only("containerd"), facts: facts(sockets{containerd, {Engine: "docker", Path: "/run/docker.sock", Type: node.Directory}}), want: "pass single"},
		{name: "no engine", profile: only("containerd"), facts: facts(nil, "/usr/lib/systemd/systemd"), want: "not-applicable no-engine"},
		{name: "in a sandbox", profile: only("containerd"), facts: withFact(facts(sockets{containerd}), node.OS, node.System{PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "fact missing", profile: only("containerd"), facts: lacking(facts(sockets{containerd}), node.Processes, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: only("containerd"), facts: withFact(facts(sockets{containerd}), node.RuntimeSockets, sockets{containerd}, deniedGap), want: "unknown gap-denied"},
	})
}
