package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var kubeProxyKubeconfigClosed = Check{
	ID: "kube-proxy-kubeconfig-closed", Rev: 2, Topic: Credentials, Severity: Low,
	Title: "only root can read kube-proxy's kubeconfig",
	Refs:  []Ref{{cisKubernetes, "4.1.3"}, {cisKubernetes, "4.1.4"}, {sp80053, "AC-6"}},
	Help: Help{
		Why: "The credential of kube-proxy reads every service and endpoint of the cluster.",
		How: "Kubeconfigs of kube-proxy on the host: in /var/lib/kube-proxy, below /etc/kubernetes, and those of k3s, RKE2 and MicroK8s. Each must be 0600 or closer and root's, and of a link what it leads to. Where kube-proxy runs as a pod whose configuration is a volume that the API server fills, there is no such file, and where none runs there is nothing to judge: both are seen in the process table and in the mounts of the process. A kube-proxy on the host whose kubeconfig was not found is unknown. The STIG is content with 0644: kube-proxy-kubeconfig-kept.",
		Remedy: map[string]string{
			"cos": "chmod 0600 /var/lib/kube-proxy/kubeconfig; it is written at every boot, so recreate the node where the mode comes back.",
			"":    "chmod 0600 the file that is named, chown root:root.",
		},
	},
	Judge: judgeProxyKubeconfig(forRoot),
}

// kubeProxyKubeconfigKept is what the STIG asks of the file that CIS wants closed to
// readers too.
var kubeProxyKubeconfigKept = Check{
	ID: "kube-proxy-kubeconfig-kept", Rev: 1, Topic: Credentials, Severity: Low,
	Title: "only root can change kube-proxy's kubeconfig",
	Refs:  []Ref{{kubernetesSTIG, "V-242447"}, {kubernetesSTIG, "V-242448"}, {sp80053, "CM-5(6)"}},
	Help: Help{
		Why: "It names the API server from which kube-proxy learns where traffic goes: whoever may write it redirects every service on the node.",
		How: "The kubeconfigs of kube-proxy that lie on the host have to belong to root and to have mode 0644 or less. They are found as kube-proxy-kubeconfig-closed finds them, which holds them to the 0600 of CIS.",
		Remedy: map[string]string{
			"cos": "Recreate the node, which has the file written anew, and look for the privileged pod that opened it to writers.",
			"":    "chown root:root the file that is named, and take the right to write it from group and others (chmod go-w).",
		},
	},
	Judge: judgeProxyKubeconfig(forAll),
}

// judgeProxyKubeconfig makes a judge of the kubeconfigs of kube-proxy, which have to
// be root's and to have this mode at most.
func judgeProxyKubeconfig(limit uint32) Judge {
	return On3(node.Credentials.Parts("cluster"), node.ControlPlane.Parts("proxy"), node.OS.Parts("init", "pidNamespace"), func(s node.CredentialState, c node.ControlPlaneState, sys node.System, g Given) Finding {
		if !lookedForCredentials(s) || c.Proxy == "" {
			return unsaid("how kube-proxy runs on it")
		}
		j := fileJudge{declared: g.Profile.Credentials}
		j.called(s.Cluster, limit, func(f node.CredentialFile) bool { return f.Kind == "kubeconfig" && isProxyFile(f.Path) })
		if j.any() {
			return j.finding("more than root can "+verbOf(limit)+" the kubeconfig of kube-proxy", "only root can "+verbOf(limit)+" the kubeconfig of kube-proxy")
		}
		switch c.Proxy {
		case "pod":
			return wholeMachine(sys, notApplicable("in-cluster", "kube-proxy runs as a pod, and its configuration is a volume that the API server fills"))
		case "absent":
			return wholeMachine(sys, notApplicable("no-kube-proxy", "no kube-proxy runs on this node, and no kubeconfig of one lies here"))
		}
		return unknown(unreadCode, "kube-proxy runs, and its kubeconfig was found in none of the places that are looked at")
	})
}

// verbOf is what those can do with a file whose mode is more than limit.
func verbOf(limit uint32) string {
	if limit == forAll {
		return "change"
	}
	return "read"
}

func isProxyFile(p string) bool {
	base := path.Base(p)
	return strings.HasPrefix(p, "/var/lib/kube-proxy/") || strings.Contains(base, "kube-proxy") || strings.Contains(base, "kubeproxy") || base == "proxy.config"
}

var controlPlaneFilesClosed = Check{
	ID: "control-plane-files-closed", Rev: 2, Topic: Credentials, Severity: High,
	Title: "only root can read or change the files of the control plane",
	Refs: []Ref{
		{cisKubernetes, "1.1.1"}, {cisKubernetes, "1.1.2"}, {cisKubernetes, "1.1.3"}, {cisKubernetes, "1.1.4"}, {cisKubernetes, "1.1.5"}, {cisKubernetes, "1.1.6"},
		{cisKubernetes, "1.1.7"}, {cisKubernetes, "1.1.8"}, {cisKubernetes, "1.1.11"}, {cisKubernetes, "1.1.12"}, {cisKubernetes, "1.1.13"}, {cisKubernetes, "1.1.14"},
		{cisKubernetes, "1.1.15"}, {cisKubernetes, "1.1.16"}, {cisKubernetes, "1.1.17"}, {cisKubernetes, "1.1.18"}, {sp80053, "AC-6"}, {sp80053, "CM-5(6)"},
	},
	Help: Help{
		Why: "Whoever writes a manifest starts a pod as root without asking the API server; whoever reads etcd's data has every Secret of the cluster.",
		How: "Static pods in the folder that the kubelet names, admin.conf, super-admin.conf, controller-manager.conf and scheduler.conf: 0600 or closer, owned by root, and of a link what it leads to. The folder of etcd's data: 0700 or closer, owned by root or by the user that the profile declares for etcd. On a worker (told as in no-admin-credentials) there is nothing to judge. The STIG is content with 0644 for files: control-plane-files-kept.",
		Remedy: map[string]string{
			"talos": "Talos has no manifests in files, and sets 0700 and user 60 on /var/lib/etcd: reboot the node, and look for the privileged pod that changed it.",
			"":      "chmod 0600 /etc/kubernetes/manifests/*.yaml and /etc/kubernetes/*.conf, chown root:root; chmod 0700 /var/lib/etcd. k3s: write-kubeconfig-mode: \"0600\" in config.yaml.",
		},
	},
	Judge: judgeControlPlaneFiles(forRoot),
}

// controlPlaneFilesKept is what the STIG asks of the files that CIS wants closed to
// readers too.
var controlPlaneFilesKept = Check{
	ID: "control-plane-files-kept", Rev: 1, Topic: Credentials, Severity: High,
	Title: "only root can change the files of the control plane",
	Refs: []Ref{
		{kubernetesSTIG, "V-242405"}, {kubernetesSTIG, "V-242408"}, {kubernetesSTIG, "V-242444"}, {kubernetesSTIG, "V-242445"},
		{kubernetesSTIG, "V-242446"}, {kubernetesSTIG, "V-242459"}, {kubernetesSTIG, "V-242460"}, {sp80053, "CM-5(6)"},
	},
	Help: Help{
		Why: "A manifest that somebody else may write is a pod with every right on the host; a kubeconfig of the scheduler or controller manager that he may write sends them to an API server of his.",
		How: "The files of control-plane-files-closed: manifests of static pods and kubeconfigs of the control plane have to belong to root and to have mode 0644 or less. The files of etcd's data are not looked at one by one: their folder has to be 0700 or closer, which lets nobody else at them. CIS wants 0600 for the rest.",
		Remedy: map[string]string{
			"talos": "Nothing of Talos opens them to writers: reset the machine (talosctl reset) and look for the privileged pod that did.",
			"":      "chown root:root the files that are named and chmod go-w them; chmod 0700 the folder of etcd's data. Compare manifests with their source: they may have been changed already.",
		},
	},
	Judge: judgeControlPlaneFiles(forAll),
}

var controlPlaneKubeconfigs = []string{"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf", "k3s.yaml", "rke2.yaml"}

// judgeControlPlaneFiles makes a judge of the files of a control plane, which have to
// be root's and to have this mode at most.
func judgeControlPlaneFiles(limit uint32) Judge {
	return On3(node.Credentials.Parts("cluster", "staticPods", "etcd"), node.ControlPlane.Parts("runs", "parts"), node.OS.Parts("init", "pidNamespace"), func(s node.CredentialState, c node.ControlPlaneState, sys node.System, g Given) Finding {
		switch role := roleOf(c, sys); {
		case role == roleWorker:
			return notApplicable("worker", "no part of a control plane runs on this node")
		case role == roleUnknown && c.Runs != "yes": // a manifest is enough to look at it
			return unsaid("whether a control plane runs on it")
		}
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		j := fileJudge{declared: g.Profile.Credentials}
		j.called(s.StaticPods, limit, func(node.CredentialFile) bool { return true })
		j.called(s.Cluster, limit, func(f node.CredentialFile) bool { return slices.Contains(controlPlaneKubeconfigs, path.Base(f.Path)) })
		data := false
		for _, f := range s.Etcd {
			if f.Type == node.Directory {
				data = true
				j.judge(f, 0o700)
			}
		}
		switch {
		case !j.any():
			return unknown(unreadCode, "a control plane runs here, "+partsText(c)+", and none of its files was found where they are looked for")
		case len(j.bad) == 0 && !data && runsAsProcess(c, "etcd"):
			return unknown(unreadCode, "etcd runs here, and its data was not found where it is looked for")
		}
		return j.finding("these files of the control plane are open to more than root", fmt.Sprintf("%d files of the control plane: root alone can %s them", len(j.good), verbOf(limit)))
	})
}

var cniFilesClosed = Check{
	ID: "cni-files-closed", Rev: 1, Topic: Credentials, Severity: Low,
	Title: "only root can read or change the configuration of network plugins",
	Refs:  []Ref{{cisKubernetes, "1.1.9"}, {cisKubernetes, "1.1.10"}, {sp80053, "CM-5(6)"}},
	Help: Help{
		Why: "Whoever writes there chooses a program that the container runtime starts as root for every pod; some plugins keep a kubeconfig there.",
		How: "Every file in /etc/cni/net.d, in /etc/kubernetes/cni/net.d of OpenShift and in the folder of k3s: 0600 or closer and root's, as CIS 1.1.9 asks of control planes; a worker has the same files. A file that others may read, and that only root may change, passes where the profile declares it. Another folder in the runtime's configuration is not followed.",
		Remedy: map[string]string{
			"": "Set mode 0600 and owner root where the file is written, which is often an init container of the plugin's DaemonSet, or declare it in a site overlay.",
		},
	},
	Judge: On2(node.Credentials.Parts("cni"), node.Kubelet.Parts("found"), func(s node.CredentialState, k node.KubeletState, g Given) Finding {
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		j := fileJudge{declared: g.Profile.Credentials}
		for _, f := range s.CNI {
			limit := uint32(forRoot)
			if placeNames(g.Profile.Credentials.Readable, f.Path) {
				limit = forAll
			}
			if f.Type == node.Regular {
				j.judge(f, limit)
			}
		}
		switch {
		case !j.any() && k.Found == "absent":
			return notApplicable("no-kubelet", "no kubelet runs on this node, and no configuration of a network plugin was found")
		case !j.any():
			return unknown(unreadCode, "no configuration of a network plugin was found in /etc/cni/net.d and its like; the runtime may read another folder")
		}
		return j.finding("these files of network plugins are open to more than root", fmt.Sprintf("%d files of network plugins are open to root alone", len(j.good)))
	}),
}
