package verify

import (
	"slices"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func mounted(path, fstype, source, mode, super string) node.Mount {
	return node.Mount{Path: path, Visible: true, Root: "/", Type: fstype, Source: source, Options: []string{mode, "relatime"}, Super: []string{super}}
}

var (
	flatcarRoot = mounted("/", "ext4", "/dev/sda9", "rw", "rw")
	flatcarUsr  = mounted("/usr", "btrfs", "/dev/mapper/usr", "ro", "ro")
	sysextOpt   = withSuper(mounted("/opt", "overlay", "sysext", "ro", "ro"), "lowerdir=/run/systemd/sysext/meta/opt:/run/systemd/sysext/extensions/cni/opt")
	varLib      = mounted("/var", "xfs", "/dev/sda6", "rw", "rw")
)

// withSuper adds options of the file system.
func withSuper(m node.Mount, options ...string) node.Mount {
	m.Super = append(slices.Clone(m.Super), options...)
	return m
}

func TestProcessesFromImage(t *testing.T) {
	mounts := []node.Mount{flatcarRoot, flatcarUsr, sysextOpt, varLib}
	facts := func(p ...node.Program) node.Facts {
		return withFact(withFact(onHost(), node.Mounts, mounts), node.Processes, p)
	}
	systemd := node.Program{Path: "/usr/lib/systemd/systemd", On: flatcarUsr, Unit: "/init.scope"}
	kubelet := node.Program{Path: "/opt/bin/kubelet", On: flatcarRoot, Unit: "/system.slice/kubelet.service"}
	miner := node.Program{Path: "/var/tmp/kworker", On: varLib, Unit: "/user.slice"}
	monitor := node.Program{Path: "/usr/bin/bash", Script: "/home/kubernetes/bin/health-monitor.sh", On: flatcarRoot}
	memory := node.Program{Path: "/memfd:x", Memory: true}
	talosKubelet := node.Program{Path: "/usr/local/bin/kubelet", On: mounted("/", "overlay", "overlay", "ro", "ro"), OwnRoot: true, Unit: "/podruntime/kubelet"}
	allow := func(p ...profiles.Place) profiles.Profile {
		return profiles.Profile{Processes: profiles.Processes{Allowed: p}}
	}
	composefs := mounted("/", "overlay", "composefs", "ro", "ro")
	shadowed := flatcarUsr
	shadowed.Visible = false
	testJudge(t, processesFromImage, []judgedRow{
		{name: "all from /usr", facts: facts(systemd), want: "pass from-image", items: []string{}},
		{name: "all from a read-only root", facts: facts(node.Program{Path: "/usr/bin/crio", On: composefs}), want: "pass from-image"},
		{name: "from an extension image", facts: facts(systemd, node.Program{Path: "/opt/cni/bin/x", On: sysextOpt}), want: "pass from-image"},
		{name: "from below /usr", facts: facts(systemd, node.Program{Path: "/usr/share/x", On: mounted("/usr/share", "squashfs", "/dev/loop0", "ro", "ro")}), want: "pass from-image"},
		{name: "a writable /opt shown below an extension image", facts: facts(systemd, node.Program{Path: "/opt/evil", On: withSuper(mounted("/opt", "overlay", "sysext", "ro", "ro"), "lowerdir=/run/systemd/sysext/meta/opt:/run/systemd/sysext/extensions/cni/opt:/opt")}), want: "fail outside-image"},
		{name: "an overlay that calls itself an extension image", facts: facts(systemd, node.Program{Path: "/srv/x/evil", On: withSuper(mounted("/srv/x", "overlay", "sysext", "ro", "ro"), "lowerdir=/run/systemd/sysext/x:/var/evil")}), want: "fail outside-image"},
		{name: "a folder of /var bound read-only to /usr/local", facts: facts(systemd, node.Program{Path: "/usr/local/bin/evil", On: mounted("/usr/local/bin", "xfs", "/dev/sda6", "ro", "rw")}), want: "fail outside-image", items: []string{"/usr/local/bin/evil"}},
		{name: "bottlerocket: the overlay of its FIPS programs", facts: facts(systemd, node.Program{Path: "/x86_64-bottlerocket-linux-gnu/sys-root/usr/bin/containerd", On: mounted("/x86_64-bottlerocket-linux-gnu/sys-root/usr/bin", "overlay", "overlay", "ro", "ro")}), want: "pass from-image"},
		{name: "/usr was remounted", facts: facts(systemd, node.Program{Path: "/usr/bin/x", On: mounted("/usr", "ext4", "/dev/sda3", "rw", "rw")}), want: "fail outside-image", items: []string{"/usr/bin/x"}},
		// seen in the laboratory's ostree guest
		{name: "ostree admin unlock --transient: read-only here, and written in /var/tmp", facts: facts(systemd, node.Program{Path: "/usr/bin/x", On: withSuper(mounted("/usr", "overlay", "overlay", "ro", "ro"), "lowerdir=usr", "upperdir=/var/tmp/ostree-unlock-ovl.E9U2Y3/upper", "workdir=/var/tmp/ostree-unlock-ovl.E9U2Y3/work")}), want: "fail outside-image", items: []string{"/usr/bin/x"}},
		{name: "a program in /var/tmp", facts: facts(systemd, miner), want: "fail outside-image", items: []string{"/var/tmp/kworker"}},
		{name: "the same program in two units is one item", facts: facts(systemd, miner, node.Program{Path: miner.Path, On: varLib, Unit: "/system.slice/x.service"}), want: "fail outside-image", items: []string{"/var/tmp/kworker"}},
		{name: "a read-only data disk is no image", facts: facts(systemd, node.Program{Path: "/mnt/x", On: mounted("/mnt", "ext4", "/dev/sdb1", "ro", "ro")}), want: "fail outside-image"},
		{name: "a kubelet nobody declared", facts: facts(systemd, kubelet), want: "fail outside-image", items: []string{"/opt/bin/kubelet"}},
		{name: "a declared kubelet", profile: allow(profiles.Place{Path: "/opt/bin/kubelet"}), facts: facts(systemd, kubelet), want: "pass declared", items: []string{"/opt/bin/kubelet"}},
		{name: "a declared folder", profile: allow(profiles.Place{Path: "/opt/bin/*"}), facts: facts(systemd, kubelet), want: "pass declared"},
		{name: "a folder that only begins alike", profile: allow(profiles.Place{Path: "/opt/bi/*"}), facts: facts(systemd, kubelet), want: "fail outside-image"},
		// corpus cos/ps-kubelet-gke
		{name: "a script by a verified bash", facts: facts(systemd, monitor), want: "fail outside-image", items: []string{"/usr/bin/bash /home/kubernetes/bin/health-monitor.sh"}},
		{name: "a declared script", profile: allow(profiles.Place{Path: "/usr/bin/bash", Script: "/home/kubernetes/bin/health-monitor.sh"}), facts: facts(systemd, monitor), want: "pass declared"},
		{name: "a declared script by another interpreter", profile: allow(profiles.Place{Path: "/usr/bin/python3", Script: "/home/kubernetes/bin/health-monitor.sh"}), facts: facts(systemd, monitor), want: "fail outside-image"},
		{name: "a declared folder of scripts", profile: allow(profiles.Place{Script: "/home/kubernetes/bin/*"}), facts: facts(systemd, monitor), want: "pass declared"},
		{name: "a declared interpreter declares no script", profile: allow(profiles.Place{Path: "/usr/bin/bash"}), facts: facts(systemd, monitor), want: "fail outside-image"},
		{name: "a declared script declares no program", profile: allow(profiles.Place{Path: "/opt/bin/kubelet", Script: "/x.sh"}), facts: facts(systemd, kubelet), want: "fail outside-image"},
		{name: "a script of the image by an interpreter from elsewhere", facts: facts(systemd, node.Program{Path: "/var/lib/py/python3", Script: "/usr/bin/x.py", On: flatcarUsr}), want: "fail outside-image"},
		{name: "a script of the image by its interpreter", facts: facts(systemd, node.Program{Path: "/usr/bin/python3", Script: "/usr/bin/x.py", On: flatcarUsr}), want: "pass from-image"},
		{name: "Talos' kubelet in its own root", profile: allow(profiles.Place{Path: "/usr/local/bin/kubelet"}), facts: facts(systemd, talosKubelet), want: "pass declared"},
		{name: "a read-only root of one's own is not the image", facts: facts(systemd, talosKubelet), want: "fail outside-image", items: []string{"/usr/local/bin/kubelet (in a root of its own)"}},
		{name: "in memory only", facts: facts(systemd, memory), want: "fail outside-image", items: []string{"/memfd:x (in memory only)"}},
		{name: "in memory only cannot be declared", profile: allow(profiles.Place{Path: "/memfd:x"}), facts: facts(systemd, memory), want: "fail outside-image"},
		{name: "from a mount that was detached, under a name of the image", profile: allow(profiles.Place{Path: "/usr/bin/evil"}), facts: facts(systemd, node.Program{Path: "/usr/bin/evil", Detached: true}), want: "fail outside-image", items: []string{"/usr/bin/evil (from a mount that was detached)"}},
		{name: "an ordinary host", facts: facts(node.Program{Path: "/usr/lib/systemd/systemd", On: flatcarRoot}, miner), want: "fail no-image", items: []string{}},
		{name: "a mount that is not known", facts: facts(systemd, node.Program{Path: "/usr/bin/x"}), want: "unknown mount-unknown", items: []string{"/usr/bin/x"}},
		{name: "a failure outweighs a mount that is not known", facts: facts(systemd, node.Program{Path: "/usr/bin/x"}, miner), want: "fail outside-image"},
		{name: "no program at all", facts: facts(), want: "unknown unread"},
		{name: "in the sandbox of Talos 1.14", facts: withFact(facts(systemd), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "outside the image in a sandbox", facts: withFact(facts(systemd, miner), node.OS, node.System{PIDNamespace: "other"}), want: "fail outside-image"},
		{name: "fact missing", facts: lacking(facts(), node.Processes, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "mounts missing", facts: lacking(facts(systemd), node.Mounts, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(facts(), node.Processes, []node.Program{systemd}, deniedGap), want: "unknown gap-denied"},
		{name: "outside over a gap", facts: withFact(facts(), node.Processes, []node.Program{systemd, miner}, deniedGap), want: "fail outside-image"},
	})
	if got := mountOf([]node.Mount{flatcarRoot, shadowed, varLib}, "/usr/bin/x"); got.Path != "/" {
		t.Errorf("a covered mount was taken: got %q, want /", got.Path)
	}
	if got := mountOf(mounts, "/usrlocal/x"); got.Path != "/" {
		t.Errorf("a path that only begins alike: got %q, want /", got.Path)
	}
	if got := mountOf(nil, "/usr/bin/x"); imageMount(got) {
		t.Error("without mounts a path is on the image")
	}
}

func TestNoDeletedExecutables(t *testing.T) {
	facts := func(p ...node.Program) node.Facts { return withFact(onHost(), node.Processes, p) }
	systemd := node.Program{Path: "/usr/lib/systemd/systemd", On: flatcarUsr}
	sshd := node.Program{Path: "/usr/sbin/sshd", On: flatcarRoot, Deleted: true}
	memory := node.Program{Path: "/memfd:x", Memory: true, Deleted: true}
	testJudge(t, noDeletedExecutables, []judgedRow{
		{name: "all on disk", facts: facts(systemd), want: "pass all-on-disk"},
		{name: "an old sshd after an upgrade", facts: facts(systemd, sshd), want: "fail deleted", items: []string{"/usr/sbin/sshd (deleted)"}},
		{name: "two processes of it are one item", facts: facts(sshd, sshd), want: "fail deleted", items: []string{"/usr/sbin/sshd (deleted)"}},
		{name: "in memory only", facts: facts(systemd, memory), want: "fail memory-only", items: []string{"/memfd:x (in memory only)"}},
		{name: "from a mount that was detached", facts: facts(systemd, node.Program{Path: "/usr/bin/x", Detached: true}), want: "fail deleted", items: []string{"/usr/bin/x (from a mount that was detached)"}},
		{name: "both", facts: facts(sshd, memory), want: "fail memory-only", items: []string{"/memfd:x (in memory only)", "/usr/sbin/sshd (deleted)"}},
		{name: "no program at all", facts: facts(), want: "unknown unread"},
		{name: "in a sandbox", facts: withFact(inSandbox(), node.Processes, []node.Program{systemd}), want: "unknown part-of-machine"},
		{name: "whose process 1 it is was not read", facts: withFact(withFact(nil, node.OS, node.System{PIDNamespace: "unknown"}), node.Processes, []node.Program{systemd}), want: "unknown unread"},
		{name: "fact missing", facts: lacking(onHost(), node.Processes, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(onHost(), node.Processes, []node.Program{systemd}, deniedGap), want: "unknown gap-denied"},
		{name: "deleted over a gap", facts: withFact(onHost(), node.Processes, []node.Program{sshd}, deniedGap), want: "fail deleted"},
	})
}
