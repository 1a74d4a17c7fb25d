package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var sysctlsHardened = Check{
	ID:       "sysctls-hardened",
	Rev:      3,
	Title:    "the other kernel parameters (sysctls) are as strict as the hardening list asks",
	Topic:    KernelTopic,
	Severity: Medium,
	Refs: []Ref{
		{sp80053, "CM-6"}, {sp80053, "CM-7"}, {sp80053, "SI-16"},
		{pciDSS, "2.2.6"}, {cisControls, "10.5"},
		{grundschutz, "SYS.1.3.A4"}, {grundschutz, "SYS.1.3.A17"},
		{iso27001, "8.9"}, {dora, "Art. 11(2)(b)"},
	},
	Help: Help{
		Why: "Each of these parameters takes away something that exploits need, such as a page at address zero that turns a null pointer of the kernel into code of theirs.",
		How: "Every parameter of the list of profile and site overlay is read from /proc/sys, but those that a check of its own names, and compared with what the list asks: at least (>=), at most (<=) or exactly (==). A parameter that this kernel does not have passes only where that proves the feature absent, such as no eBPF; otherwise the protection is missing.",
		Remedy: map[string]string{
			"talos":         "Set it under machine.sysctls of the machine configuration: talosctl patch machineconfig --patch '{\"machine\":{\"sysctls\":{\"NAME\":\"VALUE\"}}}'.",
			"flatcar":       "Write NAME = VALUE to /etc/sysctl.d/90-hardening.conf (storage.files of the Butane configuration) and run sysctl --system.",
			"bottlerocket":  "apiclient apply with [settings.kernel.sysctl] and \"NAME\" = \"VALUE\".",
			"fedora-coreos": "Write NAME = VALUE to /etc/sysctl.d/90-hardening.conf and run sysctl --system. On OpenShift: a file of a MachineConfig.",
			"microos":       "Write NAME = VALUE to /etc/sysctl.d/90-hardening.conf and run sysctl --system.",
			"cos":           "Set it at every boot by cloud-init (bootcmd: sysctl -w NAME=VALUE). GKE: linuxConfig.sysctl of the node system configuration, for the names that it offers.",
			"":              "Write NAME = VALUE to /etc/sysctl.d/90-hardening.conf and run sysctl --system.",
		},
	},
	Judge: parametersHold(func(name string) bool { return !slices.Contains(namedParameters(), name) }),
}

// parameters is the source of kernel parameters for a judge that rests on these
// alone, and that itself says of one that was not read that it is not known.
func parameters(names ...string) node.Source[node.SysctlValues] {
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "net.") }) {
		names = append(slices.Clone(names), "net")
	}
	return node.Sysctls.Parts(names...)
}

// parametersHold makes a judge of those kernel parameters of the profile's list
// whose names are in question.
func parametersHold(asked func(name string) bool) Judge {
	names := slices.DeleteFunc(slices.Clone(node.SysctlNames), func(name string) bool { return !asked(name) })
	return On2(parameters(names...), node.Kernel.Parts("release"), func(s node.SysctlValues, k node.KernelState, g Given) Finding {
		var c compared
		for _, name := range slices.Sorted(maps.Keys(g.Profile.Sysctls)) {
			if asked(name) {
				c.add(name, s, k, g)
			}
		}
		return c.finding()
	})
}

// compared are kernel parameters by how they stand to what is expected of them.
type compared struct{ bad, open, met []string }

// add compares one parameter with what the profile expects of it.
func (c *compared) add(name string, s node.SysctlValues, k node.KernelState, g Given) {
	want, expected := g.Profile.Sysctls[name]
	if !expected || want == "any" {
		return
	}
	value, found := s.Values[name]
	if !found {
		switch why := safeWithout(name, k.Release); {
		case !slices.Contains(s.Absent, name):
			c.open = append(c.open, name+" was not read")
		case name == "net.core.bpf_jit_harden":
			// net/core/sysctl_net_core.c shows it in the initial network namespace only.
			c.open = append(c.open, name+" is absent: the kernel has no eBPF compiler, or the reader was outside the host's network namespace")
		case strings.HasPrefix(name, "net.ipv6."):
			// Documentation/networking/ipv6.rst: nothing of it is there under ipv6.disable=1.
			c.met = append(c.met, name+" is absent: the kernel speaks no IPv6")
		case why != "":
			c.met = append(c.met, name+" is absent: "+why)
		default:
			c.bad = append(c.bad, name+" is absent, want "+want)
		}
		return
	}
	item := fmt.Sprintf("%s = %s, want %s", name, value, want)
	switch ok, err := holds(value, want); {
	case err != nil:
		c.open = append(c.open, item+": "+err.Error())
	case ok:
		c.met = append(c.met, item)
	default:
		c.bad = append(c.bad, item)
	}
}

func (c *compared) finding() Finding {
	switch total := len(c.bad) + len(c.open) + len(c.met); {
	case len(c.bad) > 0:
		return fail("too-lax", fmt.Sprintf("%d of %d kernel parameters are laxer than the hardening list asks: %s", len(c.bad), total, strings.Join(c.bad, "; ")), c.bad...)
	case len(c.open) > 0:
		return unknown("not-compared", fmt.Sprintf("%d of %d kernel parameters could not be compared: %s", len(c.open), total, strings.Join(c.open, "; ")), c.open...)
	case total == 0:
		return notApplicable("nothing-expected", "the profile expects nothing of these kernel parameters")
	}
	return pass("strict", fmt.Sprintf("all %d kernel parameters are as strict as the hardening list asks: %s", len(c.met), strings.Join(c.met, "; ")), c.met...)
}

// holds compares the value of a parameter with an expectation of a profile:
// ">= N" and "<= N" on whole numbers, "== X" on numbers or text.
func holds(value, want string) (bool, error) {
	op, x, _ := strings.Cut(want, " ")
	x = strings.TrimSpace(x)
	if x == "" || !slices.Contains([]string{"==", ">=", "<="}, op) {
		return false, fmt.Errorf("the expectation %q is not one of == X, >= N, <= N, any", want)
	}
	have, haveErr := strconv.ParseInt(value, 10, 64)
	limit, limitErr := strconv.ParseInt(x, 10, 64)
	if op == "==" {
		return value == x || haveErr == nil && limitErr == nil && have == limit, nil
	}
	if haveErr != nil || limitErr != nil {
		return false, fmt.Errorf("%q and %q cannot be compared as whole numbers", value, x)
	}
	if op == ">=" {
		return have >= limit, nil
	}
	return have <= limit, nil
}

// featureless are parameters whose absence proves that the kernel was built
// without what they restrict, from the kernel that brought them on. Source: the
// kernel's Documentation/admin-guide/sysctl and the Kconfig options in why.
// Others, such as kernel.yama.ptrace_scope, leave the way open when absent.
var featureless = map[string]struct {
	major, minor int
	why          string
}{
	"kernel.unprivileged_bpf_disabled": {4, 4, "the kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"},
	"user.max_user_namespaces":         {4, 9, "the kernel has no user namespaces (CONFIG_USER_NS)"},
	"vm.unprivileged_userfaultfd":      {5, 2, "the kernel has no userfaultfd(2) (CONFIG_USERFAULTFD)"},
	"kernel.io_uring_disabled":         {6, 6, "the kernel has no io_uring (CONFIG_IO_URING)"},
	"kernel.kexec_load_disabled":       {3, 14, "the kernel cannot start another one (CONFIG_KEXEC_CORE)"},
	"kernel.modules_disabled":          {2, 6, "the kernel has no loadable modules (CONFIG_MODULES)"},
	"kernel.perf_event_paranoid":       {2, 6, "the kernel has no performance events (CONFIG_PERF_EVENTS)"},
	"kernel.sysrq":                     {2, 6, "the kernel has no magic SysRq key (CONFIG_MAGIC_SYSRQ)"},
}

// safeWithout says why the absence of a parameter is as good as its strictest
// value in a kernel of this release, or "" where it is not.
func safeWithout(name, kernelRelease string) string {
	f, ok := featureless[name]
	if !ok {
		return ""
	}
	if r, err := parseRelease(kernelRelease); err != nil || !r.atLeast(f.major, f.minor) {
		return ""
	}
	return f.why
}
