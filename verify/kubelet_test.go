package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

const configFile = "/etc/kubernetes/kubelet.yaml"

// kubelet is a kubelet with --config and --kubeconfig, with settings in its file:
// key, JSON, key, JSON, …
func kubelet(settings ...string) node.KubeletState {
	k := node.KubeletState{
		Found: "process", Program: "/usr/bin/kubelet", Config: configFile, Credential: "certificate-file",
		Files: []node.KubeletFile{
			{Role: "config", Path: configFile, Found: "yes", Mode: 0o600},
			{Role: "client-ca", Path: "/etc/kubernetes/pki/ca.crt", Found: "yes", Mode: 0o644},
		},
		Values: map[string]node.KubeletValue{}, Flags: []string{"config", "kubeconfig"},
	}
	for i := 0; i < len(settings); i += 2 {
		k.Values[settings[i]] = node.KubeletValue{JSON: settings[i+1], From: "file " + configFile}
	}
	return k
}

// with changes a kubelet.
func with(k node.KubeletState, change func(*node.KubeletState)) node.KubeletState {
	change(&k)
	return k
}

// withoutConfig is a kubelet that was started with arguments alone.
func withoutConfig(k *node.KubeletState) { k.Config, k.Files = "", nil }

// byFlag moves every setting to the command line.
func byFlag(k *node.KubeletState) {
	for key, v := range k.Values {
		k.Values[key] = node.KubeletValue{JSON: v.JSON, From: "flag --x"}
	}
}

func unread(k *node.KubeletState) { k.Unread = aGap }

func absent(k *node.KubeletState) { *k = node.KubeletState{Found: "absent"} }

// judged is one row of a check's table.
type judged struct {
	name  string
	facts node.Facts
	want  string // verdict and code
	says  string // a part of the reason
	items []string
}

func runJudged(t *testing.T, c Check, profile *profiles.Profile, rows []judged) {
	t.Helper()
	if profile == nil {
		profile = &profiles.Profile{}
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			f := Run([]Check{c}, r.facts, Given{Profile: profile, At: time.Unix(0, 0)})[0]
			if got := f.Verdict.String() + " " + f.Code; got != r.want {
				t.Errorf("got %s, want %s: %s", got, r.want, f.Reason)
			}
			if !strings.Contains(f.Reason, r.says) || f.Reason == "" {
				t.Errorf("reason %q does not say %q", f.Reason, r.says)
			}
			if r.items != nil {
				if d := cmp.Diff(r.items, f.Items); d != "" {
					t.Errorf("items (-want +got):\n%s", d)
				}
			}
		})
	}
}

// factsOf are facts by their type, without gaps.
func factsOf(values ...any) node.Facts {
	facts := node.Facts{}
	for _, v := range values {
		switch v := v.(type) {
		case node.KubeletState:
			facts[node.Kubelet.Name] = node.Fact{Value: v}
		case node.ReservationState:
			facts[node.Reservation.Name] = node.Fact{Value: v}
		case node.StaticPodState:
			facts[node.StaticPods.Name] = node.Fact{Value: v}
		case node.ControlPlaneState:
			facts[node.ControlPlane.Name] = node.Fact{Value: v}
		case node.KubeletUnitState:
			facts[node.KubeletUnit.Name] = node.Fact{Value: v}
		case []node.Mount:
			facts[node.Mounts.Name] = node.Fact{Value: v}
		case []node.Listener:
			facts[node.Listeners.Name] = node.Fact{Value: v}
		}
	}
	return facts
}

var aGap = []node.Gap{{What: "kubelet configuration /k", Code: node.Denied, Reason: "permission denied"}}

// gapped gives every fact a gap.
func gapped(facts node.Facts) node.Facts {
	for name, f := range facts {
		f.Gaps = aGap
		facts[name] = f
	}
	return facts
}

func TestKubeletAnonymousOff(t *testing.T) {
	const key = "authentication.anonymous.enabled"
	runJudged(t, KubeletAnonymousOff, &profiles.Profile{Kubelet: profiles.Kubelet{Standalone: "words of the profile"}}, []judged{
		{"written off", factsOf(kubelet(key, "false")), "pass off", key + " is false (file " + configFile + ")", nil},
		{"default with --config", factsOf(kubelet()), "pass off", "the kubelet's default with --config", nil},
		{"default without --config", factsOf(with(kubelet(), withoutConfig)), "fail on", "true (the kubelet's default without --config)", []string{key}},
		{"a flag turns it on", factsOf(with(kubelet(key, "true"), byFlag)), "fail on", "flag --x", nil},
		{"standalone", factsOf(with(kubelet(key, "true"), func(k *node.KubeletState) { k.Flags = []string{"config"} })), "fail on", "it runs without a cluster: words of the profile", nil},
		{"a file that could not be read may say otherwise", factsOf(with(kubelet(key, "true"), unread)), "unknown gap-denied", "unless it stands elsewhere too", nil},
		{"not in what could be read", factsOf(with(with(kubelet(), withoutConfig), unread)), "unknown gap-denied", "kubelet configuration /k could not be read", nil},
		{"a flag beats what could not be read", factsOf(with(with(kubelet(key, "true"), byFlag), unread)), "fail on", "flag --x", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "permission denied", nil},
		{"a fail stays with a gap", gapped(factsOf(with(kubelet(key, "true"), byFlag))), "fail on", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"a kubelet may run unseen", gapped(factsOf(with(kubelet(), absent))), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletAuthorizationWebhook(t *testing.T) {
	const key = "authorization.mode"
	runJudged(t, KubeletAuthorizationWebhook, nil, []judged{
		{"webhook", factsOf(kubelet(key, `"Webhook"`)), "pass webhook", "", nil},
		{"OpenShift writes no mode", factsOf(kubelet()), "pass webhook", "default with --config", nil},
		{"empty text is the default", factsOf(kubelet(key, `""`)), "pass webhook", "default with --config", nil},
		{"always allow", factsOf(kubelet(key, `"AlwaysAllow"`)), "fail not-webhook", key + ` is "AlwaysAllow"`, []string{key}},
		{"default without --config", factsOf(with(kubelet(), withoutConfig)), "fail not-webhook", "without --config", nil},
		{"a number", factsOf(kubelet(key, "1")), "fail not-webhook", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletReadOnlyPortClosed(t *testing.T) {
	const key = "readOnlyPort"
	none := []node.Listener{}
	listens := func(program string, port int) []node.Listener {
		return []node.Listener{{Network: "tcp6", Address: "::", Port: port, Program: program}}
	}
	runJudged(t, KubeletReadOnlyPortClosed, nil, []judged{
		{"closed", factsOf(kubelet(key, "0"), none), "pass closed", "readOnlyPort is 0", nil},
		{"default with --config", factsOf(kubelet(), none), "pass closed", "", nil},
		{"default without --config", factsOf(with(kubelet(), withoutConfig), none), "fail open", "readOnlyPort is 10255", nil},
		{"written", factsOf(kubelet(key, "10255"), none), "fail open", "", []string{key}},
		{"it listens whatever the file says", factsOf(kubelet(key, "0"), listens("/usr/bin/kubelet", 10255)), "fail listening", "", []string{"tcp6 port 10255 on ::"}},
		{"somebody listens", factsOf(kubelet(key, "0"), listens("", 10255)), "fail listening", "", nil},
		{"another program has the number", factsOf(kubelet(key, "0"), listens("/usr/bin/nginx", 10255)), "pass closed", "", nil},
		{"another port", factsOf(kubelet(key, "10300"), listens("/usr/bin/kubelet", 10300)), "fail listening", "", nil},
		{"the kubelet's own port", factsOf(kubelet(), listens("/usr/bin/kubelet", 10250)), "pass closed", "", nil},
		{"unread", factsOf(with(kubelet(), unread), none), "unknown gap-denied", "", nil},
		{"unread, and it listens", factsOf(with(kubelet(), unread), listens("/usr/bin/kubelet", 10255)), "fail listening", "", nil},
		{"no port", factsOf(kubelet(key, `"x"`), none), "unknown setting-malformed", "", nil},
		{"gap", gapped(factsOf(kubelet(), none)), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), none), "not-applicable no-kubelet", "", nil},
		{"no listeners", factsOf(kubelet()), "unknown fact-not-recorded", "listeners", nil},
	})
}

func TestKubeletClientCASet(t *testing.T) {
	const key = "authentication.x509.clientCAFile"
	set := kubelet(key, `"/etc/kubernetes/pki/ca.crt"`)
	found := func(how string) func(*node.KubeletState) {
		return func(k *node.KubeletState) {
			k.Files = []node.KubeletFile{{Role: "client-ca", Path: "/etc/kubernetes/pki/ca.crt", Found: how}}
		}
	}
	runJudged(t, KubeletClientCASet, nil, []judged{
		{"set", factsOf(set), "pass set", "/etc/kubernetes/pki/ca.crt", nil},
		{"not set", factsOf(kubelet()), "fail not-set", "", []string{key}},
		{"set to nothing", factsOf(kubelet(key, `""`)), "fail not-set", "", nil},
		{"no such file", factsOf(with(set, found("no"))), "fail file-missing", "there is no such file", nil},
		{"a file that cannot be seen", factsOf(with(set, found("unknown"))), "unknown file-unseen", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(set)), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletCertificatesRotate(t *testing.T) {
	const key = "rotateCertificates"
	credential := func(c string) func(*node.KubeletState) { return func(k *node.KubeletState) { k.Credential = c } }
	runJudged(t, KubeletCertificatesRotate, nil, []judged{
		{"on", factsOf(kubelet(key, "true")), "pass rotates", "", nil},
		{"default is off", factsOf(kubelet()), "fail off", "the kubelet's default", []string{key}},
		{"EKS fetches its credential", factsOf(with(kubelet(), credential("exec"))), "pass fetched", "", nil},
		{"a token cannot be renewed", factsOf(with(kubelet(key, "true"), credential("token"))), "fail not-renewable", "token or password", nil},
		{"a certificate in the kubeconfig cannot be renewed", factsOf(with(kubelet(key, "true"), credential("certificate-data"))), "fail not-renewable", "certificate in itself", nil},
		{"off, and the kubeconfig may not be read", factsOf(with(kubelet(), credential("unknown"))), "unknown credential-unread", "", nil},
		{"bootstrapping", factsOf(with(kubelet(key, "true"), credential("absent"))), "pass rotates", "", nil},
		{"without a cluster", factsOf(with(kubelet(), func(k *node.KubeletState) { k.Credential, k.Flags = "", nil })), "not-applicable no-credential", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(key, "true"))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletTLSFloor(t *testing.T) {
	runJudged(t, KubeletTLSFloor, nil, []judged{
		{"default", factsOf(kubelet()), "pass tls12", "VersionTLS12", nil},
		{"Talos", factsOf(kubelet("tlsMinVersion", `"VersionTLS13"`, "tlsCipherSuites", `["TLS_RSA_WITH_RC4_128_SHA"]`)), "pass tls13", "", nil},
		{"OpenShift's suites", factsOf(kubelet("tlsMinVersion", `"VersionTLS12"`, "tlsCipherSuites", `["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]`)), "pass tls12", "", nil},
		{"TLS 1.1", factsOf(kubelet("tlsMinVersion", `"VersionTLS11"`)), "fail old-version", "", []string{"tlsMinVersion"}},
		{"a weak suite", factsOf(kubelet("tlsCipherSuites", `["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","TLS_RSA_WITH_3DES_EDE_CBC_SHA"]`)), "fail weak-ciphers", "3DES", []string{"TLS_RSA_WITH_3DES_EDE_CBC_SHA"}},
		{"no list", factsOf(kubelet("tlsCipherSuites", `"x"`)), "unknown setting-malformed", "", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"suites unread", factsOf(with(with(kubelet("tlsMinVersion", `"VersionTLS12"`), byFlag), unread)), "unknown gap-denied", "tlsCipherSuites", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletKernelDefaultsProtected(t *testing.T) {
	const key = "protectKernelDefaults"
	runJudged(t, KubeletKernelDefaultsProtected, nil, []judged{
		{"on", factsOf(kubelet(key, "true")), "pass protected", "", nil},
		{"off", factsOf(kubelet(key, "false")), "fail off", "", []string{key}},
		{"default", factsOf(kubelet()), "fail off", "the kubelet's default with --config", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet(key, "true"))), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletConfigClosed(t *testing.T) {
	add := func(f node.KubeletFile) func(*node.KubeletState) {
		return func(k *node.KubeletState) { k.Files = append(k.Files, f) }
	}
	runJudged(t, KubeletConfigClosed, nil, []judged{
		{"closed", factsOf(kubelet()), "pass closed", configFile, []string{configFile}},
		{"an open drop-in (RHCOS, kubeadm: 0644)", factsOf(with(kubelet(), add(node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "yes", Mode: 0o644}))), "fail open", "",
			[]string{"/d/1.conf (mode 0644, owner 0:0)"}},
		{"another owner", factsOf(with(kubelet(), add(node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "yes", Mode: 0o600, UID: 1000}))), "fail open", "owner 1000:0", nil},
		{"mode 0400", factsOf(with(kubelet(), add(node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "yes", Mode: 0o400}))), "pass closed", "", nil},
		{"setuid", factsOf(with(kubelet(), add(node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "yes", Mode: 0o4600}))), "fail open", "mode 4600", nil},
		{"unseen", factsOf(with(kubelet(), add(node.KubeletFile{Role: "drop-in", Path: "/d/1.conf", Found: "unknown"}))), "unknown file-unseen", "/d/1.conf", nil},
		{"unread", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"without a file", factsOf(with(kubelet(), withoutConfig)), "not-applicable no-file", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

// TestKubeletChecksAreWhole proves that each is well-formed, has a remedy, and
// proves nothing about a kubelet of which nothing could be read.
func TestKubeletChecksAreWhole(t *testing.T) {
	checks := slices.Concat(kubeletChecks, kubeletFormChecks, reservationChecks)
	if err := Validate(checks); err != nil {
		t.Error(err)
	}
	blind := with(kubelet(), func(k *node.KubeletState) { k.Values, k.Files, k.Credential = nil, nil, "unknown"; unread(k) })
	facts := factsOf(blind, node.ReservationState{Kubelet: "process"}, []node.Listener{})
	for _, c := range checks {
		if c.Help.Remedy[""] == "" || c.Help.Remedy["talos"] == "" || strings.Contains(c.Help.Remedy["talos"], "%!") {
			t.Errorf("%s: remedy %q", c.ID, c.Help.Remedy)
		}
		if f := Run([]Check{c}, facts, Given{Profile: &profiles.Profile{}})[0]; f.Verdict != Unknown {
			t.Errorf("%s of an unread kubelet: %s %s: %s", c.ID, f.Verdict, f.Code, f.Reason)
		}
	}
	for key := range kubeletDefaults {
		if _, f := effective(with(kubelet(), func(k *node.KubeletState) { k.Version = "v1.31.2" }), key); f != nil {
			t.Errorf("default of %s with --config: %s", key, f.Reason)
		}
	}
}
