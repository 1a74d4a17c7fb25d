package node

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCNI(t *testing.T) {
	testStarts(t, parseCNI, []startRow{
		{name: "a list", text: `{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap"}]}`, want: []string{"bridge", "host-local", "portmap"}},
		{name: "one plugin", text: `{"name":"a","type":"loopback"}`, want: []string{"loopback"}},
		{name: "none", text: `{"name":"a"}`, refused: "it names no plugin"},
		{name: "no JSON", text: "type: bridge", refused: "it is no network configuration"},
	})
}

func TestParseCredentialProviders(t *testing.T) {
	testStarts(t, parseCredentialProviders, []startRow{
		{name: "Amazon's", text: "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr-credential-provider\n  args: [get-credentials, s3cret]\n", want: []string{"ecr-credential-provider"}},
		{name: "another kind", text: "kind: Config\n", refused: "it is no CredentialProviderConfig"},
	})
}

func TestKubeletPlugins(t *testing.T) {
	files := func(more map[string]string) map[string]string {
		all := map[string]string{"etc/x": "", "proc/filesystems": "x\n", "var/lib/kubelet/config.yaml": kubeletHead}
		maps.Copy(all, more)
		return all
	}
	kubelet := kubeletProcess("--config=/var/lib/kubelet/config.yaml", "--image-credential-provider-bin-dir=/opt/cred", "--image-credential-provider-config=/etc/cred.yaml")
	for _, tt := range []struct {
		name      string
		files     map[string]string
		processes []process
		found     string
		want      []string // nil where the list was not read
		gaps      []string
	}{
		{"no kubelet", nil, nil, "absent", []string{}, nil},
		{"nothing is there", nil, []process{kubelet}, "process", []string{}, nil},
		{"of each kind", map[string]string{
			"usr/libexec/kubernetes/kubelet-plugins/volume/exec/a~b/b": "x", "opt/cred/.ecr": "x",
			"etc/cred.yaml": "kind: CredentialProviderConfig\nproviders: [{name: .ecr}]\n", "var/lib/kubelet/device-plugins/x.sock": "", "var/lib/kubelet/device-plugins/kubelet.sock": "",
			"var/lib/kubelet/device-plugins/kubelet_internal_checkpoint": "{}",
		}, []process{kubelet}, "process", []string{"/etc/cred.yaml", "/opt/cred/.ecr", "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/a~b/b", "/var/lib/kubelet/device-plugins/x.sock"}, nil},
		{"another folder of volume plugins", map[string]string{"var/lib/kubelet/config.yaml": kubeletHead + "volumePluginDir: /opt/v\n", "opt/v/a~b/b": "x", "usr/libexec/kubernetes/kubelet-plugins/volume/exec/c~d/d": "x"},
			[]process{kubelet}, "process", []string{"/opt/v/a~b/b"}, nil},
		{"denied", map[string]string{"opt/cred": "! denied"}, []process{kubelet}, "process", []string{}, []string{"kubeletPlugins denied what is in /opt/cred"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := kubeletHost(files(tt.files), tt.processes...)
			for _, name := range []string{"x.sock", "kubelet.sock"} {
				h.FS.(*memHost).info["var/lib/kubelet/device-plugins/"+name] = FileInfo{Type: Socket, Mode: 0o755}
			}
			v, gaps, err := Startup.Read(t.Context(), h)
			if err != nil || v.Kubelet != tt.found {
				t.Fatalf("%v, %q", err, v.Kubelet)
			}
			if d := cmp.Diff(tt.want, definitionPaths(v.KubeletPlugins)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if d := cmp.Diff(tt.gaps, partTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}
