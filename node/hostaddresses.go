package node

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxRoutes bounds the tables of addresses: a router's full table is some 100 MB.
const maxRoutes = 16 << 20

// HostAddresses are the addresses of the machine in process 1's network
// namespace, sorted, loopback and link-local ones left out.
// Sources: proc_pid_net(5); the kernel's net/ipv4/fib_trie.c and net/ipv6/addrconf.c.
func HostAddresses(h *Host) ([]netip.Addr, error) {
	b, err := h.ReadFile("proc/1/net/fib_trie", maxRoutes)
	if err != nil {
		return nil, err
	}
	all, err := parseRoutes(b)
	if err != nil {
		return nil, &Error{"reading", "/proc/1/net/fib_trie", Malformed, err.Error()}
	}
	b, err = h.ReadFile("proc/1/net/if_inet6", maxRoutes)
	if err == nil {
		var six []netip.Addr
		if six, err = parseInet6(b); err != nil {
			err = &Error{"reading", "/proc/1/net/if_inet6", Malformed, err.Error()}
		}
		all = append(all, six...)
	}
	if err != nil && !IsAbsent(err) { // absent in a kernel without IPv6
		return nil, err
	}
	all = slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsGlobalUnicast() })
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
}

// parseRoutes returns the machine's own addresses of /proc/<pid>/net/fib_trie:
// a leaf "|-- ADDRESS" with an entry "/32 host LOCAL" below it.
func parseRoutes(b []byte) ([]netip.Addr, error) {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the table of routes is cut: no newline at its end")
	}
	var out []netip.Addr
	var leaf netip.Addr
	for line := range bytes.Lines(b) {
		text := strings.TrimSpace(string(line))
		if name, ok := strings.CutPrefix(text, "|-- "); ok {
			var err error
			if leaf, err = netip.ParseAddr(name); err != nil || !leaf.Is4() {
				return nil, fmt.Errorf("route %.200q: %q is no IPv4 address", text, name)
			}
			continue
		}
		if f := strings.Fields(text); len(f) >= 3 && f[0] == "/32" && f[1] == "host" && f[2] == "LOCAL" {
			if !leaf.IsValid() {
				return nil, fmt.Errorf("route %.200q stands under no address", text)
			}
			out = append(out, leaf)
		}
	}
	return out, nil
}

// parseInet6 parses /proc/<pid>/net/if_inet6: address, index, prefix length,
// scope, flags and name of the interface. An address that is not yet known to be
// the machine's alone is left out.
func parseInet6(b []byte) ([]netip.Addr, error) {
	const tentative, duplicate = 0x40, 0x08 // IFA_F_TENTATIVE, IFA_F_DADFAILED of if_addr.h
	var out []netip.Addr
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) != 6 {
			return nil, fmt.Errorf("address line %.200q: %d fields, want 6", line, len(f))
		}
		ip, err := hex.DecodeString(f[0])
		flags, flagErr := strconv.ParseUint(f[4], 16, 32)
		if err != nil || len(ip) != 16 || flagErr != nil {
			return nil, fmt.Errorf("address line %.200q: address %q, flags %q", line, f[0], f[4])
		}
		if flags&(tentative|duplicate) == 0 {
			out = append(out, netip.AddrFrom16([16]byte(ip)))
		}
	}
	return out, nil
}
