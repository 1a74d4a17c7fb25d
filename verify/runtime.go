package verify

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var runtimeChecks = []Check{runtimeSocketClosed, runtimeNotOnNetwork, runtimeSocketUnreached, runtimeSocketPeersDeclared, singleEngine}

// runtimeRefs is what every check of the container runtime is evidence for.
var runtimeRefs = []Ref{
	{sp80053, "AC-3"}, {sp80053, "AC-6"}, {sp80053, "SC-3"}, {sp80053, "SC-39"},
	{sp800190, "4.4.3"}, {sp800190, "4.5.5"},
	{pciContainers, "3.1"}, {pciDSS, "2.2.6"}, {pciDSS, "7.2.5"},
	{grundschutz, "SYS.1.6.A16"}, {grundschutz, "SYS.1.6.A17"},
	{iso27001, "8.2"},
}

var runtimeSocketClosed = Check{
	ID:       "runtime-socket-closed",
	Rev:      1,
	Title:    "only root and declared accounts can open the sockets of container engines and of the system's API",
	Topic:    Runtime,
	Severity: Critical,
	Refs:     slices.Concat(runtimeRefs, []Ref{{sp80053, "CM-5(6)"}}),
	Help: Help{
		Why: "Whoever can open the socket of a container engine or of the system's own API is root on the node: one request starts a container with the host's file system in it.",
		How: "Connecting takes the right to write to the socket (unix(7)). It must belong to root or to an account that the profile declares, no other user may write to it, and a group may only if it is root's or declared. No folder above it may let anybody else put another socket in its place. A read or execute bit opens nothing and is not judged; what is no socket, such as a folder that a hostPath made, is passed over. Of a user's own engine below /run/user only what every user may do is judged.",
		Remedy: map[string]string{
			"talos":         "Talos makes its sockets itself: find the container or extension that changed the mode, remove it and reboot the node.",
			"flatcar":       "For docker.sock: a drop-in of docker.socket with SocketGroup=root and SocketMode=0660, or systemctl mask --now docker.socket where Kubernetes does not use Docker. For containerd.sock: remove uid and gid under [grpc] from the configuration and restart containerd.",
			"bottlerocket":  "Bottlerocket makes its sockets itself: find the container that changed the mode, remove it and replace the node.",
			"fedora-coreos": "systemctl mask --now docker.socket podman.socket where Kubernetes does not use them; otherwise SocketMode=0660 and SocketGroup=root in a drop-in. For crio.sock: restart crio, which makes it anew.",
			"cos":           "Remove what changes the mode, often a startup script with chmod on docker.sock, and recreate the machine.",
			"":              "Find what changed the mode, remove it and restart the engine: a socket unit by SocketMode=0660 and SocketGroup=root, containerd by uid and gid under [grpc] in its configuration.",
		},
	},
	Judge: On(node.RuntimeSockets, judgeRuntimeSockets),
}

func judgeRuntimeSockets(sockets []node.RuntimeSocket, g Given) Finding {
	var bad, good []string
	for _, s := range sockets {
		if s.Type != node.Socket {
			continue
		}
		faults := socketFaults(s, g.Profile.Runtime)
		for _, f := range faults {
			bad = append(bad, s.Path+": "+f)
		}
		if len(faults) == 0 {
			good = append(good, fmt.Sprintf("%s %04o %d:%d", s.Path, s.Mode, s.UID, s.GID))
		}
	}
	switch {
	case len(bad) > 0:
		return fail("socket-open", "whoever opens these sockets is root on the node: "+strings.Join(bad, "; "), bad...)
	case len(good) == 0:
		return notApplicable("no-socket", "there is no socket of a container engine or of the system's own API")
	}
	return pass("closed", fmt.Sprintf("only root and declared accounts can open the %d sockets of container engines and of the system", len(good)), good...)
}

const (
	groupWrite = 0o020
	otherWrite = 0o002
	sticky     = 0o1000
)

// socketFaults says what lets somebody other than root and the declared
// accounts open the socket or put another in its place.
func socketFaults(s node.RuntimeSocket, declared profiles.Runtime) []string {
	// An engine below /run/user runs with its user's rights: opening its socket
	// gives that user's account, which the user and its group have anyway.
	rootless := strings.HasPrefix(s.Path, "/run/user/")
	owner := func(uid uint32) bool {
		want, ok := declared.SocketOwners[s.Path]
		return uid == 0 || rootless || ok && uid == want
	}
	group := func(gid uint32) bool {
		want, ok := declared.SocketGroups[s.Path]
		return gid == 0 || rootless || ok && gid == want
	}
	var faults []string
	if s.Mode&otherWrite != 0 {
		faults = append(faults, fmt.Sprintf("mode %04o lets every user open it", s.Mode))
	}
	if !owner(s.UID) {
		faults = append(faults, fmt.Sprintf("user %d owns it", s.UID))
	}
	if s.Mode&groupWrite != 0 && !group(s.GID) {
		faults = append(faults, fmt.Sprintf("mode %04o lets group %d open it", s.Mode, s.GID))
	}
	for _, p := range s.Parents {
		switch {
		case !owner(p.UID):
			faults = append(faults, fmt.Sprintf("user %d owns the folder %s and can replace it", p.UID, p.Path))
		case p.Mode&sticky != 0: // only the owner of the socket can replace it
		case p.Mode&otherWrite != 0:
			faults = append(faults, fmt.Sprintf("mode %04o of the folder %s lets every user replace it", p.Mode, p.Path))
		case p.Mode&groupWrite != 0 && !group(p.GID):
			faults = append(faults, fmt.Sprintf("mode %04o of the folder %s lets group %d replace it", p.Mode, p.Path, p.GID))
		}
	}
	return faults
}

var runtimeNotOnNetwork = Check{
	ID:       "runtime-not-on-network",
	Rev:      1,
	Title:    "no container engine listens on the network",
	Topic:    Runtime,
	Severity: Critical,
	Refs:     slices.Concat(runtimeRefs, []Ref{{pciDSS, "2.2.4"}}),
	Help: Help{
		Why: "The API of a container engine gives root on the node. On TCP it is in reach of every pod and often of the whole network, and most engines ask for no password there.",
		How: "No program of a container engine, and nothing on the ports that belong to one, may listen on TCP outside loopback. Loopback is named and passes. An abstract socket of a containerd shim fails as well, since every container in the host's network can open it (CVE-2020-15257).",
		Remedy: map[string]string{
			"bottlerocket":  "No setting of Bottlerocket opens an engine on the network: find the container with the host's network that listens, remove it, and replace the node.",
			"cos":           "Remove -H tcp:// from what starts dockerd and tcp_address from the containerd configuration, both written by a start-up script or a DaemonSet; recreate the node.",
			"talos":         "Remove the tcp_address, debug or metrics address from the containerd drop-in under machine.files (/etc/cri/conf.d) and apply the machine configuration.",
			"flatcar":       "Remove docker-tcp.socket and -H tcp:// from the drop-ins of docker.service, and tcp_address from the containerd configuration.",
			"fedora-coreos": "Remove -H tcp:// from the drop-ins of docker.service and disable podman system service on TCP. CRI-O: metrics_host and stream_address = \"127.0.0.1\".",
			"microos":       "Remove -H tcp:// from the drop-ins of docker.service, tcp_address from the containerd configuration. CRI-O: metrics_host and stream_address = \"127.0.0.1\".",
			"":              "Remove -H tcp:// from dockerd (or hosts in /etc/docker/daemon.json) and tcp_address under [grpc] and [debug] from the containerd configuration. CRI-O: metrics_host and stream_address = \"127.0.0.1\".",
		},
	},
	Judge: On2(node.Listeners, node.OS.Parts("init", "pidNamespace"), func(l []node.Listener, s node.System, _ Given) Finding {
		return wholeMachine(s, judgeRuntimeListeners(l))
	}),
}

// engineOf names the container engine that a program is part of, by the name of
// its executable.
var engineOf = map[string]string{
	"containerd": "containerd", "dockerd": "docker", "dockerd-current": "docker", "cri-dockerd": "docker",
	"crio": "crio", "podman": "podman", "buildkitd": "buildkit", "lxd": "lxd", "incusd": "incus",
}

// enginePorts are TCP ports that belong to a container engine whatever listens
// there. Source: the service registry of IANA, ports 2375 and 2376.
var enginePorts = []int{2375, 2376}

func judgeRuntimeListeners(listeners []node.Listener) Finding {
	if len(listeners) == 0 {
		return unsaid("what listens on it") // no Linux host is without a listening socket
	}
	var bad, loopback, open []string
	for _, l := range listeners {
		who := l.Program
		if who == "" {
			who = "an unseen program"
		}
		if l.Network == "unix" {
			if strings.HasPrefix(l.Address, "@/containerd-shim/") {
				bad = append(bad, "abstract socket "+l.Address+" by "+who)
			}
			continue
		}
		if engineOf[path.Base(l.Program)] == "" && !slices.Contains(enginePorts, l.Port) {
			continue
		}
		item := fmt.Sprintf("%s by %s", hostPort(l), who)
		switch a, err := netip.ParseAddr(l.Address); {
		case err != nil:
			open = append(open, item+": its address is not understood")
		case a.Unmap().IsLoopback():
			loopback = append(loopback, item)
		default:
			bad = append(bad, item)
		}
	}
	slices.Sort(bad)
	slices.Sort(loopback)
	bad, loopback = slices.Compact(bad), slices.Compact(loopback)
	switch {
	case len(bad) > 0:
		return fail("on-network", "a container engine can be reached from outside the host's own programs: "+strings.Join(bad, "; "), bad...)
	case len(open) > 0:
		return unknown("address-unclear", strings.Join(open, "; "), open...)
	case len(loopback) > 0:
		return pass("loopback-only", "container engines listen on loopback only: "+strings.Join(loopback, "; "), loopback...)
	}
	return pass("none", "no container engine listens on TCP")
}

func hostPort(l node.Listener) string {
	if strings.Contains(l.Address, ":") {
		return fmt.Sprintf("[%s]:%d", l.Address, l.Port)
	}
	return fmt.Sprintf("%s:%d", l.Address, l.Port)
}

var runtimeSocketUnreached = Check{
	ID:       "runtime-socket-unreached",
	Rev:      1,
	Title:    "no undeclared container can open the socket of a container engine or of the system's API",
	Topic:    Runtime,
	Severity: Critical,
	Refs:     runtimeRefs,
	Help: Help{
		Why: "A container that can open the socket of the engine or of the system's API can take over the node whenever it wants. It needs no privilege for that, only a mount of the socket, of /run or of /.",
		How: "The mount table, user and groups of every container process are compared with the path, owner and mode of every runtime socket, without opening one. A container counts if a mount leads it to a socket and its user or group may write to it. A container that mounts / to look at the host counts too, whatever it means to do.",
		Remedy: map[string]string{
			"talos":        "Remove the hostPath (/run, /system, /) from the workload, or give it one folder that holds no socket. What needs the machine API goes through apid with kubernetesTalosAPIAccess and a role.",
			"bottlerocket": "Remove the hostPath (/run/api.sock, /run, /) from the workload. The update operator's agent is the one that needs api.sock.",
			"":             "Remove the hostPath of the socket, of /run, of /var/run or of / from the workload, or run it with a user and groups that the socket does not admit. Declare what must stay in a site overlay.",
		},
	},
	Judge: On3(node.SocketHolders, node.RuntimeSockets, node.OS.Parts("init", "pidNamespace"),
		func(h []node.SocketHolder, r []node.RuntimeSocket, s node.System, g Given) Finding {
			return wholeMachine(s, judgeSocketHolders(h, r, g))
		}),
}

func judgeSocketHolders(holders []node.SocketHolder, sockets []node.RuntimeSocket, g Given) Finding {
	var bad, declared []string
	for _, h := range holders {
		who := h.Program
		if h.Pod != "" {
			who = "pod " + h.Pod + " (" + h.Program + ")"
		}
		item := fmt.Sprintf("%s ← %s by %s as %s", h.Socket, who, h.By, h.As)
		if holderDeclared(h.Socket, holderName(h.Pod, h.Container), g.Profile.Runtime.Holders) {
			declared = append(declared, item)
		} else {
			bad = append(bad, item)
		}
	}
	slices.Sort(bad)
	slices.Sort(declared)
	bad, declared = slices.Compact(bad), slices.Compact(declared)
	switch {
	case len(bad) > 0:
		return fail("socket-reached", fmt.Sprintf("containers can open a runtime socket and with it take the node: %s", strings.Join(bad, "; ")), bad...)
	case len(declared) > 0:
		return pass("declared", "only containers that the profile names can open a runtime socket: "+strings.Join(declared, "; "), declared...)
	case !slices.ContainsFunc(sockets, func(s node.RuntimeSocket) bool { return s.Type == node.Socket }):
		return notApplicable("no-socket", "there is no socket of a container engine or of the system's own API")
	}
	return pass("unreached", "no container can open a runtime socket")
}

// holderDeclared reports whether a place of the profile, "SOCKET HOLDER", names
// who holds the socket: HOLDER is a pod ("namespace/name") or a container that no
// pod has ("container:control"), and a trailing * stands for anything. A program
// is no holder: every container calls its programs what it likes.
func holderDeclared(socket, who string, places []profiles.Place) bool {
	return slices.ContainsFunc(places, func(p profiles.Place) bool {
		f := strings.Fields(p.Path)
		return len(f) == 2 && beginsAs(socket, f[0]) && beginsAs(who, f[1])
	})
}

// holderName is a container as profiles name it, "" for none.
func holderName(pod, container string) string {
	if pod == "" && container != "" {
		return "container:" + container
	}
	return pod
}

// beginsAs compares s with a pattern that may end in * for anything.
func beginsAs(s, pattern string) bool {
	if begin, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, begin)
	}
	return s == pattern
}

var singleEngine = Check{
	ID:       "single-engine",
	Rev:      1,
	Title:    "the node has no container engine but those that belong to its system",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(runtimeRefs, []Ref{{pciDSS, "2.2.4"}}),
	Help: Help{
		Why: "Kubernetes uses one engine and watches it. Containers of a second one are seen by no admission rule, no quota and no audit log, and its socket is one more way to root.",
		How: "Engines are found by their sockets, also those that start one on the first connection, and by their programs outside containers. The profile names which belong to the system; where it names none, any one may be there. containerd under Docker is a part of it.",
		Remedy: map[string]string{
			"talos":         "Find the extension service or the privileged pod that brought the engine, and take it out of the Image Factory schematic or the cluster.",
			"flatcar":       "systemctl mask --now docker.socket docker.service; or link /etc/extensions/docker-flatcar.raw to /dev/null and reboot.",
			"bottlerocket":  "Bottlerocket ships two containerds and no more: find what brought the other engine and remove it.",
			"fedora-coreos": "systemctl mask --now docker.socket podman.socket.",
			"microos":       "systemctl mask --now docker.socket podman.socket, or transactional-update pkg remove what is not used.",
			"cos":           "systemctl mask --now docker.socket docker.service, in cloud-init so that it holds after a boot.",
			"":              "Remove the engine that Kubernetes does not use, or systemctl mask --now its socket and service.",
		},
	},
	Judge: On3(node.RuntimeSockets, node.Processes.Parts("path"), node.OS.Parts("init", "pidNamespace"),
		func(r []node.RuntimeSocket, p []node.Program, s node.System, g Given) Finding {
			return wholeMachine(s, judgeEngines(r, p, g))
		}),
}

// engines are what counts as a container engine; other sockets, such as the NRI
// and the APIs of systems, do not.
var engines = []string{"containerd", "crio", "docker", "podman", "buildkit", "host-containerd", "system-containerd", "lxd", "incus"}

// partOf are sockets that belong to an engine of another name.
var partOf = map[string]string{"cri-dockerd": "docker", "dockershim": "docker"}

func judgeEngines(sockets []node.RuntimeSocket, programs []node.Program, g Given) Finding {
	seen := map[string][]string{} // engine → where it was seen
	for _, s := range sockets {
		e := s.Engine
		if whole, ok := partOf[e]; ok {
			e = whole
		}
		if s.Type == node.Socket && slices.Contains(engines, e) {
			seen[e] = append(seen[e], s.Path)
		}
	}
	for _, p := range programs {
		e := engineOf[path.Base(p.Path)]
		// A containerd that has a socket under another engine's name is that one.
		if e == "containerd" && (seen["docker"] != nil || seen["host-containerd"] != nil || seen["system-containerd"] != nil) && seen[e] == nil {
			continue
		}
		if e != "" {
			seen[e] = append(seen[e], p.Path)
		}
	}
	belong := g.Profile.Runtime.Engines
	var there, extra []string
	for _, e := range engines {
		where := seen[e]
		if where == nil {
			continue
		}
		slices.Sort(where)
		item := e + ": " + strings.Join(slices.Compact(where), ", ")
		there = append(there, item)
		under := e == "containerd" && seen["docker"] != nil && (len(belong) == 0 || slices.Contains(belong, "docker"))
		if !under && !slices.Contains(belong, e) {
			extra = append(extra, item)
		}
	}
	switch {
	case len(there) == 0:
		return notApplicable("no-engine", "there is no container engine: neither a socket nor a program of one")
	case len(belong) == 0 && len(extra) > 1:
		return fail("second-engine", "more than one container engine is there: "+strings.Join(extra, "; "), extra...)
	case len(belong) > 0 && len(extra) > 0:
		return fail("second-engine", "container engines are there that do not belong to this system: "+strings.Join(extra, "; "), extra...)
	}
	return pass("single", "only container engines that belong here are there: "+strings.Join(there, "; "), there...)
}

// wholeMachine holds a finding about everything that runs to what could be
// seen: where process 1 is not that of the machine, as in a container or in the
// sandbox that Talos 1.14 puts its workloads in, there is more than was seen.
func wholeMachine(s node.System, f Finding) Finding {
	if part := notTheWhole(s); part != nil && (f.Verdict == Pass || f.Verdict == NotApplicable || f.Verdict == unfound) {
		return *part
	}
	return f
}

// notTheWhole is the finding where process 1 is not that of the machine, or not
// known to be; nil where it is.
func notTheWhole(s node.System) *Finding {
	f := unsaid("whether process 1 is that of the whole machine")
	switch s.PIDNamespace {
	case "initial":
		return nil
	case "other":
		f = unknown("part-of-machine", fmt.Sprintf("process 1 (%s) is not that of the whole machine: what runs outside its namespace was not seen", orUnread(s.Init)))
	}
	return &f
}
