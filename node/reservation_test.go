package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gibibyte = 1 << 30

// TestAllocatableOfTheLab: capacity less reservations gives, to the byte, what a
// kubelet 1.36 told the API server.
func TestAllocatableOfTheLab(t *testing.T) {
	var n struct {
		Status struct {
			Capacity, Allocatable map[string]string
		}
	}
	if err := json.Unmarshal(corpus(t, "lab/k8s-host/node.json"), &n); err != nil {
		t.Fatal(err)
	}
	read := func(m map[string]string) Resources {
		var out Resources
		for name, into := range map[string]*int64{"memory": &out.Memory, "ephemeral-storage": &out.EphemeralStorage} {
			q, err := ParseQuantity(m[name])
			if err != nil {
				t.Fatal(err)
			}
			*into = q.Value()
		}
		q, err := ParseQuantity(m["cpu"])
		if err != nil {
			t.Fatal(err)
		}
		out.CPU, _ = q.Milli()
		return out
	}
	k := kubeletHost(map[string]string{"k": string(corpus(t, "lab/k8s-host/kubelet-config.yaml"))}, kubeletProcess("--config=/k"))
	r, err := k.gathering.kubelet()
	if err != nil {
		t.Fatal(err)
	}
	v := ReservationState{Capacity: read(n.Status.Capacity)}
	if gaps := v.settings(r); len(gaps) != 0 {
		t.Fatal(gaps)
	}
	if d := cmp.Diff(read(n.Status.Allocatable), v.Allocatable); d != "" {
		t.Errorf("allocatable (-kubelet +ours):\n%s", d)
	}
	if want := int64(24188480 * 1024); v.Allocatable.Memory != want {
		t.Errorf("memory = %d, want 24684096Ki − 256Mi − 128Mi − 100Mi = %d", v.Allocatable.Memory, want)
	}
}

func TestAllocatable(t *testing.T) {
	capacity := Resources{CPU: 2000, Memory: 8 * gibibyte, EphemeralStorage: 100 * gibibyte, PIDs: 32768}
	type amounts = map[string]string
	for _, tt := range []struct {
		name                   string
		hugePages              int64
		kube, system, eviction amounts
		want                   Resources
		refused                string
	}{
		{name: "nothing set", want: capacity},
		{name: "processes and a bit of a core", kube: amounts{"pid": "100", "cpu": "70m"}, system: amounts{"pid": "1k", "cpu": "0.5"},
			want: Resources{1430, capacity.Memory, capacity.EphemeralStorage, 31668}},
		{name: "eviction in percent", eviction: amounts{"memory.available": "5%", "nodefs.available": "10%", "nodefs.inodesFree": "5%"},
			want: Resources{2000, 8160437856, 96636764000, 32768}},
		{name: "huge pages", hugePages: gibibyte, want: Resources{2000, 7 * gibibyte, capacity.EphemeralStorage, 32768}},
		{name: "more than there is", system: amounts{"memory": "9Gi"}, want: Resources{2000, -gibibyte, capacity.EphemeralStorage, 32768}},
		{name: "no quantity", kube: amounts{"memory": "1 GB"}, refused: `reserving memory: parsing quantity "1 GB"`},
		{name: "no percentage", eviction: amounts{"memory.available": "x%"}, refused: `reserving for eviction by memory.available: parsing "x%"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := allocatable(capacity, tt.hugePages, tt.kube, tt.system, tt.eviction)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("got %v, want an error with %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// machine is a host of cgroup version 2 with two processors and 8 GiB.
func machine() map[string]string {
	return map[string]string{
		"proc/meminfo":                              "MemTotal:        8388608 kB\nMemFree:  1000 kB\nHugePages_Total:       0\nHugepagesize:       2048 kB\n",
		"proc/sys/kernel/pid_max":                   "4194304\n",
		"proc/sys/kernel/threads-max":               "63432\n",
		"sys/devices/system/cpu/online":             "0-1\n",
		"sys/fs/cgroup/cgroup.controllers":          "cpuset cpu io memory pids\n",
		"sys/fs/cgroup/system.slice/memory.current": "524288000\n",
		"sys/fs/cgroup/system.slice/memory.peak":    "943718400\n",
		"sys/fs/cgroup/system.slice/memory.stat":    "anon 200000000\nactive_file 200000000\ninactive_file 100000000\nslab_reclaimable 24288000\n",
		"sys/fs/cgroup/system.slice/cpu.stat":       "usage_usec 123456\nuser_usec 1\n",
		"sys/fs/cgroup/system.slice/pids.current":   "71\n",
		"sys/fs/cgroup/kubepods.slice/memory.peak":  "1\n",
	}
}

func gatherReservation(t *testing.T, files map[string]string, kernel map[Question]any, p ...process) (ReservationState, []Gap) {
	t.Helper()
	m := &memHost{files: files, kernel: kernel}
	h := m.host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: p}, nil }
	v, gaps, err := Reservation.Read(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	return v, gaps
}

func TestReservation(t *testing.T) {
	files := machine()
	files["k"] = kubeletHead + "cgroupDriver: systemd\nkubeReserved: {cpu: 70m, memory: 574Mi}\nsystemReserved: {memory: 100Mi}\nevictionHard: {memory.available: 100Mi}\n" +
		"kubeReservedCgroup: /runtime\nsystemReservedCgroup: /system\nenforceNodeAllocatable: [pods]\nreservedSystemCPUs: '0'\n"
	got, gaps := gatherReservation(t, files, map[Question]any{{AskStatfs, "data/kubelet"}: Statfs{Size: 50*gibibyte + 17}}, kubeletProcess("--config=/k", "--root-dir=/data/kubelet"))
	want := ReservationState{
		Capacity: Resources{2000, 8 * gibibyte, 50 * gibibyte, 63432}, Kubelet: "process",
		KubeReserved: map[string]string{"memory": "574Mi"}, SystemReserved: map[string]string{"memory": "100Mi", "cpu": "1"},
		EvictionHard: map[string]string{"memory.available": "100Mi"}, Enforce: []string{"pods"},
		KubeReservedCgroup: CgroupRef{"/runtime", "no"}, SystemReservedCgroup: CgroupRef{"/system", "yes"},
		Allocatable: Resources{1000, 8*gibibyte - 774*mebibyte, 50 * gibibyte, 63432}, CgroupVersion: 2,
		Peaks: []CgroupPeak{{"/system.slice", 960 * mebibyte, 192 * mebibyte}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(gaps) != 0 {
		t.Errorf("gaps %v", gaps)
	}
}

func TestReservationGaps(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit map[string]string
		want []string
	}{
		{"memory", map[string]string{"proc/meminfo": "MemTotal: many kB\n"}, []string{`the memory of the machine could not be read: parsing /proc/meminfo: line "MemTotal: many kB" is no key and number`}},
		{"processors", map[string]string{"sys/devices/system/cpu/online": "3-1\n"}, []string{`the number of processors could not be read: parsing /sys/devices/system/cpu/online: "3-1" is no list of processors`}},
		{"processes", map[string]string{"proc/sys/kernel/pid_max": "! denied"}, []string{"the number of processes that the kernel allows could not be read: reading /proc/sys/kernel/pid_max: permission denied"}},
		{"cgroup", map[string]string{"sys/fs/cgroup/system.slice/memory.current": "max\n"}, []string{`the memory of cgroup /system.slice could not be read: parsing /sys/fs/cgroup/system.slice/memory.current: "max\n" is no count`}},
		{"configuration", map[string]string{"k": "! denied"}, []string{"the kubelet's settings could not be read: reading /k: permission denied"}},
		{"a reservation that is a number", map[string]string{"k": kubeletHead + "kubeReserved: {cpu: 1}\n"}, []string{"the setting kubeReserved could not be read: parsing kubeReserved: 1 of cpu is no string"}},
		{"a reservation that is no quantity", map[string]string{"k": kubeletHead + "kubeReserved: {memory: 1GB}\n"}, []string{`the reserved amounts could not be read: reserving memory: parsing quantity "1GB": not a number with a suffix such as m, k, Ki, Mi or Gi`}},
		{"a kernel that does not keep the peak (before 5.19)", map[string]string{"sys/fs/cgroup/system.slice/memory.peak": "! absent"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := machine()
			files["k"] = kubeletHead
			for name, text := range tt.edit {
				files[name] = text
			}
			_, gaps := gatherReservation(t, files, nil, kubeletProcess("--config=/k"))
			var got []string
			for _, g := range gaps {
				got = append(got, g.String())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestReservationWithoutKubelet(t *testing.T) {
	q := Question{AskStatfs, "var/lib/kubelet"}
	m := &memHost{files: wholeMachine(machine()), errors: map[Question]*Error{q: {"asking the kernel for", "statfs of /var/lib/kubelet", Absent, ""}}}
	h := m.host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{}, nil }
	v, gaps, err := Reservation.Read(context.Background(), h)
	if err != nil || len(gaps) != 0 || v.Kubelet != "absent" || v.Capacity.Memory != 8*gibibyte {
		t.Errorf("got %+v, gaps %v, %v", v, gaps, err)
	}
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: []process{kubeletProcess()}}, nil }
	h.gathering.kubelet = func() (*kubeletReading, error) { return readKubelet(h) }
	if _, gaps, _ = Reservation.Read(context.Background(), h); len(gaps) != 1 {
		t.Errorf("with a kubelet that has no folder: gaps %v, want one", gaps)
	}
}

func TestReservationV1(t *testing.T) {
	files := map[string]string{
		"proc/meminfo":                "MemTotal: 8388608 kB\nHugetlb: 2048 kB\n",
		"proc/cpuinfo":                "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n",
		"proc/sys/kernel/pid_max":     "32768\n",
		"proc/sys/kernel/threads-max": "63432\n",
		"sys/fs/cgroup/memory/system.slice/memory.usage_in_bytes":     "209715200\n",
		"sys/fs/cgroup/memory/system.slice/memory.max_usage_in_bytes": "300000000\n",
		"sys/fs/cgroup/memory/system.slice/memory.stat":               "cache 1\nhierarchical_memory_limit 9223372036854771712\nhierarchical_memsw_limit 18446744073709551615\ntotal_active_file 52428800\ntotal_inactive_file 52428800\n",
		"sys/fs/cgroup/cpu,cpuacct/system.slice/cpuacct.usage":        "5000000\n",
		"sys/fs/cgroup/cpu":                     "-> cpu,cpuacct",
		"sys/fs/cgroup/cpuacct":                 "-> cpu,cpuacct",
		"sys/fs/cgroup/pids/other/pids.current": "3\n",
		"k":                                     kubeletHead + "cgroupDriver: cgroupfs\nsystemReservedCgroup: /system.slice\nkubeReservedCgroup: /kube-reserved\n",
	}
	v, gaps := gatherReservation(t, files, nil, kubeletProcess("--config=/k"))
	if v.CgroupVersion != 1 || v.HugePages != 2<<20 || v.Capacity.CPU != 2000 || len(gaps) != 0 {
		t.Errorf("version %d, huge pages %d, cpu %d, gaps %v", v.CgroupVersion, v.HugePages, v.Capacity.CPU, gaps)
	}
	// The kubelet wants the cgroup in every hierarchy: this one has no pids.
	if d := cmp.Diff([]CgroupRef{{"/system.slice", "no"}, {"/kube-reserved", "no"}}, []CgroupRef{v.SystemReservedCgroup, v.KubeReservedCgroup}); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	files["sys/fs/cgroup/pids/system.slice/pids.current"] = "71\n"
	v, _ = gatherReservation(t, files, nil, kubeletProcess("--config=/k"))
	if d := cmp.Diff([]CgroupPeak{{"/system.slice", 320 * mebibyte, 112 * mebibyte}}, v.Peaks); d != "" {
		t.Errorf("peaks (-want +got):\n%s", d)
	}
	if v.SystemReservedCgroup.Found != "yes" {
		t.Errorf("system.slice: %v", v.SystemReservedCgroup)
	}

	h := (&memHost{files: files}).host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{}, nil }
	use, _, err := ReservationUse.Read(context.Background(), h)
	if d := cmp.Diff([]CgroupUse{{"/system.slice", 209715200, 5000, 71}}, use); d != "" || err != nil {
		t.Errorf("use (-want +got):\n%s%v", d, err)
	}
}

func TestReservationUse(t *testing.T) {
	h := (&memHost{files: machine()}).host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{}, nil }
	use, gaps, err := ReservationUse.Read(context.Background(), h)
	if d := cmp.Diff([]CgroupUse{{"/system.slice", 524288000, 123456, 71}}, use); d != "" || err != nil || len(gaps) != 0 {
		t.Errorf("use (-want +got):\n%s%v %v", d, err, gaps)
	}
}

func TestCgroupNames(t *testing.T) {
	for _, tt := range []struct{ name, driver, want string }{
		{"/runtime", "systemd", "[/runtime.slice]"},
		{"/system.slice", "systemd", "[/system.slice]"},
		{"system.slice", "cgroupfs", "[/system.slice]"},
		{"/a/b-c", "systemd", "[/b.slice/b-c.slice]"},
		{"/runtime", "", "[/runtime /runtime.slice]"},
		{"/system.slice", "", "[/system.slice]"},
		{"/system.slice/kubelet.service", "systemd", "[/kubelet.service.slice]"},
	} {
		if got := fmt.Sprint(cgroupNames(tt.name, tt.driver)); got != tt.want {
			t.Errorf("cgroupNames(%q, %q) = %s, want %s", tt.name, tt.driver, got, tt.want)
		}
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add([]byte("MemTotal:        8388608 kB\nHugePages_Total:       0\n"))
	f.Add([]byte("MemTotal: -1 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMeminfo(b)
		if err == nil && (m["MemTotal"] <= 0 || hugePagesOf(m) < 0) {
			t.Fatalf("parseMeminfo(%q) = %v", b, m)
		}
	})
}

func FuzzParseFlatKeyed(f *testing.F) {
	f.Add([]byte("anon 1\nactive_file 2\n"))
	f.Add([]byte("hierarchical_memsw_limit 18446744073709551615\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseFlatKeyed(b)
		for k, v := range m {
			if err != nil || k == "" || v < 0 {
				t.Fatalf("parseFlatKeyed(%q) = %v, %v", b, m, err)
			}
		}
	})
}
