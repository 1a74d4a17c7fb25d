package verify

import (
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// The modes that a file may have at most: CIS lets root alone read what guards the
// kubelet, the STIG lets everybody.
const (
	forRoot = 0o600
	forAll  = 0o644
)

// judgeFiles holds files that the kubelet was told of to a mode and to root.
// none is the finding where it was told of none.
func judgeFiles(k node.KubeletState, limit uint32, none Finding, unread *Finding, roles ...string) Finding {
	var open, unseen, looked []string
	for _, f := range k.Files {
		switch {
		case !slices.Contains(roles, f.Role):
		case f.Found == "no" && f.Role == "bootstrap-kubeconfig": // taken away once it was used
		case f.Found == "no":
			unseen = append(unseen, f.Path+" (not there)")
		case f.Found != "yes":
			unseen = append(unseen, f.Path)
		case f.Mode&^limit != 0 || f.UID != 0 || f.GID != 0:
			open = append(open, fileText(f))
		default:
			looked = append(looked, f.Path)
		}
	}
	mode := map[uint32]string{forRoot: "0600", forAll: "0644"}[limit]
	switch {
	case len(open) > 0:
		return fail("open", "not root's with mode "+mode+" or less: "+strings.Join(open, ", "), open...)
	case unread != nil:
		return *unread
	case len(unseen) > 0:
		return unknown("file-unseen", "mode and owner could not be seen: "+strings.Join(unseen, ", "), unseen...)
	case len(looked) == 0:
		return none
	}
	return pass("closed", "mode "+mode+" or less and owner root: "+strings.Join(looked, ", "), looked...)
}

// moreFiles is the finding where a place could not be read that may name files.
func moreFiles(k node.KubeletState) *Finding {
	if len(k.Unread) == 0 {
		return nil
	}
	f := unreadSettings("there may be more files", k)
	return &f
}

func judgeConfigFiles(limit uint32) Judge {
	return onKubelet(func(k node.KubeletState, _ Given) Finding {
		none := notApplicable("no-file", "the kubelet was started without a configuration file: all that it was told stands in its arguments")
		return judgeFiles(k, limit, none, moreFiles(k), "config", "drop-in")
	})
}

// judgeKubeconfigs looks at files that arguments alone name.
func judgeKubeconfigs(limit uint32) Judge {
	return On(node.Kubelet.Parts("flags"), func(k node.KubeletState, _ Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		given, unread := flagGiven(k, "kubeconfig")
		none := notApplicable("no-kubeconfig", "the kubelet was started without a kubeconfig: it has no credential in a file")
		if given {
			none = unsaid("which file --kubeconfig names")
		}
		return judgeFiles(k, limit, none, unread, "kubeconfig", "bootstrap-kubeconfig")
	})
}

// KubeletKubeconfigClosed demands that only root holds the node's credential.
var KubeletKubeconfigClosed = Check{
	ID: "kubelet-kubeconfig-closed", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can read or change the kubelet's kubeconfig",
	Refs:  []Ref{{cisKubernetes, "4.1.5"}, {cisKubernetes, "4.1.6"}, {sp80053, "AC-6"}, {sp80053, "IA-5"}, {pciDSS, "7.2.5"}},
	Help: Help{
		Why: "Whoever reads a kubeconfig with a key or token in it is this node to the API server: it reads the secrets of every pod here. Whoever writes it chooses to which API server the node listens.",
		How: "What --kubeconfig and --bootstrap-kubeconfig name, wherever that is, has to belong to root and its group and to have mode 0600 or less. A bootstrap kubeconfig that is gone is as it should be. The STIG's weaker limit is kubelet-kubeconfig-kept.",
		Remedy: map[string]string{
			"":              "chown root:root and chmod 0600 the file that --kubeconfig names, and the one of --bootstrap-kubeconfig; delete the latter once the node has joined.",
			"talos":         "Talos writes its kubeconfigs with mode 0600; where the mode differs somebody changed it: talosctl reboot makes /etc anew.",
			"flatcar":       "chmod 0600 /etc/kubernetes/kubelet.conf, or what --kubeconfig names; where the Butane configuration writes it, mode: 0600 there.",
			"bottlerocket":  "Bottlerocket writes /etc/kubernetes/kubelet/kubeconfig anew at each boot: apiclient reboot.",
			"cos":           "GKE writes /var/lib/kubelet/kubeconfig and has no setting for its mode: recreate the node if the mode was changed; otherwise chmod 0600 it on each new node by a privileged DaemonSet, or waive the check.",
			"fedora-coreos": "chmod 0600 /var/lib/kubelet/kubeconfig; on OpenShift /etc/kubernetes/kubeconfig, the bootstrap credential, comes from the machine configuration server: let a MachineConfig give it mode 0600.",
			"microos":       "chmod 0600 what --kubeconfig names; k3s and RKE2 write agent/kubelet.kubeconfig with that mode when they start.",
		},
	},
	Judge: judgeKubeconfigs(forRoot),
}

// KubeletClientCAClosed demands that only root decides who the callers are.
var KubeletClientCAClosed = Check{
	ID: "kubelet-client-ca-closed", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can change the file of the kubelet's client CA",
	Refs: []Ref{
		{cisKubernetes, "4.1.7"}, {cisKubernetes, "4.1.8"}, {kubernetesSTIG, "V-242449"}, {kubernetesSTIG, "V-242450"},
		{sp80053, "CM-5"}, {pciDSS, "7.2.5"},
	},
	Help: Help{
		Why: "Whoever can add a certificate authority to that file can call the kubelet under any name.",
		How: "The file that authentication.x509.clientCAFile names has to belong to root and its group and to have mode 0644 or less, which is what both CIS and the STIG ask for.",
		Remedy: map[string]string{
			"cos":           "GKE writes the file at the first boot: recreate the node, and find what changed its owner or mode.",
			"":              "chown root:root and chmod 0644 the file that clientCAFile names.",
			"talos":         "Talos writes /etc/kubernetes/pki/ca.crt with mode 0400; where it is wider, reboot the node (talosctl reboot), the file is made anew.",
			"flatcar":       "chown root:root /etc/kubernetes/pki/ca.crt; chmod 0644 it, and mode: 0644 where a Butane configuration writes it.",
			"bottlerocket":  "Bottlerocket writes /etc/kubernetes/pki/ca.crt at each boot from settings.kubernetes.cluster-certificate: reboot the node with apiclient reboot.",
			"fedora-coreos": "chown root:root and chmod 0644 what clientCAFile names; on OpenShift /etc/kubernetes/kubelet-ca.crt is written by the machine configuration daemon: look for the MachineConfig that gives it another mode.",
			"microos":       "chown root:root and chmod 0644 the file; k3s and RKE2 keep it as agent/client-ca.crt below their data directory.",
		},
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		s, f := effective(k, "authentication.x509.clientCAFile")
		none := notApplicable("no-client-ca", "no file is named that client certificates are checked by: kubelet-client-ca-set judges that")
		if s.text() != "" {
			none = unsaid("what " + s.text() + " is")
		}
		return judgeFiles(k, forAll, none, f, "client-ca")
	}),
}

// KubeletUnitClosed demands that only root decides how the kubelet is started.
var KubeletUnitClosed = Check{
	ID: "kubelet-unit-closed", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can read or change the kubelet's systemd unit and drop-ins",
	Refs:  []Ref{{cisKubernetes, "4.1.1"}, {cisKubernetes, "4.1.2"}, {sp80053, "CM-5"}, {sp80053, "AC-6"}},
	Help: Help{
		Why: "Arguments win over every file: whoever may write the unit, a drop-in or an environment file of it switches authentication off at the next start.",
		How: "The unit that the kubelet's cgroup names, its drop-ins in every folder that systemd looks in, and the environment files that these name have to belong to root and its group and to have mode 0600 or less, or to lie in the read-only image of the system. The STIG is content with 0644: kubelet-unit-kept. Drop-ins for all services, and units made of templates, are not looked at.",
		Remedy: map[string]string{
			"":              "chown root:root and chmod 0600 each of the files; packages bring them with 0644, which tells everybody what the kubelet is started with and lets root alone change it: waive that with this reason where it is enough.",
			"talos":         "Talos has no systemd: machined starts the kubelet, and there is nothing to do.",
			"flatcar":       "Let the Butane configuration write unit and drop-ins with mode: 0600, or bring the kubelet as an extension image, whose unit nobody can write; chmod 0600 on nodes that run.",
			"bottlerocket":  "Bottlerocket has the unit in its image, and its drop-ins are written at each boot with 0644: waive those with that reason, root alone can change them.",
			"cos":           "GKE writes /etc/systemd/system/kubelet.service and /etc/default/kubelet and has no setting for their modes: chmod 0600 both on each new node by a privileged DaemonSet, or waive the check where root alone can change them.",
			"fedora-coreos": "On OpenShift units come from MachineConfigs with 0644: waive that with this reason. Elsewhere write them by Ignition with mode 0600, or leave the package's own below /usr.",
			"microos":       "chmod 0600 the files in /etc/systemd/system, and the .env files beside the units of k3s and RKE2, which may hold the cluster's token.",
		},
	},
	Judge: judgeUnitFiles(forRoot),
}

// judgeUnitFiles makes a judge of the files of the kubelet's unit, which have to
// be root's and to have this mode at most.
func judgeUnitFiles(limit uint32) Judge {
	return On3(node.Kubelet.Parts("found"), node.KubeletUnit, node.Mounts, func(k node.KubeletState, u node.KubeletUnitState, mounts []node.Mount, _ Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		return judgeUnit(u, mounts, limit)
	})
}

func judgeUnit(u node.KubeletUnitState, mounts []node.Mount, limit uint32) Finding {
	if u.Unit == "" {
		if u.Cgroup == "" || strings.HasPrefix(u.Cgroup, "/..") {
			return unsaid("in which cgroup the kubelet runs")
		}
		return notApplicable("no-unit", "the kubelet runs in the cgroup "+u.Cgroup+", which no unit of systemd has", u.Cgroup)
	}
	var open, readable, unseen, looked []string
	for _, f := range u.Files {
		switch {
		case f.Found == "no": // an environment file that may be absent
		case f.Found != "yes":
			unseen = append(unseen, f.Path)
		case imageMount(mountOf(mounts, f.Path)):
			looked = append(looked, f.Path+" (in the read-only image)")
		case f.UID != 0 || f.GID != 0 || f.Mode&^forAll != 0:
			open = append(open, fileText(f))
		case f.Mode&^limit != 0:
			readable = append(readable, fileText(f))
		default:
			looked = append(looked, f.Path)
		}
	}
	switch {
	case len(open) > 0:
		open = append(open, readable...)
		return fail("open", "not root's alone: "+strings.Join(open, ", "), open...)
	case len(readable) > 0:
		return fail("readable", "root alone can change them, and others can read them: "+strings.Join(readable, ", "), readable...)
	case len(unseen) > 0:
		return unknown("file-unseen", "mode and owner could not be seen: "+strings.Join(unseen, ", "), unseen...)
	case len(looked) == 0:
		return unsaid("which files make the unit " + u.Unit)
	}
	return pass("closed", strings.Join(looked, ", "), looked...)
}
