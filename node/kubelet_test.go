package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"
)

// wholeMachine are files of a machine whose process 1 is its own.
func wholeMachine(files map[string]string) map[string]string {
	whole := map[string]string{"proc/1/ns/pid": "-> " + initialPIDNamespace}
	maps.Copy(whole, files)
	return whole
}

// kubeletHost is a host with files and the processes that a process table would show.
func kubeletHost(files map[string]string, processes ...process) *Host {
	m := &memHost{files: wholeMachine(files), info: map[string]FileInfo{
		"etc/kubernetes/kubelet.yaml": {Type: Regular, Mode: 0o600},
	}}
	h := m.host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: processes}, nil }
	return h
}

func kubeletProcess(args ...string) process {
	return process{pid: 900, comm: "kubelet", exe: "/usr/bin/kubelet", args: append([]string{"/usr/bin/kubelet"}, args...)}
}

const kubeletHead = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

func gatherKubelet(t *testing.T, h *Host) (KubeletState, []Gap) {
	t.Helper()
	v, gaps, err := Kubelet.Read(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	return v, gaps
}

// jsons are the values without their places.
func jsons(v KubeletState) map[string]string {
	out := map[string]string{}
	for k, s := range v.Values {
		out[k] = s.JSON
	}
	return out
}

func TestKubeletFound(t *testing.T) {
	for _, tt := range []struct {
		name      string
		processes []process
		files     map[string]string
		want      string // found program embedder
		gaps      []string
	}{
		{"a kubelet by its executable", []process{kubeletProcess()}, nil, "process /usr/bin/kubelet ", nil},
		{"no kubelet", []process{{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd"}}, nil, "absent  ", nil},
		{"an executable that may not be seen", []process{{pid: 9, comm: "kubelet", args: []string{"kubelet"}}}, nil, "process kubelet ", nil},
		{"a version in its name", []process{{pid: 9, comm: "kubelet", exe: "/opt/bin/kubelet-v1.33.4", args: []string{"kubelet"}}}, nil, "process /opt/bin/kubelet-v1.33.4 ", nil},
		{"no kubelet in the part of the machine that is seen (Talos 1.14)", []process{{pid: 1, comm: "sandboxd", exe: "/usr/bin/sandboxd"}}, map[string]string{"proc/1/ns/pid": "-> pid:[4026532200]"},
			"absent  ", []string{"the kubelet"}},
		{"no kubelet, and which namespace process 1 is in was not seen", []process{{pid: 1, comm: "systemd"}}, map[string]string{"proc/1/ns/pid": "! denied"}, "absent  ", []string{"the kubelet"}},
		{"a kubelet in the part of the machine that is seen", []process{kubeletProcess()}, map[string]string{"proc/1/ns/pid": "-> pid:[4026532200]"}, "process /usr/bin/kubelet ", nil},
		{"a controller whose name begins alike", []process{{pid: 9, comm: "kubelet-csr-app", exe: "/kubelet-csr-approver", args: []string{"x"}}}, nil, "absent  ", nil},
		{"a kubelet by another name", []process{{pid: 9, comm: "node-agent", exe: "/opt/node-agent"}},
			map[string]string{"proc/1/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1\n"}, "absent  ", []string{"the kubelet"}},
		{"GKE's health monitor is bash and no kubelet", []process{
			{pid: 982, comm: "bash", exe: "/usr/bin/bash", args: []string{"bash", "/home/kubernetes/bin/health-monitor.sh", "kubelet"}},
		}, nil, "absent  ", nil},
		{"a script called kubelet starts the kubelet", []process{
			{pid: 8, comm: "kubelet", exe: "/usr/bin/bash", args: []string{"/bin/sh", "/usr/local/bin/kubelet"}},
			kubeletProcess(),
		}, nil, "process /usr/bin/kubelet ", nil},
		{"kubeadm asks another kubelet for its version", []process{
			{pid: 7, comm: "kubelet", exe: "/usr/bin/kubelet", args: []string{"kubelet", "--version"}}, kubeletProcess(),
		}, nil, "process /usr/bin/kubelet ", nil},
		{"two kubelets", []process{kubeletProcess("--v=2"), {pid: 901, comm: "kubelet", exe: "/opt/kubelet", args: []string{"kubelet"}}}, nil,
			"process /usr/bin/kubelet ", []string{"other kubelets of this node"}},
		{"Talos: in a container by its cgroup", []process{
			{pid: 25408, comm: "kubelet", exe: "/usr/local/bin/kubelet", placement: placement{container: "kubelet", cgroup: "/podruntime/kubelet"}, args: []string{"/usr/local/bin/kubelet"}},
		}, nil, "process /usr/local/bin/kubelet ", nil},
		{"a kubelet of another cluster in a container (kind)", []process{
			{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd"},
			{pid: 77, dir: "proc/77", comm: "kubelet", exe: "/usr/bin/kubelet", placement: placement{container: "abc"}, args: []string{"/usr/bin/kubelet"}},
		}, map[string]string{"proc/1/ns/net": "-> net:[1]", "proc/77/ns/net": "-> net:[2]"}, "absent  ", nil},
		{"RKE1: in a container on the host's network", []process{
			{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd"},
			{pid: 77, dir: "proc/77", comm: "kubelet", exe: "/opt/rke-tools/kubelet", placement: placement{container: "abc"}, args: []string{"kubelet"}},
		}, map[string]string{"proc/1/ns/net": "-> net:[1]", "proc/77/ns/net": "-> net:[1]"}, "process /opt/rke-tools/kubelet ", nil},
		{"a kubelet in a container whose network could not be seen may be the node's", []process{
			{pid: 1, dir: "proc/1", comm: "systemd", exe: "/usr/lib/systemd/systemd"},
			{pid: 77, dir: "proc/77", comm: "kubelet", exe: "/opt/rke-tools/kubelet", placement: placement{container: "abc"}, args: []string{"kubelet"}},
		}, map[string]string{"proc/1/ns/net": "! denied", "proc/77/ns/net": "-> net:[1]"}, "absent  ", []string{"whether a kubelet in a container is the node's"}},
		{"hyperkube", []process{{pid: 5, comm: "hyperkube", exe: "/usr/bin/hyperkube", args: []string{"/usr/bin/hyperkube", "kubelet", "--v=2"}}}, nil,
			"process /usr/bin/hyperkube ", nil},
		{"hyperkube as API server", []process{{pid: 5, comm: "hyperkube", exe: "/usr/bin/hyperkube", args: []string{"/usr/bin/hyperkube", "apiserver"}}}, nil, "absent  ", nil},
		{"k3s hides its arguments", []process{{pid: 5, comm: "k3s-server", exe: "/var/lib/rancher/k3s/data/current/bin/k3s", args: []string{"/usr/local/bin/k3s server"}}}, nil,
			"embedded /var/lib/rancher/k3s/data/current/bin/k3s k3s", []string{"the arguments that k3s gives its kubelet"}},
		{"k3s as kubectl", []process{{pid: 5, comm: "kubectl", exe: "/usr/local/bin/k3s", args: []string{"kubectl", "get", "nodes"}}}, nil, "absent  ", nil},
		{"RKE2 starts a kubelet of its own", []process{
			{pid: 5, comm: "rke2", exe: "/usr/bin/rke2", args: []string{"/usr/bin/rke2 server"}}, kubeletProcess("--node-labels="),
		}, nil, "process /usr/bin/kubelet ", nil},
		{"arguments that were not gathered", []process{{pid: 5, comm: "kubelet", exe: "/usr/bin/kubelet"}}, nil,
			"process /usr/bin/kubelet ", []string{"the arguments of kubelet"}},
		{"an executable that may not be seen, so that arguments were not read", []process{{pid: 5, comm: "kubelet", exeErr: &Error{"reading link", "/proc/5/exe", Denied, ""}}}, nil,
			"process kubelet ", []string{"the arguments of kubelet"}},
		{"taints and labels that were taken out", []process{kubeletProcess("--register-with-taints", "<redacted>", "--node-labels=<redacted>", "--manifest-url-header=<redacted>")}, nil,
			"process /usr/bin/kubelet ", nil},
		{"a word that belongs to no argument", []process{kubeletProcess("--v=2", "word")}, nil,
			"process /usr/bin/kubelet ", []string{"the arguments of kubelet"}},
		{"dynamic configuration before 1.24", []process{kubeletProcess("--dynamic-config-dir=/var/lib/kubelet/dynamic")}, nil,
			"process /usr/bin/kubelet ", []string{"the dynamic configuration in /var/lib/kubelet/dynamic"}},
		{"MicroK8s", []process{{pid: 5, comm: "kubelite", exe: "/snap/microk8s/1/kubelite", args: []string{"/snap/microk8s/1/kubelite", "--kubelet-args-file=/var/snap/microk8s/1/args/kubelet"}}},
			map[string]string{"var/snap/microk8s/1/args/kubelet": "--anonymous-auth=false\n--root-dir=${SNAP_COMMON}/kubelet\n--client-ca-file=${SNAP_DATA}/certs/ca.crt\n"},
			"embedded /snap/microk8s/1/kubelite kubelite", []string{"argument --root-dir of kubelite"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, gaps := gatherKubelet(t, kubeletHost(tt.files, tt.processes...))
			if got := v.Found + " " + v.Program + " " + v.Embedder; got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			var whats []string
			for _, g := range gaps {
				whats = append(whats, g.What)
			}
			if d := cmp.Diff(tt.gaps, whats); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			if v.Found != "absent" && len(gaps) != len(v.Unread) {
				t.Errorf("unread %q, gaps %v", v.Unread, gaps)
			}
		})
	}
}

func TestKubeletMayRunUnseen(t *testing.T) {
	h := (&memHost{files: wholeMachine(nil)}).host()
	h.gathering.processes = func() (*processTable, error) {
		return &processTable{gaps: []Gap{{What: "processes", Code: Denied, Reason: "hidepid", Count: 3, Of: 9}, {What: "executables of host processes", Code: Denied, Reason: "no right", Count: 1, Of: 9}}}, nil
	}
	v, gaps := gatherKubelet(t, h)
	if v.Found != "absent" || len(gaps) != 1 {
		t.Errorf("found %q with gaps %v, want absent with one gap", v.Found, gaps)
	}
	h.gathering.processes = func() (*processTable, error) { return nil, &Error{"listing", "/proc", Denied, ""} }
	h.gathering.kubelet = func() (*kubeletReading, error) { return readKubelet(h) }
	if _, _, err := Kubelet.Read(context.Background(), h); !errors.Is(err, os.ErrPermission) {
		t.Errorf("without processes: %v, want permission denied", err)
	}
}

func TestKubeletMerge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		files map[string]string
		want  map[string]KubeletValue
		lost  []KubeletOverride
		gaps  []string
	}{
		{name: "flag beats file", args: []string{"--config", "/etc/kubernetes/kubelet.yaml", "--anonymous-auth=true"},
			files: map[string]string{"etc/kubernetes/kubelet.yaml": kubeletHead + "authentication: {anonymous: {enabled: false}}\n"},
			want:  map[string]KubeletValue{"authentication.anonymous.enabled": {"true", "flag --anonymous-auth"}},
			lost:  []KubeletOverride{{"authentication.anonymous.enabled", "false", "file /etc/kubernetes/kubelet.yaml"}}},
		{name: "the last flag wins, underscores are dashes", args: []string{"--read_only_port=10255", "--read-only-port", "0"},
			want: map[string]KubeletValue{"readOnlyPort": {"0", "flag --read-only-port"}}},
		{name: "a switch takes no word", args: []string{"--rotate-certificates", "--anonymous-auth=F"},
			want: map[string]KubeletValue{"rotateCertificates": {"true", "flag --rotate-certificates"}, "authentication.anonymous.enabled": {"false", "flag --anonymous-auth"}}},
		{name: "repeated lists and maps add up", args: []string{"--kube-reserved=cpu=100m", "--kube-reserved", "memory=1Gi", "--enforce-node-allocatable=pods", "--enforce-node-allocatable=kube-reserved"},
			want: map[string]KubeletValue{"kubeReserved": {`{"cpu":"100m","memory":"1Gi"}`, "flag --kube-reserved"}, "enforceNodeAllocatable": {`["pods","kube-reserved"]`, "flag --enforce-node-allocatable"}}},
		{name: "a flag replaces a map of the file as a whole", args: []string{"--config=/k", "--eviction-hard=memory.available<200Mi,nodefs.available<5%"},
			files: map[string]string{"k": kubeletHead + "evictionHard: {imagefs.available: 15%, memory.available: 100Mi}\n"},
			want:  map[string]KubeletValue{"evictionHard": {`{"memory.available":"200Mi","nodefs.available":"5%"}`, "flag --eviction-hard"}},
			lost:  []KubeletOverride{{"evictionHard", `{"imagefs.available":"15%","memory.available":"100Mi"}`, "file /k"}}},
		{name: "feature gates of flags are added to those of the file", args: []string{"--config=/k", "--feature-gates=A=false,B=true"},
			files: map[string]string{"k": kubeletHead + "featureGates: {A: true, C: true}\n"},
			want:  map[string]KubeletValue{"featureGates": {`{"A":false,"B":true,"C":true}`, "file /k, flag --feature-gates"}},
			lost:  []KubeletOverride{{"featureGates", `{"A":true,"C":true}`, "file /k"}}},
		{name: "--seccomp-default=false does not turn the file's off", args: []string{"--config=/k", "--seccomp-default=false"},
			files: map[string]string{"k": kubeletHead + "seccompDefault: true\n"},
			want:  map[string]KubeletValue{"seccompDefault": {"true", "file /k"}}},
		{name: "drop-ins in order, folders inside too, only .conf", args: []string{"--config=/k", "--config-dir=/d"},
			files: map[string]string{
				"k":             kubeletHead + "readOnlyPort: 1\nevictionHard: {memory.available: 100Mi}\nclusterDNS: [10.0.0.10]\n",
				"d/10-a.conf":   kubeletHead + "readOnlyPort: 2\nevictionHard: {nodefs.available: 10%}\n",
				"d/20/z.conf":   kubeletHead + "readOnlyPort: 3\n",
				"d/30-b.conf":   kubeletHead + "clusterDNS: [10.0.0.11]\n",
				"d/40-c.yaml":   kubeletHead + "readOnlyPort: 4\n",
				"d/50.conf.bak": "not even YAML: [",
			},
			want: map[string]KubeletValue{
				"readOnlyPort": {"3", "file /d/20/z.conf"},
				"evictionHard": {`{"memory.available":"100Mi","nodefs.available":"10%"}`, "file /k, file /d/10-a.conf"},
				"clusterDNS":   {`["10.0.0.11"]`, "file /d/30-b.conf"},
			},
			lost: []KubeletOverride{{"readOnlyPort", "1", "file /k"}, {"readOnlyPort", "2", "file /d/10-a.conf"}, {"clusterDNS", `["10.0.0.10"]`, "file /k"}}},
		{name: "null in a drop-in takes a setting away", args: []string{"--config=/k", "--config-dir=/d"},
			files: map[string]string{
				"k":        kubeletHead + "kubeReserved: {cpu: 1, memory: 1Gi}\nauthentication: {anonymous: {enabled: true}, x509: {clientCAFile: /ca}}\n",
				"d/1.conf": kubeletHead + "kubeReserved: {cpu: null}\nauthentication: {anonymous: null}\n",
			},
			want: map[string]KubeletValue{"kubeReserved": {`{"memory":"1Gi"}`, "file /k, file /d/1.conf"}, "authentication.x509.clientCAFile": {`"/ca"`, "file /k"}},
			lost: []KubeletOverride{{"authentication.anonymous.enabled", "true", "file /k"}, {"kubeReserved", `{"cpu":1,"memory":"1Gi"}`, "file /k"}}},
		{name: "a link to the drop-in folder is not followed", args: []string{"--config-dir=/d"},
			files: map[string]string{"d": "-> /e", "e/1.conf": kubeletHead + "readOnlyPort: 7\n"}, want: map[string]KubeletValue{}},
		{name: "the configuration may not be read", args: []string{"--config=/k"}, files: map[string]string{"k": "! denied"},
			want: map[string]KubeletValue{}, gaps: []string{"kubelet configuration /k could not be read: reading /k: permission denied"}},
		{name: "the configuration is gone", args: []string{"--config=/k"},
			want: map[string]KubeletValue{}, gaps: []string{"kubelet configuration /k could not be read: reading /k: no such file"}},
		{name: "the configuration is of another kind", args: []string{"--config=/k"}, files: map[string]string{"k": "apiVersion: v1\nkind: Pod\n"},
			want: map[string]KubeletValue{}, gaps: []string{`kubelet configuration /k could not be read: parsing kubelet configuration: apiVersion "v1" and kind "Pod" are not those of kubelet.config.k8s.io/v1beta1`}},
		{name: "a group that is no map", args: []string{"--config=/k"}, files: map[string]string{"k": kubeletHead + "authentication: yes\n"},
			want: map[string]KubeletValue{}, gaps: []string{"kubelet configuration /k could not be read: parsing file /k: authentication is no map but true"}},
		{name: "a relative path", args: []string{"--config=k"}, files: map[string]string{"k": kubeletHead},
			want: map[string]KubeletValue{}, gaps: []string{"kubelet configuration k could not be read: reading k: not supported here: the path is relative to the kubelet's working directory, which is not known"}},
		{name: "no drop-in folder", args: []string{"--config-dir=/d"},
			want: map[string]KubeletValue{}, gaps: []string{"kubelet configuration folder /d could not be read: looking at /d: no such file"}},
		{name: "an argument that is no number", args: []string{"--read-only-port=x"},
			want: map[string]KubeletValue{}, gaps: []string{`an argument of the kubelet could not be read: parsing flag --read-only-port: parsing "x": not a number`}},
		{name: "what differs between equal nodes", args: []string{"--config=/k", "--provider-id=aws:///i-1", "--node-ip=10.0.0.1", "--hostname-override=node-6"},
			files: map[string]string{"k": kubeletHead + "address: 192.0.2.10\nhealthzBindAddress: 127.0.0.1\npodCIDR: 10.244.0.0/24\nstaticPodURL: http://user:pass@127.0.0.1:41234/a?token=x\nstaticPodURLHeader: {Authorization: [Bearer abc]}\n"},
			want: map[string]KubeletValue{
				"address": {`"<node>"`, "file /k"}, "healthzBindAddress": {`"127.0.0.1"`, "file /k"}, "podCIDR": {`"<node>"`, "file /k"},
				"providerID": {`"<node>"`, "flag --provider-id"}, "staticPodURL": {`"http://127.0.0.1/a"`, "file /k"},
				"staticPodURLHeader": {`{"Authorization":["<redacted>"]}`, "file /k"},
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, gaps := gatherKubelet(t, kubeletHost(tt.files, kubeletProcess(tt.args...)))
			if d := cmp.Diff(tt.want, v.Values); d != "" {
				t.Errorf("values (-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]KubeletOverride{}, tt.lost...), v.Overridden); d != "" {
				t.Errorf("overridden (-want +got):\n%s", d)
			}
			var texts []string
			for _, g := range gaps {
				texts = append(texts, g.String())
			}
			if d := cmp.Diff(tt.gaps, texts); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

func TestKubeletFiles(t *testing.T) {
	h := kubeletHost(map[string]string{
		"etc/kubernetes/kubelet.yaml":   kubeletHead + "authentication: {x509: {clientCAFile: pki/ca.crt}}\nfooBar: 1\nauthentication2: {a: 1}\n",
		"etc/kubernetes/pki/ca.crt":     "ca",
		"etc/kubernetes/drop/1.conf":    kubeletHead,
		"var/lib/kubelet/kubeconfig":    "! denied",
		"etc/kubernetes/drop/README.md": "no",
	}, kubeletProcess("--config=/etc/kubernetes/kubelet.yaml", "--config-dir", "/etc/kubernetes/drop/", "--kubeconfig=/var/lib/kubelet/kubeconfig", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap", "--v", "2"))
	v, _ := gatherKubelet(t, h)
	want := []KubeletFile{
		{Role: "config", Path: "/etc/kubernetes/kubelet.yaml", Found: "yes", Mode: 0o600},
		{Role: "drop-in", Path: "/etc/kubernetes/drop/1.conf", Found: "yes", Mode: 0o644},
		{Role: "kubeconfig", Path: "/var/lib/kubelet/kubeconfig", Found: "unknown"},
		{Role: "bootstrap-kubeconfig", Path: "/etc/kubernetes/bootstrap", Found: "no"},
		{Role: "client-ca", Path: "/etc/kubernetes/pki/ca.crt", Found: "yes", Mode: 0o644},
	}
	if d := cmp.Diff(want, v.Files); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"authentication2, file /etc/kubernetes/kubelet.yaml", "fooBar, file /etc/kubernetes/kubelet.yaml"}, v.Unknown); d != "" {
		t.Errorf("unknown keys (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"bootstrap-kubeconfig", "config", "config-dir", "kubeconfig", "v"}, v.Flags); d != "" {
		t.Errorf("flags (-want +got):\n%s", d)
	}
	if ev := h.evidence.list(); len(ev) != 2 || ev[0].What != "/etc/kubernetes/drop/1.conf" {
		t.Errorf("evidence = %v, want the two configuration files", ev)
	}
}

func TestK3sSettings(t *testing.T) {
	h := kubeletHost(map[string]string{
		"etc/rancher/k3s/config.yaml":                                       "token: secret\nkubelet-arg:\n- anonymous-auth=false\n- max-pods=200\n",
		"etc/rancher/k3s/config.yaml.d/10.yaml":                             "kubelet-arg+: [protect-kernel-defaults=true]\n",
		"var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf": kubeletHead + "authorization: {mode: Webhook}\nmaxPods: 110\n",
	}, process{pid: 5, comm: "k3s-agent", exe: "/x/bin/k3s", args: []string{"/usr/local/bin/k3s agent"}})
	v, gaps := gatherKubelet(t, h)
	want := map[string]KubeletValue{
		"authentication.anonymous.enabled": {"false", "flag --anonymous-auth in /etc/rancher/k3s/config.yaml"},
		"maxPods":                          {"200", "flag --max-pods in /etc/rancher/k3s/config.yaml"},
		"protectKernelDefaults":            {"true", "flag --protect-kernel-defaults in /etc/rancher/k3s/config.yaml.d/10.yaml"},
		"authorization.mode":               {`"Webhook"`, "file /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf"},
	}
	if d := cmp.Diff(want, v.Values); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	if len(gaps) != 1 || v.ConfigDir != "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d" {
		t.Errorf("gaps %v, folder %q", gaps, v.ConfigDir)
	}
	if got := string(redactRancher([]byte("token: secret\ndata-dir: /d\n"))); got != `{"data-dir":"/d"}` {
		t.Errorf("redactRancher = %s", got)
	}
}

// TestKubeletKeys compares the list with the types of the module that the
// product itself does not import.
func TestKubeletKeys(t *testing.T) {
	var want []string
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, prefix string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			ft := f.Type
			for ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			leaf := ft.Kind() != reflect.Struct || reflect.PointerTo(ft).Implements(reflect.TypeFor[json.Marshaler]())
			switch {
			case f.Name == "TypeMeta": // apiVersion and kind
			case name == "":
				walk(ft, prefix)
			case leaf:
				want = append(want, prefix+name)
			default:
				walk(ft, prefix+name+".")
			}
		}
	}
	walk(reflect.TypeFor[kubeletv1beta1.KubeletConfiguration](), "")
	slices.Sort(want)
	if d := cmp.Diff(want, kubeletKeys); d != "" {
		t.Errorf("kubeletKeys and k8s.io/kubelet differ (-module +ours):\n%s", d)
	}
	for _, f := range kubeletFlags {
		if f.key != "" && !isKubeletKey(f.key) {
			t.Errorf("flag --%s stands for %q, which is no setting", f.name, f.key)
		}
	}
}

func TestKubeletCorpusConfigurations(t *testing.T) {
	for _, tt := range []struct {
		file, dropIn string
		want         map[string]string
		unknown      []string
	}{
		{file: "lab/k8s-host/kubelet-config.yaml", want: map[string]string{
			"readOnlyPort": "0", "authorization.mode": `"Webhook"`, "address": `"<node>"`, "podCIDR": `"<node>"`,
			"kubeReserved": `{"cpu":"100m","ephemeral-storage":"1Gi","memory":"256Mi"}`, "authentication.x509.clientCAFile": `"/lab/cp/ca.crt"`}},
		{file: "generic/kubelet-config-eks-al2023.json", dropIn: "generic/kubelet-config-eks-al2023-dropin.json", want: map[string]string{
			"clusterDNS": `["0.0.0.0","1.1.1.1"]`, "logging.verbosity": "5", "kubeReservedCgroup": `"/runtime"`, "providerID": `"<node>"`, "address": `"0.0.0.0"`,
			"kubeReserved": `{"cpu":"70m","ephemeral-storage":"1Gi","memory":"893Mi"}`, "authentication.anonymous.enabled": "false"}},
		{file: "rhcos/kubelet-conf-openshift.json", want: map[string]string{
			"tlsMinVersion": `"VersionTLS12"`, "rotateCertificates": "true", "protectKernelDefaults": "true", "podPidsLimit": "4096"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			args := []string{"--config=/k"}
			files := map[string]string{"k": string(corpus(t, tt.file))}
			if tt.dropIn != "" {
				files["d/10.conf"] = string(corpus(t, tt.dropIn))
				args = append(args, "--config-dir=/d")
			}
			v, gaps := gatherKubelet(t, kubeletHost(files, kubeletProcess(args...)))
			got := jsons(v)
			for k, want := range tt.want {
				if got[k] != want {
					t.Errorf("%s = %s, want %s", k, got[k], want)
				}
			}
			if len(gaps) != 0 || len(v.Unknown) != 0 {
				t.Errorf("gaps %v, unknown keys %q", gaps, v.Unknown)
			}
		})
	}
}

// TestKubeletConfigz reads the whole effective configuration that a kubelet
// 1.36 served: every key of it is known.
func TestKubeletConfigz(t *testing.T) {
	for _, name := range []string{"lab/k8s-host/configz.json", "lab/k8s-vm/configz.json"} {
		var z struct{ Kubeletconfig json.RawMessage }
		if err := json.Unmarshal(corpus(t, name), &z); err != nil {
			t.Fatal(err)
		}
		v, gaps := gatherKubelet(t, kubeletHost(map[string]string{"k": string(z.Kubeletconfig)}, kubeletProcess("--config=/k")))
		if len(gaps) != 0 || len(v.Unknown) != 0 || len(v.Values) < 90 {
			t.Errorf("%s: %d values, gaps %v, unknown keys %q", name, len(v.Values), gaps, v.Unknown)
		}
	}
}

func TestKubeletCorpusArguments(t *testing.T) {
	words := map[string][]string{}
	for _, name := range []string{"bottlerocket/kubelet-args-1.0.1-nul-joined.facts.yaml", "bottlerocket/kubelet-args-k8s120-887.facts.yaml"} {
		var f struct {
			Args []string `json:"kubelet_args"`
		}
		if err := yaml.Unmarshal(corpus(t, name), &f); err != nil {
			t.Fatal(err)
		}
		words[name] = f.Args
	}
	var talos struct {
		Processes []struct {
			Exe  string   `json:"exe"`
			Args []string `json:"args"`
		} `json:"processes"`
	}
	if err := yaml.Unmarshal(corpus(t, "talos/processes-labels-1.10.facts.yaml"), &talos); err != nil {
		t.Fatal(err)
	}
	for _, p := range talos.Processes {
		if p.Exe == "/usr/local/bin/kubelet" {
			words["talos"] = append([]string{p.Exe}, p.Args...)
		}
	}
	_, line, _ := strings.Cut(strings.TrimSpace(string(corpus(t, "cos/journal-kubelet-cmdline-gke-containerd.txt"))), `"_CMDLINE":"`)
	words["gke containerd"] = strings.Fields(strings.TrimRight(line, `",}`))
	_, ps, _ := strings.Cut(string(corpus(t, "cos/ps-kubelet-gke.txt")), "/home/kubernetes/bin/kubelet ")
	words["gke ps"] = append([]string{"kubelet"}, strings.Fields(ps)...)
	_, opts, _ := strings.Cut(string(corpus(t, "cos/etc-default-kubelet-docker-era.txt")), `KUBELET_OPTS="`)
	opts, _, _ = strings.Cut(opts, `"`)
	words["gke env"] = append([]string{"kubelet"}, strings.Fields(opts)...)

	for name, config := range map[string]string{
		"bottlerocket/kubelet-args-1.0.1-nul-joined.facts.yaml": "/etc/kubernetes/kubelet/config",
		"bottlerocket/kubelet-args-k8s120-887.facts.yaml":       "/etc/kubernetes/kubelet/config",
		"talos":          "/etc/kubernetes/kubelet.yaml",
		"gke containerd": "/home/kubernetes/kubelet-config.yaml",
		"gke ps":         "/home/kubernetes/kubelet-config.yaml",
		"gke env":        "/home/kubernetes/kubelet-config.yaml",
	} {
		argv := words[name]
		p := process{pid: 9, comm: "kubelet", exe: "/x/kubelet", args: argv}
		v, gaps := gatherKubelet(t, kubeletHost(map[string]string{strings.TrimPrefix(config, "/"): kubeletHead}, p))
		if v.Config != config || len(gaps) != 0 || len(v.Flags) < 5 {
			t.Errorf("%s: config %q, want %q; gaps %v; flags %q", name, v.Config, config, gaps, v.Flags)
		}
	}
}

func FuzzParseKubeletArgs(f *testing.F) {
	f.Add("--anonymous-auth=false\x00--v\x002\x00--kube-reserved=cpu=1")
	f.Add("--rotate-certificates\x00--eviction-hard\x00memory.available<1Gi\x00-v=3")
	f.Add("--register-with-taints\x00\x00--reserved-memory=0:memory=1Gi")
	f.Add("--manifest-url-header=a:b,c")
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, "\x00")
		args, err := parseKubeletArgs(words)
		if err != nil {
			if args != nil {
				t.Fatalf("parseKubeletArgs(%q) = %v and %v", words, args, err)
			}
			return
		}
		if len(args) > len(words) {
			t.Fatalf("parseKubeletArgs(%q): %d arguments of %d words", words, len(args), len(words))
		}
		settings := newKubeletSettings()
		settings.mergeArgs(args)
		for key, v := range settings.values {
			if !isKubeletKey(key) || !json.Valid([]byte(compactJSON(v.value))) || len(v.from) == 0 {
				t.Fatalf("parseKubeletArgs(%q): %s = %s from %q", words, key, compactJSON(v.value), v.from)
			}
		}
	})
}

// FuzzKubeletMerge: laying a file over itself changes no value, and an empty file
// over anything changes nothing.
func FuzzKubeletMerge(f *testing.F) {
	f.Add(kubeletHead+"readOnlyPort: 0\nkubeReserved: {cpu: 1}\n", kubeletHead+"kubeReserved: {memory: 1Gi}\nauthentication: {anonymous: {enabled: true}}\n")
	f.Add(kubeletHead+"evictionHard: {a: null, b: {c: null}}\n", kubeletHead+"authentication: null\n")
	f.Add(`{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"KubeletConfiguration","maxPods":5}`, kubeletHead+"featureGates: {A: true}")
	f.Fuzz(func(t *testing.T, a, b string) {
		settings := newKubeletSettings()
		for _, text := range []string{a, b, b, kubeletHead} {
			config, err := parseKubeletConfig([]byte(text))
			if err != nil {
				return
			}
			before := len(settings.values)
			if err := settings.mergeFile(config, "file /"+text[:1]); err != nil {
				return
			}
			if text == kubeletHead && len(settings.values) != before {
				t.Fatalf("an empty file changed %d settings to %d", before, len(settings.values))
			}
		}
		once := newKubeletSettings()
		for _, text := range []string{a, b} {
			config, _ := parseKubeletConfig([]byte(text))
			_ = once.mergeFile(config, "x")
		}
		for key, v := range settings.values {
			if got, want := compactJSON(v.value), compactJSON(once.values[key].value); got != want {
				t.Fatalf("%s = %s after merging %q twice, %s after once", key, got, b, want)
			}
		}
	})
}

// FuzzRedactKubeletConfig: redacting is done once, and leaves no header.
func FuzzRedactKubeletConfig(f *testing.F) {
	f.Add(kubeletHead + "staticPodURLHeader: {A: [secret]}\nstaticPodURL: https://u:p@h/p?q=1#f\n")
	f.Add(`{"static\u0050odURLHeader":{"a":["b"]}}`)
	f.Add("staticPodURLHeader: [")
	f.Add("staticPodURL: http://[::1]:80/%2f%252f\n")
	f.Fuzz(func(t *testing.T, s string) {
		once := redactKubeletConfig([]byte(s))
		if twice := redactKubeletConfig(once); string(twice) != string(once) {
			t.Fatalf("redacting %q: once %q, twice %q", s, once, twice)
		}
		config, err := parseYAMLMap(once)
		if err != nil {
			return
		}
		if headers, ok := config["staticPodURLHeader"].(map[string]any); ok {
			for name, v := range headers {
				if compactJSON(v) != `["<redacted>"]` {
					t.Fatalf("redacting %q left header %q = %s", s, name, compactJSON(v))
				}
			}
		}
	})
}

func TestKubeletCredential(t *testing.T) {
	const head = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {user: u}}]\nusers: [{name: other, user: {token: t}}, {name: u, user: "
	for _, tt := range []struct{ name, file, want string }{
		{"aws-iam-authenticator", head + "{exec: {command: aws}}}]\n", "exec"},
		{"kubeadm", head + "{client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem, client-key: x}}]\n", "certificate-file"},
		{"a certificate that nothing replaces", head + "{client-certificate-data: QUJD, client-key-data: QUJD}}]\n", "certificate-data"},
		{"a token", head + "{token: secret}}]\n", "token"},
		{"no such user", "current-context: c\n", "none"},
		{"not for our eyes", "! denied", "unknown"},
		{"no YAML", "a: [", "unknown"},
		{"not there yet", "", "absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"kc": tt.file}
			if tt.file == "" {
				files = nil
			}
			v, gaps := gatherKubelet(t, kubeletHost(files, kubeletProcess("--kubeconfig=/kc")))
			if v.Credential != tt.want || len(gaps) != 0 {
				t.Errorf("credential %q with gaps %v, want %q", v.Credential, gaps, tt.want)
			}
		})
	}
	gke := corpus(t, "cos/kubelet-kubeconfig-gke.yaml")
	once := redactKubeconfig(gke)
	if got := string(once); got != `{"credential":"certificate-file","certificate":"/var/lib/kubelet/pki/kubelet-client-current.pem"}` || string(redactKubeconfig(once)) != got {
		t.Errorf("GKE's kubeconfig: %s", got)
	}
}
