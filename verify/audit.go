package verify

import (
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var auditChecks = []Check{
	clockSynchronised,
	clockErrorSmall,
	timeSourceRuns,
	journalPersistent,
	journalClosed,
	logsLeaveNode,
	auditPresent,
}

// withRole are the programs with a role, those of the host and those of containers.
func withRole(p node.LogProgramState, role string) (host, contained []string) {
	for _, program := range p.Programs {
		switch {
		case program.Role != role:
		case program.Container:
			contained = append(contained, "container:"+program.Name)
		default:
			host = append(host, program.Path)
		}
	}
	return host, contained
}

// declaredAmong are those of the programs that places name.
func declaredAmong(programs []string, places []profiles.Place) []string {
	var out []string
	for _, program := range programs {
		if placeNames(places, program) {
			out = append(out, program)
		}
	}
	return out
}

var logsLeaveNode = Check{
	ID:       "logs-leave-node",
	Rev:      1,
	Title:    "the node's logs are sent to another machine",
	Topic:    Audit,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "AU-9(2)"}, {sp80053, "AU-4(1)"}, {pciDSS, "10.3.3"}, {iso27001, "8.15"}, {sleMicroSTIG, "SLEM-05-652010"}, {cisControls, "8.9"}},
	Help: Help{
		Why: "Whoever takes a node takes its logs. What another machine holds by then is what can be trusted afterwards.",
		How: "A host program that ships logs (systemd-journal-upload, fluent-bit, vector and others, by executable) or ForwardToSocket of journald pass. talos.logging.kernel on the command line sends the kernel's log alone: unknown. An agent in a pod is told by its name alone, which any pod may have: wherever containers run and no host program ships, the answer is unknown, and no declaration makes a pass of it. Whether anything arrives is not seen from here.",
		Remedy: map[string]string{
			"cos":          "GKE: gcloud container clusters update CLUSTER --logging=SYSTEM,WORKLOAD runs a log agent on each node. It runs in a pod, so that this check stays unknown: show elsewhere that logs arrive.",
			"talos":        "machine: {logging: {destinations: [...]}} and talos.logging.kernel=tcp://HOST:PORT among machine.install.extraKernelArgs.",
			"bottlerocket": "Run a log agent as a DaemonSet that reads /var/log/journal. From the node it cannot be told from any other pod: show where the logs arrive.",
			"":             "Ship the journal from the host: systemctl enable --now systemd-journal-upload. A log agent in a pod does as well, and is proven where the logs arrive, not here.",
		},
	},
	Judge: On4(node.LogPrograms, node.Logs.Parts("settings"), node.Boot.Parts("cmdline"), node.OS.Parts("init", "pidNamespace"), judgeShipping),
}

func judgeShipping(p node.LogProgramState, l node.LogState, b node.BootState, s node.System, g Given) Finding {
	host, contained := withRole(p, "ships")
	syslog, more := withRole(p, "syslog")
	contained = append(contained, more...)
	named := append(declaredAmong(contained, g.Profile.Audit.Shippers), declaredAmong(syslog, g.Profile.Audit.Shippers)...)
	kernel := slices.ContainsFunc(b.Cmdline, func(w node.Word) bool { return w.Is("talos.logging.kernel") && w.Value != "" })
	switch {
	case len(host) > 0:
		return pass("ships", "the logs are shipped by "+strings.Join(host, ", "), host...)
	case len(named) > 0:
		return pass("declared", "the logs are shipped by what is declared to do so: "+strings.Join(named, ", "), named...)
	case l.Settings["ForwardToSocket"].Value != "":
		return pass("journald", "journald forwards to a socket ("+l.Settings["ForwardToSocket"].From+")")
	case kernel:
		return unknown("kernel-log", "the kernel's log is sent away (talos.logging.kernel on the command line); where the services' go is in the machine configuration, which is not read")
	case len(syslog) > 0:
		return unknown("syslog", "whether "+strings.Join(syslog, ", ")+" sends anything away is in its configuration, which is not read", syslog...)
	case len(contained) > 0:
		return unknown("in-container", "containers have programs of that name, and whether they ship this node's logs is not seen from here: "+strings.Join(contained, ", "), contained...)
	case p.Containers == "":
		return unsaid("what runs on it")
	case p.Containers != "none" || s.PIDNamespace != "initial":
		return unknown("unseen", "no program that ships logs was seen; one in a pod may have another name")
	}
	return failUnfound("none", "no program that ships logs runs, and no container that could hold one", "logs")
}

var auditPresent = Check{
	ID:       "audit-present",
	Rev:      1,
	Title:    "the kernel's audit records are kept, or a sensor watches the kernel",
	Topic:    Audit,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "AU-2"}, {sp80053, "AU-12"}, {pciDSS, "10.2.1"}, {iso27001, "8.15"}, {grundschutz, "SYS.1.1.A10"}, {cisControls, "8.2"}},
	Help: Help{
		Why: "Who logged in, which program was refused what, which module was loaded: without audit or a sensor nobody knows afterwards.",
		How: "A sensor on the host (auditd, falco, tetragon, tracee, osqueryd and others, by executable), or a program that follows the kernel's audit records over netlink, as systemd-journald does. audit=0 on the command line turns both the records and auditd off. A sensor in a container is told by its name alone, which any container may have: the answer is unknown then. Which events are recorded is not judged.",
		Remedy: map[string]string{
			"talos":         "Run a sensor as a DaemonSet (Tetragon or Falco with the modern eBPF driver); what it records is its proof, as the node cannot tell it from another pod.",
			"flatcar":       "systemctl enable --now systemd-journald-audit.socket, and take audit=0 off the command line.",
			"bottlerocket":  "The system has no auditd to turn on: run a sensor as a DaemonSet, and prove it by what arrives from it.",
			"fedora-coreos": "systemctl enable --now auditd, after rpm-ostree install audit where the release has no auditd; rules go into /etc/audit/rules.d.",
			"cos":           "On GKE deploy the cos-auditd-logging DaemonSet, which turns cloud-audit-setup on.",
			"":              "Install and start auditd or a sensor; take audit=0 off the kernel's command line.",
		},
	},
	Judge: On4(node.LogPrograms, node.Logs.Parts("audit"), node.Boot.Parts("cmdline"), node.OS.Parts("init", "pidNamespace"), judgeAudit),
}

func judgeAudit(p node.LogProgramState, l node.LogState, b node.BootState, s node.System, g Given) Finding {
	host, contained := withRole(p, "audits")
	named := declaredAmong(contained, g.Profile.Audit.Sensors)
	off := slices.ContainsFunc(b.Cmdline, func(w node.Word) bool { return w.Is("audit") && (w.Value == "0" || w.Value == "off") })
	// auditd has nothing to write where the kernel makes no records.
	sensors := slices.DeleteFunc(slices.Clone(host), func(path string) bool { return off && strings.HasSuffix(path, "/auditd") })
	switch {
	case len(sensors) > 0:
		return pass("sensor", "the node is watched by "+strings.Join(sensors, ", "), sensors...)
	case len(named) > 0:
		return pass("declared", "the node is watched by what is declared to do so: "+strings.Join(named, ", "), named...)
	case l.Audit.Followed == "yes" && !off:
		return pass("followed", "a program follows the kernel's audit records, as systemd-journald does")
	case len(contained) > 0:
		return unknown("in-container", "containers have programs of that name, and whether they watch this node is not seen from here: "+strings.Join(contained, ", "), contained...)
	case l.Audit.Followed == "" || p.Containers == "":
		return unsaid("who follows the kernel's audit records")
	case off:
		return failUnfound("off", "audit is off on the kernel's command line, and no sensor was seen", "audit")
	case s.PIDNamespace != "initial":
		return unknown("part-of-machine", "nothing was seen that watches the node, and process 1 is not that of the whole machine, or it is not known")
	}
	reason := "nothing keeps the kernel's audit records, and no sensor runs"
	if l.Audit.BuiltIn == "no" {
		reason = "this kernel has no audit built in, and no sensor was seen"
	}
	if why := g.Profile.Audit.NoAuditd; why != "" {
		reason += "; " + why
	}
	return failUnfound("none", reason, "audit")
}
