package node

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// listening is a socket that listens, as /proc/<pid>/net shows it.
type listening struct {
	network string
	address string // IP address, or path of a unix socket
	port    int
	inode   uint64
}

// parseTCP parses /proc/<pid>/net/tcp and tcp6 and returns what listens. An
// address is shown as the numbers that its network-order words are on this
// machine; all machines that this program runs on are little-endian.
// Source: the kernel's Documentation/networking/proc_net_tcp.rst.
func parseTCP(network string, b []byte) ([]listening, error) {
	size := 8
	if network == "tcp6" {
		size = 32
	}
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the table of sockets is cut: no newline at its end")
	}
	var out []listening
	n := 0
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if n++; n == 1 {
			if len(f) < 2 || f[0] != "sl" || f[1] != "local_address" {
				return nil, fmt.Errorf("first line %.200q: not the heading of a table of TCP sockets", line)
			}
			continue
		}
		if len(f) < 10 {
			return nil, fmt.Errorf("socket line %d %.200q: %d fields, want at least 10", n, line, len(f))
		}
		addr, port, ok := strings.Cut(f[1], ":")
		if !ok || len(addr) != size || len(port) != 4 {
			return nil, fmt.Errorf("socket line %d %.200q: local address %q", n, line, f[1])
		}
		ip, err := hexAddress(addr)
		if err != nil {
			return nil, fmt.Errorf("socket line %d %.200q: local address: %w", n, line, err)
		}
		p, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			return nil, fmt.Errorf("socket line %d %.200q: port: %w", n, line, err)
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("socket line %d %.200q: inode: %w", n, line, err)
		}
		if len(f[3]) != 2 || strings.Trim(f[3], "0123456789ABCDEF") != "" {
			return nil, fmt.Errorf("socket line %d %.200q: state %q", n, line, f[3])
		}
		if f[3] == "0A" { // TCP_LISTEN
			out = append(out, listening{network, ip.String(), int(p), inode})
		}
	}
	return out, nil
}

func hexAddress(s string) (netip.Addr, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return netip.Addr{}, err
	}
	for i := 0; i+4 <= len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	ip, ok := netip.AddrFromSlice(b)
	if !ok {
		return ip, fmt.Errorf("%q has %d bytes", s, len(b))
	}
	return ip, nil
}

// acceptsConnections is __SO_ACCEPTCON in the flags of a unix socket.
const acceptsConnections = 0x10000

// unixLine is a socket in /proc/<pid>/net/unix.
type unixLine struct {
	flags uint64
	state string // "01" unconnected, "03" connected: include/uapi/linux/net.h
	inode uint64
	name  string // "" for none
}

// parseUnix returns what listens under a name in /proc/<pid>/net/unix.
func parseUnix(b []byte) ([]listening, error) {
	lines, err := parseUnixTable(b)
	var out []listening
	for _, l := range lines {
		if l.flags&acceptsConnections != 0 && l.name != "" {
			out = append(out, listening{"unix", l.name, 0, l.inode})
		}
	}
	return out, err
}

// parseUnixTable parses /proc/<pid>/net/unix. The kernel shows NUL as @ and escapes nothing: a socket's name may hold a
// newline and so look like a line of its own, with whatever it likes in it.
// Source: proc_pid_net(5).
func parseUnixTable(b []byte) ([]unixLine, error) {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("the table of sockets is cut: no newline at its end")
	}
	var out []unixLine
	n := 0
	for line := range bytes.Lines(b) {
		text := string(line[:len(line)-1])
		if n++; n == 1 {
			if !strings.HasPrefix(text, "Num ") {
				return nil, fmt.Errorf("first line %.200q: not the heading of a table of unix sockets", text)
			}
			continue
		}
		// Num: RefCount Protocol Flags Type St Inode Path
		f := make([]string, 0, 7)
		rest := text
		for len(f) < 7 {
			rest = strings.TrimLeft(rest, " ")
			i := strings.IndexByte(rest, ' ')
			if i < 0 {
				f = append(f, rest)
				rest = ""
				break
			}
			f = append(f, rest[:i])
			rest = rest[i:]
		}
		if len(f) < 7 || !strings.HasSuffix(f[0], ":") {
			return nil, fmt.Errorf("socket line %d %.200q: want Num: RefCount Protocol Flags Type St Inode", n, text)
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("socket line %d %.200q: flags %q", n, text, f[3])
		}
		inode, err := strconv.ParseUint(f[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("socket line %d %.200q: inode %q", n, text, f[6])
		}
		out = append(out, unixLine{flags, f[5], inode, strings.TrimPrefix(rest, " ")})
	}
	return out, nil
}
