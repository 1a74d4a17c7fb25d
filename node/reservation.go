package node

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ReservationState is what the node has and what the kubelet keeps from pods.
type ReservationState struct {
	// Capacity is what the machine has, as the kubelet counts it. What could not
	// be read is 0 and has a gap.
	Capacity Resources `json:"capacity"`
	// HugePages is the memory set aside for huge pages, in bytes. It is part of
	// the capacity and not of what is allocatable.
	HugePages int64 `json:"hugePages"`
	// Kubelet says whether a kubelet was found: "process", "embedded", "absent".
	Kubelet string `json:"kubelet"`
	// The kubelet's settings; nil where they are not set. Quantities as written.
	// Where reservedSystemCPUs is set, its number of processors stands in
	// SystemReserved for every other amount of cpu, as the kubelet has it.
	KubeReserved   map[string]string `json:"kubeReserved"`
	SystemReserved map[string]string `json:"systemReserved"`
	EvictionHard   map[string]string `json:"evictionHard"`
	Enforce        []string          `json:"enforce"` // enforceNodeAllocatable
	// The cgroups that the settings name, and whether they exist.
	KubeReservedCgroup   CgroupRef `json:"kubeReservedCgroup"`
	SystemReservedCgroup CgroupRef `json:"systemReservedCgroup"`
	// Allocatable is Capacity less huge pages and what is set above, without
	// defaults. It is negative where more is reserved than there is.
	Allocatable Resources `json:"allocatable"`
	// CgroupVersion is 1 or 2; 0 where no cgroup file system was found.
	CgroupVersion int `json:"cgroupVersion"`
	// Peaks are the memory of the cgroups that hold the system and the kubelet and
	// runtime, rounded so that the fact changes rarely.
	Peaks []CgroupPeak `json:"peaks"`
}

// Resources are amounts of what a node shares out.
type Resources struct {
	CPU              int64 `json:"cpu"`              // thousandths of a core
	Memory           int64 `json:"memory"`           // bytes
	EphemeralStorage int64 `json:"ephemeralStorage"` // bytes, in whole MiB; 0 where it was not asked
	PIDs             int64 `json:"pids"`
}

// CgroupRef is a cgroup that a setting names.
type CgroupRef struct {
	Name  string `json:"name"`  // as written; "" where none is set
	Found string `json:"found"` // "yes", "no", "unknown"; "" where none is set
}

// CgroupPeak is the memory of a cgroup.
type CgroupPeak struct {
	Cgroup string `json:"cgroup"` // "/system.slice"
	// Memory is the highest use since boot in bytes, page cache included, rounded
	// up to 64 MiB; 0 where the kernel does not keep it (cgroup v2 before 5.19).
	// Source: memory.peak, memory.max_usage_in_bytes.
	Memory int64 `json:"memory"`
	// Held is what is in use now and cannot be taken back: without page cache and
	// reclaimable slab. In bytes, rounded up to 16 MiB.
	// Source: memory.current and memory.stat, memory.usage_in_bytes.
	Held int64 `json:"held"`
}

// Reservation is what the kubelet keeps from pods.
var Reservation = Source[ReservationState]{
	Name:  "reservation",
	Doc:   "what the node has and what the kubelet keeps from pods",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (ReservationState, []Gap, error) {
		k, err := h.gathering.kubelet()
		if err != nil {
			return ReservationState{}, nil, err
		}
		v := ReservationState{Kubelet: k.state.Found, Peaks: []CgroupPeak{}}
		var gaps, more []Gap
		if len(k.gaps) > 0 {
			gaps = append(gaps, Gap{What: "the kubelet's settings", Code: k.gaps[0].Code, Reason: k.gaps[0].Reason})
		}
		v.Capacity, v.HugePages, more = readCapacity(h, k)
		for _, g := range more {
			gaps = append(gaps, g.In("capacity"))
		}
		gaps = append(gaps, v.settings(k)...)

		tree, err := cgroupsOf(h)
		if err != nil {
			return v, append(gaps, GapOf("the cgroups of the host", err)), nil
		}
		v.CgroupVersion = tree.version
		driver := k.text("cgroupDriver")
		v.KubeReservedCgroup = tree.ref(k.text("kubeReservedCgroup"), driver)
		v.SystemReservedCgroup = tree.ref(k.text("systemReservedCgroup"), driver)
		for _, cgroup := range tree.system(k) {
			peak, err := tree.peak(cgroup)
			if IsAbsent(err) {
				continue // gone since it was listed
			}
			if err != nil {
				gaps = append(gaps, GapOf("the memory of cgroup "+cgroup, err).In("peaks"))
				continue
			}
			v.Peaks = append(v.Peaks, peak)
		}
		return v, gaps, nil
	},
}

// rootDir is the folder whose file system is the node's ephemeral storage.
func (r *kubeletReading) rootDir() string {
	if dir := r.arg("root-dir"); path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return "/var/lib/kubelet"
}

// text is a setting that is a string; "" where it is not set.
func (r *kubeletReading) text(key string) string {
	s, _ := r.settings.values[key].value.(string)
	return s
}

// amounts is a setting that maps names to quantities or percentages; nil where it
// is not set.
func (r *kubeletReading) amounts(key string) (map[string]string, error) {
	v, set := r.settings.values[key]
	if !set {
		return nil, nil
	}
	m, ok := v.value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("parsing %s: %s is no map", key, compactJSON(v.value))
	}
	out := make(map[string]string, len(m))
	for name, amount := range m {
		text, ok := amount.(string)
		if !ok {
			return nil, fmt.Errorf("parsing %s: %s of %s is no string", key, compactJSON(amount), name)
		}
		out[name] = text
	}
	return out, nil
}

// settings takes the kubelet's settings over and computes what is allocatable.
func (v *ReservationState) settings(k *kubeletReading) (gaps []Gap) {
	note := func(what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err))
		}
	}
	var err error
	v.KubeReserved, err = k.amounts("kubeReserved")
	note("the setting kubeReserved", err)
	v.SystemReserved, err = k.amounts("systemReserved")
	note("the setting systemReserved", err)
	v.EvictionHard, err = k.amounts("evictionHard")
	note("the setting evictionHard", err)
	if list, ok := k.settings.values["enforceNodeAllocatable"].value.([]any); ok {
		v.Enforce = []string{}
		for _, e := range list {
			if text, ok := e.(string); ok {
				v.Enforce = append(v.Enforce, text)
			}
		}
	}
	if list := k.text("reservedSystemCPUs"); list != "" {
		// Source: cmd/kubelet/app/server.go, "it will overwrite the cpu setting".
		n, err := parseCPUList(list)
		note("the setting reservedSystemCPUs", err)
		if err == nil {
			v.SystemReserved = maps.Clone(v.SystemReserved)
			if v.SystemReserved == nil {
				v.SystemReserved = map[string]string{}
			}
			v.SystemReserved["cpu"] = strconv.FormatInt(n, 10)
			v.KubeReserved = maps.Clone(v.KubeReserved)
			delete(v.KubeReserved, "cpu")
		}
	}
	eviction := v.EvictionHard
	if k.arg("experimental-allocatable-ignore-eviction") == "true" {
		eviction = nil
	}
	v.Allocatable, err = allocatable(v.Capacity, v.HugePages, v.KubeReserved, v.SystemReserved, eviction)
	note("the reserved amounts", err)
	return gaps
}

// allocatable is what is left for pods: capacity less what is reserved, less the
// hard eviction threshold of memory and of the node's file system, less huge
// pages. A capacity of 0 is not known and stays 0.
// Source: pkg/kubelet/cm/node_container_manager_linux.go, GetNodeAllocatableReservation.
func allocatable(capacity Resources, hugePages int64, kube, system, eviction map[string]string) (Resources, error) {
	left := capacity
	left.Memory -= hugePages
	for _, reserved := range []map[string]string{kube, system} {
		for _, name := range slices.Sorted(maps.Keys(reserved)) {
			q, err := ParseQuantity(reserved[name])
			if err != nil {
				return Resources{}, fmt.Errorf("reserving %s: %w", name, err)
			}
			switch name {
			case "cpu":
				milli, ok := q.Milli()
				if !ok {
					return Resources{}, fmt.Errorf("reserving cpu: %q is too large", reserved[name])
				}
				left.CPU -= milli
			case "memory":
				left.Memory -= q.Value()
			case "ephemeral-storage":
				left.EphemeralStorage -= q.Value()
			case "pid":
				left.PIDs -= q.Value()
			}
		}
	}
	for _, e := range []struct {
		signal   string
		capacity int64
		left     *int64
	}{
		{"memory.available", capacity.Memory, &left.Memory},
		{"nodefs.available", capacity.EphemeralStorage, &left.EphemeralStorage},
	} {
		if text, ok := eviction[e.signal]; ok {
			amount, err := threshold(text, e.capacity)
			if err != nil {
				return Resources{}, fmt.Errorf("reserving for eviction by %s: %w", e.signal, err)
			}
			*e.left -= amount
		}
	}
	for _, r := range []struct{ capacity, left *int64 }{
		{&capacity.CPU, &left.CPU},
		{&capacity.Memory, &left.Memory},
		{&capacity.EphemeralStorage, &left.EphemeralStorage},
		{&capacity.PIDs, &left.PIDs},
	} {
		if *r.capacity == 0 {
			*r.left = 0
		}
	}
	return left, nil
}

// threshold is an eviction threshold in units of what it guards: a quantity, or
// a percentage of the capacity, which the kubelet keeps in 32 bits.
// Source: pkg/kubelet/eviction/helpers.go, parsePercentage;
// pkg/kubelet/eviction/api/types.go, GetThresholdQuantity.
func threshold(text string, capacity int64) (int64, error) {
	percent, ok := strings.CutSuffix(text, "%")
	if !ok {
		q, err := ParseQuantity(text)
		return q.Value(), err
	}
	f, err := strconv.ParseFloat(percent, 32)
	if err != nil || !(f >= 0 && f <= 100) {
		return 0, fmt.Errorf("parsing %q: no percentage", text)
	}
	return int64(float64(capacity) * float64(float32(f)/100)), nil
}

// ref looks a cgroup of the settings up.
func (t cgroupTree) ref(name, driver string) CgroupRef {
	if name == "" {
		return CgroupRef{}
	}
	ref := CgroupRef{name, "no"}
	for _, cgroup := range cgroupNames(name, driver) {
		exists, err := t.exists(cgroup)
		if exists {
			return CgroupRef{name, "yes"}
		}
		if err != nil || t.version == 0 {
			ref.Found = "unknown"
		}
	}
	return ref
}

// systemCgroups are where the systems that this program knows keep their own
// services, the kubelet and the container runtime: systemd's slices, Bottlerocket
// and EKS (runtime), Talos (init, system, podruntime).
var systemCgroups = []string{"/init", "/kubelet", "/kubelet.slice", "/podruntime", "/runtime.slice", "/system", "/system.slice"}

// system lists the cgroups of the system and the kubelet that exist, without
// those that are inside another.
func (t cgroupTree) system(k *kubeletReading) []string {
	driver := k.text("cgroupDriver")
	names := slices.Clone(systemCgroups)
	for _, key := range []string{"kubeReservedCgroup", "systemReservedCgroup"} {
		if name := k.text(key); name != "" {
			names = append(names, cgroupNames(name, driver)...)
		}
	}
	for _, name := range []string{k.text("kubeletCgroups"), k.text("systemCgroups"), k.arg("runtime-cgroups")} {
		if name != "" {
			names = append(names, path.Clean("/"+name))
		}
	}
	slices.Sort(names)
	var out []string
	for _, name := range slices.Compact(names) {
		inside := slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(name, o+"/") })
		if name == "/" || inside || strings.HasPrefix(name, "/kubepods") {
			continue
		}
		// What cannot be looked at is kept: reading it says why.
		if exists, err := t.exists(name); exists || err != nil {
			out = append(out, name)
		}
	}
	return out
}

// peak reads the memory of one cgroup.
func (t cgroupTree) peak(cgroup string) (CgroupPeak, error) {
	p := CgroupPeak{Cgroup: cgroup}
	peak, err := t.number("memory", cgroup, "memory.max_usage_in_bytes", "memory.peak")
	if err != nil && !IsAbsent(err) {
		return p, err
	}
	p.Memory = roundUp(peak, 64*mebibyte)
	now, err := t.number("memory", cgroup, "memory.usage_in_bytes", "memory.current")
	if err != nil {
		return p, err
	}
	stat, err := t.keyed("memory", cgroup, "memory.stat")
	if err != nil {
		return p, err
	}
	back := stat["total_active_file"] + stat["total_inactive_file"]
	if t.version == 2 {
		back = stat["active_file"] + stat["inactive_file"] + stat["slab_reclaimable"]
	}
	p.Held = roundUp(max(now-back, 0), 16*mebibyte)
	return p, nil
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
