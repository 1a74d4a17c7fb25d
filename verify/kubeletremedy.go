package verify

import (
	"fmt"
	"maps"
)

// kubeletRemedy is how a setting of the kubelet is written on each system, in
// YAML or as an argument. Systems that have it their own way are in own; Talos is
// told through its machine configuration, Bottlerocket and GKE know only the
// settings that they name, so that without an entry in own a new node is all.
//
// Sources: kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-reconfigure;
// docs.siderolabs.com, machine.kubelet.extraConfig; docs.openshift.com, KubeletConfig;
// docs.k3s.io and docs.rke2.io, kubelet-arg; bottlerocket.dev, settings.kubernetes;
// cloud.google.com/kubernetes-engine/docs/how-to/node-system-config.
func kubeletRemedy(yaml, argument string, own map[string]string) map[string]string {
	file := fmt.Sprintf("write %s into the file that --config names, and restart the kubelet (systemctl restart kubelet); with kubeadm that file is /var/lib/kubelet/config.yaml, and the same goes into the ConfigMap kubelet-config of kube-system, from which upgrades are made", yaml)
	k3s := ""
	if argument != "" {
		k3s = fmt.Sprintf("; with k3s or RKE2 it is kubelet-arg: [%q] in /etc/rancher/k3s/config.yaml or /etc/rancher/rke2/config.yaml", argument)
	}
	out := map[string]string{
		"":              "Take the argument out of the kubelet's unit where it stands there, " + file + k3s + ".",
		"talos":         fmt.Sprintf("In the machine configuration: machine: {kubelet: {extraConfig: {%s}}}; apply it with talosctl patch machineconfig.", yaml),
		"flatcar":       "Take the argument out of the kubelet's unit where it stands there, " + file + "; put it into the Butane configuration of new nodes too.",
		"fedora-coreos": fmt.Sprintf("On OpenShift: a KubeletConfig resource for the machine config pool with spec: {kubeletConfig: {%s}}; the pool restarts its nodes. Elsewhere: ", yaml) + file + "; put it into the Butane configuration of new nodes too.",
		"bottlerocket":  fmt.Sprintf("Bottlerocket has no setting for %s: replace the node if its kubelet's configuration was changed, and waive the check if a new node is the same.", yaml),
		"cos":           fmt.Sprintf("GKE has no setting for %s: recreate the node in its pool, and waive the check if a new node is the same. Elsewhere: ", yaml) + file + ".",
		"microos":       fmt.Sprintf("With k3s or RKE2: kubelet-arg: [%q] in /etc/rancher/k3s/config.yaml or /etc/rancher/rke2/config.yaml, then restart the service. With kubeadm: ", argument) + file + ".",
	}
	maps.Copy(out, own)
	return out
}
