package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func running(release string, gaps ...node.Gap) node.Facts {
	return withFact(nil, node.Kernel, node.KernelState{Release: release, Taints: []node.Taint{}}, gaps...)
}

func TestKernelBranchKnown(t *testing.T) {
	testJudge(t, kernelBranchKnown, []judgedRow{
		{name: "Flatcar", facts: running("6.6.95-flatcar"), want: "pass parsed", items: []string{"6.6"}},
		{name: "Bottlerocket has no suffix", facts: running("6.12.80"), want: "pass parsed", items: []string{"6.12"}},
		{name: "COS", facts: running("6.12.94+"), want: "pass parsed", items: []string{"6.12"}},
		{name: "RHCOS", facts: running("5.14.0-427.68.1.el9_4.x86_64+rt"), want: "pass parsed", items: []string{"5.14"}},
		{name: "a release candidate", facts: running("6.13.0-rc4-default"), want: "pass parsed", items: []string{"6.13"}},
		{name: "a name without a number", facts: running("linux-next"), want: "unknown unparsable", items: []string{"linux-next"}},
		{name: "text that goes on without a sign", facts: running("6.6alpha"), want: "unknown unparsable"},
		{name: "release not read", facts: running(""), want: "unknown unread"},
		{name: "fact missing", facts: noKernel, want: "unknown fact-no-kernel"},
		{name: "gap", facts: running("6.6.95-flatcar", malformedGap), want: "unknown gap-malformed"},
	})
}

func TestKernelPatchedIsNeverFaked(t *testing.T) {
	testJudge(t, kernelPatched, []judgedRow{
		{name: "a new kernel", facts: running("6.18.44-talos"), want: "unknown no-baseline", items: []string{"6.18.44-talos"}},
		{name: "an old kernel", facts: running("3.10.0-862.14.1.el7"), want: "unknown no-baseline"},
		{name: "over a gap the reason stays", facts: running("6.6.95-flatcar", deniedGap), want: "unknown no-baseline"},
		{name: "release not read", facts: running(""), want: "unknown unread"},
		{name: "fact missing", facts: noKernel, want: "unknown fact-no-kernel"},
	})
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string]release{
		"6.6.95-flatcar":           {6, 6, 95, true, "", "-flatcar"},
		"6.1.0-25-amd64":           {6, 1, 0, true, "", "-25-amd64"},
		"6.12":                     {6, 12, 0, false, "", ""},
		"6.13-rc4":                 {6, 13, 0, false, "-rc4", ""},
		"6.13.0-rc4-1.g2-default":  {6, 13, 0, true, "-rc4", "-1.g2-default"},
		"5.14.21-150500.55-rt":     {5, 14, 21, true, "", "-150500.55-rt"},
		"7.1.6-201.fc44.x86_64":    {7, 1, 6, true, "", "-201.fc44.x86_64"},
		"2.6.32.71":                {2, 6, 32, true, "", ".71"},
		"5.10.0-rcfoo":             {5, 10, 0, true, "", "-rcfoo"},
		"4.19.112+":                {4, 19, 112, true, "", "+"},
		"6.4.0-150600.23-default~": {6, 4, 0, true, "", "-150600.23-default~"},
	} {
		got, err := parseRelease(s)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "6", "6.", "v6.6.1", " 6.6.1", "6.6.1 ", "6.6.1\n", "06.6.1", "6.06", "6.6.1x", "6.6.1-é", "999999.1.1", "6..1", "6.6.1-a b", "-6.6"} {
		if got, err := parseRelease(s); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q: got %+v, %v; want an error that quotes it", s, got, err)
		}
	}
}

func FuzzParseRelease(f *testing.F) {
	for _, s := range []string{"6.6.95-flatcar", "6.12", "6.13-rc4", "2.6.32.71", "6.12.94+", "5.14.0-427.68.1.el9_4.x86_64"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRelease(s)
		if err != nil {
			return
		}
		again := r.branch()
		if r.leveled {
			again += fmt.Sprintf(".%d", r.level)
		}
		if again += r.candidate + r.suffix; again != s {
			t.Errorf("%q was taken apart as %+v, which is %q", s, r, again)
		}
	})
}

func TestSysctls(t *testing.T) {
	strict := map[string]string{
		"kernel.kptr_restrict": ">= 1", "kernel.unprivileged_bpf_disabled": ">= 1", "fs.suid_dumpable": "== 0", "kernel.perf_event_paranoid": ">= 2",
	}
	p := profiles.Profile{Sysctls: strict}
	tuned := func(values map[string]string, absent ...string) node.Facts {
		return withFact(running("6.6.95-flatcar"), node.Sysctls, node.SysctlValues{Values: values, Absent: absent})
	}
	good := map[string]string{
		"kernel.kptr_restrict": "2", "kernel.unprivileged_bpf_disabled": "2", "fs.suid_dumpable": "0", "kernel.perf_event_paranoid": "3", "net.ipv4.ip_forward": "1",
	}
	without := func(name string) map[string]string {
		m := map[string]string{}
		for k, v := range good {
			if k != name {
				m[k] = v
			}
		}
		return m
	}
	change := func(name, value string) map[string]string {
		m := without(name)
		m[name] = value
		return m
	}
	one := func(name, want string) profiles.Profile {
		return profiles.Profile{Sysctls: map[string]string{name: want}}
	}
	old := withFact(running("5.1.9-flatcar"), node.Sysctls, node.SysctlValues{Absent: []string{"vm.unprivileged_userfaultfd"}})
	all := Check{ID: "all-parameters", Judge: parametersHold(func(string) bool { return true })}
	testJudge(t, all, []judgedRow{
		{name: "Talos 1.12 as shipped", profile: p, facts: tuned(good), want: "pass strict", items: []string{
			"fs.suid_dumpable = 0, want == 0", "kernel.kptr_restrict = 2, want >= 1", "kernel.perf_event_paranoid = 3, want >= 2", "kernel.unprivileged_bpf_disabled = 2, want >= 1",
		}},
		{name: "kernel addresses for everybody", profile: p, facts: tuned(change("kernel.kptr_restrict", "0")), want: "fail too-lax", items: []string{"kernel.kptr_restrict = 0, want >= 1"}},
		{name: "dumps of setuid programs", profile: p, facts: tuned(change("fs.suid_dumpable", "2")), want: "fail too-lax", items: []string{"fs.suid_dumpable = 2, want == 0"}},
		{name: "a negative value", profile: p, facts: tuned(change("kernel.perf_event_paranoid", "-1")), want: "fail too-lax", items: []string{"kernel.perf_event_paranoid = -1, want >= 2"}},
		{name: "a kernel without eBPF", profile: p, facts: tuned(without("kernel.unprivileged_bpf_disabled"), "kernel.unprivileged_bpf_disabled"), want: "pass strict"},
		{name: "a kernel without Yama leaves ptrace open", profile: one("kernel.yama.ptrace_scope", ">= 1"), facts: tuned(nil, "kernel.yama.ptrace_scope"), want: "fail too-lax", items: []string{"kernel.yama.ptrace_scope is absent, want >= 1"}},
		{name: "COS has no userfaultfd", profile: one("vm.unprivileged_userfaultfd", "== 0"), facts: tuned(nil, "vm.unprivileged_userfaultfd"), want: "pass strict"},
		{name: "before 5.2 userfaultfd was there and its parameter was not", profile: one("vm.unprivileged_userfaultfd", "== 0"), facts: old, want: "fail too-lax"},
		{name: "from a pod's network namespace the parameter is not seen", profile: one("net.core.bpf_jit_harden", ">= 1"), facts: tuned(nil, "net.core.bpf_jit_harden"), want: "unknown not-compared"},
		{name: "a parameter that nobody asked for", profile: p, facts: tuned(without("kernel.kptr_restrict")), want: "unknown not-compared", items: []string{"kernel.kptr_restrict was not read"}},
		{name: "a failure outweighs what was not read", profile: p, facts: tuned(map[string]string{"fs.suid_dumpable": "1"}), want: "fail too-lax", items: []string{"fs.suid_dumpable = 1, want == 0"}},
		{name: "several numbers", profile: one("kernel.printk", ">= 4"), facts: tuned(map[string]string{"kernel.printk": "4 4 1 7"}), want: "unknown not-compared"},
		{name: "text", profile: one("kernel.core_pattern", "== |/bin/false"), facts: tuned(map[string]string{"kernel.core_pattern": "|/bin/false"}), want: "pass strict"},
		{name: "at most", profile: one("user.max_user_namespaces", "<= 0"), facts: tuned(map[string]string{"user.max_user_namespaces": "15000"}), want: "fail too-lax"},
		{name: "an expectation nobody understands", profile: one("kernel.kptr_restrict", "> 0"), facts: tuned(good), want: "unknown not-compared"},
		{name: "an expectation without a value", profile: one("kernel.kptr_restrict", ">="), facts: tuned(good), want: "unknown not-compared"},
		{name: "any value will do", profile: one("kernel.kptr_restrict", "any"), facts: tuned(change("kernel.kptr_restrict", "0")), want: "not-applicable nothing-expected"},
		{name: "nothing expected", facts: tuned(good), want: "not-applicable nothing-expected"},
		{name: "fact missing", profile: p, facts: lacking(tuned(good), node.Sysctls, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: withFact(tuned(good), node.Sysctls, node.SysctlValues{Values: good}, deniedGap), want: "unknown gap-denied"},
		{name: "lax over a gap", profile: p, facts: withFact(tuned(good), node.Sysctls, node.SysctlValues{Values: change("fs.suid_dumpable", "1")}, deniedGap), want: "fail too-lax"},
	})
}

func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		value, want string
		holds       bool
	}{
		{"1", ">= 1", true}, {"0", ">= 1", false}, {"2", "<= 1", false}, {"1", "<= 1", true},
		{"0", "== 0", true}, {"00", "== 0", true}, {"0 0", "== 0", false}, {"32768 60999", "== 32768 60999", true},
		{"4294967296", ">= 1", true},
	} {
		if got, err := holds(tt.value, tt.want); err != nil || got != tt.holds {
			t.Errorf("%q %q: got %t, %v; want %t", tt.value, tt.want, got, err, tt.holds)
		}
	}
	for _, tt := range []struct{ value, want string }{
		{"1", "1"}, {"1", ""}, {"1", ">=1"}, {"1", "=> 1"}, {"1", ">= one"}, {"yes", ">= 1"}, {"", ">= 1"}, {"99999999999999999999", ">= 1"},
	} {
		if got, err := holds(tt.value, tt.want); err == nil || got {
			t.Errorf("%q %q: got %t, %v; want an error", tt.value, tt.want, got, err)
		}
	}
	if diff := cmp.Diff("", safeWithout("kernel.kptr_restrict", "6.6.95")); diff != "" {
		t.Errorf("kptr_restrict: %s", diff)
	}
	if safeWithout("kernel.unprivileged_bpf_disabled", "not a release") != "" {
		t.Error("a release that cannot be parsed proves a feature absent")
	}
}
