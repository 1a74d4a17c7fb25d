package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const initialIDs = "         0          0 4294967295\n"

// A container that has the host's /run as a folder: no line of its table names
// a socket.
const runMounts = containerMounts + "262 255 0:24 / /host/run ro - tmpfs tmpfs rw,mode=755\n"

func TestSocketHolders(t *testing.T) {
	const podCgroup = "0::/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3/" + someID + "\n"
	type row struct{ by, at, as string }
	for _, tt := range []struct {
		name      string
		p         aProcess
		mountinfo string
		mode      uint32
		gid       uint32
		files     map[string]string
		want      *row
		gap       string
	}{
		{"the socket itself", aProcess{}, containerMounts + "262 255 0:24 /containerd/containerd.sock /x.sock rw - tmpfs tmpfs rw\n", 0o660, 0, nil, &row{"socket", "/x.sock", "owner"}, ""},
		{"hostPath /run, read-only: connecting writes to no file system", aProcess{}, runMounts, 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "owner"}, ""},
		{"the folder of the socket", aProcess{}, containerMounts + "262 255 0:24 /containerd /c rw - tmpfs tmpfs rw\n", 0o660, 0, nil, &row{"/run/containerd", "/c/containerd.sock", "owner"}, ""},
		{"hostPath / without what is mounted below", aProcess{}, containerMounts + "262 255 254:9 / /host rw - ext4 /dev/vda9 rw\n", 0o660, 0, nil, nil, ""},
		{"hostPath / with what is mounted below", aProcess{}, containerMounts + "262 255 254:9 / /host rw - ext4 /dev/vda9 rw\n263 262 0:24 / /host/run rw - tmpfs tmpfs rw\n", 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "owner"}, ""},
		{"something is mounted over it", aProcess{}, runMounts + "270 262 0:99 / /host/run/containerd rw - tmpfs tmpfs rw\n", 0o660, 0, nil, nil, ""},
		{"another folder of the same file system", aProcess{}, containerMounts + "262 255 0:24 /contain /c rw - tmpfs tmpfs rw\n", 0o660, 0, nil, nil, ""},
		{"the socket of before the engine's restart", aProcess{}, containerMounts + "262 255 0:24 /containerd/containerd.sock//deleted /x.sock rw - tmpfs tmpfs rw\n", 0o660, 0, nil, nil, ""},
		{"no mount at all", aProcess{}, containerMounts, 0o660, 0, nil, nil, ""},

		{"gid 0 opens a socket of root:root", aProcess{uid: 65532}, runMounts, 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "group"}, ""},
		{"so does a supplementary group", aProcess{uid: 65532, gid: 65532, groups: "100 0"}, runMounts, 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "group"}, ""},
		{"another user and group", aProcess{uid: 65532, gid: 65532}, runMounts, 0o660, 0, nil, nil, ""},
		{"a socket open to all", aProcess{uid: 65532, gid: 65532}, runMounts, 0o666, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "other"}, ""},
		{"the group's bits count for its members, not the others'", aProcess{uid: 65532, gid: 998}, runMounts, 0o606, 998, nil, nil, ""},
		{"a capability over every file", aProcess{uid: 65532, gid: 65532, caps: 1 << capDACOverride}, runMounts, 0o600, 0, map[string]string{"proc/7/uid_map": initialIDs, "proc/7/gid_map": initialIDs}, &row{"/run", "/host/run/containerd/containerd.sock", "root"}, ""},
		{"the same in a user namespace, where the host's root does not exist", aProcess{uid: 165536, gid: 165536, caps: 1 << capDACOverride}, runMounts, 0o600, 0, map[string]string{"proc/7/uid_map": "0 165536 65536\n", "proc/7/gid_map": "0 165536 65536\n"}, nil, ""},
		{"the same where the map may not be seen", aProcess{uid: 165536, gid: 165536, caps: 1 << capDACOverride}, runMounts, 0o600, 0, map[string]string{"proc/7/uid_map": "! denied"}, &row{"/run", "/host/run/containerd/containerd.sock", "root"}, "1 of 1 mounts and identities of container processes could not be read: reading /proc/<pid>/uid_map: permission denied"},
		{"root that goes as nobody while it is looked at", aProcess{status: "Name:\tx\nUid:\t0\t65534\t0\t65534\nGid:\t65532\t65532\t65532\t65532\nGroups:\t \nVmSize:\t 1000 kB\nThreads:\t1\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n", uid: 65534, gid: 65532}, runMounts, 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "owner"}, ""},
		{"a group that it has saved", aProcess{status: "Name:\tx\nUid:\t65532\t65532\t65532\t65532\nGid:\t65532\t65532\t0\t65532\nGroups:\t \nVmSize:\t 1000 kB\nThreads:\t1\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n", uid: 65532, gid: 65532}, runMounts, 0o660, 0, nil, &row{"/run", "/host/run/containerd/containerd.sock", "group"}, ""},
		{"the right to become root, permitted and not in effect", aProcess{status: "Name:\tx\nUid:\t65532\t65532\t65532\t65532\nGid:\t65532\t65532\t65532\t65532\nGroups:\t \nVmSize:\t 1000 kB\nThreads:\t1\nCapPrm:\t0000000000000080\nCapEff:\t0000000000000000\n", uid: 65532, gid: 65532}, runMounts, 0o660, 0, map[string]string{"proc/7/uid_map": initialIDs, "proc/7/gid_map": initialIDs}, &row{"/run", "/host/run/containerd/containerd.sock", "root"}, ""},
		{"a folder between that may not be searched", aProcess{uid: 65532, gid: 65532}, runMounts, 0o666, 0, map[string]string{"run/containerd": "mode 0700"}, nil, ""},
		{"a folder that may not be searched, above the mount of the socket itself", aProcess{uid: 65532, gid: 65532}, containerMounts + "262 255 0:24 /containerd/containerd.sock /x.sock rw - tmpfs tmpfs rw\n", 0o666, 0, map[string]string{"run/containerd": "mode 0700"}, &row{"socket", "/x.sock", "other"}, ""},

		{"its mounts may not be seen", aProcess{}, "! denied", 0o660, 0, nil, nil, "1 of 1 mounts and identities of container processes could not be read: reading /proc/<pid>/mountinfo: permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.p.exe, tt.p.cgroup, tt.p.mntns, tt.p.mountinfo = "/app", podCgroup, "mnt:[4026532500]", tt.mountinfo
			m := procHost(flatcarMounts, map[int]aProcess{7: tt.p}, map[string]string{"var/log/pods/default_agent_3264ac14-1050-41c2-9c23-2af518447ed3/x": ""})
			m.info["run/containerd"] = FileInfo{Type: Directory, Mode: 0o711}
			for name, text := range tt.files {
				if text == "mode 0700" {
					m.info[name] = FileInfo{Type: Directory, Mode: 0o700}
				} else {
					m.files[name] = text
				}
			}
			m.sock("run/containerd/containerd.sock", tt.mode, 0, tt.gid)
			got, gaps, err := SocketHolders.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			want := []SocketHolder{}
			if tt.want != nil {
				want = append(want, SocketHolder{"/run/containerd/containerd.sock", "containerd", someID, "default/agent", "/app", tt.want.by, tt.want.at, tt.p.uid, tt.p.gid, tt.want.as})
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			var unread []string
			for _, g := range gapTexts(gaps) {
				if !strings.Contains(g, "in the cgroups of containers") { // TestClassify's matter
					unread = append(unread, g)
				}
			}
			if d := cmp.Diff(tt.gap, strings.Join(unread, "\n")); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

// Two pods of the lab's host: one runs as 65532 with gid 0 and no capability,
// and opened the socket; the other is a static pod.
func TestCorpusHolders(t *testing.T) {
	host := "100 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	pod := func(name string) aProcess {
		return aProcess{
			exe: "/app", mntns: "mnt:[" + name + "]", mountinfo: string(corpus(t, "lab/k8s-host/"+name+".mountinfo")),
			cgroup: string(corpus(t, "lab/k8s-host/"+name+".cgroup")), status: string(corpus(t, "lab/k8s-host/"+name+".status")),
		}
	}
	m := procHost(host, map[int]aProcess{7: pod("pod-agent"), 8: pod("pod-static")}, map[string]string{
		"run/containerd/containerd.sock": "-> /run/lab-ctrd16.sock",
		"var/log/pods":                   "! denied",
		"proc/8/uid_map":                 initialIDs,
		"proc/8/gid_map":                 initialIDs,
	})
	m.sock("run/lab-ctrd16.sock", 0o660, 0, 0)
	got, gaps, err := SocketHolders.Read(t.Context(), m.host())
	if err != nil {
		t.Fatal(err)
	}
	want := []SocketHolder{
		{"/run/containerd/containerd.sock", "containerd", "b5887ab548dac8d1bf6c0be020528963869f8f2eac02bc697317d255fa47999c", "31d1f050a98e40a82c8a217c134366a8", "/app", "socket", "/host/run/containerd/containerd.sock", 0, 0, "root"},
		{"/run/containerd/containerd.sock", "containerd", someID, "3264ac14-1050-41c2-9c23-2af518447ed3", "/app", "socket", "/run/containerd/containerd.sock", 65532, 0, "group"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"names of pods could not be read: listing /var/log/pods: permission denied"}, gapTexts(gaps)); d != "" {
		t.Errorf("gaps (-want +got):\n%s", d)
	}
}

// The lab's virtual machine: a DaemonSet with hostPath /run, read-only, a pod
// with the socket, and their two sandboxes.
func TestCorpusHoldersVM(t *testing.T) {
	processes := map[int]aProcess{}
	files := map[string]string{}
	for pid, name := range map[int]string{636: "p636", 682: "p682", 770: "p770", 809: "p809"} {
		dir := "lab/k8s-vm/k8s/" + name + "/"
		processes[pid] = aProcess{
			exe: "/app", mntns: "mnt:[" + name + "]", mountinfo: string(corpus(t, dir+"mountinfo")),
			cgroup: string(corpus(t, dir+"cgroup")), status: string(corpus(t, dir+"status")),
		}
		files["proc/"+name[1:]+"/uid_map"], files["proc/"+name[1:]+"/gid_map"] = initialIDs, initialIDs
	}
	m := procHost(string(corpus(t, "lab/k8s-vm/before/mountinfo")), processes, files)
	m.info["run/containerd"] = FileInfo{Type: Directory, Mode: 0o711}
	m.sock("run/containerd/containerd.sock", 0o660, 0, 0)
	got, gaps, err := SocketHolders.Read(t.Context(), m.host())
	if err != nil {
		t.Fatal(err)
	}
	want := []SocketHolder{
		{"/run/containerd/containerd.sock", "containerd", "7a8413cdaec40bff347a32018da416e397d2a1c20cdd4411bd5ae30321ada11b", "cda75904-5813-4bb8-8194-19333bf60fb2", "/app", "/run", "/host/run/containerd/containerd.sock", 0, 0, "root"},
		{"/run/containerd/containerd.sock", "containerd", "c956554e6d74f75e966e88a985f39fa2155491a943c9f9b1ba0d5b42af56a7aa", "ebeef680-31f5-46d7-b0eb-e3538724b24b", "/app", "socket", "/run/containerd/containerd.sock", 0, 0, "root"},
	}
	if d := cmp.Diff(want, got); d != "" || len(gaps) != 0 {
		t.Errorf("gaps %v (-want +got):\n%s", gaps, d)
	}
	programs, _, err := Processes.Read(t.Context(), m.host())
	if err != nil || len(programs) != 1 || programs[0].Path != "/usr/lib/systemd/systemd" {
		t.Errorf("host programs: got %v, %v want process 1's alone", programs, err)
	}
}
