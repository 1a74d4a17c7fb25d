package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

func TestForwardingOff(t *testing.T) {
	facts := func(value, kubelet string, sockets ...node.RuntimeSocket) node.Facts {
		s := node.SysctlValues{Values: map[string]string{}, Absent: []string{}}
		if value != "" {
			s.Values["net.ipv4.ip_forward"] = value
		}
		f := withFact(nil, node.Sysctls, s)
		f = withFact(f, node.Kubelet, node.KubeletState{Found: kubelet})
		return withFact(f, node.RuntimeSockets, sockets)
	}
	docker := node.RuntimeSocket{Path: "/run/docker.sock", Engine: "docker", Type: node.Socket}
	notThere := node.RuntimeSocket{Path: "/run/docker.sock", Engine: "docker", Type: ""}
	absent := withFact(facts("", "absent"), node.Sysctls, node.SysctlValues{Absent: []string{"net.ipv4.ip_forward"}})
	for _, tt := range []struct {
		name  string
		facts node.Facts
		want  string
	}{
		{"a node of Kubernetes forwards for its pods", facts("1", "process"), "not-applicable kubernetes-host"},
		{"a node of k3s as well", facts("1", "embedded"), "not-applicable kubernetes-host"},
		{"a host with Docker", facts("1", "absent", docker), "not-applicable container-host"},
		{"a host without containers that forwards", facts("1", "absent", notThere), "fail on"},
		{"a host without containers that does not", facts("0", "absent"), "pass off"},
		{"a kernel without IPv4", absent, "pass no-ipv4"},
		{"the parameter was not read", facts("", "absent"), "unknown unread"},
		{"it is not known whether a kubelet runs", facts("1", ""), "unknown unread"},
		{"no facts", nil, "unknown fact-not-recorded"},
		{"sockets that could not be read", withFact(facts("0", "absent"), node.RuntimeSockets, []node.RuntimeSocket{}, deniedGap), "unknown gap-denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Run([]Check{forwardingOff}, tt.facts, Given{})[0]
			if got := f.Verdict.String() + " " + f.Code; got != tt.want {
				t.Errorf("got %s (%s), want %s", got, f.Reason, tt.want)
			}
		})
	}
}
