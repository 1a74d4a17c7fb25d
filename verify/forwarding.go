package verify

import (
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

var forwardingOff = Check{
	ID:       "forwarding-off-without-pods",
	Rev:      2,
	Title:    "a host that runs no containers forwards no packets",
	Topic:    KernelTopic,
	Severity: Low,
	Refs:     []Ref{{cisLinux, "3.1.1"}, {sp80053, "CM-7"}, {sp80053, "SC-7"}},
	Help: Help{
		Why: "General benchmarks ask every Linux host to forward nothing, as a host that does is a way around a firewall. A node of Kubernetes cannot follow that: its pods reach each other and the world through it.",
		How: "net.ipv4.ip_forward is read from the kernel. Where a kubelet runs or a container engine has its socket, the rule does not apply, and the finding says so with the value. Elsewhere it has to be 0.",
		Remedy: map[string]string{
			"": "On a host without containers write net.ipv4.ip_forward = 0 to a file in /etc/sysctl.d. On a node of Kubernetes leave it at 1: at 0 no pod reaches another node.",
		},
	},
	Judge: On3(parameters("net.ipv4.ip_forward"), node.Kubelet.Parts("found"), node.RuntimeSockets, func(s node.SysctlValues, k node.KubeletState, sockets []node.RuntimeSocket, _ Given) Finding {
		const name = "net.ipv4.ip_forward"
		value, read := s.Values[name]
		item := name + " = " + value
		engine := slices.IndexFunc(sockets, func(r node.RuntimeSocket) bool { return r.Type == node.Socket && slices.Contains(engines, r.Engine) })
		switch {
		case slices.Contains(s.Absent, name):
			return pass("no-ipv4", name+" is absent: the kernel has no IPv4 in what was seen")
		case !read:
			return unsaid("whether it forwards packets")
		case k.Found == "process" || k.Found == "embedded":
			return notApplicable("kubernetes-host", item+": a kubelet runs, and pods reach each other through their node, which has to forward for them")
		case k.Found != "absent":
			return unsaid("whether a kubelet runs")
		case engine >= 0:
			return notApplicable("container-host", item+": "+sockets[engine].Engine+" runs containers at "+sockets[engine].Path+", and the host forwards for them")
		case value == "0":
			return pass("off", item)
		}
		return fail("on", item+": neither a kubelet nor a container engine is there that would need it", item)
	}),
}
