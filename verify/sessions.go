package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var sessionRefs = slices.Concat(accessRefs, []Ref{{sp80053, "MA-4"}, {sp800190, "4.5.4"}, {pciDSS, "10.2.1.2"}})

// onSessions makes a judge of who is on the host, which holds for what could be
// seen of the machine.
func onSessions(parts []string, f func(node.SessionState, Given) Finding) Judge {
	return On2(node.Sessions.Parts(parts...), node.OS.Parts("init", "pidNamespace"), func(v node.SessionState, s node.System, g Given) Finding {
		if v.Logind == "" {
			return unsaid("who is logged in")
		}
		return wholeMachine(s, f(v, g))
	})
}

// enteredFromPod reports whether a shell of the host is in the cgroup of a pod:
// by nsenter, or chroot to a mount of the host's root.
func enteredFromPod(s node.Shell) bool { return strings.Contains(s.Unit, "kubepods") }

// shellFindings tells shells in which somebody sits from those that services
// run, and from those of which that is not known.
func shellFindings(shells []node.Shell, which func(node.Shell) bool) (people, open []string) {
	for _, s := range shells {
		item := fmt.Sprintf("%s in %s", s.Program, s.Unit)
		switch {
		case !which(s):
		case s.Terminal == "yes":
			people = append(people, "a shell on a terminal: "+item)
		case s.Terminal != "no":
			open = append(open, item)
		}
	}
	return people, open
}

var nobodyLoggedIn = Check{
	ID:       "nobody-logged-in",
	Rev:      1,
	Title:    "nobody is logged in on the host",
	Topic:    Access,
	Severity: High,
	Refs:     sessionRefs,
	Help: Help{
		Why: "A person on a node can change what no reconciliation sees. While the session lasts, it should be known who it is and why.",
		How: "Sessions of people as systemd-logind lists them (those of cron and of a user's own manager are none, nor is one that is closing), entries of utmp whose process still runs, and shells with a terminal in the host's own file system, however they got there. A shell with a terminal in a pod's cgroup is the matter of no-debug-session.",
		Remedy: map[string]string{
			"":              "loginctl list-sessions and who tell who it is; loginctl terminate-session ID ends it. Tie what must be to a waiver with an end.",
			"talos":         "Talos has no login: find the pod or extension service in whose cgroup the shell runs, and remove it.",
			"flatcar":       "loginctl list-sessions, then loginctl terminate-user core; mask sshd.socket where nobody should be able to.",
			"bottlerocket":  "The shell comes from the admin container (sheltie): apiclient set host-containers.admin.enabled=false.",
			"fedora-coreos": "loginctl terminate-user core; OpenShift marks nodes on which somebody logged in with the annotation machineconfiguration.openshift.io/ssh.",
			"microos":       "loginctl terminate-user root once the work is done, and reboot where something was changed.",
			"cos":           "loginctl terminate-user NAME, and revoke the role or key by which it was opened.",
		},
	},
	Judge: onSessions([]string{"sessions", "logins", "shells"}, func(v node.SessionState, _ Given) Finding {
		var bad []string
		for _, s := range v.Sessions {
			how := s.Service
			if how == "" {
				how = s.Type
			}
			if s.Remote == "yes" {
				how += ", from elsewhere"
			}
			bad = append(bad, fmt.Sprintf("%s (%s)", s.User, how))
		}
		for _, l := range v.Logins {
			bad = append(bad, fmt.Sprintf("%s on %s", l.User, l.Line))
		}
		people, open := shellFindings(v.Shells, func(s node.Shell) bool { return !enteredFromPod(s) })
		bad = append(bad, people...)
		switch {
		case len(bad) > 0:
			return fail("logged-in", "on the host now: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown("shell-unseen", "whether somebody sits at these shells could not be seen: "+strings.Join(open, "; "), open...)
		case v.Logind == "absent":
			return pass("nobody", "no shell has a terminal; systemd-logind does not run here, and utmp lists nobody")
		}
		return pass("nobody", "systemd-logind and utmp list nobody, and no shell has a terminal")
	}),
}

var noDebugSession = Check{
	ID:       "no-debug-session",
	Rev:      1,
	Title:    "no pod or shell for debugging the node is on the node",
	Topic:    Access,
	Severity: High,
	Refs:     sessionRefs,
	Help: Help{
		Why: "kubectl debug node puts a pod on the node that shares its namespaces and has its root mounted at /host. It stays when the person has gone, and whoever may exec into it has the node.",
		How: "Pods whose name begins with node-debugger-, as kubectl calls them, by the folders of their logs, running or finished; and shells with a terminal that are in the host's own file system and in the cgroup of a pod, as after chroot /host or nsenter.",
		Remedy: map[string]string{
			"": "kubectl get pods -A --field-selector spec.nodeName=NODE lists them; kubectl delete pod takes it away. Tie one that must be to a waiver with an end.",
		},
	},
	Judge: onSessions([]string{"debugPods", "shells"}, func(v node.SessionState, _ Given) Finding {
		var bad []string
		for _, p := range v.DebugPods {
			if p.Running {
				bad = append(bad, "pod "+p.Pod+", which runs")
			} else {
				bad = append(bad, "pod "+p.Pod+", which has ended and is still there")
			}
		}
		people, open := shellFindings(v.Shells, enteredFromPod)
		bad = append(bad, people...)
		switch {
		case len(bad) > 0:
			return fail("debugged", "the node is being debugged: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown("shell-unseen", "whether somebody sits at these shells could not be seen: "+strings.Join(open, "; "), open...)
		}
		return pass("none", "no pod of kubectl debug is there, and no pod has a terminal on the host")
	}),
}

var noAdminContainer = Check{
	ID:       "no-admin-container",
	Rev:      1,
	Title:    "no undeclared container for administering the host runs",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(sessionRefs, []Ref{{sp80053, "CM-7"}}),
	Help: Help{
		Why: "Such a container brings the shell, the SSH daemon and the tools that the image leaves out for good reason, with every right over the host.",
		How: "Bottlerocket's host containers by the unit that starts them and by the cgroup of what runs in them, toolboxes that are registered as a machine (systemd-nspawn) or run in podman. Files that a toolbox left behind are told and are no failure.",
		Remedy: map[string]string{
			"":              "machinectl list, then machinectl terminate NAME; podman ps, then podman rm -f toolbox.",
			"talos":         "End the talosctl debug session, or delete the privileged pod that stands in for one.",
			"flatcar":       "machinectl terminate NAME ends the toolbox; sudo rm -r /var/lib/toolbox removes what it left.",
			"bottlerocket":  "apiclient set host-containers.NAME.enabled=false; the admin container is on by default on VMware and bare metal, so say so in the user data of new nodes.",
			"fedora-coreos": "podman ps --filter name=toolbox, then podman rm -f it.",
			"microos":       "toolbox stop, or podman rm -f toolbox-root and toolbox-USER.",
			"cos":           "machinectl terminate the toolbox; rm -r /var/lib/toolbox/* removes what it left, which may hold setuid files.",
		},
	},
	Judge: onSessions([]string{"toolboxes", "hostContainers"}, func(v node.SessionState, g Given) Finding {
		var bad, declared, left []string
		for _, c := range v.HostContainers {
			item := "host container " + c
			if declares(g.Profile.Access.HostContainers, c) {
				declared = append(declared, item)
			} else {
				bad = append(bad, item)
			}
		}
		for _, b := range v.Toolboxes {
			if b.Kind == "left" {
				left = append(left, "/var/lib/toolbox/"+b.Name)
			} else {
				bad = append(bad, fmt.Sprintf("toolbox %s (%s)", b.Name, b.Kind))
			}
		}
		also := ""
		if len(left) > 0 {
			also = "; left behind: " + strings.Join(left, ", ")
		}
		switch {
		case len(bad) > 0:
			return fail("admin-container", "runs: "+strings.Join(bad, ", ")+also, bad...)
		case len(declared) > 0:
			return pass("declared", "only what the profile names runs: "+strings.Join(declared, ", ")+also, declared...)
		}
		return pass("none", "no host container and no toolbox runs"+also, left...)
	}),
}
