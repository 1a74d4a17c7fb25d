package hostfs

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// probeDeadline bounds all connections of one probe together.
const probeDeadline = 3 * time.Second

// kubeletPort asks the kubelet at an address of this machine, and of no other.
func (k *kernel) kubeletPort(of string) (node.KubeletAnswer, error) {
	at, err := netip.ParseAddrPort(of)
	if err != nil {
		return node.KubeletAnswer{}, &node.Error{Code: node.Malformed, Detail: err.Error()}
	}
	if !at.Addr().IsLoopback() {
		own, err := node.HostAddresses(&node.Host{FS: k.tree})
		if err != nil {
			return node.KubeletAnswer{}, err
		}
		if !slices.Contains(own, at.Addr()) {
			return node.KubeletAnswer{}, unsupported("not an address of this machine")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeDeadline)
	defer cancel()
	return probeKubelet(ctx, at.String())
}

var tlsVersions = []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}

// probeKubelet makes one request without credentials, then up to four handshakes
// with less to choose from. It sends no name and checks no certificate: it has
// nothing that it would trust the kubelet with.
func probeKubelet(ctx context.Context, at string) (node.KubeletAnswer, error) {
	var a node.KubeletAnswer
	every, others := cipherSuites()
	config := &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10,
		CipherSuites:       every,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			a.ClientCertificate = true
			return &tls.Certificate{}, nil // none
		},
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", at)
	if err != nil {
		return a, unanswered("handshake", err)
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	a.Version, a.Cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	for _, c := range state.PeerCertificates {
		a.Certificates = append(a.Certificates, c.Raw)
	}
	if a.Status, err = strangerStatus(ctx, conn, at); err != nil {
		return a, unanswered("GET /pods", err)
	}
	for _, v := range tlsVersions {
		if v != state.Version {
			a.Tries = append(a.Tries, try(ctx, at, tls.VersionName(v), v, v, every))
		}
	}
	a.Tries = append(a.Tries, try(ctx, at, node.OfferOtherCiphers, tls.VersionTLS10, tls.VersionTLS12, others))
	return a, nil
}

// strangerStatus asks for what needs an authorization and reads the status of
// the answer alone.
func strangerStatus(ctx context.Context, conn net.Conn, at string) (int, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	if _, err := fmt.Fprintf(conn, "GET /pods HTTP/1.1\r\nHost: %s\r\nUser-Agent: seaworthy\r\nConnection: close\r\n\r\n", at); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxStatusLine)).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return parseStatusLine(line)
}

const maxStatusLine = 4 << 10

// parseStatusLine returns the status of "HTTP/1.1 401 Unauthorized". What follows
// that line is never looked at. Source: RFC 9112, section 4.
func parseStatusLine(line string) (int, error) {
	version, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if version != "HTTP/1.1" && version != "HTTP/1.0" || len(code) != 3 || err != nil || status < 100 {
		return 0, fmt.Errorf("status line %.200q: want HTTP/1.1 and a status of three digits", line)
	}
	return status, nil
}

func try(ctx context.Context, at, offer string, from, to uint16, suites []uint16) node.TLSTry {
	t := node.TLSTry{Offer: offer}
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: from, MaxVersion: to, CipherSuites: suites}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", at)
	if err != nil {
		if !refusedByPeer(err) {
			t.Error = unanswered("handshake", err).Detail
		}
		return t
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	t.Version, t.Cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	return t
}

// refusedByPeer reports whether err is an alert of the other side: it has read
// the offer and wants none of it.
func refusedByPeer(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// unanswered words an error without ports and addresses of this side, so that it
// reads alike every hour.
func unanswered(what string, err error) *node.Error {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return &node.Error{Code: node.Blocked, Detail: what + ": no answer within " + probeDeadline.String()}
	case errors.As(err, &op) && op.Err != nil:
		err = op.Err
	}
	return &node.Error{Code: node.Failed, Detail: what + ": " + err.Error()}
}

// cipherSuites are all suites for TLS up to 1.2 that this program knows, and of
// these the ones that [node.OfferOtherCiphers] is about.
func cipherSuites() (every, others []uint16) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.ContainsFunc(s.SupportedVersions, func(v uint16) bool { return v < tls.VersionTLS13 }) {
			continue
		}
		every = append(every, s.ID)
		if !strings.Contains(s.Name, "_GCM_") && !strings.Contains(s.Name, "CHACHA20") {
			others = append(others, s.ID)
		}
	}
	return every, others
}
