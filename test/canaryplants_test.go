package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// The canary is the secret. It has two halves, so that what cuts it does not hide
// it, and characters that URLs and shells part words at.
const (
	canaryHalf  = "zq7CanaryX"
	canaryOther = "Tok3n+9w8V"
	canary      = canaryHalf + "/" + canaryOther
)

// plant is a file with the secret in it.
type plant struct{ path, content string }

// plants are the places where secrets lie; those of processes are in
// canaryProcesses. Whoever adds a source that reads a file which can hold a
// secret adds a line here, and to canaryRead.
func plants(keys canaryKeys) []plant {
	encoded := base64.StdEncoding.EncodeToString([]byte("user:" + canary))
	kubeconfig := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n" +
		"clusters: [{name: k, cluster: {server: 'https://u:" + canary + "@10.0.0.1:6443'}}]\n"
	token := kubeconfig + "users: [{name: u, user: {token: '" + canary + "'}}]\n"
	password := kubeconfig + "users: [{name: u, user: {username: admin, password: '" + canary + "'}}]\n"
	exec := kubeconfig + "users: [{name: u, user: {exec: {command: aws, args: ['" + canary + "'], env: [{name: AWS_SECRET_ACCESS_KEY, value: '" + canary + "'}]}}}]\n"
	data := kubeconfig + "users: [{name: u, user: {client-certificate-data: " + base64.StdEncoding.EncodeToString([]byte(keys.certificate)) +
		", client-key-data: " + base64.StdEncoding.EncodeToString([]byte(keys.key+canary)) + "}}]\n"
	misplaced := kubeconfig + "users: [{name: u, user: {client-certificate: '" + canary + "'}}]\n"
	spoofed := `{"credential":"token","certificate":"` + canary + `"}`
	garbage := "-----BEGIN RSA PRIVATE KEY-----\nComment: " + canary + "\n\n" + base64.StdEncoding.EncodeToString([]byte("key "+canary+" key")) + "\n-----END RSA PRIVATE KEY-----\n"
	openssh := string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("openssh-key-v1\x00\x00\x00\x00\x04none" + canary)}))
	bundle := canary + "\n" + keys.certificate + garbage + keys.key + "\n-----BEGIN " + canaryHalf + " PRIVATE KEY-----\nAAAA\n-----END " + canaryHalf + " PRIVATE KEY-----\n" +
		"-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString([]byte(canary)) + "\n-----END CERTIFICATE-----\n"
	jwt := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:a:`+canary+`","aud":["`+canary+`"],"iat":1,"exp":3608,"kubernetes.io":{"pod":{"name":"`+canary+`"}}}`)) +
		"." + base64.RawURLEncoding.EncodeToString([]byte(canary))
	const pod = "var/lib/kubelet/pods/0b1c2d3e-0000-4000-8000-000000000001/volumes/"

	out := []plant{
		{"etc/kubernetes/kubelet.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodURL: 'https://u:" + canary + "@x.example/p?token=" + canary + "'\n" +
			"staticPodURLHeader: {Authorization: ['Bearer " + canary + "']}\nstaticPodPath: /etc/kubernetes/manifests\n"},
		{"etc/kubernetes/kubelet.conf", data},
		{"etc/kubernetes/admin.conf", data},
		{"etc/kubernetes/super-admin.conf", password},
		{"etc/kubernetes/controller-manager.conf", exec},
		{"etc/kubernetes/scheduler.conf", misplaced},
		{"etc/kubernetes/spoofed-kubeconfig", spoofed},
		{"etc/kubernetes/bootstrap-kubelet.conf", token},
		{"etc/kubernetes/known_tokens.csv", canary + ",user,uid\n"},
		{"etc/kubernetes/pki/ca.key", keys.key},
		{"etc/kubernetes/pki/ca.crt", keys.certificate},
		{"etc/kubernetes/pki/sa.key", garbage},
		{"etc/kubernetes/pki/broken.pem", bundle},
		{"etc/kubernetes/pki/not-pem.key", canary},
		{"etc/kubernetes/pki/etcd/server.key", garbage},
		{"etc/kubernetes/encryption-config.yaml", "resources: [{providers: [{aescbc: {keys: [{name: a, secret: '" + canary + "'}]}}]}]\n"},
		{"etc/kubernetes/manifests/kube-apiserver.yaml", "spec: {containers: [{env: [{name: TOKEN, value: '" + canary + "'}]}]}\n"},
		{"etc/kubernetes/azure.json", `{"aadClientSecret":"` + canary + `"}`},
		{"etc/kubernetes/cloud-config", "[Global]\npassword = " + canary + "\n"},
		{"etc/kubernetes/credential-provider.yaml", "providers: [{name: ecr, env: [{name: AWS_SECRET_ACCESS_KEY, value: '" + canary + "'}], args: ['--token=" + canary + "']}]\n"},
		{"var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem", bundle},
		{"var/lib/kubelet/pki/kubelet.key", garbage},
		{"var/lib/kubelet/config.json", `{"auths":{"registry.example":{"auth":"` + encoded + `","identitytoken":"` + canary + `"}}}`},
		{pod + "kubernetes.io~projected/kube-api-access-x/token", jwt},
		{pod + "kubernetes.io~projected/kube-api-access-x/other", canary},
		{pod + "kubernetes.io~secret/legacy/token", jwt},
		{pod + "kubernetes.io~secret/db/password", canary},
		{"etc/cni/net.d/10-calico.conflist", `{"plugins":[{"policy":{"k8s_auth_token":"` + canary + `"}}]}`},
		{"etc/cni/net.d/calico-kubeconfig", token},
		{"etc/rancher/k3s/config.yaml", "token: '" + canary + "'\ndatastore-endpoint: 'mysql://u:" + canary + "@tcp(db:3306)/k'\nkubelet-arg: [max-pods=110, 'manifest-url-header=Authorization:" + canary + "', '--node-labels=a=" + canaryHalf + "']\n"},
		{"etc/rancher/rke2/config.yaml", "token: '" + canary + "'\n"},
		{"etc/rancher/k3s/registries.yaml", "configs: {r: {auth: {password: '" + canary + "'}}}\n"},
		{"etc/rancher/k3s/k3s.yaml", data},
		{"etc/systemd/system/k3s.service.env", "K3S_TOKEN=" + canary + "\n"},
		{"var/snap/microk8s/current/args/kubelet", "--manifest-url-header=Authorization:" + canary + "\n--manifest-url http://u:" + canary + "@h/\n--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n"},
		{"var/snap/microk8s/current/credentials/kubelet.config", token},
		{"system/secrets/kubernetes/kube-apiserver/service-account.key", keys.key},
		{"system/secrets/kubernetes/kube-scheduler/kubeconfig", data},
		{"root/.ssh/id_rsa", openssh},
		{"root/.aws/credentials", "[default]\naws_access_key_id = AKIA" + canaryHalf + "\naws_secret_access_key = " + canary + "\n"},
		{"home/ann/.kube/config", token},
		{"home/ann/.config/gcloud/application_default_credentials.json", `{"client_id":"x","refresh_token":"` + canary + `"}`},

		// What other sources read, or may come to read.
		{"proc/cmdline", "root=/dev/sda1 talos.config.inline=" + encoded + " rd.iscsi.password=" + canary + " ds=nocloud;s=http://u:" + canary + "@h/?token=" + canary + " systemd.set_credential=a:" + canary + "\n"},
		{"proc/bootconfig", "kernel.rd.luks.passphrase = \"" + canary + "\"\n# root=x k3s.token=" + canary + "\n"},
		{"etc/os-release", "ID=flatcar\nVERSION_ID=4230.2.2\n"},
		{"etc/shadow", "root:$6$" + canaryHalf + "$" + canaryOther + ":19000:0:99999:7:::\ncore:*:19000:0:99999:7:::\n"},
		{"etc/gshadow", "root:" + canary + "::\n"},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nlegacy:" + canary + ":1001:1001::/home/legacy:/bin/sh\n"},
		{"etc/group", "root:" + canary + ":0:\n"},
		{"root/.ssh/authorized_keys", "command=\"deploy --token " + canary + "\",environment=\"TOKEN=" + canary + "\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJTzDBVmtCNJKzWBmXZLyKv3hvXCfEnAPP7KLV6Xb7AY " + canary + "\n"},
		{"etc/sudoers", "Defaults env_keep += \"TOKEN=" + canary + "\"\nann ALL=(ALL) NOPASSWD: /opt/x --password " + canary + "\n"},
		{"etc/systemd/system/serial-getty@ttyS0.service", "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin core --login-options " + canary + " ttyS0\nEnvironment=TOKEN=" + canary + "\n"},
		{"run/systemd/sessions/4", "UID=1000\nUSER=ann\nACTIVE=1\nREMOTE=1\nSERVICE=sshd\nDISPLAY=" + canary + "\n"},
		{"system/state/config.yaml", "version: v1alpha1\nmachine:\n  type: worker\n  token: '" + canary + "'\n  ca: {crt: '" + encoded + "', key: '" + encoded + "'}\n  features: {kubernetesTalosAPIAccess: {enabled: true, allowedRoles: [os:reader], allowedKubernetesNamespaces: [kube-system]}}\ncluster:\n  secret: '" + canary + "'\n  token: '" + canary + "'\n"},
		{"etc/ssh/sshd_config", "PermitRootLogin no\nBanner " + canary + "\n"},
		{"etc/ssh/ssh_host_ed25519_key", openssh},
		{"etc/containerd/config.toml", "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r.example\".auth]\nusername = \"u\"\npassword = \"" + canary + "\"\nauth = \"" + encoded + "\"\nidentitytoken = \"" + canary + "\"\n"},
		{"etc/containerd/certs.d/r.example/hosts.toml", "server = \"https://u:" + canary + "@r.example\"\n[host.\"https://r.example\".header]\nauthorization = \"Basic " + canary + "\"\n"},
		{"etc/docker/daemon.json", `{"proxies":{"http-proxy":"http://u:` + canary + `@proxy:3128"},"log-opts":{"splunk-token":"` + canary + `"}}`},
		{"etc/crio/crio.conf", "[crio.runtime]\ndefault_env = [\"TOKEN=" + canary + "\"]\n"},
		{"etc/systemd/system/app.service", "[Service]\nEnvironment=DB_PASSWORD=" + canary + "\nExecStart=/opt/app --password=" + canary + " --token " + canary + " http://u:" + canary + "@h/\n[Install]\nWantedBy=multi-user.target\n"},
		{"etc/systemd/system/app.service.d/10-env.conf", "[Service]\nEnvironment=\"API_KEY=" + canary + "\"\nSetCredential=k:" + canary + "\n"},
		{"etc/systemd/system/app.timer", "[Timer]\nOnCalendar=daily\n"},
		{"etc/systemd/system.conf.d/env.conf", "[Manager]\nDefaultEnvironment=TOKEN=" + canary + "\n"},
		{"etc/crontab", "PASSWORD=" + canary + "\n0 0 * * * root curl -H 'Authorization: Bearer " + canary + "' http://h/\n"},
		{"etc/cron.d/job", "0 0 * * * root TOKEN=" + canary + " /opt/job\n"},
		{"var/spool/cron/root", "0 0 * * * mysqldump -p" + canary + "\n"},
		{"etc/profile.d/env.sh", "export TOKEN=" + canary + "\n"},
		{"etc/environment", "TOKEN=" + canary + "\n"},
		{"etc/rc.local", "#!/bin/sh\nlogin --password " + canary + "\n"},
		{"etc/udev/rules.d/99-x.rules", "RUN+=\"/opt/x --token=" + canary + "\"\n"},
		{"etc/tmpfiles.d/x.conf", "f /run/x 0600 root root - " + canary + "\n"},
		{"etc/modprobe.d/x.conf", "options x key=" + canary + "\n"},
		{"etc/pam.d/login", "auth required pam_script.so token=" + canary + "\n"},
	}
	// Whatever else the inventory of credentials looks at holds it as well.
	for _, place := range node.CredentialPlaces() {
		rest, everyHome := strings.CutPrefix(place, "~/")
		names := []string{strings.TrimPrefix(place, "/")}
		if everyHome {
			names = []string{"root/" + rest, "home/ann/" + rest}
		}
		for _, name := range names {
			there := func(p plant) bool { return p.path == name || strings.HasPrefix(p.path, name+"/") }
			if !slices.ContainsFunc(out, there) {
				out = append(out, plant{name, garbage + canary + " = " + canary + "\n"})
			}
		}
	}
	return out
}

// canaryRead are plants whose content is asked for on every node.
var canaryRead = []string{
	"/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf", "/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/spoofed-kubeconfig", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/broken.pem",
	"/etc/kubernetes/azure.json", "/etc/kubernetes/cloud-config", "/var/lib/kubelet/config.json", "/root/.ssh/id_rsa", "/root/.aws/credentials", "/home/ann/.kube/config",
	"/var/lib/kubelet/pods/0b1c2d3e-0000-4000-8000-000000000001/volumes/kubernetes.io~projected/kube-api-access-x/token",
	"/proc/cmdline", "/proc/bootconfig", "/proc/1/environ", "/proc/400/environ", "/proc/300/cmdline", "/proc/200/cmdline",
	"/etc/shadow", "/etc/passwd", "/root/.ssh/authorized_keys", "/etc/sudoers",
	"/system/secrets/kubernetes/kube-apiserver/service-account.key", "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem",
}

// canaryProcess is a process with the secret in its arguments and environment.
type canaryProcess struct {
	pid               int
	comm, exe, cgroup string
	args              []string
}

var canaryEnviron = []string{
	"PATH=/bin", "DB_PASSWORD=" + canary, "HTTP_PROXY=http://u:" + canary + "@proxy", "HARMLESS=" + canary, "MULTI=a\nTOKEN=" + canary, canary + "_TOKEN=long enough", canary,
}

func canaryProcesses(kubelet string) []canaryProcess {
	out := []canaryProcess{
		{1, "systemd", "/usr/lib/systemd/systemd", "0::/init.scope\n", []string{"/usr/lib/systemd/systemd", "--token=" + canary}},
		{300, "bash", "/usr/bin/bash", "0::/system.slice/job.service\n", []string{"/usr/bin/bash", "-c", "login " + canary, canary}},
		{301, "python3", "/usr/bin/python3", "0::/system.slice/py.service\n", []string{"python3", "/opt/x.py", "--password", canary}},
		{302, "sshd", "/usr/sbin/sshd", "0::/system.slice/sshd.service\n", []string{"sshd", "-o", canary}},
		{303, "falcon-sensor", "/opt/CrowdStrike/falcon-sensor", "0::/system.slice/falcon.service\n", []string{"falcon-sensor", "--cid=" + canary}},
		{304, "containerd", "/usr/bin/containerd", "0::/system.slice/containerd.service\n", []string{"containerd", "--token", canary}},
		{400, "app", "/app", "0::/kubepods.slice/kubepods-pod0b1c2d3e_0000_4000_8000_000000000001.slice/cri-containerd-" + strings.Repeat("ab", 32) + ".scope\n", []string{"/app", "--password", canary}},
	}
	return append(out, map[string]canaryProcess{
		"kubelet": {200, "kubelet", "/opt/bin/kubelet", "0::/system.slice/kubelet.service\n", []string{
			"/opt/bin/kubelet", "--config=/etc/kubernetes/kubelet.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
			"--manifest-url-header=Authorization:" + canary, "--manifest-url=http://u:" + canary + "@h/?t=" + canary, "--node-labels=x=" + canaryHalf, "--unknown-flag", canary,
		}},
		"k3s": {200, "k3s-server", "/usr/local/bin/k3s", "0::/system.slice/k3s.service\n", []string{
			"/usr/local/bin/k3s", "server", "--token=" + canary, "--datastore-endpoint", "mysql://u:" + canary + "@h", "--kubelet-arg=manifest-url-header=A:" + canary,
		}},
		"kubelite": {200, "kubelite", "/snap/microk8s/1/kubelite", "0::/system.slice/snap.microk8s.daemon-kubelite.service\n", []string{
			"/snap/microk8s/1/kubelite", "--kubelet-args-file=/var/snap/microk8s/current/args/kubelet", "--token=" + canary,
		}},
	}[kubelet])
}

func (p canaryProcess) container() bool { return strings.Contains(p.cgroup, "kubepods") }

// files are what /proc has of the process.
func (p canaryProcess) files() []plant {
	dir := fmt.Sprintf("proc/%d/", p.pid)
	mounts := "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	if p.container() {
		mounts = "900 899 0:90 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c\n"
	}
	return []plant{
		{dir + "status", "Name:\t" + p.comm + "\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nVmPeak:\t1 kB\nThreads:\t1\nCapPrm:\t000001ffffffffff\n"},
		{dir + "cgroup", p.cgroup},
		{dir + "mountinfo", mounts},
		{dir + "cmdline", strings.Join(p.args, "\x00") + "\x00"},
		{dir + "environ", strings.Join(canaryEnviron, "\x00") + "\x00"},
		{dir + "comm", p.comm + "\n"},
	}
}

// canaryKeys is a private key with its certificate, in PEM, made for one run.
type canaryKeys struct{ key, certificate string }

func newCanaryKeys(t *testing.T) canaryKeys {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: theTime.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{Organization: []string{"system:masters"}, CommonName: "admin"},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return canaryKeys{string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))}
}

// secret is bytes of the private number, with which its DER form begins.
func (k canaryKeys) secret() []byte {
	block, _ := pem.Decode([]byte(k.key))
	return block.Bytes[7:31]
}

// needles are the forms in which the secret could have got out.
func needles(keys canaryKeys) []string {
	var out []string
	for _, secret := range [][]byte{[]byte(canaryHalf), []byte(canaryOther), keys.secret()} {
		out = append(out, string(secret), url.QueryEscape(string(secret)), url.PathEscape(string(secret)), hex.EncodeToString(secret))
		// At each of three alignments other characters stand for the same bytes;
		// those at the ends depend on what is beside.
		for shift := range 3 {
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString(slices.Concat(make([]byte, shift), secret))
				out = append(out, text[(shift*8+5)/6:(shift+len(secret))*8/6])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leaks are texts that needles must be found in.
func leaks(keys canaryKeys) map[string]string {
	out := map[string]string{
		"as it is": "token: " + canary, "cut at its slash": "x" + canaryHalf, "after its slash": canaryOther, "in a URL": "?t=" + url.QueryEscape(canary),
		"in hexadecimal": hex.EncodeToString([]byte(canary)), "as a private key": strings.ReplaceAll(keys.key, "\n", `\n`),
	}
	for shift := range 3 {
		out[fmt.Sprintf("in base64 after %d bytes", shift)] = base64.StdEncoding.EncodeToString([]byte("user:"[:shift] + canary + ":rest"))
		out[fmt.Sprintf("in base64 for URLs after %d bytes", shift)] = base64.RawURLEncoding.EncodeToString([]byte("user:"[:shift] + canary + ":rest"))
	}
	return out
}
