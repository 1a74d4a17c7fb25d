package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var certificateEnd = time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC)

// aPEMPair is a private key and its certificate in PEM, and the digest of the
// public key.
type aPEMPair struct{ key, certificate, public string }

func newPEMPair(t testing.TB, ca bool, organization string) aPEMPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: certificateEnd, IsCA: ca, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "x", Organization: []string{organization}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return aPEMPair{pemText("EC PRIVATE KEY", secret), pemText("CERTIFICATE", der), publicDigest(&key.PublicKey)}
}

func pemText(kind string, b []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
}

func TestPEM(t *testing.T) {
	admin, ca := newPEMPair(t, false, "system:masters"), newPEMPair(t, true, "kubernetes")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file string
		want       pemContent
	}{
		{"kubelet-client-current.pem: certificate and key in one", admin.certificate + admin.key, pemContent{
			certificates: []Certificate{{certificateEnd, false, "masters", admin.public}}, keys: []PrivateKey{{"plain", admin.public}},
		}},
		{"a certificate authority", ca.certificate, pemContent{certificates: []Certificate{{certificateEnd, true, "other", ca.public}}}},
		{"RSA as kubeadm writes it", pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), pemContent{keys: []PrivateKey{{"plain", publicDigest(&rsaKey.PublicKey)}}}},
		{"PKCS 8", pemText("PRIVATE KEY", pkcs8), pemContent{keys: []PrivateKey{{"plain", publicDigest(public)}}}},
		{"PKCS 8 with a passphrase", pemText("ENCRYPTED PRIVATE KEY", []byte("x")), pemContent{keys: []PrivateKey{{State: "encrypted"}}}},
		{"with a passphrase as OpenSSL wrote it", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", pemContent{keys: []PrivateKey{{State: "encrypted"}}}},
		{"OpenSSH", pemText("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00\x00\x00\x00\x04none\x00\x00")), pemContent{keys: []PrivateKey{{State: "plain"}}}},
		{"OpenSSH with a passphrase", pemText("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00\x00\x00\x00\x0aaes256-ctr")), pemContent{keys: []PrivateKey{{State: "encrypted"}}}},
		{"a key that is none", pemText("EC PRIVATE KEY", []byte("nonsense")), pemContent{keys: []PrivateKey{{State: "unknown"}}}},
		{"a certificate that is none", pemText("CERTIFICATE", []byte("nonsense")), pemContent{unparsed: 1}},
		{"parameters beside a key", pemText("EC PARAMETERS", []byte{6, 8}) + ca.key, pemContent{keys: []PrivateKey{{"plain", ca.public}}}},
		{"text around blocks", "issuer=x\n" + ca.certificate + "\npassword: hunter2\n", pemContent{certificates: []Certificate{{certificateEnd, true, "other", ca.public}}}},
		{"no PEM", "hunter2\n", pemContent{}},
		{"nothing", "", pemContent{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			once := redactPEM([]byte(tt.file))
			got, err := parsePEM(once)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(pemContent{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(string(once), "hunter2") || strings.Contains(string(once), "nonsense") {
				t.Errorf("text was kept:\n%s", once)
			}
			if twice := redactPEM(once); !bytes.Equal(once, twice) {
				t.Errorf("redacted again: got\n%s\nwant\n%s", twice, once)
			}
		})
	}
}

func TestPEMRefuses(t *testing.T) {
	for _, text := range []string{"hunter2", pemText("CERTIFICATE", nil) + "rest"} {
		if got, err := parsePEM([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// FuzzRedactPEM: redacting is done once, what is left parses, and no body of a
// key is in it.
func FuzzRedactPEM(f *testing.F) {
	pair := newPEMPair(f, true, "system:nodes")
	f.Add(pair.certificate + pair.key)
	f.Add("-----BEGIN RSA PRIVATE KEY-----\nRedacted: plain\nPublic: hunter2\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	f.Add("-----BEGIN X PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X PRIVATE KEY-----\ntext")
	f.Add("-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString([]byte("x")) + "\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, s string) {
		once := redactPEM([]byte(s))
		if twice := redactPEM(once); !bytes.Equal(once, twice) {
			t.Fatalf("redacting %q: once %q, twice %q", s, once, twice)
		}
		if _, err := parsePEM(once); err != nil {
			t.Fatalf("redacting %q left %q: %v", s, once, err)
		}
		for block, rest := pem.Decode(once); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" && len(block.Bytes) > 0 {
				t.Fatalf("redacting %q left the body of %s", s, block.Type)
			}
		}
	})
}
