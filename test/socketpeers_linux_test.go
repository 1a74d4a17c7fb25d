package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

const (
	peersInside  = "SEAWORTHY_TEST_PEERS"   // folder of TestSocketPeersInside's clients
	peersConnect = "SEAWORTHY_TEST_CONNECT" // socket that TestSocketPeersConnect connects to
)

// TestSocketPeers puts the socket of containerd, a client beside it and one in
// another network namespace where they are process 1 and its children, with a
// /run of their own, and asks this kernel who is connected.
func TestSocketPeers(t *testing.T) {
	unshare := []string{"-m", "-p", "-f", "--mount-proc", "--propagation", "private"}
	if out, err := exec.Command("unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no namespaces can be made: %v %s", err, out)
	}
	cmd := exec.Command("unshare", append(unshare, os.Args[0], "-test.run=^TestSocketPeersInside$", "-test.v")...)
	cmd.Env = append(os.Environ(), peersInside+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "SKIPPED: ") {
		t.Skipf("%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSocketPeersInside") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSocketPeersInside is process 1 of TestSocketPeers.
func TestSocketPeersInside(t *testing.T) {
	dir := os.Getenv(peersInside)
	if dir == "" || os.Getpid() != 1 {
		return // it is run by TestSocketPeers, in a process of its own
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("/run/containerd", 0o755); err != nil {
		t.Fatal(err)
	}
	const runtime, shim = "/run/containerd/containerd.sock", "@/containerd-shim/test.sock"
	client := func(name, socket string, command ...string) {
		t.Helper()
		exe := filepath.Join(dir, name)
		if err := os.Link(os.Args[0], exe); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		command = append(command, exe, "-test.run=^TestSocketPeersConnect$")
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), peersConnect+"="+socket)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	}
	serve := func(name string, clients int) func() {
		t.Helper()
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return func() {
			for range clients {
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
			}
		}
	}
	acceptRuntime, acceptShim := serve(runtime, 2), serve(shim, 1)
	client("beside", runtime)
	client("elsewhere", runtime, "unshare", "-n")
	client("of-shim", shim)
	acceptRuntime()
	acceptShim()

	h, err := hostfs.Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	peers, gaps, missing := node.SocketPeers.Of(node.Gather(t.Context(), h, time.Now()))
	if missing != nil && missing.Code == node.Unsupported {
		t.Skipf("SKIPPED: %s", missing.Reason)
	}
	if missing != nil || len(gaps) > 0 {
		t.Fatalf("missing %+v, gaps %v", missing, gaps)
	}
	var got []string
	for _, p := range peers {
		if len(p.Program.On.Options) == 0 || p.Container != "" || p.Pod != "" {
			t.Errorf("a program of the host on no mount: %+v", p)
		}
		got = append(got, fmt.Sprintf("%s %s %s", p.Engine, p.Socket, filepath.Base(p.Program.Path)))
	}
	slices.Sort(got)
	want := []string{"containerd " + runtime + " beside", "containerd " + runtime + " elsewhere", "containerd-shim @/containerd-shim/* of-shim"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestSocketPeersConnect is a client of TestSocketPeers.
func TestSocketPeersConnect(t *testing.T) {
	name := os.Getenv(peersConnect)
	if name == "" {
		return // it is run by TestSocketPeers, in a process of its own
	}
	c, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = os.Stdin.Read(make([]byte, 1))
}
