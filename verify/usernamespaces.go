package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var userNamespacesPolicy = Check{
	ID:       "user-namespaces-policy",
	Rev:      2,
	Title:    "unprivileged users cannot create user namespaces, unless pods need them",
	Topic:    KernelTopic,
	Severity: Low,
	Refs:     []Ref{{sp80053, "CM-7"}, {sp80053, "SC-39"}, {cisBottlerocket, "1.4.4"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "In a user namespace of its own every process is root, and reaches parts of the kernel that only root could reach before. Many flaws that lead from a container to the host can only be reached so. Pods with hostUsers: false, on the other hand, are safer for having one.",
		How: "user.max_user_namespaces = 0 lets nobody make one; kernel.unprivileged_userns_clone = 0 and kernel.apparmor_restrict_unprivileged_userns = 1 let root alone. Where a container has a user namespace other than process 1's, pods use them and the parameter cannot be 0: then this does not apply, and says whose they are.",
		Remedy: map[string]string{
			"cos":          "Where no pod sets hostUsers: false, run sysctl -w user.max_user_namespaces=0 at every boot by cloud-init (bootcmd); on GKE by a privileged DaemonSet, unless linuxConfig.sysctl offers the name.",
			"talos":        "Leave user.max_user_namespaces at Talos' own \"0\": remove it from machine.sysctls, where somebody raised it for pods that are gone.",
			"bottlerocket": "apiclient apply with [settings.kernel.sysctl] and \"user.max_user_namespaces\" = \"0\" (CIS Bottlerocket 1.4.4, level 2).",
			"":             "Where no pod sets hostUsers: false, write user.max_user_namespaces = 0 to a file in /etc/sysctl.d and reboot, so that what has one ends.",
		},
	},
	Judge: On3(parameters("user.max_user_namespaces", "kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns"), node.Containers.Parts("userNamespaces", "shares", "reaching"), node.OS.Parts("init", "pidNamespace"), judgeUserNamespaces),
}

func judgeUserNamespaces(v node.SysctlValues, s node.ContainerState, o node.System, _ Given) Finding {
	const name = "user.max_user_namespaces"
	switch value, found := v.Values[name]; {
	case slices.Contains(v.Absent, name):
		return pass("no-namespaces", "this kernel has no user namespaces: "+name+" is absent")
	case !found:
		return unsaid("how many user namespaces there may be")
	case value == "0":
		return pass("off", name+" = 0: nobody can make a user namespace")
	case v.Values["kernel.unprivileged_userns_clone"] == "0":
		return pass("root-only", "kernel.unprivileged_userns_clone = 0: only root can make a user namespace")
	case v.Values["kernel.apparmor_restrict_unprivileged_userns"] == "1":
		return pass("root-only", "kernel.apparmor_restrict_unprivileged_userns = 1: AppArmor says who can make a user namespace")
	case s.Reaching == nil:
		return unsaid("which containers run on it")
	case len(s.UserNamespaces) > 0:
		return wholeMachine(o, notApplicable("in-use", "pods have user namespaces of their own (hostUsers: false), which need them: "+strings.Join(s.UserNamespaces, "; "), s.UserNamespaces...))
	default:
		return wholeMachine(o, failUnfound("open", fmt.Sprintf("%s = %s, and no container has a user namespace of its own that would need it", name, value), name))
	}
}
