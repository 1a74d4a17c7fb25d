package node

import (
	"context"
	"strings"
	"unicode/utf8"
)

// SysctlValues are kernel parameters by dotted name.
type SysctlValues struct {
	Values map[string]string `json:"values"` // as the kernel prints them, blanks collapsed
	Absent []string          `json:"absent"` // names that this kernel does not have, sorted
}

// SysctlNames are the kernel parameters that are read, sorted: those that
// profiles judge (a test compares them), and nothing that holds a name, an
// address or a number of this one node. Source: the kernel's
// Documentation/admin-guide/sysctl and Documentation/networking/ip-sysctl.rst.
var SysctlNames = []string{
	"dev.tty.ldisc_autoload",
	"dev.tty.legacy_tiocsti",
	"fs.protected_fifos",
	"fs.protected_hardlinks",
	"fs.protected_regular",
	"fs.protected_symlinks",
	"fs.suid_dumpable",
	"kernel.apparmor_restrict_unprivileged_userns", // Ubuntu
	"kernel.core_pattern",
	"kernel.dmesg_restrict",
	"kernel.io_uring_disabled",
	"kernel.kexec_load_disabled",
	"kernel.keys.root_maxbytes",
	"kernel.keys.root_maxkeys",
	"kernel.kptr_restrict",
	"kernel.loadpin.enforce",
	"kernel.modprobe",
	"kernel.modules_disabled",
	"kernel.oops_limit",
	"kernel.panic",
	"kernel.panic_on_oops",
	"kernel.panic_on_warn",
	"kernel.perf_event_paranoid",
	"kernel.randomize_va_space",
	"kernel.sysrq",
	"kernel.unprivileged_bpf_disabled",
	"kernel.unprivileged_userns_clone", // Debian
	"kernel.warn_limit",
	"kernel.yama.ptrace_scope",
	"net.core.bpf_jit_enable",
	"net.core.bpf_jit_harden",
	"net.ipv4.conf.all.accept_redirects",
	"net.ipv4.conf.all.accept_source_route",
	"net.ipv4.conf.all.forwarding",
	"net.ipv4.conf.all.log_martians",
	"net.ipv4.conf.all.rp_filter",
	"net.ipv4.conf.all.secure_redirects",
	"net.ipv4.conf.all.send_redirects",
	"net.ipv4.conf.default.accept_redirects",
	"net.ipv4.conf.default.accept_source_route",
	"net.ipv4.conf.default.log_martians",
	"net.ipv4.conf.default.rp_filter",
	"net.ipv4.conf.default.secure_redirects",
	"net.ipv4.conf.default.send_redirects",
	"net.ipv4.icmp_echo_ignore_broadcasts",
	"net.ipv4.icmp_ignore_bogus_error_responses",
	"net.ipv4.ip_forward",
	"net.ipv4.tcp_syncookies",
	"net.ipv6.conf.all.accept_ra",
	"net.ipv6.conf.all.accept_redirects",
	"net.ipv6.conf.all.accept_source_route",
	"net.ipv6.conf.all.forwarding",
	"net.ipv6.conf.default.accept_ra",
	"net.ipv6.conf.default.accept_redirects",
	"net.ipv6.conf.default.accept_source_route",
	"user.max_user_namespaces",
	"vm.memfd_noexec",
	"vm.mmap_min_addr",
	"vm.mmap_rnd_bits",
	"vm.mmap_rnd_compat_bits",
	"vm.overcommit_memory",
	"vm.panic_on_oom",
	"vm.unprivileged_userfaultfd",
}

// Sysctls are the kernel parameters of the hardening set. Those below net are
// left out, with a gap, where the program is in another network namespace than
// the machine: the kernel then shows the namespace of the reader. A gap is in the
// part that is called like its parameter, or "net" for all of those.
var Sysctls = Source[SysctlValues]{
	Name:  "sysctls",
	Doc:   "kernel parameters of the hardening set (/proc/sys)",
	Scope: Cohort,
	Every: Scan,
	Read:  readSysctls,
}

func readSysctls(_ context.Context, h *Host) (SysctlValues, []Gap, error) {
	v := SysctlValues{Values: map[string]string{}, Absent: []string{}}
	if _, err := h.Stat("proc/sys/kernel"); err != nil {
		return v, nil, err
	}
	var gaps []Gap

	// net_core_table in the kernel's net/core/sysctl_net_core.c is registered for
	// the first network namespace alone.
	_, net := h.Stat("proc/sys/net/core/dev_weight")
	if IsAbsent(net) {
		net = &Error{"looking at", "/proc/sys/net", Unsupported, "this is seen from another network namespace than the machine's"}
	}
	if net != nil {
		gaps = append(gaps, GapOf("parameters of the network", net).In("net"))
	}
	for _, name := range SysctlNames {
		if net != nil && strings.HasPrefix(name, "net.") {
			continue
		}
		line, err := readLine(h, sysctlPath(name))
		switch {
		case IsAbsent(err):
			v.Absent = append(v.Absent, name)
		case err != nil:
			gaps = append(gaps, GapOf(name, err).In(name))
		case !utf8.ValidString(line):
			gaps = append(gaps, GapOf(name, &Error{"reading", "/" + sysctlPath(name), Malformed, "not UTF-8"}).In(name))
		default:
			v.Values[name] = strings.Join(strings.Fields(line), " ")
		}
	}
	return v, gaps, nil
}

// sysctlPath is the file of a parameter: sysctl(8) writes its slashes as dots.
func sysctlPath(name string) string {
	return "proc/sys/" + strings.ReplaceAll(name, ".", "/")
}
