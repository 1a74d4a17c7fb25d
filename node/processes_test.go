package node

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// talosMounts are those of a Talos node: a squashfs root on a loop device.
const talosMounts = `26 1 7:0 / / ro,relatime - squashfs /dev/loop0 ro
27 26 0:24 / /run rw,nosuid - tmpfs tmpfs rw,mode=755
28 26 8:4 / /var rw - xfs /dev/sda4 rw
`

// kubeletImage are the mounts of Talos' kubelet: an overlay below /var.
const kubeletImage = `300 290 0:61 / / rw - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/12/fs,upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/13/fs,workdir=/w
301 300 8:4 /lib/kubelet /var/lib/kubelet rw - xfs /dev/sda4 rw
302 300 7:0 /usr/lib/modules /usr/lib/modules ro - squashfs /dev/loop0 ro
`

// brief is what of a program the rows look at.
type brief struct {
	path, script, on, fstype          string
	deleted, memory, ownRoot, outside bool
	detached                          bool
}

func TestProgram(t *testing.T) {
	const ns = "mnt:[4026532500]"
	for _, tt := range []struct {
		name   string
		mounts string
		p      aProcess
		files  map[string]string
		want   brief
		gap    string
	}{
		{"on the image", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, nil, brief{path: "/usr/bin/sshd", on: "/usr", fstype: "squashfs"}, ""},
		{"beside it", flatcarMounts, aProcess{exe: "/opt/bin/kubelet"}, nil, brief{path: "/opt/bin/kubelet", on: "/", fstype: "ext4"}, ""},
		{"deleted", flatcarMounts, aProcess{exe: "/usr/bin/sshd (deleted)"}, nil, brief{path: "/usr/bin/sshd", on: "/usr", fstype: "squashfs", deleted: true}, ""},
		{"a name that ends so counts as deleted, decoy or not", flatcarMounts, aProcess{exe: "/opt/x (deleted)"}, map[string]string{"opt/x (deleted)": "ELF"}, brief{path: "/opt/x", on: "/", fstype: "ext4", deleted: true}, ""},
		{"and a deleted one of such a name too", flatcarMounts, aProcess{exe: "/opt/x (deleted) (deleted)"}, nil, brief{path: "/opt/x (deleted)", on: "/", fstype: "ext4", deleted: true}, ""},
		{"in memory only", flatcarMounts, aProcess{exe: "/memfd:x (deleted)"}, nil, brief{path: "/memfd:x", fstype: "tmpfs", deleted: true, memory: true}, ""},
		{"in memory, under a name made up anew", flatcarMounts, aProcess{exe: "/memfd:sealed-91173221a7ea (deleted)"}, nil, brief{path: "/memfd:sealed-<id>", fstype: "tmpfs", deleted: true, memory: true}, ""},
		{"not UTF-8", flatcarMounts, aProcess{exe: "/opt/\xff"}, nil, brief{path: `"/opt/\xff"`, on: "/", fstype: "ext4"}, ""},

		{"COS: a verified bash runs a script from /home", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/home/kubernetes/bin/health-monitor.sh", "kubelet")}, map[string]string{"home/kubernetes/bin/health-monitor.sh": "#!"}, brief{path: "/usr/bin/bash", script: "/home/kubernetes/bin/health-monitor.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a script through a link into the image", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/bin/x.sh")}, map[string]string{"bin": "-> usr/bin", "usr/bin/x.sh": "#!"}, brief{path: "/usr/bin/bash", script: "/bin/x.sh", on: "/usr", fstype: "squashfs"}, ""},
		{"a script through a link out of the image", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/usr/bin/x.sh")}, map[string]string{"usr/bin/x.sh": "-> ../../../home/x.sh", "home/x.sh": "#!"}, brief{path: "/usr/bin/bash", script: "/usr/bin/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a relative script", flatcarMounts, aProcess{exe: "/usr/bin/dash", cmdline: args("sh", "./x.sh"), cwd: "/home/core"}, map[string]string{"home/core/x.sh": "#!"}, brief{path: "/usr/bin/dash", script: "/home/core/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a relative script whose process went elsewhere", flatcarMounts, aProcess{exe: "/usr/bin/dash", cmdline: args("sh", "./x.sh"), cwd: "/usr"}, nil, brief{path: "/usr/bin/dash", script: "./x.sh", on: "/usr", fstype: "squashfs"}, "1 of 1 scripts of host processes could not be read: looking for a script of the working directory: it is not there: the process may have changed its directory"},
		{"a working directory that may not be seen", flatcarMounts, aProcess{exe: "/usr/bin/dash", cmdline: args("sh", "./x.sh"), cwd: "! denied"}, nil, brief{path: "/usr/bin/dash", script: "./x.sh", on: "/usr", fstype: "squashfs"}, "1 of 1 scripts of host processes could not be read: reading link /proc/<pid>/cwd: permission denied"},
		{"a script that is gone", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/home/install.sh")}, nil, brief{path: "/usr/bin/bash", script: "/home/install.sh", on: "/home", fstype: "tmpfs", deleted: true}, ""},
		{"a script after chroot", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/x.sh"), root: "/home/jail"}, nil, brief{path: "/usr/bin/bash", script: "/home/jail/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a script from a pipe", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/dev/fd/63"), fds: map[int]string{63: "pipe:[4711]"}}, nil, brief{path: "/usr/bin/bash", script: "/dev/fd/N", fstype: "tmpfs", memory: true}, ""},
		{"a script by the working directory that procfs shows", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/proc/self/cwd/x.sh"), cwd: "/home"}, map[string]string{"home/x.sh": "#!", "x.sh": "#!"}, brief{path: "/usr/bin/bash", script: "/proc/self/cwd/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a script by a link to what each sees otherwise", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/home/l/x.sh"), cwd: "/home"}, map[string]string{"home/l": "-> /proc/self/cwd"}, brief{path: "/usr/bin/bash", script: "/home/l/x.sh", on: "/usr", fstype: "squashfs"}, "1 of 1 scripts of host processes could not be read: looking at /home/l/x.sh: not supported here: it leads through /proc/self, which is another for each who looks"},
		{"a script in memory", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/proc/self/fd/3"), fds: map[int]string{3: "/memfd:s (deleted)"}}, nil, brief{path: "/usr/bin/bash", script: "/memfd:s", fstype: "tmpfs", memory: true, deleted: true}, ""},
		{"a script by its descriptor", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/dev/fd/3"), fds: map[int]string{3: "/home/x.sh"}}, nil, brief{path: "/usr/bin/bash", script: "/home/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a script by a descriptor that bash has moved", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/dev/fd/3"), fds: map[int]string{255: "/home/x.sh (deleted)"}}, nil, brief{path: "/usr/bin/bash", script: "/home/x.sh", on: "/home", fstype: "tmpfs", deleted: true}, ""},
		{"a script by a descriptor that is closed", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/dev/fd/3")}, nil, brief{path: "/usr/bin/bash", script: "/dev/fd/N", on: "/usr", fstype: "squashfs"}, "1 of 1 scripts of host processes could not be read: reading link /proc/<pid>/fd/3: the script's descriptor is closed"},
		{"a relative script that bash has open", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "./x.sh"), cwd: "/usr", fds: map[int]string{255: "/home/x.sh"}}, nil, brief{path: "/usr/bin/bash", script: "/home/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"a script on standard input", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "-e"), fds: map[int]string{0: "/home/x.sh"}}, nil, brief{path: "/usr/bin/bash", script: "/home/x.sh", on: "/home", fstype: "tmpfs"}, ""},
		{"curl | sh", flatcarMounts, aProcess{exe: "/usr/bin/dash", cmdline: args("sh"), fds: map[int]string{0: "pipe:[4711]"}}, nil, brief{path: "/usr/bin/dash", script: "/dev/stdin", fstype: "tmpfs", memory: true}, ""},
		{"a script of shared memory on standard input", flatcarMounts, aProcess{exe: "/usr/bin/dash", cmdline: args("sh", "-s", "x"), fds: map[int]string{0: "/dev/shm/x.sh (deleted)"}}, nil, brief{path: "/usr/bin/dash", script: "/dev/shm/x.sh", on: "/dev", fstype: "devtmpfs", deleted: true}, ""},
		{"somebody types", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("-bash"), fds: map[int]string{0: "/dev/pts/0"}}, nil, brief{path: "/usr/bin/bash", on: "/usr", fstype: "squashfs"}, ""},
		{"a shell that has nothing to read", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash")}, nil, brief{path: "/usr/bin/bash", on: "/usr", fstype: "squashfs"}, ""},
		{"a command reads no script", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "-c", "cat"), fds: map[int]string{0: "/home/data"}}, nil, brief{path: "/usr/bin/bash", on: "/usr", fstype: "squashfs"}, ""},
		{"a server that makes itself a title", flatcarMounts, aProcess{exe: "/usr/bin/python3", cmdline: args("gunicorn: worker"), fds: map[int]string{0: "pipe:[4711]"}}, nil, brief{path: "/usr/bin/python3", on: "/usr", fstype: "squashfs"}, ""},
		{"the loader runs a program", flatcarMounts, aProcess{exe: "/usr/lib64/ld-linux-x86-64.so.2", cmdline: args("ld.so", "/home/evil")}, map[string]string{"home/evil": "ELF"}, brief{path: "/usr/lib64/ld-linux-x86-64.so.2", script: "/home/evil", on: "/home", fstype: "tmpfs"}, ""},

		{"talos: the kubelet in its image", talosMounts, aProcess{exe: "/usr/local/bin/kubelet", cgroup: "0::/podruntime/kubelet\n", mntns: ns, mountinfo: kubeletImage}, nil, brief{path: "/usr/local/bin/kubelet", on: "/", fstype: "overlay", ownRoot: true, outside: true}, ""},
		{"a service with a bind mount of the same /usr", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: strings.ReplaceAll(flatcarMounts, "26 1 ", "226 201 ") + "240 226 254:3 / /usr ro - squashfs /dev/mapper/usr ro\n"}, nil, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, ""},
		{"a service with another file over its executable", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: "226 201 254:9 / / rw - ext4 /dev/vda9 rw\n240 226 254:3 / /usr ro - squashfs /dev/mapper/usr ro\n241 240 254:9 /home/x /usr/bin/x rw - ext4 /dev/vda9 rw\n"}, nil, brief{path: "/usr/bin/x", on: "/usr/bin/x", fstype: "ext4", ownRoot: true}, ""},
		{"the mounts of its namespace may not be seen", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: "! denied"}, nil, brief{}, "1 of 2 mounts that host processes run from could not be read: reading /proc/<pid>/mountinfo: permission denied"},
		{"a namespace whose root nobody has", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, root: "/srv", mountinfo: containerMounts}, nil, brief{}, "1 of 2 mounts that host processes run from could not be read: reading /proc/<pid>/mountinfo: no process of this mount namespace has its root"},
		{"it runs below a pod's mounts", flatcarMounts, aProcess{exe: "/var/lib/kubelet/pods/x/v/evil", mntns: ns, mountinfo: "226 201 254:9 / / rw - ext4 /dev/vda9 rw\n240 226 0:99 / /var/lib/kubelet/pods/x/v rw - tmpfs tmpfs rw\n"}, nil, brief{path: "/var/lib/kubelet/pods/x/v/evil", on: "/var/lib/kubelet/pods/x/v", fstype: "tmpfs", ownRoot: true, outside: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(tt.mounts, map[int]aProcess{7: tt.p}, tt.files)
			programs, gaps, err := Processes.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			var got brief
			for _, p := range programs {
				if p.Path == "/usr/lib/systemd/systemd" {
					continue
				}
				got = brief{p.Path, p.Script, p.On.Path, p.On.Type, p.Deleted, p.Memory, p.OwnRoot, p.On.Device.Kind == "none" && p.On.Anon == "" && !p.Memory, p.Detached}
				p.On.ReadOnly() // must not panic
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(brief{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			want := []string{}
			if tt.gap != "" {
				want = []string{tt.gap}
			}
			if d := cmp.Diff(want, gapTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			b, err := json.Marshal(programs)
			var back []Program
			if err != nil || strictJSON(b, &back) != nil || !reflect.DeepEqual(back, programs) {
				t.Errorf("JSON does not round trip: %v %s", err, b)
			}
		})
	}
}

// Where an executable is says the kernel, not its path.
func TestExecutableOn(t *testing.T) {
	const ns = "mnt:[4026532500]"
	extended := flatcarMounts + "40 27 0:50 / /usr ro - overlay overlay ro,lowerdir=/run/systemd/sysext/meta/usr:/usr\n"
	private := "226 201 254:9 / / rw - ext4 /dev/vda9 rw\n227 226 254:3 / /usr ro - squashfs /dev/mapper/usr ro\n"
	for _, tt := range []struct {
		name   string
		mounts string
		p      aProcess
		answer any
		want   brief
		gap    string
	}{
		{"where its path leads", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, Executable{27, "254:3"}, brief{path: "/usr/bin/sshd", on: "/usr", fstype: "squashfs"}, ""},
		{"started before the extensions were mounted", extended, aProcess{exe: "/usr/bin/sshd"}, Executable{27, "254:3"}, brief{path: "/usr/bin/sshd", on: "/usr", fstype: "squashfs"}, ""},
		{"started after that", extended, aProcess{exe: "/usr/bin/sshd"}, Executable{40, "0:50"}, brief{path: "/usr/bin/sshd", on: "/usr", fstype: "overlay"}, ""},
		{"a service that was started before that", extended, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: private + "240 227 0:50 / /usr ro - overlay overlay ro,lowerdir=/run/systemd/sysext/meta/usr:/usr\n"}, Executable{227, "254:3"}, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, ""},
		{"from a mount that was detached", flatcarMounts, aProcess{exe: "/usr/bin/evil"}, Executable{99, "0:77"}, brief{path: "/usr/bin/evil", detached: true}, ""},
		{"and a script of the image by it", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/usr/bin/x.sh")}, Executable{99, "0:77"}, brief{path: "/usr/bin/bash", detached: true}, ""},
		{"it made a mount namespace of its own afterwards", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: private}, Executable{27, "254:3"}, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, ""},
		{"and the namespace that it was started in is gone", flatcarMounts, aProcess{exe: "/usr/bin/x", mntns: ns, mountinfo: private}, Executable{99, "254:3"}, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, ""},
		{"before Linux 5.8", flatcarMounts, aProcess{exe: "/usr/bin/x"}, Executable{0, "254:3"}, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, ""},
		{"detached, before Linux 5.8", flatcarMounts, aProcess{exe: "/usr/bin/x"}, Executable{0, "0:77"}, brief{path: "/usr/bin/x", detached: true}, ""},
		{"an overlay before Linux 5.8", extended, aProcess{exe: "/usr/bin/x"}, Executable{0, "0:77"}, brief{path: "/usr/bin/x", on: "/usr", fstype: "overlay"}, "1 of 2 mounts of executables could not be read: asking the kernel for executable of /proc/7: not supported here: this kernel does not tell on which mount a file is"},
		{"the kernel does not answer", flatcarMounts, aProcess{exe: "/usr/bin/x"}, &Error{"asking the kernel for", "executable of /proc/7", Denied, ""}, brief{path: "/usr/bin/x", on: "/usr", fstype: "squashfs"}, "1 of 2 mounts of executables could not be read: asking the kernel for executable of /proc/7: permission denied"},
		{"a private bash and a script of the image", flatcarMounts, aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/usr/bin/x.sh"), mntns: ns, mountinfo: private + "241 227 254:9 /home/x /usr/bin/bash rw - ext4 /dev/vda9 rw\n"}, Executable{241, "254:9"}, brief{path: "/usr/bin/bash", script: "/usr/bin/x.sh", on: "/usr", fstype: "squashfs", ownRoot: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(tt.mounts, map[int]aProcess{7: tt.p}, map[string]string{"usr/bin/x.sh": "#!"})
			m.kernel = map[Question]any{{AskExe, "proc/1"}: Executable{27, "254:3"}}
			m.errors = map[Question]*Error{}
			if e, refused := tt.answer.(*Error); refused {
				m.errors[Question{AskExe, "proc/7"}] = e
			} else {
				m.kernel[Question{AskExe, "proc/7"}] = tt.answer
			}
			programs, gaps, err := Processes.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			var got brief
			for _, p := range programs {
				if p.Path != "/usr/lib/systemd/systemd" {
					got = brief{path: p.Path, script: p.Script, on: p.On.Path, fstype: p.On.Type, ownRoot: p.OwnRoot, detached: p.Detached}
				}
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(brief{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			want := []string{}
			if tt.gap != "" {
				want = []string{tt.gap}
			}
			if d := cmp.Diff(want, gapTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

// Equal nodes give equal facts, whatever their pids, sessions and snapshots.
func TestProgramsAreStable(t *testing.T) {
	one := procHost(talosMounts, map[int]aProcess{
		1:   {comm: "init", exe: "/sbin/init", cgroup: "0::/init\n"},
		300: {exe: "/usr/local/bin/kubelet", cgroup: "0::/podruntime/kubelet\n", mntns: "mnt:[4026532500]", mountinfo: kubeletImage},
		301: {exe: "/bin/bash", cgroup: "0::/user.slice/user-1000.slice/session-3.scope\n"},
		302: {exe: "/bin/shim", cgroup: "0::/podruntime/runtime\n"},
		303: {exe: "/bin/shim", cgroup: "0::/podruntime/runtime\n"},
	}, nil)
	two := procHost(talosMounts, map[int]aProcess{
		1:  {comm: "init", exe: "/sbin/init", cgroup: "0::/init\n"},
		90: {exe: "/bin/shim", cgroup: "0::/podruntime/runtime\n"},
		91: {exe: "/bin/bash", cgroup: "0::/user.slice/user-1001.slice/session-44.scope\n"},
		92: {exe: "/usr/local/bin/kubelet", cgroup: "0::/podruntime/kubelet\n", mntns: "mnt:[4026539999]", mountinfo: strings.NewReplacer("snapshots/12", "snapshots/77", "snapshots/13", "snapshots/78", "0:61", "0:88", "300 290", "900 890", " 300 ", " 900 ").Replace(kubeletImage)},
	}, nil)
	for _, src := range []AnySource{Processes, MountNamespaces} {
		a, b := src.read(t.Context(), one.host()), src.read(t.Context(), two.host())
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s differs:\n%s", src.Info().Name, d)
		}
		if a.Missing != nil || reflect.ValueOf(a.Value).Len() == 0 {
			t.Errorf("%s: got %+v want something", src.Info().Name, a)
		}
	}
}

// The mount of a program is the one of the fact mounts, byte for byte.
func TestProgramOnIsOfMounts(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{7: {exe: "/run/x"}, 8: {exe: "/home/x"}, 9: {exe: "/usr/x", mntns: "! denied"}}, nil)
	h := m.host()
	mounts, _, err := Mounts.Read(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	programs, _, err := Processes.Read(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if len(programs) != 4 {
		t.Errorf("got %d programs want 4", len(programs))
	}
	for _, p := range programs {
		if !slices.ContainsFunc(mounts, func(m Mount) bool { return reflect.DeepEqual(m, p.On) }) {
			t.Errorf("%s is on %+v, which is none of the mounts", p.Path, p.On)
		}
	}
}

// copiedMounts is flatcarMounts as unshare(2) makes it: with other numbers.
var copiedMounts = strings.NewReplacer("26 1 ", "226 201 ", " 26 ", " 226 ", "\n2", "\n12").Replace(flatcarMounts)

func TestMountNamespaces(t *testing.T) {
	own := func(more string) string { return copiedMounts + more }
	for _, tt := range []struct {
		name      string
		mountinfo string
		want      []string // path, root, type, flags of mount and file system
		gap       string
	}{
		{"a copy", own(""), nil, ""},
		{"its own /tmp is no difference", own("300 226 0:90 / /tmp rw - tmpfs tmpfs rw\n"), nil, ""},
		{"the same /usr bound over itself is none", own("300 127 254:3 / /usr ro - squashfs /dev/mapper/usr ro\n"), nil, ""},
		{"ProtectSystem makes / read-only", strings.Replace(own(""), "/ / rw,relatime", "/ / ro,relatime", 1), []string{"/ / ext4 ro rw"}, ""},
		{"a tmpfs over /usr/bin", own("300 127 0:90 / /usr/bin rw - tmpfs tmpfs rw\n"), []string{"/usr/bin / tmpfs rw rw"}, ""},
		{"a writable folder of / over /usr", own("300 127 254:9 /srv /usr rw - ext4 /dev/vda9 rw\n"), []string{"/usr /srv ext4 rw rw"}, ""},
		{"a hidden mount does not count", own("300 127 0:90 / /usr/bin rw - tmpfs tmpfs rw\n301 127 254:3 / /usr ro - squashfs /dev/mapper/usr ro\n"), nil, ""},
		{"/usr is not mounted: what lies below it shows", strings.ReplaceAll(own(""), "127 226 254:3 / /usr ro,relatime - squashfs /dev/mapper/usr ro\n", ""), []string{"/usr /usr ext4 rw rw"}, ""},
		{"another root has / alone", kubeletImage, []string{"/ / overlay rw rw"}, ""},
		{"it may not be seen", "! denied", nil, "1 of 2 mount namespaces of host processes could not be read: reading /proc/<pid>/mountinfo: permission denied"},
		{"it is cut", "1 2", nil, `1 of 2 mount namespaces of host processes could not be read: reading /proc/<pid>/mountinfo: malformed: the mount table is cut: no newline at its end`},
		{"its process vanished", "! absent", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(flatcarMounts, map[int]aProcess{
				7: {comm: "x", exe: "/usr/bin/x", mntns: "mnt:[4026532500]", mountinfo: tt.mountinfo},
				8: {comm: "y", exe: "! denied", mntns: "mnt:[4026532500]", mountinfo: tt.mountinfo},
			}, nil)
			found, gaps, err := MountNamespaces.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, ns := range found {
				if d := cmp.Diff([]string{"/usr/bin/x", "y"}, ns.Programs); d != "" {
					t.Errorf("programs (-want +got):\n%s", d)
				}
				for _, m := range ns.Mounts {
					got = append(got, strings.Join([]string{m.Path, m.Root, m.Type, m.Options[0], m.Super[0]}, " "))
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			want := []string{}
			if tt.gap != "" {
				want = []string{tt.gap}
			}
			if d := cmp.Diff(want, gapTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

// Root without CAP_SYS_PTRACE over process 1 cannot see its namespace; the
// number of the root mount tells then which processes share it.
func TestNamespaceOfProcess1Denied(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{
		1: {comm: "init", exe: "! denied", mntns: "! denied", cgroup: "0::/init.scope\n"},
		7: {exe: "/usr/bin/x"},
		8: {exe: "/usr/bin/x", mntns: "mnt:[4026532500]", mountinfo: copiedMounts},
	}, nil)
	found, gaps, err := MountNamespaces.Read(t.Context(), m.host())
	if err != nil || len(found) != 0 || len(gaps) != 0 {
		t.Errorf("got %v, %v, %v want nothing", found, gaps, err)
	}
	table, err := readProcesses(m.host())
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]bool{1: true, 7: true, 8: false} {
		p, _ := table.byPID(pid)
		if got, err := table.namespaces.isHosts(table.namespaces.of(p)); got != want || err != nil {
			t.Errorf("process %d: got %v, %v want %v", pid, got, err, want)
		}
	}
}
