package verify

import (
	"fmt"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// KubeletChainsKept demands that the kubelet keeps its rules of the firewall.
var KubeletChainsKept = Check{
	ID: "kubelet-iptables-chains-kept", Rev: 1, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet maintains its iptables chains",
	Refs:  []Ref{{cisKubernetes, "4.2.6"}, {sp80053, "SC-7"}, {sp80053, "CM-6"}},
	Help: Help{
		Why: "Other programs of the node know the kubelet's chains; where nobody makes them, packets that should be dropped or masqueraded pass as they are.",
		How: "makeIPTablesUtilChains as it takes effect has to be true, which is the default.",
		Remedy: kubeletRemedy("makeIPTablesUtilChains: true", "make-iptables-util-chains=true", map[string]string{
			"bottlerocket": "Bottlerocket does not switch the chains off and has no setting for them; reboot the node with apiclient reboot, and see whether another value comes back.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		on, s, f := switched(k, "makeIPTablesUtilChains")
		switch {
		case f != nil:
			return *f
		case on:
			return pass("kept", s.String())
		}
		return fail("off", s.String()+": the kubelet makes no chains, and puts none back that somebody took away", s.key)
	}),
}

// KubeletPodPIDsLimited demands that a pod cannot use up the node's processes.
var KubeletPodPIDsLimited = Check{
	ID: "kubelet-pod-pids-limited", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the number of processes in a pod is limited",
	Refs:  []Ref{{cisKubernetes, "4.2.13"}, {sp80053, "SC-5"}, {sp80053, "SC-6"}},
	Help: Help{
		Why: "A pod that starts processes without end leaves none to the kubelet, the container runtime and sshd: the node is gone until somebody cuts its power.",
		How: "podPidsLimit as it takes effect has to be more than 0. The default is -1: as many as the node has.",
		Remedy: kubeletRemedy("podPidsLimit: 4096", "pod-max-pids=4096", map[string]string{
			"bottlerocket": "apiclient set kubernetes.pod-pids-limit=4096",
			"cos":          "In the node system configuration of the node pool: kubeletConfig: {podPidsLimit: 4096}; gcloud container node-pools update POOL --cluster=CLUSTER --system-config-from-file=FILE applies it.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		limit, s, f := counted(k, "podPidsLimit")
		switch {
		case f != nil:
			return *f
		case limit > 0:
			return pass("limited", s.String())
		}
		return fail("unlimited", s.String()+": one pod can use up the process numbers of the node", s.key)
	}),
}

// KubeletSeccompDefaultOn demands that pods without a word about it are confined.
var KubeletSeccompDefaultOn = Check{
	ID: "kubelet-seccomp-default-on", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "containers that ask for no seccomp profile get the runtime's default",
	Refs:  []Ref{{cisKubernetes, "4.2.14"}, {sp800190, "4.4.3"}, {sp80053, "CM-7"}, {sp80053, "SC-39"}},
	Help: Help{
		Why: "Without a filter every container may make every system call: keyctl, userfaultfd, bpf and whatever the next hole in the kernel is reached through.",
		How: "seccompDefault as it takes effect has to be true; the kubelet's default is false in every release. Pods may still ask for Unconfined.",
		Remedy: kubeletRemedy("seccompDefault: true", "seccomp-default=true", map[string]string{
			"talos":        "In the machine configuration: machine: {kubelet: {defaultRuntimeSeccompProfileEnabled: true}}, which is what new ones have; apply it with talosctl patch machineconfig.",
			"bottlerocket": "apiclient set kubernetes.seccomp-default=true",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		on, s, f := switched(k, "seccompDefault")
		switch {
		case f != nil:
			return *f
		case on:
			return pass("on", s.String())
		}
		return fail("off", s.String()+": such containers run without a seccomp filter", s.key)
	}),
}

// KubeletNoUnsafeSysctls demands that pods do not turn the kernel's knobs.
var KubeletNoUnsafeSysctls = Check{
	ID: "kubelet-no-unsafe-sysctls", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet allows no unsafe sysctls in pods",
	Refs:  []Ref{{sp80053, "CM-7"}, {sp80053, "SC-39"}},
	Help: Help{
		Why: "An unsafe sysctl is one that is not kept to the pod that sets it, or not known to be: one tenant changes what another, or the node, runs on.",
		How: "allowedUnsafeSysctls as it takes effect has to be empty, which is the default.",
		Remedy: kubeletRemedy("allowedUnsafeSysctls: []", "allowed-unsafe-sysctls=", map[string]string{
			"bottlerocket": `apiclient set --json '{"settings": {"kubernetes": {"allowed-unsafe-sysctls": []}}}'`,
			"cos":          "In the node system configuration of the node pool: kubeletConfig: {allowedUnsafeSysctls: []}; then gcloud container node-pools update with --system-config-from-file.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		allowed, s, f := listed(k, "allowedUnsafeSysctls")
		switch {
		case f != nil:
			return *f
		case len(allowed) > 0:
			return fail("allowed", fmt.Sprintf("pods may set %s (%s)", strings.Join(allowed, ", "), s.from), allowed...)
		}
		return pass("none", s.String())
	}),
}

// KubeletLogsRotate demands that what containers write is kept within bounds.
var KubeletLogsRotate = Check{
	ID: "kubelet-logs-rotate", Rev: 2, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet rotates the logs of containers",
	Refs:  []Ref{{sp80053, "AU-4"}, {sp80053, "SC-5"}},
	Help: Help{
		Why: "A container that writes without end fills the disk that the kubelet, the runtime and the journal share, and evidence is lost first.",
		How: "containerLogMaxSize as it takes effect has to be an amount above 0; a negative one switches rotation off. The default is 10Mi.",
		Remedy: kubeletRemedy("containerLogMaxSize: 10Mi, containerLogMaxFiles: 5", "container-log-max-size=10Mi", map[string]string{
			"bottlerocket": "apiclient set kubernetes.container-log-max-size=10Mi kubernetes.container-log-max-files=5",
			"cos":          "In the node system configuration of the node pool: kubeletConfig: {containerLogMaxSize: 10Mi, containerLogMaxFiles: 5}; apply it with gcloud container node-pools update.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		s, f := effective(k, "containerLogMaxSize")
		if f != nil {
			return *f
		}
		amount, negative := strings.CutPrefix(s.text(), "-")
		size, err := node.ParseQuantity(amount)
		switch {
		case err != nil:
			return unknown("setting-malformed", s.String()+", which is no amount", s.key)
		case negative || size.Value() == 0:
			return fail("off", s.String()+": logs of containers grow without end", s.key)
		}
		return pass("rotates", s.String())
	}),
}

// KubeletImageCollectionOn demands that unused images are removed.
var KubeletImageCollectionOn = Check{
	ID: "kubelet-image-collection-on", Rev: 2, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet removes unused images before the disk is full",
	Refs:  []Ref{{sp80053, "SC-5"}, {sp80053, "SI-2(6)"}},
	Help: Help{
		Why: "Without it unused images stay for ever, with their vulnerabilities: a pod can start one that no registry offers any more, and the disk fills up.",
		How: "imageGCHighThresholdPercent as it takes effect has to be below 100, which switches the collection off. The default is 85.",
		Remedy: kubeletRemedy("imageGCHighThresholdPercent: 85", "image-gc-high-threshold=85", map[string]string{
			"bottlerocket": "apiclient set kubernetes.image-gc-high-threshold-percent=85",
			"cos":          "In the node system configuration of the node pool: kubeletConfig: {imageGcHighThresholdPercent: 85}; gcloud container node-pools update takes the file.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		percent, s, f := counted(k, "imageGCHighThresholdPercent")
		switch {
		case f != nil:
			return *f
		case percent < 0 || percent > 100:
			return unknown("setting-malformed", s.String()+", which is no percentage", s.key)
		case percent == 100:
			return fail("off", s.String()+": no image is ever removed", s.key)
		}
		return pass("on", s.String())
	}),
}
