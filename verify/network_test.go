package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func tcp(program, address string, port int) node.Listener {
	return node.Listener{Network: "tcp", Address: address, Port: port, Program: program}
}

func inContainer(l node.Listener) node.Listener {
	l.Container = true
	return l
}

// aSocket is what every host has: something that listens on a unix socket.
var aSocket = node.Listener{Network: "unix", Address: "/run/systemd/private", Program: "/usr/lib/systemd/systemd"}

func listening(facts node.Facts, l ...node.Listener) node.Facts {
	return withFact(facts, node.Listeners, append([]node.Listener{aSocket}, l...))
}

func listeningOverGap(l ...node.Listener) node.Facts {
	return withFact(onHost(), node.Listeners, append([]node.Listener{aSocket}, l...), deniedGap)
}

// withoutListeners are the rows that every check of listeners must have.
func withoutListeners(p profiles.Profile) []judgedRow {
	return []judgedRow{
		{name: "denied", profile: p, facts: lacking(onHost(), node.Listeners, node.Denied, "reading /proc/1/net/tcp: permission denied"), want: "unknown fact-denied"},
		{name: "a host without any socket has not been looked at", profile: p, facts: withFact(onHost(), node.Listeners, []node.Listener{}), want: "unknown unread"},
		{name: "a program that could not be seen", profile: p, facts: listeningOverGap(), want: "unknown gap-denied"},
		{name: "a sandbox shows not all that listens", profile: p, facts: listening(inSandbox()), want: "unknown part-of-machine"},
	}
}

func TestListenersDeclared(t *testing.T) {
	p := profiles.Profile{Network: profiles.Network{Listen: []profiles.Place{
		{Path: "kubelet 10250"}, {Path: "/usr/local/bin/etcd 2379-2380"}, {Path: "container:kube-proxy 30000-32767"}, {Path: "* 53"},
	}}}
	testJudge(t, listenersDeclared, append(withoutListeners(p), []judgedRow{
		{name: "the kubelet and etcd", profile: p, facts: listening(onHost(), tcp("/opt/bin/kubelet", "0.0.0.0", 10250), tcp("/usr/local/bin/etcd", "10.0.0.1", 2380)), want: "pass declared-only",
			items: []string{"0.0.0.0:10250 by /opt/bin/kubelet", "10.0.0.1:2380 by /usr/local/bin/etcd"}},
		{name: "loopback is nobody's business", profile: p, facts: listening(onHost(), tcp("/usr/bin/nc", "127.0.0.53", 4444), tcp("/usr/bin/nc", "::1", 4444), tcp("/usr/bin/nc", "::ffff:127.0.0.1", 4444)), want: "pass declared-only", items: []string{}},
		{name: "a program that nobody declared", profile: p, facts: listening(onHost(), tcp("/tmp/nc", "::", 4444)), want: "fail undeclared", items: []string{"[::]:4444 by /tmp/nc"}},
		{name: "a declared program on another port", profile: p, facts: listening(onHost(), tcp("/opt/bin/kubelet", "0.0.0.0", 10255)), want: "fail undeclared"},
		{name: "a declared port of another program", profile: p, facts: listening(onHost(), tcp("/tmp/nc", "0.0.0.0", 10250)), want: "fail undeclared"},
		{name: "a program of the name elsewhere than declared", profile: p, facts: listening(onHost(), tcp("/tmp/etcd", "0.0.0.0", 2379)), want: "fail undeclared"},
		{name: "a container calls its program as a host program is called", profile: p, facts: listening(onHost(), inContainer(tcp("/kubelet", "0.0.0.0", 10250))), want: "fail undeclared", items: []string{"0.0.0.0:10250 by container:kubelet"}},
		{name: "a declared container in its range", profile: p, facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "0.0.0.0", 31000))), want: "pass declared-only"},
		{name: "just outside the range", profile: p, facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "0.0.0.0", 32768))), want: "fail undeclared"},
		{name: "nobody holds it (the kernel), and any may", profile: p, facts: listening(onHost(), tcp("", "0.0.0.0", 53)), want: "pass declared-only"},
		{name: "nobody holds it (nfsd)", profile: p, facts: listening(onHost(), tcp("", "0.0.0.0", 2049)), want: "fail undeclared", items: []string{"0.0.0.0:2049 by an unseen program"}},
		{name: "beyond the list over a gap", profile: p, facts: listeningOverGap(tcp("/tmp/nc", "::", 4444)), want: "fail undeclared"},
		{name: "an address that is not understood is not loopback", profile: p, facts: listening(onHost(), tcp("/tmp/nc", "localhost", 4444)), want: "fail undeclared"},
		{name: "an ordinary host", profile: profiles.Profile{Ordinary: true}, facts: listening(onHost(), tcp("/usr/sbin/nginx", "0.0.0.0", 80)), want: "not-applicable nothing-expected"},
		{name: "a profile that says nothing proves nothing", facts: listening(onHost(), tcp("/usr/sbin/nginx", "0.0.0.0", 80)), want: "unknown nothing-expected"},
	}...))
}

func TestNoLegacyPorts(t *testing.T) {
	testJudge(t, noLegacyPorts, append(withoutListeners(profiles.Profile{}), []judgedRow{
		{name: "health on loopback, kube-proxy's for load balancers", facts: listening(onHost(), tcp("/usr/bin/kubelet", "127.0.0.1", 10248), inContainer(tcp("/kube-proxy", "::", 10256))), want: "pass none"},
		{name: "the read-only port, whoever has it", facts: listening(onHost(), tcp("", "::", 10255)), want: "fail open", items: []string{"[::]:10255 by an unseen program: the kubelet's read-only port"}},
		{name: "Docker without TLS on one address", facts: listening(onHost(), tcp("/usr/bin/dockerd", "10.0.0.1", 2375)), want: "fail open"},
		{name: "health of the kubelet on every address, over a gap", facts: listeningOverGap(tcp("/usr/bin/kubelet", "0.0.0.0", 10248)), want: "fail open"},
		{name: "the API server without TLS", facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-apiserver", "0.0.0.0", 8080))), want: "fail open"},
		{name: "8080 of another program", facts: listening(onHost(), inContainer(tcp("/app", "0.0.0.0", 8080))), want: "pass none"},
	}...))
}

func TestKubeProxyMetricsLocal(t *testing.T) {
	testJudge(t, kubeProxyMetricsLocal, append(withoutListeners(profiles.Profile{}), []judgedRow{
		{name: "no kube-proxy", facts: listening(onHost()), want: "pass local"},
		{name: "as shipped", facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "127.0.0.1", 10249)), inContainer(tcp("/usr/local/bin/kube-proxy", "::", 10256))), want: "pass local"},
		{name: "for Prometheus to read", facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "::", 10249))), want: "fail open", items: []string{"[::]:10249 by container:kube-proxy"}},
		{name: "k3s has it inside", facts: listening(onHost(), tcp("/var/lib/rancher/k3s/data/current/bin/k3s", "::", 10249)), want: "fail open"},
		{name: "on another port", facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "10.0.0.1", 10349))), want: "fail open"},
		{name: "node ports of an old release", facts: listening(onHost(), inContainer(tcp("/usr/local/bin/kube-proxy", "::", 30000)), inContainer(tcp("/usr/local/bin/kube-proxy", "::", 32767))), want: "pass local"},
		{name: "open over a gap", facts: listeningOverGap(tcp("", "::", 10249)), want: "fail open"},
	}...))
}
