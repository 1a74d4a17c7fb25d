package verify

import (
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// The clock of testJudge is 2026-09-01.
var (
	nextYear = time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC)
	lastYear = time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC)
)

// aCredential is a file of root's with mode 0600.
func aCredential(path, kind string, change ...func(*node.CredentialFile)) node.CredentialFile {
	f := node.CredentialFile{Path: path, Kind: kind, Type: node.Regular, Mode: 0o600, Size: 100, Content: "read"}
	for _, c := range change {
		c(&f)
	}
	return f
}

func withMode(m, uid, gid uint32) func(*node.CredentialFile) {
	return func(f *node.CredentialFile) { f.Mode, f.UID, f.GID = m, uid, gid }
}

func withKey(public string) func(*node.CredentialFile) {
	return func(f *node.CredentialFile) {
		f.Keys = append(f.Keys, node.PrivateKey{State: "plain", Public: public})
	}
}

func certificateFile(class string, ca bool, public string, until time.Time) func(*node.CredentialFile) {
	return func(f *node.CredentialFile) {
		f.Certificates = append(f.Certificates, node.Certificate{NotAfter: until, CA: ca, Class: class, Public: public})
	}
}

func ofKind(kind string) func(*node.CredentialFile) {
	return func(f *node.CredentialFile) { f.Credential = kind }
}

func certificateInside(class string, until time.Time) func(*node.CredentialFile) {
	return func(f *node.CredentialFile) {
		f.Credential, f.Certificate = "certificate-data", &node.Certificate{NotAfter: until, Class: class}
	}
}

// aWorker are the facts of a worker on which these credentials lie.
func aWorker(s node.CredentialState, gaps ...node.Gap) node.Facts {
	s.Looked = []string{"/etc/kubernetes"}
	facts := withFact(onHost(), node.Credentials, s, gaps...)
	facts = withFact(facts, node.Kubelet, node.KubeletState{Found: "process", Credential: "certificate-file", Flags: []string{"kubeconfig"}})
	return withFact(facts, node.ControlPlane, node.ControlPlaneState{Runs: "no", Parts: []node.ControlPlanePart{}, Proxy: "absent"})
}

func withControlPlane(facts node.Facts) node.Facts {
	return withFact(facts, node.ControlPlane, node.ControlPlaneState{Runs: "yes", Parts: []node.ControlPlanePart{{Name: "kube-apiserver", By: "process"}}, Proxy: "pod"})
}

// withManifestAlone is a node on which a manifest of a control plane lies and none of it runs.
func withManifestAlone(facts node.Facts) node.Facts {
	return withFact(facts, node.ControlPlane, node.ControlPlaneState{Runs: "yes", Parts: []node.ControlPlanePart{{Name: "etcd", By: "/etc/kubernetes/manifests/etcd.yaml"}}, Proxy: "absent"})
}

func withRoleUnknown(facts node.Facts) node.Facts {
	return withFact(facts, node.ControlPlane, node.ControlPlaneState{Runs: "unknown", Proxy: "unknown"})
}

func withoutAKubelet(facts node.Facts) node.Facts {
	return withFact(facts, node.Kubelet, node.KubeletState{Found: "absent"})
}

// withoutCredentials is the row in which the fact is missing.
func withoutCredentials() node.Facts {
	return lacking(aWorker(node.CredentialState{}), node.Credentials, node.Denied, "permission denied")
}

func credentialGap(part string) node.Gap {
	g := deniedGap
	return g.In(part)
}

func credentialFiles(f ...node.CredentialFile) []node.CredentialFile { return f }

func TestKubeletKeysClosed(t *testing.T) {
	key := aCredential("/var/lib/kubelet/pki/kubelet.key", "pem", withKey("a"))
	cert := aCredential("/etc/kubernetes/pki/ca.crt", "pem", certificateFile("other", true, "b", nextYear), withMode(0o644, 0, 0))
	etcd := aCredential("/system/secrets/etcd/peer.key", "pem", withKey("c"), withMode(0o400, 60, 60))
	talos := profiles.Profile{Credentials: profiles.Credentials{Owners: []profiles.CredentialOwner{{Path: "/system/secrets/etcd/*", UID: 60}}}}
	testJudge(t, kubeletKeysClosed, []judgedRow{
		{name: "kubeadm as it comes", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(key), Cluster: credentialFiles(cert)}), want: "pass closed"},
		{name: "a key that its group reads", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential("/k.key", "pem", withKey("a"), withMode(0o640, 0, 0)))}), want: "fail open", items: []string{"/k.key: mode 0640 is more than 0600"}},
		{name: "a key in a file called crt", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential("/both.crt", "pem", withKey("a"), certificateFile("nodes", false, "a", nextYear), withMode(0o644, 0, 0)))}), want: "fail open"},
		{name: "a certificate that everybody may write", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/ca.crt", "pem", certificateFile("other", true, "b", nextYear), withMode(0o666, 0, 0)))}), want: "fail open"},
		{name: "a certificate of a user", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/ca.crt", "pem", certificateFile("other", true, "b", nextYear), withMode(0o644, 1000, 0)))}), want: "fail open", items: []string{"/ca.crt: user 1000 owns it"}},
		{name: "the token of k3s readable", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/var/lib/rancher/k3s/server/token", "token", withMode(0o644, 0, 0)))}), want: "fail open"},
		{name: "keys of Talos' etcd", profile: talos, facts: aWorker(node.CredentialState{System: credentialFiles(etcd)}), want: "pass closed"},
		{name: "keys of etcd's user elsewhere", facts: aWorker(node.CredentialState{System: credentialFiles(etcd)}), want: "fail open"},
		{name: "a link is as open as what it leads to", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(key, node.CredentialFile{Path: "/l.pem", Kind: "pem", Type: node.Symlink, Mode: 0o777})}), want: "pass closed"},
		{name: "an SSH host key is not Kubernetes'", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(key), System: credentialFiles(aCredential("/etc/ssh/ssh_host_rsa_key", "pem", withKey(""), withMode(0o640, 0, 998)))}), want: "pass closed"},
		{name: "a kubelet without keys", facts: aWorker(node.CredentialState{}), want: "unknown unread"},
		{name: "no kubelet", facts: withoutAKubelet(aWorker(node.CredentialState{})), want: "not-applicable no-kubelet"},
		{name: "a control plane without a kubelet, whose key is open", facts: withoutAKubelet(aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/pki/apiserver.key", "pem", withKey("a"), withMode(0o644, 0, 0)))})), want: "fail open"},
		{name: "no kubelet, and nothing was looked for", facts: withoutAKubelet(withFact(aWorker(node.CredentialState{}), node.Credentials, node.CredentialState{})), want: "unknown unread"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(key)}, credentialGap("cluster")), want: "unknown gap-denied"},
		{name: "a gap elsewhere", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(key)}, credentialGap("homes")), want: "pass closed"},
	})
}

func TestNoAdminCredentials(t *testing.T) {
	admin := aCredential("/etc/kubernetes/admin.conf", "kubeconfig", certificateInside("masters", nextYear))
	home := aCredential("/root/.kube/config", "kubeconfig", ofKind("token"))
	etcd := aCredential("/etc/kubernetes/pki/etcd/server.key", "pem", withKey("e"))
	node1 := aCredential("/etc/kubernetes/kubelet.conf", "kubeconfig", ofKind("certificate-file"), func(f *node.CredentialFile) { f.CertificateFile = "/var/lib/kubelet/pki/current.pem" })
	client := aCredential("/etc/kubernetes/pki/apiserver-kubelet-client.crt", "pem", certificateFile("masters", false, "m", nextYear))
	declared := profiles.Profile{Credentials: profiles.Credentials{Allowed: []profiles.Place{{Path: "/root/.kube/config"}}}}
	testJudge(t, noAdminCredentials, []judgedRow{
		{name: "a worker", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(node1)}), want: "pass none"},
		{name: "admin.conf on a worker", facts: aWorker(node.CredentialState{Cluster: credentialFiles(admin)}), want: "fail admin", items: []string{"/etc/kubernetes/admin.conf: a kubeconfig of system:masters"}},
		{name: "admin.conf on a control plane", facts: withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(admin, etcd, client)})), want: "pass control-plane"},
		{name: "system:masters under another name", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", certificateInside("masters", nextYear)))}), want: "fail admin"},
		{name: "admin.conf that could not be read", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/admin.conf", "kubeconfig"))}), want: "fail admin"},
		{name: "a key of etcd on a worker", facts: aWorker(node.CredentialState{Cluster: credentialFiles(etcd)}), want: "fail admin"},
		{name: "a client certificate of administrators on a worker", facts: aWorker(node.CredentialState{Cluster: credentialFiles(client)}), want: "fail admin"},
		{name: "a copy in a home directory of a control plane", facts: withControlPlane(aWorker(node.CredentialState{Homes: credentialFiles(home)})), want: "fail admin"},
		{name: "a kubeconfig in a home without credential", facts: aWorker(node.CredentialState{Homes: credentialFiles(aCredential("/root/.kube/config", "kubeconfig", ofKind("none")))}), want: "pass none"},
		{name: "a talosconfig", facts: aWorker(node.CredentialState{Homes: credentialFiles(aCredential("/root/.talos/config", "talosconfig"))}), want: "fail admin"},
		{name: "declared", profile: declared, facts: aWorker(node.CredentialState{Homes: credentialFiles(home)}), want: "pass declared"},
		{name: "admin.conf is a link to a file of another name", facts: aWorker(node.CredentialState{Cluster: credentialFiles(
			node.CredentialFile{Path: "/etc/kubernetes/admin.conf", Kind: "kubeconfig", Type: node.Symlink, Link: "/mnt/a"}, aCredential("/mnt/a", "kubeconfig", certificateInside("other", nextYear)))}), want: "fail admin"},
		{name: "a certificate that could not be parsed", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", ofKind("certificate-data")))}), want: "unknown unread"},
		{name: "a certificate that could not be parsed, where one is declared", profile: profiles.Profile{Credentials: profiles.Credentials{Allowed: []profiles.Place{{Path: "/etc/kubernetes/x.kubeconfig"}}}}, facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", ofKind("certificate-data")))}), want: "pass none"},
		{name: "a credential of an unknown form", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", ofKind("unknown")))}), want: "unknown unread"},
		{name: "a certificate in a file whose name could not be kept", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", ofKind("certificate-file")))}), want: "unknown unread"},
		{name: "a certificate that could not be parsed, on a control plane", facts: withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(admin, aCredential("/etc/kubernetes/x.kubeconfig", "kubeconfig", ofKind("certificate-data")))})), want: "pass control-plane"},
		{name: "whether it is a control plane is not known", facts: withRoleUnknown(aWorker(node.CredentialState{Cluster: credentialFiles(admin)})), want: "unknown role-unknown"},
		{name: "somebody laid a manifest of etcd on a worker, to have its keys there", facts: withManifestAlone(aWorker(node.CredentialState{Cluster: credentialFiles(admin, etcd)})), want: "unknown role-unknown"},
		{name: "in the sandbox of Talos 1.14", facts: withFact(aWorker(node.CredentialState{Cluster: credentialFiles(admin)}), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown role-unknown"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{}, credentialGap("homes")), want: "unknown gap-denied"},
		{name: "fail over a gap", facts: aWorker(node.CredentialState{Cluster: credentialFiles(admin)}, credentialGap("homes")), want: "fail admin"},
	})
}

func TestNoCAKeys(t *testing.T) {
	ca := aCredential("/etc/kubernetes/pki/ca.crt", "pem", certificateFile("other", true, "ca", nextYear))
	key := aCredential("/etc/kubernetes/pki/hidden.pem", "pem", withKey("ca"))
	serving := aCredential("/var/lib/kubelet/pki/kubelet.key", "pem", withKey("k"))
	testJudge(t, noCAKeys, []judgedRow{
		{name: "a worker has the certificate and no key", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(serving), Cluster: credentialFiles(ca)}), want: "pass none"},
		{name: "the key under another name", facts: aWorker(node.CredentialState{Cluster: credentialFiles(ca, key)}), want: "fail ca-key", items: []string{"/etc/kubernetes/pki/hidden.pem: the key of a certificate authority here"}},
		{name: "ca.key that was not understood", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/pki/ca.key", "pem"))}), want: "fail ca-key"},
		{name: "a key with a passphrase", facts: aWorker(node.CredentialState{Cluster: credentialFiles(ca, aCredential("/etc/kubernetes/pki/x.pem", "pem", withKey("")))}), want: "unknown unread"},
		{name: "a key with a passphrase that is declared", profile: profiles.Profile{Credentials: profiles.Credentials{Allowed: []profiles.Place{{Path: "/etc/kubernetes/pki/x.pem"}}}}, facts: aWorker(node.CredentialState{Cluster: credentialFiles(ca, aCredential("/etc/kubernetes/pki/x.pem", "pem", withKey("")))}), want: "pass none"},
		{name: "a key with a passphrase on a control plane", facts: withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(ca, key, aCredential("/etc/kubernetes/pki/x.pem", "pem", withKey("")))})), want: "pass control-plane"},
		{name: "a key of the SSH daemon", facts: aWorker(node.CredentialState{System: credentialFiles(aCredential("/etc/ssh/ssh_host_rsa_key", "pem", withKey("")))}), want: "pass none"},
		{name: "sa.key is a link to a file of another name", facts: aWorker(node.CredentialState{Cluster: credentialFiles(
			node.CredentialFile{Path: "/etc/kubernetes/pki/sa.key", Kind: "pem", Type: node.Symlink, Link: "/mnt/s.pem"}, aCredential("/mnt/s.pem", "pem", withKey("s")))}), want: "fail ca-key"},
		{name: "sa.key", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/pki/sa.key", "pem", withKey("s")))}), want: "fail ca-key"},
		{name: "the key that encrypts etcd", facts: aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/kubernetes/encryption-config.yaml", "encryption-key"))}), want: "fail ca-key"},
		{name: "on a control plane", facts: withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(ca, key)})), want: "pass control-plane"},
		{name: "in a home of a control plane", facts: withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(ca), Homes: credentialFiles(aCredential("/root/.ssh/id_rsa", "pem", withKey("ca")))})), want: "fail ca-key"},
		{name: "role unknown", facts: withRoleUnknown(aWorker(node.CredentialState{Cluster: credentialFiles(ca, key)})), want: "unknown role-unknown"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{Cluster: credentialFiles(ca)}, credentialGap("cluster")), want: "unknown gap-denied"},
	})
}

func TestBootstrapCredentialGone(t *testing.T) {
	const path = "/etc/kubernetes/bootstrap-kubelet.conf"
	named := func(facts node.Facts) node.Facts {
		return withFact(facts, node.Kubelet, node.KubeletState{Found: "process", Files: []node.KubeletFile{{Role: "bootstrap-kubeconfig", Path: path, Found: "no"}}})
	}
	bootstrap := func(change ...func(*node.CredentialFile)) node.Facts {
		return aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential(path, "bootstrap-kubeconfig", change...))})
	}
	talos := profiles.Profile{Credentials: profiles.Credentials{Bootstrap: []profiles.Place{{Path: path}}}}
	testJudge(t, bootstrapCredentialGone, []judgedRow{
		{name: "kubeadm removed it", facts: named(aWorker(node.CredentialState{})), want: "pass gone"},
		{name: "no argument names one", facts: aWorker(node.CredentialState{}), want: "pass none"},
		{name: "a token is left", facts: bootstrap(ofKind("token")), want: "fail there", items: []string{path + ": token"}},
		{name: "a certificate that has ended", facts: bootstrap(certificateInside("other", lastYear)), want: "pass ended"},
		{name: "a certificate that has not", facts: bootstrap(certificateInside("other", nextYear)), want: "fail there"},
		{name: "kept by design", profile: talos, facts: bootstrap(ofKind("token")), want: "pass declared"},
		{name: "an administrator's in its place", profile: talos, facts: bootstrap(certificateInside("masters", nextYear)), want: "fail there"},
		{name: "not understood", facts: bootstrap(ofKind("unknown")), want: "unknown unread"},
		{name: "a certificate without an end", facts: bootstrap(certificateInside("other", time.Time{})), want: "unknown unread"},
		{name: "arguments that could not be read", facts: withFact(aWorker(node.CredentialState{}), node.Kubelet, node.KubeletState{Found: "embedded", Unread: []node.Gap{malformedGap}}), want: "unknown unread"},
		{name: "no kubelet", facts: withoutAKubelet(aWorker(node.CredentialState{})), want: "not-applicable no-kubelet"},
		{name: "a token that a kubelet has left behind", facts: withoutAKubelet(bootstrap(ofKind("token"))), want: "fail there"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{}, credentialGap("kubelet")), want: "unknown gap-denied"},
	})
}

func TestNodeClientCertificateValid(t *testing.T) {
	const current = "/var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem"
	conf := aCredential("/etc/kubernetes/kubelet.conf", "kubeconfig", ofKind("certificate-file"), func(f *node.CredentialFile) { f.CertificateFile = current })
	old := aCredential("/var/lib/kubelet/pki/kubelet-client-2024-05-01-10-00-00.pem", "pem", withKey("o"), certificateFile("nodes", false, "o", lastYear))
	until := func(end time.Time) node.Facts {
		return aWorker(node.CredentialState{Kubelet: credentialFiles(conf, old, aCredential(current, "pem", withKey("n"), certificateFile("nodes", false, "n", end)))})
	}
	kubelet := func(ofKind string) node.Facts {
		return withFact(aWorker(node.CredentialState{}), node.Kubelet, node.KubeletState{Found: "process", Credential: ofKind})
	}
	rows := []judgedRow{
		{name: "valid, beside older ones that have ended", facts: until(nextYear), want: "pass valid"},
		{name: "ended", facts: until(lastYear), want: "fail ended", items: []string{current + " ends on 2025-05-01T12:00:00Z"}},
		{name: "inside the kubeconfig", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential("/k", "kubeconfig", certificateInside("nodes", nextYear)))}), want: "pass valid"},
		{name: "ends this moment", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential("/k", "kubeconfig", certificateInside("nodes", time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC))))}), want: "fail ended"},
		{name: "another kubeconfig lies before the one that the kubelet names", facts: withFact(aWorker(node.CredentialState{Kubelet: credentialFiles(
			aCredential("/a", "kubeconfig", certificateInside("nodes", nextYear)), aCredential("/k", "kubeconfig", certificateInside("nodes", lastYear)))}),
			node.Kubelet, node.KubeletState{Found: "process", Credential: "certificate-data", Files: []node.KubeletFile{{Role: "kubeconfig", Path: "/k", Found: "yes"}}}), want: "fail ended"},
		{name: "the kubeconfig that the kubelet names is a link", facts: withFact(aWorker(node.CredentialState{Kubelet: credentialFiles(
			aCredential("/a", "kubeconfig", certificateInside("nodes", nextYear)), node.CredentialFile{Path: "/k", Kind: "kubeconfig", Type: node.Symlink, Link: "/z"}, aCredential("/z", "kubeconfig", certificateInside("nodes", lastYear)))}),
			node.Kubelet, node.KubeletState{Found: "process", Credential: "certificate-data", Files: []node.KubeletFile{{Role: "kubeconfig", Path: "/k", Found: "yes"}}}), want: "fail ended"},
		{name: "two kubeconfigs, of which none is known to be the kubelet's", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(
			aCredential("/a", "kubeconfig", certificateInside("nodes", nextYear)), aCredential("/k", "kubeconfig", ofKind("certificate-data")))}), want: "unknown unread"},
		{name: "a certificate without an end", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(aCredential("/k", "kubeconfig", certificateInside("nodes", time.Time{})))}), want: "unknown unread"},
		{name: "fetched by a program", facts: kubelet("exec"), want: "not-applicable exec"},
		{name: "a token", facts: kubelet("token"), want: "not-applicable token"},
		{name: "without a cluster", facts: kubelet(""), want: "not-applicable no-kubeconfig"},
		{name: "the file that it names was not read", facts: aWorker(node.CredentialState{Kubelet: credentialFiles(conf)}), want: "unknown unread"},
		{name: "no kubelet", facts: withoutAKubelet(aWorker(node.CredentialState{})), want: "not-applicable no-kubelet"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(until(nextYear), node.Credentials, node.CredentialState{Looked: []string{"/"}, Kubelet: credentialFiles(aCredential("/k", "kubeconfig", certificateInside("nodes", nextYear)))}, credentialGap("kubelet")), want: "unknown gap-denied"},
	}
	testJudge(t, nodeClientCertificateValid, rows)
	f := Run([]Check{nodeClientCertificateValid}, until(nextYear), Given{Profile: &profiles.Profile{}, At: lastYear})[0]
	if f.Until == nil || !f.Until.Equal(nextYear) {
		t.Errorf("it holds until %v, want %v", f.Until, nextYear)
	}
}

func TestNoCloudKeys(t *testing.T) {
	holds := func(h string) func(*node.CredentialFile) { return func(f *node.CredentialFile) { f.Holds = h } }
	cloud := func(f ...node.CredentialFile) node.Facts { return aWorker(node.CredentialState{Cloud: f}) }
	testJudge(t, noCloudKeys, []judgedRow{
		{name: "nothing", facts: cloud(), want: "pass none"},
		{name: "AWS keys of root", facts: cloud(aCredential("/root/.aws/credentials", "settings", holds("secret"))), want: "fail key", items: []string{"/root/.aws/credentials"}},
		{name: "azure.json of a managed identity", facts: cloud(aCredential("/etc/kubernetes/azure.json", "settings", holds("none"))), want: "pass settings-only"},
		{name: "a form that is not known", facts: cloud(aCredential("/etc/kubernetes/cloud-config", "settings", holds("unknown"))), want: "unknown unread"},
		{name: "Google's database of credentials", facts: cloud(aCredential("/root/.config/gcloud/credentials.db", "token")), want: "fail key"},
		{name: "declared by the site", profile: profiles.Profile{Credentials: profiles.Credentials{Allowed: []profiles.Place{{Path: "/root/.aws/*"}}}}, facts: cloud(aCredential("/root/.aws/credentials", "settings", holds("secret"))), want: "pass none"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{}, credentialGap("cloud")), want: "unknown gap-denied"},
	})
}

func TestNoUserKeys(t *testing.T) {
	homes := func(f ...node.CredentialFile) node.Facts { return aWorker(node.CredentialState{Homes: f}) }
	testJudge(t, noUserKeys, []judgedRow{
		{name: "nothing", facts: homes(), want: "pass none"},
		{name: "a key of core", facts: homes(aCredential("/var/home/core/.ssh/id_ed25519", "pem", withKey(""))), want: "fail private-key", items: []string{"/var/home/core/.ssh/id_ed25519: plain"}},
		{name: "a file that holds no key", facts: homes(aCredential("/root/.ssh/id_rsa", "pem")), want: "pass none"},
		{name: "one that could not be read", facts: homes(aCredential("/root/.ssh/id_rsa", "pem", func(f *node.CredentialFile) { f.Content = "unread" })), want: "fail private-key"},
		{name: "declared", profile: profiles.Profile{Credentials: profiles.Credentials{Allowed: []profiles.Place{{Path: "/root/.ssh/id_rsa"}}}}, facts: homes(aCredential("/root/.ssh/id_rsa", "pem", withKey(""))), want: "pass none"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{}, credentialGap("homes")), want: "unknown gap-denied"},
	})
}

func TestRegistryAndUserDataClosed(t *testing.T) {
	open := withMode(0o644, 0, 0)
	shut := []node.Folder{{Path: "/", Mode: 0o755}, {Path: "/oem", Mode: 0o700}, {Path: "/var", Mode: 0o755}}
	rows := func(ofOwner string, put func(...node.CredentialFile) node.CredentialState) []judgedRow {
		in := func(f ...node.CredentialFile) node.Facts { return aWorker(put(f...)) }
		behind := put(aCredential("/oem/config.ign", "user-data", open))
		behind.Folders = shut
		own := put(aCredential("/home/ann/.docker/config.json", "settings", withMode(0o600, 1000, 1000)))
		own.Folders = []node.Folder{{Path: "/home/ann", Mode: 0o755, UID: 1000, GID: 1000}}
		return []judgedRow{
			{name: "nothing", facts: in(), want: "pass none"},
			{name: "closed", facts: in(aCredential("/var/x", "user-data")), want: "pass closed"},
			{name: "readable by everybody", facts: in(aCredential("/var/x", "user-data", open)), want: "fail open", items: []string{"/var/x: mode 0644 lets every user read or write it"}},
			{name: "readable by a group", facts: in(aCredential("/var/x", "user-data", withMode(0o640, 0, 998))), want: "fail open"},
			{name: "readable by root's group", facts: in(aCredential("/var/x", "user-data", withMode(0o640, 0, 0))), want: "pass closed"},
			{name: "a user's, elsewhere", facts: in(aCredential("/var/x", "user-data", withMode(0o600, 1000, 0))), want: "fail open"},
			{name: "a user's, in its home", facts: aWorker(own), want: ofOwner},
			{name: "in a folder that only root enters", facts: aWorker(behind), want: "pass closed"},
			{name: "no secret in it", facts: in(aCredential("/var/x", "settings", open, func(f *node.CredentialFile) { f.Holds = "none" })), want: "pass none"},
			{name: "declared", profile: profiles.Profile{Credentials: profiles.Credentials{Readable: []profiles.Place{{Path: "/var/x"}}}}, facts: in(aCredential("/var/x", "user-data", open)), want: "pass closed"},
			{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
			{name: "gap", facts: aWorker(put(), deniedGap), want: "unknown gap-denied"},
		}
	}
	testJudge(t, registryCredentialsClosed, rows("pass closed", func(f ...node.CredentialFile) node.CredentialState { return node.CredentialState{Registry: f} }))
	testJudge(t, userDataClosed, rows("fail open", func(f ...node.CredentialFile) node.CredentialState { return node.CredentialState{UserData: f} }))
}

func TestKubeProxyKubeconfigClosed(t *testing.T) {
	proxy := func(how string, f ...node.CredentialFile) node.Facts {
		return withFact(aWorker(node.CredentialState{Cluster: f}), node.ControlPlane, node.ControlPlaneState{Runs: "no", Proxy: how})
	}
	gke := aCredential("/var/lib/kube-proxy/kubeconfig", "kubeconfig", ofKind("token"))
	link := node.CredentialFile{Path: "/var/lib/kube-proxy/kubeconfig", Kind: "kubeconfig", Type: node.Symlink, Link: "/mnt/proxy", Mode: 0o777}
	rows := []judgedRow{
		{name: "a link to a file that may be written", facts: proxy("absent", link, aCredential("/mnt/proxy", "kubeconfig", withMode(0o666, 0, 0))), want: "fail open"},
		{name: "a link to a closed file", facts: proxy("host", link, aCredential("/mnt/proxy", "kubeconfig")), want: "pass closed"},
		{name: "a link to a file that was not looked at", facts: proxy("absent", link), want: "unknown unread"},
		{name: "a link to nothing", facts: proxy("host", node.CredentialFile{Path: "/var/lib/kube-proxy/kubeconfig", Kind: "kubeconfig", Type: node.Symlink, Mode: 0o777}), want: "unknown unread"},
		{name: "another user's", facts: proxy("host", aCredential("/var/lib/kube-proxy/kubeconfig", "kubeconfig", withMode(0o600, 1000, 0))), want: "fail open"},
		{name: "GKE", facts: proxy("host", gke), want: "pass closed"},
		{name: "k3s, writable", facts: proxy("absent", aCredential("/var/lib/rancher/k3s/agent/kubeproxy.kubeconfig", "kubeconfig", withMode(0o664, 0, 0))), want: "fail open"},
		{name: "kubeadm: a ConfigMap", facts: proxy("pod"), want: "not-applicable in-cluster"},
		{name: "Cilium in its place", facts: proxy("absent"), want: "not-applicable no-kube-proxy"},
		{name: "Cilium in its place, as far as a part of the machine shows", facts: withFact(proxy("absent"), node.OS, node.System{PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "on the host, with a file somewhere else", facts: proxy("host"), want: "unknown unread"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{Cluster: credentialFiles(gke)}, credentialGap("cluster")), want: "unknown gap-denied"},
	}
	readable := proxy("host", aCredential("/var/lib/kube-proxy/kubeconfig", "kubeconfig", withMode(0o644, 0, 0)))
	testJudge(t, kubeProxyKubeconfigClosed, append(rows, judgedRow{name: "readable", facts: readable, want: "fail open"}))
	testJudge(t, kubeProxyKubeconfigKept, append(rows, judgedRow{name: "readable", facts: readable, want: "pass closed"}))
}

func TestControlPlaneFilesClosed(t *testing.T) {
	state := func(change ...func(*node.CredentialFile)) node.CredentialState {
		return node.CredentialState{
			StaticPods: credentialFiles(aCredential("/etc/kubernetes/manifests/kube-apiserver.yaml", "static-pod", change...)),
			Cluster:    credentialFiles(aCredential("/etc/kubernetes/admin.conf", "kubeconfig"), aCredential("/etc/kubernetes/kubelet.conf", "kubeconfig", withMode(0o644, 0, 0))),
			Etcd:       credentialFiles(node.CredentialFile{Path: "/var/lib/etcd", Kind: "folder", Type: node.Directory, Mode: 0o700}),
		}
	}
	etcd := func(m, uid uint32) node.CredentialState {
		return node.CredentialState{Etcd: credentialFiles(node.CredentialFile{Path: "/var/lib/etcd", Kind: "folder", Type: node.Directory, Mode: m, UID: uid})}
	}
	talos := profiles.Profile{Credentials: profiles.Credentials{Owners: []profiles.CredentialOwner{{Path: "/var/lib/etcd", UID: 60}}}}
	linked := func(change ...func(*node.CredentialFile)) node.CredentialState {
		s := state()
		s.Cluster = credentialFiles(node.CredentialFile{Path: "/etc/kubernetes/admin.conf", Kind: "kubeconfig", Type: node.Symlink, Link: "/mnt/a", Mode: 0o777}, aCredential("/mnt/a", "kubeconfig", change...))
		return s
	}
	lost := linked()
	lost.Cluster = lost.Cluster[:1]
	twice := linked()
	twice.Cluster = append(twice.Cluster, node.CredentialFile{Path: "/etc/kubernetes/super-admin.conf", Kind: "kubeconfig", Type: node.Symlink, Link: "/mnt/a", Mode: 0o777})
	rows := []judgedRow{
		{name: "admin.conf is a link to a file that may be written", facts: withControlPlane(aWorker(linked(withMode(0o666, 0, 0)))), want: "fail open"},
		{name: "admin.conf is a link to a closed file", facts: withControlPlane(aWorker(linked())), want: "pass closed"},
		{name: "admin.conf is a link to a file that was not looked at", facts: withControlPlane(aWorker(lost)), want: "unknown unread"},
		{name: "two links to one file", facts: withControlPlane(aWorker(twice)), want: "pass closed", items: []string{"/etc/kubernetes/manifests/kube-apiserver.yaml 0600 0:0", "/mnt/a 0600 0:0", "/var/lib/etcd 0700 0:0"}},
		{name: "a manifest that a group writes", facts: withControlPlane(aWorker(state(withMode(0o664, 0, 0)))), want: "fail open"},
		{name: "a user's manifest", facts: withControlPlane(aWorker(state(withMode(0o600, 1000, 0)))), want: "fail open"},
		{name: "kubeadm", facts: withControlPlane(aWorker(state())), want: "pass closed"},
		{name: "etcd's data open", facts: withControlPlane(aWorker(etcd(0o755, 0))), want: "fail open"},
		{name: "etcd's data of Talos' user", profile: talos, facts: withControlPlane(aWorker(etcd(0o700, 60))), want: "pass closed"},
		{name: "etcd's data of a user", facts: withControlPlane(aWorker(etcd(0o700, 1000))), want: "fail open"},
		{name: "none of its files", facts: withControlPlane(aWorker(node.CredentialState{})), want: "unknown unread"},
		{name: "etcd runs, and keeps its data elsewhere", facts: withFact(aWorker(func() node.CredentialState { s := state(); s.Etcd = nil; return s }()), node.ControlPlane,
			node.ControlPlaneState{Runs: "yes", Parts: []node.ControlPlanePart{{Name: "etcd", By: "process"}}, Proxy: "pod"}), want: "unknown unread"},
		{name: "a worker", facts: aWorker(state()), want: "not-applicable worker"},
		{name: "role unknown", facts: withRoleUnknown(aWorker(state())), want: "unknown unread"},
		{name: "fact missing", facts: lacking(withControlPlane(aWorker(state())), node.Credentials, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withControlPlane(aWorker(state(), credentialGap("staticPods"))), want: "unknown gap-denied"},
	}
	readable := withControlPlane(aWorker(state(withMode(0o644, 0, 0))))
	k3s := withControlPlane(aWorker(node.CredentialState{Cluster: credentialFiles(aCredential("/etc/rancher/k3s/k3s.yaml", "kubeconfig", withMode(0o644, 0, 0)))}))
	testJudge(t, controlPlaneFilesClosed, append(rows,
		judgedRow{name: "a manifest that everybody reads", facts: readable, want: "fail open", items: []string{"/etc/kubernetes/manifests/kube-apiserver.yaml: mode 0644 is more than 0600"}},
		judgedRow{name: "k3s.yaml that everybody reads", facts: k3s, want: "fail open"}))
	testJudge(t, controlPlaneFilesKept, append(rows,
		judgedRow{name: "a manifest that everybody reads", facts: readable, want: "pass closed"},
		judgedRow{name: "k3s.yaml that everybody reads", facts: k3s, want: "pass closed"}))
}

func TestCNIFilesClosed(t *testing.T) {
	cni := func(f ...node.CredentialFile) node.Facts { return aWorker(node.CredentialState{CNI: f}) }
	open := aCredential("/etc/cni/net.d/10-flannel.conflist", "cni", withMode(0o644, 0, 0))
	talos := profiles.Profile{Credentials: profiles.Credentials{Readable: []profiles.Place{{Path: "/etc/cni/net.d/*"}}}}
	testJudge(t, cniFilesClosed, []judgedRow{
		{name: "closed", facts: cni(aCredential("/etc/cni/net.d/05-cilium.conflist", "cni")), want: "pass closed"},
		{name: "readable", facts: cni(open), want: "fail open"},
		{name: "readable, declared", profile: talos, facts: cni(open), want: "pass closed"},
		{name: "writable, though readable is declared", profile: talos, facts: cni(aCredential("/etc/cni/net.d/x", "cni", withMode(0o666, 0, 0))), want: "fail open"},
		{name: "no file is no answer", facts: cni(), want: "unknown unread"},
		{name: "no file, and no kubelet that would ask for one", facts: withFact(cni(), node.Kubelet, node.KubeletState{Found: "absent"}), want: "not-applicable no-kubelet"},
		{name: "fact missing", facts: withoutCredentials(), want: "unknown fact-denied"},
		{name: "gap", facts: aWorker(node.CredentialState{CNI: credentialFiles(aCredential("/etc/cni/net.d/a", "cni"))}, credentialGap("cni")), want: "unknown gap-denied"},
	})
}

// TestBootstrapFindingEndsWithItsCertificate holds a fail to the day on which it ends.
func TestBootstrapFindingEndsWithItsCertificate(t *testing.T) {
	left := aWorker(node.CredentialState{Kubelet: credentialFiles(
		aCredential("/a", "bootstrap-kubeconfig", certificateInside("other", nextYear.AddDate(1, 0, 0))),
		aCredential("/b", "bootstrap-kubeconfig", certificateInside("other", nextYear)))})
	for _, tt := range []struct {
		at    time.Time
		want  string
		until *time.Time
	}{
		{nextYear.Add(-time.Second), "fail there", &nextYear},
		{nextYear, "fail there", new(nextYear.AddDate(1, 0, 0))},
		{nextYear.AddDate(1, 0, 0), "pass ended", nil},
	} {
		f := Run([]Check{bootstrapCredentialGone}, left, Given{At: tt.at})[0]
		if got := f.Verdict.String() + " " + f.Code; got != tt.want || (f.Until == nil) != (tt.until == nil) || f.Until != nil && !f.Until.Equal(*tt.until) {
			t.Errorf("at %s: got %s until %v, want %s until %v", tt.at, got, f.Until, tt.want, tt.until)
		}
	}
}
