package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// onKubeletPort makes a judge of what the kubelet's port shows a stranger. A gap in
// the kubelet's own settings ("values") counts for each: the port may stand there.
func onKubeletPort(f func(node.KubeletPort, Given) Finding, parts ...string) Judge {
	return On(node.KubeletServing.Parts(append(parts, "values")...), func(p node.KubeletPort, g Given) Finding {
		switch {
		case p.Asked == "no-kubelet":
			return notApplicable("no-kubelet", "no kubelet runs on this node")
		case p.Asked == "not-listening":
			return notApplicable("not-listening", fmt.Sprintf("a kubelet runs, and nothing listens on its port %d", p.Port))
		case p.Asked == "" || p.Status == 0:
			return unsaid("what its kubelet answers")
		}
		return f(p, g)
	})
}

// askedAt is where the port was asked, in words.
func askedAt(p node.KubeletPort) string {
	if p.Asked == "loopback" {
		return fmt.Sprintf("port %d, which is open on loopback alone", p.Port)
	}
	return fmt.Sprintf("port %d at the node's address", p.Port)
}

var kubeletRefusesStrangers = Check{
	ID:       "kubelet-refuses-strangers",
	Rev:      1,
	Title:    "the kubelet's port refuses a caller without credentials",
	Topic:    Network,
	Severity: Critical,
	Refs: []Ref{
		{sp80053, "AC-14"}, {sp80053, "SC-7"}, {pciDSS, "2.2.4"},
		{cisKubernetes, "4.2.1"}, {kubernetesSTIG, "V-242391"}, {grundschutz, "APP.4.4.A7"},
	},
	Help: Help{
		Why: "A configuration says what should be. Whether the kubelet that runs now answers anybody, only its port can say.",
		How: "Once an hour the agent asks its own node's kubelet for /pods over TLS, without credentials, at the node's own address. 401 says that it wants to know who calls. 403 says that it let the anonymous user in and that an authorization rule refused it: this passes, and rests on that rule. Any other answer fails. The body is never read.",
		Remedy: map[string]string{
			"talos":        "Look in the machine configuration for machine.kubelet.skipNodeRegistration and for anonymous-auth under machine.kubelet.extraArgs, take them out and restart the kubelet: talosctl service kubelet restart.",
			"bottlerocket": "Turn standalone mode off, which lets anybody in: apiclient set kubernetes.standalone-mode=false; then reboot the node.",
			"":             "Set authentication.anonymous.enabled to false and authorization.mode to Webhook in the kubelet's configuration, and restart it: the process that answers may be older than its file.",
		},
	},
	Judge: onKubeletPort(func(p node.KubeletPort, _ Given) Finding {
		switch p.Status {
		case 401:
			return pass("unauthorized", "a caller without credentials is answered 401 on "+askedAt(p))
		case 403:
			return pass("forbidden", "a caller without credentials is answered 403 on "+askedAt(p)+": the kubelet lets the anonymous user in, and an authorization rule refuses it")
		case 200:
			return fail("open", "whoever asks gets the pods of this node: 200 on "+askedAt(p), fmt.Sprintf("port %d", p.Port))
		}
		return fail("not-refused", fmt.Sprintf("a caller without credentials is answered %d on %s, which is no refusal", p.Status, askedAt(p)), fmt.Sprintf("port %d", p.Port))
	}, "status"),
}

// onServedCertificate makes a judge of the certificate that the kubelet serves.
func onServedCertificate(f func(node.ServedCertificate, Given) Finding) Judge {
	return onKubeletPort(func(p node.KubeletPort, g Given) Finding {
		if p.Certificate == nil {
			return unsaid("what certificate its kubelet serves")
		}
		return f(*p.Certificate, g)
	}, "certificate")
}

var kubeletCertificateIssued = Check{
	ID:       "kubelet-certificate-issued",
	Rev:      1,
	Title:    "the kubelet serves a certificate that the cluster's CA issued",
	Topic:    Network,
	Severity: Medium,
	Refs: []Ref{
		{cisKubernetes, "4.2.9"}, {cisKubernetes, "4.2.11"}, {kubernetesSTIG, "V-242424"}, {kubernetesSTIG, "V-242425"},
		{sp80053, "SC-8(1)"}, {sp80053, "SC-17"},
	},
	Help: Help{
		Why: "A certificate that the kubelet made itself tells nobody whom they talk to. Whoever can put themselves between the API server and the node reads every exec and every log.",
		How: "The chain that the port serves has to lead, by its signatures, to a certificate in the file that clientCAFile names or in /etc/kubernetes/pki/ca.crt. One that the kubelet made itself fails. An issuer that is in neither is unknown: it may be an authority of yours. CIS asks for tlsCertFile and tlsPrivateKeyFile; serverTLSBootstrap, which it does not ask for, passes here as it should.",
		Remedy: map[string]string{
			"cos":           "GKE has the cluster issue the certificate: look for a pending or denied request (kubectl get csr), and recreate the node.",
			"talos":         "machine: {kubelet: {extraArgs: {rotate-server-certificates: \"true\"}}} in the machine configuration, and an approver of certificate requests in the cluster (kubelet-serving-cert-approver).",
			"bottlerocket":  "apiclient set kubernetes.server-tls-bootstrap=true, and see that something in the cluster approves the requests: kubectl get csr.",
			"fedora-coreos": "On OpenShift approve what is pending (oc get csr; oc adm certificate approve NAME). Elsewhere set serverTLSBootstrap: true and approve the request.",
			"":              "Set serverTLSBootstrap: true in the kubelet's configuration, restart it and approve its request (kubectl certificate approve), or have a controller approve them; rotation follows from it.",
		},
	},
	Judge: onServedCertificate(func(c node.ServedCertificate, _ Given) Finding {
		switch c.Chain {
		case "known-ca":
			return pass("issued", fmt.Sprintf("the certificate was issued by %q, whose own is in %s", c.Issuer, c.CA))
		case "self-made":
			return fail("self-made", "the kubelet serves a certificate that it made itself, or that is signed by nobody else: callers cannot tell whom they talk to", "certificate")
		case "unknown-issuer":
			return unknown("issuer-unknown", fmt.Sprintf("the certificate was issued by %q, whose own is neither in the file of clientCAFile nor in /etc/kubernetes/pki/ca.crt", c.Issuer))
		}
		return unsaid("who issued the certificate of its kubelet")
	}),
}

var kubeletCertificateValid = Check{
	ID:       "kubelet-certificate-valid",
	Rev:      1,
	Title:    "the kubelet's serving certificate is within its validity period",
	Topic:    Network,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "SC-17"}, {sp80053, "IA-5(2)"}},
	Help: Help{
		Why: "When it expires, logs, exec and metrics of this node stop, and the usual quick fix is to stop verifying it.",
		How: "The dates of the first certificate that the port serves, against the clock of whoever judges. The verdict turns by itself at that date. Whether it will be renewed in time is not foreseen.",
		Remedy: map[string]string{
			"talos":        "Restart the kubelet, which makes a new one: talosctl service kubelet restart; where rotate-server-certificates is on, approve the request that waits (kubectl get csr).",
			"bottlerocket": "Approve the request that waits (kubectl get csr), or replace the node.",
			"":             "With serverTLSBootstrap approve the request that waits (kubectl get csr). A self-made one: remove kubelet.crt and kubelet.key from the kubelet's certificate folder (/var/lib/kubelet/pki) and restart it.",
		},
	},
	Judge: onServedCertificate(func(c node.ServedCertificate, g Given) Finding {
		date := func(t time.Time) string { return t.Format(time.DateOnly) }
		until := func(f Finding, t time.Time) Finding {
			f.Until = &t
			return f
		}
		switch {
		case c.NotAfter.IsZero():
			return unsaid("until when the certificate of its kubelet is valid")
		case g.At.Before(c.NotBefore):
			return until(fail("not-yet", "the certificate is valid from "+date(c.NotBefore)+" on", "certificate"), c.NotBefore)
		case g.At.After(c.NotAfter):
			return fail("expired", "the certificate expired on "+date(c.NotAfter), "certificate")
		}
		return until(pass("valid", "the certificate expires after "+date(c.NotAfter)), c.NotAfter.Add(time.Nanosecond))
	}),
}

var kubeletTLSAsServed = Check{
	ID:       "kubelet-tls-as-served",
	Rev:      1,
	Title:    "the kubelet's port accepts only TLS 1.2 and 1.3, and only strong cipher suites",
	Topic:    Network,
	Severity: Medium,
	Refs:     []Ref{{cisKubernetes, "4.2.12"}, {sp80053, "SC-8(1)"}, {sp80053, "SC-13"}, {pciDSS, "2.2.7"}},
	Help: Help{
		Why: "What a port agrees to is what an attacker in the middle can make both sides agree to. It depends on the kubelet's version as much as on its configuration.",
		How: "Each version of TLS is offered alone, and then all suites whose encryption does not authenticate (CBC, RC4, 3DES). No handshake with TLS 1.0 or 1.1 and none with such a suite may succeed; CIS 4.2.12 lists none of them. A kubelet that leaves tlsCipherSuites to its default agrees to ECDHE with CBC under TLS 1.2.",
		Remedy: map[string]string{
			"talos":        "Take tls-min-version and tls-cipher-suites out of machine.kubelet.extraArgs: Talos itself sets TLS 1.3 as the floor.",
			"bottlerocket": "Update the node (apiclient update apply): the suites are the system's, and newer releases list strong ones alone.",
			"cos":          "GKE decides which suites its kubelet has: upgrade the node pool.",
			"":             "Set tlsMinVersion: VersionTLS13 in the kubelet's configuration, or keep 1.2 and list in tlsCipherSuites the suites of CIS 4.2.12 alone; restart the kubelet.",
		},
	},
	Judge: onKubeletPort(func(p node.KubeletPort, _ Given) Finding {
		if len(p.Versions) == 0 {
			return unsaid("which versions of TLS its kubelet agrees to")
		}
		var bad []string
		for _, v := range p.Versions {
			if v != "TLS 1.2" && v != "TLS 1.3" {
				bad = append(bad, v)
			}
		}
		if p.OtherCipher != "" {
			bad = append(bad, p.OtherCipher)
		}
		if len(bad) > 0 {
			return fail("weak", "the kubelet's port agrees to "+strings.Join(bad, " and to "), bad...)
		}
		return pass("strong", fmt.Sprintf("the kubelet's port agrees to %s, by itself to %s with %s", strings.Join(p.Versions, " and "), p.Version, p.Cipher), slices.Clone(p.Versions)...)
	}, "versions", "otherCipher"),
}
