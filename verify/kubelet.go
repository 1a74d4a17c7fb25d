package verify

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// kubeletChecks are what CIS asks of a kubelet, and what else decides who may do
// what with it, judged by what it was started with and what takes effect, not by
// where some distribution keeps its files. The form that the STIG asks for is
// judged by [kubeletFormChecks].
var kubeletChecks = []Check{
	KubeletAnonymousOff,
	KubeletAuthorizationWebhook,
	KubeletReadOnlyPortClosed,
	KubeletClientCASet,
	KubeletCertificatesRotate,
	KubeletTLSFloor,
	KubeletKernelDefaultsProtected,
	KubeletConfigClosed,
	KubeletAuthenticationWebhook,
	KubeletServingCertificateIssued,
	KubeletServingCertificateRotates,
	KubeletStreamsTimeOut,
	KubeletEventRateBounded,
	KubeletProfilingOff,
	KubeletLogQueryOff,
	KubeletHealthzLocal,
	KubeletHostnameOwn,
	KubeletChainsKept,
	KubeletPodPIDsLimited,
	KubeletSeccompDefaultOn,
	KubeletNoUnsafeSysctls,
	KubeletLogsRotate,
	KubeletImageCollectionOn,
	KubeletStaticPodsDeclared,
	KubeletStaticPodURLDeclared,
	KubeletDynamicAuditingOff,
	KubeletDynamicConfigurationOff,
	KubeletPodSecurityKept,
	KubeletSettingsAgree,
	KubeletKubeconfigClosed,
	KubeletClientCAClosed,
	KubeletUnitClosed,
}

// onKubelet makes a judge of the kubelet that has nothing to say where none runs.
func onKubelet(f func(node.KubeletState, Given) Finding) Judge {
	return On(node.Kubelet, func(k node.KubeletState, g Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		return f(k, g)
	})
}

// withoutKubelet is the finding where no kubelet runs, or where the node did not
// say whether one does.
func withoutKubelet(k node.KubeletState) (f Finding, none bool) {
	switch k.Found {
	case "process", "embedded":
		return f, false
	case "absent":
		return notApplicable("no-kubelet", "no kubelet runs on this node"), true
	}
	return unsaid("whether a kubelet runs"), true
}

// standalone appends the profile's words about a kubelet without a cluster where
// this one has no kubeconfig.
func standalone(reason string, k node.KubeletState, g Given) string {
	if g.Profile.Kubelet.Standalone != "" && !slices.Contains(k.Flags, "kubeconfig") {
		return reason + "; it runs without a cluster: " + g.Profile.Kubelet.Standalone
	}
	return reason
}

// KubeletAnonymousOff demands that callers say who they are.
var KubeletAnonymousOff = Check{
	ID: "kubelet-anonymous-off", Rev: 1, Topic: KubeletTopic, Severity: Critical,
	Title: "the kubelet answers no anonymous requests",
	Refs: []Ref{
		{cisKubernetes, "4.2.1"},
		{sp80053, "AC-14"}, {sp80053, "CM-6"}, {grundschutz, "APP.4.4.A3"}, {pciDSS, "2.2.1"},
	},
	Help: Help{
		Why: "Whoever reaches port 10250 of a kubelet that answers anonymous requests is one authorization rule away from a shell in every pod of the node.",
		How: "authentication.anonymous.enabled as it takes effect: arguments over drop-ins over the file of --config over the kubelet's default, which is false with --config and true without. It has to be false.",
		Remedy: kubeletRemedy("authentication: {anonymous: {enabled: false}}", "anonymous-auth=false", map[string]string{
			"talos":        "Talos sets it to false and refuses another value, except where machine.kubelet.skipNodeRegistration makes the kubelet a standalone one: take that out of the machine configuration (talosctl patch machineconfig).",
			"bottlerocket": "Bottlerocket sets it to false, except in standalone mode: apiclient set kubernetes.standalone-mode=false.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "authentication.anonymous.enabled")
		switch {
		case f != nil:
			return *f
		case s.json == "false":
			return pass("off", s.String())
		}
		return fail("on", standalone(s.String()+": whoever reaches the kubelet's port is let in as system:anonymous", k, g), s.key)
	}),
}

// KubeletAuthorizationWebhook demands that callers may not simply do everything.
var KubeletAuthorizationWebhook = Check{
	ID: "kubelet-authorization-webhook", Rev: 1, Topic: KubeletTopic, Severity: Critical,
	Title: "the kubelet asks the API server what a caller may do",
	Refs: []Ref{
		{cisKubernetes, "4.2.2"},
		{sp80053, "AC-3"}, {sp80053, "CM-6"}, {grundschutz, "APP.4.4.A3"}, {pciDSS, "2.2.1"},
	},
	Help: Help{
		Why: "With AlwaysAllow every caller that the kubelet knows may run commands in every container of the node, whatever RBAC says.",
		How: "authorization.mode as it takes effect: arguments over drop-ins over the file of --config over the kubelet's default, which is Webhook with --config and AlwaysAllow without. It has to be Webhook.",
		Remedy: kubeletRemedy("authorization: {mode: Webhook}", "authorization-mode=Webhook", map[string]string{
			"talos":        "Talos sets Webhook and refuses another value, except where machine.kubelet.skipNodeRegistration makes the kubelet a standalone one: take that out of the machine configuration (talosctl patch machineconfig).",
			"bottlerocket": "Bottlerocket sets Webhook, except in standalone mode: apiclient set kubernetes.standalone-mode=false.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "authorization.mode")
		switch {
		case f != nil:
			return *f
		case s.text() == "Webhook":
			return pass("webhook", s.String())
		}
		return fail("not-webhook", standalone(s.String()+": the API server is not asked what a caller may do", k, g), s.key)
	}),
}

// readOnlyPort is where a kubelet serves without asking who calls, by default.
const readOnlyPort = 10255

// KubeletReadOnlyPortClosed demands that nothing is served without a name asked.
var KubeletReadOnlyPortClosed = Check{
	ID: "kubelet-read-only-port-closed", Rev: 1, Topic: KubeletTopic, Severity: High,
	Title: "the kubelet's read-only port is closed",
	Refs: []Ref{
		{cisKubernetes, "4.2.4"},
		{sp80053, "CM-7"}, {sp80053, "SC-8"}, {pciDSS, "2.2.4"},
	},
	Help: Help{
		Why: "The read-only port tells whoever asks, without TLS or authentication, which pods run here and what their specifications hold, environment variables included.",
		How: "readOnlyPort as it takes effect has to be 0 (the default is 0 with --config and 10255 without), and no kubelet may listen on that port or on 10255.",
		Remedy: kubeletRemedy("readOnlyPort: 0", "read-only-port=0", map[string]string{
			"talos":        "Talos leaves the port closed: take readOnlyPort out of machine.kubelet.extraConfig and read-only-port out of machine.kubelet.extraArgs (talosctl patch machineconfig).",
			"bottlerocket": "Bottlerocket sets readOnlyPort to 0 and has no setting for it; replace the node, and look for what changed /etc/kubernetes/kubelet/config.",
			"cos":          "In the node system configuration of the node pool: kubeletConfig: {insecureKubeletReadonlyPortEnabled: false}; apply it with gcloud container node-pools update POOL --cluster=CLUSTER --system-config-from-file=FILE.",
		}),
	},
	Judge: On2(node.Kubelet, node.Listeners, func(k node.KubeletState, listeners []node.Listener, g Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		s, unsettled := effective(k, "readOnlyPort")
		port := readOnlyPort
		if unsettled == nil && json.Unmarshal([]byte(s.json), &port) != nil {
			return unknown("setting-malformed", s.String()+", which is no port", s.key)
		}
		var open []string
		for _, l := range listeners {
			ours := l.Service == "kubelet-read-only" || l.Port == readOnlyPort || port != 0 && l.Port == port
			// Another program may have the number; a program that is not known may be the kubelet.
			other := l.Program != "" && path.Base(l.Program) != path.Base(k.Program)
			if l.Network != "unix" && ours && !other {
				open = append(open, fmt.Sprintf("%s port %d on %s", l.Network, l.Port, l.Address))
			}
		}
		switch {
		case len(open) > 0:
			return fail("listening", "the kubelet listens on "+strings.Join(open, " and ")+": whoever reaches it reads the pods of the node without a name", open...)
		case unsettled != nil:
			return *unsettled
		case port != 0:
			return fail("open", standalone(s.String()+": whoever reaches it reads the pods of the node without a name", k, g), s.key)
		}
		return pass("closed", s.String()+" and no kubelet listens on a read-only port")
	}),
}

// KubeletClientCASet demands that client certificates are checked.
var KubeletClientCASet = Check{
	ID: "kubelet-client-ca-set", Rev: 1, Topic: KubeletTopic, Severity: High,
	Title: "the kubelet has a certificate authority (CA) to verify client certificates",
	Refs: []Ref{
		{cisKubernetes, "4.2.3"},
		{sp80053, "IA-5(2)"}, {sp80053, "CM-6"}, {pciDSS, "2.2.1"},
	},
	Help: Help{
		Why: "Without a certificate authority the kubelet accepts no client certificate, and callers such as the API server have to come with a token or anonymously.",
		How: "authentication.x509.clientCAFile as it takes effect has to name a file that exists. What is in the file is not read.",
		Remedy: kubeletRemedy("authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}", "client-ca-file=PATH", map[string]string{
			"talos":         "Talos sets it and refuses another value, except where machine.kubelet.skipNodeRegistration makes the kubelet a standalone one: take that out of the machine configuration (talosctl patch machineconfig).",
			"fedora-coreos": "OpenShift sets it to /etc/kubernetes/kubelet-ca.crt: take clientCAFile out of KubeletConfig resources and MachineConfigs. Elsewhere write authentication: {x509: {clientCAFile: PATH}} into the file that --config names, and restart the kubelet.",
			"bottlerocket":  "Bottlerocket sets it from settings.kubernetes.cluster-certificate, except in standalone mode: apiclient set kubernetes.standalone-mode=false.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "authentication.x509.clientCAFile")
		if f != nil {
			return *f
		}
		if s.text() == "" {
			return fail("not-set", standalone(s.key+" is not set: no client certificate is accepted", k, g), s.key)
		}
		i := slices.IndexFunc(k.Files, func(file node.KubeletFile) bool { return file.Role == "client-ca" })
		switch {
		case i < 0 || k.Files[i].Found == "unknown":
			return unknown("file-unseen", s.String()+", and whether that file exists could not be seen", s.text())
		case k.Files[i].Found == "no":
			return fail("file-missing", s.String()+", and there is no such file", k.Files[i].Path)
		}
		return pass("set", s.String())
	}),
}

// KubeletCertificatesRotate demands that what the kubelet shows to the API server
// does not live for ever.
var KubeletCertificatesRotate = Check{
	ID: "kubelet-certificates-rotate", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet renews its client certificate before it expires",
	Refs: []Ref{
		{cisKubernetes, "4.2.10"}, {sp80053, "IA-5"}, {sp80053, "CM-6"}, {pciDSS, "2.2.1"},
	},
	Help: Help{
		Why: "A client certificate that nothing renews is either valid for years, which is how long a stolen one works, or takes the node out of the cluster on the day it expires.",
		How: "rotateCertificates as it takes effect has to be true; the kubelet's default is false, with --config and without. A kubeconfig whose credential a program fetches (EKS, Bottlerocket on AWS) needs no rotation. A kubelet without a kubeconfig has no credential.",
		Remedy: kubeletRemedy("rotateCertificates: true", "rotate-certificates=true", map[string]string{
			"talos": "Talos sets it to true: take rotateCertificates out of machine.kubelet.extraConfig (talosctl patch machineconfig).",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		if k.Credential == "exec" {
			return pass("fetched", "a program fetches the kubelet's credential anew each time: there is no certificate to rotate")
		}
		s, f := effective(k, "rotateCertificates")
		switch {
		case f != nil:
			return *f
		case k.Credential == "" && !slices.Contains(k.Flags, "kubeconfig"):
			return notApplicable("no-credential", "the kubelet was started without a kubeconfig: it has no credential to renew")
		case k.Credential == "token" || k.Credential == "certificate-data":
			return fail("not-renewable", fmt.Sprintf("the kubelet's kubeconfig holds a %s, which the kubelet cannot renew", map[string]string{"token": "token or password", "certificate-data": "certificate in itself"}[k.Credential]), k.Credential)
		case s.json == "true":
			return pass("rotates", s.String())
		case k.Credential == "unknown":
			return unknown("credential-unread", s.String()+", and the kubelet's kubeconfig could not be read: a program may fetch its credential")
		}
		return fail("off", s.String()+": the kubelet's client certificate is not renewed", s.key)
	}),
}

// strongCiphers are the suites that CIS 4.2.12 lists, by Go's names old and new,
// and those of TLS 1.3.
var strongCiphers = []string{
	"TLS_AES_128_GCM_SHA256",
	"TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"TLS_RSA_WITH_AES_128_GCM_SHA256",
	"TLS_RSA_WITH_AES_256_GCM_SHA384",
}

// KubeletTLSFloor demands that the kubelet's port speaks no broken protocol.
var KubeletTLSFloor = Check{
	ID: "kubelet-tls-floor", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet is configured for TLS 1.2 or newer and for strong cipher suites",
	Refs: []Ref{
		{cisKubernetes, "4.2.12"}, {sp80053, "SC-8(1)"}, {sp80053, "SC-13"}, {pciDSS, "2.2.7"},
	},
	Help: Help{
		Why: "Commands and logs of every pod go over the kubelet's port; an old protocol or cipher lets them be read or changed on the way.",
		How: "tlsMinVersion as it takes effect has to be VersionTLS12 (the kubelet's default) or VersionTLS13. Where tlsCipherSuites is set and the floor is 1.2, every suite in it has to be one that CIS 4.2.12 lists; where it is not set, Go chooses. The port itself is not probed.",
		Remedy: kubeletRemedy("tlsMinVersion: VersionTLS12", "tls-min-version=VersionTLS12", map[string]string{
			"talos":         "Talos sets VersionTLS13 and refuses another value in machine.kubelet.extraConfig: take tls-min-version and tls-cipher-suites out of machine.kubelet.extraArgs (talosctl patch machineconfig).",
			"fedora-coreos": "On OpenShift: a KubeletConfig resource with spec: {tlsSecurityProfile: {type: Intermediate}}, and no tlsMinVersion or tlsCipherSuites in its kubeletConfig. Elsewhere write tlsMinVersion: VersionTLS12 into the file that --config names, and restart the kubelet.",
			"bottlerocket":  "Bottlerocket sets the cipher suites itself and has no setting for them: update the system (apiclient update apply).",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "tlsMinVersion")
		if f != nil {
			return *f
		}
		switch s.text() {
		case "VersionTLS13":
			return pass("tls13", s.String())
		case "VersionTLS12":
		default:
			return fail("old-version", s.String()+": TLS before 1.2 is broken", s.key)
		}
		chosen, f := effective(k, "tlsCipherSuites")
		if f != nil {
			return *f
		}
		var suites, weak []string
		if json.Unmarshal([]byte(chosen.json), &suites) != nil {
			return unknown("setting-malformed", chosen.String()+", which is no list of names", chosen.key)
		}
		for _, suite := range suites {
			if !slices.Contains(strongCiphers, suite) {
				weak = append(weak, suite)
			}
		}
		if len(weak) > 0 {
			return fail("weak-ciphers", fmt.Sprintf("tlsCipherSuites (%s) allows %s", chosen.from, strings.Join(weak, ", ")), weak...)
		}
		return pass("tls12", s.String())
	}),
}

// KubeletKernelDefaultsProtected demands that the kubelet leaves the kernel alone.
var KubeletKernelDefaultsProtected = Check{
	ID: "kubelet-kernel-defaults-protected", Rev: 1, Topic: KubeletTopic, Severity: High,
	Title: "the kubelet changes no kernel setting and refuses to start where one is wrong",
	Refs:  []Ref{{sp80053, "CM-6"}, {sp80053, "SC-2"}},
	Help: Help{
		Why: "A kubelet that silently sets vm.overcommit_memory, kernel.panic and others itself hides that the system's own settings were changed or never made.",
		How: "protectKernelDefaults as it takes effect has to be true; the kubelet's default is false, with --config and without. Put right what kubelet-kernel-tunables finds before you set it: the kubelet does not start otherwise.",
		Remedy: kubeletRemedy("protectKernelDefaults: true", "protect-kernel-defaults=true", map[string]string{
			"talos":        "Talos sets it to true outside containers: take protectKernelDefaults out of machine.kubelet.extraConfig (talosctl patch machineconfig).",
			"bottlerocket": "Newer releases of Bottlerocket set it to true, and there is no setting for it: update the system (apiclient update apply).",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s, f := effective(k, "protectKernelDefaults")
		switch {
		case f != nil:
			return *f
		case s.json == "true":
			return pass("protected", s.String())
		}
		return fail("off", s.String()+": the kubelet sets kernel parameters itself where they differ from what it wants", s.key)
	}),
}

// KubeletConfigClosed demands that only root decides what the kubelet does.
var KubeletConfigClosed = Check{
	ID: "kubelet-config-closed", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can read or change the kubelet's configuration files",
	Refs:  []Ref{{cisKubernetes, "4.1.9"}, {cisKubernetes, "4.1.10"}, {sp80053, "CM-5(6)"}, {pciDSS, "7.2.5"}},
	Help: Help{
		Why: "Whoever may write the file or a drop-in switches authentication off at the next start of the kubelet; whoever may read it learns how the node is guarded.",
		How: "The file that --config names and every drop-in of --config-dir has to belong to root and its group and to have mode 0600 or less. The STIG is content with 0644: kubelet-config-kept.",
		Remedy: map[string]string{
			"cos":           "GKE writes the file and has no setting for its mode: recreate the node where the mode was changed, and waive the check where a new node has the same.",
			"":              "chown root:root FILE; chmod 0600 FILE, and the same in what writes the file (cloud-init, configuration management).",
			"talos":         "Talos writes /etc/kubernetes/kubelet.yaml with mode 0600; another mode means that something changed it: reboot the node (talosctl reboot), /etc is made anew.",
			"flatcar":       "chown root:root FILE; chmod 0600 FILE, and mode: 0600 for the file in the Butane configuration of new nodes. kubeadm writes /var/lib/kubelet/config.yaml with 0644 again at an upgrade.",
			"bottlerocket":  "Bottlerocket writes /etc/kubernetes/kubelet/config with mode 0600; another mode means that something changed it: reboot the node (apiclient reboot), /etc is made anew.",
			"fedora-coreos": "On OpenShift the machine configuration operator writes /etc/kubernetes/kubelet.conf with 0644, which the STIG accepts: waive it with that reason. Elsewhere mode: 0600 for the file in the Butane configuration, and chmod 0600 FILE on nodes that run.",
			"microos":       "chown root:root FILE; chmod 0600 FILE. k3s and RKE2 make the files of agent/etc/kubelet.conf.d themselves: start the server or agent anew afterwards and look again.",
		},
	},
	Judge: judgeConfigFiles(forRoot),
}
