package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var runtimeSocketPeersDeclared = Check{
	ID:       "runtime-socket-peers-declared",
	Rev:      1,
	Title:    "only the kubelet, the engine's own parts and declared programs are connected to a runtime socket",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(runtimeRefs, []Ref{{sp80053, "CM-7(2)"}}),
	Help: Help{
		Why: "Who talks to the engine commands it: a program that is connected can start a privileged container, run a command in any pod and read what is in it. What may open a socket is a risk; what has opened it is at work.",
		How: "The kernel's list of unix sockets (unix_diag) gives both ends of every connection to the socket of an engine, of the system's API or of a containerd shim, and the descriptors of processes the program behind it. Programs of the host pass where the profile names them (kubelet, dockerd, shims and the like) and they run from the image or a declared place, or where their path is declared; on an ordinary host the name is enough. Pods pass where they are declared to hold the socket. It is looked at once an hour, so a short visit may go unseen; of several processes that share one connection one is named. It takes an agent in the host's network namespace, as the systemd install is, and a kernel with unix_diag built in or loaded: none is loaded for it.",
		Remedy: map[string]string{
			"talos":         "Find the pod or the extension service, and remove it from the cluster or from the image's schematic. Programs that need the state of the machine ask apid, with a certificate of the role os:reader.",
			"flatcar":       "Stop the unit that the item names and see what started it; a crictl or ctr that a person left running ends with the session. An agent that belongs there is declared in a site overlay (clients, holders).",
			"bottlerocket":  "Disable the host container that is connected, or remove the hostPath of the socket from the pod. On the host itself nothing but host-ctr, shims, the kubelet and the programs of the image has anything to say there.",
			"fedora-coreos": "Stop the unit or podman client that the item names; on OpenShift debug pods (oc debug node) that still run crictl end with oc delete pod. What belongs there goes into a site overlay (clients, holders).",
			"cos":           "End the toolbox or startup script that is connected. Monitoring agents on GKE read what the kubelet and its metrics say, and need no socket; one that does is declared in a site overlay (clients, holders).",
			"":              "End the program that is connected and find out who started it, by its cgroup or pod. Where it belongs there, declare it in a site overlay: a program of the host under clients, a pod under holders.",
		},
	},
	Judge: On3(node.SocketPeers, node.RuntimeSockets, node.OS.Parts("init", "pidNamespace"),
		func(p []node.SocketPeer, r []node.RuntimeSocket, s node.System, g Given) Finding {
			return wholeMachine(s, judgeSocketPeers(p, r, g))
		}),
}

func judgeSocketPeers(peers []node.SocketPeer, sockets []node.RuntimeSocket, g Given) Finding {
	lists := map[peerVerdict][]string{}
	for _, p := range peers {
		v := peerState(p, g.Profile)
		lists[v] = append(lists[v], p.Socket+" ← "+peerText(p))
	}
	for v, list := range lists {
		slices.Sort(list)
		lists[v] = slices.Compact(list)
	}
	bad, open, good := lists[peerUndeclared], lists[peerUnplaced], lists[peerDeclared]
	switch {
	case len(bad) > 0:
		return fail("undeclared-peers", "programs that nobody declared are connected to a runtime socket: "+strings.Join(bad, "; "), bad...)
	case len(open) > 0:
		return unknown("mount-unknown", "it is not known which file system these connected programs run from: "+strings.Join(open, "; "), open...)
	case len(good) > 0:
		return pass("declared", "only declared programs are connected to a runtime socket: "+strings.Join(good, "; "), good...)
	case !slices.ContainsFunc(sockets, func(s node.RuntimeSocket) bool { return s.Type == node.Socket }):
		return notApplicable("no-socket", "there is no socket of a container engine or of the system's own API")
	}
	return pass("unconnected", "no program is connected to a runtime socket")
}

// peerVerdict is what a profile says of a program that is connected.
type peerVerdict int

const (
	peerUndeclared peerVerdict = iota
	peerUnplaced               // declared by name, and where it runs from is not known
	peerDeclared
)

func peerState(p node.SocketPeer, profile *profiles.Profile) peerVerdict {
	if who := holderName(p.Pod, p.Container); who != "" {
		if holderDeclared(p.Socket, who, profile.Runtime.Holders) {
			return peerDeclared
		}
		return peerUndeclared
	}
	out := peerUndeclared
	for _, place := range profile.Containers.Clients {
		f := strings.Fields(place.Path)
		if len(f) != 2 || f[0] != p.Engine || p.Program.Memory || p.Program.Detached {
			continue
		}
		switch {
		case strings.HasPrefix(f[1], "/"):
			if p.Program.Script == "" && matches(p.Program.Path, f[1]) || p.Program.Script != "" && matches(p.Program.Script, f[1]) {
				return peerDeclared
			}
		case !beginsAs(path.Base(p.Program.Path), f[1]):
		case profile.Ordinary || fromImage(p.Program, nil) || placeDeclared(p.Program, profile.Processes.Allowed):
			return peerDeclared
		case len(p.Program.On.Options) == 0 && !p.Program.OwnRoot:
			out = peerUnplaced
		}
	}
	return out
}

// peerText is who is connected, in words.
func peerText(p node.SocketPeer) string {
	program := programText(p.Program)
	switch {
	case p.Pod == "" && p.Container == "":
		return fmt.Sprintf("%s (%s, user %d)", program, p.Program.Unit, p.UID)
	case p.Program.Path == "":
		return "pod " + p.Pod
	case p.Pod == "":
		return fmt.Sprintf("container %s (%s, user %d)", p.Container, program, p.UID)
	}
	return fmt.Sprintf("pod %s (%s, user %d)", p.Pod, program, p.UID)
}
