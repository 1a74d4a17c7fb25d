package node

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	podNetNS    = "net:[4026532700]"
	unixHeading = "Num       RefCount Protocol Flags    Type St Inode Path\n"
)

// tableLine is a connected socket in /proc/<pid>/net/unix.
func tableLine(inode int, name string) string {
	return strings.TrimRight("00000000213bdafe: 00000003 00000000 00000000 0001 03 "+strconv.Itoa(inode)+" "+name, " ") + "\n"
}

func TestSocketPeers(t *testing.T) {
	const (
		containerd = "/run/containerd/containerd.sock"
		podCgroup  = "0::/kubepods/besteffort/pod3264ac14-1050-41c2-9c23-2af518447ed3/" + someID + "\n"
	)
	fd := func(inodes ...int) map[int]string {
		out := map[int]string{0: "/dev/null"}
		for i, n := range inodes {
			out[i+3] = "socket:[" + strconv.Itoa(n) + "]"
		}
		return out
	}
	file := func(s UnixSocket) UnixSocket { s.Dev, s.File = "0:24", 7; return s }
	accepted := func(inode, peer uint64, name string) UnixSocket {
		return UnixSocket{Inode: inode, Peer: peer, Name: name, State: UnixEstablished}
	}
	engine := aProcess{exe: "/usr/bin/containerd", cgroup: "0::/system.slice/containerd.service\n", fds: fd(100, 101, 102)}
	kubelet := aProcess{exe: "/usr/bin/kubelet", cgroup: "0::/system.slice/kubelet.service\n", fds: fd(201)}
	pod := aProcess{exe: "/app", cgroup: podCgroup, mntns: "mnt:[4026532500]", mountinfo: runMounts, uid: 65532, fds: fd(202)}
	elsewhere := pod
	elsewhere.netns = podNetNS
	pause := aProcess{exe: "/pause", cgroup: podCgroup, mntns: "mnt:[4026532501]", mountinfo: containerMounts, netns: podNetNS, fds: fd(203)}
	blind := elsewhere
	blind.mountinfo = containerMounts
	inDocker := aProcess{exe: "/usr/local/bin/dockerd", cgroup: podCgroup, mntns: "mnt:[4026532500]", mountinfo: containerMounts, netns: podNetNS, fds: fd(300)}
	usr := viewOn(t, "/usr/bin/kubelet")
	is := func(p Program, s SocketPeer) SocketPeer {
		s.Program = p
		if s.Socket == "" {
			s.Socket, s.Engine = containerd, "containerd"
		}
		return s
	}
	theKubelet := is(Program{Path: "/usr/bin/kubelet", Unit: "/system.slice/kubelet.service", On: usr}, SocketPeer{})
	ofPod := SocketPeer{Container: someID, Pod: "default/agent", UID: 65532}
	theApp := is(Program{Path: "/app"}, ofPod)
	for _, tt := range []struct {
		name  string
		procs map[int]aProcess
		table []UnixSocket
		files map[string]string
		want  []SocketPeer
		gaps  []string
	}{
		{name: "nobody", table: []UnixSocket{file(UnixSocket{Inode: 100, Name: containerd, State: UnixListen})}},
		{name: "the kubelet, twice", procs: map[int]aProcess{7: {exe: kubelet.exe, cgroup: kubelet.cgroup, fds: fd(201, 202)}}, table: []UnixSocket{file(accepted(101, 201, containerd)), file(accepted(102, 202, containerd))}, want: []SocketPeer{theKubelet}},
		{name: "bound to a relative path: the file tells", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{file(accepted(101, 201, "containerd.sock"))}, want: []SocketPeer{theKubelet}},
		{name: "a file that was replaced meanwhile: the name tells", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{accepted(101, 201, containerd)}, want: []SocketPeer{theKubelet}},
		{name: "CRI-O calls its own by /var/run", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{accepted(101, 201, "/var/run/crio/crio.sock")}, want: []SocketPeer{is(theKubelet.Program, SocketPeer{Socket: "/run/crio/crio.sock", Engine: "crio"})}},
		{name: "a user's own Podman", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{accepted(101, 201, "/run/user/1000/podman/podman.sock")}, want: []SocketPeer{is(theKubelet.Program, SocketPeer{Socket: "/run/user/1000/podman/podman.sock", Engine: "podman"})}},
		{name: "a shim's socket, by path and abstract", procs: map[int]aProcess{7: {exe: kubelet.exe, cgroup: kubelet.cgroup, fds: fd(201, 202)}}, table: []UnixSocket{accepted(101, 201, "/run/containerd/s/6f3c"), accepted(102, 202, "@/containerd-shim/6f3c.sock")}, want: []SocketPeer{
			is(theKubelet.Program, SocketPeer{Socket: "/run/containerd/s/*", Engine: "containerd-shim"}), is(theKubelet.Program, SocketPeer{Socket: "@/containerd-shim/*", Engine: "containerd-shim"}),
		}},
		{name: "sockets that are no runtime's", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{accepted(101, 201, "/run/dbus/system_bus_socket"), accepted(102, 201, "@/tmp/.X11-unix/X0"), accepted(102, 201, "/run/user/x/podman/podman.sock"), accepted(102, 201, "/run/crio/crio.sock.d")}},
		{name: "the client has gone", table: []UnixSocket{file(accepted(101, 0, containerd))}},
		{name: "not accepted yet", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{file(accepted(0, 201, containerd))}, want: []SocketPeer{theKubelet}},
		{name: "a pod on the host's network", procs: map[int]aProcess{7: pod}, table: []UnixSocket{file(accepted(101, 202, containerd))}, want: []SocketPeer{theApp}},
		{name: "a host process that has left the host's network", procs: map[int]aProcess{7: {exe: kubelet.exe, cgroup: kubelet.cgroup, netns: podNetNS, fds: fd(201)}}, table: []UnixSocket{file(accepted(101, 201, containerd))}, files: map[string]string{"proc/7/net/unix": unixHeading}, want: []SocketPeer{theKubelet}},
		{name: "no process holds the other end", procs: map[int]aProcess{7: kubelet}, table: []UnixSocket{file(accepted(101, 201, containerd)), file(accepted(102, 299, containerd))}, want: []SocketPeer{theKubelet}, gaps: []string{"1 of 2 programs connected to runtime sockets could not be read: no process is seen to hold the other end of a connection to " + containerd}},
		{name: "descriptors may not be seen", procs: map[int]aProcess{7: {exe: kubelet.exe, cgroup: kubelet.cgroup}}, table: []UnixSocket{file(accepted(101, 201, containerd))}, files: map[string]string{"proc/7/fd": "! denied"}, gaps: []string{"1 of 1 programs connected to runtime sockets could not be read: listing /proc/<pid>/fd: permission denied"}},
		{name: "its executable may not be seen", procs: map[int]aProcess{7: {comm: "kubelet", exe: "! denied", cgroup: kubelet.cgroup, fds: fd(201)}}, table: []UnixSocket{file(accepted(101, 201, containerd))}, want: []SocketPeer{is(Program{Path: "kubelet", Unit: kubelet.unit()}, SocketPeer{})}, gaps: []string{"1 of 1 mounts that programs run from which are connected to runtime sockets could not be read: reading link /proc/<pid>/exe: permission denied"}},

		{name: "a pod in its own network: who sees the socket and holds a connected end", procs: map[int]aProcess{7: elsewhere, 8: pause}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(101, containerd) + tableLine(202, "") + tableLine(203, "")}, want: []SocketPeer{theApp}},
		{name: "the same under the name that the host's listener has", procs: map[int]aProcess{7: elsewhere}, table: []UnixSocket{file(UnixSocket{Inode: 100, Name: "c.sock", State: UnixListen})}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(101, "c.sock") + tableLine(202, "")}, want: []SocketPeer{theApp}},
		{name: "nobody there sees the socket: who holds a connected end", procs: map[int]aProcess{7: blind}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(101, containerd) + tableLine(202, "")}, want: []SocketPeer{theApp}},
		{name: "nobody there holds a connected end: the pod is told", procs: map[int]aProcess{7: elsewhere}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(101, containerd)}, want: []SocketPeer{is(Program{}, SocketPeer{Pod: "default/agent"})}},
		{name: "Docker in Docker is no engine of the host's", procs: map[int]aProcess{7: elsewhere, 8: inDocker}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(300, "/var/run/docker.sock") + tableLine(202, "")}},
		{name: "Docker in Docker on the host's network", procs: map[int]aProcess{7: pod, 8: {exe: inDocker.exe, cgroup: podCgroup, mntns: inDocker.mntns, mountinfo: containerMounts, fds: fd(300)}}, table: []UnixSocket{accepted(300, 202, "/var/run/docker.sock")}},
		{name: "a connection elsewhere whose server is not seen", procs: map[int]aProcess{7: elsewhere}, files: map[string]string{"proc/7/net/unix": unixHeading + tableLine(999, containerd) + tableLine(202, "")}, gaps: []string{"1 of 1 programs connected to runtime sockets could not be read: no process is seen to hold the other end of a connection to " + containerd}},
		{name: "a table elsewhere that may not be read", procs: map[int]aProcess{7: elsewhere}, files: map[string]string{"proc/7/net/unix": "! denied"}, gaps: []string{"1 of 1 unix sockets of other network namespaces could not be read: reading /proc/<pid>/net/unix: permission denied"}},
		{name: "a table elsewhere that is cut", procs: map[int]aProcess{7: elsewhere}, files: map[string]string{"proc/7/net/unix": unixHeading + "0000"}, gaps: []string{"1 of 1 unix sockets of other network namespaces could not be read: reading /proc/<pid>/net/unix: malformed: the table of sockets is cut: no newline at its end"}},
		{name: "all of a network namespace have gone", procs: map[int]aProcess{7: elsewhere}, files: map[string]string{"proc/7/net/unix": "! absent"}},
		{name: "which network a process is in may not be seen", procs: map[int]aProcess{7: {exe: kubelet.exe, cgroup: kubelet.cgroup, netns: "! denied"}}, gaps: []string{"1 of 1 unix sockets of other network namespaces could not be read: reading link /proc/<pid>/ns/net: permission denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			procs := map[int]aProcess{6: engine}
			maps.Copy(procs, tt.procs)
			m := procHost(flatcarMounts, procs, map[string]string{"var/log/pods/default_agent_3264ac14-1050-41c2-9c23-2af518447ed3/x": ""})
			maps.Copy(m.files, tt.files)
			m.sock(containerd[1:], 0o660, 0, 0)
			m.kernel = map[Question]any{{Kind: AskUnix}: UnixSockets{Namespace: hostNetNS, Sockets: tt.table}}
			for pid, p := range procs {
				dev, mount := "254:3", uint64(27)
				if p.container() {
					dev, mount = "0:51", 255
				}
				m.kernel[Question{AskExe, "proc/" + strconv.Itoa(pid)}] = Executable{mount, dev}
			}
			got, gaps, err := SocketPeers.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want == nil {
				want = []SocketPeer{}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			var texts []string
			for _, g := range gapTexts(gaps) {
				if !strings.Contains(g, "in the cgroups of containers") { // TestClassify's matter
					texts = append(texts, g)
				}
			}
			if d := cmp.Diff(tt.gaps, texts); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

func (p aProcess) container() bool { return strings.Contains(p.cgroup, "kubepods") }

func (p aProcess) unit() string { return strings.TrimSpace(strings.TrimPrefix(p.cgroup, "0::")) }

// viewOn is the mount of a path as the fact processes has it.
func viewOn(t *testing.T, exe string) Mount {
	t.Helper()
	m := procHost(flatcarMounts, map[int]aProcess{7: {exe: exe}}, nil)
	list, _, err := Processes.Read(t.Context(), m.host())
	for _, p := range list {
		if p.Path == exe {
			return p.On
		}
	}
	t.Fatalf("no program %s: %v", exe, err)
	return Mount{}
}

// What this program does not see is not nobody.
func TestSocketPeersUnseen(t *testing.T) {
	answer := map[Question]any{{Kind: AskUnix}: UnixSockets{Namespace: podNetNS, Sockets: []UnixSocket{}}}
	for _, tt := range []struct {
		name string
		edit func(*memHost)
		want string
	}{
		{"a pod with a network of its own", func(m *memHost) { m.kernel = answer }, "asking the kernel for unix-sockets: not supported here: this program is in another network namespace than process 1; as a service of the host it would not be"},
		{"which network process 1 is in may not be seen", func(m *memHost) { m.kernel, m.files["proc/1/ns/net"] = answer, "! denied" }, "reading link /proc/1/ns/net: permission denied"},
		{"a kernel that does not say", func(m *memHost) {
			m.errors = map[Question]*Error{{Kind: AskUnix}: {"asking the kernel for", AskUnix, Unsupported, "this kernel has no unix_diag"}}
		}, "asking the kernel for unix-sockets: not supported here: this kernel has no unix_diag"},
		{"a file tree", func(*memHost) {}, "asking the kernel for unix-sockets: this is a file tree, which has no kernel to ask"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(flatcarMounts, map[int]aProcess{7: {exe: "/usr/bin/kubelet"}}, nil)
			tt.edit(m)
			got, _, err := SocketPeers.Read(t.Context(), m.host())
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %+v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// Where nothing serves a runtime there is nothing to be connected to, whatever the
// kernel would say; where the tables do not tell, that is not known.
func TestSocketPeersWithoutARuntime(t *testing.T) {
	const (
		tcp  = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		unix = "Num       RefCount Protocol Flags    Type St Inode Path\n"
	)
	for _, tt := range []struct {
		name, unix string
		fails      bool
	}{
		{"only dbus listens", unix + "0000000000000000: 00000002 00000000 00010000 0001 01 100 /run/dbus/system_bus_socket\n", false},
		{"containerd listens, and its file is gone", unix + "0000000000000000: 00000002 00000000 00010000 0001 01 100 /run/containerd/containerd.sock\n", true},
		{"the table of unix sockets may not be read", "! denied", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(flatcarMounts, map[int]aProcess{7: {exe: "/usr/bin/x"}}, nil)
			m.files["run/user/"] = ""
			m.files["proc/1/net/tcp"], m.files["proc/1/net/tcp6"], m.files["proc/1/net/unix"] = tcp, tcp, tt.unix
			m.errors = map[Question]*Error{{Kind: AskUnix}: {"asking the kernel for", AskUnix, Unsupported, "this kernel has no unix_diag"}}
			got, gaps, err := SocketPeers.Read(t.Context(), m.host())
			if tt.fails != (err != nil) || len(got) > 0 || len(gaps) > 0 {
				t.Errorf("got %+v, gaps %v, %v", got, gaps, err)
			}
		})
	}
}

// A client that closes while it is looked for is no gap.
func TestSocketPeersClosedMeanwhile(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{7: {exe: "/usr/bin/x"}}, nil)
	m.sock("run/containerd/containerd.sock", 0o660, 0, 0)
	question := Question{Kind: AskUnix}
	m.kernel = map[Question]any{question: UnixSockets{Namespace: hostNetNS, Sockets: []UnixSocket{{Inode: 101, Peer: 201, Name: "/run/containerd/containerd.sock", State: UnixEstablished}}}}
	m.asked = func(op, name string) {
		if op == "list" && strings.HasSuffix(name, "/fd") {
			m.kernel[question] = UnixSockets{Namespace: hostNetNS, Sockets: []UnixSocket{}}
		}
	}
	got, gaps, err := SocketPeers.Read(t.Context(), m.host())
	if err != nil || len(got) != 0 || len(gaps) != 0 {
		t.Errorf("got %+v, %v, %v", got, gapTexts(gaps), err)
	}
}
