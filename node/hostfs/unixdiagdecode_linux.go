package hostfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// Layout and values of unix_diag. Source: the kernel's
// include/uapi/linux/{netlink,sock_diag,unix_diag}.h and include/net/tcp_states.h.
const (
	diagRequestSize = 24 // struct unix_diag_req
	diagSocketSize  = 16 // struct unix_diag_msg

	udiagShowName = 1 << 0
	udiagShowVFS  = 1 << 1
	udiagShowPeer = 1 << 2

	unixDiagName = 0
	unixDiagVFS  = 1
	unixDiagPeer = 2

	tcpEstablished = 1
	tcpListen      = 10
)

var diagStates = map[byte]string{tcpEstablished: node.UnixEstablished, tcpListen: node.UnixListen}

// errDiagChanged says that the table changed while it was read.
var errDiagChanged = errors.New("the table of unix sockets changed while it was read")

// diagRequest asks for all unix sockets that are connected or listen.
func diagRequest(seq uint32) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+diagRequestSize)
	e := binary.NativeEndian
	e.PutUint32(b[0:], uint32(len(b)))
	e.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	e.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	e.PutUint32(b[8:], seq)
	b[16] = unix.AF_UNIX
	e.PutUint32(b[20:], 1<<tcpEstablished|1<<tcpListen)
	e.PutUint32(b[28:], udiagShowName|udiagShowVFS|udiagShowPeer)
	return b
}

// parseDiag parses one datagram of the answer to the request seq. done says that
// it was the last one. Sockets without a name are left out: the end of a
// connection that was accepted has the name of the socket that listens.
func parseDiag(b []byte, seq uint32) (sockets []node.UnixSocket, done bool, err error) {
	e := binary.NativeEndian
	for len(b) > 0 {
		if done {
			return nil, false, fmt.Errorf("%d bytes follow the end of the unix sockets", len(b))
		}
		if len(b) < unix.NLMSG_HDRLEN {
			return nil, false, fmt.Errorf("netlink message %x is cut", b)
		}
		size, kind, flags := int(e.Uint32(b)), e.Uint16(b[4:]), e.Uint16(b[6:])
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return nil, false, fmt.Errorf("netlink message of %d bytes in %d", size, len(b))
		}
		if got := e.Uint32(b[8:]); got != seq {
			return nil, false, fmt.Errorf("netlink message answers request %d, not %d", got, seq)
		}
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			return nil, false, errDiagChanged
		}
		payload := b[unix.NLMSG_HDRLEN:size]
		switch kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(payload) < 4 {
				return nil, false, fmt.Errorf("end of netlink messages %x is cut", payload)
			}
			if errno := int32(e.Uint32(payload)); errno < 0 {
				return nil, false, unix.Errno(-errno)
			}
			if kind == unix.NLMSG_ERROR {
				return nil, false, errors.New("netlink acknowledges what asks for an answer")
			}
			done = true
		case unix.SOCK_DIAG_BY_FAMILY:
			s, err := parseDiagSocket(payload)
			if err != nil {
				return nil, false, err
			}
			if s.Name != "" {
				sockets = append(sockets, s)
			}
		default:
			return nil, false, fmt.Errorf("netlink message of type %d among unix sockets", kind)
		}
		b = b[min(aligned(size), len(b)):]
	}
	return sockets, done, nil
}

// aligned is NLMSG_ALIGN and NLA_ALIGN.
func aligned(n int) int { return (n + 3) &^ 3 }

// parseDiagSocket parses struct unix_diag_msg and its attributes.
func parseDiagSocket(b []byte) (node.UnixSocket, error) {
	e := binary.NativeEndian
	if len(b) < diagSocketSize || b[0] != unix.AF_UNIX {
		return node.UnixSocket{}, fmt.Errorf("unix socket %x is cut or of another family", b)
	}
	state, ok := diagStates[b[2]]
	if !ok {
		return node.UnixSocket{}, fmt.Errorf("unix socket %d has state %d", e.Uint32(b[4:]), b[2])
	}
	s := node.UnixSocket{Inode: uint64(e.Uint32(b[4:])), State: state}
	for b = b[diagSocketSize:]; len(b) > 0; {
		if len(b) < 4 {
			return node.UnixSocket{}, fmt.Errorf("attribute %x of unix socket %d is cut", b, s.Inode)
		}
		size, kind := int(e.Uint16(b)), e.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return node.UnixSocket{}, fmt.Errorf("attribute of %d bytes in %d of unix socket %d", size, len(b), s.Inode)
		}
		value := b[4:size]
		want := map[uint16]int{unixDiagVFS: 8, unixDiagPeer: 4}
		if n, ok := want[kind]; ok && len(value) != n {
			return node.UnixSocket{}, fmt.Errorf("attribute %d of unix socket %d has %d bytes, want %d", kind, s.Inode, len(value), n)
		}
		switch kind {
		case unixDiagName:
			s.Name = diagName(value)
		case unixDiagVFS:
			// The number of a file in 32 bits, and of its file system as the kernel has
			// it inside: 12 bits of major and 20 of minor (include/linux/kdev_t.h).
			dev := e.Uint32(value[4:])
			s.File, s.Dev = e.Uint32(value), fmt.Sprintf("%d:%d", dev>>20, dev&(1<<20-1))
		case unixDiagPeer:
			s.Peer = uint64(e.Uint32(value))
		}
		b = b[min(aligned(size), len(b)):]
	}
	return s, nil
}

// diagName is the name as /proc/net/unix shows it: a path without the NUL at its
// end, or an abstract name whose NULs are @. What is not UTF-8 becomes U+FFFD, as
// it would in JSON.
func diagName(b []byte) string {
	if len(b) > 0 && b[0] != 0 {
		b, _, _ = bytes.Cut(b, []byte{0})
	}
	return strings.ToValidUTF8(string(bytes.ReplaceAll(b, []byte{0}, []byte{'@'})), "\uFFFD")
}
