package node

import "context"

// CgroupUse is what one cgroup of the host uses now. What its controllers do not
// count is 0.
type CgroupUse struct {
	Cgroup string `json:"cgroup"`
	Memory int64  `json:"memory"` // bytes
	CPU    int64  `json:"cpu"`    // microseconds since the cgroup was made
	PIDs   int64  `json:"pids"`
}

// ReservationUse is what the reserved cgroups use now, in cgroup v1 or v2.
// Source: memory.current, cpu.stat, pids.current (Documentation/admin-guide/cgroup-v2.rst);
// memory.usage_in_bytes, cpuacct.usage, pids.current (cgroup-v1).
var ReservationUse = Source[[]CgroupUse]{
	Name:  "reservation-use",
	Doc:   "what the cgroups of the system and the kubelet use now",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]CgroupUse, []Gap, error) {
		k, err := h.gathering.kubelet()
		if err != nil {
			return nil, nil, err
		}
		tree, err := cgroupsOf(h)
		if err != nil {
			return nil, nil, err
		}
		out, gaps := []CgroupUse{}, []Gap(nil)
		for _, cgroup := range tree.system(k) {
			use, err := tree.use(cgroup)
			if err != nil {
				gaps = append(gaps, GapOf("the use of cgroup "+cgroup, err))
				continue
			}
			out = append(out, use)
		}
		return out, gaps, nil
	},
}

// use reads what one cgroup uses; a file that is not there was not counted.
func (t cgroupTree) use(cgroup string) (CgroupUse, error) {
	u := CgroupUse{Cgroup: cgroup}
	var err error
	if u.Memory, err = t.number("memory", cgroup, "memory.usage_in_bytes", "memory.current"); err != nil && !IsAbsent(err) {
		return u, err
	}
	if u.PIDs, err = t.number("pids", cgroup, "pids.current", "pids.current"); err != nil && !IsAbsent(err) {
		return u, err
	}
	if t.version == 1 {
		nanoseconds, err := t.number("cpuacct", cgroup, "cpuacct.usage", "")
		if err != nil && !IsAbsent(err) {
			return u, err
		}
		u.CPU = nanoseconds / 1000
		return u, nil
	}
	stat, err := t.keyed("cpu", cgroup, "cpu.stat")
	if err != nil && !IsAbsent(err) {
		return u, err
	}
	u.CPU = stat["usage_usec"]
	return u, nil
}
