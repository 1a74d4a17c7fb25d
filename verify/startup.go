package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var noCronJobs = Check{
	ID:        "no-cron-jobs",
	Rev:       1,
	Title:     "no job of cron or at is set up but those that the profile declares",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "A line in a cron table is the oldest way to come back. Container-optimized systems use timers; most have no cron at all, so that a table waits for somebody to bring one.",
		How: "/etc/crontab, /etc/anacrontab, /etc/cron.d, /etc/cron.{hourly,daily,weekly,monthly,yearly}, the users' tables and the queue of at are listed, whether or not a cron daemon was found. What each line starts is named without its arguments.",
		Remedy: map[string]string{
			"cos": "Remove it, and what writes it anew at boot from the instance's metadata (user-data, startup-script).",
			"":    "Read the table, remove it, and make a timer of the image or a CronJob of the cluster of what is still wanted.",
		},
	},
	Judge: startupJudge("cron", things{"job of cron or at", "jobs of cron or at"}, func(v node.StartupFiles) []node.Definition { return v.Cron }),
}

var noBootScripts = Check{
	ID:        "no-boot-scripts",
	Rev:       1,
	Title:     "no script or rule from outside the OS image acts at boot or when the network changes",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "rc.local, init scripts and the hooks of network managers run as root and belong to no unit that anybody looks at. tmpfiles.d can put any file in place at boot.",
		How: "rc.local, executable init scripts, hooks of NetworkManager, dhclient, ifupdown, wicked, networkd-dispatcher, kernel-install and initramfs-tools, dracut.conf.d, tmpfiles.d and sysusers.d beside the vendor's folders, and the users whose services start at boot (loginctl enable-linger) are listed. Each must be the image's, equal its copy, or be declared.",
		Remedy: map[string]string{
			"fedora-coreos": "Move what is wanted into a unit of the Butane configuration and remove the script; loginctl disable-linger USER for a user's services.",
			"":              "Remove the script or rule, or declare it by path and digest; where an image brings its own, rebuild that.",
		},
	},
	Judge: startupJudge("boot", things{"script or rule that acts at boot", "scripts and rules that act at boot"}, func(v node.StartupFiles) []node.Definition { return v.Boot }),
}

var udevRulesFromImage = Check{
	ID:        "udev-rules-from-image",
	Rev:       1,
	Title:     "every rule of udev comes from the OS image or is declared",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "A rule of udev starts a program whenever a device shows up, the first time before any service runs. Few people look there.",
		How: "Rules in /etc, /run and /usr/local (udev(7)) must be on the image, equal the image's copy, or be declared. What their RUN, PROGRAM and IMPORT{program} start is named.",
		Remedy: map[string]string{
			"talos": "Rules come from machine.udev.rules of the machine configuration: compare, and apply it again.",
			"":      "Remove the file and run udevadm control --reload, or declare it by its digest.",
		},
	},
	Judge: startupJudge("udev", things{"rule file of udev", "rule files of udev"}, func(v node.StartupFiles) []node.Definition { return v.Udev }),
}

var moduleLoadingDeclared = Check{
	ID:        "module-loading-declared",
	Rev:       1,
	Title:     "what loads kernel modules at boot, or replaces that, is the image's or declared",
	Topic:     Persistence,
	Severity:  High,
	Refs:      persistenceRefs(Ref{cisControls, "2.7"}),
	ImageOnly: true,
	Help: Help{
		Why: "modules-load.d puts code into the kernel at each boot, and an install line of modprobe.d starts any program in place of loading a module.",
		How: "Lists of modules-load.d(5) and settings of modprobe.d(5) in /etc, /run and /usr/local must be the image's, equal its copy, or be declared. The modules and the programs of install and remove lines are named.",
		Remedy: map[string]string{
			"talos":        "Modules are loaded by machine.kernel.modules of the machine configuration; files for it are none of Talos' ways.",
			"bottlerocket": "settings.kernel.modules says which modules may load and autoload: apiclient get settings.kernel.",
			"":             "Remove the file, or declare it: kubeadm's guide asks for overlay and br_netfilter in /etc/modules-load.d/k8s.conf.",
		},
	},
	Judge: startupJudge("modules", things{"file that loads modules", "files that load modules"}, func(v node.StartupFiles) []node.Definition { return v.Modules }),
}

var loginHooksFromImage = Check{
	ID:        "login-hooks-from-image",
	Rev:       1,
	Title:     "what runs when somebody logs in is the OS image's or declared",
	Topic:     Persistence,
	Severity:  Medium,
	Refs:      persistenceRefs(Ref{sp80053, "IA-2"}),
	ImageOnly: true,
	Help: Help{
		Why: "A module or program that PAM loads sees every password; a line in a profile runs with the rights of whoever logs in, root included.",
		How: "Profiles of shells, root's own, /etc/environment, the hooks of sshd and of the message of the day, and every file of /etc/pam.d must be the image's, equal its copy (/usr/etc, /usr/share/flatcar/etc), or be declared. Modules and pam_exec programs are named.",
		Remedy: map[string]string{
			"fedora-coreos": "ostree admin config-diff lists what differs in /etc; copy the image's file back from /usr/etc.",
			"flatcar":       "Remove the file from /etc: the image's own, in /usr/share/flatcar/etc, shows again where /etc is an overlay.",
			"microos":       "rm the file in /etc: PAM then takes the one of /usr/lib/pam.d.",
			"":              "Put the image's file back, or declare this one by its digest.",
		},
	},
	Judge: startupJudge("login", things{"file that acts at a login", "files that act at a login"}, func(v node.StartupFiles) []node.Definition { return v.Login }),
}

var libraryFoldersFromImage = Check{
	ID:        "library-folders-from-image",
	Rev:       1,
	Title:     "the OS image alone says in which folders programs look for libraries",
	Topic:     Persistence,
	Severity:  Medium,
	Refs:      persistenceRefs(),
	ImageOnly: true,
	Help: Help{
		Why: "A folder that is listed for ld.so is searched by every program of the host: a library of the right name there is loaded in place of the image's, into programs that are verified.",
		How: "/etc/ld.so.conf and the files of /etc/ld.so.conf.d must be the image's, equal its copy, or be declared. What processes have in fact mapped is another check's matter.",
		Remedy: map[string]string{
			"": "Remove the file, run ldconfig and restart the services that ldd shows with such a library; or declare it.",
		},
	},
	Judge: startupJudge("libraries", things{"list of folders of libraries", "lists of folders of libraries"}, func(v node.StartupFiles) []node.Definition { return v.Libraries }),
}

var binfmtHandlersKnown = Check{
	ID:       "binfmt-handlers-known",
	Rev:      1,
	Title:    "the kernel starts no undeclared program for a file format",
	Topic:    Persistence,
	Severity: High,
	Refs:     persistenceRefs(),
	Help: Help{
		Why: "A handler of binfmt_misc is started by the kernel in place of a program, in containers too; with the flag C it has the rights of a setuid file, and with F it needs no file any more.",
		How: "Every handler that is registered and enabled must have its interpreter on the image or be declared, and so must files of binfmt.d(5) outside the vendor's folder. A kernel that has not loaded binfmt_misc (/proc/filesystems) has none. Handlers outlive the mount of the file system, so that without it they are not known.",
		Remedy: map[string]string{
			"": "echo -1 > /proc/sys/fs/binfmt_misc/NAME takes a handler away until the next boot. Emulators for builds of other architectures come from a privileged container (tonistiigi/binfmt): keep them off nodes that run more than builds, or declare their interpreter.",
		},
	},
	Judge: On3(node.Startup.Parts("binfmt", "handlers"), node.Mounts, node.OS.Parts("init", "pidNamespace"), func(v node.StartupFiles, m []node.Mount, s node.System, g Given) Finding {
		return wholeMachine(s, judgeBinfmt(v, m, g))
	}),
}

func judgeBinfmt(v node.StartupFiles, mounts []node.Mount, g Given) Finding {
	out := sortDefinitions(v.Binfmt, mounts, g.Profile.Persistence.Startup)
	for _, h := range v.Handlers {
		if !h.Enabled {
			continue
		}
		// With the flag F the program was opened at registration, whatever is at its
		// path now.
		o := originOf(node.Definition{Path: h.Interpreter}, mounts, g.Profile.Persistence.Interpreters)
		if o == ofImage && strings.Contains(h.Flags, "F") {
			o = foreign
		}
		out[o] = append(out[o], strings.TrimSpace(fmt.Sprintf("%s: %s %s", h.Name, h.Interpreter, h.Flags)))
	}
	if f := out.undeclared(things{"handler of a format", "handlers of formats"}); f.Verdict != Pass || v.Binfmt != nil && v.Handlers != nil {
		return f
	}
	return unsaid("what formats its kernel has handlers for")
}

// noKubelet is the finding where no kubelet runs.
func noKubelet(v node.StartupFiles) (Finding, bool) {
	switch v.Kubelet {
	case "":
		return unsaid("whether a kubelet runs"), true
	case "absent":
		return notApplicable("no-kubelet", "no kubelet runs here"), true
	}
	return Finding{}, false
}

var networkPluginsKnown = Check{
	ID:       "network-plugins-known",
	Rev:      1,
	Title:    "every network plugin and network configuration is known",
	Topic:    Persistence,
	Severity: High,
	Refs:     persistenceRefs(),
	Help: Help{
		Why: "The container runtime starts what the first configuration in /etc/cni/net.d names, as root, for every pod. Both folders are writable on almost every system, because network pods install into them.",
		How: "Configurations (/etc/cni/net.d and its like) and the files beside the plugins (/opt/cni/bin and its like) are listed. Each must be on the image, or have a name that the profile knows: the plugins of the CNI project and of common networks. A name proves nothing of the content; a site overlay adds digests.",
		Remedy: map[string]string{
			"talos":        "Plugins other than those of Flannel come from the network that the cluster installs: name its files in a site overlay. Anything else in /opt/cni/bin is wiped with talosctl reset --system-labels-to-wipe EPHEMERAL.",
			"bottlerocket": "/opt/cni/bin is made anew at each boot: reboot, and look for the pod that writes the file again.",
			"":             "Find the DaemonSet that installed the file; declare it by path and digest, or remove it.",
		},
	},
	Judge: On2(node.Startup.Parts("network"), node.Mounts, func(v node.StartupFiles, m []node.Mount, g Given) Finding {
		if v.Network == nil {
			return unsaid("what network plugins it has")
		}
		return sortDefinitions(v.Network, m, g.Profile.Persistence.Network).undeclared(things{"network plugin or configuration", "network plugins and configurations"})
	}),
}

var kubeletPluginsKnown = Check{
	ID:       "kubelet-plugins-known",
	Rev:      1,
	Title:    "every program that the kubelet starts, and every device plugin, is known",
	Topic:    Persistence,
	Severity: High,
	Refs:     persistenceRefs(),
	Help: Help{
		Why: "The kubelet starts volume plugins and credential providers as root from folders that its arguments name. A device plugin tells it what to mount into pods.",
		How: "The folder of volume plugins (volumePluginDir), the folder and file of credential providers (--image-credential-provider-bin-dir, -config), and the sockets in /var/lib/kubelet/device-plugins are listed. Each must be on the image or be declared.",
		Remedy: map[string]string{
			"fedora-coreos": "On OpenShift the folder is /etc/kubernetes/kubelet-plugins/volume/exec: flexible volumes are deprecated, remove the driver or declare it.",
			"":              "Remove the plugin and restart the kubelet, or declare its path and digest. Replace flexible volumes by CSI drivers, which run as pods.",
		},
	},
	Judge: On2(node.Startup.Parts("kubeletPlugins"), node.Mounts, func(v node.StartupFiles, m []node.Mount, g Given) Finding {
		f, none := noKubelet(v)
		switch {
		case none:
			return f
		case v.KubeletPlugins == nil:
			return unsaid("what plugins its kubelet has")
		}
		return sortDefinitions(v.KubeletPlugins, m, g.Profile.Persistence.Kubelet).undeclared(things{"plugin of the kubelet", "plugins of the kubelet"})
	}),
}

var bpfProgramsKnown = Check{
	ID:       "bpf-programs-known",
	Rev:      1,
	Title:    "every eBPF program in the kernel, and every pin, is known",
	Topic:    Persistence,
	Severity: Medium,
	Refs:     persistenceRefs(Ref{sp80053, "CM-7"}),
	Help: Help{
		Why: "An eBPF program runs in the kernel, sees every packet and system call that it is attached to, and needs no process. Root kits hide files and processes with them.",
		How: "The kernel lists its programs by name, type, owner and digest of their instructions (bpf(2); this takes CAP_SYS_ADMIN, which the systemd install has and the DaemonSet has not), and the file systems of type bpf what is pinned there. Each must be one that the profile knows: those of systemd and of container runtimes. Networks and agents that use eBPF are declared in a site overlay, by type and name, or by tag as well: a name alone is whatever the loader chose.",
		Remedy: map[string]string{
			"": "bpftool prog show id N names the process that holds a program, bpftool link the link; ending the process or removing the pin unloads it. Declare the programs of the cluster's network.",
		},
	},
	Judge: On(node.BPF, judgeBPF),
}

func judgeBPF(v node.BPFPrograms, g Given) Finding {
	if v.Programs == nil {
		return unsaid("what eBPF programs its kernel has")
	}
	var bad, known []string
	add := func(ok bool, text string) {
		if ok {
			known = append(known, text)
		} else {
			bad = append(bad, text)
		}
	}
	for _, p := range v.Programs {
		text := fmt.Sprintf("%s %s (%s)", p.Type, p.Name, p.Tag)
		if p.Name == "" {
			text = fmt.Sprintf("%s (%s)", p.Type, p.Tag)
		}
		if p.UID != 0 {
			text += fmt.Sprintf(" of user %d", p.UID)
		}
		add(slices.ContainsFunc(g.Profile.Persistence.BPF, func(k profiles.Place) bool { return isBPFProgram(p, strings.Fields(k.Path)) }), text)
	}
	for _, pin := range v.Pins {
		add(placeNames(g.Profile.Persistence.Pins, pin), "pin "+pin)
	}
	slices.Sort(bad)
	slices.Sort(known)
	bad, known = slices.Compact(bad), slices.Compact(known)
	switch {
	case len(bad) > 0:
		return fail("unknown-programs", fmt.Sprintf("%d eBPF programs or pins are not known: %s", len(bad), strings.Join(bad, "; ")), bad...)
	case v.Pins == nil:
		return unsaid("what eBPF objects are pinned")
	case len(known) > 0:
		return pass("known", fmt.Sprintf("all %d eBPF programs and pins are known", len(known)), known...)
	}
	return pass("none", "the kernel has loaded no eBPF program")
}

// isBPFProgram reports whether an eBPF program is the one that a profile names by
// type, name and tag.
func isBPFProgram(p node.BPFProgram, words []string) bool {
	switch {
	case len(words) == 0 || words[0] != p.Type:
		return false
	case len(words) == 1:
		return p.Name == ""
	case len(words) > 2 && words[2] != p.Tag:
		return false
	}
	return beginsAs(p.Name, words[1])
}
