package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

const mi = 1 << 20

func TestKubeReservedSet(t *testing.T) {
	talos := &profiles.Profile{Kubelet: profiles.Kubelet{NoKubeReserved: "Talos reserves for both in systemReserved"}}
	const both, none = `{"cpu":"70m","memory":"574Mi"}`, "{}"
	runJudged(t, KubeReservedSet, nil, []judged{
		{"set", factsOf(kubelet("kubeReserved", both)), "pass set", "574Mi", nil},
		{"not set", factsOf(kubelet()), "fail not-set", "", []string{"cpu", "memory"}},
		{"empty", factsOf(kubelet("kubeReserved", none)), "fail not-set", "", nil},
		{"Bottlerocket without max-pods reserves no memory", factsOf(kubelet("kubeReserved", `{"cpu":"70m","ephemeral-storage":"1Gi"}`)), "fail incomplete", "no memory is reserved", []string{"memory"}},
		{"memory 0", factsOf(kubelet("kubeReserved", `{"cpu":"70m","memory":"0"}`)), "fail incomplete", "", []string{"memory"}},
		{"not a quantity", factsOf(kubelet("kubeReserved", `{"cpu":"70m","memory":"1GB"}`)), "fail incomplete", "", []string{"memory"}},
		{"a list of processors instead of cpu", factsOf(kubelet("kubeReserved", `{"memory":"1Gi"}`, "reservedSystemCPUs", `"0-1"`)), "pass set", "", nil},
		{"the other one without words of the profile", factsOf(kubelet("systemReserved", both)), "fail not-set", "", nil},
		{"no map", factsOf(kubelet("kubeReserved", "1")), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet("kubeReserved", both))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, KubeReservedSet, talos, []judged{
		{"Talos: covered", factsOf(kubelet("systemReserved", both)), "pass covered", "Talos reserves for both", nil},
		{"Talos: the other one is incomplete", factsOf(kubelet("systemReserved", `{"cpu":"50m"}`)), "fail not-set", "", nil},
		{"Talos: something is set here", factsOf(kubelet("systemReserved", both, "kubeReserved", `{"cpu":"1"}`)), "fail incomplete", "", nil},
		{"Talos: nothing is set", factsOf(kubelet()), "fail not-set", "", nil},
	})
}

func TestSystemReservedSet(t *testing.T) {
	bottlerocket := &profiles.Profile{Kubelet: profiles.Kubelet{NoSystemReserved: "Bottlerocket reserves for both in kubeReserved"}}
	const both = `{"cpu":"50m","memory":"384Mi","pid":"100"}`
	runJudged(t, SystemReservedSet, nil, []judged{
		{"set", factsOf(kubelet("systemReserved", both)), "pass set", "384Mi", nil},
		{"by argument", factsOf(with(kubelet("systemReserved", both), byFlag)), "pass set", "flag", nil},
		{"not set", factsOf(kubelet("kubeReserved", both)), "fail not-set", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet("systemReserved", both))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, SystemReservedSet, bottlerocket, []judged{
		{"Bottlerocket: covered", factsOf(kubelet("kubeReserved", both)), "pass covered", "Bottlerocket reserves for both", nil},
	})
}

func TestHardEvictionSet(t *testing.T) {
	const key = "evictionHard"
	dropIn := func(k *node.KubeletState) {
		k.Values[key] = node.KubeletValue{JSON: `{"memory.available":"200Mi"}`, From: "file /d/1.conf"}
		k.Files = append(k.Files, node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "yes", Mode: 0o600})
	}
	runJudged(t, HardEvictionSet, nil, []judged{
		{"set", factsOf(kubelet(key, `{"memory.available":"100Mi","nodefs.available":"10%"}`)), "pass set", "", nil},
		{"default with --config", factsOf(kubelet()), "pass set", "100Mi", nil},
		{"default without --config", factsOf(with(kubelet(), withoutConfig)), "unknown default-depends-on-version", "", nil},
		{"one key drops the other defaults", factsOf(kubelet(key, `{"memory.available":"100Mi"}`)), "fail incomplete", "nodefs.available", []string{"nodefs.available"}},
		{"the same with mergeDefaultEvictionSettings", factsOf(kubelet(key, `{"memory.available":"100Mi"}`, "mergeDefaultEvictionSettings", "true")), "pass set", "defaults below", nil},
		{"a drop-in is merged into the defaults", factsOf(with(kubelet(), dropIn)), "pass set", "defaults below", nil},
		{"an argument is not", factsOf(with(kubelet(key, `{"memory.available":"1Gi"}`), byFlag)), "fail incomplete", "", nil},
		{"k3s: no threshold of memory", factsOf(with(with(kubelet(key, `{"imagefs.available":"5%","nodefs.available":"5%"}`), byFlag), withoutConfig)), "fail incomplete", "", []string{"memory.available"}},
		{"0%", factsOf(kubelet(key, `{"memory.available":"0%","nodefs.available":"10%"}`)), "fail incomplete", "", []string{"memory.available"}},
		{"100%", factsOf(kubelet(key, `{"memory.available":"100Mi","nodefs.available":"100%"}`)), "fail incomplete", "", []string{"nodefs.available"}},
		{"half a percent", factsOf(kubelet(key, `{"memory.available":"0.5%","nodefs.available":"10%"}`)), "pass set", "", nil},
		{"no map", factsOf(kubelet(key, `[]`)), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestReservationEnforced(t *testing.T) {
	const key = "enforceNodeAllocatable"
	runJudged(t, ReservationEnforced, nil, []judged{
		{"default", factsOf(kubelet()), "pass enforced", `["pods"]`, nil},
		{"OpenShift: system-reserved-compressible", factsOf(kubelet(key, `["pods","system-reserved-compressible"]`)), "pass enforced", "", nil},
		{"none", factsOf(kubelet(key, `["none"]`)), "fail pods-not-held", "", []string{key}},
		{"an empty list is no default", factsOf(kubelet(key, `[]`)), "fail pods-not-held", "", nil},
		{"no list", factsOf(kubelet(key, `"pods"`)), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(key, `["none"]`), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestReservedCgroupsExist(t *testing.T) {
	const key = "enforceNodeAllocatable"
	r := func(system, kube string) node.ReservationState {
		return node.ReservationState{Kubelet: "process",
			SystemReservedCgroup: node.CgroupRef{Name: "/system.slice", Found: system}, KubeReservedCgroup: node.CgroupRef{Name: "/runtime", Found: kube}}
	}
	runJudged(t, ReservedCgroupsExist, nil, []judged{
		{"default", factsOf(kubelet(), r("", "")), "not-applicable none-enforced", `["pods"]`, nil},
		{"EKS names cgroups that it does not enforce", factsOf(kubelet(), r("no", "no")), "not-applicable none-enforced", "", nil},
		{"both exist", factsOf(kubelet(key, `["pods","system-reserved","kube-reserved"]`), r("yes", "yes")), "pass exist", "/runtime", nil},
		{"OpenShift: system-reserved-compressible", factsOf(kubelet(key, `["pods","system-reserved-compressible"]`), r("yes", "")), "pass exist", "", nil},
		{"no such cgroup", factsOf(kubelet(key, `["pods","kube-reserved"]`), r("yes", "no")), "fail no-cgroup", "kubeReservedCgroup /runtime", nil},
		{"no cgroup named", factsOf(kubelet(key, `["pods","system-reserved"]`), node.ReservationState{Kubelet: "process"}), "fail no-cgroup", "systemReservedCgroup (not set)", nil},
		{"cgroup unseen", factsOf(kubelet(key, `["pods","system-reserved"]`), r("unknown", "")), "unknown cgroup-unseen", "", nil},
		{"no list", factsOf(kubelet(key, `"pods"`), r("", "")), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(key, `["none"]`), unread), r("", "")), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(key, `["pods","system-reserved"]`), r("yes", ""))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), node.ReservationState{}), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}

func TestAllocatableConsistent(t *testing.T) {
	capacity := node.Resources{CPU: 2000, Memory: 8192 * mi, EphemeralStorage: 102400 * mi, PIDs: 32768}
	r := func(left node.Resources) node.ReservationState {
		return node.ReservationState{Kubelet: "process", Capacity: capacity, Allocatable: left}
	}
	runJudged(t, AllocatableConsistent, nil, []judged{
		{"consistent", factsOf(kubelet(), r(node.Resources{CPU: 1800, Memory: 7000 * mi, EphemeralStorage: 100000 * mi, PIDs: 32768})), "pass consistent", "memory 7000 MiB of 8192 MiB", nil},
		{"only the default threshold keeps memory", factsOf(kubelet(), r(capacity)), "pass consistent", "", nil},
		{"nothing keeps memory", factsOf(with(kubelet("evictionHard", `{"nodefs.available":"10%"}`), byFlag), r(capacity)), "fail nothing-reserved", "", []string{"memory"}},
		{"without --config it depends", factsOf(with(kubelet(), withoutConfig), r(capacity)), "unknown default-depends-on-version", "", nil},
		{"nothing left", factsOf(kubelet(), r(node.Resources{CPU: 0, Memory: -mi, EphemeralStorage: 1, PIDs: 1})), "fail nothing-left", "cpu 0m of 2000m", []string{"cpu 0m of 2000m", "memory -1 MiB of 8192 MiB"}},
		{"storage was not asked (a file tree)", factsOf(kubelet(), node.ReservationState{Kubelet: "process", Capacity: node.Resources{CPU: 1, Memory: 2 * mi}, Allocatable: node.Resources{CPU: 1, Memory: mi}}), "pass consistent", "", nil},
		{"capacity unknown", factsOf(kubelet(), node.ReservationState{Kubelet: "process"}), "unknown capacity-unknown", "", nil},
		{"unread", factsOf(with(kubelet(), unread), r(node.Resources{})), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(), r(capacity))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), r(capacity)), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}

func TestReservationCoversUse(t *testing.T) {
	r := func(memory string, peaks ...node.CgroupPeak) node.ReservationState {
		v := node.ReservationState{Kubelet: "process", Peaks: peaks, SystemReserved: map[string]string{"memory": "100Mi"}}
		if memory != "" {
			v.KubeReserved = map[string]string{"memory": memory}
		}
		return v
	}
	peak := func(name string, held, peak int64) node.CgroupPeak {
		return node.CgroupPeak{Cgroup: name, Held: held * mi, Memory: peak * mi}
	}
	runJudged(t, ReservationCoversUse, nil, []judged{
		{"covers the peak", factsOf(kubelet(), r("574Mi", peak("/runtime.slice", 160, 320), peak("/system.slice", 64, 128))), "pass covers-peak", "674 MiB of memory is reserved", nil},
		{"covers what is held, the peak counts page cache", factsOf(kubelet(), r("574Mi", peak("/system.slice", 192, 2048))), "pass covers-held", "2048 MiB", nil},
		{"a kernel that keeps no peak", factsOf(kubelet(), r("574Mi", peak("/system.slice", 192, 0))), "pass covers-held", "keeps no highest use", nil},
		{"below use", factsOf(kubelet(), r("", peak("/runtime.slice", 160, 320))), "fail below-use", "100 MiB of memory is reserved", []string{"/runtime.slice holds up to 160 MiB"}},
		{"no cgroup", factsOf(kubelet(), r("574Mi")), "unknown no-cgroup", "", nil},
		{"no quantity", factsOf(kubelet(), r("1GB", peak("/system.slice", 1, 1))), "unknown setting-malformed", "1GB", nil},
		{"unread", factsOf(with(kubelet(), unread), r("", peak("/system.slice", 999, 999))), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(), r("574Mi", peak("/system.slice", 64, 64)))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), r("")), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}
