package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// reservedNode is a Bottlerocket with a kubelet; what it has is recorded nowhere
// and comes from soundMachine.
const reservedNode = "composed-bottlerocket"

var reservationDamages = []Damage{
	{Check: "kube-reserved-set", Node: reservedNode, What: "the memory of kubeReserved was lost", Sound: soundMachine(nil), Do: soundMachine(settings{"kubeReserved": `{"cpu": "90m", "ephemeral-storage": "1Gi"}`})},
	{Check: "system-reserved-set", Node: reservedNode, What: "systemReserved holds no memory", Sound: soundMachine(nil), Do: soundMachine(settings{"systemReserved": `{"cpu": "100m"}`})},
	{Check: "hard-eviction-set", Node: reservedNode, What: "the threshold of memory was set to 0%", Sound: soundMachine(nil), Do: soundMachine(settings{"evictionHard": `{"memory.available": "0%", "nodefs.available": "10%"}`})},
	{Check: "reservation-enforced", Node: reservedNode, What: "enforcement was switched off", Sound: soundMachine(nil), Do: soundMachine(settings{"enforceNodeAllocatable": `["none"]`})},
	{Check: "allocatable-consistent", Node: reservedNode, What: "more is reserved than there is", Sound: soundMachine(nil), Do: soundMachine(settings{"systemReserved": `{"cpu": "4", "memory": "1Gi"}`})},
	{Check: "reservation-covers-use", Node: reservedNode, What: "the system holds more than is reserved", Sound: soundMachine(nil), Do: func(t *capture.Tape) { systemUses(t, 2<<30, 2<<30) }},

	{Check: "ephemeral-storage-reserved", Node: reservedNode, What: "kubeReserved was written without ephemeral-storage", Sound: soundMachine(nil), Do: soundMachine(settings{"kubeReserved": `{"cpu": "90m", "memory": "893Mi"}`})},
	{Check: "pids-reserved", Node: reservedNode, What: "the reservation of process numbers was taken away", Sound: soundMachine(nil), Do: soundMachine(settings{"systemReserved": `{"cpu": "100m", "memory": "100Mi"}`})},
	{Check: "reservation-sized", Node: reservedNode, What: "a small node's reservation came to a large one", Sound: soundMachine(nil), Do: func(t *capture.Tape) {
		soundMachine(settings{"kubeReserved": `{"cpu": "90m", "ephemeral-storage": "1Gi", "memory": "128Mi"}`})(t)
		systemUses(t, 256<<20, 900<<20)
	}},
	{Check: "reserved-cgroups-exist", Node: reservedNode, What: "the cgroup that is enforced does not exist", Sound: soundMachine(settings{
		"enforceNodeAllocatable": `["pods", "system-reserved"]`, "systemReservedCgroup": `"/system.slice"`,
	}), Do: soundMachine(settings{
		"enforceNodeAllocatable": `["pods", "system-reserved"]`, "systemReservedCgroup": `"/gone.slice"`,
	})},
	{Check: "swap-off-or-declared", Node: reservedNode, What: "swap was switched on", Sound: soundMachine(nil), Do: func(t *capture.Tape) {
		t.File("proc/swaps", swapHeading+"/dev/zram0                              partition\t4194300\t\t0\t\t100\n")
	}},
	{Check: "memory-qos-noted", Node: reservedNode, What: "a throttling factor was written without its gate", Sound: soundMachine(nil), Do: soundMachine(settings{"memoryThrottlingFactor": "0.8"})},
	{Check: "eviction-defaults-kept", Node: reservedNode, What: "one threshold was written and dropped the others", Sound: soundMachine(nil), Do: soundMachine(settings{"evictionHard": `{"memory.available": "200Mi"}`})},
}

const swapHeading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

// settings are of a kubelet, as JSON by name.
type settings map[string]string

// soundMachine puts on the tape what a machine with 2 processors and 8 GiB has
// and uses, and a configuration of its kubelet that reserves enough, with
// changes to it.
func soundMachine(changes settings) func(*capture.Tape) {
	config := settings{
		"apiVersion":     `"kubelet.config.k8s.io/v1beta1"`,
		"kind":           `"KubeletConfiguration"`,
		"cgroupDriver":   `"systemd"`,
		"kubeReserved":   `{"cpu": "90m", "ephemeral-storage": "1Gi", "memory": "893Mi"}`,
		"systemReserved": `{"cpu": "100m", "memory": "100Mi", "pid": "1000"}`,
		"maxPods":        "58",
	}
	maps.Copy(config, changes)
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		lines = append(lines, fmt.Sprintf("%q: %s", key, config[key]))
	}
	return func(t *capture.Tape) {
		t.File("etc/kubernetes/kubelet/config", "{"+strings.Join(lines, ", ")+"}\n")
		t.File("proc/meminfo", "MemTotal:        8388608 kB\nHugetlb:               0 kB\n")
		t.File("sys/devices/system/cpu/online", "0-1\n")
		t.File("proc/sys/kernel/pid_max", "4194304\n")
		t.File("proc/sys/kernel/threads-max", "63432\n")
		t.File("proc/swaps", swapHeading)
		t.Answer(node.Question{Kind: node.AskStatfs, Of: "var/lib/kubelet"}, node.Statfs{Type: "58465342", Size: 80 << 30, Inodes: 1 << 22, FSID: "0000000000000000"})
		t.File("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
		for _, cgroup := range []string{"init", "kubelet", "kubelet.slice", "podruntime", "runtime.slice", "system", "gone.slice"} {
			t.Absent("sys/fs/cgroup/" + cgroup)
		}
		folders(t, "sys/fs/cgroup/system.slice")
		systemUses(t, 300<<20, 600<<20)
	}
}

// systemUses puts the memory of the system's services on the tape: what they
// hold now, and the highest use since boot.
func systemUses(t *capture.Tape, held, peak int64) {
	const dir = "sys/fs/cgroup/system.slice/"
	t.File(dir+"memory.current", fmt.Sprintf("%d\n", held))
	t.File(dir+"memory.peak", fmt.Sprintf("%d\n", peak))
	t.File(dir+"memory.stat", "active_file 0\ninactive_file 0\nslab_reclaimable 0\n")
	t.File(dir+"pids.current", "70\n")
	t.File(dir+"cpu.stat", "usage_usec 1\n")
}
