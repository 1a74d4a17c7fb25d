package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// credentialChecks are about what a reader of this disk would gain.
var credentialChecks = []Check{
	kubeletKeysClosed,
	noAdminCredentials,
	noCAKeys,
	bootstrapCredentialGone,
	nodeClientCertificateValid,
	serviceAccountTokensInMemory,
	serviceAccountTokensShortLived,
	noLegacyTokenSecrets,
	noSecretsInEnvironment,
	noPodSecretsInEnvironment,
	noCloudKeys,
	noUserKeys,
	registryCredentialsClosed,
	userDataClosed,
	kubeProxyKubeconfigClosed,
	kubeProxyKubeconfigKept,
	controlPlaneFilesClosed,
	controlPlaneFilesKept,
	cniFilesClosed,
}

var kubeletKeysClosed = Check{
	ID: "kubelet-keys-closed", Rev: 1, Topic: Credentials, Severity: High,
	Title: "only root can read the node's Kubernetes keys, and only root can change its certificates",
	Refs:  slices.Concat(credentialRefs, []Ref{{cisKubernetes, "1.1.19"}, {cisKubernetes, "1.1.20"}, {cisKubernetes, "1.1.21"}, {kubernetesSTIG, "V-242451"}, {kubernetesSTIG, "V-242466"}, {kubernetesSTIG, "V-242467"}, {sp80053, "CM-5(6)"}, {grundschutz, "SYS.1.6.A8"}}),
	Help: Help{
		Why: "Whoever reads the kubelet's key is this node to the API server, with the secrets of all its pods. Whoever replaces a certificate decides whom the node trusts.",
		How: "Every key and certificate that the running kubelet names, that lies in its folder of certificates, below /etc/kubernetes, in the folders of etcd, k3s, RKE2, k0s and GKE, and in Talos' /system/secrets. What holds a private key, a token or a password must be 0600 or closer, a certificate 0644 or closer, and root or a user that the profile declares must own it. What a file holds is told from its PEM blocks, not from its name; keys are never kept.",
		Remedy: map[string]string{
			"talos":        "Talos writes its keys anew at every boot: reboot the node, and look for the extension or privileged pod that changed the mode.",
			"bottlerocket": "Bottlerocket writes them from its settings: replace the node, and look for the privileged container that changed the mode.",
			"":             "chmod 0600 what holds a key, chmod 0644 certificates, chown root:root both. Where a configuration (Butane, cloud-init) writes them, put mode and owner there.",
		},
	},
	Judge: On2(node.Credentials.Parts("kubelet", "cluster", "system"), node.Kubelet, func(s node.CredentialState, k node.KubeletState, g Given) Finding {
		f := judgeKeys(s, g)
		if none, without := withoutKubelet(k); without && lookedForCredentials(s) && f.Code == unreadCode {
			return none
		}
		return f // a control plane, or a kubelet that has stopped, has keys as well
	}),
}

func judgeKeys(s node.CredentialState, g Given) Finding {
	if !lookedForCredentials(s) {
		return unsaid(credentialsUnsaid)
	}
	j := fileJudge{declared: g.Profile.Credentials}
	for _, f := range slices.Concat(s.Kubelet, s.Cluster, s.System) {
		ssh := strings.HasPrefix(f.Path, "/etc/ssh/")
		if f.Type != node.Regular || ssh || !slices.Contains([]string{"pem", "token", "password", "encryption-key"}, f.Kind) {
			continue
		}
		limit := uint32(forRoot)
		if f.Kind == "pem" && !holdsPrivateKey(f) {
			limit = forAll
		}
		j.judge(f, limit)
	}
	if !j.any() {
		return unknown(unreadCode, fmt.Sprintf("a kubelet runs, and none of its keys was found in the %d places that were looked at", len(s.Looked)))
	}
	return j.finding("these are open to more than root", fmt.Sprintf("%d keys, certificates and tokens are open to root alone, certificates readable", len(j.good)))
}

var noAdminCredentials = Check{
	ID: "no-admin-credentials", Rev: 2, Topic: Credentials, Severity: Critical,
	Title: "no cluster administrator credential and no etcd key lies where it does not belong",
	Refs:  slices.Concat(credentialRefs, []Ref{{sp80053, "IA-5(7)"}, {pciContainers, "1.4"}}),
	Help: Help{
		Why: "A worker is expected to be lost one day. With admin.conf, a talosconfig or a key of etcd on it, the whole cluster is lost with it.",
		How: "Kubeconfigs whose client certificate is of the group system:masters, admin.conf, super-admin.conf, k3s.yaml and rke2.yaml, talosconfigs, certificates of system:masters, keys of etcd, and every kubeconfig with a credential in a home directory. What a token outside homes may do the cluster alone knows, and it is not judged; a certificate that could not be parsed is unknown. On a worker none may lie anywhere that is looked at; on a control plane they belong where kubeadm, Talos or the distribution puts them, and not in home directories. A control plane is one where kube-apiserver, etcd, a controller manager or scheduler runs on the host or its network, or where k3s or RKE2 runs as server; a static pod of that name of which nothing runs leaves it unknown, and a node with neither is a worker.",
		Remedy: map[string]string{
			"talos": "Remove the kubeconfig or talosconfig that somebody copied to the node (it can only be below /var), and issue it anew: talosctl config new, talosctl kubeconfig. The old one stays valid until its certificate ends.",
			"":      "Remove the file. Its certificate stays valid until it ends: where it may have been read, bind the group anew or rotate the certificate authority. On control planes work with kubectl from elsewhere, or with KUBECONFIG=/etc/kubernetes/admin.conf as root.",
		},
	},
	Judge: On3(node.Credentials.Parts("kubelet", "cluster", "system", "homes"), node.ControlPlane.Parts("runs", "parts"), node.OS.Parts("init", "pidNamespace"), judgeAdmin),
}

var adminFiles = []string{"admin.conf", "super-admin.conf", "k3s.yaml", "rke2.yaml"}

// adminCredential says why a file, to which these paths lead, is a credential of
// administrators; "" where it is none.
func adminCredential(f node.CredentialFile, paths []string, home bool) string {
	masters := func(c node.Certificate) bool { return c.Class == "masters" && !c.CA }
	switch {
	case f.Kind == "talosconfig":
		return "a configuration of talosctl"
	case f.Certificate != nil && masters(*f.Certificate):
		return "a kubeconfig of system:masters"
	case slices.ContainsFunc(paths, func(p string) bool { return slices.Contains(adminFiles, path.Base(p)) }) && f.Kind == "kubeconfig" && f.Credential != "none":
		return "a kubeconfig of administrators by its name"
	case home && f.Kind == "kubeconfig" && f.Credential != "none":
		return "a kubeconfig in a home directory"
	case slices.ContainsFunc(f.Certificates, masters):
		return "a certificate of system:masters"
	case f.Kind == "pem" && holdsPrivateKey(f) && slices.ContainsFunc(paths, etcdKey):
		return "a key of etcd"
	}
	return ""
}

func etcdKey(p string) bool {
	return strings.Contains(p, "/etcd/") || strings.Contains(path.Base(p), "etcd")
}

// isUntold reports whether a kubeconfig holds a credential whose group could not be
// told: one of an unknown form, or a certificate that could not be parsed or found.
func isUntold(f node.CredentialFile) bool {
	if f.Kind != "kubeconfig" && f.Kind != "bootstrap-kubeconfig" {
		return false
	}
	return f.Credential == "unknown" || f.Credential == "certificate-data" && f.Certificate == nil || f.Credential == "certificate-file" && f.CertificateFile == ""
}

func judgeAdmin(s node.CredentialState, c node.ControlPlaneState, sys node.System, g Given) Finding {
	if !lookedForCredentials(s) {
		return unsaid(credentialsUnsaid)
	}
	paths := pathsTo(s.Kubelet, s.Cluster, s.System, s.Homes)
	var bad, cluster, declared, open []string
	add := func(credentialFiles []node.CredentialFile, home bool, list *[]string) {
		for _, f := range credentialFiles {
			why := adminCredential(f, paths[f.Path], home)
			allowed := placeNames(g.Profile.Credentials.Allowed, f.Path)
			switch {
			case f.Type != node.Regular:
			case why == "" && isUntold(f) && !allowed:
				open = append(open, f.Path)
			case why == "":
			case allowed:
				declared = append(declared, f.Path+": "+why)
			default:
				*list = append(*list, f.Path+": "+why)
			}
		}
	}
	add(s.Homes, true, &bad)
	add(slices.Concat(s.Kubelet, s.Cluster, s.System), false, &cluster)
	return judgeRole(roleOf(c, sys), bad, cluster, declared, open, c, "admin", "credentials that rule the cluster lie here", "no credential of a cluster administrator lies here")
}

// judgeRole is the finding over what never belongs on a node, what belongs on a
// control plane, what the profile declares, and what may be of the kind that belongs
// on a control plane.
func judgeRole(role nodeRole, never, cluster, declared, open []string, c node.ControlPlaneState, code, badReason, none string) Finding {
	if role == roleWorker {
		never = slices.Concat(never, cluster)
	}
	slices.Sort(never)
	never = slices.Compact(never)
	switch {
	case len(never) > 0:
		return fail(code, badReason+": "+strings.Join(never, "; "), never...)
	case role == roleUnknown && len(cluster) > 0:
		return withoutRole(cluster)
	case role != roleControlPlane && len(open) > 0:
		return unknown(unreadCode, "what these are could not be told: "+strings.Join(open, "; "), open...)
	case len(cluster) > 0:
		return pass("control-plane", fmt.Sprintf("a control plane runs here, %s: what it needs lies where it belongs: %s", partsText(c), strings.Join(cluster, "; ")), cluster...)
	case len(declared) > 0:
		return pass("declared", "only what the profile declares lies here: "+strings.Join(declared, "; "), declared...)
	}
	return pass("none", none)
}

var noCAKeys = Check{
	ID: "no-ca-keys", Rev: 2, Topic: Credentials, Severity: Critical,
	Title: "no CA key and no key that signs service account tokens lies where it does not belong",
	Refs:  slices.Concat(credentialRefs, []Ref{{sp80053, "SC-12"}, {pciContainers, "1.4"}}),
	Help: Help{
		Why: "The key of the cluster's certificate authority makes an administrator out of anybody, for years, and nothing in Kubernetes can take such a certificate back.",
		How: "A private key is one of an authority when its public key is that of a certificate on this node which may sign others, or by its name: ca.key, *-ca.key, sa.key, service.key. The public half is compared, never the key; on a worker a key whose public half is not known, as of one with a passphrase, is unknown. Keys that encrypt etcd count too. On a worker none may be found; on a control plane (told as in no-admin-credentials) they belong below /etc/kubernetes, in Talos' /system/secrets and in the folder of the distribution, and not in home directories.",
		Remedy: map[string]string{
			"talos": "On a worker this cannot come from Talos: find the pod with a hostPath that wrote it, remove both, and rotate the authority with talosctl rotate-ca.",
			"":      "Remove the key from the worker, and rotate the authority that it belongs to (kubernetes.io, Manual Rotation of CA Certificates): who had it can have made certificates that nobody knows of.",
		},
	},
	Judge: On3(node.Credentials.Parts("kubelet", "cluster", "system", "homes"), node.ControlPlane.Parts("runs", "parts"), node.OS.Parts("init", "pidNamespace"), judgeCAKeys),
}

func judgeCAKeys(s node.CredentialState, c node.ControlPlaneState, sys node.System, g Given) Finding {
	if !lookedForCredentials(s) {
		return unsaid(credentialsUnsaid)
	}
	authorities := map[string]bool{}
	for _, f := range slices.Concat(s.Kubelet, s.Cluster, s.System, s.Homes) {
		for _, c := range f.Certificates {
			authorities[c.Public] = authorities[c.Public] || c.CA && c.Public != ""
		}
	}
	paths := pathsTo(s.Kubelet, s.Cluster, s.System, s.Homes)
	var bad, cluster, declared, open []string
	for i, credentialFiles := range [][]node.CredentialFile{s.Homes, slices.Concat(s.Kubelet, s.Cluster, s.System)} {
		for _, f := range credentialFiles {
			why := signingKey(f, paths[f.Path], authorities)
			allowed := placeNames(g.Profile.Credentials.Allowed, f.Path)
			item := f.Path + ": " + why
			switch {
			case f.Type != node.Regular:
			case why == "" && i > 0 && isUncompared(f) && !allowed:
				open = append(open, f.Path)
			case why == "":
			case allowed:
				declared = append(declared, item)
			case i == 0:
				bad = append(bad, item)
			default:
				cluster = append(cluster, item)
			}
		}
	}
	return judgeRole(roleOf(c, sys), bad, cluster, declared, open, c, "ca-key", "keys that make new credentials lie here", "no key of a certificate authority or of service account tokens lies here")
}

// isUncompared reports whether a file holds a key that could not be compared with
// certificates, as its public half is not known: one with a passphrase, say. Keys of
// SSH in the form of OpenSSH are none of an authority of the cluster.
func isUncompared(f node.CredentialFile) bool {
	return !below(f.Path, "/etc/ssh") && slices.ContainsFunc(f.Keys, func(k node.PrivateKey) bool { return k.Public == "" })
}

// signingKey says why a file, to which these paths lead, holds a key that makes new
// credentials; "" where it does not.
func signingKey(f node.CredentialFile, paths []string, authorities map[string]bool) string {
	if f.Kind == "encryption-key" {
		return "the key that encrypts etcd"
	}
	if f.Kind != "pem" || !holdsPrivateKey(f) {
		return ""
	}
	if slices.ContainsFunc(f.Keys, func(k node.PrivateKey) bool { return k.Public != "" && authorities[k.Public] }) {
		return "the key of a certificate authority here"
	}
	for _, p := range paths {
		switch base := path.Base(p); {
		case base == "ca.key" || strings.HasSuffix(base, "-ca.key") || base == "ca-key.pem":
			return "the key of a certificate authority by its name"
		case slices.Contains([]string{"sa.key", "service.key", "service.current.key", "service-account.key", "service-account-key.pem"}, base):
			return "the key that signs service account tokens by its name"
		}
	}
	return ""
}

var bootstrapCredentialGone = Check{
	ID: "bootstrap-credential-gone", Rev: 2, Topic: Credentials, Severity: High,
	Title: "no bootstrap credential is left that could register another node",
	Refs:  slices.Concat(credentialRefs, []Ref{{pciContainers, "1.5"}}),
	Help: Help{
		Why: "A bootstrap token lets whoever reads it join a machine to the cluster, and so be sent pods with their secrets.",
		How: "The bootstrap kubeconfig that the running kubelet names, and those below /etc/kubernetes: absent, without a credential, with a certificate that has ended, or declared by the profile because the system keeps it by design. A token's end is known to the cluster alone; a token that lies there fails. Tokens in provisioning data are a matter of user-data-closed.",
		Remedy: map[string]string{
			"talos":         "Talos keeps /etc/kubernetes/bootstrap-kubeconfig by design. Any other one was copied there: remove the pod that did, and kubectl -n kube-system delete secret bootstrap-token-ID.",
			"":              "Once the kubelet has its own certificate (kubelet-client-current.pem): remove the file, kubeadm token delete ID, and give tokens a life of hours (kubeadm token create --ttl 1h).",
			"fedora-coreos": "On OpenShift /etc/kubernetes/kubeconfig is kept by design and declared; any other one: oc or kubectl -n kube-system delete secret bootstrap-token-ID, then remove the file.",
			"bottlerocket":  "apiclient set kubernetes.authentication-mode=aws does without a bootstrap token; elsewhere delete the token in the cluster once the node has joined.",
		},
	},
	Judge: On2(node.Credentials.Parts("kubelet", "cluster"), node.Kubelet, func(s node.CredentialState, k node.KubeletState, g Given) Finding {
		f := judgeBootstrap(s, k, g)
		if none, without := withoutKubelet(k); without && f.Code == "none" {
			return none
		}
		return f // what is left behind is worth as much without a kubelet
	}),
}

func judgeBootstrap(s node.CredentialState, k node.KubeletState, g Given) Finding {
	if !lookedForCredentials(s) {
		return unsaid(credentialsUnsaid)
	}
	var bad, open, ended, declared []string
	var until *time.Time // the first end of a certificate that counts now
	for _, f := range slices.Concat(s.Kubelet, s.Cluster) {
		if f.Kind != "bootstrap-kubeconfig" || f.Type != node.Regular {
			continue
		}
		switch {
		case f.Certificate != nil && f.Certificate.Class == "masters":
			bad = append(bad, f.Path+": "+f.Credential+" of system:masters")
		case placeNames(g.Profile.Credentials.Bootstrap, f.Path):
			declared = append(declared, f.Path)
		case f.Content != "read" || f.Credential == "unknown" || f.Certificate != nil && f.Certificate.NotAfter.IsZero():
			open = append(open, f.Path)
		case f.Credential == "none":
		case f.Certificate != nil && !g.At.Before(f.Certificate.NotAfter):
			ended = append(ended, f.Path)
		default:
			if c := f.Certificate; c != nil && (until == nil || c.NotAfter.Before(*until)) {
				until = &c.NotAfter
			}
			bad = append(bad, f.Path+": "+f.Credential)
		}
	}
	named := []string{}
	for _, f := range k.Files {
		if f.Role == "bootstrap-kubeconfig" {
			named = append(named, f.Path)
			if f.Found == "unknown" {
				open = append(open, f.Path)
			}
		}
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	switch {
	case len(bad) > 0:
		found := fail("there", "a bootstrap credential lies here: "+strings.Join(bad, "; "), bad...)
		found.Until = until
		return found
	case len(open) > 0:
		return unknown("unread", "what credential is in "+strings.Join(open, ", ")+" could not be read", open...)
	case len(ended) > 0:
		return pass("ended", "the certificate in it has expired: "+strings.Join(ended, ", "), ended...)
	case len(declared) > 0:
		return pass("declared", "the system keeps it by design: "+strings.Join(declared, ", "), declared...)
	case len(named) > 0:
		return pass("gone", "the bootstrap kubeconfig that the kubelet names is not there or holds nothing: "+strings.Join(named, ", "), named...)
	case len(k.Unread) > 0:
		return unknown("unread", "where a bootstrap kubeconfig would be could not be read: "+k.Unread[0].String())
	}
	return pass("none", "the kubelet names no bootstrap kubeconfig and none lies below /etc/kubernetes")
}

var nodeClientCertificateValid = Check{
	ID: "node-client-certificate-valid", Rev: 2, Topic: Credentials, Severity: High,
	Title: "the kubelet's client certificate for the API server is valid",
	Refs:  []Ref{{sp80053, "IA-5(2)"}, {sp80053, "SC-17"}, {iso27001, "8.24"}},
	Help: Help{
		Why: "A node whose certificate expires drops out of the cluster at that moment; with a life of one year, all nodes that joined on one day do so together.",
		How: "The end of the certificate in the kubelet's kubeconfig, or of the file that it names (kubelet-client-current.pem, all links followed). The verdict holds until that date. A kubelet that has its credential fetched by a program has no certificate that could end.",
		Remedy: map[string]string{
			"cos":          "GKE: recreate the node in its pool, which gives it a new certificate.",
			"talos":        "talosctl service kubelet restart makes it ask for a new one; where that is refused, look at pending requests with kubectl get csr.",
			"bottlerocket": "Replace the node: it asks for a new certificate when it joins.",
			"":             "systemctl restart kubelet; kubectl get csr and approve what is pending. With rotateCertificates: true the kubelet renews it by itself; a certificate that has ended needs a new bootstrap token (kubeadm join, or kubeadm kubeconfig user on a control plane).",
		},
	},
	Judge: On2(node.Credentials.Parts("kubelet"), node.Kubelet, func(s node.CredentialState, k node.KubeletState, g Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		switch k.Credential {
		case "exec":
			return notApplicable("exec", "a program fetches the kubelet's credential; it has no certificate that could end")
		case "token", "auth-provider":
			return notApplicable(k.Credential, "the kubelet calls the API server with a token and has no certificate")
		case "":
			if len(k.Unread) == 0 {
				return notApplicable("no-kubeconfig", "the kubelet names no kubeconfig: it runs without a cluster")
			}
		}
		return judgeClientCertificate(s, k, g.At)
	}),
}

// judgeClientCertificate looks at the kubeconfig that the kubelet names, and where its
// path is not found again, as below a folder that is a link, at the only one there is.
func judgeClientCertificate(s node.CredentialState, k node.KubeletState, at time.Time) Finding {
	const what = "until when the kubelet's certificate is valid"
	paths := pathsTo(s.Kubelet)
	named := func(f node.CredentialFile) bool {
		return slices.ContainsFunc(k.Files, func(n node.KubeletFile) bool { return n.Role == "kubeconfig" && slices.Contains(paths[f.Path], n.Path) })
	}
	var all, meant []node.CredentialFile
	for _, f := range s.Kubelet {
		if f.Kind != "kubeconfig" || f.Type != node.Regular {
			continue
		}
		if all = append(all, f); named(f) {
			meant = append(meant, f)
		}
	}
	if len(meant) == 0 {
		meant = all
	}
	if len(meant) != 1 {
		return unsaid(what)
	}
	f := meant[0]
	c, from := f.Certificate, f.Path
	if f.CertificateFile != "" {
		from = f.CertificateFile
		for _, file := range s.Kubelet {
			if file.Path == f.CertificateFile && len(file.Certificates) > 0 {
				c = &file.Certificates[0] // the client's own stands first: RFC 8446, 4.4.2
			}
		}
	}
	if c == nil || c.NotAfter.IsZero() {
		return unsaid(what)
	}
	until := c.NotAfter
	text := fmt.Sprintf("%s ends on %s", from, until.Format(time.RFC3339))
	if !at.Before(until) {
		return fail("ended", "the kubelet's certificate has expired: "+text, text)
	}
	found := pass("valid", "the kubelet's certificate in "+text, text)
	found.Until = &until
	return found
}
