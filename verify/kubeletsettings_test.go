package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func version(v string) func(*node.KubeletState) {
	return func(k *node.KubeletState) { k.Version, k.VersionFrom = v, "build information of /usr/bin/kubelet" }
}

func file(role, name, found string, mode, uid uint32) func(*node.KubeletState) {
	return func(k *node.KubeletState) {
		k.Files = append(k.Files, node.KubeletFile{Role: role, Path: name, Found: found, Mode: mode, UID: uid})
	}
}

func givenFlag(name string) func(*node.KubeletState) {
	return func(k *node.KubeletState) { k.Flags = append([]string{name}, k.Flags...) }
}

// fileUnread is a file of settings that could not be read: the arguments are known.
func fileUnread(k *node.KubeletState) {
	k.Unread = []node.Gap{{What: "kubelet configuration /k", Code: node.Absent, Reason: "reading /k: no such file", Part: "values"}}
}

// common are the rows that every check of a setting shares: good passes.
func common(good node.Facts) []judged {
	return []judged{
		{"an unread place", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"the file that --config names is not there", factsOf(with(kubelet(), fileUnread)), "unknown gap-absent", "/k: no such file", nil},
		{"gap", gapped(good), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	}
}

func TestKubeletSettings(t *testing.T) {
	files := func(found string) node.Facts {
		k := kubelet("tlsCertFile", `"/c"`, "tlsPrivateKeyFile", `"/k"`)
		return factsOf(with(with(k, file("serving-certificate", "/c", "yes", 0o644, 0)), file("serving-key", "/k", found, 0o600, 0)))
	}
	talos := &profiles.Profile{Kubelet: profiles.Kubelet{StaticPods: []profiles.Place{{Path: "http://127.0.0.1", Why: "words of the profile"}}}}
	for _, tt := range []struct {
		check   Check
		profile *profiles.Profile
		good    node.Facts
		rows    []judged
	}{
		{KubeletAuthenticationWebhook, nil, factsOf(kubelet("authentication.webhook.enabled", "true")), []judged{
			{"default with --config", factsOf(kubelet()), "pass on", "the kubelet's default with --config", nil},
			{"default without --config", factsOf(with(kubelet(), withoutConfig)), "fail off", "without --config", []string{"authentication.webhook.enabled"}},
			{"Talos without a cluster", factsOf(kubelet("authentication.webhook.enabled", "false")), "fail off", "", nil},
			{"no boolean", factsOf(kubelet("authentication.webhook.enabled", `"yes"`)), "unknown setting-malformed", "no true or false", nil},
		}},
		{KubeletServingCertificateIssued, nil, factsOf(kubelet("serverTLSBootstrap", "true")), []judged{
			{"default", factsOf(kubelet()), "fail self-signed", "signs its own", nil},
			{"EKS asks for one", factsOf(kubelet("serverTLSBootstrap", "true")), "pass bootstrapped", "", nil},
			{"asked for by an argument, and the file is gone", factsOf(with(with(kubelet("serverTLSBootstrap", "true"), byFlag), fileUnread)), "pass bootstrapped", "flag --x", nil},
			{"files", files("yes"), "pass files", "/c", nil},
			{"a file that is gone", files("no"), "fail file-missing", "there is no /k", []string{"/k"}},
			{"a file that may not be seen", files("unknown"), "unknown file-unseen", "", nil},
			{"a certificate without its key", factsOf(kubelet("tlsCertFile", `"/c"`)), "fail half-set", "", []string{"tlsCertFile"}},
		}},
		{KubeletServingCertificateRotates, nil, factsOf(kubelet("serverTLSBootstrap", "true")), []judged{
			{"default", factsOf(kubelet()), "fail off", "not renewed", nil},
			{"asked for, gate by default", factsOf(kubelet("serverTLSBootstrap", "true")), "pass rotates", "", nil},
			{"OpenShift sets the gate too", factsOf(kubelet("serverTLSBootstrap", "true", "featureGates", `{"RotateKubeletServerCertificate":true}`)), "pass rotates", "", nil},
			{"the gate is off", factsOf(kubelet("serverTLSBootstrap", "true", "featureGates", `{"RotateKubeletServerCertificate":false}`)), "fail gate-off", "", []string{"RotateKubeletServerCertificate"}},
			{"files, which somebody may renew", files("yes"), "unknown renewed-elsewhere", "", nil},
		}},
		{KubeletStreamsTimeOut, nil, factsOf(kubelet("streamingConnectionIdleTimeout", `"5m"`)), []judged{
			{"whether this release reads it is not known", factsOf(kubelet()), "pass times-out", "its version is not known", nil},
			{"less than nothing in the file is not the default", factsOf(kubelet("streamingConnectionIdleTimeout", `"-1s"`)), "fail never", "", nil},
			{"default", factsOf(kubelet()), "pass times-out", `"4h"`, nil},
			{"OpenShift writes 0s, which the kubelet replaces", factsOf(kubelet("streamingConnectionIdleTimeout", `"0s"`)), "pass default", "default of 4h", nil},
			{"0 as an argument means never", factsOf(with(kubelet("streamingConnectionIdleTimeout", `"0"`), byFlag)), "fail never", "", nil},
			{"a kubelet that has no timeout", factsOf(with(kubelet("streamingConnectionIdleTimeout", `"0"`), version("v1.34.1"))), "not-applicable not-the-kubelets", "v1.34.1", nil},
			{"the last that has one", factsOf(with(kubelet(), version("v1.33.9"))), "pass times-out", "", nil},
			{"no duration", factsOf(kubelet("streamingConnectionIdleTimeout", `"soon"`)), "unknown setting-malformed", "", nil},
		}},
		{KubeletEventRateBounded, nil, factsOf(kubelet("eventRecordQPS", "50")), []judged{
			{"the default of an unknown version", factsOf(kubelet()), "pass default", "5, then 50", nil},
			{"the default of 1.26", factsOf(with(kubelet(), version("v1.26.4"))), "pass bounded", "eventRecordQPS is 5 (the kubelet's default with --config in v1.26.4)", nil},
			{"the default of 1.27", factsOf(with(kubelet(), version("v1.27.0"))), "pass bounded", "is 50", nil},
			{"no limit", factsOf(kubelet("eventRecordQPS", "0")), "fail unlimited", "", []string{"eventRecordQPS"}},
			{"too low", factsOf(kubelet("eventRecordQPS", "1")), "fail too-low", "", nil},
		}},
		{KubeletProfilingOff, nil, factsOf(kubelet("enableProfilingHandler", "false", "enableDebugFlagsHandler", "false")), []judged{
			{"default", factsOf(kubelet()), "fail on", "enableProfilingHandler is true", nil},
			{"one of two", factsOf(kubelet("enableProfilingHandler", "false")), "fail on", "enableDebugFlagsHandler is true", nil},
			{"both off", factsOf(kubelet("enableProfilingHandler", "false", "enableDebugFlagsHandler", "false")), "pass off", "", nil},
			{"no handlers at all", factsOf(kubelet("enableDebuggingHandlers", "false")), "pass no-handlers", "", nil},
		}},
		{KubeletLogQueryOff, nil, factsOf(kubelet("enableSystemLogQuery", "false")), []judged{
			{"default", factsOf(kubelet()), "pass off", "", nil},
			{"on", factsOf(kubelet("enableSystemLogQuery", "true")), "fail on", "", []string{"enableSystemLogQuery"}},
		}},
		{KubeletHealthzLocal, nil, factsOf(kubelet("healthzBindAddress", `"127.0.0.1"`)), []judged{
			{"default", factsOf(kubelet()), "pass local", "127.0.0.1", nil},
			{"everywhere", factsOf(kubelet("healthzBindAddress", `"0.0.0.0"`)), "fail exposed", "", nil},
			{"an address of the node, which the fact does not keep", factsOf(kubelet("healthzBindAddress", `"<node>"`)), "fail exposed", "", nil},
			{"::1", factsOf(kubelet("healthzBindAddress", `"::1"`)), "pass local", "", nil},
			{"no port", factsOf(kubelet("healthzBindAddress", `"0.0.0.0"`, "healthzPort", "0")), "pass closed", "", nil},
			{"no address", factsOf(kubelet("healthzBindAddress", `"here"`)), "unknown setting-malformed", "", nil},
		}},
		{KubeletChainsKept, nil, factsOf(kubelet("makeIPTablesUtilChains", "true")), []judged{
			{"default", factsOf(kubelet()), "pass kept", "", nil},
			{"off", factsOf(kubelet("makeIPTablesUtilChains", "false")), "fail off", "", []string{"makeIPTablesUtilChains"}},
		}},
		{KubeletPodPIDsLimited, nil, factsOf(kubelet("podPidsLimit", "4096")), []judged{
			{"default", factsOf(kubelet()), "fail unlimited", "is -1", []string{"podPidsLimit"}},
			{"OpenShift", factsOf(kubelet("podPidsLimit", "4096")), "pass limited", "", nil},
			{"no number", factsOf(kubelet("podPidsLimit", "true")), "unknown setting-malformed", "", nil},
		}},
		{KubeletSeccompDefaultOn, nil, factsOf(kubelet("seccompDefault", "true")), []judged{
			{"default", factsOf(kubelet()), "fail off", "", []string{"seccompDefault"}},
			{"Talos", factsOf(kubelet("seccompDefault", "true")), "pass on", "", nil},
		}},
		{KubeletNoUnsafeSysctls, nil, factsOf(kubelet("allowedUnsafeSysctls", "[]")), []judged{
			{"default", factsOf(kubelet()), "pass none", "", nil},
			{"two", factsOf(kubelet("allowedUnsafeSysctls", `["kernel.msg*","net.core.somaxconn"]`)), "fail allowed", "kernel.msg*", []string{"kernel.msg*", "net.core.somaxconn"}},
			{"no list", factsOf(kubelet("allowedUnsafeSysctls", `"x"`)), "unknown setting-malformed", "", nil},
		}},
		{KubeletLogsRotate, nil, factsOf(kubelet("containerLogMaxSize", `"50Mi"`)), []judged{
			{"default", factsOf(kubelet()), "pass rotates", "10Mi", nil},
			{"off", factsOf(kubelet("containerLogMaxSize", `"-1"`)), "fail off", "", []string{"containerLogMaxSize"}},
			{"nothing", factsOf(kubelet("containerLogMaxSize", `"0"`)), "fail off", "", nil},
			{"a fraction", factsOf(kubelet("containerLogMaxSize", `"0.5Gi"`)), "pass rotates", "", nil},
			{"no amount", factsOf(kubelet("containerLogMaxSize", `"much"`)), "unknown setting-malformed", "", nil},
			{"two units", factsOf(kubelet("containerLogMaxSize", `"10MiMi"`)), "unknown setting-malformed", "", nil},
			{"two points", factsOf(kubelet("containerLogMaxSize", `"1.0.0"`)), "unknown setting-malformed", "", nil},
			{"a sign alone", factsOf(kubelet("containerLogMaxSize", `"-"`)), "unknown setting-malformed", "", nil},
		}},
		{KubeletImageCollectionOn, nil, factsOf(kubelet("imageGCHighThresholdPercent", "80")), []judged{
			{"default", factsOf(kubelet()), "pass on", "is 85", nil},
			{"never", factsOf(kubelet("imageGCHighThresholdPercent", "100")), "fail off", "", []string{"imageGCHighThresholdPercent"}},
			{"more than there is, with which no kubelet starts", factsOf(kubelet("imageGCHighThresholdPercent", "101")), "unknown setting-malformed", "", nil},
			{"less than nothing, with which none does either", factsOf(kubelet("imageGCHighThresholdPercent", "-1")), "unknown setting-malformed", "", nil},
		}},
		{KubeletStaticPodURLDeclared, talos, factsOf(kubelet("staticPodURL", `""`)), []judged{
			{"default", factsOf(kubelet()), "pass none", "", nil},
			{"Talos serves them on a loopback port", factsOf(kubelet("staticPodURL", `"http://127.0.0.1"`)), "pass by-the-system", "words of the profile", nil},
			{"a web server", factsOf(kubelet("staticPodURL", `"https://198.51.100.7/pods"`)), "fail undeclared", "", []string{"https://198.51.100.7/pods"}},
			{"a name that begins alike", factsOf(kubelet("staticPodURL", `"http://127.0.0.1.example.com"`)), "fail undeclared", "", nil},
		}},
		{KubeletSettingsAgree, nil, factsOf(kubelet()), []judged{
			{"one place each", factsOf(kubelet("readOnlyPort", "0")), "pass agree", "", nil},
			{"twice the same", factsOf(with(kubelet("readOnlyPort", "0"), lost("readOnlyPort", "0"))), "pass agree", "", nil},
			{"an argument that says otherwise", factsOf(with(with(kubelet("authentication.anonymous.enabled", "true"), byFlag), lost("authentication.anonymous.enabled", "false"))), "fail contradiction", "lost to true (flag --x)", nil},
			{"a drop-in that takes it away", factsOf(with(kubelet(), lost("readOnlyPort", "0"))), "fail contradiction", "takes it away", nil},
			{"a setting that guards nothing", factsOf(with(kubelet("maxPods", "58"), lost("maxPods", "110"))), "pass others-only", "", nil},
		}},
		{KubeletClientCAClosed, nil, factsOf(with(kubelet("authentication.x509.clientCAFile", `"/etc/kubernetes/pki/ca.crt"`), version(""))), []judged{
			{"closed", factsOf(kubelet("authentication.x509.clientCAFile", `"/etc/kubernetes/pki/ca.crt"`)), "pass closed", "0644", nil},
			{"writable for its group", factsOf(with(kubelet("authentication.x509.clientCAFile", `"/ca"`), func(k *node.KubeletState) { k.Files[1].Mode = 0o664 })), "fail open", "mode 0664", nil},
			{"not there", factsOf(with(kubelet("authentication.x509.clientCAFile", `"/ca"`), func(k *node.KubeletState) { k.Files[1].Found = "no" })), "unknown file-unseen", "ca.crt (not there)", nil},
			{"none named", factsOf(with(kubelet(), func(k *node.KubeletState) { k.Files = k.Files[:1] })), "not-applicable no-client-ca", "", nil},
			{"named, and not looked at", factsOf(with(kubelet("authentication.x509.clientCAFile", `"/ca"`), func(k *node.KubeletState) { k.Files = k.Files[:1] })), "unknown unread", "", nil},
		}},
	} {
		t.Run(tt.check.ID, func(t *testing.T) {
			runJudged(t, tt.check, tt.profile, append(tt.rows, common(tt.good)...))
		})
	}
}

// onSystem are the facts of a kubelet on a system with fields of os-release.
func onSystem(release map[string]string, k node.KubeletState) node.Facts {
	facts := factsOf(k)
	facts[node.OS.Name] = node.Fact{Value: node.System{Release: release}}
	return facts
}

func TestKubeletGates(t *testing.T) {
	bottlerocket := func(variant string) map[string]string {
		return map[string]string{"ID": "bottlerocket", "VARIANT_ID": variant}
	}
	for _, tt := range []struct {
		check   Check
		profile *profiles.Profile
		good    node.Facts
		rows    []judged
	}{
		{KubeletDynamicAuditingOff, nil, onSystem(nil, kubelet()), []judged{
			{"not set, version unknown: off in every release", onSystem(nil, kubelet()), "pass off", "", nil},
			{"on", onSystem(nil, kubelet("featureGates", `{"DynamicAuditing":true}`)), "fail on", "", []string{"DynamicAuditing"}},
			{"all alpha gates", onSystem(nil, kubelet("featureGates", `{"AllAlpha":true}`)), "unknown gates-by-stage", "", nil},
			{"1.31 has no such gate", onSystem(nil, with(kubelet(), version("v1.31.2"))), "not-applicable gate-removed", "v1.31.2 (build information of /usr/bin/kubelet)", nil},
		}},
		{KubeletDynamicConfigurationOff, nil, onSystem(nil, kubelet("featureGates", `{"DynamicKubeletConfig":false}`)), []judged{
			{"not set, version unknown", onSystem(nil, kubelet()), "unknown default-depends-on-version", "", nil},
			{"not set in 1.21", onSystem(nil, with(kubelet(), version("v1.21.14"))), "fail on", "", []string{"DynamicKubeletConfig"}},
			{"not set in 1.22", onSystem(nil, with(kubelet(), version("v1.22.0"))), "pass off", "", nil},
			{"on", onSystem(nil, kubelet("featureGates", `{"DynamicKubeletConfig":true}`)), "fail on", "", nil},
			{"1.26 has no such gate", onSystem(nil, with(kubelet(), version("v1.26.0+rke2r1"))), "not-applicable gate-removed", "v1.26.0+rke2r1", nil},
		}},
		{KubeletPodSecurityKept, nil, onSystem(nil, kubelet("featureGates", `{"PodSecurity":true}`)), []judged{
			{"not set, version unknown", onSystem(nil, kubelet()), "unknown default-depends-on-version", "", nil},
			{"not set in 1.24", onSystem(nil, with(kubelet(), version("v1.24.0"))), "pass on", "", nil},
			{"not set in 1.22", onSystem(nil, with(kubelet(), version("v1.22.0"))), "fail off", "", nil},
			{"off", onSystem(nil, kubelet("featureGates", `{"PodSecurity":false}`)), "fail off", "", []string{"PodSecurity"}},
			{"no map", onSystem(nil, kubelet("featureGates", `"x"`)), "unknown setting-malformed", "", nil},
			{"1.28 has no such gate", onSystem(nil, with(kubelet(), version("v1.28.0"))), "not-applicable gate-removed", "", nil},
		}},
	} {
		t.Run(tt.check.ID, func(t *testing.T) {
			runJudged(t, tt.check, tt.profile, append(tt.rows, []judged{
				{"an unread place", onSystem(nil, with(kubelet(), unread)), "unknown gap-denied", "", nil},
				{"the file that --config names is not there", onSystem(nil, with(kubelet(), fileUnread)), "unknown gap-absent", "/k: no such file", nil},
				{"gap", gapped(tt.good), "unknown gap-denied", "", nil},
				{"no kubelet", onSystem(nil, with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
				{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
			}...))
		})
	}
	runJudged(t, KubeletPodSecurityKept, nil, []judged{
		{"Bottlerocket names the version", onSystem(bottlerocket("aws-k8s-1.31"), kubelet()), "not-applicable gate-removed", "v1.31 (VARIANT_ID of os-release)", nil},
		{"with a GPU", onSystem(bottlerocket("aws-k8s-1.23-nvidia"), kubelet()), "pass on", "", nil},
		{"a variant for ECS", onSystem(bottlerocket("aws-ecs-2"), kubelet()), "unknown default-depends-on-version", "", nil},
		{"another system with such a field", onSystem(map[string]string{"ID": "x", "VARIANT_ID": "aws-k8s-1.31"}, kubelet()), "unknown default-depends-on-version", "", nil},
		{"OpenShift 4.16 is Kubernetes 1.29", onSystem(map[string]string{"OPENSHIFT_VERSION": "4.16"}, kubelet()), "not-applicable gate-removed", "v1.29 (OPENSHIFT_VERSION of os-release)", nil},
		{"OpenShift 4.2 was Kubernetes 1.14, not 1.15", onSystem(map[string]string{"OPENSHIFT_VERSION": "4.2"}, kubelet()), "unknown default-depends-on-version", "", nil},
		{"the executable counts first", onSystem(bottlerocket("aws-k8s-1.31"), with(kubelet(), version("v1.24.0"))), "pass on", "", nil},
		{"a kubelet that is not the system's", onSystem(bottlerocket("aws-k8s-1.31"), with(kubelet(), func(k *node.KubeletState) { k.Program = "/opt/bin/kubelet" })), "unknown default-depends-on-version", "", nil},
	})
}

func lost(key, json string) func(*node.KubeletState) {
	return func(k *node.KubeletState) {
		k.Overridden = append(k.Overridden, node.KubeletOverride{Key: key, JSON: json, From: "file " + configFile})
	}
}

func TestKubeletHostnameOwn(t *testing.T) {
	talos := &profiles.Profile{Kubelet: profiles.Kubelet{HostnameOverride: "words of the profile"}}
	overridden := factsOf(with(kubelet(), givenFlag("hostname-override")))
	runJudged(t, KubeletHostnameOwn, nil, []judged{
		{"own", factsOf(kubelet()), "pass own", "", nil},
		{"overridden", overridden, "fail overridden", "", []string{"--hostname-override"}},
		{"the arguments could not be read", factsOf(with(kubelet(), unread)), "unknown gap-denied", "whether --hostname-override is given is not known", nil},
		{"only the file could not be read", factsOf(with(kubelet(), fileUnread)), "pass own", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, KubeletHostnameOwn, talos, []judged{{"Talos does so by design", overridden, "pass by-the-system", "words of the profile", nil}})
}

func TestKubeletStaticPodsDeclared(t *testing.T) {
	k := kubelet("staticPodPath", `"/m"`)
	pods := func(mode uint32, names ...string) node.StaticPodState {
		v := node.StaticPodState{Folder: node.KubeletFile{Role: "static-pods", Path: "/m", Found: "yes", Mode: mode}}
		for _, name := range names {
			v.Manifests = append(v.Manifests, node.KubeletFile{Role: "manifest", Path: "/m/" + name, Found: "yes", Mode: 0o600})
		}
		return v
	}
	writable := pods(0o755, "etcd.yaml", "kube-apiserver.yaml")
	writable.Manifests[0].Mode = 0o666
	unseen := node.StaticPodState{Folder: node.KubeletFile{Path: "/m", Found: "unknown"}}
	worker := node.ControlPlaneState{Runs: "no"}
	runs := node.ControlPlaneState{Runs: "yes", Parts: []node.ControlPlanePart{{Name: "kube-apiserver", By: "process"}}}
	planted := node.ControlPlaneState{Runs: "yes", Parts: []node.ControlPlanePart{{Name: "kube-apiserver", By: "/m/kube-apiserver.yaml"}}}
	none := node.StaticPodState{Folder: node.KubeletFile{Path: "/m", Found: "no"}}
	runJudged(t, KubeletStaticPodsDeclared, &profiles.Profile{Kubelet: profiles.Kubelet{StaticPods: []profiles.Place{{Path: "/m/keepalived.yaml"}}}}, []judged{
		{"no folder named", factsOf(kubelet(), node.StaticPodState{}, worker), "pass no-folder", "", nil},
		{"Bottlerocket names one, and it is empty", factsOf(k, pods(0o755), runs), "pass empty", "", nil},
		{"a folder that is not there", factsOf(k, none, worker), "pass empty", "", nil},
		{"a control plane of kubeadm", factsOf(k, pods(0o755, "etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"), runs), "pass declared", "/m/etcd.yaml", nil},
		{"a worker on which somebody laid a pod by that name", factsOf(k, pods(0o755, "kube-apiserver.yaml"), planted), "unknown control-plane-unseen", "no kube-apiserver was seen to run", []string{"/m/kube-apiserver.yaml"}},
		{"etcd.yaml on a worker", factsOf(k, pods(0o755, "etcd.yaml"), runs), "fail undeclared", "", []string{"/m/etcd.yaml"}},
		{"a miner beside the control plane", factsOf(k, pods(0o755, "kube-apiserver.yaml", "x.yaml"), runs), "fail undeclared", "", []string{"/m/x.yaml"}},
		{"declared", factsOf(k, pods(0o755, "keepalived.yaml"), runs), "pass declared", "", nil},
		{"a folder that everybody may write into", factsOf(k, pods(0o777), runs), "fail open", "mode 0777", nil},
		{"a manifest that everybody may write", factsOf(k, writable, runs), "fail open", "/m/etcd.yaml (mode 0666", nil},
		{"a folder that could not be seen", factsOf(k, unseen, worker), "unknown folder-unseen", "", nil},
		{"a folder named since the last look", factsOf(k, node.StaticPodState{}, worker), "unknown unread", "", nil},
		{"unread", factsOf(with(kubelet(), unread), node.StaticPodState{}, worker), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(k, pods(0o755), runs)), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), node.StaticPodState{}, worker), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(k), "unknown fact-not-recorded", "", nil},
	})
	const manifests = "/etc/kubernetes/manifests"
	openShift := func(names ...string) node.Facts {
		v := node.StaticPodState{Folder: node.KubeletFile{Role: "static-pods", Path: manifests, Found: "yes", Mode: 0o755}}
		for _, name := range names {
			v.Manifests = append(v.Manifests, node.KubeletFile{Role: "manifest", Path: manifests + "/" + name, Found: "yes", Mode: 0o644})
		}
		return factsOf(kubelet("staticPodPath", `"`+manifests+`"`), v, worker)
	}
	runJudged(t, KubeletStaticPodsDeclared, profileNamed(t, "fedora-coreos"), []judged{
		{"a worker of OpenShift 4.16 as it comes", openShift("criometricsproxy.yaml"), "pass declared", "", nil},
		{"one on bare metal", openShift("coredns.yaml", "criometricsproxy.yaml", "keepalived.yaml"), "pass declared", "", nil},
		{"and a miner", openShift("criometricsproxy.yaml", "miner.yaml"), "fail undeclared", "", []string{manifests + "/miner.yaml"}},
	})
}

func TestKubeletKubeconfigs(t *testing.T) {
	conf := func(mode uint32) node.KubeletState {
		return with(kubelet(), file("kubeconfig", "/etc/kubernetes/kubelet.conf", "yes", mode, 0))
	}
	for _, tt := range []struct {
		check   Check
		at0644  string
		at0664  string
		another string
	}{
		{KubeletKubeconfigClosed, "fail open", "fail open", "fail open"},
		{kubeletKubeconfigKept, "pass closed", "fail open", "fail open"},
	} {
		t.Run(tt.check.ID, func(t *testing.T) {
			runJudged(t, tt.check, nil, []judged{
				{"0600", factsOf(conf(0o600)), "pass closed", "/etc/kubernetes/kubelet.conf", nil},
				{"0644", factsOf(conf(0o644)), tt.at0644, "", nil},
				{"0664", factsOf(conf(0o664)), tt.at0664, "mode 0664", nil},
				{"another owner", factsOf(with(kubelet(), file("kubeconfig", "/k", "yes", 0o600, 1000))), tt.another, "owner 1000:0", nil},
				{"the bootstrap kubeconfig is gone, as it should be", factsOf(with(conf(0o600), file("bootstrap-kubeconfig", "/b", "no", 0, 0))), "pass closed", "", nil},
				{"the bootstrap kubeconfig is open", factsOf(with(conf(0o600), file("bootstrap-kubeconfig", "/b", "yes", 0o666, 0))), "fail open", "/b", nil},
				{"not there", factsOf(with(kubelet(), file("kubeconfig", "/k", "no", 0, 0))), "unknown file-unseen", "/k (not there)", nil},
				{"may not be seen", factsOf(with(kubelet(), file("kubeconfig", "/k", "unknown", 0, 0))), "unknown file-unseen", "/k", nil},
				{"none", factsOf(with(kubelet(), func(k *node.KubeletState) { k.Flags = []string{"config"} })), "not-applicable no-kubeconfig", "", nil},
				{"the arguments could not be read", factsOf(with(kubelet(), func(k *node.KubeletState) { k.Flags = nil; unread(k) })), "unknown gap-denied", "", nil},
				{"only the file of settings could not be read", factsOf(with(conf(0o600), fileUnread)), "pass closed", "", nil},
				{"gap", gapped(factsOf(conf(0o600))), "unknown gap-denied", "", nil},
				{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
				{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
			})
		})
	}
}

func TestKubeletConfigKept(t *testing.T) {
	mode := func(m uint32) func(*node.KubeletState) { return func(k *node.KubeletState) { k.Files[0].Mode = m } }
	runJudged(t, kubeletConfigKept, nil, append([]judged{
		{"0644 (RHCOS, kubeadm)", factsOf(with(kubelet(), mode(0o644))), "pass closed", "mode 0644 or less", nil},
		{"0664", factsOf(with(kubelet(), mode(0o664))), "fail open", "", []string{configFile + " (mode 0664, owner 0:0)"}},
		{"without a file", factsOf(with(kubelet(), withoutConfig)), "not-applicable no-file", "", nil},
	}, common(factsOf(kubelet()))...))
}

func TestKubeletUnitClosed(t *testing.T) {
	usr := node.Mount{Path: "/usr", Type: "ext4", Options: []string{"ro"}, Super: []string{"ro"}, Visible: true}
	mounts := []node.Mount{{Path: "/", Type: "ext4", Options: []string{"rw"}, Super: []string{"rw"}, Visible: true}, usr}
	unit := func(files ...node.KubeletFile) node.KubeletUnitState {
		return node.KubeletUnitState{Unit: "kubelet.service", Cgroup: "/system.slice/kubelet.service", Files: files}
	}
	at := func(name string, mode uint32) node.KubeletFile {
		return node.KubeletFile{Role: "unit", Path: name, Found: "yes", Mode: mode}
	}
	runJudged(t, KubeletUnitClosed, nil, []judged{
		{"in the image, whatever its mode", factsOf(kubelet(), unit(at("/usr/lib/systemd/system/kubelet.service", 0o644)), mounts), "pass closed", "in the read-only image", nil},
		{"closed", factsOf(kubelet(), unit(at("/etc/systemd/system/kubelet.service", 0o600)), mounts), "pass closed", "", nil},
		{"kubeadm's drop-in", factsOf(kubelet(), unit(at("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644)), mounts), "fail readable", "root alone can change them", nil},
		{"an environment file that everybody may write", factsOf(kubelet(), unit(at("/etc/default/kubelet", 0o666), at("/etc/x", 0o644)), mounts), "fail open", "", []string{"/etc/default/kubelet (mode 0666, owner 0:0)", "/etc/x (mode 0644, owner 0:0)"}},
		{"an environment file that is not there", factsOf(kubelet(), unit(at("/etc/u", 0o600), node.KubeletFile{Path: "/etc/default/kubelet", Found: "no"}), mounts), "pass closed", "", nil},
		{"a file that could not be seen", factsOf(kubelet(), unit(node.KubeletFile{Path: "/etc/u", Found: "unknown"}), mounts), "unknown file-unseen", "/etc/u", nil},
		{"no file of the unit was found", factsOf(kubelet(), unit(), mounts), "unknown unread", "", nil},
		{"Talos has no units", factsOf(kubelet(), node.KubeletUnitState{Cgroup: "/podruntime/kubelet"}, mounts), "not-applicable no-unit", "/podruntime/kubelet", nil},
		{"no cgroup", factsOf(kubelet(), node.KubeletUnitState{}, mounts), "unknown unread", "", nil},
		{"outside the cgroup namespace", factsOf(kubelet(), node.KubeletUnitState{Cgroup: "/../.."}, mounts), "unknown unread", "", nil},
		{"gap", gapped(factsOf(kubelet(), unit(at("/etc/u", 0o600)), mounts)), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent), node.KubeletUnitState{}, mounts), "not-applicable no-kubelet", "", nil},
		{"no fact", factsOf(kubelet(), mounts), "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, kubeletUnitKept, nil, []judged{
		{"kubeadm's drop-in, as its package brings it", factsOf(kubelet(), unit(at("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644)), mounts), "pass closed", "", nil},
		{"an environment file that its group may write", factsOf(kubelet(), unit(at("/etc/default/kubelet", 0o664), at("/etc/x", 0o644)), mounts), "fail open", "", []string{"/etc/default/kubelet (mode 0664, owner 0:0)"}},
		{"a file that could not be seen", factsOf(kubelet(), unit(node.KubeletFile{Path: "/etc/u", Found: "unknown"}), mounts), "unknown file-unseen", "/etc/u", nil},
		{"Talos has no units", factsOf(kubelet(), node.KubeletUnitState{Cgroup: "/podruntime/kubelet"}, mounts), "not-applicable no-unit", "", nil},
		{"gap", gapped(factsOf(kubelet(), unit(at("/etc/u", 0o644)), mounts)), "unknown gap-denied", "", nil},
		{"no fact", factsOf(kubelet(), mounts), "unknown fact-not-recorded", "", nil},
	})
}

func TestKubeletForm(t *testing.T) {
	for _, tt := range []struct {
		id, key, flag, good, bad string
		missing                  string // verdict without the setting
	}{
		{"kubelet-read-only-port-written", "readOnlyPort", "read-only-port", "0", "10255", "pass absent"},
		{"kubelet-anonymous-off-written", "authentication.anonymous.enabled", "anonymous-auth", "false", "true", "fail not-written"},
		{"kubelet-authorization-written", "authorization.mode", "authorization-mode", `"Webhook"`, `"AlwaysAllow"`, "fail not-written"},
		{"kubelet-static-pod-path-unwritten", "staticPodPath", "pod-manifest-path", "", `"/etc/kubernetes/static-pods/"`, "pass absent"},
		{"kubelet-client-ca-written", "authentication.x509.clientCAFile", "client-ca-file", `"/ca"`, "", "fail not-written"},
		{"kubelet-serving-key-written", "tlsPrivateKeyFile", "tls-private-key-file", `"/k"`, "", "fail not-written"},
		{"kubelet-serving-certificate-written", "tlsCertFile", "tls-cert-file", `"/c"`, "", "fail not-written"},
		{"kubelet-kernel-defaults-written", "protectKernelDefaults", "protect-kernel-defaults", "true", "false", "fail not-written"},
		{"kubelet-idle-timeout-written", "streamingConnectionIdleTimeout", "streaming-connection-idle-timeout", `"5m"`, `"4m59s"`, "fail not-written"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			c := formCheck(t, tt.id)
			good := factsOf(kubelet())
			rows := []judged{
				{"not written", factsOf(kubelet()), tt.missing, "", nil},
				{"written empty", factsOf(kubelet(tt.key, `""`)), tt.missing, "", nil},
				{"an argument, whatever it says", factsOf(with(kubelet(), givenFlag(tt.flag))), "fail flag", "--" + tt.flag, []string{"--" + tt.flag}},
			}
			if tt.good != "" {
				good = factsOf(kubelet(tt.key, tt.good))
				rows = append(rows, judged{"written", factsOf(kubelet(tt.key, tt.good)), "pass written", configFile, nil},
					judged{"written, and a drop-in could not be read", factsOf(with(kubelet(tt.key, tt.good), fileUnread)), "unknown gap-absent", "unless it stands elsewhere too", nil})
			}
			if tt.bad != "" {
				rows = append(rows, judged{"written otherwise", factsOf(kubelet(tt.key, tt.bad)), "fail written-otherwise", tt.key, []string{tt.key}})
			}
			runJudged(t, c, nil, append(rows, common(good)...))
		})
	}
	runJudged(t, formCheck(t, "kubelet-hostname-unwritten"), &profiles.Profile{Kubelet: profiles.Kubelet{HostnameOverride: "by design"}}, []judged{
		{"Talos and Bottlerocket break the form by design", factsOf(with(kubelet(), givenFlag("hostname-override"))), "fail flag", "", []string{"--hostname-override"}},
		{"own name", factsOf(kubelet()), "pass no-flag", "", nil},
		{"only the file could not be read", factsOf(with(kubelet(), fileUnread)), "pass no-flag", "", nil},
		{"k3s makes the arguments inside the process", factsOf(with(kubelet(), unread)), "unknown gap-denied", "", nil},
		{"gap", gapped(factsOf(kubelet())), "unknown gap-denied", "", nil},
		{"no kubelet", factsOf(with(kubelet(), absent)), "not-applicable no-kubelet", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func formCheck(t *testing.T, id string) Check {
	t.Helper()
	for _, c := range kubeletFormChecks {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("there is no check %s", id)
	return Check{}
}

// TestKubeletDefaultDependsOnVersion shows where the version decides.
func TestKubeletDefaultDependsOnVersion(t *testing.T) {
	for _, tt := range []struct{ version, want string }{
		{"", ""},
		{"v1.23.17", hardEvictionDefault},
		{"v1.24.0", "{}"},
		{"v1.31.2+k3s1", "{}"},
		{"1.31.2", ""}, // not as Kubernetes writes it
		{"v1.x", ""},
	} {
		k := with(with(kubelet(), withoutConfig), version(tt.version))
		s, f := effective(k, "evictionHard")
		if s.json != tt.want || (f == nil) != (tt.want != "") {
			t.Errorf("evictionHard without --config in %q: got %s, %v, want %s", tt.version, s.json, f, tt.want)
		}
		if f != nil && f.Code != dependsOnVersion {
			t.Errorf("version %q: got %s, want %s", tt.version, f.Code, dependsOnVersion)
		}
	}
}
