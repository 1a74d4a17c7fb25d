package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var kernelHardeningConfig = Check{
	ID: "kernel-hardening-config", Rev: 1, Topic: KernelTopic, Severity: Medium,
	Title: "the kernel was built with the hardening options that its system ships",
	Refs:  []Ref{{sp80053, "SI-16"}, {sp80053, "CM-6"}, {sp80053, "CM-7"}, {iso27001, "8.9"}, {grundschutz, "SYS.1.3.A14"}},
	Help: Help{
		Why: "Read-only kernel code, random addresses, checked copies: no parameter switches these on later. A kernel without them was built by somebody else, or for something else.",
		How: "The build options of the running kernel (/proc/config.gz, or the config file of its release in /usr/lib/modules or /boot) are compared with the profile's list: options of the Kernel Self Protection Project that every published kernel of these systems has. /dev/mem that is not built at all is as good as one that is restricted. Where no file says how the kernel was built the answer is unknown.",
		Remedy: map[string]string{
			"": "Run a kernel that the vendor built: replace the node by one from a released image.",
		},
	},
	Judge: On(node.KernelBuild, judgeKernelBuild),
}

func judgeKernelBuild(b node.KernelConfig, g Given) Finding {
	var c compared
	for _, name := range slices.Sorted(maps.Keys(g.Profile.Kernel.Config)) {
		want, have := g.Profile.Kernel.Config[name], b.Options[name]
		item := fmt.Sprintf("CONFIG_%s is %s, want %s", name, have, want)
		switch {
		case want == "any":
		case have == "":
			c.open = append(c.open, "CONFIG_"+name+" was not read")
		case have == want, have == "absent" && want == "n":
			c.met = append(c.met, item)
		case name == "STRICT_DEVMEM" && off(b.Options["DEVMEM"]), name == "STRICT_MODULE_RWX" && off(b.Options["MODULES"]):
			c.met = append(c.met, item+", and what it restricts is not built")
		default:
			c.bad = append(c.bad, item)
		}
	}
	switch total := len(c.bad) + len(c.open) + len(c.met); {
	case len(c.bad) > 0:
		return fail("built-without", fmt.Sprintf("%s: %d of %d defences are not built into the kernel: %s", b.From, len(c.bad), total, strings.Join(c.bad, "; ")), c.bad...)
	case len(c.open) > 0:
		return unsaid("how its kernel was built")
	case total == 0:
		return notApplicable("nothing-expected", "the profile expects nothing of how the kernel was built")
	}
	return pass("built-with", fmt.Sprintf("%s: all %d defences are built into the kernel", b.From, len(c.met)), c.met...)
}

// off reports whether a build option is not set, or depends on one that is not.
func off(option string) bool { return option == "n" || option == "absent" }

var kexecRestricted = Check{
	ID: "kexec-restricted", Rev: 2, Topic: BootChain, Severity: Medium,
	Title: "root cannot start an unsigned kernel with kexec",
	Refs:  slices.Concat(bootRefs, []Ref{{sp80053, "CM-5"}}),
	Help: Help{
		Why:    "kexec starts another kernel out of the running one, past firmware, Secure Boot and the measured boot. Whoever is root could put any kernel in place of this one, with any command line.",
		How:    "One of these must hold: kernel.kexec_load_disabled is 1; lockdown is on, which takes signed kernels alone; the kernel was built without kexec; or it was built with kexec_file_load(2) alone and demands signatures there. The kernel's own parameter comes first, how it was built last.",
		Remedy: parameterRemedy("kernel.kexec_load_disabled", "1"),
	},
	Judge: withKernelBuild(func(option func(string) string) Judge {
		return On3(parameters("kernel.kexec_load_disabled"), node.Kernel.Parts("release"), node.Boot.Parts("lockdown"), func(s node.SysctlValues, k node.KernelState, b node.BootState, _ Given) Finding {
			return judgeKexec(s, k, b, option)
		})
	}),
}

func judgeKexec(s node.SysctlValues, k node.KernelState, b node.BootState, option func(string) string) Finding {
	const name = "kernel.kexec_load_disabled"
	value, found := s.Values[name]
	locked := b.Lockdown == "integrity" || b.Lockdown == "confidentiality"
	switch why := safeWithout(name, k.Release); {
	case value == "1":
		return pass("disabled", name+" = 1: no further kernel can be loaded until the next boot")
	case !found && slices.Contains(s.Absent, name) && why != "":
		return pass("absent", name+" is absent: "+why)
	case locked:
		return pass("lockdown", "lockdown ("+b.Lockdown+") takes signed kernels alone")
	case value != "0":
		return unsaid("whether kernels may be loaded by kexec")
	}
	kexec, file := option("KEXEC"), option("KEXEC_FILE")
	signed := option("KEXEC_SIG_FORCE") == "y" || option("KEXEC_VERIFY_SIG") == "y"
	switch {
	case kexec == "" || file == "":
		return unsaid("how its kernel was built, which decides what kexec takes")
	case off(kexec) && off(file):
		return pass("not-built", "the kernel was built without kexec")
	case off(kexec) && signed:
		return pass("signed", "the kernel was built to load signed kernels alone")
	case b.Lockdown != "none" && b.Lockdown != "absent":
		return unsaid("whether lockdown restricts kexec")
	}
	return fail("open", name+" = 0 and lockdown is "+b.Lockdown+": root can start any kernel by kexec", name+" = 0")
}

// withKernelBuild makes a judge that may lean on how the kernel was built. Only
// where it does and finds nothing does it matter that this could not be read.
func withKernelBuild(judge func(option func(string) string) Judge) Judge {
	reads := append(judge(func(string) string { return "" }).reads, node.KernelBuild.Name)
	return Judge{reads, func(facts node.Facts, g Given) Finding {
		build, gaps, missing := node.KernelBuild.Of(facts)
		asked := false
		finding := judge(func(name string) string { asked = true; return build.Options[name] }).decide(facts, g)
		switch {
		case !asked || finding.Code != unreadCode:
			return finding
		case missing != nil:
			return withoutFact(missing)
		}
		return withGaps(finding, gaps)
	}}
}
