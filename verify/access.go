package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// accessChecks are about how people get onto the host.
var accessChecks = []Check{
	noSSHDaemon,
	sshKeysOnly,
	sshRootLoginOff,
	sshKeysDeclared,
	noPasswordAccounts,
	noLoginShells,
	singleSuperuser,
	privilegeEscalationDeclared,
	noConsoleAutologin,
	noDebugShell,
	nobodyLoggedIn,
	noDebugSession,
	noAdminContainer,
	managementAPIContained,
	noRemovableMedia,
}

// accessRefs is what every check of access is evidence for.
var accessRefs = []Ref{
	{sp80053, "AC-3"}, {pciDSS, "7.2.2"}, {pciContainers, "1.2"}, {iso27001, "8.2"}, {grundschutz, "SYS.1.6.A16"},
}

// declares reports whether one of the places has this very name.
func declares(places []profiles.Place, name string) bool {
	return slices.ContainsFunc(places, func(p profiles.Place) bool { return p.Path == name })
}

// sshPrograms are the daemons that let people in by SSH or what came before it.
// Others of [node.LoginPrograms] are told and not judged here.
var sshPrograms = []string{"sshd", "dropbear", "teleport", "telnetd", "in.telnetd"}

var noSSHDaemon = Check{
	ID:       "no-ssh-daemon",
	Rev:      1,
	Title:    "no SSH daemon runs, is enabled or listens",
	Topic:    Access,
	Severity: High,
	Refs: slices.Concat(accessRefs, []Ref{
		{kubernetesSTIG, "V-242393"}, {kubernetesSTIG, "V-242394"}, {containerSRG, "SRG-APP-000141"}, {sp80053, "CM-7"}, {sp80053, "AC-17"}, {iso27001, "8.18"},
	}),
	Help: Help{
		Why: "Whoever logs in over SSH changes the machine past the cluster's own admission, audit and reconciliation. Nodes that are replaced rather than repaired need no way in.",
		How: "Four things are looked for: the executables of SSH daemons in the folders where systems and people put them, units of theirs that are enabled and not masked (sshd.socket starts the daemon on the first connection), host processes by the name of their executable, and what listens on port 22 or is held by such a program. Where there is no executable, process or listener the check does not apply, and that was seen.",
		Remedy: map[string]string{
			"":              "systemctl disable --now ssh.service ssh.socket sshd.service sshd.socket, and mask those that something else enables again; where a node has to be repaired, replace it.",
			"talos":         "Talos ships none: find the extension service or pod with the host's network that runs it, and remove it from the machine configuration.",
			"flatcar":       "systemctl mask --now sshd.socket sshd.service, and in the Butane configuration of new nodes systemd: {units: [{name: sshd.socket, mask: true}, {name: sshd.service, mask: true}]}.",
			"bottlerocket":  "It runs in the admin container: apiclient set host-containers.admin.enabled=false.",
			"fedora-coreos": "systemctl mask --now sshd.service sshd.socket, and the same through Butane (systemd.units with mask: true) or, on OpenShift, a MachineConfig.",
			"microos":       "systemctl mask --now sshd.service, and the same in the Combustion script or Ignition file of new nodes.",
			"cos":           "systemctl mask --now sshd.service sshd.socket in the cloud-init user data; on GKE block port 22 by a firewall rule and waive the check with that as its reason.",
		},
	},
	Judge: On4(node.LoginServices, node.Processes.Parts("path"), node.Listeners, node.OS.Parts("init", "pidNamespace"),
		func(v node.LoginServiceState, p []node.Program, l []node.Listener, s node.System, g Given) Finding {
			return wholeMachine(s, judgeSSHDaemon(v, p, l, g))
		}),
}

func judgeSSHDaemon(v node.LoginServiceState, programs []node.Program, listeners []node.Listener, g Given) Finding {
	if len(programs) == 0 {
		return unsaid("what runs on it") // process 1 is always there
	}
	isSSH := func(p string) bool {
		name := path.Base(p)
		return slices.Contains(sshPrograms, name) || strings.HasPrefix(name, "sshd-")
	}
	var bad, there, others []string
	for _, p := range programs {
		if isSSH(p.Path) {
			bad = append(bad, p.Path+" runs in "+p.Unit)
		}
	}
	for _, l := range listeners {
		if l.Network != "unix" && (l.Port == 22 || isSSH(l.Program)) {
			who := l.Program
			if who == "" {
				who = "an unknown program"
			}
			bad = append(bad, fmt.Sprintf("%s listens on %s port %d", who, l.Address, l.Port))
		}
	}
	for _, u := range v.Units {
		name, _, _ := strings.Cut(u.Unit, ".")
		if !u.Masked && (isSSH(name) || name == "ssh" || name == "telnet") {
			bad = append(bad, u.Unit+" is enabled by "+u.Link)
		}
	}
	for _, p := range v.Programs {
		if isSSH(p.Name) {
			there = append(there, p.Path)
		} else {
			others = append(others, p.Path)
		}
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	also := ""
	if len(others) > 0 {
		also = "; other programs that let people in: " + strings.Join(others, ", ")
	}
	switch {
	case len(bad) > 0:
		reason := strings.Join(bad, "; ")
		if g.Profile.Access.SSH != "" {
			reason += "; this is so as shipped: " + g.Profile.Access.SSH
		}
		return fail("ssh-on", reason, bad...)
	case len(there) > 0:
		return pass("off", strings.Join(there, ", ")+" is there, and neither runs nor is enabled nor listens"+also, there...)
	case len(others) > 0:
		return pass("no-ssh", fmt.Sprintf("no SSH daemon is at any of the %d places where it would be", len(node.LoginPrograms))+also, others...)
	}
	return notApplicable("no-executable", fmt.Sprintf("no such executable: none is at the %d places where SSH daemons are, none runs and nothing listens on port 22", len(node.LoginPrograms)))
}
