package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus reads a file of ../shared/corpus; the test is skipped without it.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../shared/corpus", name))
	if err != nil {
		t.Skipf("SKIPPED: the corpus is not there: %v", err)
	}
	return b
}

// aProcess is a process of a composed /proc. What is "" gets what an ordinary
// process of root in process 1's namespaces has.
type aProcess struct {
	comm, exe, cmdline, cgroup, mntns, netns, mountinfo, cwd, root string
	status                                                         string // whole
	uid, gid                                                       uint32
	groups                                                         string
	caps                                                           uint64
	fds                                                            map[int]string
}

const (
	hostMountNS = "mnt:[4026531841]"
	hostNetNS   = "net:[4026531840]"
)

// A writable root with a read-only /usr, as Flatcar has it, and a /run.
const flatcarMounts = `26 1 254:9 / / rw,relatime - ext4 /dev/vda9 rw
27 26 254:3 / /usr ro,relatime - squashfs /dev/mapper/usr ro
28 26 0:24 / /run rw,nosuid - tmpfs tmpfs rw,mode=755
29 26 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw,mode=755
30 26 0:21 / /sys rw - sysfs sysfs rw
31 26 0:22 / /home rw - tmpfs tmpfs rw
`

// containerMounts are those of a container with its own root.
const containerMounts = `255 144 0:51 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/2/fs,upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/4/fs,workdir=/w
256 255 0:53 / /proc rw - proc proc rw
`

func statusText(p aProcess) string {
	if p.status != "" {
		return p.status
	}
	return fmt.Sprintf("Name:\t%s\nState:\tS (sleeping)\nUid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\nGroups:\t%s \nVmSize:\t 1000 kB\nThreads:\t1\nCapPrm:\t%016x\nCapEff:\t%016x\n",
		p.comm, p.uid, p.uid, p.uid, p.uid, p.gid, p.gid, p.gid, p.gid, p.groups, p.caps, p.caps)
}

// procHost is a host whose /proc holds the processes, by pid, and the files.
func procHost(mounts string, processes map[int]aProcess, files map[string]string) *memHost {
	m := &memHost{files: map[string]string{"proc/1/mountinfo": mounts}, info: map[string]FileInfo{}}
	if _, ok := processes[1]; !ok {
		processes = maps.Clone(processes)
		processes[1] = aProcess{comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: "0::/init.scope\n"}
	}
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	link := func(s string) string {
		if strings.HasPrefix(s, "! ") {
			return s
		}
		return "-> " + s
	}
	for pid, p := range processes {
		d := "proc/" + strconv.Itoa(pid) + "/"
		m.files[d+"status"] = statusText(p)
		m.files[d+"cgroup"] = or(p.cgroup, "0::/system.slice/x.service\n")
		m.files[d+"root"] = link(or(p.root, "/"))
		m.files[d+"cwd"] = link(or(p.cwd, "/"))
		m.files[d+"ns/mnt"] = link(or(p.mntns, hostMountNS))
		m.files[d+"ns/net"] = link(or(p.netns, hostNetNS))
		if p.exe != "" {
			m.files[d+"exe"] = link(p.exe)
		}
		m.files[d+"cmdline"] = p.cmdline
		if p.mountinfo != "" {
			m.files[d+"mountinfo"] = p.mountinfo
		} else if pid != 1 {
			m.files[d+"mountinfo"] = mounts
		}
		for fd, to := range p.fds {
			m.files[d+"fd/"+strconv.Itoa(fd)] = link(to)
		}
	}
	maps.Copy(m.files, files)
	return m
}

const someID = "167008f24c56b9e8e95f1da9edc965f489f6f0a74ef814eabf4fcc05461f715d"

func TestClassify(t *testing.T) {
	pod := "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n"
	ns := "mnt:[4026532500]"
	for _, tt := range []struct {
		name     string
		init     string // cgroup of process 1
		p        aProcess
		want     string // container
		wantGaps int
	}{
		{"a pod's container", "", aProcess{cgroup: pod, mntns: ns, mountinfo: containerMounts}, someID, 0},
		{"a service with a mount namespace of its own", "", aProcess{cgroup: "0::/system.slice/systemd-logind.service\n", mntns: ns, mountinfo: flatcarMounts}, "", 0},
		{"talos: the kubelet is a service in an image of its own", "", aProcess{cgroup: "0::/podruntime/kubelet\n", mntns: ns, mountinfo: containerMounts}, "", 0},
		{"a host process that hides in a pod's cgroup", "", aProcess{cgroup: pod}, "", 0},
		{"a host process that hides there in a copy of the host's mount namespace", "", aProcess{cgroup: pod, mntns: ns, mountinfo: copiedMounts}, "", 0},
		{"the namespace may not be seen, its mounts are the host's", "", aProcess{cgroup: pod, mntns: "! denied"}, "", 0},
		{"the namespace may not be seen, its mounts are a container's", "", aProcess{cgroup: pod, mntns: "! denied", root: "! denied", mountinfo: containerMounts}, someID, 0},
		{"nothing of it may be seen", "", aProcess{cgroup: pod, mntns: "! denied", root: "! denied", mountinfo: "! denied"}, someID, 1},
		{"its mounts are no mount table", "", aProcess{cgroup: pod, mntns: ns, mountinfo: "1 2 3 / / rw\n"}, someID, 1},
		{"seen from a cgroup namespace: a service", "0::/../../../../init.scope\n", aProcess{cgroup: "0::/../../../../system.slice/sshd.service\n"}, "", 0},
		{"seen from a cgroup namespace: the pod next door", "0::/../../../../init.scope\n", aProcess{cgroup: "0::/../../kubepods-pod1.slice/cri-containerd-" + someID + ".scope\n", mntns: ns, mountinfo: containerMounts}, someID, 0},
		{"seen from a cgroup namespace: this program itself", "0::/../../../../init.scope\n", aProcess{cgroup: "0::/\n", mntns: ns, mountinfo: containerMounts}, "self", 0},
		{"a host process in this program's own cgroup", "0::/../../../../init.scope\n", aProcess{cgroup: "0::/\n"}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.p.exe = "/usr/bin/x"
			processes := map[int]aProcess{7: tt.p}
			if tt.init != "" {
				processes[1] = aProcess{comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: tt.init}
			}
			table, err := readProcesses(procHost(flatcarMounts, processes, nil).host())
			if err != nil {
				t.Fatal(err)
			}
			p, ok := table.byPID(7)
			if !ok {
				t.Fatal("process 7 is not in the table")
			}
			if p.container != tt.want {
				t.Errorf("container: got %q want %q", p.container, tt.want)
			}
			if len(table.gaps) != tt.wantGaps {
				t.Errorf("gaps: got %v want %d", table.gaps, tt.wantGaps)
			}
		})
	}
}

func TestWhatCountsAsProcess(t *testing.T) {
	gone := "Name:\tx\nState:\tZ (zombie)\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nThreads:\t%d\nCapPrm:\t0\n"
	for _, tt := range []struct {
		name  string
		p     aProcess
		files map[string]string
		want  string // exe of process 7; "-" for no such process
		gaps  []string
	}{
		{"an ordinary one", aProcess{exe: "/usr/bin/x"}, nil, "/usr/bin/x", nil},
		{"a kernel thread that says so", aProcess{status: strings.Replace(fmt.Sprintf(gone, 1), "Threads", "Kthread:\t1\nThreads", 1)}, nil, "-", nil},
		{"a kernel thread of a kernel without the field", aProcess{status: strings.Replace(fmt.Sprintf(gone, 1), "Z (zombie)", "I (idle)", 1)}, nil, "-", nil},
		{"a zombie", aProcess{status: fmt.Sprintf(gone, 1)}, nil, "-", nil},
		{
			"its first thread has ended, another runs on", aProcess{status: fmt.Sprintf(gone, 2)},
			map[string]string{
				"proc/7/task/7/status": fmt.Sprintf(gone, 2), "proc/7/task/8/status": statusText(aProcess{comm: "x"}), "proc/7/task/8/cgroup": "0::/a\n",
				"proc/7/task/8/ns/mnt": "-> " + hostMountNS, "proc/7/task/8/exe": "-> /tmp/evil",
			},
			"/tmp/evil", nil,
		},
		{"it vanished before its status was read", aProcess{}, map[string]string{"proc/7/status": "! absent"}, "-", nil},
		{"it vanished before its executable was read", aProcess{}, map[string]string{"proc/7/exe": "! absent", "proc/7/status": "! absent"}, "-", nil},
		{"it runs and has no executable", aProcess{}, map[string]string{"proc/7/exe": "! absent"}, "", []string{"1 of 2 executables of host processes could not be read: reading link /proc/<pid>/exe: the process runs and has no executable"}},
		{"its executable may not be seen", aProcess{exe: "! denied"}, nil, "", []string{"1 of 2 executables of host processes could not be read: reading link /proc/<pid>/exe: permission denied"}},
		{"its status may not be seen: hidepid=1", aProcess{}, map[string]string{"proc/7/status": "! denied"}, "-", []string{"1 of 2 processes could not be read: reading /proc/<pid>/status: permission denied"}},
		{"its status is cut", aProcess{status: "Name:\tx"}, nil, "-", []string{"1 of 2 processes could not be read: reading /proc/<pid>/status: malformed: the status is cut: no newline at its end"}},
		{"process 1 is hidden: hidepid=2", aProcess{exe: "/usr/bin/x"}, map[string]string{"proc/1/status": "! absent"}, "/usr/bin/x", []string{"processes could not be read: listing /proc: permission denied: process 1 is not shown, so others may be hidden too: hidepid in proc(5)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, err := readProcesses(procHost(flatcarMounts, map[int]aProcess{7: tt.p}, tt.files).host())
			if err != nil {
				t.Fatal(err)
			}
			got := "-"
			if p, ok := table.byPID(7); ok {
				got = p.exe
			}
			if got != tt.want {
				t.Errorf("got %q want %q", got, tt.want)
			}
			var gaps []string
			for _, g := range table.gaps {
				gaps = append(gaps, g.String())
			}
			if d := cmp.Diff(tt.gaps, gaps); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

// A file tree with a mount table and no processes has no list of programs: it
// does not have an empty one.
func TestNoProcesses(t *testing.T) {
	m := &memHost{files: map[string]string{"proc/1/mountinfo": flatcarMounts}}
	for _, src := range []AnySource{Processes, MountNamespaces, SocketHolders, Listeners} {
		if f := src.read(t.Context(), m.host()); f.Missing == nil || f.Missing.Code != Absent {
			t.Errorf("%s: got %+v want it missing: absent", src.Info().Name, f)
		}
	}
}

func TestCgroup(t *testing.T) {
	for _, tt := range []struct {
		name, text                    string
		container, pod, service, unit string
	}{
		{
			"cgroupfs, version 1", "9:name=systemd:/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3/" + someID + "\n8:pids:/kubepods\n0::/\n",
			someID, "3264ac14-1050-41c2-9c23-2af518447ed3", "/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3/" + someID, "/kubepods/besteffort/pod<uuid>/<id>",
		},
		{
			"hybrid: version 2 stayed at the engine's service", "5:devices:/kubepods/pod31d1f050a98e40a82c8a217c134366a8/" + someID + "\n0::/system.slice/containerd.service\n",
			someID, "31d1f050a98e40a82c8a217c134366a8", "/system.slice/containerd.service", "/system.slice/containerd.service",
		},
		{"docker", "0::/system.slice/docker-" + someID + ".scope\n", someID, "", "/system.slice/docker-" + someID + ".scope", "/system.slice/docker-<id>.scope"},
		{"docker, cgroupfs", "0::/docker/" + someID + "\n", someID, "", "/docker/" + someID, "/docker/<id>"},
		{"podman of a user", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + someID + ".scope/container\n", someID, "", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + someID + ".scope/container", "/user.slice/user-N.slice/user@N.service/user.slice/libpod-<id>.scope/container"},
		{"conmon is outside", "0::/system.slice/crio-conmon-" + someID + ".scope\n", "", "", "/system.slice/crio-conmon-" + someID + ".scope", "/system.slice/crio-conmon-<id>.scope"},
		{"a systemd path given to cgroupfs", "0::/system.slice/containerd.service/kubepods-burstable-podcda75904_5813_4bb8_8194_19333bf60fb2.slice:cri-containerd:" + someID + "\n", someID, "", "/system.slice/containerd.service/kubepods-burstable-podcda75904_5813_4bb8_8194_19333bf60fb2.slice:cri-containerd:" + someID, "/system.slice/containerd.service/kubepods-burstable-pod<uuid>.slice:cri-containerd:<id>"},
		{"bottlerocket's admin container", "0::/default/admin\n", "admin", "", "/default/admin", "/default/admin"},
		{"not a container: a slice called default", "0::/default\n", "", "", "/default", "/default"},
		{"docker in a pod: the pod's counts", "0::/kubepods/pod31d1f050a98e40a82c8a217c134366a8/" + someID + "/docker/" + strings.Repeat("ab", 32) + "\n", someID, "31d1f050a98e40a82c8a217c134366a8", "/kubepods/pod31d1f050a98e40a82c8a217c134366a8/" + someID + "/docker/" + strings.Repeat("ab", 32), "/kubepods/pod<id>/<id>/docker/<id>"},
		{"only the pod's own cgroup", "0::/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3\n", "", "3264ac14-1050-41c2-9c23-2af518447ed3", "/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3", "/kubepods/besteffort/pod<uuid>"},
		{"a session", "0::/user.slice/user-0.slice/session-c12.scope\n", "", "", "/user.slice/user-0.slice/session-c12.scope", "/user.slice/user-N.slice/session-N.scope"},
		{"sshd for one connection", "0::/system.slice/system-sshd.slice/sshd@3-192.0.2.15:22-192.0.2.2:51234.service\n", "", "", "/system.slice/system-sshd.slice/sshd@3-192.0.2.15:22-192.0.2.2:51234.service", "/system.slice/system-sshd.slice/sshd@N.service"},
		{"a getty keeps its terminal", "0::/system.slice/system-getty.slice/getty@tty1.service\n", "", "", "/system.slice/system-getty.slice/getty@tty1.service", "/system.slice/system-getty.slice/getty@tty1.service"},
		{"systemd-run", "0::/system.slice/run-u34.service\n", "", "", "/system.slice/run-u34.service", "/system.slice/run-N.service"},
		{"the cgroup was removed", "0::/system.slice/x.service (deleted)\n", "", "", "/system.slice/x.service", "/system.slice/x.service"},
		{"no hierarchy is mounted", "", "", "", "/", "/"},
		{"version 1 without systemd: the longest", "3:cpuset:/\n2:pids:/init\n1:cpu:/system/udevd\n", "", "", "/system/udevd", "/system/udevd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, err := parseCgroup([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := []string{containerIn(lines), podIn(lines), serviceIn(lines), stableUnit(serviceIn(lines))}
			if d := cmp.Diff([]string{tt.container, tt.pod, tt.service, tt.unit}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	for _, bad := range []string{"0::/", "0:/\n", "x::/\n", "0::system.slice\n", "\n"} {
		if _, err := parseCgroup([]byte(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func TestCorpusCgroups(t *testing.T) {
	for name, want := range map[string][2]string{
		"lab/k8s-host/pod-agent.cgroup":  {someID, "3264ac14-1050-41c2-9c23-2af518447ed3"},
		"lab/k8s-host/pod-static.cgroup": {"b5887ab548dac8d1bf6c0be020528963869f8f2eac02bc697317d255fa47999c", "31d1f050a98e40a82c8a217c134366a8"},
		"lab/k8s-vm/k8s/p682/cgroup":     {"7a8413cdaec40bff347a32018da416e397d2a1c20cdd4411bd5ae30321ada11b", "cda75904-5813-4bb8-8194-19333bf60fb2"},
		"rhcos/cgroup-crio-pod-46.txt":   {"d6d725b909f37c3e232aadfbafa950a58bfe7baa579ba8c47a12be88bb921607", "8ca306fa-3c03-47fa-97dd-19979c345572"},
		"lab/k8s-vm/k8s/p809/cgroup":     {"c956554e6d74f75e966e88a985f39fa2155491a943c9f9b1ba0d5b42af56a7aa", "ebeef680-31f5-46d7-b0eb-e3538724b24b"},
		"lab/k8s-vm/k8s/p636/cgroup":     {"a21d707fc43c5b5e1f0ad15645aacd8ae0ee06037803050da625d57cd228f47f", "cda75904-5813-4bb8-8194-19333bf60fb2"},
	} {
		lines, err := parseCgroup(corpus(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := [2]string{containerIn(lines), podIn(lines)}; got != want {
			t.Errorf("%s: got %q want %q", name, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	s, err := parseStatus(corpus(t, "lab/k8s-host/pod-agent.status"))
	if err != nil {
		t.Fatal(err)
	}
	want := procStatus{comm: "app", uids: []uint32{65532}, gids: []uint32{0}, groups: []uint32{0}, threads: 4, memory: true, rss: 2744 << 10, confinement: confinement{seccomp: "0", noNewPrivs: "1"}}
	if d := cmp.Diff(want, s, cmp.AllowUnexported(procStatus{}, confinement{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	good := statusText(aProcess{comm: `a\nUid:\t0`})
	if s, err := parseStatus([]byte(good)); err != nil || s.comm != "a\nUid:\\t0" {
		t.Errorf("a name with an escaped newline: got %q, %v", s.comm, err)
	}
	for name, bad := range map[string]string{
		"empty":         "",
		"cut":           good[:len(good)-1],
		"no Uid":        strings.Replace(good, "\nUid", "\nXid", 1),
		"two Uids":      good + "Uid:\t0\t0\t0\t0\n",
		"three ids":     strings.Replace(good, "Gid:\t0\t", "Gid:\t", 1),
		"negative":      strings.Replace(good, "Gid:\t0\t0", "Gid:\t0\t-1", 1),
		"no colon":      good + "x\n",
		"bad group":     strings.Replace(good, "Groups:\t", "Groups:\tx", 1),
		"capabilities":  strings.Replace(good, "CapPrm:\t0", "CapPrm:\tz", 1),
		"many threads?": strings.Replace(good, "Threads:\t1", "Threads:\t1 ", 1),
	} {
		if _, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzCgroup(f *testing.F) {
	f.Add([]byte("9:name=systemd:/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3/" + someID + "\n0::/\n"))
	f.Add([]byte("0::/../../kubepods-pod1.slice/cri-containerd-" + someID + ".scope\n"))
	f.Add([]byte("0::/default/admin\n1:cpu,cpuacct:/a:b (deleted)\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parseCgroup(b)
		if err != nil {
			return
		}
		if n := strings.Count(string(b), "\n"); len(lines) != n {
			t.Errorf("%d lines of %d", len(lines), n)
		}
		p := serviceIn(lines)
		if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "/../") {
			t.Errorf("service %q", p)
		}
		if c := containerIn(lines); c != "" && !strings.Contains(string(b), c) {
			t.Errorf("container %q is not in %q", c, b)
		}
		if u := stableUnit(p); strings.HasPrefix(u, "/") && stableUnit(u) != u {
			t.Errorf("unit of %q: %q, then %q", p, u, stableUnit(u))
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(statusText(aProcess{comm: "systemd", groups: "0 1 65534", caps: 0xa80425fb})))
	f.Add([]byte("Name:\tkthreadd\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nKthread:\t1\nThreads:\t1\nCapPrm:\t1ff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStatus(b)
		if err != nil {
			return
		}
		again, err := parseStatus(append([]byte("VmSize:\t1 kB\n"), b...))
		s.memory = true
		if d := cmp.Diff(s, again, cmp.AllowUnexported(procStatus{}, confinement{})); err != nil || d != "" {
			t.Errorf("with memory: %v\n%s", err, d)
		}
	})
}

func TestNamesThatAreNotUTF8(t *testing.T) {
	for _, name := range []string{"/tmp/ordinary", "/tmp/\xff\xfe", "/tmp/日本", "/tmp/a\nb"} {
		b, err := json.Marshal(quoteName(name))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if got[0] == '"' {
			got, err = strconv.Unquote(got)
		}
		if err != nil || got != name {
			t.Errorf("got %q, %v want %q", got, err, name)
		}
	}
}

func gapTexts(gaps []Gap) []string {
	out := []string{}
	for _, g := range gaps {
		out = append(out, g.String())
	}
	slices.Sort(out)
	return out
}

// Mount tables that a container has blown up cost no more memory than one scan has
// for all of them; what is not read is a gap.
func TestNamespacesAreBounded(t *testing.T) {
	big := "255 144 0:51 / / rw - overlay overlay rw,lowerdir=/" + strings.Repeat("x", 15<<20) + "\n"
	processes := map[int]aProcess{}
	for pid := 10; pid < 22; pid++ {
		processes[pid] = aProcess{exe: "/app", cgroup: "0::/kubepods/pod1/" + someID + "\n", mntns: fmt.Sprintf("mnt:[%d]", pid), mountinfo: big}
	}
	h := procHost(flatcarMounts, processes, nil).host()
	table, err := readProcesses(h)
	if err != nil {
		t.Fatal(err)
	}
	total, refused := 0, 0
	for _, ns := range table.namespaces.order {
		total += len(ns.bytes)
		if ns.err != nil {
			refused++
		}
	}
	if total > maxNamespaces+maxMountinfo || refused == 0 || len(table.gaps) == 0 {
		t.Errorf("got %d bytes of tables, %d refused, gaps %q", total, refused, gapTexts(table.gaps))
	}
}

// Gaps are part of what a fact is addressed by: a number that moves with every
// process would make a new fact of every scan.
func TestGapsOfMovingNumbersStay(t *testing.T) {
	denied := &Error{"reading", "/proc/7/exe", Denied, ""}
	gap := func(count, of int) Gap {
		c := tally{what: "executables"}
		for range count {
			c.add(7, denied)
		}
		c.of = of
		return c.gaps()[0]
	}
	if a, b := gap(31, 302), gap(38, 397); a != b {
		t.Errorf("got %v and %v", a, b)
	}
	for _, tt := range []struct{ count, of, wantCount, wantOf int }{
		{1, 9, 1, 9}, {1, 12, 1, 20}, {35, 38, 30, 40}, {38, 38, 30, 30}, {300, 300, 300, 300}, {9, 10, 9, 10}, {3, 0, 3, 0}, {999, 1001, 900, 2000},
	} {
		if g := gap(tt.count, tt.of); g.Count != tt.wantCount || g.Of != tt.wantOf {
			t.Errorf("%d of %d: got %d of %d, want %d of %d", tt.count, tt.of, g.Count, g.Of, tt.wantCount, tt.wantOf)
		}
	}
}
