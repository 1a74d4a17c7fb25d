package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func filesText(files []KubeletFile) []string {
	out := []string{}
	for _, f := range files {
		out = append(out, f.Role+" "+f.Path+" "+f.Found)
	}
	return out
}

func gapLines(gaps []Gap) []string {
	out := []string{}
	for _, g := range gaps {
		out = append(out, g.String())
	}
	return out
}

func TestKubeletUnit(t *testing.T) {
	const service = "/system.slice/kubelet.service"
	for _, tt := range []struct {
		name, cgroup string
		files        map[string]string
		unit         string
		want, gaps   []string
	}{
		{"kubeadm's unit, drop-in and environment files", service, map[string]string{
			"usr/lib/systemd/system/kubelet.service":                        "[Service]\nEnvironment=TOKEN=hunter2\n",
			"usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf":      "[Service]\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/sysconfig/kubelet\n",
			"usr/lib/systemd/system/kubelet.service.d/README":               "",
			"var/lib/kubelet/kubeadm-flags.env":                             "KUBELET_KUBEADM_ARGS=",
			"usr/lib/systemd/system/kubelet.service.wants/containerd.mount": "",
		}, "kubelet.service", []string{
			"unit /usr/lib/systemd/system/kubelet.service yes", "drop-in /usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf yes",
			"environment /etc/sysconfig/kubelet no", "environment /var/lib/kubelet/kubeadm-flags.env yes"}, nil},
		{"the first unit wins, every drop-in counts", service, map[string]string{
			"etc/systemd/system/kubelet.service":               "",
			"run/systemd/system/kubelet.service.d/a.conf":      "",
			"usr/lib/systemd/system/kubelet.service":           "",
			"usr/lib/systemd/system/kubelet.service.d/b.conf":  "",
			"usr/lib/systemd/system/kubelet.service.d/b.conf~": "",
		}, "kubelet.service", []string{"unit /etc/systemd/system/kubelet.service yes", "drop-in /run/systemd/system/kubelet.service.d/a.conf yes", "drop-in /usr/lib/systemd/system/kubelet.service.d/b.conf yes"}, nil},
		{"a link is followed", "/system.slice/k3s.service", map[string]string{
			"etc/systemd/system/k3s.service":     "-> /usr/lib/systemd/system/k3s.service",
			"usr/lib/systemd/system/k3s.service": "EnvironmentFile=/etc/%p.env\n",
		}, "k3s.service", []string{"unit /usr/lib/systemd/system/k3s.service yes"},
			[]string{"the environment files of the kubelet's unit could not be read: looking at /etc/%p.env: not supported here: patterns, specifiers and escapes are not followed"}},
		{"Talos has no units", "/podruntime/kubelet", nil, "", []string{}, nil},
		{"in the root cgroup", "/", nil, "", []string{}, nil},
		{"no such unit", service, map[string]string{"etc/x": ""}, "kubelet.service", []string{},
			[]string{"the unit of the kubelet could not be read: looking for kubelet.service: no such file: it stands in no folder of units"}},
		{"denied", service, map[string]string{"etc/systemd/system/kubelet.service": "! denied", "usr/lib/systemd/system/kubelet.service.d": "! denied"}, "kubelet.service", []string{},
			[]string{
				"the unit of the kubelet could not be read: looking at /etc/systemd/system/kubelet.service: permission denied",
				"the drop-ins of the kubelet's unit could not be read: listing /usr/lib/systemd/system/kubelet.service.d: permission denied",
				"the unit of the kubelet could not be read: looking for kubelet.service: no such file: it stands in no folder of units",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, gaps, err := readKubeletUnit((&memHost{files: tt.files}).host(), tt.cgroup)
			if err != nil || v.Unit != tt.unit {
				t.Errorf("got unit %q, %v, want %q", v.Unit, err, tt.unit)
			}
			if d := cmp.Diff(tt.want, filesText(v.Files)); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]string{}, tt.gaps...), gapLines(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

func TestStaticPods(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		files        map[string]string
		folder       string
		want, gaps   []string
	}{
		{"none", "", nil, "  ", []string{}, nil},
		{"a control plane", "staticPodPath: /m\n", map[string]string{"m/etcd.yaml": "", "m/.hidden.yaml": "", "m/kube-apiserver.yaml": "", "m/sub/x.yaml": ""},
			"static-pods /m yes", []string{"manifest /m/etcd.yaml yes", "manifest /m/kube-apiserver.yaml yes"}, nil},
		{"relative to the file that names it", "staticPodPath: manifests/\n", map[string]string{"etc/kubernetes/manifests/a.yaml": ""},
			"static-pods /etc/kubernetes/manifests yes", []string{"manifest /etc/kubernetes/manifests/a.yaml yes"}, nil},
		{"one file", "staticPodPath: /m/a.yaml\n", map[string]string{"m/a.yaml": ""}, "static-pods /m/a.yaml yes", []string{"manifest /m/a.yaml yes"}, nil},
		{"a folder that is not there", "staticPodPath: /m\n", nil, "static-pods /m no", []string{}, nil},
		{"denied", "staticPodPath: /m\n", map[string]string{"m": "! denied"}, "static-pods /m unknown", []string{},
			[]string{"static pods could not be read: looking at /m: permission denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"etc/kubernetes/kubelet.yaml": kubeletHead + tt.config}
			for name, content := range tt.files {
				files[name] = content
			}
			h := kubeletHost(files, kubeletProcess("--config=/etc/kubernetes/kubelet.yaml"))
			v, gaps, err := StaticPods.Read(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Folder.Role + " " + v.Folder.Path + " " + v.Folder.Found; got != tt.folder {
				t.Errorf("folder: got %q, want %q", got, tt.folder)
			}
			if d := cmp.Diff(tt.want, filesText(v.Manifests)); d != "" {
				t.Errorf("manifests (-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]string{}, tt.gaps...), gapLines(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
	// A file of settings that is not there may have named a folder.
	_, gaps, err := StaticPods.Read(t.Context(), kubeletHost(nil, kubeletProcess("--config=/gone")))
	if err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Reason, "/gone: no such file") {
		t.Errorf("got %v, %v, want a gap that names /gone", gaps, err)
	}
}

func TestKubeletVersion(t *testing.T) {
	question := Question{AskGoBuild, "usr/bin/kubelet"}
	host := func(b any, refusal *Error) func(p process) KubeletState {
		return func(p process) KubeletState {
			m := &memHost{kernel: map[Question]any{}, errors: map[Question]*Error{}}
			if refusal != nil {
				m.errors[question] = refusal
			} else if b != nil {
				m.kernel[question] = b
			}
			h := m.host()
			h.gathering.processes = func() (*processTable, error) {
				return &processTable{processes: []process{{pid: 1, comm: "systemd", mntns: "mnt:[1]"}, p}}, nil
			}
			v, _ := gatherKubelet(t, h)
			return v
		}
	}
	p := kubeletProcess()
	p.mntns = "mnt:[1]"
	other, deleted, unseen := p, p, p
	other.mntns, deleted.deleted, unseen.mntns = "mnt:[2]", true, ""
	upstream := GoBuild{Module: "k8s.io/kubernetes", Version: "(devel)", Kubernetes: "v1.31.2"}
	for _, tt := range []struct {
		name string
		v    KubeletState
		want string
	}{
		{"Kubernetes' own build", host(upstream, nil)(p), "v1.31.2: build information of /usr/bin/kubelet"},
		{"k3s appends its own", host(GoBuild{Module: "github.com/k3s-io/k3s", Kubernetes: "v1.31.2+k3s1"}, nil)(p), "v1.31.2+k3s1: build information of /usr/bin/kubelet"},
		{"built as a module", host(GoBuild{Module: "k8s.io/kubernetes", Version: "v1.36.3"}, nil)(p), "v1.36.3: build information of /usr/bin/kubelet"},
		{"another module's version says nothing", host(GoBuild{Module: "example.com/k", Version: "v1.36.3"}, nil)(p), ": build information of /usr/bin/kubelet, which names no release of Kubernetes"},
		{"no version", host(GoBuild{Module: "k8s.io/kubernetes", Version: "v0.0.0-20240813072848-9edcffcde559", Kubernetes: "v1.31; rm -rf"}, nil)(p), ": build information of /usr/bin/kubelet, which names no release of Kubernetes"},
		{"the executable was replaced", host(upstream, nil)(deleted), ": /usr/bin/kubelet was replaced since the kubelet started"},
		{"in a mount namespace of its own", host(upstream, nil)(other), ": the kubelet sees other mounts than process 1, so that /usr/bin/kubelet may be another file"},
		{"namespaces may not be seen", host(upstream, nil)(unseen), ": whether the kubelet sees the mounts of process 1 could not be seen"},
		{"denied", host(nil, &Error{"asking the kernel for", question.Name(), Denied, ""})(p), ": asking the kernel for go-build of /usr/bin/kubelet: permission denied"},
	} {
		if got := tt.v.Version + ": " + tt.v.VersionFrom; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A file that could not be read leaves the arguments known; arguments that could
// not be read leave nothing known.
func TestKubeletGapsSayWhatTheyHide(t *testing.T) {
	v, _ := gatherKubelet(t, kubeletHost(nil, kubeletProcess("--config=/gone", "--config-dir=/nowhere")))
	if !slices.ContainsFunc(v.Unread, func(g Gap) bool { return strings.Contains(g.Reason, "/gone: no such file") }) {
		t.Errorf("got %v, want a gap that names /gone", v.Unread)
	}
	for _, g := range v.Unread {
		if g.Part != "values" {
			t.Errorf("%s: got part %q, want values", g, g.Part)
		}
	}
	p := kubeletProcess()
	p.args = nil
	v, _ = gatherKubelet(t, kubeletHost(nil, p))
	if len(v.Unread) != 1 || v.Unread[0].Part != "" {
		t.Errorf("unread arguments: got %+v, want one gap in all of the value", v.Unread)
	}
}
