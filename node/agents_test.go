package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAgentListsAreSorted(t *testing.T) {
	for name, list := range map[string][]string{"programs": AgentPrograms, "folders": AgentFolders} {
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%s are not sorted, or one stands twice", name)
		}
	}
}

const mdatpStat = "9 (wdav (x) daemon) S 1 9 9 0 -1 4194560 1 0 0 0 1234 66 0 0 20 0 1 0 100 1000 1 18446744073709551615\n"

func TestAgents(t *testing.T) {
	status := "Name:\tclamd\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nVmSize:\t 9000 kB\nVmRSS:\t 2048 kB\nThreads:\t1\nCapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n"
	m := procHost(flatcarMounts, map[int]aProcess{
		6: {exe: "/usr/bin/clamdtop"},
		7: {exe: "/usr/sbin/clamd", cgroup: "0::/system.slice/clamd.service\n", status: status},
		8: {exe: "/usr/bin/python3", comm: "falcon-sensor-b", uid: 1000},
		9: {exe: "/usr/bin/falco", cgroup: podsOwn, mntns: "mnt:[4026532500]", mountinfo: containerMounts + "262 255 254:9 /etc /host/etc ro - ext4 /dev/vda9 rw\n"},
	}, map[string]string{"opt/CrowdStrike/falconctl": "", "opt/eset": "! denied", "proc/7/stat": mdatpStat, "proc/8/stat": mdatpStat, "proc/9/stat": "! denied"})
	got, gaps, err := Agents.Read(t.Context(), m.host())
	if err != nil {
		t.Fatal(err)
	}
	want := AgentState{
		Running: []Agent{
			{Program: "/usr/sbin/clamd", Name: "clamd", Unit: "/system.slice/clamd.service", Root: true, Capabilities: capabilityNames(0x1ffffffffff &^ defaultCapabilities), Seccomp: "off", NoNewPrivs: "off", Mounts: []HostMount{}},
			{Program: "/usr/bin/falco", Name: "falco", Pod: someUID, Container: true, Root: true, Capabilities: []string{}, Mounts: []HostMount{{"/etc", "/host/etc", false}}},
			{Program: "/usr/bin/python3", Name: "falcon-sensor-bpf", Unit: "/system.slice/x.service", Capabilities: []string{}, Mounts: []HostMount{}},
		},
		Installed: []string{"/opt/CrowdStrike"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"the folder /opt/eset could not be read: looking at /opt/eset: permission denied"}, gapTexts(gaps)); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
	costs, gaps, err := AgentCosts.Read(t.Context(), m.host())
	if d := cmp.Diff([]AgentUse{{"clamd", 2048 << 10, 13000}, {"falco", 0, 0}, {"falcon-sensor-bpf", 0, 13000}}, costs); d != "" || err != nil {
		t.Errorf("costs: %v (-want +got):\n%s", err, d)
	}
	if got := strings.Join(gapTexts(gaps), "\n"); got != "1 of 3 processor times of security agents could not be read: reading /proc/<pid>/stat: permission denied" {
		t.Errorf("gaps: %q", got)
	}
}

func TestParseStatTicks(t *testing.T) {
	if n, err := parseStatTicks([]byte(mdatpStat)); n != 1300 || err != nil {
		t.Errorf("got %d, %v want 1300", n, err)
	}
	for _, bad := range []string{"", "9 x S", "9 (x) S 1\n", strings.Replace(mdatpStat, "1234", "-1", 1), strings.Replace(mdatpStat, "1234", "x", 1)} {
		if _, err := parseStatTicks([]byte(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func FuzzStatTicks(f *testing.F) {
	f.Add([]byte(mdatpStat))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseStatTicks(b); err == nil && n < 0 {
			t.Errorf("%q: %d ticks", b, n)
		}
	})
}
