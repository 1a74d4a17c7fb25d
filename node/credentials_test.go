package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const kubeconfigHead = "current-context: c\ncontexts: [{name: c, context: {user: u}}]\nusers: [{name: u, user: "

// credentialHost is a host with files and a kubelet.
func credentialHost(files map[string]string, info map[string]FileInfo, args ...string) *Host {
	m := &memHost{files: files, info: info}
	h := m.host()
	h.gathering.processes = func() (*processTable, error) {
		return &processTable{processes: []process{kubeletProcess(args...)}, namespaces: &mountNamespaces{}}, nil
	}
	return h
}

// credentialLines are what was found, one line a file: list, path, kind and what
// was read of it.
func credentialLines(s CredentialState) []string {
	var out []string
	for list, files := range map[string][]CredentialFile{
		"kubelet": s.Kubelet, "cluster": s.Cluster, "system": s.System, "homes": s.Homes, "cloud": s.Cloud, "registry": s.Registry,
		"userData": s.UserData, "staticPods": s.StaticPods, "cni": s.CNI, "etcd": s.Etcd,
	} {
		for _, f := range files {
			line := list + " " + f.Path + " " + f.Kind
			for _, c := range f.Certificates {
				line += " certificate:" + c.Class
			}
			for _, k := range f.Keys {
				line += " key:" + k.State
			}
			if f.Digest != "" {
				line += fmt.Sprintf(" digest:%d", len(f.Digest))
			}
			for _, word := range []string{f.Content, f.Credential, f.Holds, f.Link, f.CertificateFile} {
				if word != "" {
					line += " " + word
				}
			}
			if f.Certificate != nil {
				line += " of:" + f.Certificate.Class
			}
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

func TestCredentials(t *testing.T) {
	node, ca := newPEMPair(t, false, "system:nodes"), newPEMPair(t, true, "kubernetes")
	for _, tt := range []struct {
		name  string
		files map[string]string
		args  []string
		want  []string
		gaps  []string
	}{
		{"nothing", map[string]string{"etc/": ""}, nil, []string{}, nil},
		{"a worker of kubeadm", map[string]string{
			"etc/kubernetes/kubelet.conf":                                kubeconfigHead + "{client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem}}]\n",
			"var/lib/kubelet/pki/kubelet-client-current.pem":             "-> /var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem",
			"var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem": node.certificate + node.key,
			"etc/kubernetes/pki/ca.crt":                                  ca.certificate,
			"etc/kubernetes/manifests/.keep":                             "",
		}, []string{"--kubeconfig=/etc/kubernetes/kubelet.conf", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf"}, []string{
			"cluster /etc/kubernetes/pki/ca.crt pem certificate:other digest:16 read",
			"kubelet /etc/kubernetes/kubelet.conf kubeconfig read certificate-file /var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem",
			"kubelet /var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem pem certificate:nodes key:plain digest:16 read",
			"kubelet /var/lib/kubelet/pki/kubelet-client-current.pem pem /var/lib/kubelet/pki/kubelet-client-2026-05-01-10-00-00.pem",
			"staticPods /etc/kubernetes/manifests/.keep static-pod",
		}, nil},
		{"a kubelet with folders of its own", map[string]string{
			"srv/k/pki/kubelet.key": node.key, "srv/k/config.json": `{"auths":{"r":{"auth":"x"}}}`, "srv/pods/a.yaml": "kind: Pod",
		}, []string{"--root-dir=/srv/k", "--pod-manifest-path=/srv/pods"}, []string{
			"kubelet /srv/k/pki/kubelet.key pem key:plain digest:16 read",
			"registry /srv/k/config.json settings read secret",
			"staticPods /srv/pods/a.yaml static-pod",
		}, nil},
		{"the configuration of OpenShift's kubelet is no kubeconfig", map[string]string{
			"etc/kubernetes/kubelet.conf": kubeletHead + "authentication: {anonymous: {enabled: false}}\n",
		}, []string{"--config=/etc/kubernetes/kubelet.conf"}, []string{}, nil},
		{"homes behind links, as on Fedora CoreOS", map[string]string{
			"root": "-> var/roothome", "home": "-> var/home",
			"var/roothome/.kube/config":    kubeconfigHead + "{token: t}}]\n",
			"var/home/core/.ssh/id_rsa":    "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
			"var/home/core/.ssh/known":     "",
			"var/home/core/.aws/config":    "",
			"var/home/core/.talos/config":  "context: x",
			"var/home/core/.config/gcloud": "",
		}, nil, []string{
			"homes /var/home/core/.ssh/id_rsa pem key:unknown digest:16 read",
			"homes /var/home/core/.talos/config talosconfig",
			"homes /var/roothome/.kube/config kubeconfig read token",
		}, nil},
		{"Talos", map[string]string{
			"system/secrets/kubernetes/kube-apiserver/service-account.key": ca.key,
			"system/state/config.yaml":                                     "cluster: {token: hunter2}",
			"var/lib/etcd/member/snap/db":                                  "x",
		}, nil, []string{
			"etcd /var/lib/etcd folder",
			"system /system/secrets/kubernetes/kube-apiserver/service-account.key pem key:plain digest:16 read",
			"userData /system/state/config.yaml machine-config",
		}, nil},
		{"a key that may not be read", map[string]string{"etc/kubernetes/pki/sa.key": "! denied"}, nil, []string{}, []string{
			"file /etc/kubernetes/pki/sa.key could not be read: looking at /etc/kubernetes/pki/sa.key: permission denied",
		}},
		{"a folder that may not be listed", map[string]string{"system/secrets": "! denied"}, nil, []string{}, []string{
			"folder /system/secrets could not be read: listing /system/secrets: permission denied",
		}},
		{"a certificate that is none", map[string]string{"etc/kubernetes/pki/ca.crt": pemText("CERTIFICATE", []byte("x"))}, nil, []string{"cluster /etc/kubernetes/pki/ca.crt pem unread"}, []string{
			"content of /etc/kubernetes/pki/ca.crt could not be read: 1 blocks say CERTIFICATE and hold none",
		}},
		{"a link to nowhere", map[string]string{"etc/kubernetes/pki/ca.crt": "-> /gone"}, nil, []string{"cluster /etc/kubernetes/pki/ca.crt pem"}, nil},
		{"a path that is relative", nil, []string{"--kubeconfig=kubeconfig"}, []string{}, []string{
			"file kubeconfig could not be read: looking at kubeconfig: not supported here: the path is relative to the kubelet's working directory, which is not known",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(tt.files)
			if files == nil {
				files = map[string]string{}
			}
			s, gaps, err := Credentials.Read(context.Background(), credentialHost(files, nil, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, credentialLines(s), cmp.Transformer("none", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, tt.gaps...), append([]string{}, gapTexts(gaps)...)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCredentialModesAndFolders(t *testing.T) {
	s, gaps, err := Credentials.Read(context.Background(), credentialHost(map[string]string{"boot/ignition/config.ign": "{}"}, map[string]FileInfo{
		"boot":                     {Type: Directory, Mode: 0o700},
		"boot/ignition/config.ign": {Type: Regular, Mode: 0o644, UID: 5, GID: 6, Size: 2},
	}))
	if err != nil || len(gaps) > 0 {
		t.Fatal(err, gaps)
	}
	if diff := cmp.Diff([]CredentialFile{{Path: "/boot/ignition/config.ign", Kind: "user-data", Type: Regular, Mode: 0o644, UID: 5, GID: 6, Size: 2}}, s.UserData); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Folder{{Path: "/", Mode: 0o755}, {Path: "/boot", Mode: 0o700}, {Path: "/boot/ignition", Mode: 0o755}}, s.Folders); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}

func TestCredentialBudgetIsSaid(t *testing.T) {
	r := newCredentialReading(credentialHost(map[string]string{"etc/kubernetes/a/1.key": "", "etc/kubernetes/a/2.key": "", "etc/kubernetes/b/3.key": "", "etc/kubernetes/c/4.key": ""}, nil))
	r.left = 4
	r.walk("cluster", "etc/kubernetes", 0)
	want := []string{"files with credentials could not be read: listing /etc/kubernetes/b: too large: stopped after 5000 files"}
	if diff := cmp.Diff(want, gapTexts(r.gaps)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := len(r.state.Cluster); got != 2 {
		t.Errorf("got %d files, want 2", got)
	}
	_, gaps, err := Credentials.Read(context.Background(), credentialHost(map[string]string{"etc/etcd" + strings.Repeat("/d", 9) + "/x.key": ""}, nil))
	if err != nil || len(gaps) != 1 || gaps[0].Code != TooLarge {
		t.Errorf("nine folders deep: got %v, %v, want one gap", gaps, err)
	}
}

func TestTokens(t *testing.T) {
	const pods = "var/lib/kubelet/pods/0b1c2d3e-0000-4000-8000-000000000001/volumes/"
	short := aToken(`{"sub":"system:serviceaccount:a:b","aud":["api"],"iat":1,"exp":3608,"kubernetes.io":{"pod":{}}}`)
	legacy := aToken(`{"sub":"system:serviceaccount:a:b"}`)
	mounts := "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:60 / /" + pods + "kubernetes.io~projected/kube-api-access rw - tmpfs tmpfs rw\n"
	read := func(files map[string]string) ([]TokenVolume, []Gap, error) {
		files["proc/1/mountinfo"] = mounts
		return ServiceAccountTokens.Read(context.Background(), credentialHost(files, nil))
	}
	got, gaps, err := read(map[string]string{
		pods + "kubernetes.io~projected/kube-api-access/token":              "-> ..data/token",
		pods + "kubernetes.io~projected/kube-api-access/..data":             "-> ..2026_05_01",
		pods + "kubernetes.io~projected/kube-api-access/..2026_05_01/token": short,
		pods + "kubernetes.io~projected/kube-api-access/ca.crt":             "! denied", // is not opened
		pods + "kubernetes.io~projected/settings/big":                       strings.Repeat("x", maxToken+1),
		pods + "kubernetes.io~projected/settings/app.yaml":                  "password: hunter2",
		pods + "kubernetes.io~secret/legacy/token":                          legacy,
		pods + "kubernetes.io~secret/legacy/ca.crt":                         "",
		pods + "kubernetes.io~secret/db/password":                           "! denied", // is not opened
		pods + "kubernetes.io~secret/api/token":                             "hunter2",
	})
	if err != nil || len(gaps) > 0 {
		t.Fatal(err, gaps)
	}
	want := []TokenVolume{
		{Pod: "0b1c2d3e-0000-4000-8000-000000000001", Kind: "projected", Volume: "kube-api-access", File: "token", On: "tmpfs", Lifetime: "hour", Extended: "no", Bound: "pod", Audience: "api-server"},
		{Pod: "0b1c2d3e-0000-4000-8000-000000000001", Kind: "secret", Volume: "legacy", File: "token", On: "ext4", Lifetime: "never", Extended: "no", Bound: "none", Audience: "none"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, gaps, err = read(map[string]string{pods + "kubernetes.io~projected/kube-api-access/token": "! denied"}); err != nil || len(gaps) != 1 || gaps[0].Code != Denied {
		t.Errorf("a token that may not be read: got %v, %v", gaps, err)
	}
	if _, _, err = read(map[string]string{"var/lib/kubelet/pki/": ""}); !IsAbsent(err) {
		t.Errorf("a kubelet without pods folder: got %v, want absent", err)
	}
	h := (&memHost{files: map[string]string{"proc/1/mountinfo": mounts}}).host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{}, nil }
	if got, gaps, err = ServiceAccountTokens.Read(context.Background(), h); err != nil || len(got)+len(gaps) > 0 {
		t.Errorf("no kubelet: got %v %v %v, want nothing", got, gaps, err)
	}
}

func TestSecretEnvironment(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{
		10: {comm: "app", exe: "/opt/app", cgroup: "0::/system.slice/app.service\n"},
		11: {comm: "app", exe: "/opt/app", cgroup: "0::/system.slice/app.service\n"},
		20: {comm: "web", exe: "/web", cgroup: "0::/kubepods.slice/kubepods-pod0b1c2d3e_0000_4000_8000_000000000001.slice/cri-containerd-" + strings.Repeat("ab", 32) + ".scope\n", mntns: "mnt:[9]", mountinfo: containerMounts},
		30: {comm: "shy", exe: "/opt/shy", cgroup: "0::/system.slice/shy.service\n"},
	}, nil)
	m.files["proc/1/environ"] = "LANG=C\x00"
	m.files["proc/10/environ"] = "API_KEY=hunter2\x00PATH=/bin\x00DB_PASSWORD=hunter2\x00"
	m.files["proc/11/environ"] = "DB_PASSWORD=other\x00API_KEY=hunter2\x00"
	m.files["proc/20/environ"] = "GITHUB_TOKEN=hunter2\x00"
	m.files["proc/30/environ"] = "! denied"
	got, gaps, err := SecretEnvironment.Read(context.Background(), m.host())
	if err != nil {
		t.Fatal(err)
	}
	want := SecretVariables{
		Host: []VariableHolder{{Program: "/opt/app", Names: []string{"API_KEY", "DB_PASSWORD"}}},
		Pods: []VariableHolder{{Program: "/web", Pod: "0b1c2d3e-0000-4000-8000-000000000001", Names: []string{"GITHUB_TOKEN"}}}, Looked: "yes",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 of 4 environments of host processes could not be read: reading /proc/<pid>/environ: permission denied"}, gapTexts(gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if len(gaps) == 1 && gaps[0].Part != "host" {
		t.Errorf("the gap is in %q, want host", gaps[0].Part)
	}
}

func TestControlPlane(t *testing.T) {
	const pod = "0::/kubepods.slice/kubepods-pod0b1c2d3e_0000_4000_8000_000000000001.slice/cri-containerd-"
	inPod := func(comm, netns, mounts string) aProcess {
		return aProcess{comm: comm, exe: "/usr/local/bin/" + comm, cgroup: pod + strings.Repeat("ab", 32) + ".scope\n", mntns: "mnt:[9]", netns: netns, mountinfo: containerMounts + mounts}
	}
	configMap := "260 255 8:1 /var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/kube-proxy /var/lib/kube-proxy rw - ext4 /dev/sda1 rw\n"
	hostFile := "260 255 8:1 /var/lib/kube-proxy/kubeconfig /var/lib/kube-proxy/kubeconfig rw - ext4 /dev/sda1 rw\n"
	for _, tt := range []struct {
		name      string
		processes map[int]aProcess
		files     map[string]string
		want      ControlPlaneState
		gaps      int
	}{
		{"a worker", map[int]aProcess{10: {comm: "kubelet", exe: "/usr/bin/kubelet", cmdline: "/usr/bin/kubelet\x00"}}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "absent"}, 0},
		{"Talos: components on the host's network", map[int]aProcess{10: inPod("kube-apiserver", hostNetNS, ""), 11: {comm: "etcd", exe: "/usr/local/bin/etcd"}}, nil,
			ControlPlaneState{"yes", []ControlPlanePart{{"etcd", "process"}, {"kube-apiserver", "process"}}, "absent"}, 0},
		{"the control plane of another cluster in a pod", map[int]aProcess{10: inPod("kube-apiserver", "net:[7]", "")}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "absent"}, 0},
		{"kubeadm's static pods, and nothing runs yet", map[int]aProcess{}, map[string]string{"etc/kubernetes/manifests/kube-apiserver.yaml": "x", "etc/kubernetes/manifests/mine.yaml": ""},
			ControlPlaneState{"yes", []ControlPlanePart{{"kube-apiserver", "/etc/kubernetes/manifests/kube-apiserver.yaml"}}, "absent"}, 0},
		{"a k3s server", map[int]aProcess{10: {comm: "k3s-server", exe: "/usr/local/bin/k3s", cmdline: "/usr/local/bin/k3s server\x00"}}, nil, ControlPlaneState{"yes", []ControlPlanePart{{"k3s server", "process"}}, "absent"}, 0},
		{"a k3s agent", map[int]aProcess{10: {comm: "k3s-agent", exe: "/usr/local/bin/k3s", cmdline: "/usr/local/bin/k3s agent\x00"}}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "absent"}, 0},
		{"an RKE2 server", map[int]aProcess{10: {comm: "rke2", exe: "/usr/local/bin/rke2", cmdline: "/usr/local/bin/rke2 server\x00"}}, nil, ControlPlaneState{"yes", []ControlPlanePart{{"rke2 server", "process"}}, "absent"}, 0},
		{"kube-proxy of kubeadm", map[int]aProcess{10: inPod("kube-proxy", hostNetNS, configMap)}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "pod"}, 0},
		{"kube-proxy of GKE", map[int]aProcess{10: inPod("kube-proxy", hostNetNS, hostFile)}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "host"}, 0},
		{"kube-proxy on the host", map[int]aProcess{10: {comm: "kube-proxy", exe: "/opt/bin/kube-proxy"}}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "host"}, 0},
		{"kube-proxy whose mounts say nothing", map[int]aProcess{10: inPod("kube-proxy", hostNetNS, "")}, nil, ControlPlaneState{"no", []ControlPlanePart{}, "unknown"}, 0},
		{"static pods that may not be listed", map[int]aProcess{}, map[string]string{"etc/kubernetes/manifests": "! denied"}, ControlPlaneState{"unknown", []ControlPlanePart{}, "absent"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, gaps, err := ControlPlane.Read(context.Background(), procHost(flatcarMounts, tt.processes, tt.files).host())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(gaps) != tt.gaps {
				t.Errorf("got gaps %v, want %d", gapTexts(gaps), tt.gaps)
			}
		})
	}
}

// What the kubelet's configuration would name is not known to be nothing.
func TestCredentialsOfAKubeletThatCannotBeRead(t *testing.T) {
	parts := func(h *Host) map[string]bool {
		_, gaps, err := Credentials.Read(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, g := range gaps {
			out[g.Part] = true
		}
		return out
	}
	h := (&memHost{files: map[string]string{"etc/": ""}}).host()
	h.gathering.processes = func() (*processTable, error) { return nil, &Error{"listing", "/proc", Denied, ""} }
	if got := parts(h); !got["kubelet"] || !got["staticPods"] || !got["registry"] || got["cluster"] {
		t.Errorf("without processes: got gaps in %v", got)
	}
	h = (&memHost{files: map[string]string{"etc/kubelet.yaml": "! denied"}}).host()
	h.gathering.processes = func() (*processTable, error) {
		return &processTable{processes: []process{kubeletProcess("--config=/etc/kubelet.yaml")}}, nil
	}
	if got := parts(h); !got["kubelet"] || !got["staticPods"] || got["cluster"] {
		t.Errorf("without its configuration: got gaps in %v", got)
	}
}
