package hostfs

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// diagAttribute is one attribute, with what aligns it.
func diagAttribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, aligned(len(b))-len(b))...)
}

func diagMessage(kind, flags uint16, seq uint32, payload []byte) []byte {
	e := binary.NativeEndian
	b := e.AppendUint32(nil, uint32(16+len(payload)))
	b = e.AppendUint16(e.AppendUint16(b, kind), flags)
	b = append(e.AppendUint32(e.AppendUint32(b, seq), 4711), payload...)
	return append(b, make([]byte, aligned(len(b))-len(b))...)
}

// diagSocket is a socket as the kernel packs it; name as it was bound to.
func diagSocket(state byte, inode, peer uint32, name string) []byte {
	e := binary.NativeEndian
	b := append([]byte{unix.AF_UNIX, unix.SOCK_STREAM, state, 0}, make([]byte, 12)...)
	e.PutUint32(b[4:], inode)
	if name != "" {
		b = append(b, diagAttribute(unixDiagName, []byte(name))...)
	}
	if strings.HasPrefix(name, "/") {
		b = append(b, diagAttribute(unixDiagVFS, e.AppendUint32(e.AppendUint32(nil, 77), 254<<20|3))...)
	}
	if peer != 0 {
		b = append(b, diagAttribute(unixDiagPeer, e.AppendUint32(nil, peer))...)
	}
	return b
}

func TestParseDiag(t *testing.T) {
	socket := func(b []byte) []byte { return diagMessage(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_MULTI, 1, b) }
	end := diagMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, 1, []byte{0, 0, 0, 0})
	refused := binary.NativeEndian.AppendUint32(nil, uint32(0xffffffff-uint32(unix.ENOENT)+1))
	edit := func(b []byte, at int, to byte) []byte { b = slices.Clone(b); b[at] = to; return b }
	for _, tt := range []struct {
		name string
		b    []byte
		want []node.UnixSocket
		done bool
		bad  string
	}{
		{"nothing there", end, nil, true, ""},
		{"one that listens, and one connection", slices.Concat(socket(diagSocket(tcpListen, 5, 0, "/run/x.sock\x00")), socket(diagSocket(tcpEstablished, 6, 7, "/run/x.sock"))), []node.UnixSocket{
			{Inode: 5, Name: "/run/x.sock", State: node.UnixListen, File: 77, Dev: "254:3"},
			{Inode: 6, Peer: 7, Name: "/run/x.sock", State: node.UnixEstablished, File: 77, Dev: "254:3"},
		}, false, ""},
		{"the end of the client has no name", socket(diagSocket(tcpEstablished, 7, 6, "")), nil, false, ""},
		{"an abstract name with a NUL in it", socket(diagSocket(tcpListen, 5, 0, "\x00a\x00b")), []node.UnixSocket{{Inode: 5, Name: "@a@b", State: node.UnixListen}}, false, ""},
		{"a name that is not UTF-8", socket(diagSocket(tcpListen, 5, 0, "\x00a\xff")), []node.UnixSocket{{Inode: 5, Name: "@a\uFFFD", State: node.UnixListen}}, false, ""},
		{"the kernel has no unix_diag", diagMessage(unix.NLMSG_ERROR, 0, 1, refused), nil, false, "no such file or directory"},
		{"the table changed", diagMessage(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP_INTR, 1, diagSocket(tcpListen, 5, 0, "/x")), nil, false, errDiagChanged.Error()},
		{"an answer to another request", diagMessage(unix.NLMSG_DONE, 0, 2, []byte{0, 0, 0, 0}), nil, false, "netlink message answers request 2, not 1"},
		{"a cut head", end[:12], nil, false, "is cut"},
		{"longer than what came", end[:16], nil, false, "netlink message of 20 bytes in 16"},
		{"something after the end", slices.Concat(end, end), nil, false, "20 bytes follow the end of the unix sockets"},
		{"a state that was not asked for", socket(diagSocket(7, 5, 0, "/x")), nil, false, "unix socket 5 has state 7"},
		{"another family", socket(edit(diagSocket(tcpListen, 5, 0, "/x"), 0, unix.AF_INET)), nil, false, "of another family"},
		{"an attribute longer than the socket", socket(edit(diagSocket(tcpListen, 5, 0, "/x"), 16, 200)), nil, false, "attribute of 200 bytes"},
		{"a peer of two bytes", socket(append(diagSocket(tcpEstablished, 5, 0, ""), diagAttribute(unixDiagPeer, []byte{1, 2})...)), nil, false, "attribute 2 of unix socket 5 has 2 bytes, want 4"},
		{"an attribute that is not known is passed over", socket(append(diagSocket(tcpListen, 5, 0, "/x"), diagAttribute(99, []byte{1})...)), []node.UnixSocket{{Inode: 5, Name: "/x", State: node.UnixListen, File: 77, Dev: "254:3"}}, false, ""},
		{"another kind of message", diagMessage(99, 0, 1, nil), nil, false, "netlink message of type 99 among unix sockets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, done, err := parseDiag(tt.b, 1)
			if tt.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tt.bad) {
					t.Fatalf("got %+v, %v, want %s", got, err, tt.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" || done != tt.done {
				t.Errorf("done %v, want %v (-want +got):\n%s", done, tt.done, d)
			}
		})
	}
}

// What parses is, packed again, the same.
func FuzzParseDiag(f *testing.F) {
	f.Add(diagMessage(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_MULTI, 1, diagSocket(tcpEstablished, 6, 7, "/run/x.sock\x00")))
	f.Add(diagMessage(unix.SOCK_DIAG_BY_FAMILY, 0, 1, diagSocket(tcpListen, 6, 0, "\x00a\x00")))
	f.Add(diagMessage(unix.NLMSG_DONE, 0, 1, []byte{0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		sockets, _, err := parseDiag(b, 1)
		if err != nil {
			return
		}
		for _, s := range sockets {
			if s.Name == "" || s.State == "" {
				t.Fatalf("%+v of %x", s, b)
			}
			if strings.HasPrefix(s.Name, "@") || s.Dev == "" || s.File == 0 {
				continue // what was bound to an abstract name may have begun with @ as well
			}
			e := binary.NativeEndian
			state := byte(tcpListen)
			if s.State == node.UnixEstablished {
				state = tcpEstablished
			}
			major, minor, _ := strings.Cut(s.Dev, ":")
			packed := diagSocket(state, uint32(s.Inode), uint32(s.Peer), "")
			packed = append(packed, diagAttribute(unixDiagName, []byte(s.Name))...)
			packed = append(packed, diagAttribute(unixDiagVFS, e.AppendUint32(e.AppendUint32(nil, s.File), uint32(atoi(t, major))<<20|uint32(atoi(t, minor))))...)
			again, err := parseDiagSocket(packed)
			if d := cmp.Diff(s, again); err != nil || d != "" {
				t.Fatalf("%v (-first +again):\n%s", err, d)
			}
		}
	})
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func askUnix(t *testing.T) node.UnixSockets {
	t.Helper()
	h, err := Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	b, err := h.Kernel.Ask(node.Question{Kind: node.AskUnix})
	var e *node.Error
	if errors.As(err, &e) && e.Code == node.Unsupported {
		t.Skipf("SKIPPED: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	var v node.UnixSockets
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func socketInode(t *testing.T, c syscall.Conn) uint64 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := raw.Control(func(fd uintptr) {
		if err := unix.Fstat(int(fd), &st); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// A listener and its client in this process, by path and by abstract name.
func TestAskUnix(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "x.sock"), fmt.Sprintf("@seaworthy-test-%d", os.Getpid())} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()

		want := []node.UnixSocket{
			{Inode: socketInode(t, l), Name: name, State: node.UnixListen},
			{Inode: socketInode(t, server), Peer: socketInode(t, client), Name: name, State: node.UnixEstablished},
		}
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err == nil {
			for i := range want {
				want[i].File, want[i].Dev = uint32(st.Ino), fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
			}
		}
		v := askUnix(t)
		if link, err := os.Readlink("/proc/self/ns/net"); err != nil || v.Namespace != link {
			t.Errorf("got the namespace %s, want %s, %v", v.Namespace, link, err)
		}
		got := slices.DeleteFunc(v.Sockets, func(s node.UnixSocket) bool { return s.Name != name })
		slices.SortFunc(got, func(a, b node.UnixSocket) int { return strings.Compare(b.State, a.State) })
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}

		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		for _, s := range askUnix(t).Sockets {
			if s.Name == name && s.Peer != 0 {
				t.Errorf("after the client has gone: %+v", s)
			}
		}
	}
}

// Both ends of a connection are in the client's network namespace, which is why
// connections from others are looked for elsewhere.
func TestUnixOfAnotherNamespace(t *testing.T) {
	if err := exec.Command("unshare", "-n", "true").Run(); err != nil {
		t.Skipf("SKIPPED: no network namespace can be made: %v", err)
	}
	name := filepath.Join(t.TempDir(), "x.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := exec.Command("unshare", "-n", os.Args[0], "-test.run=^TestConnectAndWait$")
	client.Env = append(os.Environ(), "SEAWORTHY_CONNECT="+name)
	stdin, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = client.Wait() }()
	server, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	inode := socketInode(t, server)
	for _, s := range askUnix(t).Sockets {
		if s.Inode == inode {
			t.Errorf("the end of a client in another network namespace is seen here: %+v", s)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", client.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), fmt.Sprintf(" 03 %d %s\n", inode, name)) {
		t.Errorf("no connected socket %d %s in the client's table:\n%s", inode, name, b)
	}
}

// TestConnectAndWait is the client of other tests, in a process of its own.
func TestConnectAndWait(t *testing.T) {
	name := os.Getenv("SEAWORTHY_CONNECT")
	if name == "" {
		return // it is run by another test, in a process of its own
	}
	c, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// ss(8) asks the same question.
func TestUnixAgainstSS(t *testing.T) {
	if _, err := exec.LookPath("ss"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	name := filepath.Join(t.TempDir(), "x.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 40 {
		c, err := net.Dial("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	got := map[string]bool{}
	for _, s := range askUnix(t).Sockets {
		if s.Name == name {
			got[fmt.Sprintf("%d %d", s.Inode, s.Peer)] = true
		}
	}
	out, err := exec.Command("ss", "-x", "-a", "-H").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		// Netid State Recv-Q Send-Q name inode peer-name peer-inode
		if f := strings.Fields(line); len(f) >= 8 && f[4] == name {
			want[f[5]+" "+f[7]] = true
		}
	}
	if d := cmp.Diff(want, got); d != "" || len(want) != 41 {
		t.Errorf("%d sockets (-ss +got):\n%s", len(want), d)
	}
}

// A question to the kernel may load no module.
func TestAnswersUnixDiag(t *testing.T) {
	u, err := uname()
	if err != nil {
		t.Fatal(err)
	}
	packed := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return b.String()
	}
	for _, tt := range []struct {
		name, file, text string
		want             bool
	}{
		{"nothing is known", "etc/x", "", false},
		{"loaded", "sys/module/unix_diag/refcnt", "0\n", true},
		{"built in, by the list beside the modules", "lib/modules/" + u.Release + "/modules.builtin", "kernel/net/unix/unix.ko\nkernel/net/unix/unix_diag.ko\n", true},
		{"another is built in", "lib/modules/" + u.Release + "/modules.builtin", "kernel/net/unix/unix.ko\n", false},
		{"built in, by the kernel's configuration", "proc/config.gz", packed("CONFIG_UNIX=y\nCONFIG_UNIX_DIAG=y\n"), true},
		{"a module that is not loaded", "proc/config.gz", packed("CONFIG_UNIX=y\nCONFIG_UNIX_DIAG=m\n"), false},
		{"a configuration that is none", "proc/config.gz", "CONFIG_UNIX_DIAG=y\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root+"/"+tt.file, tt.text)
			tree, err := newTree(root)
			if err != nil {
				t.Fatal(err)
			}
			err = (&kernel{tree}).answersUnixDiag()
			if (err == nil) != tt.want {
				t.Errorf("got %v, want an answer: %v", err, tt.want)
			}
		})
	}
}
