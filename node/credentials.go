package node

import (
	"context"
	"slices"
	"strings"
)

// CredentialState is what a reader of this node's disk would find: files that
// hold keys, tokens or passwords. Their contents are in none of it.
type CredentialState struct {
	// Kubelet are the files that the running kubelet names, and those in its
	// folder of certificates.
	Kubelet []CredentialFile `json:"kubelet"`
	// Cluster are files of the cluster: below /etc/kubernetes, of etcd, and of
	// distributions such as k3s and RKE2.
	Cluster []CredentialFile `json:"cluster"`
	// System are keys of the system itself: Talos' secrets, SSH host keys.
	System []CredentialFile `json:"system"`
	// Homes are keys of people: kubeconfigs, talosconfigs, SSH keys in home directories.
	Homes []CredentialFile `json:"homes"`
	// Cloud are credentials for the API of a cloud.
	Cloud []CredentialFile `json:"cloud"`
	// Registry are passwords for container registries.
	Registry []CredentialFile `json:"registry"`
	// UserData is what the node was provisioned with, which often holds a token.
	UserData []CredentialFile `json:"userData"`
	// StaticPods are the manifests of static pods, CNI the configuration of
	// network plugins, Etcd the folders of etcd's data.
	StaticPods []CredentialFile `json:"staticPods"`
	CNI        []CredentialFile `json:"cni"`
	Etcd       []CredentialFile `json:"etcd"`
	// Folders are those above all these files, sorted.
	Folders []Folder `json:"folders"`
	// Looked are the places that were looked at, whether something was there or
	// not, sorted; "~" stands for every home directory.
	Looked []string `json:"looked"`
}

// CredentialFile is a file that holds a credential, or lies where one is kept.
type CredentialFile struct {
	Path string `json:"path"` // no folder on it is a link
	// Kind is "pem" (keys and certificates), "kubeconfig", "bootstrap-kubeconfig",
	// "token", "password", "encryption-key", "talosconfig", "machine-config",
	// "user-data", "settings" (of a cloud or registry), "static-pod", "cni", "folder".
	Kind string   `json:"kind"`
	Type FileType `json:"type"`
	Link string   `json:"link,omitempty"` // what a symbolic link leads to in the end; "" where that is nothing
	Mode uint32   `json:"mode"`
	UID  uint32   `json:"uid"`
	GID  uint32   `json:"gid"`
	Size int64    `json:"size,omitempty"` // of regular files

	// Content is "read", "unread" (it could not be, and a gap says why) or ""
	// for what is never opened. The fields after it come from the content.
	Content      string        `json:"content,omitempty"`
	Digest       string        `json:"digest,omitempty"` // first 16 digits of the SHA-256, of files with keys and certificates alone
	Keys         []PrivateKey  `json:"keys,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	// Credential of a kubeconfig is as in KubeletState.Credential, Certificate that
	// of its user: inside, or the file that it names.
	Credential      string       `json:"credential,omitempty"`
	Certificate     *Certificate `json:"certificate,omitempty"`
	CertificateFile string       `json:"certificateFile,omitempty"` // all links followed
	// Holds is, of settings, "secret", "none", or "unknown" for a form that is not known.
	Holds string `json:"holds,omitempty"`
}

// Credentials are the files with credentials that lie on the node. Bounded walks
// of the folders of clusters, and looks at places that are known; no storage of
// containers. Source of places: see credentialPlaces.
var Credentials = Source[CredentialState]{
	Name:  "credentials",
	Doc:   "files that hold keys, tokens or passwords: where, whose, until when; never what",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (CredentialState, []Gap, error) {
		r := newCredentialReading(h)
		r.readKubelet()
		for _, p := range credentialPlaces {
			r.readPlace(p)
		}
		return r.finish()
	},
}

// credentialPlace is a place that is looked at. A path that begins with "~/" is
// looked for in every home directory.
type credentialPlace struct {
	list string // the field of CredentialState, by its JSON name
	path string // relative to the root
	kind string // as in CredentialFile; "walk" for a folder whose files tell their kind by their name
}

// credentialPlaces are where credentials lie by the word of those who put them
// there. Sources: kubeadm's certificates and kubeconfigs (kubernetes.io, PKI
// certificates and requirements); Talos pkg/machinery/constants/constants.go;
// docs.k3s.io and docs.rke2.io; docs.k0sproject.io; GKE cluster/gce/gci/
// configure-helper.sh; OpenShift machine-config-operator templates; Bottlerocket
// sources/api; cloud-init, Ignition and Afterburn documentation; the
// command-line tools of AWS, Google Cloud and Azure; containers-auth.json(5).
var credentialPlaces = []credentialPlace{
	{"cluster", "etc/kubernetes", "walk"},
	{"cluster", "etc/srv/kubernetes", "walk"},
	{"cluster", "etc/etcd", "walk"},
	{"cluster", "etc/ssl/etcd", "walk"},
	{"cluster", "var/lib/kube-proxy", "walk"},
	{"cluster", "var/lib/rancher/k3s/server/tls", "walk"},
	{"cluster", "var/lib/rancher/k3s/server/cred", "walk"},
	{"cluster", "var/lib/rancher/k3s/server/token", "token"},
	{"cluster", "var/lib/rancher/k3s/server/agent-token", "token"},
	{"cluster", "var/lib/rancher/rke2/server/tls", "walk"},
	{"cluster", "var/lib/rancher/rke2/server/cred", "walk"},
	{"cluster", "var/lib/rancher/rke2/server/token", "token"},
	{"cluster", "var/lib/rancher/rke2/server/agent-token", "token"},
	{"cluster", "etc/rancher/k3s/k3s.yaml", "kubeconfig"},
	{"cluster", "etc/rancher/rke2/rke2.yaml", "kubeconfig"},
	{"cluster", "etc/rancher/node/password", "password"},
	{"cluster", "var/lib/k0s/pki", "walk"},
	{"cluster", "var/snap/microk8s/current/certs", "walk"},
	{"cluster", "var/snap/microk8s/current/credentials", "walk"},
	{"cluster", "var/lib/rancher/k3s/agent/kubelet.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/k3s/agent/kubeproxy.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/k3s/agent/k3scontroller.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/k3s/agent/serving-kubelet.key", "pem"},
	{"cluster", "var/lib/rancher/k3s/agent/client-kubelet.key", "pem"},
	{"cluster", "var/lib/rancher/k3s/agent/client-kubelet.crt", "pem"},
	{"cluster", "var/lib/rancher/k3s/agent/client-kube-proxy.key", "pem"},
	{"cluster", "var/lib/rancher/k3s/agent/client-k3s-controller.key", "pem"},
	{"cluster", "var/lib/rancher/rke2/agent/kubelet.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/rke2/agent/kubeproxy.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/rke2/agent/rke2controller.kubeconfig", "kubeconfig"},
	{"cluster", "var/lib/rancher/rke2/agent/serving-kubelet.key", "pem"},
	{"cluster", "var/lib/rancher/rke2/agent/client-kubelet.key", "pem"},
	{"cluster", "var/lib/rancher/rke2/agent/client-kubelet.crt", "pem"},
	{"cluster", "var/lib/rancher/rke2/agent/client-kube-proxy.key", "pem"},
	{"cluster", "var/lib/rancher/rke2/agent/client-rke2-controller.key", "pem"},

	{"system", "system/secrets", "walk"},
	{"system", "etc/ssh/ssh_host_ecdsa_key", "pem"},
	{"system", "etc/ssh/ssh_host_ed25519_key", "pem"},
	{"system", "etc/ssh/ssh_host_rsa_key", "pem"},

	{"homes", "~/.kube/config", "kubeconfig"},
	{"homes", "~/.talos/config", "talosconfig"},
	{"homes", "~/talosconfig", "talosconfig"},
	{"homes", "~/.ssh/id_dsa", "pem"},
	{"homes", "~/.ssh/id_ecdsa", "pem"},
	{"homes", "~/.ssh/id_ed25519", "pem"},
	{"homes", "~/.ssh/id_rsa", "pem"},

	{"cloud", "~/.aws/credentials", "settings"},
	{"cloud", "~/.config/gcloud/application_default_credentials.json", "settings"},
	{"cloud", "~/.config/gcloud/credentials.db", "token"},
	{"cloud", "~/.config/gcloud/access_tokens.db", "token"},
	{"cloud", "~/.azure/accessTokens.json", "token"},
	{"cloud", "~/.azure/msal_token_cache.json", "token"},
	{"cloud", "~/.azure/service_principal_entries.json", "token"},
	{"cloud", "etc/kubernetes/azure.json", "settings"},
	{"cloud", "etc/kubernetes/cloud-config", "settings"},
	{"cloud", "etc/kubernetes/cloud.conf", "settings"},
	{"cloud", "etc/gce.conf", "settings"},

	{"registry", "var/lib/kubelet/config.json", "settings"},
	{"registry", "~/.docker/config.json", "settings"},
	{"registry", "~/.config/containers/auth.json", "settings"},
	{"registry", "run/containers/0/auth.json", "settings"},
	{"registry", "run/ostree/auth.json", "settings"},
	{"registry", "etc/ostree/auth.json", "settings"},
	{"registry", "etc/rancher/k3s/registries.yaml", "password"},
	{"registry", "etc/rancher/rke2/registries.yaml", "password"},

	{"userData", "system/state/config.yaml", "machine-config"},
	{"userData", "run/ignition.json", "user-data"},
	{"userData", "boot/ignition/config.ign", "user-data"},
	{"userData", "oem/config.ign", "user-data"},
	{"userData", "usr/share/oem/config.ign", "user-data"},
	{"userData", "etc/ignition-machine-config-encapsulated.json", "user-data"},
	{"userData", "etc/ignition-machine-config-encapsulated.json.bak", "user-data"},
	{"userData", "var/lib/cloud/instance/user-data.txt", "user-data"},
	{"userData", "var/lib/cloud/instance/user-data.txt.i", "user-data"},
	{"userData", "var/lib/cloud/instance/cloud-config.txt", "user-data"},
	{"userData", "run/cloud-init/instance-data-sensitive.json", "user-data"},
	{"userData", "var/lib/waagent/ovf-env.xml", "user-data"},
	{"userData", "var/lib/waagent/CustomData", "user-data"},
	{"userData", "var/lib/coreos-install/user_data", "user-data"},
	{"userData", "var/lib/bottlerocket/user-data.toml", "user-data"},
	{"userData", "var/lib/bottlerocket/datastore", "folder"},
	{"userData", "home/kubernetes/kube-env", "user-data"},
	{"userData", "etc/rancher/k3s/config.yaml", "user-data"},
	{"userData", "etc/rancher/rke2/config.yaml", "user-data"},
	{"userData", "etc/systemd/system/k3s.service.env", "user-data"},
	{"userData", "etc/systemd/system/k3s-agent.service.env", "user-data"},

	{"cni", "etc/cni/net.d", "cni"},
	{"cni", "etc/kubernetes/cni/net.d", "cni"},
	{"cni", "var/lib/rancher/k3s/agent/etc/cni/net.d", "cni"},

	{"etcd", "var/lib/etcd", "folder"},
	{"etcd", "var/lib/rancher/k3s/server/db", "folder"},
	{"etcd", "var/lib/rancher/rke2/server/db", "folder"},
}

// CredentialPlaces are the fixed places that [Credentials] looks at, sorted:
// absolute paths, with "~" for every home directory.
func CredentialPlaces() []string {
	var out []string
	for _, p := range credentialPlaces {
		out = append(out, p.name())
	}
	slices.Sort(out)
	return out
}

func (p credentialPlace) name() string {
	if strings.HasPrefix(p.path, "~") {
		return p.path
	}
	return "/" + p.path
}

// credentialKind is the kind of a file in a folder that is walked, by its name; "" for
// what holds no credential by it. Configurations of the kubelet are left to
// their own fact.
func credentialKind(name string) string {
	base := strings.ToLower(name[strings.LastIndexByte(name, '/')+1:])
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(s string) bool { return strings.Contains(base, s) })
	}
	ends := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(base, s) })
	}
	switch {
	case has("encryption"):
		return "encryption-key"
	case has("bootstrap") && has("kube") && !ends(".crt", ".key", ".pem"):
		return "bootstrap-kubeconfig"
	case ends(".key", ".pem", ".crt", ".cert", ".cer"):
		return "pem"
	case slices.Contains([]string{"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf", "kube-proxy.conf"}, base),
		has("kubeconfig"), ends(".config") && strings.Contains(name, "/credentials/"):
		return "kubeconfig"
	case has("token", "known_tokens", "basic_auth"):
		return "token"
	case has("passw", "passwd"):
		return "password"
	}
	return ""
}
