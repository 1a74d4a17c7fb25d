package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// KubeletAuthenticationWebhook demands that a token is shown to the API server.
var KubeletAuthenticationWebhook = Check{
	ID: "kubelet-authentication-webhook", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet has the API server verify the tokens of its callers",
	Refs:  []Ref{{sp80053, "IA-9"}, {sp80053, "AC-3"}},
	Help: Help{
		Why: "A kubelet that verifies no tokens shuts out clients that have nothing else (Prometheus, metrics adapters). They are then let in anonymously or by the read-only port, and with them everybody.",
		How: "authentication.webhook.enabled as it takes effect: the kubelet's default is true with --config and false without. It has to be true.",
		Remedy: kubeletRemedy("authentication: {webhook: {enabled: true}}", "authentication-token-webhook=true", map[string]string{
			"talos":        "Talos sets authentication.webhook.enabled to true, except where machine.kubelet.skipNodeRegistration makes the kubelet a standalone one: leave that out of the machine configuration (talosctl patch machineconfig).",
			"bottlerocket": "Bottlerocket enables the webhook, except in standalone mode: leave that with apiclient set kubernetes.standalone-mode=false.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		on, s, f := switched(k, "authentication.webhook.enabled")
		switch {
		case f != nil:
			return *f
		case on:
			return pass("on", s.String())
		}
		return fail("off", standalone(s.String()+": no caller can show a token", k, g), s.key)
	}),
}

// KubeletServingCertificateIssued demands that callers can tell this kubelet from
// another.
var KubeletServingCertificateIssued = Check{
	ID: "kubelet-serving-certificate-issued", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet is configured with a serving certificate that it did not sign itself",
	Refs:  []Ref{{cisKubernetes, "4.2.9"}, {sp80053, "SC-8(1)"}, {sp80053, "SC-17"}, {sp80053, "IA-3"}},
	Help: Help{
		Why: "Nobody can check a certificate that the kubelet signed itself: whoever stands between it and the API server reads and changes logs and commands of every pod.",
		How: "Either serverTLSBootstrap takes effect, with which the kubelet asks the cluster for a certificate, or tlsCertFile and tlsPrivateKeyFile both name a file that exists. With neither, which is the default, the kubelet signs its own. The certificate itself is not looked at here.",
		Remedy: kubeletRemedy("serverTLSBootstrap: true", "rotate-server-certificates=true", map[string]string{
			"talos":        "In the machine configuration: machine: {kubelet: {extraArgs: {rotate-server-certificates: true}}}, with talosctl patch machineconfig; the requests have to be approved by a controller such as kubelet-serving-cert-approver.",
			"bottlerocket": "apiclient set kubernetes.server-tls-bootstrap=true; the requests have to be approved, which EKS does.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s := servingOf(k)
		switch {
		case s.unsettled != nil:
			return *s.unsettled
		case s.bootstrap:
			return pass("bootstrapped", s.reason)
		case len(s.named) == 0:
			return fail("self-signed", standalone("serverTLSBootstrap is off, and neither tlsCertFile nor tlsPrivateKeyFile is set: the kubelet signs its own certificate", k, g), "tlsCertFile", "tlsPrivateKeyFile", "serverTLSBootstrap")
		case len(s.named) == 1:
			return fail("half-set", s.named[0].String()+", and the other of tlsCertFile and tlsPrivateKeyFile is not set", s.named[0].key)
		}
		for _, role := range []string{"serving-certificate", "serving-key"} {
			i := slices.IndexFunc(k.Files, func(f node.KubeletFile) bool { return f.Role == role })
			switch {
			case i < 0 || k.Files[i].Found == "unknown":
				return unknown("file-unseen", fmt.Sprintf("%s and %s, and whether both files exist could not be seen", s.named[0], s.named[1]), role)
			case k.Files[i].Found != "yes":
				return fail("file-missing", fmt.Sprintf("%s and %s, and there is no %s", s.named[0], s.named[1], k.Files[i].Path), k.Files[i].Path)
			}
		}
		return pass("files", fmt.Sprintf("%s, %s", s.named[0], s.named[1]))
	}),
}

// KubeletServingCertificateRotates demands that the kubelet renews what it serves.
var KubeletServingCertificateRotates = Check{
	ID: "kubelet-serving-certificate-rotates", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet is set to renew the certificate that it serves",
	Refs:  []Ref{{cisKubernetes, "4.2.11"}, {sp80053, "SC-12"}, {sp80053, "IA-5"}},
	Help: Help{
		Why: "A certificate that nothing renews is either valid for very long or takes logs, commands and metrics of the node away on the day it expires.",
		How: "serverTLSBootstrap as it takes effect has to be true, and the feature gate RotateKubeletServerCertificate must not be false (it is true by default since 1.12). Where tlsCertFile is set the kubelet renews nothing, and whether somebody else does is not known.",
		Remedy: kubeletRemedy("serverTLSBootstrap: true", "rotate-server-certificates=true", map[string]string{
			"talos":         "In the machine configuration: machine: {kubelet: {extraArgs: {rotate-server-certificates: true}}} and no feature gate RotateKubeletServerCertificate; apply it with talosctl patch machineconfig.",
			"fedora-coreos": "On OpenShift: a KubeletConfig resource for the machine config pool with spec: {kubeletConfig: {serverTLSBootstrap: true}}; feature gates come from the FeatureGate resource named cluster. Elsewhere write serverTLSBootstrap: true into the file that --config names, take the gate RotateKubeletServerCertificate out of it, and restart the kubelet.",
			"bottlerocket":  "Bottlerocket renews the certificate where settings.kubernetes.server-tls-bootstrap is true: apiclient set kubernetes.server-tls-bootstrap=true.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, g Given) Finding {
		s := servingOf(k)
		switch {
		case s.unsettled != nil:
			return *s.unsettled
		case s.bootstrap:
			gates, set, f := gatesOf(k)
			if f != nil {
				return *f
			}
			if on, ok := gates["RotateKubeletServerCertificate"]; ok && !on {
				return fail("gate-off", s.reason+", and the feature gate RotateKubeletServerCertificate is false ("+set.from+")", "RotateKubeletServerCertificate")
			}
			return pass("rotates", s.reason)
		case len(s.named) > 0:
			var named []string
			for _, n := range s.named {
				named = append(named, n.String())
			}
			return unknown("renewed-elsewhere", strings.Join(named, " and ")+": the kubelet renews no file, and who else does is not known", "tlsCertFile")
		}
		return fail("off", standalone("serverTLSBootstrap is off: what the kubelet signed itself at its first start is not renewed", k, g), "serverTLSBootstrap")
	}),
}

// serving is where the certificate comes from that the kubelet serves.
type serving struct {
	unsettled *Finding
	bootstrap bool
	reason    string
	named     []kubeletSetting // of tlsCertFile and tlsPrivateKeyFile those that are set
}

// servingOf follows the kubelet: with serverTLSBootstrap the files do not matter.
// Source: cmd/kubelet/app/server.go, InitializeTLS; pkg/kubelet/kubelet.go,
// NewMainKubelet.
func servingOf(k node.KubeletState) serving {
	on, s, f := switched(k, "serverTLSBootstrap")
	switch {
	case f != nil:
		return serving{unsettled: f}
	case on:
		return serving{bootstrap: true, reason: s.String()}
	}
	var out serving
	for _, key := range []string{"tlsCertFile", "tlsPrivateKeyFile"} {
		s, f := effective(k, key)
		if f != nil {
			return serving{unsettled: f}
		}
		if s.text() != "" {
			out.named = append(out.named, s)
		}
	}
	return out
}
