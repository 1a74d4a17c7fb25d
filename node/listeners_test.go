package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// From a machine with Linux 6.18, with other ports.
const tcpText = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 00000000:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1061 1 00000000ea6b91d2 100 0 0 10 0                      
   1: 0100007F:2808 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1062 1 00000000ea6b91d3 100 0 0 10 0                      
   2: 0F02000A:0016 0202000A:C822 01 00000000:00000000 00:00000000 00000000     0        0 1063 1 00000000ea6b91d4 100 0 0 10 0                      
`

const tcp6Text = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0947 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2061 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:C822 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2062 1 0000000000000000 100 0 0 10 0
   2: B80D01200000000000000000EF000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2063 1 0000000000000000 100 0 0 10 0
`

const unixText = `Num       RefCount Protocol Flags    Type St Inode Path
0000000081da0fb3: 00000003 00000000 00000000 0001 03  1057
0000000082fd7cc1: 00000002 00000000 00010000 0001 01  3058 /run/containerd/containerd.sock
0000000082fd7cc2: 00000003 00000000 00000000 0001 03  3059 /run/containerd/containerd.sock
0000000082fd7cc3: 00000002 00000000 00010000 0001 01  3060 /run/containerd/s/9fd6d0b9c3e4a0f7a1c5d2e3b4a5968778695a4b3c2d1e0f9fd6d0b9c3e4a0f7
0000000082fd7cc4: 00000002 00000000 00010000 0001 01  3061 /run/containerd/s/1fd6d0b9c3e4a0f7a1c5d2e3b4a5968778695a4b3c2d1e0f9fd6d0b9c3e4a0f7
0000000082fd7cc5: 00000002 00000000 00010000 0001 01  3062 @/org/kernel/linux/storage/multipathd
0000000082fd7cc6: 00000002 00000000 00010000 0005 01 30631 /run/a socket with blanks
0000000082fd7cc7: 00000002 00000000 00010000 0001 01 30641
`

func TestParseTCP(t *testing.T) {
	got, err := parseTCP("tcp", []byte(tcpText))
	if err != nil {
		t.Fatal(err)
	}
	want := []listening{{"tcp", "0.0.0.0", 10250, 1061}, {"tcp", "127.0.0.1", 10248, 1062}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(listening{})); d != "" {
		t.Errorf("tcp (-want +got):\n%s", d)
	}
	got, err = parseTCP("tcp6", []byte(tcp6Text))
	if err != nil {
		t.Fatal(err)
	}
	want = []listening{{"tcp6", "::", 2375, 2061}, {"tcp6", "::1", 51234, 2062}, {"tcp6", "2001:db8::ef", 80, 2063}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(listening{})); d != "" {
		t.Errorf("tcp6 (-want +got):\n%s", d)
	}
	for name, bad := range map[string]string{
		"empty":           "",
		"cut":             tcpText[:len(tcpText)-1],
		"another table":   "Num RefCount\n",
		"short address":   strings.Replace(tcpText, "0100007F", "00007F", 1),
		"no port":         strings.Replace(tcpText, ":2808", "", 1),
		"port":            strings.Replace(tcpText, ":2808", ":28x8", 1),
		"state":           strings.Replace(tcpText, " 01 ", " 0x1 ", 1),
		"inode":           strings.Replace(tcpText, " 1062 ", " -1 ", 1),
		"fields":          tcpText + "   3: 00000000:280A\n",
		"an IPv6 address": tcp6Text,
	} {
		if _, err := parseTCP("tcp", []byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestParseUnix(t *testing.T) {
	got, err := parseUnix([]byte(unixText))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range got {
		names = append(names, fmt.Sprint(l.inode, " ", stableSocket(l.address)))
	}
	want := []string{"3058 /run/containerd/containerd.sock", "3060 /run/containerd/s/*", "3061 /run/containerd/s/*", "3062 @/org/kernel/linux/storage/multipathd", "30631 /run/a socket with blanks"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for name, bad := range map[string]string{
		"empty":                       "",
		"cut":                         unixText[:len(unixText)-1],
		"no heading":                  unixText[strings.Index(unixText, "\n")+1:],
		"a name with a newline in it": unixText + "0000000082fd7cc8: 00000002 00000000 00010000 0001 01  3065 /run/a\nb\n",
		"flags":                       strings.Replace(unixText, "00010000", "0001000x", 1),
		"inode":                       strings.Replace(unixText, " 3058 ", " x ", 1),
	} {
		if _, err := parseUnix([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestStableSocket(t *testing.T) {
	for name, want := range map[string]string{
		"/run/systemd/journal/stdout":     "/run/systemd/journal/stdout",
		"@/containerd-shim/ab/shim.sock@": "@/containerd-shim/*",
		"/var/lib/kubelet/pods/3264ac14-1050-41c2-9c23-2af518447ed3/volumes/x/csi.sock": "/var/lib/kubelet/pods/*",
		"/var/lib/kubelet/plugins/csi-x/csi.sock":                                       "/var/lib/kubelet/plugins/csi-x/csi.sock",
		"/run/user/1000/systemd/private":                                                "/run/user/*",
		"/tmp/ssh-XXu2dj/agent.4711":                                                    "/tmp/*",
		"@/tmp/dbus-3D4f":                                                               "@/tmp/*",
		"@0001f":                                                                        "@*",
		"/run/x/3264ac14-1050-41c2-9c23-2af518447ed3.sock":                              "/run/x/*.sock",
		"/run/agent.4711":                                                               "/run/agent.*",
		"/run/lab-ctrd16.sock":                                                          "/run/lab-ctrd16.sock",
	} {
		if got := stableSocket(name); got != want {
			t.Errorf("%s: got %s want %s", name, got, want)
		}
	}
}

func TestListeners(t *testing.T) {
	pod := "0::/kubepods/pod31d1f050a98e40a82c8a217c134366a8/" + someID + "\n"
	processes := map[int]aProcess{
		1:  {comm: "systemd", exe: "/usr/lib/systemd/systemd", cgroup: "0::/init.scope\n", fds: map[int]string{0: "/dev/null", 3: "socket:[3062]"}},
		7:  {comm: "kubelet", exe: "/usr/bin/kubelet", fds: map[int]string{3: "socket:[1061]", 4: "socket:[1062]", 5: "socket:[1063]"}},
		8:  {comm: "containerd", exe: "/usr/bin/containerd", fds: map[int]string{9: "socket:[3058]", 10: "socket:[30631]"}},
		9:  {comm: "proxy", exe: "/proxy", cgroup: pod, mntns: "mnt:[4026532500]", mountinfo: containerMounts, fds: map[int]string{3: "socket:[2061]", 4: "socket:[2062]"}},
		10: {comm: "other", exe: "/other", cgroup: pod, mntns: "mnt:[4026532501]", mountinfo: containerMounts, netns: "net:[4026532600]", fds: map[int]string{3: "socket:[2063]"}},
	}
	net := map[string]string{"proc/1/net/tcp": tcpText, "proc/1/net/tcp6": tcp6Text, "proc/1/net/unix": unixText}
	want := []Listener{
		{"tcp", "127.0.0.1", 10248, "/usr/bin/kubelet", false, "kubelet-healthz"},
		{"tcp", "0.0.0.0", 10250, "/usr/bin/kubelet", false, "kubelet"},
		{"tcp6", "2001:db8::ef", 80, "", false, ""}, // in the table and held nowhere in this network namespace
		{"tcp6", "::", 2375, "/proxy", true, "docker"},
		{"tcp6", "::1", 51234, "/proxy", true, ""},
		{"unix", "/run/a socket with blanks", 0, "/usr/bin/containerd", false, ""},
		{"unix", "/run/containerd/containerd.sock", 0, "/usr/bin/containerd", false, "containerd"},
		{"unix", "/run/containerd/s/*", 0, "", false, ""},
		{"unix", "@/org/kernel/linux/storage/multipathd", 0, "/usr/lib/systemd/systemd", false, ""},
	}
	got, gaps, err := Listeners.Read(t.Context(), procHost(flatcarMounts, processes, net).host())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" || len(gaps) != 0 {
		t.Errorf("gaps %v (-want +got):\n%s", gaps, d)
	}

	for _, tt := range []struct {
		name  string
		files map[string]string
		gaps  []string
		n     int
	}{
		{"without IPv6", map[string]string{"proc/1/net/tcp6": "! absent"}, []string{}, 6},
		{"descriptors may not be listed", map[string]string{"proc/7/fd": "! denied", "proc/8/fd": "! denied"}, []string{"5 of 8 programs of listening sockets could not be read: listing /proc/<pid>/fd: permission denied"}, 9},
		{"a forged line in the table of unix sockets", map[string]string{"proc/1/net/unix": unixText + "x\n"}, []string{`sockets of unix could not be read: reading /proc/1/net/unix: malformed: socket line 10 "x": want Num: RefCount Protocol Flags Type St Inode`}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(flatcarMounts, processes, net)
			for name, text := range tt.files {
				m.files[name] = text
			}
			got, gaps, err := Listeners.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.gaps, gapTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			if len(got) != tt.n {
				t.Errorf("got %d listeners want %d: %v", len(got), tt.n, got)
			}
		})
	}
	m := procHost(flatcarMounts, processes, nil)
	for _, network := range []string{"tcp", "tcp6", "unix"} {
		m.files["proc/1/net/"+network] = "! denied"
	}
	if _, _, err := Listeners.Read(t.Context(), m.host()); codeOf(err) != Denied {
		t.Errorf("without any table: got %v want denied", err)
	}
}

// An agent scans the same node again and again.
func TestListenersAgain(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{
		1: {comm: "systemd", exe: "/usr/lib/systemd/systemd"},
		7: {comm: "kubelet", exe: "/usr/bin/kubelet", fds: map[int]string{3: "socket:[1061]", 4: "socket:[1062]"}},
		8: {comm: "child", exe: "/usr/bin/child", fds: map[int]string{5: "socket:[1062]"}},
	}, map[string]string{"proc/1/net/tcp": tcpText, "proc/1/net/unix": strings.SplitAfter(unixText, "\n")[0]})
	listed := 0
	m.asked = func(op, name string) {
		if op == "list" && strings.HasSuffix(name, "/fd") {
			listed++
		}
	}
	host := &Host{FS: m}
	for _, step := range []struct {
		name   string
		change func()
		want   []string // the program at each port
		listed bool
	}{
		{"the first scan", func() {}, []string{"/usr/bin/kubelet", "/usr/bin/kubelet"}, true},
		{"nothing changed", func() {}, []string{"/usr/bin/kubelet", "/usr/bin/kubelet"}, false},
		{"one is closed where it was and open in a child", func() { m.files["proc/7/fd/4"] = "-> /dev/null" }, []string{"/usr/bin/child", "/usr/bin/kubelet"}, true},
		{"the pid is another program's, which holds neither", func() { m.files["proc/7/exe"], m.files["proc/7/fd/3"] = "-> /usr/bin/thief", "-> socket:[10610]" }, []string{"/usr/bin/child", ""}, true},
	} {
		step.change()
		listed = 0
		fact := Gather(t.Context(), host, time.Time{})[Listeners.Name]
		all, ok := fact.Value.([]Listener)
		if !ok || len(fact.Gaps) > 0 {
			t.Fatalf("%s: %+v", step.name, fact)
		}
		var got []string
		for _, l := range all {
			got = append(got, l.Program)
		}
		if d := cmp.Diff(step.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, d)
		}
		if (listed > 0) != step.listed {
			t.Errorf("%s: %d folders of descriptors were listed, want some: %v", step.name, listed, step.listed)
		}
	}
}

func FuzzTCP(f *testing.F) {
	f.Add(false, []byte(tcpText))
	f.Add(true, []byte(tcp6Text))
	f.Fuzz(func(t *testing.T, six bool, b []byte) {
		network := map[bool]string{false: "tcp", true: "tcp6"}[six]
		all, err := parseTCP(network, b)
		if err != nil {
			return
		}
		for _, l := range all {
			if l.port < 0 || l.port > 65535 || strings.Contains(l.address, ":") != six {
				t.Errorf("%+v of %s", l, network)
			}
		}
		if n := strings.Count(string(b), "\n"); len(all) >= n {
			t.Errorf("%d sockets in %d lines", len(all), n)
		}
	})
}

func FuzzUnix(f *testing.F) {
	f.Add([]byte(unixText))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseUnix(b)
		if err != nil {
			return
		}
		for _, l := range all {
			if l.address == "" || !strings.Contains(string(b), l.address+"\n") || strings.Contains(l.address, "\n") {
				t.Errorf("%+v is not the end of a line of %q", l, b)
			}
			if s := stableSocket(l.address); stableSocket(s) != s {
				t.Errorf("%q becomes %q, then %q", l.address, s, stableSocket(s))
			}
		}
	})
}

// TestSocketsOfNobodyAreLookedForOnceAnHour counts how often the descriptors are
// listed while a socket listens that no process holds.
func TestSocketsOfNobodyAreLookedForOnceAnHour(t *testing.T) {
	held := &heldSockets{}
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	table := &processTable{processes: []process{{pid: 1, dir: "proc/1"}}}
	listed := 0
	files := &memHost{
		files: map[string]string{"proc/1/ns/net": "-> net:[1]", "proc/1/fd/3": "-> socket:[7]"},
		asked: func(op, _ string) {
			if op == "list" {
				listed++
			}
		},
	}
	for _, step := range []struct {
		after time.Duration
		want  int // how often so far
	}{{0, 1}, {time.Minute, 2}, {2 * time.Minute, 2}, {59 * time.Minute, 2}, {61 * time.Minute, 3}, {62 * time.Minute, 4}, {63 * time.Minute, 4}} {
		h := files.host()
		h.gathering.at = start.Add(step.after)
		found, unread := table.findHolders(h, map[uint64]bool{7: true, 2049: true}, held, hostNetwork)
		if found[7] == nil || found[2049] != nil || unread.count != 0 {
			t.Fatalf("after %v: found %v, unread %+v", step.after, found, unread)
		}
		if listed != step.want {
			t.Errorf("after %v: descriptors were listed %d times, want %d", step.after, listed, step.want)
		}
	}
}
