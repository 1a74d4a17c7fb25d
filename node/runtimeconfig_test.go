package node

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The same settings in the three versions of containerd's configuration:
// docs/cri/config.md and docs/PLUGINS.md of containerd.
func TestParseContainerd(t *testing.T) {
	want := []Setting{
		{"cri.disable_apparmor", "true", ""},
		{"cri.registry.config_path", "/etc/containerd/certs.d", ""},
		{"cri.stream_server_address", "0.0.0.0", ""},
		{"cri.unset_seccomp_profile", "unconfined", ""},
		{"debug.address", "/run/containerd/debug.sock", ""},
	}
	body := func(cri, images string) string {
		return "[debug]\naddress = \"/run/containerd/debug.sock\"\n[plugins.'" + cri + "']\ndisable_apparmor = true\nstream_server_address = \"0.0.0.0\"\nunset_seccomp_profile = 'unconfined'\nmax_container_log_line_size = 16384\n[plugins.'" + images + "'.registry]\nconfig_path = \"/etc/containerd/certs.d\"\n"
	}
	for name, text := range map[string]string{
		"version 1": strings.ReplaceAll(body("cri", "cri"), "'cri'", "cri"),
		"version 2": "version = 2\n" + body("io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"),
		"version 3": "version = 3\n" + body("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"),
	} {
		c, err := parseContainerd(redactTOML([]byte(text)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []Setting
		for _, s := range c.settings {
			if s.Key != "version" {
				got = append(got, s)
			}
		}
		slices.SortFunc(got, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff([]string{"cri.max_container_log_line_size"}, c.unjudged); d != "" {
			t.Errorf("%s: unjudged (-want +got):\n%s", name, d)
		}
	}
}

const canary = "CANARY-s3cr3t"

// secretConfigs are files as people write them, with a secret in each place that
// the documentation of the engines gives for one.
var secretConfigs = map[string]string{
	"containerd, auth": `version = 2
[plugins."io.containerd.grpc.v1.cri".registry.configs."registry.lab:5000".auth]
username = "` + canary + `"
password = """` + canary + `"""
auth = '` + canary + `'
identitytoken = "` + canary + `"
[plugins."io.containerd.grpc.v1.cri".registry.configs."registry.lab:5000".tls]
insecure_skip_verify = true
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
endpoint = ["https://user:p/@` + canary + `@mirror.lab", "http://plain.lab"]
[proxy_plugins.x]
address = "/run/x.sock"
[proxy_plugins.x.exports]
token = "` + canary + `"
`,
	"hosts.toml": `server = "https://registry.lab"
[host."https://u:` + canary + `@mirror.lab"]
skip_verify = true
[host."https://u:` + canary + `@mirror.lab".header]
authorization = ["Basic ` + canary + `"]
`,
	"crio": `[crio.runtime]
default_env = ["PASSWORD=` + canary + `"]
seccomp_profile = "unconfined"
`,
	"no TOML": "password = " + canary + "\n[[[",
}

// No secret leaves a configuration, nor does a second redaction change anything.
func TestConfigurationSecretsStay(t *testing.T) {
	for name, text := range secretConfigs {
		once := redactTOML([]byte(text))
		if bytes.Contains(once, []byte(canary)) {
			t.Errorf("%s: the secret is in\n%s", name, once)
		}
		if again := redactTOML(once); !bytes.Equal(once, again) {
			t.Errorf("%s: redacted again:\n%s", name, cmp.Diff(string(once), string(again)))
		}
	}
	daemon := `{"hosts":["tcp://0.0.0.0:2375"],"insecure-registries":["10.0.0.0/8"],"proxies":{"http-proxy":"http://u:` + canary + `@p"},"log-opts":{"token":"` + canary + `"}}`
	if b := redactJSON([]byte(daemon)); bytes.Contains(b, []byte(canary)) || !bytes.Contains(b, []byte("tcp://0.0.0.0:2375")) {
		t.Errorf("daemon.json: %s", b)
	}
	args := "dockerd\x00-H\x00tcp://u:" + canary + "@0.0.0.0:2375\x00--log-opt\x00token=" + canary + "\x00--cluster-store-opt=" + canary + "\x00"
	if b := redactEngineArgs([]byte(args)); string(b) != "dockerd\x00--H=tcp://0.0.0.0:2375\x00" || !bytes.Equal(b, redactEngineArgs(b)) {
		t.Errorf("arguments: %q", b)
	}
}

func TestNumbersAndQueriesCanBeSecrets(t *testing.T) {
	got := string(redactTOML([]byte("[plugins.x.auth]\npassword = 4711\nretries = 4712\n[plugins.x.mirrors]\nendpoint = [\"https://m.example/v2?sig=4711\"]\n")))
	if strings.Contains(got, "4711") || !strings.Contains(got, "4712") || !strings.Contains(got, "https://m.example/v2") {
		t.Errorf("got %s", got)
	}
	got = string(redactJSON([]byte(`{"log-opts":{"splunk-token":4711},"hosts":["tcp://h:1?token=4711"],"mtu":4712}`)))
	if strings.Contains(got, "4711") || !strings.Contains(got, "4712") || !strings.Contains(got, "tcp://h:1") {
		t.Errorf("got %s", got)
	}
}

func TestParseRegistries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parse func([]byte) (parsedConfig, error)
		text  string
		want  []Registry
	}{
		{"containerd, mirrors and configs", parseContainerd, secretConfigs["containerd, auth"], []Registry{{"registry.lab:5000", "skip-verify", ""}, {"plain.lab", "plain-http", ""}}},
		{"hosts.toml", func(b []byte) (parsedConfig, error) { return parseHosts("registry.lab", b) }, secretConfigs["hosts.toml"], []Registry{{"mirror.lab", "skip-verify", ""}}},
		{"hosts.toml, server", func(b []byte) (parsedConfig, error) { return parseHosts("registry.lab", b) }, "server = \"http://registry.lab\"\nskip_verify = true\n[host.\"http://10.0.0.1:5000\"]\ncapabilities = [\"pull\"]\n", []Registry{{"registry.lab", "plain-http", ""}, {"registry.lab", "skip-verify", ""}, {"10.0.0.1:5000", "plain-http", ""}}},
		{"registries.conf, version 2", parseRegistries, "[[registry]]\nprefix = \"a.lab\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"m.lab\"\ninsecure = true\n[[registry]]\nlocation = \"b.lab\"\n", []Registry{{"a.lab", "insecure", ""}, {"m.lab", "insecure", ""}}},
		{"registries.conf, version 1", parseRegistries, "[registries.search]\nregistries = [\"docker.io\"]\n[registries.insecure]\nregistries = [\"old.lab\"]\n", []Registry{{"old.lab", "insecure", ""}}},
		{"CRI-O", parseCrio, "[crio.image]\ninsecure_registries = [\"c.lab\"]\n", []Registry{{"c.lab", "insecure", ""}}},
		{"dockerd", parseDaemon, `{"insecure-registries":["10.0.0.0/8"]}`, []Registry{{"10.0.0.0/8", "insecure", ""}}},
	} {
		redact := redactTOML
		if strings.HasPrefix(tt.text, "{") {
			redact = redactJSON
		}
		got, err := tt.parse(redact([]byte(tt.text)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if d := cmp.Diff(tt.want, got.registries); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	for name, parse := range map[string]func([]byte) (parsedConfig, error){"containerd": parseContainerd, "crio": parseCrio, "registries": parseRegistries} {
		if _, err := parse(redactTOML([]byte("a = 1\nb = [\n"))); err == nil || !strings.Contains(err.Error(), "no TOML at line") {
			t.Errorf("%s: got %v, want the line that is no TOML", name, err)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	got, err := parsePolicy(redactJSON([]byte(`{"default":[{"type":"reject"}],"transports":{"docker":{"quay.io/x":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","keyData":"` + canary + `"}]}}}`)))
	if d := cmp.Diff(SignaturePolicy{"present", []string{"reject"}, []string{"docker quay.io/x: signedBy"}}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for _, bad := range []string{`{}`, `{"default":[]}`, `[]`, `{`} {
		if _, err := parsePolicy(redactJSON([]byte(bad))); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

func FuzzRedactTOML(f *testing.F) {
	for _, text := range secretConfigs {
		f.Add([]byte(text))
	}
	f.Add([]byte("[0000.\"000000//x@//@\"]\n0 = \"\""))
	f.Add([]byte("a = [1, \"x\", {b = 2}]\n[[c]]\nd = 1979-05-27T07:32:00Z\ne = inf\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactTOML(b)
		if again := redactTOML(once); !bytes.Equal(once, again) {
			t.Fatalf("redacted again (-once +again):\n%s", cmp.Diff(string(once), string(again)))
		}
		parseContainerd(once)
		parseHosts("x", once)
		parseCrio(once)
		parseRegistries(once)
	})
}

// containerdHost is a host that runs containerd with these files.
func containerdHost(args string, files map[string]string) *memHost {
	return procHost(flatcarMounts, map[int]aProcess{7: {exe: "/usr/bin/containerd", cmdline: args}}, files)
}

func TestRuntimeConfig(t *testing.T) {
	m := containerdHost("containerd\x00--config\x00/etc/cri/containerd.toml\x00", map[string]string{
		"etc/cri/containerd.toml":                       "version = 2\nimports = [\"conf.d/*.toml\", \"/etc/one.toml\"]\n[metrics]\naddress = \"127.0.0.1:1338\"\n",
		"etc/cri/conf.d/20.toml":                        "[metrics]\naddress = \"0.0.0.0:1338\"\n",
		"etc/cri/conf.d/README":                         "no TOML",
		"etc/one.toml":                                  "[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = \"/etc/certs.d\"\n[plugins.'io.containerd.grpc.v1.cri'.cni]\nbin_dir = \"/opt/plugins\"\n",
		"etc/certs.d/registry.lab/hosts.toml":           "[host.\"http://registry.lab\"]\n",
		"etc/containers/policy.json":                    `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"opt/plugins/bridge":                            "ELF",
		"opt/nri/plugins/10-x":                          "ELF",
		"usr/bin/containerd":                            "ELF",
		"usr/bin/runc":                                  "-> ../lib/runc",
		"usr/lib/runc":                                  "ELF",
		"opt/containerd/image-verifier/bin/cosign-gate": "ELF",
	})
	m.info["etc/cri/conf.d/20.toml"] = FileInfo{Type: Regular, Mode: 0o666}
	got, gaps, err := RuntimeConfig.Read(t.Context(), m.host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, gaps %v", err, gaps)
	}
	if len(got.Engines) != 1 {
		t.Fatalf("engines: got %+v", got.Engines)
	}
	e := got.Engines[0]
	var files []string
	for _, f := range e.Files {
		files = append(files, f.Path)
	}
	if d := cmp.Diff([]string{"/etc/cri/containerd.toml", "/etc/cri/conf.d/20.toml", "/etc/one.toml", "/etc/certs.d/registry.lab/hosts.toml"}, files); d != "" || !e.Named {
		t.Errorf("named %t, files (-want +got):\n%s", e.Named, d)
	}
	if e.Files[1].Mode != 0o666 || len(e.Files[1].Parents) != 4 {
		t.Errorf("the drop-in: got %+v", e.Files[1])
	}
	want := []Setting{
		{"metrics.address", "127.0.0.1:1338", "/etc/cri/containerd.toml"}, {"version", "2", "/etc/cri/containerd.toml"}, {"metrics.address", "0.0.0.0:1338", "/etc/cri/conf.d/20.toml"},
		{"cri.cni.bin_dir", "/opt/plugins", "/etc/one.toml"}, {"cri.registry.config_path", "/etc/certs.d", "/etc/one.toml"},
	}
	if d := cmp.Diff(want, e.Settings); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Registry{{"registry.lab", "plain-http", "/etc/certs.d/registry.lab/hosts.toml"}}, e.Registries); d != "" {
		t.Errorf("registries (-want +got):\n%s", d)
	}
	if got.Policy.State != "present" || !cmp.Equal(got.Verifiers, []string{"/opt/containerd/image-verifier/bin/cosign-gate"}) || !cmp.Equal(got.NRIPlugins, []string{"/opt/nri/plugins/10-x"}) {
		t.Errorf("policy %+v, verifiers %q, plugins %q", got.Policy, got.Verifiers, got.NRIPlugins)
	}
	var programs []string
	for _, b := range got.Binaries {
		hashed := map[bool]string{true: "hashed", false: "of the image"}[len(b.SHA256) == 64]
		programs = append(programs, b.Role+" "+b.Path+" "+hashed)
	}
	if d := cmp.Diff([]string{"network-plugin /opt/plugins/bridge hashed", "engine /usr/bin/containerd of the image", "oci-runtime /usr/lib/runc of the image"}, programs); d != "" {
		t.Errorf("programs (-want +got):\n%s", d)
	}
}

func TestRuntimeConfigUnread(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		files      map[string]string
		want       string
	}{
		{"no file is a configuration", "containerd\x00", nil, ""},
		{"denied", "containerd\x00", map[string]string{"etc/containerd/config.toml": "! denied"}, "the configuration /etc/containerd/config.toml could not be read: reading /etc/containerd/config.toml: permission denied"},
		{"no TOML", "containerd\x00", map[string]string{"etc/containerd/config.toml": "a = \n"}, "the configuration /etc/containerd/config.toml could not be read: reading /etc/containerd/config.toml: malformed: no TOML at line 1"},
		{"an import of a pattern of folders", "containerd\x00", map[string]string{"etc/containerd/config.toml": "imports = [\"/etc/*/x.toml\"]\n"}, "the imports /etc/*/x.toml could not be read: reading /etc/*/x.toml: not supported here: a pattern in the name of a folder"},
		{"a relative path, whose folder is not known", "containerd\x00-c\x00config.toml\x00", nil, "the configuration config.toml could not be read: reading config.toml: not supported here: it is relative to a folder that is not known"},
		{"the policy", "containerd\x00", map[string]string{"etc/containers/policy.json": "{}"}, "/etc/containers/policy.json could not be read: reading /etc/containers/policy.json: malformed: it has no default"},
		{"imports that lead in a circle", "containerd\x00", map[string]string{"etc/containerd/config.toml": "imports = [\"config.toml\"]\n"}, ""},
	} {
		_, gaps, err := RuntimeConfig.Read(t.Context(), containerdHost(tt.args, tt.files).host())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(gapTexts(gaps), "\n"); got != tt.want {
			t.Errorf("%s: got %q want %q", tt.name, got, tt.want)
		}
	}
	got, _, err := RuntimeConfig.Read(t.Context(), procHost(flatcarMounts, map[int]aProcess{}, nil).host())
	if err != nil || got.Engines == nil || len(got.Engines) > 0 || len(got.Binaries) > 0 {
		t.Errorf("a host without an engine: got %+v, %v", got, err)
	}
}

func TestCrioAndDocker(t *testing.T) {
	m := procHost(flatcarMounts, map[int]aProcess{
		7: {exe: "/usr/bin/crio", cmdline: "/usr/bin/crio\x00--metrics-host=0.0.0.0\x00"},
		8: {exe: "/usr/bin/dockerd", cmdline: "dockerd\x00-H\x00fd://\x00--config-file\x00/etc/d.json\x00"},
	}, map[string]string{
		"etc/crio/crio.conf":                 "[crio.api]\nstream_address = \"0.0.0.0\"\n[crio.runtime]\nselinux = true\n",
		"etc/crio/crio.conf.d/10-x.conf":     "[crio.api]\nstream_address = \"127.0.0.1\"\n",
		"etc/containers/registries.conf":     "[[registry]]\nlocation = \"a.lab\"\ninsecure = true\n",
		"etc/d.json":                         `{"hosts":["tcp://127.0.0.1:2375"],"log-driver":"x"}`,
		"etc/containers/registries.conf.d/x": "ignored",
	})
	got, gaps, err := RuntimeConfig.Read(t.Context(), m.host())
	if err != nil || len(gaps) > 0 || len(got.Engines) != 2 {
		t.Fatalf("got %+v, %v, gaps %v", got, err, gaps)
	}
	want := []Setting{{"stream_address", "0.0.0.0", "/etc/crio/crio.conf"}, {"selinux", "true", "/etc/crio/crio.conf"}, {"stream_address", "127.0.0.1", "/etc/crio/crio.conf.d/10-x.conf"}, {"metrics_host", "0.0.0.0", "arguments"}}
	if d := cmp.Diff(want, got.Engines[0].Settings); d != "" {
		t.Errorf("CRI-O (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Setting{{"hosts", "tcp://127.0.0.1:2375", "/etc/d.json"}, {"hosts", "fd://", "arguments"}}, got.Engines[1].Settings); d != "" {
		t.Errorf("docker (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"log-driver"}, got.Engines[1].Unjudged); d != "" {
		t.Errorf("docker, unjudged (-want +got):\n%s", d)
	}
}
