package verify

import (
	"fmt"
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

var bootChecks = []Check{
	secureBootOn, kernelLockdown, modulesSigned, kernelUntainted, cmdlineSafe, cmdlineComplete, macEnforcing,
	kexecRestricted, modulesFromImage, tpmPresent,
}

// bootRefs is what every check of the boot chain is evidence for.
var bootRefs = []Ref{
	{sp80053, "SI-7(9)"}, {sp80053, "SI-7(10)"}, {sp80053, "SC-34"},
	{sp800190, "4.6"},
	{grundschutz, "SYS.1.1.A36"}, {grundschutz, "APP.4.4.A17"},
	{iso27001, "8.9"},
	{dora, "Art. 11(2)(b)"},
}

var secureBootOn = Check{
	ID:       "secure-boot-on",
	Rev:      1,
	Title:    "Secure Boot is on and the firmware is not in setup mode",
	Topic:    BootChain,
	Severity: Medium,
	Refs:     bootRefs,
	Help: Help{
		Why: "Without Secure Boot whoever can write the disk once chooses the kernel, its command line and with them every hash that the image is checked against. In setup mode anybody may enrol keys, so a signature proves nothing.",
		How: "The firmware's own variables SecureBoot and SetupMode are read: SecureBoot must be on and SetupMode off. A machine that was not started by UEFI has no Secure Boot to switch on: not applicable, unless the profile requires it.",
		Remedy: map[string]string{
			"talos":         "Secure Boot needs a fresh installation from the Secure Boot image of the Image Factory (metal-ARCH-secureboot.iso; install image factory.talos.dev/metal-installer-secureboot/SCHEMATIC:VERSION). Put the firmware into setup mode, boot that image and let it enrol its keys.",
			"flatcar":       "Switch Secure Boot on in the firmware or the machine type, on a release that has signed boot files (2025 and later). Then /oem/grub.cfg is no longer obeyed: move what it adds to the command line elsewhere first.",
			"bottlerocket":  "Use a variant that supports it (aws-k8s-1.28, aws-ecs-2 and later) on an instance type that boots by UEFI; Xen-based types start by BIOS.",
			"fedora-coreos": "The stock image is signed: switch Secure Boot on in the firmware or the machine type and check with mokutil --sb-state. Run bootupctl update first on hosts that were installed long ago.",
			"microos":       "The stock image is signed: switch Secure Boot on in the firmware or the machine type and check with mokutil --sb-state.",
			"cos":           "GKE: gcloud container node-pools create NAME --cluster CLUSTER --shielded-secure-boot. Compute Engine: stop the machine, then gcloud compute instances update NAME --shielded-secure-boot.",
			"":              "Switch Secure Boot on in the firmware or the machine type and check with mokutil --sb-state.",
		},
	},
	Judge: On(node.Boot.Parts("firmware", "secureBoot", "setupMode"), judgeSecureBoot),
}

func judgeSecureBoot(b node.BootState, g Given) Finding {
	switch {
	case b.Firmware == "other" && g.Profile.Boot.SecureBoot == "required":
		return fail("no-uefi", "the profile requires Secure Boot, and this machine was not started by UEFI firmware, which alone offers it")
	case b.Firmware == "other":
		return notApplicable("no-uefi", "this machine was not started by UEFI firmware, which alone offers Secure Boot")
	case b.Firmware != "uefi":
		return unsaid("what firmware started this machine")
	case b.SecureBoot == "off":
		return fail("off", "the firmware says that Secure Boot is off: it starts any boot loader and any kernel")
	case b.SecureBoot == "absent":
		return fail("absent", "the firmware has no variable SecureBoot: it does not offer Secure Boot and starts any boot loader and any kernel")
	case b.SecureBoot != "on":
		return unsaid("whether Secure Boot is on")
	case b.SetupMode == "on":
		return fail("setup-mode", "the firmware is in setup mode: anybody may enrol keys, so its signature checks prove nothing")
	case b.SetupMode != "off":
		return unsaid("whether the firmware is in setup mode")
	}
	return pass("on", "the firmware says that Secure Boot is on and setup mode off")
}

var kernelLockdown = Check{
	ID:       "kernel-lockdown",
	Rev:      1,
	Title:    "the kernel is locked down",
	Topic:    BootChain,
	Severity: High,
	Refs:     slices.Concat(bootRefs, []Ref{{cisBottlerocket, "1.5.2"}}),
	Help: Help{
		Why: "An unlocked kernel lets root change it while it runs: load unsigned modules, write its memory, start another kernel by kexec. Then nothing that the kernel says about the image holds any more. See kernel_lockdown(7).",
		How: "The mode that the kernel says is active must be integrity or confidentiality. Where the profile expects lockdown only under Secure Boot, a machine without Secure Boot is not judged; Secure Boot alone is no proof, since kernels have come up unlocked under it. A system that does not offer lockdown is not judged.",
		Remedy: map[string]string{
			"talos":         "Secure Boot images of Talos 1.5 to 1.13 pass lockdown=confidentiality; 1.14.0 comes up unlocked. Add lockdown=integrity to customization.extraKernelArgs of the Image Factory schematic and upgrade to its installer: talosctl upgrade --image factory.talos.dev/metal-installer-secureboot/SCHEMATIC:VERSION.",
			"flatcar":       "Lockdown follows Secure Boot in kernels since September 2024: switch Secure Boot on. Without it, add set linux_append=\"$linux_append lockdown=integrity\" to /oem/grub.cfg and reboot.",
			"bottlerocket":  "apiclient set settings.kernel.lockdown=integrity. Variants with a driver that is linked at run time (-nvidia) and -dev ship with none.",
			"fedora-coreos": "Switch Secure Boot on; the kernel then locks itself down. Without it: rpm-ostree kargs --append=lockdown=integrity, then systemctl reboot; on OpenShift spec.kernelArguments of a MachineConfig.",
			"microos":       "Switch Secure Boot on; the kernel then locks itself down. Without it, add lockdown=integrity to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run transactional-update grub.cfg and reboot; with systemd-boot to /etc/kernel/cmdline, with sdbootutil update-all-entries.",
			"":              "Switch Secure Boot on, where the distribution ties lockdown to it, or add lockdown=integrity to the kernel command line.",
		},
	},
	Judge: On(node.Boot.Parts("firmware", "secureBoot", "lockdown"), judgeLockdown),
}

func judgeLockdown(b node.BootState, g Given) Finding {
	switch b.Lockdown {
	case "integrity", "confidentiality":
		return pass(b.Lockdown, "the kernel is locked down, mode "+b.Lockdown)
	case "none", "absent":
	default:
		return unsaid("whether the kernel is locked down")
	}
	seen := map[string]string{
		"none":   "lockdown is none: root can change the running kernel",
		"absent": "this kernel does not offer lockdown: root can change it while it runs",
	}[b.Lockdown]
	switch g.Profile.Boot.Lockdown {
	case "required":
		return fail(b.Lockdown, seen)
	case "secure-boot":
		switch {
		case b.SecureBoot == "on":
			return fail(b.Lockdown+"-under-secure-boot", seen+", although Secure Boot is on")
		case b.Firmware == "other" || b.SecureBoot == "off" || b.SecureBoot == "absent":
			return notApplicable("secure-boot-off", "lockdown is expected under Secure Boot only, and Secure Boot is not on; lockdown is "+b.Lockdown)
		}
		return unsaid("whether Secure Boot is on, which decides whether lockdown is expected")
	case "not-offered":
		return notApplicable("not-offered", "this system ships without lockdown; lockdown is "+b.Lockdown)
	case "":
		return notApplicable("nothing-expected", "the profile expects nothing of lockdown, which is "+b.Lockdown)
	}
	return unknown("expectation-unclear", fmt.Sprintf("the profile's expectation of lockdown, %q, is not known", g.Profile.Boot.Lockdown))
}

var macEnforcing = Check{
	ID:       "mac-enforcing",
	Rev:      1,
	Title:    "mandatory access control is enforced",
	Topic:    BootChain,
	Severity: High,
	Refs: []Ref{
		{sp80053, "CM-6"}, {sp80053, "CM-7"},
		{cisBottlerocket, "1.5.1"}, {sleMicroSTIG, "SLEM-05-431015"},
		{grundschutz, "SYS.1.3.A10"}, {iso27001, "8.9"}, {cisControls, "10.5"}, {dora, "Art. 11(2)(b)"},
	},
	Help: Help{
		Why: "SELinux and AppArmor hold a process, also one of root and one that left its container, to what its policy allows. A permissive policy only writes a log.",
		How: "The kernel is asked, never a configuration file: SELinux must be enforcing, or AppArmor enabled, whichever the profile names. Where the system ships SELinux permissive, permissive is not judged, but neither enforced nor permissive is a failure.",
		Remedy: map[string]string{
			"talos":         "Remove selinux=0 from the kernel arguments of the Image Factory schematic. Permissive is the default; enforcing=1 enforces.",
			"flatcar":       "Remove selinux=0 from linux_append in /oem/grub.cfg and reboot. Permissive is the default; SELINUX=enforcing in a copy of /etc/selinux/config enforces.",
			"bottlerocket":  "SELinux cannot be switched off in a Bottlerocket kernel: replace this node and find out what it runs.",
			"fedora-coreos": "rpm-ostree kargs --delete-if-present=enforcing=0 --delete-if-present=selinux=0, set SELINUX=enforcing in /etc/selinux/config, then systemctl reboot.",
			"microos":       "Run transactional-update setup-selinux, set SELINUX=enforcing in /etc/selinux/config and reboot.",
			"cos":           "AppArmor is on in the stock image: recreate the machine from it and remove apparmor=0 from whatever changes its command line.",
			"":              "Set SELINUX=enforcing in /etc/selinux/config, or enable AppArmor, and remove selinux=0, enforcing=0 and apparmor=0 from the kernel command line.",
		},
	},
	Judge: On(node.Boot.Parts("selinux", "appArmor"), judgeMAC),
}

func judgeMAC(b node.BootState, g Given) Finding {
	selinux, apparmor := b.SELinux == "enforcing", b.AppArmor == "enabled"
	seen := fmt.Sprintf("SELinux is %s, AppArmor is %s", orUnread(b.SELinux), orUnread(b.AppArmor))
	want := g.Profile.Boot.MAC
	switch {
	case selinux && want != "apparmor":
		return pass("selinux", "SELinux is enforcing")
	case apparmor && want != "selinux":
		return pass("apparmor", "AppArmor is enabled")
	case want == "selinux-permissive" && b.SELinux == "permissive":
		return notApplicable("permissive", "SELinux is permissive, as this system ships it")
	case b.SELinux == "" && want != "apparmor" || b.AppArmor == "" && want != "selinux":
		return unsaid("whether SELinux or AppArmor is enforced")
	}
	switch want {
	case "selinux":
		if b.SELinux == "permissive" {
			return fail("permissive", "SELinux is permissive: it writes down what its policy forbids and lets it happen")
		}
		return fail("off", "SELinux is expected to be enforcing: "+seen)
	case "apparmor":
		return fail("off", "AppArmor is expected to be enabled: "+seen)
	case "selinux-permissive":
		return fail("off", "neither SELinux nor AppArmor is on: "+seen)
	case "":
		return notApplicable("nothing-expected", "the profile expects no mandatory access control: "+seen)
	}
	return unknown("expectation-unclear", fmt.Sprintf("the profile's expectation of mandatory access control, %q, is not known", want))
}

func orUnread(state string) string {
	if state == "" {
		return "not known"
	}
	return state
}
