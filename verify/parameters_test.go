package verify

import (
	"slices"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// tuned is a node of Linux 6.6 with these kernel parameters.
func tuned(values map[string]string, absent ...string) node.Facts {
	return withFact(running("6.6.95-flatcar"), node.Sysctls, node.SysctlValues{Values: values, Absent: absent})
}

// TestNamedParameters holds every check that names parameters to the same rows:
// as expected, one of them lax, one not read, the fact denied, a gap.
func TestNamedParameters(t *testing.T) {
	for _, tt := range []struct {
		check      Check
		name       string
		want       string
		good, lax  string
		absentGood bool
	}{
		{kernelAddressesHidden, "kernel.kptr_restrict", ">= 1", "2", "0", false},
		{unprivilegedBPFOff, "kernel.unprivileged_bpf_disabled", ">= 1", "2", "0", true},
		{ptraceLimited, "kernel.yama.ptrace_scope", ">= 1", "1", "0", false},
		{linksProtected, "fs.protected_regular", ">= 1", "2", "0", false},
		{userfaultfdRestricted, "vm.unprivileged_userfaultfd", "== 0", "0", "1", true},
		{networkParametersHardened, "net.ipv6.conf.all.accept_redirects", "== 0", "0", "1", true},
		{sysctlsHardened, "vm.mmap_min_addr", ">= 4096", "65536", "0", false},
	} {
		t.Run(tt.check.ID, func(t *testing.T) {
			p := profiles.Profile{Sysctls: map[string]string{tt.name: tt.want, "a.parameter.of.another": "== 1"}}
			if tt.check.ID == sysctlsHardened.ID {
				p.Sysctls = map[string]string{tt.name: tt.want, "kernel.kptr_restrict": ">= 1"} // that one is another check's
			}
			absent := "fail too-lax"
			if tt.absentGood {
				absent = "pass strict"
			}
			item := tt.name + " = " + tt.lax + ", want " + tt.want
			good := map[string]string{tt.name: tt.good}
			testJudge(t, tt.check, []judgedRow{
				{name: "as expected", profile: p, facts: tuned(good), want: "pass strict", items: []string{tt.name + " = " + tt.good + ", want " + tt.want}},
				{name: "lax", profile: p, facts: tuned(map[string]string{tt.name: tt.lax}), want: "fail too-lax", items: []string{item}},
				{name: "absent", profile: p, facts: tuned(nil, tt.name), want: absent},
				{name: "not read", profile: p, facts: tuned(nil), want: "unknown not-compared"},
				{name: "not a number", profile: p, facts: tuned(map[string]string{tt.name: "on"}), want: map[bool]string{true: "fail too-lax", false: "unknown not-compared"}[tt.want[0] == '=']},
				{name: "shipped otherwise", profile: profiles.Profile{Sysctls: map[string]string{tt.name: "any"}}, facts: tuned(map[string]string{tt.name: tt.lax}), want: "not-applicable nothing-expected"},
				{name: "fact missing", profile: p, facts: lacking(tuned(good), node.Sysctls, node.Denied, "permission denied"), want: "unknown fact-denied"},
				{name: "gap", profile: p, facts: withFact(tuned(good), node.Sysctls, node.SysctlValues{Values: good}, deniedGap), want: "unknown gap-denied"},
			})
		})
	}
}

// TestAGapInOneParameter holds a gap to the checks that rest on that parameter: an
// agent without CAP_SYS_ADMIN may read all but net.core.bpf_jit_harden.
func TestAGapInOneParameter(t *testing.T) {
	const hidden = "net.core.bpf_jit_harden"
	p := profiles.Profile{Sysctls: map[string]string{hidden: ">= 1", "kernel.unprivileged_bpf_disabled": ">= 1", "kernel.kptr_restrict": ">= 1", "net.ipv4.tcp_syncookies": "== 1"}}
	read := map[string]string{"kernel.unprivileged_bpf_disabled": "1", "kernel.kptr_restrict": "1", "net.ipv4.tcp_syncookies": "1", "kernel.sysrq": "0"}
	one := withFact(tuned(read), node.Sysctls, node.SysctlValues{Values: read}, deniedGap.In(hidden))
	network := withFact(tuned(read), node.Sysctls, node.SysctlValues{Values: map[string]string{"kernel.kptr_restrict": "1", "kernel.unprivileged_bpf_disabled": "1"}}, deniedGap.In("net"))
	for _, tt := range []struct {
		check       Check
		one, netGap string
	}{
		{unprivilegedBPFOff, "unknown not-compared", "unknown not-compared"},
		{kernelAddressesHidden, "pass strict", "pass strict"},
		{networkParametersHardened, "pass strict", "unknown not-compared"},
		{sysrqRestricted, "pass restricted", "unknown unread"},
	} {
		for _, row := range []struct {
			facts node.Facts
			want  string
		}{{one, tt.one}, {network, tt.netGap}} {
			f := Run([]Check{tt.check}, row.facts, Given{Profile: &p})[0]
			if got := f.Verdict.String() + " " + f.Code; got != row.want {
				t.Errorf("%s: %s, want %s: %s", tt.check.ID, got, row.want, f.Reason)
			}
		}
	}
}

// TestParametersAreNamedOnce holds the lists to the profiles: what one check
// names no other judges, and what a profile expects is read.
func TestParametersAreNamedOnce(t *testing.T) {
	names := namedParameters()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("%s is named twice", name)
		}
		if !slices.Contains(node.SysctlNames, name) {
			t.Errorf("%s is named and not read", name)
		}
	}
}

func TestSysrq(t *testing.T) {
	mask := func(v string) node.Facts { return tuned(map[string]string{"kernel.sysrq": v}) }
	testJudge(t, sysrqRestricted, []judgedRow{
		{name: "off", facts: mask("0"), want: "pass restricted"},
		{name: "systemd's default: sync", facts: mask("16"), want: "pass restricted"},
		{name: "Debian's", facts: mask("438"), want: "pass restricted"},
		{name: "the kernel's default", facts: mask("1"), want: "fail everything", items: []string{"kernel.sysrq = 1"}},
		{name: "signals to processes", facts: mask("80"), want: "fail too-much"},
		{name: "dumps", facts: mask("24"), want: "fail too-much"},
		{name: "a kernel without the key", facts: tuned(nil, "kernel.sysrq"), want: "pass absent"},
		{name: "not read", facts: tuned(nil), want: "unknown unread"},
		{name: "no number", facts: mask("yes"), want: "unknown not-compared"},
		{name: "fact missing", facts: lacking(mask("0"), node.Sysctls, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(mask("0"), node.Sysctls, node.SysctlValues{Values: map[string]string{"kernel.sysrq": "0"}}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestKubeletKernelTunables(t *testing.T) {
	p := profiles.Profile{Sysctls: map[string]string{"vm.overcommit_memory": "== 1", "kernel.panic": "== 10"}}
	with := func(found, overcommit string, gaps ...node.Gap) node.Facts {
		f := tuned(map[string]string{"vm.overcommit_memory": overcommit, "kernel.panic": "10"})
		return withFact(f, node.Kubelet, node.KubeletState{Found: found}, gaps...)
	}
	testJudge(t, kubeletKernelTunables, []judgedRow{
		{name: "as the kubelet sets them", profile: p, facts: with("process", "1"), want: "pass strict"},
		{name: "somebody forbade overcommitting", profile: p, facts: with("process", "2"), want: "fail too-lax", items: []string{"vm.overcommit_memory = 2, want == 1"}},
		{name: "inside k3s", profile: p, facts: with("embedded", "0"), want: "fail too-lax"},
		{name: "no kubelet", profile: p, facts: with("absent", "0"), want: "not-applicable no-kubelet"},
		{name: "whether a kubelet runs is not known", profile: p, facts: with("", "1"), want: "unknown unread"},
		{name: "fact missing", profile: p, facts: lacking(with("process", "1"), node.Sysctls, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: with("process", "1", deniedGap), want: "unknown gap-denied"},
	})
}

func TestCoreDumps(t *testing.T) {
	p := profiles.Profile{Sysctls: map[string]string{"fs.suid_dumpable": "== 0"}}
	usr := []node.Mount{
		{Path: "/", Visible: true, Type: "ext4", Options: []string{"rw"}, Super: []string{"rw"}},
		{Path: "/usr", Visible: true, Type: "btrfs", Options: []string{"ro"}, Super: []string{"ro"}},
	}
	with := func(pattern, dumpable string, gaps ...node.Gap) node.Facts {
		return withFact(tuned(map[string]string{"kernel.core_pattern": pattern, "fs.suid_dumpable": dumpable}), node.Mounts, usr, gaps...)
	}
	const systemd = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h"
	testJudge(t, coreDumpsRestricted, []judgedRow{
		{name: "systemd's handler in the image", profile: p, facts: with(systemd, "0"), want: "pass strict"},
		{name: "through the link /lib of a merged /usr", profile: p, facts: with("|/lib/systemd/systemd-coredump %P", "0"), want: "pass strict"},
		{name: "a file where the process runs", profile: p, facts: with("core", "0"), want: "pass strict"},
		{name: "switched off by a program that does nothing", profile: p, facts: with("|/bin/false", "0"), want: "pass strict"},
		{name: "an escape from a container", profile: p, facts: with("|/var/lib/containerd/x/payload", "0"), want: "fail too-lax",
			items: []string{"kernel.core_pattern starts /var/lib/containerd/x/payload, which is not of the OS image"}},
		{name: "a path that climbs", profile: p, facts: with("|/usr/../var/x", "0"), want: "fail too-lax"},
		{name: "the administrator's folder is no part of the image", profile: p, facts: with("|/usr/local/bin/x", "0"), want: "fail too-lax"},
		{name: "a name without a path", profile: p, facts: with("|sh", "0"), want: "fail too-lax"},
		{name: "an ordinary host has no image", profile: profiles.Profile{Ordinary: true}, facts: with("|/usr/share/apport/apport %p", "2"), want: "pass strict"},
		{name: "privileged programs dump", profile: p, facts: with("core", "1"), want: "fail too-lax", items: []string{"fs.suid_dumpable = 1, want == 0"}},
		{name: "a socket", profile: p, facts: with("@/run/systemd/coredump.socket", "0"), want: "unknown not-compared"},
		{name: "not read", profile: p, facts: withFact(tuned(nil), node.Mounts, usr), want: "unknown unread"},
		{name: "fact missing", profile: p, facts: lacking(with("core", "0"), node.Mounts, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: with("core", "0", deniedGap), want: "unknown gap-denied"},
	})
}
