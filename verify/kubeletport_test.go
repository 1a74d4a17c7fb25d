package verify

import (
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// portShows is a kubelet's port as it should be, with edits.
func portShows(edits ...func(*node.KubeletPort)) node.Facts { return portOverGap(nil, edits...) }

func portOverGap(gaps []node.Gap, edits ...func(*node.KubeletPort)) node.Facts {
	p := node.KubeletPort{
		Asked: "node-address", Port: 10250, Status: 401, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Versions: []string{"TLS 1.2", "TLS 1.3"}, ClientCertificate: "requested",
		Certificate: &node.ServedCertificate{
			Subject: "node", Issuer: "kubernetes", Chain: "known-ca", CA: "/etc/kubernetes/pki/ca.crt", Names: 2,
			NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		},
	}
	for _, edit := range edits {
		edit(&p)
	}
	return withFact(nil, node.KubeletServing, p, gaps...)
}

var unanswered = node.Gap{What: "the kubelet's port", Code: node.Failed, Reason: "asking the kernel for kubelet-port at 10.0.0.1:10250: handshake: connect: connection refused"}

// withoutAnswer are the rows that every check of the kubelet's port must have.
func withoutAnswer(part string) []judgedRow {
	inPart := node.Gap{What: "a part of it", Code: node.Malformed, Reason: "malformed"}
	return []judgedRow{
		{name: "a file tree has no port", facts: lacking(nil, node.KubeletServing, node.NoKernel, "this is a file tree"), want: "unknown fact-no-kernel"},
		{name: "not answered", facts: portOverGap([]node.Gap{unanswered}, func(p *node.KubeletPort) { *p = node.KubeletPort{Asked: "node-address", Port: 10250} }), want: "unknown gap-failed"},
		{name: "no kubelet", facts: portShows(func(p *node.KubeletPort) { *p = node.KubeletPort{Asked: "no-kubelet"} }), want: "not-applicable no-kubelet"},
		{name: "nothing listens", facts: portShows(func(p *node.KubeletPort) { *p = node.KubeletPort{Asked: "not-listening", Port: 10250} }), want: "not-applicable not-listening"},
		{name: "nothing listens where the port is by default, and the file that may name another could not be read", facts: portOverGap([]node.Gap{deniedGap.In("values")}, func(p *node.KubeletPort) { *p = node.KubeletPort{Asked: "not-listening", Port: 10250} }), want: "unknown gap-denied"},
		{name: "whether a kubelet runs is not all known", facts: portOverGap([]node.Gap{deniedGap}, func(p *node.KubeletPort) { *p = node.KubeletPort{Asked: "no-kubelet"} }), want: "unknown gap-denied"},
		{name: "a gap where this check looks", facts: portOverGap([]node.Gap{inPart.In(part)}), want: "unknown gap-malformed"},
	}
}

func answered(status int) node.Facts {
	return portShows(func(p *node.KubeletPort) { p.Status = status })
}

func TestKubeletRefusesStrangers(t *testing.T) {
	testJudge(t, kubeletRefusesStrangers, append(withoutAnswer("status"), []judgedRow{
		{name: "who are you?", facts: portShows(), want: "pass unauthorized"},
		{name: "anonymous is let in and refused", facts: answered(403), want: "pass forbidden"},
		{name: "open", facts: answered(200), want: "fail open", items: []string{"port 10250"}},
		{name: "another answer is no refusal", facts: answered(301), want: "fail not-refused"},
		{name: "an error of the server is no refusal", facts: answered(500), want: "fail not-refused"},
		{name: "open on loopback, over a gap", facts: portOverGap([]node.Gap{unanswered}, func(p *node.KubeletPort) { p.Asked, p.Status = "loopback", 200 }), want: "fail open"},
		{name: "a gap elsewhere", facts: portOverGap([]node.Gap{unanswered.In("versions")}), want: "pass unauthorized"},
	}...))
}

func certificate(edit func(*node.ServedCertificate)) node.Facts {
	return portShows(func(p *node.KubeletPort) { edit(p.Certificate) })
}

func TestKubeletCertificateIssued(t *testing.T) {
	testJudge(t, kubeletCertificateIssued, append(withoutAnswer("certificate"), []judgedRow{
		{name: "by the cluster", facts: portShows(), want: "pass issued"},
		{name: "kubeadm's default: made by the kubelet", facts: certificate(func(c *node.ServedCertificate) { c.Chain, c.CA = "self-made", "" }), want: "fail self-made"},
		{name: "a company's own authority", facts: certificate(func(c *node.ServedCertificate) { c.Chain, c.CA, c.Issuer = "unknown-issuer", "", "Example CA" }), want: "unknown issuer-unknown"},
		{name: "a chain of a later version", facts: certificate(func(c *node.ServedCertificate) { c.Chain = "" }), want: "unknown unread"},
		{name: "no certificate", facts: portShows(func(p *node.KubeletPort) { p.Certificate = nil }), want: "unknown unread"},
	}...))
}

func TestKubeletCertificateValid(t *testing.T) {
	until := func(t time.Time) node.Facts {
		return certificate(func(c *node.ServedCertificate) { c.NotAfter = t })
	}
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC) // as testJudge has it
	testJudge(t, kubeletCertificateValid, append(withoutAnswer("certificate"), []judgedRow{
		{name: "for four months", facts: portShows(), want: "pass valid"},
		{name: "its last moment", facts: until(at), want: "pass valid"},
		{name: "just over", facts: until(at.Add(-time.Second)), want: "fail expired"},
		{name: "not yet", facts: certificate(func(c *node.ServedCertificate) { c.NotBefore = at.Add(time.Hour) }), want: "fail not-yet"},
		{name: "no date", facts: certificate(func(c *node.ServedCertificate) { c.NotAfter = time.Time{} }), want: "unknown unread"},
	}...))
}

// TestKubeletCertificateTurnsAtItsDate judges the same facts just before and at
// the time that the finding gives for its turn.
func TestKubeletCertificateTurnsAtItsDate(t *testing.T) {
	facts := portShows()
	judge := func(at time.Time) Finding {
		return Run([]Check{kubeletCertificateValid}, facts, Given{Profile: &profiles.Profile{}, At: at})[0]
	}
	for _, row := range []struct {
		at            time.Time
		verdict, then string
		reason        string
	}{
		{time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC), "fail", "pass", "the certificate is valid from 2026-01-01 on"},
		{time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), "pass", "fail", "the certificate expires after 2027-01-01"},
	} {
		f := judge(row.at)
		if f.Verdict.String() != row.verdict || f.Until == nil || f.Reason != row.reason {
			t.Fatalf("at %v: got %s until %v: %s, want %s: %s", row.at, f.Verdict, f.Until, f.Reason, row.verdict, row.reason)
		}
		if before := judge(f.Until.Add(-time.Nanosecond)); before.Verdict != f.Verdict || before.Reason != f.Reason {
			t.Errorf("just before %v: got %s (%s), want it unchanged", f.Until, before.Verdict, before.Reason)
		}
		if then := judge(*f.Until); then.Verdict.String() != row.then {
			t.Errorf("at %v: got %s, want %s", f.Until, then.Verdict, row.then)
		}
	}
	if f := judge(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)); f.Until != nil {
		t.Errorf("expired: got until %v, want none", f.Until)
	}
}

func TestKubeletTLSAsServed(t *testing.T) {
	speaks := func(versions ...string) node.Facts {
		return portShows(func(p *node.KubeletPort) { p.Versions = versions })
	}
	testJudge(t, kubeletTLSAsServed, append(withoutAnswer("otherCipher"), []judgedRow{
		{name: "1.2 and 1.3", facts: portShows(), want: "pass strong", items: []string{"TLS 1.2", "TLS 1.3"}},
		{name: "Talos: 1.3 alone", facts: speaks("TLS 1.3"), want: "pass strong"},
		{name: "1.0 and 1.1 as well", facts: speaks("TLS 1.0", "TLS 1.1", "TLS 1.2"), want: "fail weak", items: []string{"TLS 1.0", "TLS 1.1"}},
		{name: "CBC under 1.2, as by default", facts: portShows(func(p *node.KubeletPort) { p.OtherCipher = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" }), want: "fail weak", items: []string{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"}},
		{name: "1.0 while another handshake was not answered", facts: portOverGap([]node.Gap{unanswered.In("otherCipher")}, func(p *node.KubeletPort) { p.Versions = []string{"TLS 1.0"} }), want: "fail weak"},
		{name: "no version", facts: speaks(), want: "unknown unread"},
		{name: "a gap in the certificate", facts: portOverGap([]node.Gap{unanswered.In("certificate")}), want: "pass strong"},
	}...))
}
