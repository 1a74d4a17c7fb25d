package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var modulesSigned = Check{
	ID:       "modules-signed",
	Rev:      1,
	Title:    "the kernel loads signed modules only",
	Topic:    BootChain,
	Severity: High,
	Refs:     slices.Concat(bootRefs, []Ref{{sp80053, "CM-14"}, {sp80053, "SI-7(15)"}, {osSRG, "SRG-OS-000366"}}),
	Help: Help{
		Why: "A kernel module is kernel code. If unsigned ones are accepted, root can put anything into the kernel, and no file on disk shows it.",
		How: "The kernel's parameter module.sig_enforce must be on, or the kernel locked down, which refuses unsigned modules as well (kernel_lockdown(7)). What the command line asks for is not believed. A module that was loaded without a signature fails the check whatever is enforced now.",
		Remedy: commandLineRemedy("Add module.sig_enforce=1 to", "--append=module.sig_enforce=1", map[string]string{
			"talos":        "module.sig_enforce=1 is among the default arguments since Talos 1.12: remove what takes it away from the Image Factory schematic, or add it to customization.extraKernelArgs, and upgrade to its installer.",
			"bottlerocket": "Lockdown enforces it: apiclient set settings.kernel.lockdown=integrity.",
			"cos":          "The stock command line has module.sig_enforce=1: recreate the machine from an unmodified image.",
		}),
	},
	Judge: On2(node.Boot.Parts("lockdown"), node.Kernel.Parts("sigEnforce", "modules"), judgeModulesSigned),
}

func judgeModulesSigned(b node.BootState, k node.KernelState, g Given) Finding {
	var unsigned []string
	for _, m := range k.Modules {
		if strings.Contains(m.Taint, "E") {
			unsigned = append(unsigned, m.Name)
		}
	}
	locked := b.Lockdown == "integrity" || b.Lockdown == "confidentiality"
	switch {
	case len(unsigned) > 0:
		return fail("unsigned-loaded", fmt.Sprintf("modules without a valid signature are loaded: %s", strings.Join(unsigned, ", ")), unsigned...)
	case k.SigEnforce == "on":
		return pass("sig-enforce", "module.sig_enforce is on: the kernel refuses modules without a valid signature")
	case locked && k.SigEnforce == "off":
		return pass("lockdown", "lockdown ("+b.Lockdown+") refuses modules without a valid signature")
	case k.SigEnforce != "off" && k.SigEnforce != "absent":
		return unsaid("whether module signatures are enforced")
	case k.SigEnforce == "off" && b.Lockdown != "none" && b.Lockdown != "absent":
		return unsaid("whether lockdown enforces module signatures")
	case k.SigEnforce == "absent" && len(k.Modules) == 0:
		return unknown("no-modules", "this kernel has no module signatures and no module is loaded; whether it can load one is not known")
	case g.Profile.Boot.SigEnforce == "":
		return notApplicable("nothing-expected", "the profile expects nothing of module signatures, which are not enforced")
	case k.SigEnforce == "absent":
		return fail("absent", "this kernel has no module signatures: root can load any code into it")
	}
	reason := "module.sig_enforce is off and lockdown is " + b.Lockdown + ": root can load any code into the kernel"
	if b.Lockdown == "absent" {
		reason = "module.sig_enforce is off and there is no lockdown: root can load any code into the kernel"
	}
	return fail("not-enforced", reason)
}

var kernelUntainted = Check{
	ID:       "kernel-untainted",
	Rev:      1,
	Title:    "nothing has tainted the kernel beyond what the profile allows",
	Topic:    BootChain,
	Severity: High,
	Refs:     slices.Concat(bootRefs, []Ref{{sp80053, "SI-7"}, {sp80053, "CM-7(8)"}}),
	Help: Help{
		Why: "The kernel marks itself when it has loaded code from elsewhere, when a module was forced in or out, or when it has already failed. After that neither its makers nor this report can say what it does.",
		How: "Every bit of /proc/sys/kernel/tainted must be one that the profile allows, by its letter (the kernel's Documentation/admin-guide/tainted-kernels.rst). Unsigned (E), force-loaded (F) and force-unloaded (R) modules are never allowed. Bits stay until the next boot.",
		Remedy: map[string]string{
			"talos": "Leave out the system extension that brings the module, or build the image with the Image Factory so that it is signed; then reboot. Bits O and PO belong to official extensions such as drbd, zfs and nvidia.",
			"":      "Find the module by its letters in /proc/modules, remove what loads it and reboot. After an oops or a warning (D, W) read the kernel log, then reboot.",
		},
	},
	Judge: On(node.Kernel.Parts("taints", "modules"), judgeTaints),
}

// neverAllowed are the taints that no profile can allow: unsigned, force-loaded
// and force-unloaded modules.
var neverAllowed = []string{"E", "F", "R"}

func judgeTaints(k node.KernelState, g Given) Finding {
	if k.Taints == nil {
		return unsaid("what taints its kernel")
	}
	var bad, allowed []string
	for _, t := range k.Taints {
		item := t.Letter + ": " + t.Name
		if by := taintedBy(k.Modules, t.Letter); len(by) > 0 {
			item += " (" + strings.Join(by, ", ") + ")"
		}
		if slices.Contains(g.Profile.Boot.Taints, t.Letter) && !slices.Contains(neverAllowed, t.Letter) {
			allowed = append(allowed, item)
		} else {
			bad = append(bad, item)
		}
	}
	switch {
	case len(bad) > 0:
		return fail("tainted", "the kernel is tainted: "+strings.Join(bad, "; "), bad...)
	case len(allowed) > 0:
		return pass("allowed", "the kernel is tainted only as the profile allows: "+strings.Join(allowed, "; "), allowed...)
	}
	return pass("clean", "the kernel is not tainted")
}

// taintedBy names the loaded modules that carry a taint letter.
func taintedBy(modules []node.Module, letter string) []string {
	var names []string
	for _, m := range modules {
		if strings.Contains(m.Taint, letter) {
			names = append(names, m.Name)
		}
	}
	return names
}
