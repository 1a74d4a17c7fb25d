package verify

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var networkChecks = []Check{
	kubeletRefusesStrangers,
	kubeletCertificateIssued,
	kubeletCertificateValid,
	kubeletTLSAsServed,
	listenersDeclared,
	noLegacyPorts,
	kubeProxyMetricsLocal,
}

// networkRefs is what every check of listeners is evidence for.
var networkRefs = []Ref{
	{sp80053, "SC-7"}, {sp80053, "CM-7"}, {pciDSS, "1.2.6"}, {pciDSS, "2.2.4"}, {iso27001, "8.20"},
	{grundschutz, "SYS.1.1.A6"}, {cisControls, "4.8"},
}

// onListeners makes a judge of the TCP ports that are open beyond loopback.
func onListeners(f func([]node.Listener, Given) Finding) Judge {
	return On2(node.Listeners, node.OS.Parts("init", "pidNamespace"), func(all []node.Listener, s node.System, g Given) Finding {
		if len(all) == 0 {
			return unsaid("what listens on it") // no Linux host is without a listening socket
		}
		return wholeMachine(s, f(beyondLoopback(all), g))
	})
}

// beyondLoopback are the TCP ports that others than this machine can reach.
func beyondLoopback(all []node.Listener) []node.Listener {
	var open []node.Listener
	for _, l := range all {
		a, err := netip.ParseAddr(l.Address)
		if l.Network != "unix" && (err != nil || !a.Unmap().IsLoopback()) {
			open = append(open, l)
		}
	}
	return open
}

// listenerName is a listener for people, and what a waiver names.
func listenerName(l node.Listener) string {
	return hostPort(l) + " by " + listenerProgram(l)
}

// listenerProgram is who listens, as profiles write it.
func listenerProgram(l node.Listener) string {
	switch {
	case l.Program == "":
		return "an unseen program"
	case l.Container:
		return "container:" + path.Base(l.Program)
	}
	return l.Program
}

var listenersDeclared = Check{
	ID:       "listeners-declared",
	Rev:      1,
	Title:    "every program that listens on the network is declared",
	Topic:    Network,
	Severity: High,
	Refs:     networkRefs,
	Help: Help{
		Why: "These systems ship with few open ports. One that nobody has declared belongs to a tool that somebody left behind, or to an intruder.",
		How: "Every TCP socket that listens in the host's network namespace, beyond loopback, has to be one of the profile's or of a site overlay's: by program and port. Pods with hostNetwork count, with the program in their container; pods with a network of their own do not. UDP is not judged.",
		Remedy: map[string]string{
			"talos":        "Find the pod with hostNetwork or the extension that listens (talosctl netstat -l -p) and remove it, or declare program and port in a site overlay.",
			"bottlerocket": "Find the pod with hostNetwork or the host container that listens, and disable it: apiclient set host-containers.NAME.enabled=false; or declare it in a site overlay.",
			"":             "Stop what listens (ss -lntp names it), or bind it to 127.0.0.1; declare in a site overlay what has to be reached: program, port and reason.",
		},
	},
	Judge: onListeners(func(open []node.Listener, g Given) Finding {
		if g.Profile.Network.Listen == nil {
			return withoutExpectation(g, "the profile does not say what may listen")
		}
		var beyond, declared []string
		for _, l := range open {
			if listenDeclared(l, g.Profile.Network.Listen) {
				declared = append(declared, listenerName(l))
			} else {
				beyond = append(beyond, listenerName(l))
			}
		}
		if len(beyond) > 0 {
			return fail("undeclared", "undeclared programs listen beyond loopback: "+strings.Join(beyond, ", "), beyond...)
		}
		return pass("declared-only", fmt.Sprintf("%d TCP sockets listen beyond loopback, all declared", len(declared)), declared...)
	}),
}

// listenDeclared reports whether a place, "PROGRAM PORT", names this listener.
func listenDeclared(l node.Listener, places []profiles.Place) bool {
	return slices.ContainsFunc(places, func(p profiles.Place) bool {
		program, ports, ok := strings.Cut(p.Path, " ")
		if !ok || !inPorts(l.Port, ports) {
			return false
		}
		switch name, container := strings.CutPrefix(program, "container:"); {
		case program == "*":
			return true
		case container != l.Container || l.Program == "":
			return false
		case strings.HasPrefix(name, "/"):
			return matches(l.Program, name)
		default:
			return path.Base(l.Program) == name
		}
	})
}

// inPorts reports whether a port is a number, or in a range such as "30000-32767".
func inPorts(port int, ports string) bool {
	from, to, _ := strings.Cut(ports, "-")
	first, err := strconv.Atoi(from)
	last, lastErr := strconv.Atoi(cmp.Or(to, from))
	return err == nil && lastErr == nil && first <= port && port <= last
}

// legacyPorts are TCP ports that answer whoever asks, without TLS or without
// asking for a name, and that a node has no need of beyond loopback. Sources:
// pkg/cluster/ports of Kubernetes, its changelogs of 1.10 to 1.24; the service
// registry of IANA.
var legacyPorts = map[int]string{
	2375:  "Docker's API without TLS",
	2376:  "Docker's API",
	4194:  "cAdvisor of the kubelet (removed in 1.12)",
	10248: "the kubelet's health",
	10251: "the scheduler without TLS (removed in 1.23)",
	10252: "the controller manager without TLS (removed in 1.24)",
	10255: "the kubelet's read-only port",
}

var noLegacyPorts = Check{
	ID:       "no-legacy-ports",
	Rev:      1,
	Title:    "no debug port and no legacy Kubernetes port is open beyond loopback",
	Topic:    Network,
	Severity: High,
	Refs:     slices.Concat(networkRefs, []Ref{{cisKubernetes, "4.2.4"}}),
	Help: Help{
		Why: "These ports tell whoever reaches them which pods run here and how, or hand over the node, without authentication. Network scanners look for them first.",
		How: "No TCP socket beyond loopback may listen on 2375, 2376, 4194, 10248, 10251, 10252 or 10255, whatever program has it; of an API server not on 8080 either. 10256 is kube-proxy's health, which load balancers have to reach, and is no finding.",
		Remedy: map[string]string{
			"talos":        "Take healthzBindAddress and readOnlyPort out of machine.kubelet.extraConfig (talosctl patch machineconfig); the rest are pods with hostNetwork.",
			"bottlerocket": "Bottlerocket opens none of them: find the pod with hostNetwork that does (kubectl get pods -A -o wide), and remove it.",
			"":             "The kubelet: healthzBindAddress: 127.0.0.1 and readOnlyPort: 0. Docker: take -H tcp:// away. Scheduler and controller manager: --port=0, or a release that has no such port.",
		},
	},
	Judge: onListeners(func(open []node.Listener, _ Given) Finding {
		var bad []string
		for _, l := range open {
			what := legacyPorts[l.Port]
			if l.Port == 8080 && path.Base(l.Program) == "kube-apiserver" {
				what = "the API server without TLS (removed in 1.24)"
			}
			if what != "" {
				bad = append(bad, fmt.Sprintf("%s: %s", listenerName(l), what))
			}
		}
		if len(bad) > 0 {
			return fail("open", "open beyond loopback: "+strings.Join(bad, "; "), bad...)
		}
		return pass("none", "none of the ports of debuggers and old releases is open beyond loopback")
	}),
}

const (
	kubeProxyMetricsPort = 10249
	kubeProxyHealthPort  = 10256
	firstNodePort        = 30000
	lastNodePort         = 32767
)

var kubeProxyMetricsLocal = Check{
	ID:       "kube-proxy-metrics-local",
	Rev:      1,
	Title:    "kube-proxy's metrics are served on loopback only",
	Topic:    Network,
	Severity: Medium,
	Refs:     slices.Concat(networkRefs, []Ref{{cisKubernetes, "4.3.1"}}),
	Help: Help{
		Why: "kube-proxy serves its configuration, its metrics and, where profiling is on, its memory on that port, without TLS and to whoever asks.",
		How: "What listens is judged, not the configuration that a pod has somewhere: beyond loopback nothing may listen on 10249, and kube-proxy on no port but 10256 (its health) and, up to 1.26, node ports. A node without kube-proxy passes.",
		Remedy: map[string]string{
			"talos":   "cluster: {proxy: {extraArgs: {metrics-bind-address: \"127.0.0.1:10249\"}}} in the machine configuration of the control plane.",
			"microos": "With k3s or RKE2: kube-proxy-arg: [\"metrics-bind-address=127.0.0.1:10249\"] in config.yaml of the distribution. With kubeadm: metricsBindAddress in the ConfigMap kube-proxy of kube-system.",
			"":        "metricsBindAddress: 127.0.0.1:10249 in the ConfigMap kube-proxy of kube-system, then kubectl -n kube-system rollout restart daemonset kube-proxy. On EKS and GKE it is the add-on's configuration.",
		},
	},
	Judge: onListeners(func(open []node.Listener, _ Given) Finding {
		var bad []string
		for _, l := range open {
			nodePort := l.Port >= firstNodePort && l.Port <= lastNodePort
			other := path.Base(l.Program) == "kube-proxy" && l.Port != kubeProxyHealthPort && !nodePort
			if l.Port == kubeProxyMetricsPort || other {
				bad = append(bad, listenerName(l))
			}
		}
		if len(bad) > 0 {
			return fail("open", "the metrics of kube-proxy can be read from elsewhere: "+strings.Join(bad, ", "), bad...)
		}
		return pass("local", "no metrics of kube-proxy are open beyond loopback")
	}),
}
