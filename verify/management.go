package verify

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var managementAPIContained = Check{
	ID:       "management-api-contained",
	Rev:      1,
	Title:    "the system's management API is limited to the roles, users and networks that need it",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(accessRefs, []Ref{{sp80053, "AC-6"}, {sp80053, "SC-7"}, {sp80053, "AC-17"}}),
	Help: Help{
		Why: "On a host without a shell its API is the way in: it upgrades, resets, reads every file. Who reaches it and with which role is what is left to guard.",
		How: "Talos: what listens on 50000 (apid) and 50001 (trustd); machine.features.rbac must be on, kubernetesTalosAPIAccess must not hand out os:admin or os:operator, and where the API listens beyond loopback, the node's own ingress firewall must block by default and let named networks to the port. Where the node does not filter, what stands in front of it cannot be seen from here: unknown. Bottlerocket: the socket /run/api.sock must be for root and its group alone. Nothing else of the machine configuration is read.",
		Remedy: map[string]string{
			"":             "Give the socket back to root and its group with mode 0660, and restart the service that makes it.",
			"talos":        "talosctl patch machineconfig with two documents: kind: NetworkDefaultActionConfig, ingress: block; and kind: NetworkRuleConfig, portSelector: {ports: [50000], protocol: tcp}, ingress: [{subnet: ADMIN NETWORK}]; set machine.features.kubernetesTalosAPIAccess.allowedRoles to [os:reader].",
			"bottlerocket": "The system makes /run/api.sock with mode 0660 for root and group api: apiclient reboot; a node on which it is otherwise again is to be replaced.",
		},
	},
	Judge: On4(node.Listeners, node.Management, node.RuntimeSockets, node.OS.Parts("init", "pidNamespace"),
		func(l []node.Listener, m node.ManagementState, r []node.RuntimeSocket, s node.System, g Given) Finding {
			return wholeMachine(s, judgeManagement(l, m, r, g))
		}),
}

func judgeManagement(listeners []node.Listener, m node.ManagementState, sockets []node.RuntimeSocket, g Given) Finding {
	var bad, open, good []string
	for _, s := range sockets {
		if s.Engine != "bottlerocket-api" {
			continue
		}
		item := fmt.Sprintf("%s has mode %04o", s.Path, s.Mode)
		if s.Mode&0o007 != 0 || s.UID != 0 {
			bad = append(bad, item+", and is for more than root and its group")
		} else {
			good = append(good, item)
		}
	}
	exposed := map[int]bool{}
	talos := m.Config != ""
	for _, l := range listeners {
		program := path.Base(l.Program)
		if l.Network == "unix" || program != "apid" && program != "trustd" && !(talos && (l.Port == 50000 || l.Port == 50001)) {
			continue
		}
		talos = true
		address, err := netip.ParseAddr(l.Address)
		exposed[l.Port] = exposed[l.Port] || err != nil || !address.IsLoopback()
	}
	if !talos {
		return managementFinding(bad, open, good)
	}
	if m.Config == "" {
		return unknown("no-configuration", "the Talos API listens, and its machine configuration, /"+node.TalosConfig+", was not there to be read")
	}
	if m.RBAC != "on" {
		bad = append(bad, "machine.features.rbac is off: every client certificate is an administrator's")
	}
	for _, role := range m.ClusterRoles {
		if m.ClusterAccess == "on" && (role == "os:admin" || role == "os:operator") {
			bad = append(bad, "kubernetesTalosAPIAccess lets pods have "+role)
		}
	}
	for _, port := range []int{50000, 50001} {
		if !exposed[port] {
			continue
		}
		name := fmt.Sprintf("tcp:%d", port)
		rules := slices.DeleteFunc(slices.Clone(m.Rules), func(r node.IngressRule) bool { return r.Protocol != "tcp" || !inPorts(port, r.Ports) })
		switch {
		case declares(g.Profile.Access.API, name):
			good = append(good, fmt.Sprintf("port %d is guarded by what is declared", port))
		case m.Ingress == "block" && slices.ContainsFunc(rules, func(r node.IngressRule) bool { return r.Anyone }):
			bad = append(bad, fmt.Sprintf("an ingress rule lets everyone to port %d", port))
		case m.Ingress == "block":
			good = append(good, fmt.Sprintf("port %d is let to the networks of %d rules", port, len(rules)))
		default:
			open = append(open, fmt.Sprintf("port %d: the node filters nothing itself, and what stands in front of it cannot be seen from here", port))
		}
	}
	good = append(good, "roles are enforced")
	return managementFinding(bad, open, good)
}

func managementFinding(bad, open, good []string) Finding {
	switch {
	case len(bad) > 0:
		return fail("open", strings.Join(bad, "; "), bad...)
	case len(open) > 0:
		return unknown("network-unseen", strings.Join(open, "; "), open...)
	case len(good) == 0:
		return notApplicable("no-api", "there is no API of the system's own: no apid listens, and there is no /run/api.sock")
	}
	return pass("contained", strings.Join(good, "; "))
}

var noRemovableMedia = Check{
	ID:       "no-removable-media",
	Rev:      1,
	Title:    "no USB storage is attached, and nothing would mount it automatically",
	Topic:    Access,
	Severity: Low,
	Refs:     []Ref{{sp80053, "MP-7"}, {pciDSS, "5.3.3"}, {cisControls, "10.3"}, {sleMicroSTIG, "SLEM-05-291015"}, {grundschutz, "SYS.1.3.A3"}},
	Help: Help{
		Why: "A USB stick brings files in and data out past every network control, and somebody stood beside the machine to plug it in.",
		How: "Block devices that sysfs shows on USB and that hold something, and host processes that mount what is plugged in (udisksd, udiskie, usbmount, automount). Whether the kernel has a driver for USB storage now is told and is no failure: one that is part of the kernel does nothing without a device.",
		Remedy: map[string]string{
			"":              "Pull it out; write \"install usb-storage /bin/false\" into /etc/modprobe.d/usb-storage.conf, and systemctl mask --now udisks2.service.",
			"talos":         "Pull it out. Talos mounts what user volumes of the machine configuration select: take a UserVolumeConfig away that matches disks on USB.",
			"flatcar":       "Pull it out, and put /etc/modprobe.d/usb-storage.conf with \"install usb-storage /bin/false\" into the Butane configuration.",
			"bottlerocket":  "Detach it, and apiclient set kernel.modules.usb-storage.allowed=false.",
			"fedora-coreos": "Pull it out, and rpm-ostree kargs --append=modprobe.blacklist=usb_storage,uas.",
			"microos":       "Pull it out, and put \"blacklist usb-storage\" into /etc/modprobe.d through the Combustion script.",
			"cos":           "Machines of Compute Engine have no USB storage: find out what kind of machine this is.",
		},
	},
	Judge: On3(node.Removable, node.Processes.Parts("path"), node.OS.Parts("init", "pidNamespace"),
		func(r node.RemovableState, programs []node.Program, s node.System, _ Given) Finding {
			if r.Disks == nil || len(programs) == 0 {
				return unsaid("what storage it has on USB, or what runs on it")
			}
			var bad []string
			for _, d := range r.Disks {
				bad = append(bad, fmt.Sprintf("%s on USB of %s", d.Kind, mebibytes(d.Size)))
			}
			for _, p := range programs {
				if slices.Contains([]string{"udisksd", "udiskie", "usbmount", "automount"}, path.Base(p.Path)) {
					bad = append(bad, p.Path+" runs")
				}
			}
			driver := map[string]string{
				"yes": "the kernel has a driver for USB storage", "no": "the kernel has no driver for USB storage now",
				"no-usb": "the kernel has no USB", "": "whether the kernel has a driver for it is not known",
			}[r.Driver]
			if len(bad) > 0 {
				return fail("removable", strings.Join(bad, "; ")+"; "+driver, bad...)
			}
			return wholeMachine(s, pass("none", "nothing is on USB that holds data, and nothing mounts it by itself; "+driver))
		}),
}
