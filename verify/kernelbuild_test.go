package verify

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func built(options map[string]string, gaps ...node.Gap) node.Facts {
	return withFact(nil, node.KernelBuild, node.KernelConfig{From: "/proc/config.gz", Options: options}, gaps...)
}

func TestKernelHardeningConfig(t *testing.T) {
	p := profiles.Profile{Kernel: profiles.Kernel{Config: map[string]string{"RANDOMIZE_BASE": "y", "STRICT_DEVMEM": "y", "STRICT_MODULE_RWX": "y"}}}
	good := map[string]string{"RANDOMIZE_BASE": "y", "STRICT_DEVMEM": "y", "DEVMEM": "y", "STRICT_MODULE_RWX": "y", "MODULES": "y"}
	change := func(pairs ...string) map[string]string {
		m := maps.Clone(good)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	testJudge(t, kernelHardeningConfig, []judgedRow{
		{name: "all built in", profile: p, facts: built(good), want: "pass built-with"},
		// corpus cos/kconfig-5.10.90: STRICT_DEVMEM and DEVMEM are both not set.
		{name: "COS 93 has no /dev/mem to restrict", profile: p, facts: built(change("STRICT_DEVMEM", "n", "DEVMEM", "n")), want: "pass built-with"},
		{name: "a kernel without modules", profile: p, facts: built(change("STRICT_MODULE_RWX", "absent", "MODULES", "n")), want: "pass built-with"},
		{name: "the kernel lies at a known address", profile: p, facts: built(change("RANDOMIZE_BASE", "n")), want: "fail built-without", items: []string{"CONFIG_RANDOMIZE_BASE is n, want y"}},
		{name: "all of /dev/mem", profile: p, facts: built(change("STRICT_DEVMEM", "n")), want: "fail built-without"},
		{name: "an option that this kernel does not know", profile: p, facts: built(change("RANDOMIZE_BASE", "absent")), want: "fail built-without"},
		{name: "shipped otherwise", profile: profiles.Profile{Kernel: profiles.Kernel{Config: map[string]string{"RANDOMIZE_BASE": "any"}}}, facts: built(change("RANDOMIZE_BASE", "n")), want: "not-applicable nothing-expected"},
		{name: "nothing expected", facts: built(good), want: "not-applicable nothing-expected"},
		{name: "an option that was not read", profile: p, facts: built(nil), want: "unknown unread"},
		{name: "no file says so", profile: p, facts: lacking(nil, node.KernelBuild, node.Absent, "reading /boot/config-6.6.95: no such file"), want: "unknown fact-absent"},
		{name: "gap", profile: p, facts: built(good, deniedGap), want: "unknown gap-denied"},
	})
}

// TestEveryBuildOptionIsJudged: a source reads the options, and a capture keeps
// them, that some finding rests on, and no judge asks for another.
func TestEveryBuildOptionIsJudged(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	findings := func(options map[string]string) []Finding {
		list := []Finding{judgeKexec(node.SysctlValues{Values: map[string]string{"kernel.kexec_load_disabled": "0"}}, node.KernelState{}, node.BootState{Lockdown: "none"},
			func(name string) string {
				if !slices.Contains(node.KernelOptions, name) {
					t.Errorf("kexec is judged by %s, which no source reads", name)
				}
				return options[name]
			})}
		for _, p := range all {
			list = append(list, judgeKernelBuild(node.KernelConfig{Options: options}, Given{Profile: p}))
		}
		return list
	}
	// Kernels with all of the options, with none, and with kexec_file_load(2) alone.
	for _, name := range node.KernelOptions {
		matters := false
		for _, base := range []struct{ all, kexecFile string }{{"y", "y"}, {"n", "n"}, {"n", "y"}} {
			options := map[string]string{}
			for _, n := range node.KernelOptions {
				options[n] = base.all
			}
			options["KEXEC_FILE"] = base.kexecFile
			before := findings(options)
			options[name] = map[string]string{"y": "n", "n": "y"}[options[name]]
			matters = matters || !cmp.Equal(before, findings(options))
		}
		if !matters {
			t.Errorf("%s is read, and no finding rests on it", name)
		}
	}
}

func TestKexec(t *testing.T) {
	with := func(disabled, lockdown string, build map[string]string) node.Facts {
		f := tuned(map[string]string{"kernel.kexec_load_disabled": disabled})
		if disabled == "absent" {
			f = tuned(nil, "kernel.kexec_load_disabled")
		}
		f = withFact(f, node.Boot, node.BootState{Lockdown: lockdown})
		if build != nil {
			f = withFact(f, node.KernelBuild, node.KernelConfig{From: "/proc/config.gz", Options: build})
		}
		return f
	}
	open := map[string]string{"KEXEC": "y", "KEXEC_FILE": "y", "KEXEC_SIG_FORCE": "n", "KEXEC_VERIFY_SIG": "absent"}
	signed := map[string]string{"KEXEC": "n", "KEXEC_FILE": "y", "KEXEC_SIG_FORCE": "y", "KEXEC_VERIFY_SIG": "absent"}
	none := map[string]string{"KEXEC": "n", "KEXEC_FILE": "absent", "KEXEC_SIG_FORCE": "absent", "KEXEC_VERIFY_SIG": "absent"}
	// COS: KEXEC_FILE without a signature check.
	cos := map[string]string{"KEXEC": "n", "KEXEC_FILE": "y", "KEXEC_SIG_FORCE": "n", "KEXEC_VERIFY_SIG": "absent"}
	testJudge(t, kexecRestricted, []judgedRow{
		{name: "switched off, however it was built", facts: with("1", "none", nil), want: "pass disabled"},
		{name: "a kernel that has no such thing", facts: with("absent", "none", nil), want: "pass absent"},
		{name: "lockdown", facts: with("0", "integrity", nil), want: "pass lockdown"},
		{name: "built without", facts: with("0", "none", none), want: "pass not-built"},
		{name: "built for signed kernels alone", facts: with("0", "none", signed), want: "pass signed"},
		{name: "Flatcar without Secure Boot", facts: with("0", "none", open), want: "fail open", items: []string{"kernel.kexec_load_disabled = 0"}},
		{name: "COS", facts: with("0", "absent", cos), want: "fail open"},
		{name: "lockdown not read", facts: with("0", "", open), want: "unknown unread"},
		{name: "not read", facts: withFact(tuned(nil), node.Boot, node.BootState{Lockdown: "none"}), want: "unknown unread"},
		{name: "how it was built is not known and would decide", facts: with("0", "none", nil), want: "unknown fact-not-recorded"},
		{name: "the file that says how it was built may not be read", facts: lacking(with("0", "none", nil), node.KernelBuild, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(with("1", "none", nil), node.Boot, node.BootState{Lockdown: "none"}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestMemoryLayout(t *testing.T) {
	p := profiles.Profile{Sysctls: map[string]string{"kernel.randomize_va_space": "== 2"}}
	with := func(space, nx string, gaps ...node.Gap) node.Facts {
		return withFact(tuned(map[string]string{"kernel.randomize_va_space": space}), node.Processor, node.ProcessorState{NX: nx}, gaps...)
	}
	testJudge(t, memoryLayoutRandomised, []judgedRow{
		{name: "x86", profile: p, facts: with("2", "on"), want: "pass strict"},
		{name: "arm64", profile: p, facts: with("2", "built-in"), want: "pass strict"},
		{name: "half of it", profile: p, facts: with("1", "on"), want: "fail too-lax", items: []string{"kernel.randomize_va_space = 1, want == 2"}},
		{name: "data can be executed", profile: p, facts: with("2", "off"), want: "fail too-lax"},
		{name: "flags not read", profile: p, facts: with("2", ""), want: "unknown unread"},
		{name: "fact missing", profile: p, facts: lacking(with("2", "on"), node.Processor, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: with("2", "on", deniedGap), want: "unknown gap-denied"},
	})
}

func TestMitigations(t *testing.T) {
	with := func(lines ...string) node.Facts {
		m := map[string]string{}
		for i := 0; i < len(lines); i += 2 {
			m[lines[i]] = lines[i+1]
		}
		return withFact(nil, node.Processor, node.ProcessorState{Vulnerabilities: m})
	}
	testJudge(t, cpuMitigationsOn, []judgedRow{
		// corpus fcos/cpu-vulnerabilities-40-nosmt, whose lines lscpu prints with a semicolon for the colon
		{name: "Fedora CoreOS 40", facts: with("itlb_multihit", "KVM: Mitigation: VMX disabled", "l1tf", "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT disabled",
			"spectre_v2", "Mitigation: Retpolines; IBPB: conditional; IBRS_FW; RSB filling; PBRSB-eIBRS: Not affected; BHI: Not affected", "srbds", "Not affected"), want: "pass mitigated"},
		{name: "guests of KVM alone", facts: with("itlb_multihit", "KVM: Vulnerable"), want: "pass mitigated"},
		{name: "no virtualization in the processor", facts: with("itlb_multihit", "Processor vulnerable"), want: "pass mitigated"},
		{name: "threads share a core behind a mitigation", facts: with("mds", "Mitigation: Clear CPU buffers; SMT vulnerable"), want: "pass mitigated"},
		{name: "plainly", facts: with("retbleed", "Vulnerable"), want: "fail vulnerable", items: []string{"retbleed: Vulnerable"}},
		{name: "a hypervisor that passes no microcode on", facts: with("tsx_async_abort", "Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown"), want: "fail vulnerable"},
		{name: "one part of a mitigation", facts: with("spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; RSB filling; PBRSB-eIBRS: SW sequence; BHI: Vulnerable"), want: "fail vulnerable"},
		{name: "one part of a mitigation, parted by commas up to 6.8", facts: with("spectre_v2", "Mitigation: Enhanced IBRS, IBPB: conditional, RSB filling, PBRSB-eIBRS: Vulnerable"), want: "fail vulnerable"},
		{name: "a mitigation whose parts are parted by commas", facts: with("spectre_v2", "Mitigation: Retpolines, IBPB: conditional, IBRS_FW, STIBP: disabled, RSB filling, PBRSB-eIBRS: Not affected"), want: "pass mitigated"},
		{name: "a module built without retpolines", facts: with("spectre_v2", "Mitigation: Retpolines; IBPB: conditional; RSB filling; PBRSB-eIBRS: Not affected; BHI: Not affected - vulnerable module loaded"), want: "fail vulnerable"},
		{name: "arm64 without an answer to branch history injection", facts: with("spectre_v2", "Mitigation: CSV2, but not BHB"), want: "fail vulnerable"},
		{name: "arm64 with one", facts: with("spectre_v2", "Mitigation: CSV2, BHB"), want: "pass mitigated"},
		{name: "guests alone are guarded", facts: with("indirect_target_selection", "Mitigation: Vulnerable, KVM: Not affected"), want: "fail vulnerable"},
		{name: "the kernel does not know", facts: with("mmio_stale_data", "Unknown: No mitigations"), want: "unknown kernel-unsure"},
		{name: "words of a later kernel", facts: with("new", "Perhaps"), want: "unknown kernel-unsure"},
		{name: "nothing read", facts: withFact(nil, node.Processor, node.ProcessorState{NX: "on"}), want: "unknown unread"},
		{name: "fact missing", facts: lacking(nil, node.Processor, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(nil, node.Processor, node.ProcessorState{Vulnerabilities: map[string]string{"mds": "Not affected"}}, deniedGap), want: "unknown gap-denied"},
	})
}

func TestTPM(t *testing.T) {
	with := func(version, log string, gaps ...node.Gap) node.Facts {
		return withFact(nil, node.TPM, node.TPMState{Version: version, EventLog: log}, gaps...)
	}
	testJudge(t, tpmPresent, []judgedRow{
		{name: "TPM 2.0 with a log", facts: with("2", "present"), want: "pass present"},
		{name: "none", facts: with("absent", "absent"), want: "fail no-tpm"},
		{name: "TPM 1.2", facts: with("1", "present"), want: "fail version-1"},
		{name: "no log", facts: with("2", "absent"), want: "fail no-log"},
		{name: "log not looked for", facts: with("2", ""), want: "unknown unread"},
		{name: "nothing read", facts: with("", ""), want: "unknown unread"},
		{name: "fact missing", facts: lacking(nil, node.TPM, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: with("2", "present", deniedGap), want: "unknown gap-denied"},
	})
}
