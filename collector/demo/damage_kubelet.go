package demo

import (
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// kubeletDamages are done to a Bottlerocket node of 2021 whose kubelet is given
// another configuration, and the files that it names, by [soundKubelet].
var kubeletDamages = []Damage{
	kubeletSays("kubelet-anonymous-off", "anonymous requests were let in", "authentication", "{anonymous: {enabled: true}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}"),
	kubeletSays("kubelet-authorization-webhook", "authorization was switched to AlwaysAllow", "authorization", "{mode: AlwaysAllow}"),
	kubeletSays("kubelet-read-only-port-closed", "the read-only port was opened", "readOnlyPort", "10255"),
	kubeletSays("kubelet-client-ca-set", "the certificate authority of the callers was taken away", "authentication", "{anonymous: {enabled: false}, webhook: {enabled: true}}"),
	kubeletSays("kubelet-certificates-rotate", "rotation was switched off", "rotateCertificates", "false"),
	kubeletSays("kubelet-tls-floor", "TLS 1.0 was allowed", "tlsMinVersion", "VersionTLS10"),
	kubeletSays("kubelet-kernel-defaults-protected", "the kubelet may set kernel parameters", "protectKernelDefaults", "false"),
	kubeletFile("kubelet-config-closed", "the configuration was opened to readers", kubeletConfig, 0o644),
	kubeletSays("kubelet-authentication-webhook", "tokens are no longer looked at", "authentication", "{anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}"),
	kubeletSays("kubelet-serving-certificate-issued", "the kubelet signs its own certificate", "serverTLSBootstrap", "false", "tlsCertFile", `""`, "tlsPrivateKeyFile", `""`),
	kubeletSays("kubelet-serving-certificate-rotates", "the gate of rotation was closed", "featureGates", "{RotateKubeletServerCertificate: false}"),
	kubeletArgument("kubelet-streams-time-out", "idle sessions were kept for ever", "--streaming-connection-idle-timeout=0"),
	kubeletSays("kubelet-event-rate-bounded", "the limit of events was lifted", "eventRecordQPS", "0"),
	kubeletSays("kubelet-profiling-off", "profiling was left on", "enableProfilingHandler", "true"),
	kubeletSays("kubelet-log-query-off", "journals are served", "enableSystemLogQuery", "true"),
	kubeletSays("kubelet-healthz-local", "the health port was opened to the network", "healthzBindAddress", "0.0.0.0"),
	{
		Check: "kubelet-hostname-own", Node: "composed-cos", What: "the node was given another name",
		Do: func(t *capture.Tape) { appendArguments(t, cosKubelet, "--hostname-override=db-1") },
	},
	kubeletSays("kubelet-iptables-chains-kept", "the chains were given up", "makeIPTablesUtilChains", "false"),
	kubeletSays("kubelet-pod-pids-limited", "the limit of processes was lifted", "podPidsLimit", "-1"),
	kubeletSays("kubelet-seccomp-default-on", "containers run unconfined by default", "seccompDefault", "false"),
	kubeletSays("kubelet-no-unsafe-sysctls", "pods may set kernel.msgmax", "allowedUnsafeSysctls", "[kernel.msgmax]"),
	kubeletSays("kubelet-logs-rotate", "logs of containers grow without end", "containerLogMaxSize", `"-1"`),
	kubeletSays("kubelet-image-collection-on", "no image is ever removed", "imageGCHighThresholdPercent", "100"),
	kubeletDamaged("kubelet-static-pods-declared", "a static pod was planted", func(t *capture.Tape) {
		t.Dir(staticPods, node.DirEntry{Name: "miner.yaml", Type: node.Regular})
		t.File(staticPods+"/miner.yaml", "")
	}),
	kubeletSays("kubelet-static-pod-url-declared", "pods are fetched from a web server", "staticPodURL", "http://198.51.100.7/pods"),
	{
		Check: "kubelet-dynamic-auditing-off", Node: kubeletNode, What: "audit events can be redirected",
		Sound: func(t *capture.Tape) {
			soundKubelet(t)
			t.Content("etc/os-release", "NAME=Bottlerocket\nID=bottlerocket\nVARIANT_ID=aws-k8s-1.18\n") // the last with this gate
		},
		Do: func(t *capture.Tape) { soundKubelet(t, "featureGates", "{DynamicAuditing: true}") },
	},
	kubeletSays("kubelet-dynamic-configuration-off", "the API server configures the kubelet", "featureGates", "{DynamicKubeletConfig: true}"),
	kubeletSays("kubelet-pod-security-kept", "pod security admission was switched off", "featureGates", "{PodSecurity: false}"),
	kubeletArgument("kubelet-settings-agree", "an argument undid what the file says", "--anonymous-auth=true"),
	kubeletFile("kubelet-kubeconfig-closed", "the kubeconfig was opened to readers", kubeletKubeconfig, 0o644),
	kubeletFile("kubelet-client-ca-closed", "the certificate authority was opened to writers", clientCA, 0o666),
	{
		Check: "kubelet-unit-closed", Node: "composed-cos", What: "a drop-in of the unit was opened to writers",
		Sound: soundUnit,
		Do:    func(t *capture.Tape) { owned(t, unitDropIn, 0o666) },
	},
	{
		Check: "kubelet-unit-kept", Node: "composed-cos", What: "a drop-in of the unit was opened to its group",
		Sound: soundUnit,
		Do:    func(t *capture.Tape) { owned(t, unitDropIn, 0o664) },
	},

	kubeletArgument("kubelet-read-only-port-written", "the port was closed by an argument", "--read-only-port=0"),
	kubeletArgument("kubelet-anonymous-off-written", "anonymous requests were refused by an argument", "--anonymous-auth=false"),
	kubeletArgument("kubelet-authorization-written", "the way of authorization was named by an argument", "--authorization-mode=Webhook"),
	{
		Check: "kubelet-static-pod-path-unwritten", Node: kubeletNode, What: "a folder of static pods was named",
		Sound: func(t *capture.Tape) { soundKubelet(t, "staticPodPath", `""`) },
		Do:    func(t *capture.Tape) { soundKubelet(t) },
	},
	kubeletArgument("kubelet-hostname-unwritten", "the system gave the kubelet a name", "--hostname-override=ip-10-0-0-1.ec2.internal"),
	kubeletArgument("kubelet-client-ca-written", "the certificate authority was named by an argument", "--client-ca-file=/etc/kubernetes/pki/ca.crt"),
	kubeletSays("kubelet-serving-key-written", "no key is named", "tlsPrivateKeyFile", `""`),
	kubeletSays("kubelet-serving-certificate-written", "no certificate is named", "tlsCertFile", `""`),
	kubeletSays("kubelet-kernel-defaults-written", "nothing is said about the kernel's settings", "protectKernelDefaults", "false"),
	kubeletSays("kubelet-idle-timeout-written", "sessions end after a minute", "streamingConnectionIdleTimeout", "1m"),
	kubeletFile("kubelet-config-kept", "the configuration was opened to writers", kubeletConfig, 0o666),
	kubeletFile("kubelet-kubeconfig-kept", "the kubeconfig was opened to writers", kubeletKubeconfig, 0o666),
}

const (
	kubeletNode       = "composed-bottlerocket"
	kubeletProcess    = "proc/1155"
	kubeletConfig     = "etc/kubernetes/kubelet/config"
	kubeletKubeconfig = "etc/kubernetes/kubelet/kubeconfig"
	clientCA          = "etc/kubernetes/pki/ca.crt"
	servingCert       = "var/lib/kubelet/pki/kubelet.crt"
	servingKey        = "var/lib/kubelet/pki/kubelet.key"
	staticPods        = "etc/kubernetes/static-pods"
	unitDropIn        = "run/systemd/system/kubelet.service.d/10-node.conf"
)

// kubeletArguments are those of the kubelet of Bottlerocket that matter here.
var kubeletArguments = []string{"/usr/bin/kubelet", "--kubeconfig", "/" + kubeletKubeconfig, "--config", "/" + kubeletConfig}

// cosKubelet is the kubelet of the node composed-cos.
var cosKubelet = kubeletOf{"proc/1142", []string{"/home/kubernetes/bin/kubelet", "--config", "/home/kubernetes/kubelet-config.yaml", "--kubeconfig=/var/lib/kubelet/kubeconfig"}}

// kubeletOf is a process that is a kubelet, and its arguments.
type kubeletOf struct {
	process   string
	arguments []string
}

// soundSettings are those with which every check of the kubelet passes, by the
// name that they stand under at the top of its configuration.
var soundSettings = map[string]string{
	"allowedUnsafeSysctls":           "[]",
	"authentication":                 "{anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /" + clientCA + "}}",
	"authorization":                  "{mode: Webhook}",
	"containerLogMaxSize":            "10Mi",
	"enableDebugFlagsHandler":        "false",
	"enableProfilingHandler":         "false",
	"enableSystemLogQuery":           "false",
	"eventRecordQPS":                 "50",
	"featureGates":                   "{DynamicKubeletConfig: false, PodSecurity: true, RotateKubeletServerCertificate: true}",
	"healthzBindAddress":             "127.0.0.1",
	"imageGCHighThresholdPercent":    "85",
	"makeIPTablesUtilChains":         "true",
	"podPidsLimit":                   "1048576",
	"protectKernelDefaults":          "true",
	"readOnlyPort":                   "0",
	"rotateCertificates":             "true",
	"seccompDefault":                 "true",
	"serverTLSBootstrap":             "true",
	"staticPodPath":                  "/" + staticPods,
	"streamingConnectionIdleTimeout": "5m",
	"tlsCertFile":                    "/" + servingCert,
	"tlsMinVersion":                  "VersionTLS12",
	"tlsPrivateKeyFile":              "/" + servingKey,
}

// soundKubelet gives the node a kubelet that passes, but for some settings: name,
// value, name, value, …
func soundKubelet(t *capture.Tape, but ...string) {
	settings := maps.Clone(soundSettings)
	for i := 0; i < len(but); i += 2 {
		settings[but[i]] = but[i+1]
	}
	config := "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		config += name + ": " + settings[name] + "\n"
	}
	t.Content(kubeletConfig, config)
	t.Content(kubeletKubeconfig, `{"credential":"certificate-file"}`)
	for _, name := range []string{kubeletConfig, kubeletKubeconfig, clientCA, servingCert, servingKey} {
		owned(t, name, 0o600)
	}
	t.Dir(staticPods)
	for _, table := range []string{"tcp", "tcp6"} {
		t.Content("proc/1/net/"+table, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	}
	t.Content("proc/1/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n")
	appendArguments(t, kubeletOf{kubeletProcess, kubeletArguments})
}

// soundUnit gives the kubelet a unit in the image and a drop-in of its own.
func soundUnit(t *capture.Tape) {
	for _, dir := range []string{
		"etc/systemd/system.control", "run/systemd/system.control", "run/systemd/transient", "run/systemd/generator.early",
		"etc/systemd/system", "etc/systemd/system.attached", "run/systemd/system", "run/systemd/system.attached", "run/systemd/generator",
		"usr/local/lib/systemd/system", "usr/lib/systemd/system", "run/systemd/generator.late",
	} {
		t.Absent(dir+"/kubelet.service", dir+"/kubelet.service.d")
		for at := dir; strings.Contains(at, "/"); at = at[:strings.LastIndex(at, "/")] {
			t.Info(at, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
		}
	}
	for _, top := range []string{"etc", "run", "usr"} {
		t.Info(top, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	}
	t.File("usr/lib/systemd/system/kubelet.service", "[Service]\n")
	t.Dir("run/systemd/system/kubelet.service.d", node.DirEntry{Name: "10-node.conf", Type: node.Regular})
	t.Content(unitDropIn, "[Service]\n")
	owned(t, unitDropIn, 0o600)
}

// owned is a file of root's.
func owned(t *capture.Tape, name string, mode uint32) {
	t.Info(name, node.FileInfo{Type: node.Regular, Mode: mode, Size: 1, Dev: "0:1"})
}

// appendArguments starts a kubelet with more arguments.
func appendArguments(t *capture.Tape, k kubeletOf, more ...string) {
	t.Content(k.process+"/cmdline", strings.Join(slices.Concat(k.arguments, more), "\x00")+"\x00")
}

func kubeletDamaged(check, what string, do func(*capture.Tape)) Damage {
	return Damage{Check: check, Node: kubeletNode, What: what, Sound: func(t *capture.Tape) { soundKubelet(t) }, Do: do}
}

// kubeletSays is a damage to the kubelet's configuration.
func kubeletSays(check, what string, settings ...string) Damage {
	return kubeletDamaged(check, what, func(t *capture.Tape) { soundKubelet(t, settings...) })
}

// kubeletArgument is one more argument of the kubelet.
func kubeletArgument(check, what, argument string) Damage {
	return kubeletDamaged(check, what, func(t *capture.Tape) {
		appendArguments(t, kubeletOf{kubeletProcess, kubeletArguments}, argument)
	})
}

// kubeletFile is another mode of a file.
func kubeletFile(check, what, name string, mode uint32) Damage {
	return kubeletDamaged(check, what, func(t *capture.Tape) { owned(t, name, mode) })
}
