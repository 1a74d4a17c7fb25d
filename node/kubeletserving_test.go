package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// issued is a certificate with the key that signs for it.
type issued struct {
	der []byte
	crt *x509.Certificate
	key ed25519.PrivateKey
}

// issue makes a certificate that by has signed, or that signs itself.
func issue(t testing.TB, name string, ca bool, by *issued) issued {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"node-4711", "node-4711.example"},
		NotBefore: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if ca {
		c.KeyUsage |= x509.KeyUsageCertSign
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.crt, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issued{der, crt, key}
}

func pemOf(c issued) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.der}))
}

func TestParseServed(t *testing.T) {
	cluster := issue(t, "kubernetes", true, nil)
	between := issue(t, "kube-csr-signer_@1760000000", true, &cluster)
	kubeletCA := issue(t, "node-4711-ca@1760000000", true, nil)
	made := issue(t, "node-4711@1760000000", false, &kubeletCA)
	served := issue(t, "system:node:node-4711", false, &cluster)
	deep := issue(t, "system:node:node-4711", false, &between)
	other := issue(t, "kubernetes", true, nil) // of another cluster, by the same name
	known := []authority{{"/etc/kubernetes/pki/ca.crt", cluster.crt}}
	for _, row := range []struct {
		name  string
		chain []issued
		known []authority
		want  string // subject, issuer, chain, CA
	}{
		{"issued by the cluster", []issued{served}, known, "node kubernetes known-ca /etc/kubernetes/pki/ca.crt"},
		{"by way of another", []issued{deep, between}, known, "node kube-csr-signer_@1760000000 known-ca /etc/kubernetes/pki/ca.crt"},
		{"the one between is not sent", []issued{deep}, known, "node kube-csr-signer_@1760000000 unknown-issuer "},
		{"made by the kubelet", []issued{made, kubeletCA}, known, "self-made  self-made "},
		{"made by the kubelet, without what signed it", []issued{made}, known, "self-made  self-made "},
		{"signed by itself", []issued{issue(t, "web", false, nil)}, known, "other  self-made "},
		{"an authority of the same name that is not the cluster's", []issued{issue(t, "system:node:a", false, &other)}, known, "node kubernetes unknown-issuer "},
		{"no authority is known", []issued{served}, nil, "node kubernetes unknown-issuer "},
	} {
		t.Run(row.name, func(t *testing.T) {
			var ders [][]byte
			for _, c := range row.chain {
				ders = append(ders, c.der)
			}
			got, err := parseServed(ders, row.known)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join([]string{got.Subject, got.Issuer, got.Chain, got.CA}, " "); text != row.want {
				t.Errorf("got %q, want %q", text, row.want)
			}
			if got.Names != 2 || !got.NotAfter.Equal(row.chain[0].crt.NotAfter) || !got.NotBefore.Equal(row.chain[0].crt.NotBefore) {
				t.Errorf("got %+v", got)
			}
		})
	}
	for name, ders := range map[string][][]byte{"no certificate": nil, "not DER": {[]byte("canary")}, "cut": {served.der[:100]}} {
		if got, err := parseServed(ders, known); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func FuzzParseServed(f *testing.F) {
	ca := issue(f, "kubernetes", true, nil)
	leaf := issue(f, "system:node:a", false, &ca)
	f.Add(leaf.der, ca.der)
	f.Add(ca.der, leaf.der)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got, err := parseServed([][]byte{a, b}, []authority{{"/ca", ca.crt}})
		if err == nil && got.Chain == "" {
			t.Errorf("got %+v", got)
		}
		if got.Chain == "known-ca" && !bytes.Equal(a, leaf.der) && !bytes.Equal(a, ca.der) {
			if c, err := x509.ParseCertificate(a); err != nil || c.CheckSignatureFrom(ca.crt) != nil && !bytes.Equal(b, ca.der) && !bytes.Equal(b, leaf.der) {
				t.Errorf("%x counts as issued", a)
			}
		}
	})
}

// Two sources look into the file of the client CA: one for its certificates, one
// for a key that must not be there. A capture keeps what both have left.
func TestAKeyBesideTheClientCA(t *testing.T) {
	const file = "etc/kubernetes/pki/ca.crt"
	ca := issue(t, "kubernetes", true, nil)
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	m := &memHost{files: map[string]string{file: "canary-4711\n" + key + pemOf(ca) + key}}
	reads := 0
	m.asked = func(op, name string) {
		if op == "read" && name == file {
			reads++
		}
	}
	h := m.host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: []process{kubeletProcess()}}, nil }
	k, err := h.gathering.kubelet()
	if err != nil {
		t.Fatal(err)
	}
	cas, gaps := k.authorities(h)
	if len(cas) != 1 || !cas[0].cert.Equal(ca.crt) || len(gaps) > 0 {
		t.Errorf("got %d authorities, gaps %v", len(cas), gaps)
	}
	v, _, err := Credentials.Read(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(v.Cluster, func(f CredentialFile) bool { return f.Path == "/"+file }); i < 0 || len(v.Cluster[i].Keys) != 2 {
		t.Errorf("got %+v, want a file with two keys", v.Cluster)
	}
	if reads != 1 {
		t.Errorf("the file was read %d times, want once: with one redactor", reads)
	}
}

func TestKubeletServing(t *testing.T) {
	ca := issue(t, "kubernetes", true, nil)
	leaf := issue(t, "system:node:node-4711", false, &ca)
	certificate := &ServedCertificate{Subject: "node", Issuer: "kubernetes", Chain: "known-ca", CA: "/etc/kubernetes/pki/ca.crt", Names: 2, NotBefore: leaf.crt.NotBefore, NotAfter: leaf.crt.NotAfter}
	unissued := &ServedCertificate{Subject: "node", Issuer: "kubernetes", Chain: "unknown-issuer", Names: 2, NotBefore: leaf.crt.NotBefore, NotAfter: leaf.crt.NotAfter}
	answer := KubeletAnswer{Status: 401, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ClientCertificate: true, Certificates: [][]byte{leaf.der},
		Tries: []TLSTry{{Offer: "TLS 1.0"}, {Offer: "TLS 1.1"}, {Offer: "TLS 1.2", Version: "TLS 1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, {Offer: OfferOtherCiphers}}}
	slow := answer
	slow.Tries = []TLSTry{{Offer: "TLS 1.0", Error: "handshake: no answer within 3s"}, {Offer: OfferOtherCiphers, Error: "handshake: no answer within 3s"}}
	at := func(address string) Question { return Question{AskKubelet, address} }
	head := strings.SplitAfterN(tcpText, "\n", 2)[0]
	listens := func(hex string) string {
		return head + "   0: " + hex + " 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1061 1\n"
	}
	const tcp, fib, inet6 = "proc/1/net/tcp", "proc/1/net/fib_trie", "proc/1/net/if_inet6"
	const unix, caFile = "proc/1/net/unix", "etc/kubernetes/pki/ca.crt"
	base := map[string]string{tcp: listens("00000000:280A"), unix: "Num       RefCount Protocol Flags    Type St Inode Path\n", fib: fibText, inet6: inet6Text, caFile: pemOf(ca)}
	files := func(changes ...string) map[string]string {
		out := map[string]string{}
		for k, v := range base {
			out[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			out[changes[i]] = changes[i+1]
		}
		return out
	}
	good := KubeletPort{Asked: "node-address", Port: 10250, Status: 401, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Versions: []string{"TLS 1.2", "TLS 1.3"}, ClientCertificate: "requested", Certificate: certificate}
	with := func(edit func(*KubeletPort)) KubeletPort {
		v := good
		edit(&v)
		return v
	}
	for _, row := range []struct {
		name      string
		files     map[string]string
		process   process
		answers   map[Question]any
		refusals  map[Question]*Error
		want      KubeletPort
		gaps      []string // "part: what"
		wantError string
	}{
		{name: "on every address: one that others use is asked", files: files(), process: kubeletProcess(), answers: map[Question]any{at("192.0.2.2:10250"): answer}, want: good},
		{name: "the address of --node-ip, where the machine has it", files: files(), process: kubeletProcess("--node-ip=fd00::2"),
			answers: map[Question]any{at("192.0.2.2:10250"): answer}, want: good}, // it listens on IPv4 alone
		{name: "--node-ip of another machine is not asked", files: files(), process: kubeletProcess("--node-ip=203.0.113.7"), answers: map[Question]any{at("192.0.2.2:10250"): answer}, want: good},
		{name: "on IPv6, as Go listens by default", process: kubeletProcess("--node-ip=fd00::2"),
			files:   files(tcp, head, "proc/1/net/tcp6", strings.SplitAfterN(tcp6Text, "\n", 2)[0]+"   0: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1061 1\n"),
			answers: map[Question]any{at("[fd00::2]:10250"): answer}, want: good},
		{name: "Bottlerocket without a cluster: on loopback alone", files: files(tcp, listens("0100007F:280A")), process: kubeletProcess(),
			answers: map[Question]any{at("127.0.0.1:10250"): answer}, want: with(func(v *KubeletPort) { v.Asked = "loopback" })},
		{name: "another port", files: files(tcp, listens("00000000:0050")), process: kubeletProcess("--port=80"),
			answers: map[Question]any{at("192.0.2.2:80"): answer}, want: with(func(v *KubeletPort) { v.Port = 80 })},
		{name: "no kubelet", files: files(), process: process{pid: 1, comm: "systemd", exe: "/usr/lib/systemd/systemd"},
			want: KubeletPort{Asked: "no-kubelet", Port: 10250, Versions: []string{}}, gaps: []string{": the kubelet"}},
		{name: "nothing listens on its port", files: files(tcp, head), process: kubeletProcess(), want: KubeletPort{Asked: "not-listening", Port: 10250, Versions: []string{}}},
		{name: "the certificate of the cluster is not there", files: files(caFile, "! absent"), process: kubeletProcess(), answers: map[Question]any{at("192.0.2.2:10250"): answer},
			want: with(func(v *KubeletPort) { v.Certificate = unissued })},
		{name: "the certificate of the cluster is denied", files: files(caFile, "! denied"), process: kubeletProcess(), answers: map[Question]any{at("192.0.2.2:10250"): answer},
			want: with(func(v *KubeletPort) { v.Certificate = unissued }), gaps: []string{"certificate: the certificates in /etc/kubernetes/pki/ca.crt"}},
		{name: "some handshakes were not answered", files: files(), process: kubeletProcess(), answers: map[Question]any{at("192.0.2.2:10250"): slow},
			want: with(func(v *KubeletPort) { v.Versions = []string{"TLS 1.3"} }),
			gaps: []string{"versions: whether the kubelet agrees to TLS 1.0", "otherCipher: whether the kubelet agrees to other ciphers"}},
		{name: "not answered: a gap, so that it is not asked at every scan", files: files(), process: kubeletProcess(),
			refusals: map[Question]*Error{at("192.0.2.2:10250"): {"asking the kernel for", "kubelet-port at 192.0.2.2:10250", Blocked, "handshake: no answer within 3s"}},
			want:     KubeletPort{Asked: "node-address", Port: 10250, Versions: []string{}}, gaps: []string{": the kubelet's port"}},
		{name: "a file tree has no kernel", files: files(), process: kubeletProcess(), wantError: "asking the kernel for kubelet-port at 192.0.2.2:10250: this is a file tree, which has no kernel to ask"},
		{name: "the addresses are denied", files: files(fib, "! denied"), process: kubeletProcess(), wantError: "reading /proc/1/net/fib_trie: permission denied"},
		{name: "nothing says what listens", files: files(tcp, "! denied", unix, "! denied"), process: kubeletProcess(), wantError: "reading /proc/1/net/tcp: permission denied"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := &memHost{files: wholeMachine(row.files), kernel: row.answers, errors: row.refusals}
			h := m.host()
			h.gathering.processes = func() (*processTable, error) { return &processTable{processes: []process{row.process}}, nil }
			got, gaps, err := KubeletServing.Read(context.Background(), h)
			if text := errorText(err); text != row.wantError {
				t.Fatalf("got error %q, want %q", text, row.wantError)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var whats []string
			for _, g := range gaps {
				whats = append(whats, g.Part+": "+g.What)
			}
			if diff := cmp.Diff(row.gaps, whats); diff != "" {
				t.Errorf("gaps, -want +got:\n%s", diff)
			}
		})
	}
}
