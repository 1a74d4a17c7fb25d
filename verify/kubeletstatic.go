package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// controlPlaneManifests are the static pods of a control plane node.
// Sources: kubeadm, app/constants, GetStaticPodFilepath; OpenShift's static pod
// installer ("-pod"); RKE2, pkg/staticpod.
var controlPlaneManifests = []string{
	"cloud-controller-manager.yaml", "etcd.yaml", "etcd-pod.yaml", "kube-apiserver.yaml", "kube-apiserver-pod.yaml",
	"kube-controller-manager.yaml", "kube-controller-manager-pod.yaml", "kube-proxy.yaml", "kube-scheduler.yaml", "kube-scheduler-pod.yaml",
}

// KubeletStaticPodsDeclared demands that no file makes a pod that nobody knows of.
var KubeletStaticPodsDeclared = Check{
	ID: "kubelet-static-pods-declared", Rev: 1, Topic: KubeletTopic, Severity: High,
	Title: "every static pod manifest on the node is declared or belongs to a control plane",
	Refs:  []Ref{{sp80053, "CM-7"}, {sp80053, "CM-5"}, {sp80053, "AC-6"}},
	Help: Help{
		Why: "A file in the kubelet's folder of static pods is a pod with whatever rights it asks for; no admission, no quota and no policy of the cluster sees it first.",
		How: "staticPodPath as it takes effect has to be empty, or what it names has to belong to root, be writable for root alone, and hold no manifest but those that the profile declares and those of a control plane (by name, and only where kube-apiserver is among them and is seen to run). A folder that is not there is an empty one.",
		Remedy: map[string]string{
			"cos":           "GKE puts no manifest there but its own, such as that of kube-proxy: declare that one in a site overlay, remove any other, and recreate the node.",
			"":              "Look at each manifest with the owner of the cluster; remove what nobody declared, take staticPodPath out of the file that --config names where the node is no control plane, and restart the kubelet.",
			"talos":         "Talos sets no staticPodPath: take it out of machine.kubelet.extraConfig; pods of the node belong into machine.pods (talosctl patch machineconfig).",
			"flatcar":       "Remove the manifest from /etc/kubernetes/manifests and from the Butane configuration that put it there; kubeadm sets staticPodPath on workers too, where it can be taken out of /var/lib/kubelet/config.yaml.",
			"bottlerocket":  "Bottlerocket always sets staticPodPath to /etc/kubernetes/static-pods: apiclient get settings.kubernetes.static-pods names what was asked for; apiclient set kubernetes.static-pods.NAME.enabled=false takes it away.",
			"fedora-coreos": "On OpenShift /etc/kubernetes/manifests belongs to the machine configuration operator: remove what no MachineConfig holds. Elsewhere remove the file, and what Ignition wrote.",
			"microos":       "With RKE2 and k3s the folder is agent/pod-manifests below the data directory: remove what the server did not write, and declare the rest in the site overlay.",
		},
	},
	Judge: seeingControlPlane(func(c node.ControlPlaneState) Judge {
		return On2(node.Kubelet, node.StaticPods, func(k node.KubeletState, pods node.StaticPodState, g Given) Finding {
			if f, none := withoutKubelet(k); none {
				return f
			}
			s, f := effective(k, "staticPodPath")
			switch {
			case f != nil:
				return *f
			case s.text() == "":
				return pass("no-folder", s.String())
			case pods.Folder.Path == "":
				return unsaid("what is in " + s.text())
			}
			return judgeStaticPods(s, pods, c, g)
		})
	}),
}

// seeingControlPlane makes a judge that knows what was seen of a control plane.
// It may lean on nothing else, so that what was not seen takes nothing from it.
func seeingControlPlane(judge func(node.ControlPlaneState) Judge) Judge {
	reads := append(judge(node.ControlPlaneState{}).reads, node.ControlPlane.Name)
	return Judge{reads, func(facts node.Facts, g Given) Finding {
		c, _, _ := node.ControlPlane.Of(facts)
		return judge(c).decide(facts, g)
	}}
}

func judgeStaticPods(s kubeletSetting, pods node.StaticPodState, c node.ControlPlaneState, g Given) Finding {
	controlPlane := slices.ContainsFunc(pods.Manifests, func(f node.KubeletFile) bool {
		return strings.HasPrefix(path.Base(f.Path), "kube-apiserver")
	})
	var open, strange, known []string
	for _, f := range append([]node.KubeletFile{pods.Folder}, pods.Manifests...) {
		if f.Found == "yes" && (f.UID != 0 || f.Mode&0o022 != 0) {
			open = append(open, fileText(f))
		}
	}
	for _, f := range pods.Manifests {
		declared := placeNames(g.Profile.Kubelet.StaticPods, f.Path)
		if declared || controlPlane && slices.Contains(controlPlaneManifests, path.Base(f.Path)) {
			known = append(known, f.Path)
		} else {
			strange = append(strange, f.Path)
		}
	}
	switch {
	case len(strange) > 0:
		return fail("undeclared", "the kubelet makes pods of "+strings.Join(strange, ", "), strange...)
	case len(open) > 0:
		return fail("open", "others than root may make pods: "+strings.Join(open, ", "), open...)
	case pods.Folder.Found == "unknown":
		return unknown("folder-unseen", s.String()+", and what is there could not be seen", s.text())
	case controlPlane && !runsAsProcess(c, "kube-apiserver"):
		return unknown("control-plane-unseen", "manifests of a control plane lie here, and no kube-apiserver was seen to run: "+strings.Join(known, ", "), known...)
	case len(known) > 0:
		return pass("declared", "the kubelet makes pods of "+strings.Join(known, ", "), known...)
	}
	return pass("empty", s.String()+", and no manifest is there")
}

// KubeletStaticPodURLDeclared demands that no web server makes pods.
var KubeletStaticPodURLDeclared = Check{
	ID: "kubelet-static-pod-url-declared", Rev: 1, Topic: KubeletTopic, Severity: High,
	Title: "the kubelet fetches static pods from no URL but one of the system's own",
	Refs:  []Ref{{sp80053, "CM-7"}, {sp80053, "CM-5"}},
	Help: Help{
		Why: "Whoever answers at that address, or stands on the way to it, runs pods on the node as root, past every policy of the cluster.",
		How: "staticPodURL as it takes effect has to be empty, or an address that the profile declares. The port of a loopback address, and what may be a token, are not kept.",
		Remedy: kubeletRemedy(`staticPodURL: ""`, "manifest-url=", map[string]string{
			"talos":        "Talos sets staticPodURL itself, to a server of machined's on 127.0.0.1: take staticPodURL out of machine.kubelet.extraConfig and manifest-url out of machine.kubelet.extraArgs.",
			"bottlerocket": "Bottlerocket sets no staticPodURL and has no setting for it: replace the node, and find out who wrote into its kubelet's configuration.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "staticPodURL")
		if f != nil {
			return *f
		}
		if s.text() == "" {
			return pass("none", s.String())
		}
		for _, place := range g.Profile.Kubelet.StaticPods {
			if matches(strings.TrimSuffix(s.text(), "/"), place.Path) {
				return pass("by-the-system", s.String()+": "+place.Why)
			}
		}
		return fail("undeclared", s.String()+": whoever answers there makes pods on this node", s.text())
	}),
}

// fileText is a file with what its access depends on.
func fileText(f node.KubeletFile) string {
	return fmt.Sprintf("%s (mode %04o, owner %d:%d)", f.Path, f.Mode, f.UID, f.GID)
}
