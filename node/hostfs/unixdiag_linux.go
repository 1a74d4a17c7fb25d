package hostfs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

const (
	diagBuffer     = 64 << 10 // the kernel packs at most 32 KiB into a datagram
	maxDiagBytes   = 32 << 20 // some 400,000 sockets
	maxDiagSockets = 1 << 16  // that have a name
	diagTries      = 4        // to read a table that does not change meanwhile
)

// unixSockets asks for the unix sockets of this program's network namespace.
// Source: sock_diag(7). It needs no right.
func (k *kernel) unixSockets() (node.UnixSockets, error) {
	// Which namespace that is only the program's own /proc can tell, whatever tree
	// is looked at.
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return node.UnixSockets{}, err
	}
	if err := k.answersUnixDiag(); err != nil {
		return node.UnixSockets{}, err
	}
	for try := uint32(1); ; try++ {
		sockets, err := diagAsk(try)
		if errors.Is(err, errDiagChanged) && try < diagTries {
			continue
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			return node.UnixSockets{}, unsupported("this kernel has no unix_diag")
		}
		return node.UnixSockets{Namespace: fmt.Sprintf("net:[%d]", st.Ino), Sockets: sockets}, err
	}
}

// diagAsk asks once, over a socket of its own, so that nothing of an answer that
// was given up is left.
func diagAsk(seq uint32) ([]node.UnixSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return nil, unsupported("this kernel has no sock_diag(7)")
	case err != nil:
		return nil, err
	}
	defer unix.Close(fd)
	// The kernel answers at once. Should it not, nothing may hang here.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	if err := unix.Sendto(fd, diagRequest(seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	out := []node.UnixSocket{}
	buffer := make([]byte, diagBuffer)
	for total := 0; ; {
		n, _, flags, from, err := unix.Recvmsg(fd, buffer, nil, 0)
		switch a, ok := from.(*unix.SockaddrNetlink); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case !ok || a.Pid != 0:
			continue // from a program, not from the kernel
		case flags&unix.MSG_TRUNC != 0:
			return nil, &node.Error{Code: node.TooLarge, Detail: fmt.Sprintf("a datagram of more than %d bytes", diagBuffer)}
		}
		some, done, err := parseDiag(buffer[:n], seq)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
		if total += n; total > maxDiagBytes || len(out) > maxDiagSockets {
			return nil, &node.Error{Code: node.TooLarge, Detail: fmt.Sprintf("more than %d unix sockets that have a name, or %d bytes", maxDiagSockets, maxDiagBytes)}
		}
		if done {
			return out, nil
		}
	}
}

const unixDiagModule = "unix_diag"

// answersUnixDiag makes sure that the question loads no module: the kernel would
// load unix_diag by itself (net/core/sock_diag.c, sock_load_diag_module), and this
// program changes nothing. So it has to be loaded, or built in.
func (k *kernel) answersUnixDiag() error {
	switch _, err := k.tree.Stat("sys/module/" + unixDiagModule); {
	case err == nil:
		return nil
	case !node.IsAbsent(err):
		return err
	}
	u, err := uname()
	if err != nil {
		return err
	}
	// depmod(8): what is built in is listed beside the modules.
	b, err := k.tree.ReadFile("lib/modules/"+u.Release+"/modules.builtin", 1<<20, nil)
	if err == nil && bytes.Contains(b, []byte("/"+unixDiagModule+".ko\n")) {
		return nil
	}
	b, err = k.tree.ReadFile("proc/config.gz", 1<<20, nil)
	if err == nil && builtIn(b, "CONFIG_UNIX_DIAG") {
		return nil
	}
	return unsupported("the kernel's module " + unixDiagModule + " is not loaded, or it cannot be told whether it is built in; this program loads none")
}

// builtIn reports whether a kernel's configuration, packed, has an option as "y".
func builtIn(packed []byte, option string) bool {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(io.LimitReader(r, 4<<20))
	for lines.Scan() {
		if lines.Text() == option+"=y" {
			return true
		}
	}
	return false
}
