package demo

import (
	"path"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// credentialDamages are done to a worker of Bottlerocket that has the kubelet's
// own credentials and no others.
var credentialDamages = []Damage{
	{
		Check: "kubelet-keys-closed", Node: "composed-bottlerocket", What: "the kubelet's key was made readable for everybody", Sound: soundCredentials,
		Do: func(t *capture.Tape) { credentialFile(t, "var/lib/kubelet/pki/kubelet.key", 0o644, aPrivateKey) },
	},
	{
		Check: "no-admin-credentials", Node: "composed-bottlerocket", What: "admin.conf was copied to the home of root", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			credentialFile(t, "root/.kube/config", 0o600, `{"credential":"certificate-data","class":"masters","notAfter":"2027-05-01T12:00:00Z"}`)
		},
	},
	{
		Check: "no-ca-keys", Node: "composed-bottlerocket", What: "the key of the certificate authority was left on a worker", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			credentialFolder(t, "etc/kubernetes/pki", "ca.key")
			credentialFile(t, "etc/kubernetes/pki/ca.key", 0o600, aPrivateKey)
			credentialFolder(t, "etc/kubernetes", "kubelet/", "pki/")
		},
	},
	{
		Check: "bootstrap-credential-gone", Node: "composed-bottlerocket", What: "kubeadm's bootstrap token was left", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			credentialFile(t, "etc/kubernetes/bootstrap-kubelet.conf", 0o600, `{"credential":"token"}`)
			credentialFolder(t, "etc/kubernetes", "bootstrap-kubelet.conf", "kubelet/")
		},
	},
	{
		Check: "node-client-certificate-valid", Node: "composed-bottlerocket", What: "the kubelet's certificate ended", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			credentialFile(t, "etc/kubernetes/kubelet/kubeconfig", 0o600, `{"credential":"certificate-data","class":"nodes","notAfter":"2026-05-01T12:00:00Z"}`)
		},
	},
	{
		Check: "service-account-tokens-in-memory", Node: "composed-bottlerocket", What: "a pod's token was written to the disk", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			podToken(t, "projected", `{"token":"yes","lifetime":"hour","extended":"no","bound":"pod","audience":"api-server"}`)
		},
	},
	{
		Check: "service-account-tokens-short-lived", Node: "composed-bottlerocket", What: "a pod asked for a token of a year", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			podToken(t, "projected", `{"token":"yes","lifetime":"year","extended":"no","bound":"pod","audience":"api-server"}`)
		},
	},
	{
		Check: "no-legacy-token-secrets", Node: "composed-bottlerocket", What: "a pod mounts the token of a Secret", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			podToken(t, "secret", `{"token":"yes","lifetime":"never","extended":"no","bound":"none","audience":"none"}`)
		},
	},
	{
		Check: "no-secrets-in-environment", Node: "composed-bottlerocket", What: "the kubelet was started with a key of the cloud in its environment", Sound: soundCredentials,
		Do: func(t *capture.Tape) { t.Content("proc/1155/environ", "AWS_SECRET_ACCESS_KEY=<redacted>\x00") },
	},
	{
		Check: "no-pod-secrets-in-environment", Node: "composed-bottlerocket", What: "a container was started with a password in its environment", Sound: soundCredentials,
		Do: containerWithPassword,
	},
	{
		Check: "no-cloud-keys", Node: "composed-bottlerocket", What: "keys of AWS were left in the home of root", Sound: soundCredentials,
		Do: func(t *capture.Tape) { credentialFile(t, "root/.aws/credentials", 0o600, `{"holds":"secret"}`) },
	},
	{
		Check: "no-user-keys", Node: "composed-bottlerocket", What: "a private SSH key was copied to the node", Sound: soundCredentials,
		Do: func(t *capture.Tape) {
			credentialFile(t, "root/.ssh/id_ed25519", 0o600, "-----BEGIN OPENSSH PRIVATE KEY-----\nRedacted: plain\n\n-----END OPENSSH PRIVATE KEY-----\n")
		},
	},
	{
		Check: "registry-credentials-closed", Node: "composed-bottlerocket", What: "the password for a registry was made readable for everybody", Sound: soundCredentials,
		Do: func(t *capture.Tape) { credentialFile(t, "var/lib/kubelet/config.json", 0o644, `{"holds":"secret"}`) },
	},
	{
		Check: "user-data-closed", Node: "composed-bottlerocket", What: "user data was made readable for everybody", Sound: soundCredentials,
		Do: func(t *capture.Tape) { credentialFile(t, "var/lib/bottlerocket/user-data.toml", 0o644, "") },
	},
	proxyKubeconfigDamage("kube-proxy-kubeconfig-closed", "the kubeconfig of kube-proxy was made readable for everybody", 0o644),
	proxyKubeconfigDamage("kube-proxy-kubeconfig-kept", "the kubeconfig of kube-proxy was made writable for its group", 0o664),
	manifestDamage("control-plane-files-closed", "a manifest of the control plane was made readable for everybody", 0o644),
	manifestDamage("control-plane-files-kept", "a manifest of the control plane was made writable for everybody", 0o666),
	{
		Check: "cni-files-closed", Node: "composed-bottlerocket", What: "the configuration of the network plugin was made writable for everybody", Sound: soundCredentials,
		Do: func(t *capture.Tape) { credentialFile(t, "etc/cni/net.d/10-aws.conflist", 0o666, "") },
	},
}

// proxyKubeconfigDamage gives the kubeconfig of a kube-proxy on the host a mode.
func proxyKubeconfigDamage(check, what string, mode uint32) Damage {
	put := func(t *capture.Tape, mode uint32) {
		credentialFile(t, "var/lib/kube-proxy/kubeconfig", mode, `{"credential":"token"}`)
	}
	return Damage{
		Check: check, Node: "composed-bottlerocket", What: what,
		Sound: func(t *capture.Tape) {
			soundCredentials(t)
			put(t, 0o600)
			credentialFolder(t, "var/lib/kube-proxy", "kubeconfig")
		},
		Do: func(t *capture.Tape) { put(t, mode) },
	}
}

// manifestDamage gives the manifest of an API server a mode.
func manifestDamage(check, what string, mode uint32) Damage {
	const manifest = "etc/kubernetes/manifests/kube-apiserver.yaml"
	return Damage{
		Check: check, Node: "composed-bottlerocket", What: what,
		Sound: func(t *capture.Tape) {
			soundCredentials(t)
			credentialFile(t, manifest, 0o600, "")
			credentialFolder(t, path.Dir(manifest), path.Base(manifest))
		},
		Do: func(t *capture.Tape) { credentialFile(t, manifest, mode, "") },
	}
}

// aPrivateKey is one as a capture holds it.
const aPrivateKey = "-----BEGIN EC PRIVATE KEY-----\nPublic: 0123456789abcdef\nRedacted: plain\n\n-----END EC PRIVATE KEY-----\n"

// soundCredentials puts what a worker answers on which the kubelet's own
// credentials lie, closed, and no others.
func soundCredentials(t *capture.Tape) {
	for _, place := range node.CredentialPlaces() {
		t.Absent(strings.TrimPrefix(strings.Replace(place, "~", "root", 1), "/"))
	}
	t.Absent("home", "var/home", "etc/kubernetes/manifests", "etc/kubernetes/static-pods", "var/lib/rancher/rke2/agent/pod-manifests")
	credentialFile(t, "etc/kubernetes/kubelet/kubeconfig", 0o600, `{"credential":"certificate-data","class":"nodes","notAfter":"2027-05-01T12:00:00Z"}`)
	credentialFile(t, "etc/kubernetes/pki/ca.crt", 0o644, "-----BEGIN OTHER-----\n-----END OTHER-----\n")
	credentialFile(t, "var/lib/kubelet/pki/kubelet.key", 0o600, aPrivateKey)
	credentialFile(t, "etc/cni/net.d/10-aws.conflist", 0o600, "")
	credentialFolder(t, "etc/kubernetes", "kubelet/")
	credentialFolder(t, "etc/kubernetes/kubelet", "config", "kubeconfig")
	credentialFolder(t, "var/lib/kubelet/pki", "kubelet.key")
	credentialFolder(t, "var/lib/kubelet/pods")
	credentialFolder(t, "etc/cni/net.d", "10-aws.conflist")

	t.Content("proc/1/status", "Name:\tsystemd\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nVmSize:\t1 kB\nThreads:\t1\nCapPrm:\t000001ffffffffff\n")
	t.Content("proc/1/comm", "systemd\n")
	t.Content("proc/1/cgroup", "0::/init.scope\n")
	t.Link("proc/1/exe", "/usr/lib/systemd/systemd")
	t.Link("proc/1/ns/pid", "pid:[4026531836]")
	for _, pid := range []string{"1", "1155"} {
		t.Link("proc/"+pid+"/ns/mnt", "mnt:[4026531841]")
		t.Content("proc/"+pid+"/environ", "")
	}
}

// credentialFile puts a file of root's, and the folders above it.
func credentialFile(t *capture.Tape, name string, mode uint32, content string) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		t.Info(dir, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
		if dir == "." {
			break
		}
	}
	t.Content(name, content)
	t.Digest(name, strings.Repeat("0a1b2c3d", 8))
	t.Info(name, node.FileInfo{Type: node.Regular, Mode: mode, Size: int64(max(1, len(content))), Dev: "0:1"})
}

// credentialFolder puts a folder with these names, sorted; one that ends in / is
// a folder too.
func credentialFolder(t *capture.Tape, name string, names ...string) {
	var entries []node.DirEntry
	for _, n := range names {
		e := node.DirEntry{Name: n, Type: node.Regular}
		if dir, ok := strings.CutSuffix(n, "/"); ok {
			e = node.DirEntry{Name: dir, Type: node.Directory}
		}
		entries = append(entries, e)
	}
	t.Dir(name, entries...)
}

// podToken puts a pod with a token, on what /var/lib/kubelet is on.
func podToken(t *capture.Tape, kind, claims string) {
	const pods, uid = "var/lib/kubelet/pods", "0b1c2d3e-0000-4000-8000-000000000001"
	volumes := path.Join(pods, uid, "volumes")
	credentialFolder(t, pods, uid+"/")
	for _, k := range []string{"projected", "secret"} {
		t.Absent(path.Join(volumes, "kubernetes.io~"+k))
	}
	dir := path.Join(volumes, "kubernetes.io~"+kind)
	credentialFolder(t, dir, "access/")
	credentialFolder(t, path.Join(dir, "access"), "token")
	t.Content(path.Join(dir, "access/token"), claims)
}

// containerWithPassword puts a container with a root of its own and a variable
// that names a password.
func containerWithPassword(t *capture.Tape) {
	credentialFolder(t, "proc", "1/", "1155/", "2000/")
	t.Content("proc/2000/status", "Name:\tapp\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nVmSize:\t1 kB\nThreads:\t1\nCapPrm:\t0000000000000000\n")
	t.Content("proc/2000/cgroup", "0::/kubepods.slice/kubepods-pod0b1c2d3e_0000_4000_8000_000000000001.slice/cri-containerd-"+strings.Repeat("ab", 32)+".scope\n")
	t.Link("proc/2000/exe", "/app")
	t.Link("proc/2000/root", "/")
	t.Link("proc/2000/ns/mnt", "mnt:[4026532700]")
	t.Content("proc/2000/mountinfo", "900 899 0:90 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c\n")
	t.Content("proc/2000/environ", "DB_PASSWORD=<redacted>\x00")
}
