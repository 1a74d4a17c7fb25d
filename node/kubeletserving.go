package node

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KubeletPort is what the kubelet of this node shows to whoever reaches its
// port and says not who they are.
type KubeletPort struct {
	// Asked is where: "node-address", or "loopback" where the kubelet listens there
	// alone; "not-listening" where nothing listens on its port, "no-kubelet".
	Asked string `json:"asked"`
	Port  int    `json:"port"`
	// Status is the HTTP status of GET /pods without credentials, 0 where there
	// was no answer.
	Status int `json:"status"`
	// Version and Cipher are what a client agrees on that accepts all.
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	// Versions are the versions of TLS that are spoken, oldest first: "TLS 1.2".
	Versions []string `json:"versions"`
	// OtherCipher is the suite agreed on by a client that offers [OfferOtherCiphers],
	// "" where there was no agreement.
	OtherCipher string `json:"otherCipher"`
	// ClientCertificate is "requested" or "not-requested".
	ClientCertificate string             `json:"clientCertificate"`
	Certificate       *ServedCertificate `json:"certificate,omitempty"`
}

// ServedCertificate is the certificate of a server, without the names in it.
type ServedCertificate struct {
	// Subject is "node" (its common name is system:node:NAME), "self-made" (the name
	// that a kubelet gives a certificate of its own making) or "other".
	Subject string `json:"subject"`
	// Issuer is the common name of who signed it; "" for one that the kubelet made.
	Issuer string `json:"issuer"`
	// Chain is "known-ca" (it leads to a certificate in CA), "self-made" (to none but
	// itself), or "unknown-issuer".
	Chain string `json:"chain"`
	CA    string `json:"ca,omitempty"` // the file
	Names int    `json:"names"`        // subject alternative names
	// NotBefore and NotAfter are when it is valid, UTC.
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// KubeletServing asks the node's own kubelet as a stranger would, in at most six
// connections an hour. What the kubelet does not answer is a gap and not
// missing, so that it is not asked again before the hour is over.
var KubeletServing = Source[KubeletPort]{
	Name:  "kubelet-port",
	Doc:   "what the node's own kubelet answers a caller without credentials, and its certificate",
	Scope: Node,
	Every: Hour,
	Read:  readKubeletPort,
}

func readKubeletPort(_ context.Context, h *Host) (KubeletPort, []Gap, error) {
	v := KubeletPort{Versions: []string{}}
	k, err := h.gathering.kubelet()
	if err != nil {
		return v, nil, err
	}
	v.Port = k.port()
	if k.state.Found == "absent" {
		v.Asked = "no-kubelet"
		return v, k.gaps, nil
	}
	at, err := kubeletAddress(h, k, v.Port)
	if err != nil {
		return v, nil, err
	}
	if !at.IsValid() {
		v.Asked = "not-listening"
		return v, k.state.Unread, nil
	}
	v.Asked = "node-address"
	if at.Addr().IsLoopback() {
		v.Asked = "loopback"
	}
	a, err := ask[KubeletAnswer](h, AskKubelet, at.String())
	if err != nil {
		if code := codeOf(err); code == NoKernel || code == NotRecorded || code == Unsupported {
			return v, nil, err
		}
		return v, []Gap{GapOf("the kubelet's port", err)}, nil
	}
	gaps := v.answered(a)
	if len(a.Certificates) > 0 {
		cas, unread := k.authorities(h)
		c, err := parseServed(a.Certificates, cas)
		if err != nil {
			gaps = append(gaps, GapOf("the kubelet's certificate", err).In("certificate"))
		} else {
			v.Certificate = &c
			if c.Chain == "unknown-issuer" {
				gaps = append(gaps, unread...)
			}
		}
	}
	return v, gaps, nil
}

// answered takes over all of an answer but the certificates.
func (v *KubeletPort) answered(a KubeletAnswer) []Gap {
	v.Status, v.Version, v.Cipher = a.Status, a.Version, a.Cipher
	v.ClientCertificate = "not-requested"
	if a.ClientCertificate {
		v.ClientCertificate = "requested"
	}
	var gaps []Gap
	if a.Version != "" {
		v.Versions = append(v.Versions, a.Version)
	}
	for _, t := range a.Tries {
		switch {
		case t.Error != "":
			part := "versions"
			if t.Offer == OfferOtherCiphers {
				part = "otherCipher"
			}
			gaps = append(gaps, GapOf("whether the kubelet agrees to "+t.Offer, &Error{"asking", "the kubelet's port", Failed, t.Error}).In(part))
		case t.Offer == OfferOtherCiphers:
			v.OtherCipher = t.Cipher
		case t.Version != "":
			v.Versions = append(v.Versions, t.Version)
		}
	}
	slices.Sort(v.Versions)
	v.Versions = slices.Compact(v.Versions)
	return gaps
}

// port is the kubelet's port as it was set, else the one that it has by default.
func (r *kubeletReading) port() int {
	set, ok := r.settings.values["port"]
	if port, err := strconv.Atoi(fmt.Sprint(set.value)); ok && err == nil && port > 0 && port < 1<<16 {
		return port
	}
	return kubeletPort
}

// kubeletAddress is an address of this machine at which the kubelet's port
// answers, from the kernel's tables alone: one that others use where there is
// one, that of --node-ip first. It is the zero value where nothing listens there.
func kubeletAddress(h *Host, k *kubeletReading, port int) (netip.AddrPort, error) {
	var none netip.AddrPort
	all, err := h.gathering.listening()
	if err != nil {
		return none, err
	}
	var any4, any6 bool
	var loopback, own []netip.Addr
	for _, l := range all.sockets {
		if l.network == "unix" || l.port != port {
			continue
		}
		a, err := netip.ParseAddr(l.address)
		switch {
		case err != nil:
		case a.IsUnspecified() && a.Is4():
			any4 = true
		case a.IsUnspecified(): // answers IPv4 too, as net.ipv6.bindv6only is 0
			any4, any6 = true, true
		case a.Unmap().IsLoopback():
			loopback = append(loopback, a.Unmap())
		default:
			own = append(own, a.Unmap())
		}
	}
	if any4 || any6 {
		addresses, err := HostAddresses(h)
		if err != nil {
			return none, err
		}
		for _, a := range addresses {
			if a.Is4() && any4 || a.Is6() && any6 {
				own = append(own, a)
			}
		}
		if len(own) == 0 {
			loopback = append(loopback, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		}
	}
	for text := range strings.SplitSeq(k.arg("node-ip"), ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil && slices.Contains(own, a) {
			return netip.AddrPortFrom(a, uint16(port)), nil
		}
	}
	if found := append(own, loopback...); len(found) > 0 {
		return netip.AddrPortFrom(found[0], uint16(port)), nil
	}
	if len(all.gaps) > 0 {
		return none, &Error{"looking for", "the kubelet's port", Failed, all.gaps[0].String()}
	}
	return none, nil
}

// authority is a certificate that others may be signed with, and its file.
type authority struct {
	file string
	cert *x509.Certificate
}

// authorities are the certificates in the file of the kubelet's client CA, which
// is that of the cluster, and in kubeadm's place for that. The gaps are files that
// could not be read.
func (r *kubeletReading) authorities(h *Host) ([]authority, []Gap) {
	files := []string{}
	for _, f := range r.state.Files {
		if f.Role == "client-ca" && path.IsAbs(f.Path) {
			files = append(files, f.Path)
		}
	}
	if len(files) == 0 || files[0] != "/etc/kubernetes/pki/ca.crt" {
		files = append(files, "/etc/kubernetes/pki/ca.crt")
	}
	var out []authority
	var gaps []Gap
	for _, file := range files {
		b, err := readPEM(h, strings.TrimPrefix(file, "/"))
		if IsAbsent(err) {
			continue
		}
		var certs []*x509.Certificate
		if err == nil {
			certs, err = parseAuthorities(b)
		}
		if err != nil {
			gaps = append(gaps, GapOf("the certificates in "+file, err).In("certificate"))
			continue
		}
		for _, c := range certs {
			out = append(out, authority{file, c})
		}
	}
	return out, gaps
}

// parseAuthorities returns the certificates of a file in PEM; a key may stand
// beside them.
func parseAuthorities(b []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			if len(out) == 0 {
				return nil, errors.New("it holds no certificate")
			}
			return out, nil
		}
		b = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
}

// selfMadeName is the common name that a kubelet gives a certificate of its own
// making, and that of what it signs it with: HOST@TIME and HOST-ca@TIME.
// Source: k8s.io/client-go/util/cert, GenerateSelfSignedCertKey.
var selfMadeName = regexp.MustCompile(`@[0-9]{9,11}$`)

// parseServed reads a chain of certificates as a server sends it, its own first.
func parseServed(ders [][]byte, known []authority) (ServedCertificate, error) {
	var v ServedCertificate
	var chain []*x509.Certificate
	for i, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return v, fmt.Errorf("certificate %d of the chain: %w", i+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return v, errors.New("the chain is empty")
	}
	leaf := chain[0]
	v.Subject = "other"
	switch {
	case strings.HasPrefix(leaf.Subject.CommonName, "system:node:"):
		v.Subject = "node"
	case selfMadeName.MatchString(leaf.Subject.CommonName):
		v.Subject = "self-made"
	}
	v.Names = len(leaf.DNSNames) + len(leaf.IPAddresses) + len(leaf.EmailAddresses) + len(leaf.URIs)
	v.NotBefore, v.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	v.Chain, v.CA = chainOf(chain, known)
	if v.Chain != "self-made" {
		v.Issuer = quoteName(leaf.Issuer.CommonName)
	}
	return v, nil
}

// chainOf follows the signatures from the first certificate on, whatever the
// time: how long they are valid is another question.
func chainOf(chain []*x509.Certificate, known []authority) (found, file string) {
	at := chain[0]
	for range chain {
		for _, ca := range known {
			if at.Equal(ca.cert) || at.CheckSignatureFrom(ca.cert) == nil {
				return "known-ca", ca.file
			}
		}
		if isSelfSigned(at) {
			return "self-made", ""
		}
		i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return c != at && at.CheckSignatureFrom(c) == nil })
		if i < 0 {
			break
		}
		at = chain[i]
	}
	// The kubelet serves what it signed its own certificate with, but who set
	// tlsCertFile may have left it out.
	if selfMadeName.MatchString(chain[0].Subject.CommonName) && selfMadeName.MatchString(chain[0].Issuer.CommonName) {
		return "self-made", ""
	}
	return "unknown-issuer", ""
}

func isSelfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
