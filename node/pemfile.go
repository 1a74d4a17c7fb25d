package node

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Certificate is what matters of an X.509 certificate.
type Certificate struct {
	NotAfter time.Time `json:"notAfter"`
	CA       bool      `json:"ca"` // basic constraints: it may sign others
	// Class is "masters" or "nodes" by the organisation system:masters or
	// system:nodes of its subject, by which the API server knows groups, or "other".
	Class string `json:"class"`
	// Public is the public key: the first 16 digits of the SHA-256 of its PKIX form.
	Public string `json:"public"`
}

// PrivateKey is what may be said of a private key.
type PrivateKey struct {
	State  string `json:"state"`            // "plain", "encrypted", or "unknown"
	Public string `json:"public,omitempty"` // as in Certificate; "" where it could not be told
}

// pemContent is what a file in PEM holds.
type pemContent struct {
	certificates []Certificate
	keys         []PrivateKey
	unparsed     int // blocks that say CERTIFICATE and hold none
}

// readPEM reads a file in PEM once a gathering. One redactor serves all who read
// one: a capture keeps what every one of them has left.
func readPEM(h *Host, name string) ([]byte, error) {
	return h.readOnce(name, maxCredentialFile, redactPEM)
}

// The headers that redactPEM writes, and the longest of their values.
const (
	pemState  = "Redacted"
	pemPublic = "Public"
)

// redactPEM keeps of a file in PEM its certificates and the types of its other
// blocks; of a private key, whether it is encrypted and a digest of the public
// key that belongs to it. Text between blocks goes.
// Source: RFC 7468; RFC 1421 for Proc-Type; the OpenSSH file PROTOCOL.key.
func redactPEM(b []byte) []byte {
	out := []byte{}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		kept := &pem.Block{Type: block.Type}
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			kept.Type = pemKeyType(block.Type)
			kept.Headers = pemHeaders(keyOf(block))
		case block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" || block.Type == "X509 CERTIFICATE":
			kept.Type = "CERTIFICATE"
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				kept.Bytes = c.Raw
			}
		default:
			kept.Type = "OTHER"
		}
		out = append(out, pem.EncodeToMemory(kept)...)
	}
	return out
}

func pemKeyType(t string) string {
	if slices.Contains([]string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"}, t) {
		return t
	}
	return "PRIVATE KEY"
}

func pemHeaders(k PrivateKey) map[string]string {
	headers := map[string]string{pemState: k.State}
	if k.Public != "" {
		headers[pemPublic] = k.Public
	}
	return headers
}

// keyOf is what may be said of the private key in a block, redacted or not.
func keyOf(block *pem.Block) PrivateKey {
	if state := block.Headers[pemState]; slices.Contains([]string{"plain", "encrypted", "unknown"}, state) {
		k := PrivateKey{State: state}
		if isPublicDigest(block.Headers[pemPublic]) {
			k.Public = block.Headers[pemPublic]
		}
		return k
	}
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return PrivateKey{State: "encrypted"}
	case block.Type == "OPENSSH PRIVATE KEY":
		return PrivateKey{State: openSSHState(block.Bytes)}
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
		func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
	} {
		key, err := parse(block.Bytes)
		if err != nil {
			continue
		}
		if k, ok := key.(interface{ Public() crypto.PublicKey }); ok {
			return PrivateKey{"plain", publicDigest(k.Public())}
		}
		return PrivateKey{State: "plain"}
	}
	return PrivateKey{State: "unknown"}
}

// openSSHState reads the name of the cipher, which follows the magic:
// "none" is an unencrypted key.
func openSSHState(b []byte) string {
	rest, ok := bytes.CutPrefix(b, []byte("openssh-key-v1\x00"))
	switch {
	case !ok || len(rest) < 4:
		return "unknown"
	case bytes.HasPrefix(rest, []byte("\x00\x00\x00\x04none")):
		return "plain"
	}
	return "encrypted"
}

func publicDigest(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:8])
}

func isPublicDigest(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 16
}

// parsePEM parses what redactPEM has left.
func parsePEM(b []byte) (pemContent, error) {
	var out pemContent
	for len(bytes.TrimSpace(b)) > 0 {
		block, rest := pem.Decode(b)
		if block == nil {
			return out, fmt.Errorf("PEM: %.60q begins no block", b)
		}
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			out.keys = append(out.keys, keyOf(block))
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				out.unparsed++
				break
			}
			out.certificates = append(out.certificates, certificateOf(c))
		}
		b = rest
	}
	return out, nil
}

func certificateOf(c *x509.Certificate) Certificate {
	class := "other"
	if slices.Contains(c.Subject.Organization, "system:nodes") {
		class = "nodes"
	}
	if slices.Contains(c.Subject.Organization, "system:masters") {
		class = "masters"
	}
	return Certificate{NotAfter: c.NotAfter.UTC(), CA: c.IsCA && c.BasicConstraintsValid, Class: class, Public: publicDigest(c.PublicKey)}
}
