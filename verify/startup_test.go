package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func startupFact(edit func(*node.StartupFiles), gaps ...node.Gap) node.Facts {
	none := []node.Definition{}
	v := node.StartupFiles{Cron: none, Boot: none, Udev: none, Modules: none, Login: none, Libraries: none, Binfmt: none, Handlers: []node.BinfmtHandler{},
		Network: none, Kubelet: "process", KubeletPlugins: none}
	if edit != nil {
		edit(&v)
	}
	return withFact(withFact(onHost(), node.Mounts, flatcarLike), node.Startup, v, gaps...)
}

func at(path string, starts ...string) node.Definition {
	return node.Definition{Path: path, Mode: 0o644, SHA256: "aa", Starts: starts}
}

func imageCopy(path string) node.Definition {
	d := at(path)
	d.Image = "/usr/etc" + path[len("/etc"):]
	return d
}

func allowStartup(places ...profiles.Place) profiles.Profile {
	return profiles.Profile{Persistence: profiles.Persistence{Startup: places}}
}

// The checks of one list each are one judge with another list.
func TestStartupLists(t *testing.T) {
	for _, tt := range []struct {
		check Check
		part  string
		set   func(*node.StartupFiles, []node.Definition)
		bad   node.Definition
		own   node.Definition
	}{
		{noCronJobs, "cron", func(v *node.StartupFiles, l []node.Definition) { v.Cron = l }, at("/etc/cron.d/x", "/var/evil"), imageCopy("/etc/crontab")},
		{noBootScripts, "boot", func(v *node.StartupFiles, l []node.Definition) { v.Boot = l }, at("/etc/rc.local"), imageCopy("/etc/tmpfiles.d/a.conf")},
		{udevRulesFromImage, "udev", func(v *node.StartupFiles, l []node.Definition) { v.Udev = l }, at("/run/udev/rules.d/99.rules", "/var/evil"), imageCopy("/etc/udev/rules.d/60.rules")},
		{moduleLoadingDeclared, "modules", func(v *node.StartupFiles, l []node.Definition) { v.Modules = l }, at("/etc/modprobe.d/x.conf", "/var/evil"), imageCopy("/etc/modprobe.d/a.conf")},
		{loginHooksFromImage, "login", func(v *node.StartupFiles, l []node.Definition) { v.Login = l }, at("/etc/pam.d/sshd", "pam_exec.so", "/var/evil"), imageCopy("/etc/pam.d/su")},
		{libraryFoldersFromImage, "libraries", func(v *node.StartupFiles, l []node.Definition) { v.Libraries = l }, at("/etc/ld.so.conf.d/x.conf"), imageCopy("/etc/ld.so.conf")},
	} {
		t.Run(tt.check.ID, func(t *testing.T) {
			list := func(d ...node.Definition) node.Facts {
				return startupFact(func(v *node.StartupFiles) { tt.set(v, d) })
			}
			elsewhere := tt.bad
			elsewhere.Path += ".other"
			link := node.Definition{Path: tt.bad.Path, Link: "/usr/share/x", Target: "/usr/share/x"}
			testJudge(t, tt.check, []judgedRow{
				{name: "none", facts: startupFact(nil), want: "pass none"},
				{name: "one from elsewhere", facts: list(tt.own, tt.bad), want: "fail outside-image", items: []string{definitionText(tt.bad)}},
				{name: "the image's copy", facts: list(tt.own), want: "pass from-image"},
				{name: "a link to the image", facts: list(link), want: "pass from-image"},
				{name: "declared", profile: allowStartup(profiles.Place{Path: tt.bad.Path}), facts: list(tt.bad), want: "pass declared", items: []string{definitionText(tt.bad)}},
				{name: "declared by digest", profile: allowStartup(profiles.Place{Path: tt.bad.Path, SHA256: "aa"}), facts: list(tt.bad), want: "pass declared"},
				{name: "declared with another digest", profile: allowStartup(profiles.Place{Path: tt.bad.Path, SHA256: "bb"}), facts: list(tt.bad), want: "fail outside-image"},
				{name: "another one is declared", profile: allowStartup(profiles.Place{Path: tt.bad.Path}), facts: list(elsewhere), want: "fail outside-image"},
				{name: "no image at all", facts: withFact(list(tt.bad), node.Mounts, []node.Mount{flatcarRoot}), want: "fail no-image"},
				{name: "not listed", facts: startupFact(func(v *node.StartupFiles) { tt.set(v, nil) }), want: "unknown unread"},
				{name: "a container's process 1", facts: withFact(startupFact(nil), node.OS, node.System{Init: "sh", PIDNamespace: "other"}), want: "unknown part-of-machine"},
				{name: "gap", facts: startupFact(nil, partGap(tt.part)), want: "unknown gap-denied"},
				{name: "a gap in another part", facts: startupFact(nil, partGap("network")), want: "pass none"},
				{name: "one from elsewhere over a gap", facts: startupFact(func(v *node.StartupFiles) { tt.set(v, []node.Definition{tt.bad}) }, partGap(tt.part)), want: "fail outside-image"},
				{name: "fact missing", facts: lacking(startupFact(nil), node.Startup, node.Denied, "permission denied"), want: "unknown fact-denied"},
			})
		})
	}
}

func TestBinfmtHandlersKnown(t *testing.T) {
	handlers := func(h ...node.BinfmtHandler) node.Facts {
		return startupFact(func(v *node.StartupFiles) { v.Handlers = h })
	}
	qemu := node.BinfmtHandler{Name: "qemu-aarch64", Enabled: true, Interpreter: "/usr/bin/qemu-aarch64", Flags: "OCF"}
	python := node.BinfmtHandler{Name: "python", Enabled: true, Interpreter: "/usr/bin/python3"}
	evil := node.BinfmtHandler{Name: "x", Enabled: true, Interpreter: "/var/evil", Flags: "C"}
	off := evil
	off.Enabled = false
	testJudge(t, binfmtHandlersKnown, []judgedRow{
		{name: "none", facts: startupFact(nil), want: "pass none"},
		{name: "a program of the image", facts: handlers(python), want: "pass from-image"},
		{name: "a program of elsewhere", facts: handlers(python, evil), want: "fail undeclared", items: []string{"x: /var/evil C"}},
		{name: "switched off", facts: handlers(off), want: "pass none"},
		{name: "opened at registration, when another was there", facts: handlers(qemu), want: "fail undeclared", items: []string{"qemu-aarch64: /usr/bin/qemu-aarch64 OCF"}},
		{name: "declared", profile: profiles.Profile{Persistence: profiles.Persistence{Interpreters: []profiles.Place{{Path: "/var/evil"}}}}, facts: handlers(evil), want: "pass declared"},
		{name: "a file of binfmt.d", facts: startupFact(func(v *node.StartupFiles) { v.Binfmt = []node.Definition{at("/etc/binfmt.d/x.conf", "/var/evil")} }), want: "fail undeclared", items: []string{"/etc/binfmt.d/x.conf starts /var/evil"}},
		{name: "a declared file", profile: allowStartup(profiles.Place{Path: "/etc/binfmt.d/x.conf"}), facts: startupFact(func(v *node.StartupFiles) { v.Binfmt = []node.Definition{at("/etc/binfmt.d/x.conf")} }), want: "pass declared"},
		{name: "binfmt_misc is not mounted", facts: startupFact(func(v *node.StartupFiles) { v.Handlers = nil }, partGap("handlers")), want: "unknown gap-denied"},
		{name: "handlers are not said", facts: startupFact(func(v *node.StartupFiles) { v.Handlers = nil }), want: "unknown unread"},
		{name: "gap", facts: startupFact(nil, partGap("binfmt")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(startupFact(nil), node.Startup, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestNetworkPluginsKnown(t *testing.T) {
	network := func(d ...node.Definition) node.Facts {
		return startupFact(func(v *node.StartupFiles) { v.Network = d })
	}
	known := profiles.Profile{Persistence: profiles.Persistence{Network: []profiles.Place{{Path: "/opt/cni/bin/bridge"}, {Path: "/opt/cni/bin/portmap", SHA256: "bb"}}}}
	testJudge(t, networkPluginsKnown, []judgedRow{
		{name: "none", facts: startupFact(nil), want: "pass none"},
		{name: "a known name", profile: known, facts: network(at("/opt/cni/bin/bridge")), want: "pass declared"},
		{name: "of an extension image", facts: withFact(network(at("/opt/cni/bin/x")), node.Mounts, append([]node.Mount{sysextOpt}, flatcarLike...)), want: "pass from-image"},
		{name: "an unknown plugin", profile: known, facts: network(at("/opt/cni/bin/bridge"), at("/opt/cni/bin/.x")), want: "fail undeclared", items: []string{"/opt/cni/bin/.x"}},
		{name: "a known name with another digest", profile: known, facts: network(at("/opt/cni/bin/portmap")), want: "fail undeclared"},
		{name: "an unknown configuration", profile: known, facts: network(at("/etc/cni/net.d/00-evil.conflist", "evil")), want: "fail undeclared", items: []string{"/etc/cni/net.d/00-evil.conflist starts evil"}},
		{name: "not listed", facts: startupFact(func(v *node.StartupFiles) { v.Network = nil }), want: "unknown unread"},
		{name: "gap", facts: startupFact(nil, partGap("network")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(startupFact(nil), node.Startup, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestKubeletPluginsKnown(t *testing.T) {
	const ecr = "/opt/bin/ecr-credential-provider"
	plugins := func(d ...node.Definition) node.Facts {
		return startupFact(func(v *node.StartupFiles) { v.KubeletPlugins = d })
	}
	testJudge(t, kubeletPluginsKnown, []judgedRow{
		{name: "none", facts: startupFact(nil), want: "pass none"},
		{name: "of the image", facts: plugins(at("/usr/libexec/kubernetes/kubelet-plugins/volume/exec/a~b/b")), want: "pass from-image"},
		{name: "a volume plugin from elsewhere", facts: plugins(at("/opt/volume/a~b/b")), want: "fail undeclared", items: []string{"/opt/volume/a~b/b"}},
		{name: "a device plugin", facts: plugins(node.Definition{Path: "/var/lib/kubelet/device-plugins/evil.sock"}), want: "fail undeclared"},
		{name: "declared", profile: profiles.Profile{Persistence: profiles.Persistence{Kubelet: []profiles.Place{{Path: ecr}}}}, facts: plugins(node.Definition{Path: ecr}), want: "pass declared"},
		{name: "no kubelet", facts: startupFact(func(v *node.StartupFiles) { v.Kubelet = "absent" }), want: "not-applicable no-kubelet"},
		{name: "not listed", facts: startupFact(func(v *node.StartupFiles) { v.KubeletPlugins = nil }), want: "unknown unread"},
		{name: "gap", facts: startupFact(nil, partGap("kubeletPlugins")), want: "unknown gap-denied"},
		{name: "fact missing", facts: lacking(startupFact(nil), node.Startup, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestBPFProgramsKnown(t *testing.T) {
	const tag = "0011223344556677"
	facts := func(v node.BPFPrograms, gaps ...node.Gap) node.Facts { return withFact(nil, node.BPF, v, gaps...) }
	programs := func(p ...node.BPFProgram) node.Facts {
		return facts(node.BPFPrograms{Programs: p, Pins: []string{}})
	}
	p := profiles.Profile{Persistence: profiles.Persistence{
		BPF: []profiles.Place{{Path: "cgroup_device sd_devices"}, {Path: "cgroup_device"}, {Path: "sched_cls cil_*"}, {Path: "tracing hid " + tag}}, Pins: []profiles.Place{{Path: "/sys/fs/bpf/cilium/*"}},
	}}
	testJudge(t, bpfProgramsKnown, []judgedRow{
		{name: "none", facts: programs([]node.BPFProgram{}...), want: "pass none"},
		{name: "systemd's and a container's", profile: p, facts: programs(node.BPFProgram{Name: "sd_devices", Type: "cgroup_device", Tag: tag}, node.BPFProgram{Type: "cgroup_device", Tag: tag}), want: "pass known", items: []string{"cgroup_device (" + tag + ")", "cgroup_device sd_devices (" + tag + ")"}},
		{name: "Cilium's by the beginning of their names", profile: p, facts: programs(node.BPFProgram{Name: "cil_from_netdev", Type: "sched_cls"}), want: "pass known"},
		{name: "a root kit", profile: p, facts: programs(node.BPFProgram{Name: "hide_pid", Type: "tracepoint", Tag: tag}), want: "fail unknown-programs", items: []string{"tracepoint hide_pid (" + tag + ")"}},
		{name: "a known name of another type", profile: p, facts: programs(node.BPFProgram{Name: "sd_devices", Type: "kprobe", Tag: tag}), want: "fail unknown-programs"},
		{name: "a known name with other instructions", profile: p, facts: programs(node.BPFProgram{Name: "hid", Type: "tracing", Tag: "ffff"}), want: "fail unknown-programs"},
		{name: "of a user", facts: programs(node.BPFProgram{Name: "a", Type: "socket_filter", Tag: tag, UID: 1000}), want: "fail unknown-programs", items: []string{"socket_filter a (" + tag + ") of user 1000"}},
		{name: "a known pin", profile: p, facts: facts(node.BPFPrograms{Programs: []node.BPFProgram{}, Pins: []string{"/sys/fs/bpf/cilium/x"}}), want: "pass known"},
		{name: "an unknown pin", profile: p, facts: facts(node.BPFPrograms{Programs: []node.BPFProgram{}, Pins: []string{"/sys/fs/bpf/x"}}), want: "fail unknown-programs", items: []string{"pin /sys/fs/bpf/x"}},
		{name: "pins were not listed", facts: facts(node.BPFPrograms{Programs: []node.BPFProgram{}}), want: "unknown unread"},
		{name: "pins may not be listed", facts: facts(node.BPFPrograms{Programs: []node.BPFProgram{}}, partGap("pins")), want: "unknown gap-denied"},
		{name: "programs are not said", facts: facts(node.BPFPrograms{}), want: "unknown unread"},
		{name: "a root kit where pins were not listed", facts: facts(node.BPFPrograms{Programs: []node.BPFProgram{{Name: "x"}}}, partGap("pins")), want: "fail unknown-programs"},
		{name: "without the right to ask", facts: lacking(nil, node.BPF, node.Denied, "asking the kernel for bpf-programs: permission denied"), want: "unknown fact-denied"},
	})
}
