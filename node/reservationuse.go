package node

import "context"

// CgroupUse is what one cgroup of the host uses now.
type CgroupUse struct {
	Cgroup string `json:"cgroup"`
	Memory int64  `json:"memory"` // bytes
	CPU    int64  `json:"cpu"`    // microseconds since the cgroup was made
	PIDs   int64  `json:"pids"`
}

// ReservationUse is what the reserved cgroups use now, in cgroup v1 or v2.
var ReservationUse = Source[[]CgroupUse]{
	Name:  "reservation-use",
	Doc:   "what the cgroups of the system and the kubelet use now",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v []CgroupUse, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "reservation-use", Unsupported, "not written yet"}
	},
}
