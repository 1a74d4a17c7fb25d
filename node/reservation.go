package node

import "context"

// ReservationState is what the node has and what the kubelet keeps from pods.
type ReservationState struct {
	// Capacity is what the machine has, as the kubelet counts it.
	Capacity Resources `json:"capacity"`
	// Kubelet says whether a kubelet was found: "process", "embedded", "absent".
	Kubelet string `json:"kubelet"`
	// The kubelet's settings; nil where they are not set. Quantities as written.
	KubeReserved   map[string]string `json:"kubeReserved"`
	SystemReserved map[string]string `json:"systemReserved"`
	EvictionHard   map[string]string `json:"evictionHard"`
	Enforce        []string          `json:"enforce"` // enforceNodeAllocatable
	// The cgroups that the settings name, and whether they exist.
	KubeReservedCgroup   CgroupRef `json:"kubeReservedCgroup"`
	SystemReservedCgroup CgroupRef `json:"systemReservedCgroup"`
	// Allocatable is Capacity less what is set above, without defaults.
	Allocatable Resources `json:"allocatable"`
	// CgroupVersion is 1 or 2; 0 where no cgroup file system was found.
	CgroupVersion int `json:"cgroupVersion"`
	// Peaks are the highest memory use since boot of the cgroups that hold the
	// system and the kubelet and runtime, rounded up to 64 MiB so that the fact
	// changes rarely. Source: memory.peak, memory.max_usage_in_bytes.
	Peaks []CgroupPeak `json:"peaks"`
}

// Resources are amounts of what a node shares out.
type Resources struct {
	CPU              int64 `json:"cpu"`              // thousandths of a core
	Memory           int64 `json:"memory"`           // bytes
	EphemeralStorage int64 `json:"ephemeralStorage"` // bytes; 0 where it was not asked
	PIDs             int64 `json:"pids"`
}

// CgroupRef is a cgroup that a setting names.
type CgroupRef struct {
	Name  string `json:"name"`  // "" where none is set
	Found string `json:"found"` // "yes", "no", "unknown"; "" where none is set
}

// CgroupPeak is the highest memory use of a cgroup since boot.
type CgroupPeak struct {
	Cgroup string `json:"cgroup"` // "/system.slice"
	Memory int64  `json:"memory"` // bytes, rounded up to 64 MiB
}

// Reservation is what the kubelet keeps from pods.
var Reservation = Source[ReservationState]{
	Name:  "reservation",
	Doc:   "what the node has and what the kubelet keeps from pods",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v ReservationState, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "reservation", Unsupported, "not written yet"}
	},
}
