package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var coreDumpsRestricted = Check{
	ID: "core-dumps-restricted", Rev: 3, Topic: KernelTopic, Severity: Medium,
	Title: "privileged programs leave no core dump, and the program that receives dumps is in the OS image",
	Refs:  parameterRefs(Ref{cisBottlerocket, "1.4.1"}, Ref{cisCOS, "core-dumps-restricted"}),
	Help: Help{
		Why: "A dump holds the keys of the program that died. The kernel starts the program in core_pattern as root in the host's namespaces, also for a process of a container: whoever writes that parameter owns the node.",
		How: "fs.suid_dumpable is compared with the profile's list. Where kernel.core_pattern names a program (|/path), it must be a file of the OS image, looked up in the mount table; a file name writes the dump where the process runs and starts nothing.",
		Remedy: map[string]string{
			"talos":        "Set machine.sysctls: {fs.suid_dumpable: \"0\", kernel.core_pattern: core} in the machine configuration, and find out which pod wrote the other value.",
			"bottlerocket": "Reboot, which brings back the kernel.core_pattern of the image, and find out which privileged container wrote the other one.",
			"cos":          "Recreate the node, and find out which privileged container wrote kernel.core_pattern.",
			"":             "Set fs.suid_dumpable = 0 in /etc/sysctl.d, run /usr/lib/systemd/systemd-sysctl to bring back the kernel.core_pattern of the image, and find out who wrote the other one.",
		},
	},
	Judge: On3(parameters(append(slices.Clone(dumpParameters), "kernel.core_pattern")...), node.Kernel.Parts("release"), node.Mounts, judgeCoreDumps),
}

func judgeCoreDumps(s node.SysctlValues, k node.KernelState, mounts []node.Mount, g Given) Finding {
	pattern, found := s.Values["kernel.core_pattern"]
	var c compared
	for _, name := range dumpParameters {
		c.add(name, s, k, g)
	}
	handler, pipes := strings.CutPrefix(pattern, "|")
	program, _, _ := strings.Cut(strings.TrimSpace(handler), " ")
	switch {
	case !found:
		return unsaid("where the kernel puts dumps")
	case pipes && !g.Profile.Ordinary && !leadsToImage(program, mounts):
		c.bad = append(c.bad, "kernel.core_pattern starts "+program+", which is not of the OS image")
	case strings.HasPrefix(pattern, "@"): // core(5): a socket since Linux 6.16
		c.open = append(c.open, "kernel.core_pattern hands dumps to the socket "+pattern+", and who listens there was not read")
	default:
		c.met = append(c.met, "kernel.core_pattern = "+pattern)
	}
	return c.finding()
}

func wholeNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}
