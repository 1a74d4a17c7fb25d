package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// containerChecks are about containers that reach the host, and how the runtime is configured.
var containerChecks = []Check{
	hostReachingDeclared, noUndeclaredPrivileged, noHostRoot, kubeletCredentialsUnreached, podVolumesUnreached,
	hostDevicesUnreached, hostNamespacesUnshared, containersConfined, userNamespacesPolicy,
	runtimeConfigNoNetwork, runtimeStreamsLocal, runtimeDefaultsConfined, noInsecureRegistries,
	nriClosed, imagePolicyPresent, runtimeConfigClosed, runtimeBinariesVerified,
}

// containerRefs is what every check of containers that reach the host is
// evidence for.
var containerRefs = []Ref{
	{sp80053, "AC-6"}, {sp80053, "SC-39"},
	{sp800190, "4.4.3"}, {sp800190, "4.5.5"},
	{pciContainers, "3.1"},
	{grundschutz, "SYS.1.6.A17"},
	{iso27001, "8.2"},
}

// The powers over the host that a container can have, as a profile names them.
const (
	powerPrivileged  = "privileged"   // capabilities that are the host's root
	powerRoot        = "host-root"    // /, /etc or the like of the host
	powerKubelet     = "kubelet"      // the kubelet's credentials
	powerPodVolumes  = "pod-volumes"  // volumes of other pods
	powerDevices     = "devices"      // devices of the host
	powerPID         = "host-pid"     // the host's processes
	powerIPC         = "host-ipc"     // the host's shared memory and queues
	powerNetwork     = "host-network" // the host's network
	powerPath        = "host-path"    // another path that decides what the host runs or records
	powerUnconfined  = "unconfined"   // one of the others, without a seccomp filter
	declaredAnyPower = "*"
)

// power is one power that a container has, and by what.
type power struct{ name, by string }

// hostCapabilities are the capabilities that give the host's root to whoever has
// one in the initial user namespace: capabilities(7). NET_ADMIN and the like
// matter with the host's network, which is a power of its own; SYS_PTRACE with
// the host's processes; MKNOD is in every container, and held by the devices
// that its cgroup allows.
var hostCapabilities = []string{"BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "MAC_ADMIN", "MAC_OVERRIDE", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO"}

// rootPaths are the folders with which a container has the host as root has it.
var rootPaths = []string{"/", "/etc", "/proc"}

// programPaths are folders that are as good as those where they can be written.
var programPaths = []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/root", "/opt/cni/bin", "/etc/cni/net.d", "/etc/systemd", "/etc/kubernetes/manifests", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker"}

// telltalePaths are folders that a container seldom needs: what the host runs,
// and what is recorded of it.
var telltalePaths = []string{"/run", "/var/log", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/etcd", "/etc/kubernetes/manifests"}

// kubeletSecrets are where kubelets keep what identifies the node to the API
// server: kubeadm, Talos, Bottlerocket.
var kubeletSecrets = []string{
	"/var/lib/kubelet/pki", "/var/lib/kubelet/kubeconfig", "/var/lib/kubelet/bootstrap-kubeconfig", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/bootstrap-kubelet.conf",
	"/etc/kubernetes/kubeconfig-kubelet", "/etc/kubernetes/bootstrap-kubeconfig", "/etc/kubernetes/kubelet/kubeconfig", "/etc/kubernetes/pki",
}

// harmlessDevices are device files that every process may use.
var harmlessDevices = []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "hugepages", "log", "fuse", "net", "net/tun"}

// powersOf lists what a container can do to the host.
func powersOf(c node.Container) []power {
	var out []power
	add := func(name, format string, args ...any) { out = append(out, power{name, fmt.Sprintf(format, args...)}) }
	if c.UserNamespace != "own" {
		caps := intersect(c.Capabilities, hostCapabilities)
		if c.NoNewPrivs != "on" {
			caps = append(caps, intersect(c.Bounding, hostCapabilities)...)
		}
		if slices.Contains(c.Shares, "pid") {
			caps = append(caps, intersect(c.Capabilities, []string{"SYS_PTRACE"})...)
		}
		if len(caps) > 0 {
			slices.Sort(caps)
			add(powerPrivileged, "capabilities %s", strings.Join(slices.Compact(caps), ", "))
		}
	}
	for _, m := range c.Mounts {
		access := "read-only"
		if m.Writable {
			access = "writable"
		}
		text := fmt.Sprintf("%s at %s, %s", m.Host, m.At, access)
		switch {
		case slices.Contains(rootPaths, m.Host) || strings.HasPrefix(m.Host, "/proc/1/"):
			add(powerRoot, "%s", text)
		case m.Writable && slices.ContainsFunc(programPaths, func(p string) bool { return below(p, m.Host) }):
			add(powerRoot, "%s", text)
		case slices.ContainsFunc(telltalePaths, func(p string) bool { return m.Host == p || m.Host == "/var" || m.Host == "/var/lib" }):
			add(powerPath, "%s", text)
		}
		if slices.ContainsFunc(kubeletSecrets, func(p string) bool { return below(p, m.Host) || below(m.Host, p) }) {
			add(powerKubelet, "%s", text)
		}
		if below("/var/lib/kubelet/pods", m.Host) || below(m.Host, "/var/lib/kubelet/pods") {
			add(powerPodVolumes, "%s", text)
		}
		dev, inDev := strings.CutPrefix(m.Host, "/dev/")
		if m.Host == "/dev" || strings.HasPrefix(m.Host, "device ") || inDev && !slices.Contains(harmlessDevices, dev) {
			add(powerDevices, "%s", text)
		}
	}
	for _, s := range []struct{ namespace, power, by string }{
		{"pid", powerPID, "the host's processes"}, {"ipc", powerIPC, "the host's shared memory"}, {"net", powerNetwork, "the host's network"},
	} {
		if slices.Contains(c.Shares, s.namespace) {
			add(s.power, "%s", s.by)
		}
	}
	if c.Seccomp == "off" && c.UserNamespace != "own" && slices.ContainsFunc(out, func(p power) bool { return p.name != powerNetwork && p.name != powerPath }) {
		add(powerUnconfined, "no seccomp filter")
	}
	return out
}

func intersect(a, b []string) []string {
	var out []string
	for _, s := range a {
		if slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// containerName is how findings name a container.
func containerName(c node.Container) string {
	if c.Pod != "" {
		return "pod " + c.Pod + " (" + c.Program + ")"
	}
	return "container " + c.ID + " (" + c.Program + ")"
}

// powerDeclared reports whether a place of the profile, "POWER WHO", allows the
// container the power. As with holders of sockets a program is no name.
func powerDeclared(c node.Container, name string, places []profiles.Place) bool {
	who := c.Pod
	if who == "" {
		who = "container:" + c.ID
	}
	return slices.ContainsFunc(places, func(p profiles.Place) bool {
		f := strings.Fields(p.Path)
		return len(f) == 2 && (f[0] == declaredAnyPower || f[0] == name) && beginsAs(who, f[1])
	})
}

// reachJudge makes the judge of a check that no container has some of the
// powers beyond those that the profile allows. All it says of them is bad.
func reachJudge(code, bad, good string, names ...string) Judge {
	return On2(node.Containers, node.OS.Parts("init", "pidNamespace"), func(s node.ContainerState, o node.System, g Given) Finding {
		return wholeMachine(o, judgeReach(s, g, code, bad, good, names))
	})
}

func judgeReach(s node.ContainerState, g Given, code, bad, good string, names []string) Finding {
	if s.Reaching == nil {
		return unsaid("which containers run on it")
	}
	var at, declared []string
	for _, c := range s.Reaching {
		var undeclared, allowed []string
		for _, p := range powersOf(c) {
			switch {
			case !slices.Contains(names, p.name) || slices.Contains(undeclared, p.by):
			case powerDeclared(c, p.name, g.Profile.Containers.Reaching):
				allowed = append(allowed, p.by)
			default:
				undeclared = append(undeclared, p.by)
			}
		}
		if len(undeclared) > 0 {
			at = append(at, containerName(c)+": "+strings.Join(undeclared, "; "))
		} else if len(allowed) > 0 {
			declared = append(declared, containerName(c)+": "+strings.Join(allowed, "; "))
		}
	}
	for _, list := range []*[]string{&at, &declared} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	switch {
	case len(at) > 0:
		return fail(code, fmt.Sprintf("%s: %s", bad, strings.Join(at, "; ")), at...)
	case !s.Present:
		return notApplicable("no-container", "no container runs: no process is in a container's cgroup")
	case len(declared) > 0:
		return pass("declared", fmt.Sprintf("%s but those that the profile names: %s", good, strings.Join(declared, "; ")), declared...)
	}
	return pass("none", good)
}
