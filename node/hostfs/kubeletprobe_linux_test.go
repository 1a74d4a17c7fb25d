package hostfs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy/seaworthy/node"
)

// tlsServer is a TLS server on loopback that answers every request with status,
// and counts its connections.
func tlsServer(t *testing.T, status int, config *tls.Config) (at string, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/pods" || r.Header.Get("Authorization") != "" {
			t.Errorf("got %s %s with %v, want GET /pods without credentials", r.Method, r.URL, r.Header)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, `{"kind":"PodList","items":[{"metadata":{"name":"canary-4711"}}]}`)
	}))
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.EnableHTTP2 = false
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), connections
}

func allSuites() []uint16 {
	every, _ := cipherSuites()
	return every
}

func TestProbeKubelet(t *testing.T) {
	refused := func(offers ...string) []node.TLSTry {
		var out []node.TLSTry
		for _, o := range offers {
			out = append(out, node.TLSTry{Offer: o})
		}
		return out
	}
	agreed := func(version string) node.TLSTry {
		return node.TLSTry{Offer: version, Version: version, Cipher: "any"}
	}
	for _, row := range []struct {
		name   string
		status int
		config *tls.Config
		want   node.KubeletAnswer
	}{
		{
			name: "a kubelet as it is by default: TLS 1.2 up, asks for a certificate, CBC under 1.2", status: 401,
			config: &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert},
			want: node.KubeletAnswer{Status: 401, Version: "TLS 1.3", ClientCertificate: true,
				Tries: append(refused("TLS 1.0", "TLS 1.1"), agreed("TLS 1.2"), node.TLSTry{Offer: node.OfferOtherCiphers, Version: "TLS 1.2", Cipher: "any"})},
		},
		{
			name: "Talos: TLS 1.3 alone", status: 401,
			config: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert},
			want: node.KubeletAnswer{Status: 401, Version: "TLS 1.3", ClientCertificate: true,
				Tries: refused("TLS 1.0", "TLS 1.1", "TLS 1.2", node.OfferOtherCiphers)},
		},
		{
			name: "an open kubelet that speaks TLS 1.0", status: 200,
			config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: allSuites()},
			want: node.KubeletAnswer{Status: 200, Version: "TLS 1.1",
				Tries: append([]node.TLSTry{agreed("TLS 1.0")}, append(refused("TLS 1.2", "TLS 1.3"), node.TLSTry{Offer: node.OfferOtherCiphers, Version: "TLS 1.1", Cipher: "any"})...)},
		},
		{
			name: "TLS 1.2 with the suites of CIS alone, and a rule that refuses the anonymous user", status: 403,
			config: &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384}},
			want: node.KubeletAnswer{Status: 403, Version: "TLS 1.2",
				Tries: refused("TLS 1.0", "TLS 1.1", "TLS 1.3", node.OfferOtherCiphers)},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			at, connections := tlsServer(t, row.status, row.config)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got, err := probeKubelet(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Certificates) != 1 || got.Cipher == "" {
				t.Errorf("got %d certificates and the cipher %q, want 1 and one", len(got.Certificates), got.Cipher)
			}
			for i := range got.Tries {
				if got.Tries[i].Cipher != "" {
					got.Tries[i].Cipher = "any"
				}
			}
			if diff := cmp.Diff(row.want, got, cmpopts.IgnoreFields(node.KubeletAnswer{}, "Certificates", "Cipher")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if n := connections.Load(); n > 6 {
				t.Errorf("got %d connections, want at most 6", n)
			}
		})
	}
}

func TestProbeKubeletOtherCiphersAreNone(t *testing.T) {
	every, others := cipherSuites()
	for _, id := range others {
		if name := tls.CipherSuiteName(id); strings.Contains(name, "GCM") || strings.Contains(name, "CHACHA20") {
			t.Errorf("%s authenticates", name)
		}
	}
	if !slices.Contains(others, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA) || !slices.Contains(every, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) {
		t.Errorf("got %v of %v", others, every)
	}
}

func TestParseStatusLine(t *testing.T) {
	for _, row := range []struct {
		name, line string
		want       int
	}{
		{"a kubelet's", "HTTP/1.1 401 Unauthorized\r\n", 401},
		{"without a reason", "HTTP/1.0 200\n", 200},
		{"another protocol", "SSH-2.0-OpenSSH_9.6\r\n", 0},
		{"HTTP/2 was not asked for", "HTTP/2 401\r\n", 0},
		{"a sign for a digit", "HTTP/1.1 -99 x\r\n", 0},
		{"four digits", "HTTP/1.1 4010 x\r\n", 0},
		{"below any status", "HTTP/1.1 099 x\r\n", 0},
		{"empty", "", 0},
	} {
		if got, err := parseStatusLine(row.line); got != row.want || (err == nil) != (row.want != 0) {
			t.Errorf("%s: got %d, %v, want %d", row.name, got, err, row.want)
		}
	}
}

func FuzzParseStatusLine(f *testing.F) {
	f.Add("HTTP/1.1 401 Unauthorized\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		if got, err := parseStatusLine(line); err == nil && (got < 100 || got > 999 || !strings.HasPrefix(line, "HTTP/1.")) {
			t.Errorf("got %d of %q", got, line)
		}
	})
}

func TestProbeKubeletUnanswered(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // accepts in the kernel and says nothing
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, row := range []struct {
		name, at string
		code     node.Code
		detail   string
	}{
		{"something listens and says nothing", silent.Addr().String(), node.Blocked, "handshake: no answer within 3s"},
		{"nothing listens any more", closed.Addr().String(), node.Failed, "handshake: connect: connection refused"},
		{"the port speaks no TLS", plain.Listener.Addr().String(), node.Failed, "handshake: tls: first record does not look like a TLS handshake"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := probeKubelet(ctx, row.at)
			var e *node.Error
			if !errors.As(err, &e) || e.Code != row.code || e.Detail != row.detail {
				t.Errorf("got %#v, want %s %q", err, row.code, row.detail)
			}
		})
	}
}

// TestKubeletPortAsksThisMachineAlone asks through the kernel's questions.
func TestKubeletPortAsksThisMachineAlone(t *testing.T) {
	h, err := Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: this machine cannot be read: %v", err)
	}
	ask := func(of string) error {
		_, err := h.Kernel.Ask(node.Question{Kind: node.AskKubelet, Of: of})
		return err
	}
	const documentation = "203.0.113.7:10250" // RFC 5737
	want := &node.Error{Op: "asking the kernel for", Name: "kubelet-port at " + documentation, Code: node.Unsupported, Detail: "not an address of this machine"}
	if diff := cmp.Diff(error(want), ask(documentation)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var e *node.Error
	if err := ask("node.example:10250"); !errors.As(err, &e) || e.Code != node.Malformed {
		t.Errorf("a name: got %v, want it refused before anybody is asked for its address", err)
	}
	at, _ := tlsServer(t, 401, &tls.Config{})
	if err := ask(at); err != nil {
		t.Error(err)
	}
	own, err := node.HostAddresses(h)
	if err != nil || len(own) == 0 {
		t.Skipf("SKIPPED: this machine has no address but loopback: %v", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(own[0].String(), "0"))
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	l.Close()
	if err := ask(l.Addr().String()); !errors.As(err, &e) || e.Code != node.Failed || !strings.Contains(e.Detail, "refused") {
		t.Errorf("an address of this machine at which nothing listens: got %v, want that it was asked", err)
	}
}

func TestClock(t *testing.T) {
	h, err := Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: this machine cannot be read: %v", err)
	}
	f := node.Gather(t.Context(), h, time.Unix(0, 0))[node.ClockSync.Name]
	if f.Missing != nil {
		t.Fatalf("got missing %v, want the clock's state", f.Missing)
	}
	if v := f.Value.(node.ClockState); v.Synchronised == "" || v.Leap == "" || v.Bound == "" || v.Offset == "" {
		t.Errorf("got %+v", v)
	}
}
