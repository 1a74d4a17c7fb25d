package verify

import (
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// on is a mount on a path, with the options of the mount and of its file system.
func on(path, fstype, options string, super ...string) node.Mount {
	f := strings.Split(options, ",")
	return node.Mount{Path: path, Visible: true, Type: fstype, Options: f, Super: append([]string{f[0]}, super...)}
}

// flatcarMounts are those of a Flatcar node with containerd merged into /usr.
func flatcarMounts(more ...node.Mount) []node.Mount {
	return append([]node.Mount{
		on("/", "ext4", "rw,relatime"),
		on("/usr", "overlay", "ro,relatime", "lowerdir=/run/systemd/sysext/meta/usr:/run/systemd/sysext/extensions/containerd-flatcar/usr:/usr"),
		on("/tmp", "tmpfs", "rw,nosuid,nodev"),
	}, more...)
}

func TestExtensionsDeclared(t *testing.T) {
	containerd := node.OfferedExtension{
		Extension: node.Extension{Kind: "sysext", Name: "containerd-flatcar", Path: "/etc/extensions/containerd-flatcar.raw"},
		Real:      "/usr/share/flatcar/sysext/containerd-flatcar.raw", Kept: "file", SHA256: strings.Repeat("ab", 32),
	}
	kubernetes := node.OfferedExtension{
		Extension: node.Extension{Kind: "sysext", Name: "kubernetes", Path: "/etc/extensions/kubernetes.raw"},
		Real:      "/opt/extensions/kubernetes-v1.34.1.raw", Kept: "file", SHA256: strings.Repeat("cd", 32),
	}
	disabled := node.OfferedExtension{Extension: node.Extension{Kind: "sysext", Name: "docker-flatcar", Path: "/etc/extensions/docker-flatcar.raw"}, Real: "/dev/null"}
	gone := node.OfferedExtension{Extension: node.Extension{Kind: "sysext", Name: "old", Path: "/etc/extensions/old.raw", Link: "/opt/old.raw"}, Kept: "gone"}
	folder := node.OfferedExtension{Extension: node.Extension{Kind: "sysext", Name: "debug", Path: "/var/lib/extensions/debug"}, Real: "/var/lib/extensions/debug", Kept: "dir"}
	talos := node.OfferedExtension{Extension: node.Extension{Kind: "talos", Name: "gvisor", Version: "20240212.0", Path: "/etc/extensions.yaml"}}
	schematic := node.OfferedExtension{Extension: node.Extension{Kind: "talos", Name: "schematic", Path: "/etc/extensions.yaml"}}
	with := func(m []node.Mount, x ...node.OfferedExtension) node.Facts {
		f := withFact(nil, node.Extensions, x)
		return withFact(withFact(f, node.Mounts, m), node.OS, node.System{Init: "systemd", PIDNamespace: "initial"})
	}
	allow := func(places ...profiles.Place) profiles.Profile {
		return profiles.Profile{Extensions: profiles.Extensions{Allowed: places}}
	}
	declared := allow(profiles.Place{Path: "/opt/extensions/*", SHA256: strings.Repeat("CD", 32), Why: "the kubelet"})
	testJudge(t, extensionsDeclared, []judgedRow{
		{name: "containerd of Flatcar's own image", facts: with(flatcarMounts(), containerd, disabled), want: "pass declared"},
		{name: "Kubernetes as declared, by what the link leads to", profile: declared, facts: with(flatcarMounts(), containerd, kubernetes), want: "pass declared"},
		{name: "Kubernetes as declared, by where it is offered", profile: allow(profiles.Place{Path: "/etc/extensions/kubernetes.raw", Why: "the kubelet"}), facts: with(flatcarMounts(), containerd, kubernetes), want: "pass declared"},
		{name: "another file under the declared name", profile: allow(profiles.Place{Path: "/opt/extensions/*", SHA256: strings.Repeat("00", 32), Why: "the kubelet"}), facts: with(flatcarMounts(), containerd, kubernetes), want: "fail undeclared"},
		{name: "a declared file whose digest was not taken", profile: declared, facts: with(flatcarMounts(), containerd, node.OfferedExtension{Extension: kubernetes.Extension, Real: kubernetes.Real, Kept: "file"}), want: "unknown not-hashed"},
		{name: "nobody declared it", facts: with(flatcarMounts(), containerd, kubernetes), want: "fail undeclared",
			items: []string{"sysext kubernetes from /etc/extensions/kubernetes.raw -> /opt/extensions/kubernetes-v1.34.1.raw sha256:cdcdcdcdcdcd is not declared"}},
		{name: "a folder", facts: with(flatcarMounts(), containerd, folder), want: "fail undeclared"},
		{name: "a link that leads nowhere adds nothing", facts: with(flatcarMounts(), containerd, gone), want: "pass declared"},
		{name: "merged, and its file was removed after", facts: with(flatcarMounts(), disabled), want: "fail undeclared", items: []string{"sysext containerd-flatcar is merged, and no file offers it any more"}},
		{name: "merged, and not every folder of extensions could be listed", facts: withFact(with(flatcarMounts()), node.Extensions, []node.OfferedExtension{disabled}, deniedGap), want: "unknown gap-denied"},
		{name: "a folder in place of the declared file", profile: allow(profiles.Place{Path: "/var/lib/extensions/*", SHA256: strings.Repeat("cd", 32), Why: "the kubelet"}), facts: with(flatcarMounts(), containerd, folder), want: "fail undeclared"},
		{name: "Talos by its schematic", profile: allow(profiles.Place{Path: "/etc/extensions.yaml/*", Why: "part of the image"}), facts: with([]node.Mount{on("/", "squashfs", "ro")}, talos, schematic), want: "pass declared"},
		{name: "Talos where nobody expects any", facts: with([]node.Mount{on("/", "squashfs", "ro")}, talos, schematic), want: "fail undeclared", items: []string{"talos gvisor 20240212.0 from /etc/extensions.yaml is not declared"}},
		{name: "none", facts: with([]node.Mount{on("/", "squashfs", "ro")}), want: "pass none"},
		{name: "mounts not read", facts: with(nil, containerd), want: "unknown unread"},
		{name: "in a container", facts: withFact(with(flatcarMounts()), node.OS, node.System{PIDNamespace: "other"}), want: "unknown not-the-host"},
		{name: "fact missing", facts: lacking(with(flatcarMounts(), containerd), node.Extensions, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(with(flatcarMounts()), node.Extensions, []node.OfferedExtension{containerd}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestEtcAsShipped(t *testing.T) {
	p := profiles.Profile{Extensions: profiles.Extensions{Etc: []profiles.Place{{Path: "/etc/machine-id", Why: "made at the first boot"}, {Path: "/etc/ssh/*", Why: "host keys"}}}}
	with := func(m []node.Mount, e node.EtcState, gaps ...node.Gap) node.Facts {
		f := withFact(nil, node.EtcDrift, e, gaps...)
		return withFact(withFact(f, node.Mounts, m), node.OS, node.System{Init: "systemd", PIDNamespace: "initial"})
	}
	drift := func(changed []node.EtcChange, added, removed []string) node.EtcState {
		return node.EtcState{Defaults: "/usr/etc", Compared: 600, Changed: changed, Added: added, Removed: removed}
	}
	etc := func(m node.Mount) []node.Mount { return flatcarMounts(m) }
	testJudge(t, etcAsShipped, []judgedRow{
		{name: "nothing but what differs everywhere", profile: p, facts: with(flatcarMounts(), drift(nil, []string{"/etc/machine-id", "/etc/ssh/ssh_host_rsa_key"}, nil)), want: "pass as-shipped"},
		{name: "a file was added", profile: p, facts: with(flatcarMounts(), drift(nil, []string{"/etc/profile.d/a.sh"}, nil)), want: "fail differs", items: []string{"/etc/profile.d/a.sh (added)"}},
		{name: "a file was changed, another removed", profile: p, facts: with(flatcarMounts(), drift([]node.EtcChange{{Path: "/etc/pam.d/sshd", What: "content"}}, nil, []string{"/etc/securetty"})),
			want: "fail differs", items: []string{"/etc/pam.d/sshd (other content)", "/etc/securetty (removed)"}},
		{name: "the folder of host keys itself is not declared", profile: p, facts: with(flatcarMounts(), drift([]node.EtcChange{{Path: "/etc/ssh", What: "mode"}}, nil, nil)), want: "fail differs"},
		{name: "read-only", profile: p, facts: with([]node.Mount{on("/", "squashfs", "ro")}, node.EtcState{}), want: "pass read-only"},
		{name: "Bottlerocket makes it anew in memory", profile: p, facts: with(etc(on("/etc", "tmpfs", "rw,nosuid")), node.EtcState{}), want: "not-applicable in-memory"},
		{name: "COS writes it to memory", profile: p, facts: with(etc(on("/etc", "overlay", "rw", "lowerdir=/etc", "upperdir=/tmp/etc_overlay/etc")), node.EtcState{}), want: "not-applicable in-memory"},
		{name: "an overlay whose upper directory persists", profile: p, facts: with(etc(on("/etc", "overlay", "rw", "lowerdir=/etc", "upperdir=/var/lib/overlay/1/etc")), node.EtcState{}), want: "unknown no-defaults"},
		{name: "nothing was compared", profile: p, facts: with(flatcarMounts(), node.EtcState{Defaults: "/usr/etc"}), want: "unknown nothing-compared"},
		{name: "an ordinary host", profile: profiles.Profile{Ordinary: true}, facts: with(flatcarMounts(), drift(nil, nil, nil)), want: "not-applicable nothing-expected"},
		{name: "MicroOS, of which nobody has said what may differ", facts: with(flatcarMounts(), drift(nil, nil, nil)), want: "unknown nothing-expected"},
		{name: "mounts not read", profile: p, facts: with(nil, drift(nil, nil, nil)), want: "unknown unread"},
		{name: "fact missing", profile: p, facts: lacking(with(flatcarMounts(), node.EtcState{}), node.EtcDrift, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: with(flatcarMounts(), drift(nil, nil, nil), deniedGap), want: "unknown gap-denied"},
	})
}

func TestWritableMountsRestricted(t *testing.T) {
	p := profiles.Profile{Extensions: profiles.Extensions{Mounts: []profiles.Restriction{{Path: "/tmp", Options: []string{"nosuid", "nodev"}}, {Path: "/var", Options: []string{"nosuid"}}}}}
	with := func(m []node.Mount, gaps ...node.Gap) node.Facts {
		return withFact(withFact(nil, node.Mounts, m, gaps...), node.OS, node.System{Init: "systemd", PIDNamespace: "initial"})
	}
	good := flatcarMounts(on("/var", "xfs", "rw,nosuid,nodev"))
	testJudge(t, writableMountsRestricted, []judgedRow{
		{name: "as shipped", profile: p, facts: with(good), want: "pass restricted", items: []string{"/tmp nosuid,nodev", "/var nosuid"}},
		{name: "/var is no mount of its own", profile: p, facts: with(flatcarMounts()), want: "fail unrestricted", items: []string{"/var (on / ext4) without nosuid"}},
		{name: "/tmp was remounted", profile: p, facts: with([]node.Mount{on("/", "ext4", "rw"), on("/tmp", "tmpfs", "rw,relatime"), on("/var", "xfs", "rw,nosuid")}), want: "fail unrestricted", items: []string{"/tmp without nosuid, nodev"}},
		{name: "what is read-only needs no more", profile: p, facts: with([]node.Mount{on("/", "squashfs", "ro"), on("/tmp", "tmpfs", "rw,nosuid,nodev")}), want: "pass restricted"},
		{name: "nothing expected", facts: with(good), want: "not-applicable nothing-expected"},
		{name: "mounts not read", profile: p, facts: with(nil), want: "unknown unread"},
		{name: "fact missing", profile: p, facts: lacking(with(good), node.Mounts, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: with(good, deniedGap), want: "unknown gap-denied"},
	})
}

func TestModulesFromImage(t *testing.T) {
	const dir = "/usr/lib/modules/6.6.95-flatcar"
	with := func(f node.ModuleFolder, gaps ...node.Gap) node.Facts {
		facts := withFact(nil, node.ModuleFiles, f, gaps...)
		return withFact(withFact(facts, node.Mounts, flatcarMounts(on("/usr/lib/modules", "overlay", "rw", "lowerdir=/a", "upperdir=/b"))[:3]), node.OS, node.System{Init: "systemd", PIDNamespace: "initial"})
	}
	folder := func(loaded ...node.LoadedModule) node.ModuleFolder {
		return node.ModuleFolder{Path: dir, List: dir + "/modules.dep", Loaded: loaded}
	}
	overlay := node.LoadedModule{Name: "overlay", File: dir + "/kernel/fs/overlayfs/overlay.ko.xz"}
	rootkit := node.LoadedModule{Name: "diamorphine"}
	weak := node.LoadedModule{Name: "nvidia", File: "/opt/nvidia/nvidia.ko"}
	bottlerocket := withFact(with(folder(node.LoadedModule{Name: "nvidia", File: "/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules/6.12.40/nvidia.ko"})), node.Mounts, []node.Mount{
		on("/", "erofs", "ro"), on("/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules", "overlay", "rw,noexec", "lowerdir=/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules", "upperdir=/var/lib/kernel-modules/.overlay/upper")})
	declared := profiles.Profile{Image: profiles.Image{Shadows: []profiles.Shadow{{Path: "/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules", Type: "overlay", Upper: true}}}}
	testJudge(t, modulesFromImage, []judgedRow{
		{name: "all of the image", facts: with(folder(overlay)), want: "pass from-image"},
		{name: "a kernel without modules", facts: with(node.ModuleFolder{}), want: "pass none"},
		{name: "a rootkit that was loaded by hand", facts: with(folder(overlay, rootkit)), want: "fail outside-image", items: []string{"diamorphine (in no file of " + dir + ")"}},
		{name: "a link out of the image", facts: with(folder(overlay, weak)), want: "fail outside-image", items: []string{"nvidia (/opt/nvidia/nvidia.ko on / ext4)"}},
		{name: "Bottlerocket's overlay of modules", profile: declared, facts: bottlerocket, want: "pass from-image"},
		{name: "the same where nobody declared it", facts: bottlerocket, want: "fail outside-image"},
		{name: "no folder for this kernel", facts: with(node.ModuleFolder{Loaded: []node.LoadedModule{overlay}}), want: "fail no-folder"},
		{name: "modules.dep was not read", facts: with(node.ModuleFolder{Path: dir, Loaded: []node.LoadedModule{{Name: "overlay"}}}), want: "unknown unread"},
		{name: "fact missing", facts: lacking(with(folder(overlay)), node.ModuleFiles, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: with(folder(overlay), deniedGap), want: "unknown gap-denied"},
	})
}

func TestKernelFromCurrentImage(t *testing.T) {
	const dir = "/usr/lib/modules/6.6.95-flatcar"
	with := func(f node.ModuleFolder, waiting ...string) node.Facts {
		facts := withFact(running("6.6.95-flatcar"), node.ModuleFiles, f)
		return withFact(withFact(facts, node.Updates, node.UpdateState{Waiting: waiting}), node.Mounts, flatcarMounts())
	}
	good := node.ModuleFolder{Path: dir, Loaded: []node.LoadedModule{{Name: "overlay"}}}
	ordinary := profiles.Profile{Ordinary: true}
	testJudge(t, kernelFromCurrentImage, []judgedRow{
		{name: "of the image", facts: with(good), want: "pass current", items: []string{"6.6.95-flatcar"}},
		{name: "a deployment is staged", facts: with(good, "/run/ostree/staged-deployment"), want: "fail reboot-pending", items: []string{"/run/ostree/staged-deployment"}},
		{name: "the package was upgraded below the running kernel", facts: with(node.ModuleFolder{Loaded: []node.LoadedModule{{Name: "overlay"}}}), want: "fail not-of-image"},
		{name: "modules on the data disk", facts: with(node.ModuleFolder{Path: "/var/lib/modules/6.6.95-flatcar"}), want: "fail outside-image"},
		{name: "an ordinary host", profile: ordinary, facts: with(node.ModuleFolder{Path: "/var/lib/modules/6.6.95-flatcar"}), want: "pass current"},
		{name: "an ordinary host that wants a reboot", profile: ordinary, facts: with(good, "/run/reboot-required"), want: "fail reboot-pending"},
		{name: "a kernel without modules", facts: with(node.ModuleFolder{}), want: "unknown no-folder"},
		{name: "release not read", facts: withFact(with(good), node.Kernel, node.KernelState{}), want: "unknown unread"},
		{name: "fact missing", facts: lacking(with(good), node.Updates, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(with(good), node.Updates, node.UpdateState{}, deniedGap), want: "unknown gap-denied"},
	})
}
