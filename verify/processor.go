package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var memoryLayoutRandomised = Check{
	ID: "memory-layout-randomised", Rev: 2, Topic: KernelTopic, Severity: High,
	Title: "address space layout randomisation (ASLR) is on, and the processor does not execute data (NX)",
	Refs:  parameterRefs(Ref{sp80053, "SI-16"}, Ref{cisBottlerocket, "1.4.2"}, Ref{cisCOS, "aslr-enabled"}, Ref{grundschutz, "SYS.1.3.A4"}),
	Help: Help{
		Why:    "With every library at a known address and data that can be run, one overrun buffer is a program of the attacker's choice.",
		How:    "kernel.randomize_va_space is compared with the profile's list, and every processor must have the flag nx in /proc/cpuinfo; on arm64 each page says whether it may be run, and there is no flag.",
		Remedy: parameterRemedy("kernel.randomize_va_space", "2"),
	},
	Judge: On3(parameters(layoutParameters...), node.Kernel.Parts("release"), node.Processor.Parts("nx"), func(s node.SysctlValues, k node.KernelState, p node.ProcessorState, g Given) Finding {
		var c compared
		for _, name := range layoutParameters {
			c.add(name, s, k, g)
		}
		switch p.NX {
		case "on", "built-in":
			c.met = append(c.met, "no execution of data is "+p.NX)
		case "off":
			c.bad = append(c.bad, "a processor has no flag nx: data can be executed")
		default:
			return unsaid("whether its processors execute data")
		}
		return c.finding()
	}),
}

var cpuMitigationsOn = Check{
	ID: "cpu-mitigations-on", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "the kernel reports no processor vulnerability without a mitigation",
	Refs:  []Ref{{sp80053, "SI-16"}, {sp80053, "SC-39"}, {sp80053, "SC-4"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "Spectre, Meltdown and what followed let a container read the memory of its neighbours and of the kernel. The mitigations are partly in the kernel, partly in microcode, partly in the hypervisor; the kernel says which of them hold here.",
		How: "Every file of /sys/devices/system/cpu/vulnerabilities is read. A line that says Vulnerable, or names a part that is, fails. What concerns guests of KVM alone (\"KVM: Vulnerable\") does not, and neither does \"SMT vulnerable\" behind a mitigation. Where the kernel itself does not know, the answer is unknown.",
		Remedy: map[string]string{
			"talos":         "Take mitigations=off out of the schematic's kernel arguments, add the extension intel-ucode or amd-ucode, and move virtual machines to a type whose hypervisor passes the microcode's features on.",
			"flatcar":       "Take mitigations=off out of /oem/grub.cfg, update to a release with newer microcode, and move virtual machines to another type.",
			"bottlerocket":  "Update to a release with newer microcode, or move to an instance type whose hypervisor passes the fixes on.",
			"fedora-coreos": "rpm-ostree kargs --delete-if-present=mitigations=off, on OpenShift out of spec.kernelArguments of the MachineConfig; update for newer microcode, and reboot.",
			"microos":       "Take mitigations=off out of the boot loader's configuration (/etc/default/grub and transactional-update grub.cfg, or /etc/kernel/cmdline and sdbootutil), install ucode-intel or ucode-amd by transactional-update, and reboot.",
			"cos":           "Recreate the node from a newer image, on a machine type whose platform is not affected.",
			"":              "Remove mitigations=off from the kernel command line, update microcode and firmware, and reboot.",
		},
	},
	Judge: On(node.Processor.Parts("vulnerabilities"), judgeMitigations),
}

func judgeMitigations(p node.ProcessorState, _ Given) Finding {
	if len(p.Vulnerabilities) == 0 {
		return unsaid("which flaws its processors have")
	}
	var bad, open []string
	guarded := 0
	for _, name := range slices.Sorted(maps.Keys(p.Vulnerabilities)) {
		line := p.Vulnerabilities[name]
		switch state := flawState(line); state {
		case Fail:
			bad = append(bad, name+": "+line)
		case Unknown:
			open = append(open, name+": "+line)
		default:
			guarded++
		}
	}
	switch {
	case len(bad) > 0:
		return fail("vulnerable", fmt.Sprintf("the kernel reports the processors as vulnerable to %d of %d flaws: %s", len(bad), len(p.Vulnerabilities), strings.Join(bad, "; ")), bad...)
	case len(open) > 0:
		return unknown("kernel-unsure", fmt.Sprintf("the kernel does not know about %d of %d flaws: %s", len(open), len(p.Vulnerabilities), strings.Join(open, "; ")), open...)
	}
	return pass("mitigated", fmt.Sprintf("of %d flaws that the kernel knows its processors have none, or it does something about them", guarded))
}

// flawState judges one line of /sys/devices/system/cpu/vulnerabilities: "Not
// affected", "Mitigation: …", "Vulnerable: …", "Unknown: …", each with further
// parts behind semicolons, of spectre_v2 before 6.9 behind commas. That a module was
// built without a retpoline, that arm64 has no answer to branch history injection,
// and that guests alone are guarded (its_strings), stand within a mitigation. Sources: the kernel's
// arch/x86/kernel/cpu/bugs.c, arch/arm64/kernel/proton-pack.c.
func flawState(line string) Verdict {
	state := Unknown
	for i, part := range strings.FieldsFunc(line, func(r rune) bool { return r == ';' || r == ',' }) {
		part = strings.TrimSpace(part)
		what, of := part, ""
		if before, after, ok := strings.Cut(part, ": "); ok && !strings.HasPrefix(part, "Mitigation") && !strings.HasPrefix(part, "Vulnerable") && !strings.HasPrefix(part, "Unknown") {
			of, what = before, after
		}
		switch {
		case of == "KVM":
			if i == 0 {
				state = Pass // guests alone
			}
		case strings.HasPrefix(what, "Vulnerable"), what == "Mitigation: Vulnerable", strings.HasSuffix(what, "- vulnerable module loaded"), what == "but not BHB":
			return Fail
		case i == 0 && (strings.HasPrefix(what, "Mitigation") || what == "Not affected" || what == "Processor vulnerable"):
			state = Pass
		}
	}
	return state
}
