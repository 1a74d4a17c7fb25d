package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var noKernel = lacking(nil, node.Kernel, node.NoKernel, "this is a file tree, which has no kernel to ask")

func TestModulesSigned(t *testing.T) {
	facts := func(sig, lockdown string, modules ...node.Module) node.Facts {
		f := booted(node.BootState{Lockdown: lockdown})
		return withFact(f, node.Kernel, node.KernelState{Release: "6.6.95-flatcar", SigEnforce: sig, Modules: modules})
	}
	dmVerity, nvidia, rootkit := node.Module{Name: "dm_verity"}, node.Module{Name: "nvidia", Taint: "POE"}, node.Module{Name: "diamorphine", Taint: "OE"}
	required, byLockdown := expecting(profiles.Boot{SigEnforce: "required"}), expecting(profiles.Boot{SigEnforce: "lockdown"})
	testJudge(t, modulesSigned, []judgedRow{
		{name: "sig_enforce on", profile: required, facts: facts("on", "none", dmVerity), want: "pass sig-enforce"},
		{name: "sig_enforce on, lockdown not read", profile: required, facts: facts("on", "", dmVerity), want: "pass sig-enforce"},
		{name: "lockdown does it", profile: byLockdown, facts: facts("off", "integrity", dmVerity), want: "pass lockdown"},
		{name: "confidentiality does it too", profile: required, facts: facts("off", "confidentiality", dmVerity), want: "pass lockdown"},
		{name: "neither", profile: required, facts: facts("off", "none", dmVerity), want: "fail not-enforced"},
		{name: "lockdown was to do it and is off", profile: byLockdown, facts: facts("off", "none", dmVerity), want: "fail not-enforced"},
		{name: "no lockdown in this kernel", profile: byLockdown, facts: facts("off", "absent", dmVerity), want: "fail not-enforced"},
		{name: "a kernel without signatures", profile: required, facts: facts("absent", "absent", dmVerity), want: "fail absent"},
		{name: "a kernel without signatures and without a module", profile: required, facts: facts("absent", "absent"), want: "unknown no-modules"},
		{name: "unsigned modules slipped in before", profile: required, facts: facts("on", "integrity", dmVerity, nvidia, rootkit), want: "fail unsigned-loaded", items: []string{"nvidia", "diamorphine"}},
		{name: "unsigned where nothing is expected", facts: facts("off", "none", rootkit), want: "fail unsigned-loaded", items: []string{"diamorphine"}},
		{name: "an out-of-tree module that is signed", profile: required, facts: facts("on", "none", node.Module{Name: "drbd", Taint: "O"}), want: "pass sig-enforce"},
		{name: "nothing expected", facts: facts("off", "none", dmVerity), want: "not-applicable nothing-expected"},
		{name: "sig_enforce not read", profile: required, facts: facts("", "none", dmVerity), want: "unknown unread"},
		{name: "sig_enforce not read is no proof although locked down", profile: required, facts: facts("", "integrity", dmVerity), want: "unknown unread"},
		{name: "lockdown not read", profile: byLockdown, facts: facts("off", "", dmVerity), want: "unknown unread"},
		{name: "boot missing", profile: required, facts: lacking(facts("on", "none"), node.Boot, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "kernel missing", profile: required, facts: lacking(facts("on", "none"), node.Kernel, node.NoKernel, "no kernel"), want: "unknown fact-no-kernel"},
		{name: "the list of modules has a gap", profile: required, facts: withFact(facts("on", "none"), node.Kernel, node.KernelState{SigEnforce: "on"}, malformedGap), want: "unknown gap-malformed"},
	})
}

func TestKernelUntainted(t *testing.T) {
	oot := node.Taint{Letter: "O", Name: "out-of-tree module", Bit: 12}
	proprietary := node.Taint{Letter: "P", Name: "proprietary module", Bit: 0}
	unsigned := node.Taint{Letter: "E", Name: "unsigned module", Bit: 13}
	unloaded := node.Taint{Letter: "R", Name: "module unloaded by force", Bit: 3}
	warned := node.Taint{Letter: "W", Name: "warning", Bit: 9}
	strange := node.Taint{Letter: "?", Name: "bit 31, unknown to this program", Bit: 31}
	facts := func(taints ...node.Taint) node.Facts {
		if taints == nil {
			taints = []node.Taint{}
		}
		return withFact(nil, node.Kernel, node.KernelState{Release: "6.6.58-talos", Taints: taints, Modules: []node.Module{
			{Name: "drbd", Taint: "O"}, {Name: "nvidia", Taint: "POE"}, {Name: "xfs"},
		}})
	}
	all := expecting(profiles.Boot{Taints: []string{"O", "P", "E", "F", "R"}})
	testJudge(t, kernelUntainted, []judgedRow{
		{name: "clean", facts: facts(), want: "pass clean", items: []string{}},
		// corpus talos/schematic-weakened-args-taint-1.8.2
		{name: "Talos with drbd", profile: expecting(profiles.Boot{Taints: []string{"O"}}), facts: facts(oot), want: "pass allowed", items: []string{"O: out-of-tree module (drbd, nvidia)"}},
		{name: "nothing allowed", facts: facts(oot), want: "fail tainted", items: []string{"O: out-of-tree module (drbd, nvidia)"}},
		{name: "one allowed, one not", profile: expecting(profiles.Boot{Taints: []string{"O"}}), facts: facts(proprietary, oot), want: "fail tainted", items: []string{"P: proprietary module (nvidia)"}},
		{name: "unsigned is never allowed", profile: all, facts: facts(oot, unsigned), want: "fail tainted", items: []string{"E: unsigned module (nvidia)"}},
		{name: "unloading by force is never allowed", profile: all, facts: facts(unloaded), want: "fail tainted", items: []string{"R: module unloaded by force"}},
		{name: "a warning", facts: facts(warned), want: "fail tainted", items: []string{"W: warning"}},
		{name: "a bit of a later kernel", profile: all, facts: facts(strange), want: "fail tainted", items: []string{"?: bit 31, unknown to this program"}},
		{name: "taint not read", facts: withFact(nil, node.Kernel, node.KernelState{Release: "6.6.58-talos"}), want: "unknown unread"},
		{name: "fact missing", facts: noKernel, want: "unknown fact-no-kernel"},
		{name: "gap", facts: withFact(nil, node.Kernel, node.KernelState{Taints: []node.Taint{}}, malformedGap), want: "unknown gap-malformed"},
	})
}
