package node

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	someUID  = "3264ac14-1050-41c2-9c23-2af518447ed3"
	otherUID = "cda75904-5813-4bb8-8194-19333bf60fb2"
	podsOwn  = "0::/kubepods/besteffort/pod" + someUID + "/" + someID + "\n"
)

// podHost is a host with one container, whose namespaces are its own unless
// links says otherwise.
func podHost(p aProcess, links map[string]string) *memHost {
	p.exe, p.cgroup, p.mntns = "/app", podsOwn, "mnt:[4026532500]"
	if p.mountinfo == "" {
		p.mountinfo = containerMounts
	}
	m := procHost(flatcarMounts, map[int]aProcess{7: p}, map[string]string{"var/log/pods/default_agent_" + someUID + "/x": ""})
	for _, name := range []string{"cgroup", "ipc", "net", "pid", "user", "uts"} {
		m.files["proc/1/ns/"+name] = "-> " + name + ":[1]"
		m.files["proc/7/ns/"+name] = "-> " + name + ":[2]"
	}
	maps.Copy(m.files, links)
	return m
}

func TestContainers(t *testing.T) {
	status := func(more string) string {
		return "Name:\tx\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nVmSize:\t 1000 kB\nVmRSS:\t 500 kB\nThreads:\t1\n" + more
	}
	const (
		plain      = "CapPrm:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n"
		privileged = "CapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n"
		nonRoot    = "CapPrm:\t0000000000000000\nCapBnd:\t00000000a82425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	)
	base := Container{
		ID: someID[:12], Pod: "default/agent", Program: "/app", Root: true, UserNamespace: "own",
		Shares: []string{}, Capabilities: []string{}, Bounding: []string{}, Seccomp: "on", NoNewPrivs: "off", Mounts: []HostMount{},
	}
	with := func(edit func(*Container)) *Container {
		c := base
		edit(&c)
		return &c
	}
	mounts := func(list ...HostMount) *Container {
		return with(func(c *Container) { c.Mounts = list })
	}
	for _, tt := range []struct {
		name   string
		status string
		mounts string
		links  map[string]string
		want   *Container
		gap    string
	}{
		{"an ordinary container", plain, "", nil, nil, ""},
		{"hostPath /", plain, "262 255 254:9 / /host rw - ext4 /dev/vda9 rw\n263 262 254:3 / /host/usr ro - squashfs /dev/mapper/usr ro\n264 262 0:24 / /host/run rw - tmpfs tmpfs rw\n", nil, mounts(HostMount{"/", "/host", true}), ""},
		{"hostPath /etc of a root that is a disk", plain, "262 255 254:9 /etc /host/etc ro - ext4 /dev/vda9 rw\n", nil, mounts(HostMount{"/etc", "/host/etc", false}), ""},
		{"a folder of an image", plain, "262 255 254:3 /lib/modules /lib/modules ro - squashfs /dev/mapper/usr ro\n", nil, mounts(HostMount{"/usr/lib/modules", "/lib/modules", false}), ""},
		{"its own volumes, log and hosts file", plain, "262 255 254:9 /var/lib/kubelet/pods/" + someUID + "/etc-hosts /etc/hosts rw - ext4 /dev/vda9 rw\n263 255 254:9 /var/lib/kubelet/pods/" + someUID + "/volumes/kubernetes.io~empty-dir/x /x rw - ext4 /dev/vda9 rw\n", nil, nil, ""},
		{"its sandbox's files", plain, "262 255 254:9 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + someID + "/hostname /etc/hostname ro - ext4 /dev/vda9 rw\n263 255 254:9 /var/lib/docker/containers/" + someID + "/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda9 rw\n", nil, nil, ""},
		{"a volume of another pod", plain, "262 255 254:9 /var/lib/kubelet/pods/" + otherUID + "/volumes/kubernetes.io~secret/s /s ro - ext4 /dev/vda9 rw\n", nil, mounts(HostMount{"/var/lib/kubelet/pods/" + otherUID + "/volumes/kubernetes.io~secret/s", "/s", false}), ""},
		{"the root file system of another container", plain, "262 255 254:9 /var/lib/containerd/io.containerd.runtime.v2.task/k8s.io/" + someID + "/rootfs /r rw - ext4 /dev/vda9 rw\n", nil, mounts(HostMount{"/var/lib/containerd/io.containerd.runtime.v2.task/k8s.io/" + someID + "/rootfs", "/r", true}), ""},
		{"the host's devices", plain, "262 255 0:5 / /dev rw - devtmpfs devtmpfs rw\n", nil, mounts(HostMount{"/dev", "/dev", true}), ""},
		{"one device", plain, "262 255 0:5 /vda /dev/vda rw - devtmpfs devtmpfs rw\n", nil, mounts(HostMount{"/dev/vda", "/dev/vda", true}), ""},
		{"null, which a user namespace needs mounted", plain, "262 255 0:5 /null /dev/null rw - devtmpfs devtmpfs rw\n", nil, nil, ""},
		{"a disk that the host has not mounted", plain, "262 255 8:17 / /mnt rw - ext4 /dev/sdb1 rw\n", map[string]string{"sys/dev/block/8:17": "-> ../../devices/x/block/sdb/sdb1"}, mounts(HostMount{"device sdb1", "/mnt", true}), ""},
		{"a mount that another covers", plain, "262 255 254:9 / /host rw - ext4 /dev/vda9 rw\n263 262 0:99 / /host rw - tmpfs tmpfs rw\n", nil, nil, ""},
		{"a folder that something covers on the host", plain, "262 255 254:9 /home /h rw - ext4 /dev/vda9 rw\n", nil, mounts(HostMount{"/home", "/h", true}), ""},
		{"its root is writable and the mount is not", plain, "262 255 254:9 /srv /h rw - ext4 /dev/vda9 ro\n", nil, mounts(HostMount{"/srv", "/h", false}), ""},
		{"privileged", privileged, "", map[string]string{"proc/7/ns/user": "-> user:[1]"}, with(func(c *Container) {
			c.UserNamespace, c.Seccomp = "initial", "off"
			c.Capabilities = capabilityNames(0x1ffffffffff &^ defaultCapabilities)
		}), ""},
		{"another user, whose programs could gain SYS_ADMIN", nonRoot, "", nil, with(func(c *Container) { c.Bounding, c.NoNewPrivs = []string{"SYS_ADMIN"}, "on" }), ""},
		{"hostPID and hostNetwork", plain, "", map[string]string{"proc/7/ns/pid": "-> pid:[1]", "proc/7/ns/net": "-> net:[1]"}, with(func(c *Container) { c.Shares = []string{"net", "pid"} }), ""},
		{"the cgroup namespace alone, as on version 1", plain, "", map[string]string{"proc/7/ns/cgroup": "-> cgroup:[1]"}, nil, ""},
		{"namespaces may not be seen", plain, "262 255 254:9 /srv /h rw - ext4 /dev/vda9 rw\n", map[string]string{"proc/7/ns/cgroup": "! denied"}, with(func(c *Container) {
			c.UserNamespace, c.Mounts = "", []HostMount{{"/srv", "/h", true}}
		}), "1 of 2 namespaces of containers could not be read: reading link /proc/<pid>/ns/cgroup: permission denied"},
		{"its mounts are no mount table", plain, "x\n", nil, nil, "1 of 1 mounts of containers could not be read"},
		{"a kernel without seccomp and no_new_privs", "CapPrm:\t0000000000200000\n", "", nil, with(func(c *Container) {
			c.Seccomp, c.NoNewPrivs, c.Capabilities = "", "", []string{"SYS_ADMIN"}
		}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := podHost(aProcess{status: status(tt.status), mountinfo: containerMounts + tt.mounts}, tt.links)
			got, gaps, err := Containers.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			want := []Container{}
			if tt.want != nil {
				want = append(want, *tt.want)
			}
			if d := cmp.Diff(want, got.Reaching); d != "" || !got.Present {
				t.Errorf("present %t (-want +got):\n%s", got.Present, d)
			}
			texts := slices.DeleteFunc(gapTexts(gaps), func(s string) bool { return strings.Contains(s, "in the cgroups of containers") })
			if all := strings.Join(texts, "\n"); tt.gap == "" && all != "" || !strings.Contains(all, tt.gap) {
				t.Errorf("gaps: got %q want %q", all, tt.gap)
			}
		})
	}
}

func TestContainersWithUserNamespaces(t *testing.T) {
	got, gaps, err := Containers.Read(t.Context(), podHost(aProcess{}, nil).host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, gaps %v", err, gaps)
	}
	if d := cmp.Diff(ContainerState{Present: true, Reaching: []Container{}, UserNamespaces: []string{"default/agent"}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got, _, err = Containers.Read(t.Context(), procHost(flatcarMounts, map[int]aProcess{}, nil).host())
	if err != nil || got.Present {
		t.Errorf("a host without containers: got %+v, %v", got, err)
	}
}

// The lab's virtual machine: a DaemonSet with hostPath /run, a pod with the
// socket of containerd, and their sandboxes, which reach nothing.
func TestCorpusContainers(t *testing.T) {
	processes := map[int]aProcess{}
	files := map[string]string{}
	for pid, name := range map[int]string{636: "p636", 682: "p682", 770: "p770", 809: "p809"} {
		dir := "lab/k8s-vm/k8s/" + name + "/"
		processes[pid] = aProcess{
			exe: "/app", mntns: "mnt:[" + name + "]", mountinfo: string(corpus(t, dir+"mountinfo")),
			cgroup: string(corpus(t, dir+"cgroup")), status: string(corpus(t, dir+"status")),
		}
		for _, ns := range []string{"cgroup", "ipc", "net", "pid", "user", "uts"} {
			files["proc/1/ns/"+ns] = "-> " + ns + ":[1]"
			files["proc/"+name[1:]+"/ns/"+ns] = "-> " + ns + ":[2]"
		}
	}
	got, gaps, err := Containers.Read(t.Context(), procHost(string(corpus(t, "lab/k8s-vm/before/mountinfo")), processes, files).host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, gaps %v", err, gaps)
	}
	container := func(id, pod string, m HostMount) Container {
		return Container{
			ID: id, Pod: pod, Program: "/app", Root: true, UserNamespace: "own", Shares: []string{},
			Capabilities: []string{}, Bounding: []string{}, Seccomp: "off", NoNewPrivs: "off", Mounts: []HostMount{m},
		}
	}
	want := []Container{
		container("7a8413cdaec4", "cda75904-5813-4bb8-8194-19333bf60fb2", HostMount{"/run", "/host/run", false}),
		container("c956554e6d74", "ebeef680-31f5-46d7-b0eb-e3538724b24b", HostMount{"/run/containerd/containerd.sock", "/run/containerd/containerd.sock", true}),
	}
	if d := cmp.Diff(want, got.Reaching); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Which cgroups name a container, by driver and engine, as their documentation
// and issues show them.
func TestCgroupsOfDrivers(t *testing.T) {
	for _, tt := range []struct{ name, text, container, pod string }{
		{"containerd, systemd, version 2", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n", someID, otherUID},
		{"containerd, cgroupfs, version 2", "0::/kubepods/burstable/pod" + otherUID + "/" + someID + "\n", someID, otherUID},
		{"containerd, systemd, version 1", "11:memory:/kubepods.slice/kubepods-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n1:name=systemd:/kubepods.slice/kubepods-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n", someID, otherUID},
		{"CRI-O, systemd", "0::/kubepods.slice/kubepods-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/crio-" + someID + ".scope\n", someID, otherUID},
		{"CRI-O, systemd, crun's group in it", "0::/kubepods.slice/kubepods-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/crio-" + someID + ".scope/container\n", someID, otherUID},
		{"CRI-O, cgroupfs", "0::/kubepods/burstable/pod" + otherUID + "/crio-" + someID + "\n", someID, otherUID},
		{"docker below the kubelet, systemd", "1:name=systemd:/kubepods.slice/kubepods-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/docker-" + someID + ".scope\n", someID, otherUID},
		{"docker below the kubelet, cgroupfs", "1:name=systemd:/kubepods/burstable/pod" + otherUID + "/" + someID + "\n", someID, otherUID},
		{"a static pod", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod31d1f050a98e40a82c8a217c134366a8.slice/cri-containerd-" + someID + ".scope\n", someID, "31d1f050a98e40a82c8a217c134366a8"},
		{"kind: a node in a container", "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n", someID, otherUID},
	} {
		lines, err := parseCgroup([]byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{containerIn(lines), podIn(lines)}; got != [2]string{tt.container, tt.pod} {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}
