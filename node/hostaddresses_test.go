package node

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fibText is from a machine with Linux 6.18.
const fibText = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 192.0.2.0/24 2 0 2
        +-- 192.0.2.0/30 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
`

// inet6Text is from the same machine.
const inet6Text = `fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
`

func TestHostAddresses(t *testing.T) {
	const fib, inet6 = "proc/1/net/fib_trie", "proc/1/net/if_inet6"
	for _, row := range []struct {
		name  string
		files map[string]string
		want  []string
		err   string
	}{
		{"both kinds", map[string]string{fib: fibText, inet6: inet6Text}, []string{"192.0.2.2", "fd00::2"}, ""},
		{"the local table says all a second time", map[string]string{fib: fibText + fibText}, []string{"192.0.2.2"}, ""},
		{"a kernel without IPv6", map[string]string{fib: fibText}, []string{"192.0.2.2"}, ""},
		{"an address that may be another's too", map[string]string{fib: fibText, inet6: strings.Replace(inet6Text, "00 82", "00 c2", 1)}, []string{"192.0.2.2"}, ""},
		{"denied", map[string]string{fib: "! denied"}, nil, "reading /proc/1/net/fib_trie: permission denied"},
		{"IPv6 denied", map[string]string{fib: fibText, inet6: "! denied"}, nil, "reading /proc/1/net/if_inet6: permission denied"},
		{"absent", nil, nil, "reading /proc/1/net/fib_trie: no such file"},
		{"cut", map[string]string{fib: "Main:\n  |-- 192.0"}, nil, "reading /proc/1/net/fib_trie: malformed: the table of routes is cut: no newline at its end"},
		{"a name for an address", map[string]string{fib: "  |-- localhost\n"}, nil, `reading /proc/1/net/fib_trie: malformed: route "|-- localhost": "localhost" is no IPv4 address`},
		{"an entry of no address", map[string]string{fib: "  /32 host LOCAL\n"}, nil, `reading /proc/1/net/fib_trie: malformed: route "/32 host LOCAL" stands under no address`},
		{"half an IPv6 address", map[string]string{fib: fibText, inet6: "fe80 04 40 20 80 eth0\n"}, nil, `reading /proc/1/net/if_inet6: malformed: address line "fe80 04 40 20 80 eth0\n": address "fe80", flags "80"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := HostAddresses((&memHost{files: row.files}).host())
			var texts []string
			for _, a := range got {
				texts = append(texts, a.String())
			}
			if diff := cmp.Diff(row.want, texts); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := errorText(err); text != row.err {
				t.Errorf("got error %q, want %q", text, row.err)
			}
		})
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add([]byte(fibText))
	f.Add([]byte("  |-- 10.0.0.1\n     /32 host LOCAL\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseRoutes(b)
		if err != nil && got != nil {
			t.Errorf("got %v with %v", got, err)
		}
		for _, a := range got {
			if !a.Is4() || !strings.Contains(string(b), a.String()) {
				t.Errorf("got %s, which does not stand in %q", a, b)
			}
		}
	})
}

func FuzzParseInet6(f *testing.F) {
	f.Add([]byte(inet6Text))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseInet6(b)
		if err == nil && len(got) > strings.Count(string(b), "\n")+1 || err != nil && got != nil {
			t.Errorf("got %v, %v of %q", got, err, b)
		}
		if slices.ContainsFunc(got, func(a netip.Addr) bool { return !a.Is6() }) {
			t.Errorf("got %v", got)
		}
	})
}
