package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// reservationChecks prove that pods cannot starve the node. No benchmark asks for
// it; Kubernetes calls it node allocatable.
var reservationChecks = []Check{
	KubeReservedSet,
	SystemReservedSet,
	HardEvictionSet,
	ReservationEnforced,
	AllocatableConsistent,
	ReservationCoversUse,
}

var reservationRefs = []Ref{
	{sp80053, "SC-5"}, {sp80053, "SC-6"}, {grundschutz, "SYS.1.6.A15"},
	{iso27001, "8.6"}, {soc2, "A1.1"}, {pciContainers, "11.1"},
}

// onReservation makes a judge of the reservation that knows which of the
// kubelet's settings could not be read. Of the reservation it rests on parts, or
// on all of it.
func onReservation(f func(node.KubeletState, node.ReservationState, Given) Finding, parts ...string) Judge {
	return On2(node.Kubelet, node.Reservation.Parts(parts...), func(k node.KubeletState, r node.ReservationState, g Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		if len(k.Unread) > 0 {
			return unreadSettings("what is reserved is not known", k)
		}
		return f(k, r, g)
	})
}

// KubeReservedSet demands a share for the kubelet and the runtime.
var KubeReservedSet = Check{
	ID: "kube-reserved-set", Rev: 1, Topic: Reservation, Severity: Medium,
	Title: "CPU and memory are reserved for the kubelet and the container runtime",
	Refs:  reservationRefs,
	Help: Help{
		Why:    "Without a reservation the scheduler fills the whole machine with pods; when they use what they asked for, the kubelet and the runtime starve and the node is lost with all its pods.",
		How:    "kubeReserved as it takes effect (arguments over drop-ins over the file of --config) has to reserve cpu and memory, both more than 0; the kubelet's default is nothing. Where a system reserves for both in systemReserved by design, a complete systemReserved counts. reservedSystemCPUs stands for cpu. ephemeral-storage and pid have checks of their own.",
		Remedy: reservedRemedy("kubeReserved", "kube-reserved"),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		return judgeReserved(k, "kubeReserved", "itself and the container runtime", "systemReserved", g.Profile.Kubelet.NoKubeReserved)
	}),
}

// SystemReservedSet demands a share for everything else on the host.
var SystemReservedSet = Check{
	ID: "system-reserved-set", Rev: 1, Topic: Reservation, Severity: Medium,
	Title: "CPU and memory are reserved for system services",
	Refs:  reservationRefs,
	Help: Help{
		Why:    "Without a reservation pods can take what sshd, journald, udev and an agent that watches the node need.",
		How:    "systemReserved as it takes effect (arguments over drop-ins over the file of --config) has to reserve cpu and memory, both more than 0; the kubelet's default is nothing. Where a system reserves for both in kubeReserved by design, a complete kubeReserved counts. reservedSystemCPUs stands for cpu. ephemeral-storage and pid have checks of their own.",
		Remedy: reservedRemedy("systemReserved", "system-reserved"),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		return judgeReserved(k, "systemReserved", "the services of the system", "kubeReserved", g.Profile.Kubelet.NoSystemReserved)
	}),
}

// judgeReserved demands cpu and memory of the setting key, which keeps them for
// beneficiary, or of the setting instead where the system reserves for both
// there, which words then say.
func judgeReserved(k node.KubeletState, key, beneficiary, instead, words string) Finding {
	set, s, f := amounts(k, key)
	if f != nil {
		return *f
	}
	other, os, f := amounts(k, instead)
	if f != nil {
		return *f
	}
	cpus, f := effective(k, "reservedSystemCPUs")
	if f != nil {
		return *f
	}
	missing := missingOf(set, cpus)
	switch {
	case len(missing) == 0:
		return pass("set", s.String())
	case len(set) == 0 && words != "" && len(missingOf(other, cpus)) == 0:
		return pass("covered", os.String()+": "+words)
	case len(set) == 0:
		return fail("not-set", key+" is not set: the kubelet keeps nothing from pods for "+beneficiary, missing...)
	}
	return fail("incomplete", fmt.Sprintf("%s: no %s is reserved", s, strings.Join(missing, " and no ")), missing...)
}

// missingOf lists which of cpu and memory a reservation lacks or has at 0.
func missingOf(set map[string]string, cpus kubeletSetting) []string {
	var missing []string
	for _, name := range []string{"cpu", "memory"} {
		if name == "cpu" && cpus.text() != "" {
			continue // a list of processors is reserved instead
		}
		q, err := node.ParseQuantity(set[name])
		if err != nil || q.Value() == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// HardEvictionSet demands that pods go before the node does.
var HardEvictionSet = Check{
	ID: "hard-eviction-set", Rev: 2, Topic: Reservation, Severity: Medium,
	Title: "pods are evicted before the node runs out of memory or disk",
	Refs:  reservationRefs,
	Help: Help{
		Why: "Without a hard threshold the kernel's OOM killer decides who dies, and a full disk takes the runtime, the logs and the kubelet itself.",
		How: "evictionHard as it takes effect has to hold memory.available and nodefs.available, neither 0, 0% nor 100% (which the kubelet ignores). Where the file of --config has no evictionHard the kubelet's default is 100Mi and 10%; writing one key drops the others. Without --config the default depends on the kubelet's version.",
		Remedy: kubeletRemedy(`evictionHard: {memory.available: 100Mi, nodefs.available: 10%, nodefs.inodesFree: 5%, imagefs.available: 15%}`, "eviction-hard=memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%", map[string]string{
			"bottlerocket": `apiclient set --json '{"settings": {"kubernetes": {"eviction-hard": {"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"}}}}'`,
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		set, s, f := hardEviction(k)
		if f != nil {
			return *f
		}
		var missing []string
		for _, signal := range []string{"memory.available", "nodefs.available"} {
			if !isThreshold(set[signal]) {
				missing = append(missing, signal)
			}
		}
		if len(missing) > 0 {
			return fail("incomplete", fmt.Sprintf("%s: no threshold for %s", s, strings.Join(missing, " and ")), missing...)
		}
		return pass("set", s.String())
	}),
}

// isThreshold reports whether an eviction threshold keeps anything: the kubelet
// ignores 0% and 100%. Source: pkg/kubelet/eviction/helpers.go, parseThresholdStatement.
func isThreshold(text string) bool {
	percent, isPercent := strings.CutSuffix(text, "%")
	q, err := node.ParseQuantity(percent)
	return err == nil && q.Value() > 0 && !(isPercent && q.Value() >= 100)
}

// ReservationEnforced demands that the reservation is more than arithmetic.
var ReservationEnforced = Check{
	ID: "reservation-enforced", Rev: 2, Topic: Reservation, Severity: Medium,
	Title: "the kubelet holds pods to the node's allocatable resources",
	Refs:  reservationRefs,
	Help: Help{
		Why: "Without the limit on the cgroup of all pods a reservation only steers the scheduler: pods may still use all that the machine has.",
		How: "enforceNodeAllocatable as it takes effect (the kubelet's default is pods) has to contain pods. What it names beside that is the matter of reserved-cgroups-exist.",
		Remedy: kubeletRemedy("enforceNodeAllocatable: [pods]", "enforce-node-allocatable=pods", map[string]string{
			"talos": "Talos leaves the default, pods: take enforceNodeAllocatable out of machine.kubelet.extraConfig (talosctl patch machineconfig).",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		enforced, s, f := listed(k, "enforceNodeAllocatable")
		switch {
		case f != nil:
			return *f
		case !slices.Contains(enforced, "pods"):
			return fail("pods-not-held", s.String()+": pods may use more than is allocatable", s.key)
		}
		return pass("enforced", s.String())
	}),
}

// ReservedCgroupsExist demands that the kubelet can start again.
var ReservedCgroupsExist = Check{
	ID: "reserved-cgroups-exist", Rev: 1, Topic: Reservation, Severity: High,
	Title: "every reservation that the kubelet enforces has its cgroup",
	Refs:  reservationRefs,
	Help: Help{
		Why: "A kubelet that is to hold the system to its reservation, in a cgroup that is not there, refuses to start: the node is lost at its next boot, and all nodes of the pool with it.",
		How: "Where enforceNodeAllocatable as it takes effect names system-reserved or kube-reserved, or their -compressible forms, the cgroup of systemReservedCgroup or kubeReservedCgroup has to exist, by the name that the kubelet's cgroup driver makes of it. A cgroup that is named and not enforced is no matter.",
		Remedy: kubeletRemedy("systemReservedCgroup: /system.slice, kubeReservedCgroup: /runtime.slice", "system-reserved-cgroup=/system.slice", map[string]string{
			"talos":         "Take kube-reserved and system-reserved out of enforceNodeAllocatable in machine.kubelet.extraConfig (talosctl patch machineconfig), or name /system and /podruntime, which Talos has.",
			"bottlerocket":  "Bottlerocket names /runtime and enforces pods alone: remove what adds kube-reserved, or update the system (apiclient update apply).",
			"fedora-coreos": "On OpenShift remove systemReservedCgroup and enforceNodeAllocatable from the KubeletConfig resource. Elsewhere make the slice by a unit of Butane (NAME.slice, wanted by the kubelet's unit), or enforce pods alone.",
		}),
	},
	Judge: onReservation(func(k node.KubeletState, r node.ReservationState, _ Given) Finding {
		enforced, s, f := listed(k, "enforceNodeAllocatable")
		if f != nil {
			return *f
		}
		var missing, unseen, found []string
		for _, e := range []struct {
			name, key string
			ref       node.CgroupRef
		}{
			{"system-reserved", "systemReservedCgroup", r.SystemReservedCgroup},
			{"kube-reserved", "kubeReservedCgroup", r.KubeReservedCgroup},
		} {
			if !slices.Contains(enforced, e.name) && !slices.Contains(enforced, e.name+"-compressible") {
				continue
			}
			switch e.ref.Found {
			case "yes":
				found = append(found, e.key+" "+e.ref.Name)
			case "":
				missing = append(missing, e.key+" (not set)")
			case "no":
				missing = append(missing, e.key+" "+e.ref.Name)
			default:
				unseen = append(unseen, e.key+" "+e.ref.Name)
			}
		}
		switch {
		case len(missing) > 0:
			return fail("no-cgroup", s.String()+", and there is no such cgroup: "+strings.Join(missing, ", "), missing...)
		case len(unseen) > 0:
			return unknown("cgroup-unseen", s.String()+", and whether the cgroup exists could not be seen: "+strings.Join(unseen, ", "), unseen...)
		case len(found) == 0:
			return notApplicable("none-enforced", s.String()+": no reservation is held by a cgroup of its own")
		}
		return pass("exist", s.String()+"; there are "+strings.Join(found, ", "), found...)
	}, "kubeReservedCgroup", "systemReservedCgroup"),
}

// AllocatableConsistent demands that the sums come out.
var AllocatableConsistent = Check{
	ID: "allocatable-consistent", Rev: 2, Topic: Reservation, Severity: Medium,
	Title: "the node's allocatable resources are above zero and below its capacity",
	Refs:  slices.Concat(reservationRefs, []Ref{{grundschutz, "APP.4.4.A13"}}),
	Help: Help{
		Why: "A reservation above the capacity leaves a node that takes no pod, or a kubelet that does not start again; none at all leaves a node whose pods can take everything.",
		How: "Capacity as the kubelet counts it (processors online, MemTotal, the file system of its root folder, the smaller of pid_max and threads-max), less huge pages, kubeReserved, systemReserved and the hard eviction thresholds that take effect: each amount has to be positive, and memory below the capacity. The node object of the Kubernetes API is not compared here.",
		Remedy: map[string]string{
			"":              "kubectl describe node shows capacity and allocatable: lower what kubeReserved, systemReserved and evictionHard keep in sum below the capacity, in the file that --config names, or write kubeReserved where nothing is kept.",
			"talos":         "Lower systemReserved, kubeReserved or evictionHard in machine.kubelet.extraConfig until their sum is below the machine's capacity (talosctl patch machineconfig).",
			"flatcar":       "Lower the sum of what is reserved in the kubelet's configuration file below the capacity, and choose another Butane configuration for machines of this size.",
			"bottlerocket":  "apiclient get settings.kubernetes.kube-reserved settings.kubernetes.system-reserved, and apiclient set amounts that are in sum below the capacity.",
			"fedora-coreos": "On OpenShift set autoSizingReserved: true in the KubeletConfig resource in place of fixed amounts. Elsewhere lower the sum of what is reserved in the kubelet's configuration file.",
			"microos":       "Lower kube-reserved and system-reserved among the kubelet-arg of /etc/rancher/k3s/config.yaml or /etc/rancher/rke2/config.yaml until a part of the machine is left.",
			"cos":           "GKE keeps a part of every machine type that it offers: find out what changed the kubelet's configuration of this node, and recreate it.",
		},
	},
	Judge: onReservation(func(k node.KubeletState, r node.ReservationState, _ Given) Finding {
		var empty, capacity []string
		for _, a := range []struct {
			name       string
			have, left int64
			unit       string
			per        int64
		}{
			{"cpu", r.Capacity.CPU, r.Allocatable.CPU, "m", 1},
			{"memory", r.Capacity.Memory, r.Allocatable.Memory, " MiB", 1 << 20},
			{"ephemeral-storage", r.Capacity.EphemeralStorage, r.Allocatable.EphemeralStorage, " MiB", 1 << 20},
			{"pid", r.Capacity.PIDs, r.Allocatable.PIDs, "", 1},
		} {
			if a.have == 0 {
				continue
			}
			text := fmt.Sprintf("%s %d%s of %d%s", a.name, a.left/a.per, a.unit, a.have/a.per, a.unit)
			capacity = append(capacity, text)
			if a.left <= 0 {
				empty = append(empty, text)
			}
		}
		switch {
		case len(empty) > 0:
			return fail("nothing-left", "more is reserved than the machine has; left for pods: "+strings.Join(empty, ", "), empty...)
		case r.Capacity.Memory == 0 || r.Capacity.CPU == 0:
			return unknown("capacity-unknown", "how much memory and how many processors the machine has could not be read")
		case r.Allocatable.Memory == r.Capacity.Memory-r.HugePages:
			// Nothing is written; the kubelet's default may still keep something.
			set, _, f := hardEviction(k)
			if f != nil {
				return *f
			}
			if !isThreshold(set["memory.available"]) {
				return fail("nothing-reserved", "all memory is left for pods: neither kubeReserved nor systemReserved nor evictionHard keeps any", "memory")
			}
		}
		return pass("consistent", "left for pods: "+strings.Join(capacity, ", "))
	}),
}

// ReservationCoversUse demands that what is reserved is enough.
var ReservationCoversUse = Check{
	ID: "reservation-covers-use", Rev: 1, Topic: Reservation, Severity: Medium,
	Title: "the reserved memory covers what the system, the kubelet and the runtime use",
	Refs:  slices.Concat(reservationRefs, []Ref{{sp80053, "SC-5(2)"}}),
	Help: Help{
		Why: "A reservation below what the system, the kubelet and the runtime already hold is a promise to pods that the node cannot keep: it runs into eviction or the OOM killer.",
		How: "Memory of kubeReserved and systemReserved together against what the cgroups of the system, the kubelet and the runtime hold and the kernel cannot take back (without page cache and reclaimable slab), each rounded up to 16 MiB. The highest use since boot is told beside it; it counts page cache, so that a peak above the reservation is no failure by itself.",
		Remedy: map[string]string{
			"":              "Raise the memory of kubeReserved or systemReserved above what the finding says is held, in the file that --config names, and restart the kubelet; reservation-sized names a value for this size of node.",
			"talos":         "Raise memory of systemReserved in machine.kubelet.extraConfig above what the finding says is held (talosctl patch machineconfig).",
			"flatcar":       "Raise the memory of systemReserved above what the finding says is held, on the node and in the Butane configuration, or move what holds it into a pod with a request of its own.",
			"bottlerocket":  "apiclient set kubernetes.kube-reserved.memory= with more than the finding says is held.",
			"fedora-coreos": "On OpenShift set autoSizingReserved: true in the KubeletConfig resource. Elsewhere raise the memory of systemReserved above what the finding says is held.",
			"microos":       "Raise memory in kubelet-arg: [\"system-reserved=memory=…\"] of k3s or RKE2 above what the finding says is held; the server itself is part of what is held.",
			"cos":           "GKE's reservation is fixed by the machine type: find what runs on the host beside GKE's own services, or choose a larger machine type.",
		},
	},
	Judge: onReservation(func(_ node.KubeletState, r node.ReservationState, _ Given) Finding {
		if len(r.Peaks) == 0 {
			return unknown("no-cgroup", "no cgroup of the system, the kubelet or the runtime was found, so that what they use is not known")
		}
		var reserved, held, peak int64
		for _, m := range []map[string]string{r.KubeReserved, r.SystemReserved} {
			text, ok := m["memory"]
			if !ok {
				continue
			}
			q, err := node.ParseQuantity(text)
			if err != nil {
				return unknown("setting-malformed", "what is reserved is not known: "+err.Error())
			}
			reserved += q.Value()
		}
		kept := true
		var items []string
		for _, p := range r.Peaks {
			held += p.Held
			peak += p.Memory
			kept = kept && p.Memory > 0
			items = append(items, fmt.Sprintf("%s holds up to %s", p.Cgroup, mebibytes(p.Held)))
		}
		reason := fmt.Sprintf("%s of memory is reserved; %s", mebibytes(reserved), strings.Join(items, ", "))
		switch {
		case held > reserved:
			return fail("below-use", reason+": that is more than is reserved", items...)
		case !kept:
			return pass("covers-held", reason+"; this kernel keeps no highest use", items...)
		case peak > reserved:
			return pass("covers-held", fmt.Sprintf("%s; the highest use since boot, page cache included, was up to %s", reason, mebibytes(peak)), items...)
		}
		return pass("covers-peak", fmt.Sprintf("%s; the highest use since boot was up to %s", reason, mebibytes(peak)), items...)
	}),
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// reservedRemedy is how a reservation is written on each system; its amounts are
// those of a small node.
func reservedRemedy(key, argument string) map[string]string {
	const amounts = "{cpu: 100m, memory: 512Mi, ephemeral-storage: 1Gi}"
	return kubeletRemedy(key+": "+amounts, argument+"=cpu=100m,memory=512Mi,ephemeral-storage=1Gi", map[string]string{
		"bottlerocket":  fmt.Sprintf("apiclient set kubernetes.%s.cpu=100m kubernetes.%s.memory=512Mi (amounts by the size of the node); where max-pods is not known Bottlerocket reserves no memory, so set kubernetes.max-pods too.", argument, argument),
		"fedora-coreos": fmt.Sprintf("On OpenShift: a KubeletConfig resource for the machine config pool with spec: {autoSizingReserved: true}, or spec: {kubeletConfig: {systemReserved: {cpu: 500m, memory: 1Gi}}}. Elsewhere write %s into the file that --config names, through Butane for new nodes, and restart the kubelet.", key),
		"cos":           "GKE computes kubeReserved from the machine type and offers no setting for it: choose a larger machine type, or replace a node whose reservation was changed.",
	})
}
