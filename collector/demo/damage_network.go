package demo

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// tcpHeading and unixTable are as Linux 6.18 has them.
const (
	tcpHeading  = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	tcp6Heading = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	unixTable   = "Num       RefCount Protocol Flags    Type St Inode Path\n0000000082fd7cc1: 00000002 00000000 00010000 0001 01  3058 /run/systemd/private\n"
	ownAddress  = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.10\n        /32 host LOCAL\n"
)

// everywhere is a TCP socket that listens on every IPv4 address.
func everywhere(port int) string {
	return fmt.Sprintf("   0: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1061 1\n", port)
}

// listens puts exactly these TCP sockets, which process 1 holds.
func listens(t *capture.Tape, sockets ...string) {
	table := tcpHeading
	for _, s := range sockets {
		table += s
	}
	t.Content("proc/1/net/tcp", table)
	t.Content("proc/1/net/tcp6", tcp6Heading)
	t.Content("proc/1/net/unix", unixTable)
	t.Dir("proc/1/fd", node.DirEntry{Name: "7", Type: node.Symlink}, node.DirEntry{Name: "8", Type: node.Symlink})
	t.Link("proc/1/fd/7", "socket:[3058]")
	t.Link("proc/1/fd/8", "socket:[1061]")
}

// kubeletAt is where the kubelet of soundPort answers.
var kubeletAt = node.Question{Kind: node.AskKubelet, Of: "192.0.2.10:10250"}

// portAnswer is what a kubelet as it should be answers a stranger, its
// certificate issued by the cluster until this date.
func portAnswer(t *capture.Tape, until time.Time) node.KubeletAnswer {
	cluster := certificate("kubernetes", time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC), nil)
	own := certificate("system:node:node", until, &cluster)
	t.Content("etc/kubernetes/pki/ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.der})))
	return node.KubeletAnswer{
		Status: 401, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", ClientCertificate: true, Certificates: [][]byte{own.der},
		Tries: []node.TLSTry{
			{Offer: "TLS 1.0"}, {Offer: "TLS 1.1"}, {Offer: "TLS 1.2", Version: "TLS 1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
			{Offer: node.OfferOtherCiphers},
		},
	}
}

// longValid is after whatever time the demo is judged at.
var longValid = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)

func soundPort(t *capture.Tape) {
	listens(t, everywhere(10250))
	t.Content("proc/1/net/fib_trie", ownAddress)
	t.Absent("proc/1/net/if_inet6")
	t.Answer(kubeletAt, portAnswer(t, longValid))
}

// portAnswers is a damage of what the kubelet's port answers.
func portAnswers(check, what string, edit func(*node.KubeletAnswer)) Damage {
	return Damage{Check: check, Node: "composed-talos", What: what, Sound: soundPort, Do: func(t *capture.Tape) {
		a := portAnswer(t, longValid)
		edit(&a)
		t.Answer(kubeletAt, a)
	}}
}

// signed is a certificate and the key that signs with it.
type signed struct {
	der []byte
	crt *x509.Certificate
	key ed25519.PrivateKey
}

// certificate makes one that by has signed; without by it signs itself and others.
// It panics where that cannot be, as nothing but a broken source of randomness
// makes it.
func certificate(name string, until time.Time, by *signed) signed {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("making a key: %v", err))
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: until,
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.crt, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, signer)
	if err != nil {
		panic(fmt.Sprintf("signing the certificate %q: %v", name, err))
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("reading the certificate %q: %v", name, err))
	}
	return signed{der, crt, key}
}

// opens is a damage of a socket that listens on every address.
func opens(check, what string, port int) Damage {
	return Damage{Check: check, Node: "recorded-lab-flatcar", What: what,
		Sound: func(t *capture.Tape) { listens(t) },
		Do:    func(t *capture.Tape) { listens(t, everywhere(port)) },
	}
}

var networkDamages = []Damage{
	portAnswers("kubelet-refuses-strangers", "the kubelet answers whoever asks", func(a *node.KubeletAnswer) { a.Status = 200 }),
	portAnswers("kubelet-certificate-issued", "the kubelet serves a certificate that it made itself", func(a *node.KubeletAnswer) {
		made := certificate("node@1767225600", longValid, nil)
		a.Certificates = [][]byte{made.der}
	}),
	{
		Check: "kubelet-certificate-valid", Node: "composed-talos", What: "the kubelet's certificate expired", Sound: soundPort,
		Do: func(t *capture.Tape) {
			t.Answer(kubeletAt, portAnswer(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
		},
	},
	portAnswers("kubelet-tls-as-served", "the kubelet speaks TLS 1.0", func(a *node.KubeletAnswer) {
		a.Tries[0].Version, a.Tries[0].Cipher = "TLS 1.0", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
	}),
	opens("listeners-declared", "somebody left a program that listens on port 4444", 4444),
	opens("no-legacy-ports", "Docker listens without TLS", 2375),
	opens("kube-proxy-metrics-local", "kube-proxy's metrics were opened for Prometheus", 10249),
}
