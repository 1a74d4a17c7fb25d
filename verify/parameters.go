package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// kernelParameterChecks are about parameters of the kernel, beyond the hardening list.
var kernelParameterChecks = []Check{
	memoryLayoutRandomised, kernelAddressesHidden, unprivilegedBPFOff, ptraceLimited, linksProtected, coreDumpsRestricted,
	userfaultfdRestricted, sysrqRestricted, kubeletKernelTunables, networkParametersHardened,
	kernelHardeningConfig, cpuMitigationsOn, kernelFromCurrentImage, forwardingOff,
}

// The kernel parameters that checks of their own name. What is expected of them
// stands in the profile's list, as for all others.
var (
	layoutParameters      = []string{"kernel.randomize_va_space"}
	addressParameters     = []string{"kernel.dmesg_restrict", "kernel.kptr_restrict", "kernel.perf_event_paranoid"}
	bpfParameters         = []string{"kernel.unprivileged_bpf_disabled", "net.core.bpf_jit_harden"}
	ptraceParameters      = []string{"kernel.yama.ptrace_scope"}
	linkParameters        = []string{"fs.protected_fifos", "fs.protected_hardlinks", "fs.protected_regular", "fs.protected_symlinks"}
	dumpParameters        = []string{"fs.suid_dumpable"}
	userfaultfdParameters = []string{"vm.unprivileged_userfaultfd"}
	kubeletParameters     = []string{
		"kernel.keys.root_maxbytes", "kernel.keys.root_maxkeys", "kernel.panic", "kernel.panic_on_oops", "vm.overcommit_memory", "vm.panic_on_oom",
	}
	networkParameters = []string{
		"net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.all.log_martians", "net.ipv4.conf.all.rp_filter",
		"net.ipv4.conf.all.secure_redirects", "net.ipv4.conf.all.send_redirects",
		"net.ipv4.conf.default.accept_redirects", "net.ipv4.conf.default.accept_source_route", "net.ipv4.conf.default.log_martians", "net.ipv4.conf.default.rp_filter",
		"net.ipv4.conf.default.secure_redirects", "net.ipv4.conf.default.send_redirects",
		"net.ipv4.icmp_echo_ignore_broadcasts", "net.ipv4.icmp_ignore_bogus_error_responses", "net.ipv4.tcp_syncookies",
		"net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.all.accept_source_route",
		"net.ipv6.conf.default.accept_redirects", "net.ipv6.conf.default.accept_source_route",
	}
)

// namedParameters are all parameters that a check of its own names.
func namedParameters() []string {
	return slices.Concat(layoutParameters, addressParameters, bpfParameters, ptraceParameters, linkParameters, dumpParameters,
		userfaultfdParameters, kubeletParameters, networkParameters)
}

// named makes a judge of the parameters in a list.
func named(list []string) Judge {
	return parametersHold(func(name string) bool { return slices.Contains(list, name) })
}

// parameterRemedy says per system how a kernel parameter is set. The check may be
// about others as well, as the list says.
func parameterRemedy(name, value string, list ...string) map[string]string {
	others := ""
	if len(list) > 1 {
		others = ", and likewise what else the finding names,"
	}
	file := fmt.Sprintf("Write \"%s = %s\"%s to a file in /etc/sysctl.d and run sysctl --system", name, value, others)
	return map[string]string{
		"talos":         fmt.Sprintf("Set machine.sysctls: {%q: %q}%s in the machine configuration.", name, value, others),
		"flatcar":       file + ", or have Butane write that file (storage.files).",
		"bottlerocket":  fmt.Sprintf(`apiclient set --json '{"settings": {"kernel": {"sysctl": {%q: %q}}}}'`, name, value) + strings.TrimSuffix(others, ",") + ".",
		"fedora-coreos": file + ", on OpenShift by a MachineConfig.",
		"microos":       file + ".",
		"cos":           fmt.Sprintf("GKE: linuxConfig: {sysctl: {%s: \"%s\"}}%s in the node system configuration, as far as it offers the names. Compute Engine: sysctl -w %s=%s at every boot by cloud-init (bootcmd).", name, value, others, name, value),
		"":              file + ".",
	}
}

// parameterRefs is what every check of kernel parameters is evidence for.
func parameterRefs(more ...Ref) []Ref {
	return slices.Concat(more, []Ref{{sp80053, "CM-6"}, {iso27001, "8.9"}, {cisControls, "10.5"}, {dora, "Art. 11(2)(b)"}})
}

var kernelAddressesHidden = Check{
	ID: "kernel-addresses-hidden", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "kernel addresses, the kernel log and performance events are closed to unprivileged users",
	Refs:  parameterRefs(Ref{sp80053, "SI-16"}, Ref{sleMicroSTIG, "SLEM-05-213010"}, Ref{sleMicroSTIG, "SLEM-05-213025"}, Ref{grundschutz, "SYS.1.3.A14"}),
	Help: Help{
		Why:    "An exploit of the kernel has to know where the kernel is. Its log, its pointers in /proc and its performance events tell.",
		How:    "kernel.kptr_restrict, kernel.dmesg_restrict and kernel.perf_event_paranoid are compared with the profile's list. A kernel without performance events needs no limit on them.",
		Remedy: parameterRemedy("kernel.kptr_restrict", "1", addressParameters...),
	},
	Judge: named(addressParameters),
}

var unprivilegedBPFOff = Check{
	ID: "unprivileged-bpf-off", Rev: 2, Topic: KernelTopic, Severity: High,
	Title: "eBPF is closed to unprivileged users, and its JIT compiler is hardened",
	Refs:  parameterRefs(Ref{sp80053, "CM-7"}, Ref{sp80053, "SI-16"}, Ref{cisBottlerocket, "1.4.3"}),
	Help: Help{
		Why:    "The verifier of eBPF programs has repeatedly let through programs that read and write all of the kernel's memory. Ordinary workloads do not need it.",
		How:    "kernel.unprivileged_bpf_disabled and net.core.bpf_jit_harden are compared with the profile's list. A kernel without bpf(2) passes; a compiler parameter that the reader could not see because it is in another network namespace leaves it unknown.",
		Remedy: parameterRemedy("kernel.unprivileged_bpf_disabled", "1", bpfParameters...),
	},
	Judge: named(bpfParameters),
}

var ptraceLimited = Check{
	ID: "ptrace-limited", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "a process may trace only its own children (Yama)",
	Refs:  parameterRefs(Ref{sp80053, "AC-6"}, Ref{cisBottlerocket, "1.4.4"}),
	Help: Help{
		Why:    "Without a limit every process can read the memory of every other one of the same user, and so its keys and tokens.",
		How:    "kernel.yama.ptrace_scope is compared with the profile's list. Where the kernel has no Yama there is no limit: absent is a failure.",
		Remedy: parameterRemedy("kernel.yama.ptrace_scope", "1"),
	},
	Judge: named(ptraceParameters),
}

var linksProtected = Check{
	ID: "links-protected", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "links, FIFOs and files that others put into shared folders are protected against misuse",
	Refs:  parameterRefs(Ref{sp80053, "AC-6"}, Ref{sleMicroSTIG, "SLEM-05-213015"}),
	Help: Help{
		Why:    "A link that somebody laid in /tmp makes a privileged program write where that somebody could not: the oldest way from a user to root.",
		How:    "fs.protected_symlinks, fs.protected_hardlinks, fs.protected_fifos and fs.protected_regular are compared with the profile's list. Source: the kernel's Documentation/admin-guide/sysctl/fs.rst.",
		Remedy: parameterRemedy("fs.protected_symlinks", "1", linkParameters...),
	},
	Judge: named(linkParameters),
}

var userfaultfdRestricted = Check{
	ID: "userfaultfd-restricted", Rev: 2, Topic: KernelTopic, Severity: Low,
	Title: "userfaultfd for kernel page faults is closed to unprivileged users",
	Refs:  parameterRefs(Ref{sp80053, "CM-7"}, Ref{sp80053, "SI-16"}),
	Help: Help{
		Why:    "userfaultfd(2) lets a process stop the kernel in the middle of a copy for as long as it likes, which turns races that nobody could win into exploits.",
		How:    "vm.unprivileged_userfaultfd is compared with the profile's list. A kernel from 5.2 on that has no such parameter has no userfaultfd(2).",
		Remedy: parameterRemedy("vm.unprivileged_userfaultfd", "0"),
	},
	Judge: named(userfaultfdParameters),
}

var kubeletKernelTunables = Check{
	ID: "kubelet-kernel-tunables", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "the kernel parameters that the kubelet relies on have the values that it expects",
	Refs:  parameterRefs(),
	Help: Help{
		Why:    "The kubelet relies on a kernel that overcommits memory, kills processes when it runs out, and reboots after a panic. With protectKernelDefaults it refuses to start on another; without, it sets the values itself, and other values were set afterwards.",
		How:    "vm.overcommit_memory, vm.panic_on_oom, kernel.panic, kernel.panic_on_oops and the root limits of keys are compared with the profile's list, which has the values of the kubelet's pkg/util/sysctl. Not applicable where no kubelet runs.",
		Remedy: parameterRemedy("vm.overcommit_memory", "1", kubeletParameters...),
	},
	Judge: On3(node.Kubelet.Parts("found"), parameters(kubeletParameters...), node.Kernel.Parts("release"), func(kubelet node.KubeletState, s node.SysctlValues, k node.KernelState, g Given) Finding {
		if f, none := withoutKubelet(kubelet); none {
			return f
		}
		var c compared
		for _, name := range kubeletParameters {
			c.add(name, s, k, g)
		}
		return c.finding()
	}),
}

var networkParametersHardened = Check{
	ID: "network-parameters-hardened", Rev: 2, Topic: Network, Severity: Low,
	Title: "the node ignores redirects and source routes, and uses SYN cookies",
	Refs: parameterRefs(Ref{sp80053, "SC-5"}, Ref{sp80053, "SC-7"}, Ref{cisBottlerocket, "3.1.1"}, Ref{cisBottlerocket, "3.2.1"},
		Ref{cisBottlerocket, "3.2.2"}, Ref{cisBottlerocket, "3.2.3"}),
	Help: Help{
		Why:    "A redirect or a source route that the node obeys leads its traffic through whoever sent it.",
		How:    "Redirects, source routes, SYN cookies and broadcast answers are compared with the profile's list. Forwarding is never asked to be off: a node forwards for its pods. Reverse path filters and the log of impossible addresses are not asked for either, since network plugins route one pod's packets over several interfaces.",
		Remedy: parameterRemedy("net.ipv4.conf.all.accept_redirects", "0", networkParameters...),
	},
	Judge: named(networkParameters),
}

var sysrqRestricted = Check{
	ID: "sysrq-restricted", Rev: 2, Topic: KernelTopic, Severity: Low,
	Title: "the magic SysRq key can neither dump memory nor kill processes",
	Refs:  parameterRefs(Ref{sp80053, "CM-7"}),
	Help: Help{
		Why:    "Whoever reaches the console, also a serial one over the network, can kill every process but the first and print registers and memory without logging in.",
		How:    "kernel.sysrq may be 0 or a mask without 8 (dumps) and 64 (signals to processes); 1 allows everything. Sync, remount, reboot and the console's log level stay allowed. Source: the kernel's Documentation/admin-guide/sysrq.rst.",
		Remedy: parameterRemedy("kernel.sysrq", "16"),
	},
	Judge: On2(parameters("kernel.sysrq"), node.Kernel.Parts("release"), judgeSysrq),
}

func judgeSysrq(s node.SysctlValues, k node.KernelState, _ Given) Finding {
	value, found := s.Values["kernel.sysrq"]
	if !found {
		if why := safeWithout("kernel.sysrq", k.Release); why != "" && slices.Contains(s.Absent, "kernel.sysrq") {
			return pass("absent", why)
		}
		return unsaid("what the magic SysRq key may do")
	}
	mask, err := wholeNumber(value)
	switch {
	case err != nil:
		return unknown("not-compared", fmt.Sprintf("kernel.sysrq = %q is not a number", value))
	case mask == 1:
		return fail("everything", "kernel.sysrq = 1: the magic SysRq key can do everything", "kernel.sysrq = 1")
	}
	var may []string
	if mask&8 != 0 {
		may = append(may, "dump registers and memory (8)")
	}
	if mask&64 != 0 {
		may = append(may, "signal processes (64)")
	}
	item := "kernel.sysrq = " + value
	if len(may) > 0 {
		return fail("too-much", item+": the magic SysRq key can "+strings.Join(may, " and "), item)
	}
	return pass("restricted", item+": the magic SysRq key can neither dump memory nor signal processes", item)
}
