package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

func TestEphemeralStorageReserved(t *testing.T) {
	runJudged(t, EphemeralStorageReserved, nil, []judged{
		{"Bottlerocket's kubeReserved", factsOf(kubelet("kubeReserved", `{"cpu":"70m","ephemeral-storage":"1Gi"}`)), "pass set", "1Gi", nil},
		{"Talos' systemReserved", factsOf(kubelet("systemReserved", `{"cpu":"50m","ephemeral-storage":"256Mi"}`)), "pass set", "256Mi", nil},
		{"memory alone", factsOf(kubelet("kubeReserved", `{"memory":"1Gi"}`)), "fail not-set", "", []string{"ephemeral-storage"}},
		{"0", factsOf(kubelet("kubeReserved", `{"ephemeral-storage":"0"}`)), "fail not-set", "", nil},
		{"no quantity", factsOf(kubelet("kubeReserved", `{"ephemeral-storage":"1GB"}`)), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet("kubeReserved", `{"ephemeral-storage":"1Gi"}`))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestPIDsReserved(t *testing.T) {
	runJudged(t, PIDsReserved, nil, []judged{
		{"Talos", factsOf(kubelet("systemReserved", `{"cpu":"50m","pid":"100"}`)), "pass set", "100", nil},
		{"not set", factsOf(kubelet("kubeReserved", `{"cpu":"70m"}`)), "fail not-set", "", []string{"pid"}},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet("systemReserved", `{"pid":"100"}`))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

// TestFormulas compares with the examples that the vendors publish: GKE's table
// of machine types, AKS's two examples, and EKS's m5.large with 29 pods.
func TestFormulas(t *testing.T) {
	const gi = 1 << 30
	for _, tt := range []struct {
		name     string
		capacity node.Resources
		pods     int64
		want     []formula
	}{
		{"2 processors, 8 GiB, 29 pods", node.Resources{CPU: 2000, Memory: 8 * gi}, 29, []formula{
			{"GKE", 18 * gi / 10, 70}, {"EKS", 574 << 20, 70}, {"AKS", 630_000_000, 100}, {"AKS before 1.29", 18 * gi / 10, 100}}},
		{"AKS: 4 GB and 70 pods is a quarter", node.Resources{CPU: 2000, Memory: 4 * gi}, 70, []formula{
			{"GKE", gi, 70}, {"EKS", 1025 << 20, 70}, {"AKS", gi, 100}, {"AKS before 1.29", gi, 100}}},
		{"below 1 GiB", node.Resources{CPU: 1000, Memory: gi / 2}, 10, []formula{
			{"GKE", 255 << 20, 60}, {"EKS", 365 << 20, 60}, {"AKS", gi / 8, 60}, {"AKS before 1.29", gi / 8, 60}}},
		{"64 processors, 256 GiB, 110 pods", node.Resources{CPU: 64000, Memory: 256 * gi}, 110, []formula{
			{"GKE", tiers(256 * gi), 230}, {"EKS", 1465 << 20, 230}, {"AKS", 2_250_000_000, 740}, {"AKS before 1.29", tiers(256 * gi), 740}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := formulas(tt.capacity, tt.pods)
			for i := range got { // to the MiB, as people read them
				got[i].memory, tt.want[i].memory = got[i].memory>>20, tt.want[i].memory>>20
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(formula{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	// 1 + 0.8 + 0.8 + 6.72 + 2.56 GiB
	if got, want := tiers(256*gi)>>20, int64(12165); got != want {
		t.Errorf("tiers of 256 GiB: got %d MiB, want %d", got, want)
	}
}

func TestReservationSized(t *testing.T) {
	const key, gi = "kubeReserved", 1 << 30
	r := func(peaks ...node.CgroupPeak) node.ReservationState {
		return node.ReservationState{Kubelet: "process", Capacity: node.Resources{CPU: 2000, Memory: 8 * gi}, Peaks: peaks}
	}
	runJudged(t, ReservationSized, nil, []judged{
		{"EKS's own value", factsOf(kubelet(key, `{"cpu":"70m","memory":"574Mi"}`, "maxPods", "29"), r()), "pass by-formula", "EKS would reserve 574 MiB", nil},
		{"AKS is the smallest for few pods", factsOf(kubelet(key, `{"memory":"300Mi"}`, "maxPods", "12"), r()), "pass by-formula", "AKS would reserve 276 MiB", nil},
		{"both together", factsOf(kubelet(key, `{"memory":"1Gi"}`, "systemReserved", `{"memory":"500Mi"}`), r()), "pass by-formula", "1524 MiB of memory is reserved", nil},
		{"Talos as shipped, 110 pods", factsOf(kubelet("systemReserved", `{"cpu":"50m","memory":"384Mi"}`), r()), "fail too-small", "set memory to 1465Mi in all", nil},
		{"less than any formula, and measured to be enough", factsOf(kubelet("systemReserved", `{"memory":"384Mi"}`), r(node.CgroupPeak{Cgroup: "/system", Memory: 320 * mi, Held: 160 * mi})), "pass by-measure", "up to 320 MiB", nil},
		{"less than was measured", factsOf(kubelet("systemReserved", `{"memory":"384Mi"}`), r(node.CgroupPeak{Cgroup: "/system", Memory: 2048 * mi, Held: 1600 * mi})), "fail too-small", "set memory to 1600Mi in all", nil},
		{"a kernel that keeps no highest use", factsOf(kubelet("systemReserved", `{"memory":"384Mi"}`), r(node.CgroupPeak{Cgroup: "/system", Held: 160 * mi})), "fail too-small", "not known", nil},
		{"what the system uses could not be read, and may show that it is enough", withFact(factsOf(kubelet("systemReserved", `{"memory":"384Mi"}`)), node.Reservation, r(), deniedGap.In("peaks")), "unknown gap-denied", "", nil},
		{"nothing reserved", factsOf(kubelet(), r()), "fail too-small", "0 MiB of memory is reserved", nil},
		{"maxPods is no number", factsOf(kubelet("maxPods", `"many"`), r()), "unknown setting-malformed", "", nil},
		{"capacity unknown", factsOf(kubelet(), node.ReservationState{Kubelet: "process"}), "unknown unread", "", nil},
		{"unread", factsOf(with(kubelet(), unread), r()), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(key, `{"memory":"2Gi"}`), r())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), r()), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}

func TestSwapOffOrDeclared(t *testing.T) {
	facts := func(k node.KubeletState, swaps ...node.Swap) node.Facts {
		f := factsOf(k)
		f[node.Swaps.Name] = node.Fact{Value: append([]node.Swap{}, swaps...)}
		return f
	}
	zram := node.Swap{Kind: "zram", Size: 4 << 30}
	const fails, behaviour = "failSwapOn", "memorySwap.swapBehavior"
	runJudged(t, SwapOffOrDeclared, nil, []judged{
		{"no swap", facts(kubelet()), "pass off", "", nil},
		{"zram, and the kubelet's default", facts(kubelet(), zram), "fail kubelet-refuses", "will not start again", []string{"zram of 4096 MiB"}},
		{"failSwapOn alone", facts(kubelet(fails, "false"), zram), "fail undeclared", "not written", nil},
		{"NoSwap", facts(kubelet(fails, "false", behaviour, `"NoSwap"`), zram), "pass declared", "NoSwap", nil},
		{"LimitedSwap", facts(kubelet(fails, "false", behaviour, `"LimitedSwap"`), zram), "pass declared", "", nil},
		{"as much as there is, in 1.28", facts(kubelet(fails, "false", behaviour, `"UnlimitedSwap"`), zram), "fail unlimited", "UnlimitedSwap", nil},
		{"unread settings do not matter without swap", facts(with(kubelet(), unread)), "pass off", "", nil},
		{"unread settings", facts(with(kubelet(), unread), zram), "unknown gap-denied", "", nil},
		{"gap", gapped(facts(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", facts(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}

func TestMemoryQoSNoted(t *testing.T) {
	r := func(version int) node.ReservationState {
		return node.ReservationState{Kubelet: "process", CgroupVersion: version}
	}
	const gates, factor = "featureGates", "memoryThrottlingFactor"
	runJudged(t, MemoryQoSNoted, nil, []judged{
		{"nothing", factsOf(kubelet(), r(2)), "pass not-asked-for", "", nil},
		{"another gate", factsOf(kubelet(gates, `{"NodeSwap":true}`), r(2)), "pass not-asked-for", "", nil},
		{"on", factsOf(kubelet(gates, `{"MemoryQoS":true}`, factor, "0.8"), r(2)), "pass on", "", nil},
		{"cgroup v1", factsOf(kubelet(gates, `{"MemoryQoS":true}`), r(1)), "fail no-cgroup-v2", "", []string{"MemoryQoS"}},
		{"factor without gate", factsOf(kubelet(factor, "0.8"), r(2)), "fail no-gate", "0.8", []string{"memoryThrottlingFactor"}},
		{"factor and the gate off", factsOf(kubelet(gates, `{"MemoryQoS":false}`, factor, "0.8"), r(2)), "fail no-gate", "", nil},
		{"cgroups not seen", factsOf(kubelet(gates, `{"MemoryQoS":true}`), r(0)), "unknown unread", "", nil},
		{"unread", factsOf(with(kubelet(), unread), r(2)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(), r(2))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), r(2)), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet()), "unknown fact-not-recorded", "", nil},
	})
}

func TestEvictionDefaultsKept(t *testing.T) {
	const key, all = "evictionHard", `{"memory.available":"200Mi","nodefs.available":"10%","nodefs.inodesFree":"5%","imagefs.available":"15%"}`
	runJudged(t, EvictionDefaultsKept, nil, []judged{
		{"default", factsOf(kubelet()), "pass kept", "", nil},
		{"all written", factsOf(kubelet(key, all)), "pass kept", "200Mi", nil},
		{"EKS before AL2023 writes three", factsOf(kubelet(key, `{"memory.available":"100Mi","nodefs.available":"10%","nodefs.inodesFree":"5%"}`)), "fail lost", "", []string{"imagefs.available"}},
		{"one key", factsOf(kubelet(key, `{"memory.available":"1Gi"}`)), "fail lost", "", []string{"nodefs.available", "nodefs.inodesFree", "imagefs.available"}},
		{"one key, merged", factsOf(kubelet(key, `{"memory.available":"1Gi"}`, "mergeDefaultEvictionSettings", "true")), "pass kept", "", nil},
		{"one switched off", factsOf(kubelet(key, `{"memory.available":"200Mi","nodefs.available":"10%","nodefs.inodesFree":"5%","imagefs.available":"0%"}`)), "fail lost", "", []string{"imagefs.available"}},
		{"without --config it depends", factsOf(with(kubelet(), withoutConfig)), "unknown default-depends-on-version", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}
