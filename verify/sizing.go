package verify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// sizingChecks are about the size of the reservation.
var sizingChecks = []Check{
	EphemeralStorageReserved,
	PIDsReserved,
	ReservationSized,
	ReservedCgroupsExist,
	SwapOffOrDeclared,
	MemoryQoSNoted,
	EvictionDefaultsKept,
}

// reservedAnywhere is what kubeReserved and systemReserved together keep of a
// resource, and where each says so.
func reservedAnywhere(k node.KubeletState, name string) (total int64, where []string, f *Finding) {
	for _, key := range []string{"kubeReserved", "systemReserved"} {
		set, s, f := amounts(k, key)
		if f != nil {
			return 0, nil, f
		}
		text, ok := set[name]
		if !ok {
			continue
		}
		q, err := node.ParseQuantity(text)
		if err != nil {
			f := unknown("setting-malformed", fmt.Sprintf("%s of %s is no amount: %v", name, s.String(), err), key)
			return 0, nil, &f
		}
		total += q.Value()
		where = append(where, fmt.Sprintf("%s %s (%s)", key, text, s.from))
	}
	return total, where, nil
}

// judgeReservedAnywhere demands that some of a resource is kept; what says what
// comes of it otherwise.
func judgeReservedAnywhere(name, what string) Judge {
	return onKubelet(func(k node.KubeletState, _ Given) Finding {
		total, where, f := reservedAnywhere(k, name)
		switch {
		case f != nil:
			return *f
		case total <= 0:
			return fail("not-set", fmt.Sprintf("neither kubeReserved nor systemReserved keeps any %s: %s", name, what), name)
		}
		return pass("set", fmt.Sprintf("%s is reserved: %s", name, strings.Join(where, ", ")))
	})
}

// EphemeralStorageReserved demands room on the disk for what is no pod.
var EphemeralStorageReserved = Check{
	ID: "ephemeral-storage-reserved", Rev: 1, Topic: Reservation, Severity: Low,
	Title: "ephemeral storage is reserved for the system",
	Refs:  reservationRefs,
	Help: Help{
		Why: "Images, logs of the system and its journal lie on the file system that pods write to. Where nothing is reserved the scheduler gives all of it away, and eviction is what is left.",
		How: "kubeReserved or systemReserved as they take effect have to keep ephemeral-storage, more than 0.",
		Remedy: kubeletRemedy("kubeReserved: {…, ephemeral-storage: 1Gi}", "kube-reserved=…,ephemeral-storage=1Gi", map[string]string{
			"bottlerocket": "apiclient set kubernetes.kube-reserved.ephemeral-storage=1Gi, which is what Bottlerocket sets itself.",
			"cos":          "GKE reserves it by the size of the boot disk: recreate the node in its pool.",
		}),
	},
	Judge: judgeReservedAnywhere("ephemeral-storage", "pods may fill the file system of the kubelet, the runtime and the logs"),
}

// PIDsReserved demands numbers of processes for what is no pod.
var PIDsReserved = Check{
	ID: "pids-reserved", Rev: 1, Topic: Reservation, Severity: Low,
	Title: "process IDs are reserved for the system",
	Refs:  reservationRefs,
	Help: Help{
		Why: "A fork bomb in pods takes every process number of the machine; then neither the kubelet nor anybody who wants to help can start anything.",
		How: "kubeReserved or systemReserved as they take effect have to keep pid, more than 0. The limit of each pod, podPidsLimit, is another setting.",
		Remedy: kubeletRemedy(`systemReserved: {…, pid: "1000"}`, "system-reserved=…,pid=1000", map[string]string{
			"talos":        "Talos reserves pid: 100 in systemReserved; where machine.kubelet.extraConfig replaces systemReserved, write pid there too (talosctl patch machineconfig).",
			"bottlerocket": "Bottlerocket's reservations take cpu, memory and ephemeral-storage and no pid: hold each pod instead, apiclient set kubernetes.pod-pids-limit=4096, and waive the check.",
			"cos":          "GKE has no setting for it; hold pods instead, with podPidsLimit in the node system configuration (gcloud container node-pools update --system-config-from-file).",
		}),
	},
	Judge: judgeReservedAnywhere("pid", "pods may use up the process numbers of the machine"),
}

// ReservationSized compares the reservation with what others reserve, and with
// what was measured.
//
// Formulas are for who has not measured: they fail a node where the reservation
// is below the smallest of them, and where the highest use that the kernel has
// kept does not show that less is enough.
var ReservationSized = Check{
	ID: "reservation-sized", Rev: 1, Topic: Reservation, Severity: Low,
	Title: "the reserved memory fits the size of the node",
	Refs:  slices.Concat(reservationRefs, []Ref{{sp80053, "SC-5(2)"}}),
	Help: Help{
		Why: "The more memory and pods a node has, the more its kubelet and runtime need. A reservation that was right for a small node is a promise that a large one breaks.",
		How: "Memory of kubeReserved and systemReserved together is put beside the formulas of GKE (255 MiB below 1 GiB; else 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112, 2 % above), EKS (255 MiB and 11 MiB a pod by maxPods), AKS (20 MB a pod and 50 MB, at most a quarter; before 1.29 the tiers of GKE), and beside the highest use of the system's cgroups since boot. It fails below the smallest formula, unless that use is known and covered. CPU is reported beside it and does not decide: it is a weight, not a limit.",
		Remedy: kubeletRemedy("kubeReserved: {…, memory: VALUE}", "kube-reserved=…,memory=VALUE", map[string]string{
			"talos":        `In the machine configuration: machine: {kubelet: {extraConfig: {systemReserved: {cpu: 50m, memory: VALUE, pid: "100", ephemeral-storage: 256Mi}}}}, with the value that the finding names; apply it with talosctl patch machineconfig.`,
			"bottlerocket": "apiclient set kubernetes.kube-reserved.memory=VALUE with the value that the finding names; with settings.kubernetes.max-pods set Bottlerocket computes EKS's formula itself.",
			"cos":          "GKE applies its own formula: where it fails the node is none that GKE has configured, or was changed since; recreate it in its pool.",
		}),
	},
	Judge: onReservation(func(k node.KubeletState, r node.ReservationState, _ Given) Finding {
		if r.Capacity.Memory == 0 || r.Capacity.CPU == 0 {
			return unsaid("how much memory and how many processors it has")
		}
		s, f := effective(k, "maxPods")
		if f != nil {
			return *f
		}
		pods, err := strconv.ParseInt(s.json, 10, 32)
		if err != nil || pods < 0 {
			return unknown("setting-malformed", s.String()+", which is no number of pods", s.key)
		}
		reserved, _, f := reservedAnywhere(k, "memory")
		if f != nil {
			return *f
		}
		var items []string
		least := int64(math.MaxInt64)
		for _, v := range formulas(r.Capacity, pods) {
			least = min(least, v.memory)
			items = append(items, fmt.Sprintf("%s would reserve %s and cpu %dm", v.vendor, mebibytes(v.memory), v.cpu))
		}
		var peak, held int64
		kept := len(r.Peaks) > 0
		for _, p := range r.Peaks {
			peak += p.Memory
			held += p.Held
			kept = kept && p.Memory > 0
		}
		measured := "the highest use of the system is not known"
		if kept {
			measured = fmt.Sprintf("the highest use of the system since boot was up to %s, page cache included", mebibytes(peak))
		}
		text := fmt.Sprintf("%s of memory is reserved on a node of %s, %d processors and at most %d pods; %s; %s",
			mebibytes(reserved), mebibytes(r.Capacity.Memory), r.Capacity.CPU/1000, pods, strings.Join(items, ", "), measured)
		switch {
		case reserved >= least:
			return pass("by-formula", text, items...)
		case kept && reserved >= peak:
			return pass("by-measure", text+": less than any formula, and it was enough", items...)
		}
		small := fail
		if !kept {
			small = failUnfound // the use that could not be read may show that it is enough
		}
		value := max(least, held)
		return small("too-small", fmt.Sprintf("%s; set memory to %dMi in all", text, (value+1<<20-1)>>20), items...)
	}),
}

// SwapOffOrDeclared demands that swapping is a decision.
var SwapOffOrDeclared = Check{
	ID: "swap-off-or-declared", Rev: 1, Topic: Reservation, Severity: Medium,
	Title: "swap is off, or the kubelet is configured for it",
	Refs:  []Ref{{sp80053, "SC-6"}, {sp80053, "SC-28"}, {iso27001, "8.6"}, {grundschutz, "SYS.1.6.A15"}},
	Help: Help{
		Why: "What is swapped is on a disk, secrets of pods included, and a node that swaps is slow before it is full. By default a kubelet does not start again where it finds swap.",
		How: "/proc/swaps lists what the kernel swaps to. Where there is any, failSwapOn has to be false and memorySwap.swapBehavior to be written, NoSwap or LimitedSwap: then somebody has decided it. Compressed memory (zram) counts as swap, as it does for the kubelet.",
		Remedy: kubeletRemedy("failSwapOn: false, memorySwap: {swapBehavior: NoSwap}", "fail-swap-on=false", map[string]string{
			"":              "swapoff -a, and take the entry out of /etc/fstab or mask the .swap unit; or write failSwapOn: false and memorySwap: {swapBehavior: LimitedSwap} into the kubelet's configuration.",
			"talos":         "Remove the SwapVolumeConfig document, or add memorySwap: {swapBehavior: LimitedSwap} to machine.kubelet.extraConfig, as Talos's page on swap has it.",
			"flatcar":       "Remove the .swap unit from the Butane configuration and swapoff -a; the image makes no swap.",
			"bottlerocket":  "Bottlerocket makes no swap unless a bootstrap container does: remove it and reboot (apiclient reboot).",
			"fedora-coreos": "Remove /etc/systemd/zram-generator.conf or the .swap unit from the Butane configuration. On OpenShift write failSwapOn and memorySwap into a KubeletConfig resource.",
			"cos":           "COS makes no swap: recreate the node without the user data that calls swapon, or without the swap setting of its node pool.",
		}),
	},
	Judge: On2(node.Swaps, node.Kubelet, func(swaps []node.Swap, k node.KubeletState, _ Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		if swaps == nil {
			return unsaid("whether it swaps")
		}
		if len(swaps) == 0 {
			return pass("off", "the kernel has nothing to swap to")
		}
		var items []string
		for _, s := range swaps {
			items = append(items, fmt.Sprintf("%s of %s", s.Kind, mebibytes(s.Size)))
		}
		text := "the kernel swaps to " + strings.Join(items, ", ")
		refuses, f := effective(k, "failSwapOn")
		if f != nil {
			return *f
		}
		behaviour, f := effective(k, "memorySwap.swapBehavior")
		switch {
		case f != nil:
			return *f
		case refuses.json != "false":
			return fail("kubelet-refuses", fmt.Sprintf("%s, and %s: it will not start again", text, refuses), items...)
		case !behaviour.written:
			return fail("undeclared", fmt.Sprintf("%s; %s, and memorySwap.swapBehavior is not written", text, refuses), items...)
		case behaviour.text() != "NoSwap" && behaviour.text() != "LimitedSwap":
			return fail("unlimited", fmt.Sprintf("%s; %s, %s: pods may swap without a limit", text, refuses, behaviour), items...)
		}
		return pass("declared", fmt.Sprintf("%s; %s, %s", text, refuses, behaviour), items...)
	}),
}

// MemoryQoSNoted demands that throttling is not thought to be on.
var MemoryQoSNoted = Check{
	ID: "memory-qos-noted", Rev: 1, Topic: Reservation, Severity: Low,
	Title: "memory QoS settings, where they are made, take effect",
	Refs:  []Ref{{sp80053, "SC-6"}, {sp80053, "CM-6"}, {iso27001, "8.6"}},
	Help: Help{
		Why: "memoryThrottlingFactor without its feature gate, or the gate on cgroup v1, does nothing, and whoever wrote it counts on pods being slowed down before the node is full.",
		How: "featureGates.MemoryQoS and memoryThrottlingFactor as they take effect. A factor that is written without the gate fails, and so does the gate where the node has cgroup v1. Neither is asked for.",
		Remedy: kubeletRemedy("featureGates: {MemoryQoS: true}", "feature-gates=MemoryQoS=true", map[string]string{
			"bottlerocket":  "Bottlerocket has no setting for either: remove what writes memoryThrottlingFactor.",
			"cos":           "GKE offers neither: recreate the node in its pool.",
			"fedora-coreos": "On OpenShift take memoryThrottlingFactor out of the KubeletConfig resource, which may not set feature gates. Elsewhere take it out of the file that --config names, or write featureGates: {MemoryQoS: true} there.",
		}),
	},
	Judge: onReservation(func(k node.KubeletState, r node.ReservationState, _ Given) Finding {
		set, gates, f := gatesOf(k)
		if f != nil {
			return *f
		}
		on := set["MemoryQoS"]
		factor, written := k.Values["memoryThrottlingFactor"]
		switch {
		case on && r.CgroupVersion == 0:
			return unsaid("which version of cgroups it has")
		case on && r.CgroupVersion == 1:
			return fail("no-cgroup-v2", "featureGates has MemoryQoS ("+gates.from+"), which needs cgroup v2; this node has version 1", "MemoryQoS")
		case on:
			return pass("on", "featureGates has MemoryQoS ("+gates.from+"), and the node has cgroup v2")
		case written:
			return fail("no-gate", fmt.Sprintf("memoryThrottlingFactor is %s (%s), and featureGates does not switch MemoryQoS on", factor.JSON, factor.From), "memoryThrottlingFactor")
		}
		return pass("not-asked-for", "neither the gate MemoryQoS nor memoryThrottlingFactor is written")
	}, "cgroupVersion"),
}

// EvictionDefaultsKept demands that one threshold did not cost the others.
var EvictionDefaultsKept = Check{
	ID: "eviction-defaults-kept", Rev: 1, Topic: Reservation, Severity: Medium,
	Title: "no default hard eviction threshold was lost by setting another",
	Refs:  reservationRefs,
	Help: Help{
		Why: "Writing one key of evictionHard silently drops the other defaults: most often those for inodes and for the file system of images, which then fill up unwatched.",
		How: "evictionHard as it takes effect has to hold memory.available, nodefs.available, nodefs.inodesFree and imagefs.available, none 0, 0% or 100%. The kubelet fills in what is missing only where its file says mergeDefaultEvictionSettings: true, or where the file of --config has no evictionHard and a drop-in has.",
		Remedy: kubeletRemedy("mergeDefaultEvictionSettings: true", "eviction-hard=memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%", map[string]string{
			"bottlerocket": `Name all four: apiclient set --json '{"settings": {"kubernetes": {"eviction-hard": {"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%", "imagefs.available": "15%"}}}}'`,
			"cos":          "GKE sets the hard thresholds itself and offers only soft ones: recreate the node in its pool if they were changed, and waive the check if a new node is the same.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		set, s, f := hardEviction(k)
		if f != nil {
			return *f
		}
		var lost []string
		for _, signal := range []string{"memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"} {
			if !isThreshold(set[signal]) {
				lost = append(lost, signal)
			}
		}
		if len(lost) > 0 {
			return fail("lost", fmt.Sprintf("%s: no threshold for %s", s, strings.Join(lost, ", ")), lost...)
		}
		return pass("kept", s.String())
	}),
}
