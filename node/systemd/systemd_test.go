package systemd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// busConfig lets the owner of this test do anything on a bus that nobody else is on.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>%s</policy></busconfig>`

// privateBus starts a dbus-daemon of this test's own below a folder that is laid
// out like a host, and returns that folder. It is no systemd, and starts nothing.
func privateBus(t *testing.T, policy string) string {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("SKIPPED: there is no dbus-daemon here: the questions to systemd are not tested")
	}
	root, err := os.MkdirTemp("", "") // short enough for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	at := filepath.Join(root, socket)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(root, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, at, policy), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon did not start: %q, %v", line, err)
	}
	return root
}

// A fakeUnit has its properties by interface and name, of the types that
// org.freedesktop.systemd1(5) gives them.
type fakeUnit struct {
	name, state string
	properties  map[string]any
}

// fakeManager answers like systemd's manager what this test has put into it.
type fakeManager struct{ units []fakeUnit }

func (m *fakeManager) ListUnits() ([]systemd.UnitStatus, *dbus.Error) {
	list := []systemd.UnitStatus{}
	for _, u := range m.units {
		list = append(list, systemd.UnitStatus{Name: u.name, LoadState: u.state, ActiveState: "active", Path: pathOf(u.name), JobPath: "/"})
	}
	return list, nil
}

func pathOf(name string) dbus.ObjectPath {
	return dbus.ObjectPath("/org/freedesktop/systemd1/unit/" + systemd.PathBusEscape(name))
}

// fakeProperties are those of one unit. A question that is not known fails the test.
type fakeProperties struct {
	t    *testing.T
	unit fakeUnit
	mu   *sync.Mutex
	seen map[string]bool
}

func (p *fakeProperties) Get(kind, name string) (dbus.Variant, *dbus.Error) {
	key := strings.TrimPrefix(kind, "org.freedesktop.systemd1.") + "." + name
	p.mu.Lock()
	p.seen[key] = true
	p.mu.Unlock()
	v, ok := p.unit.properties[key]
	if !ok {
		p.t.Errorf("%s was asked for %s, which this test does not know", p.unit.name, key)
		return dbus.Variant{}, dbus.MakeFailedError(errors.New("unknown"))
	}
	return dbus.MakeVariant(v), nil
}

// serve puts the units on the bus and returns what tells which properties have
// been asked for.
func serve(t *testing.T, root string, units ...fakeUnit) func() []string {
	t.Helper()
	conn, err := (&asking{path: filepath.Join(root, socket)}).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Export(&fakeManager{units}, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"); err != nil {
		t.Fatal(err)
	}
	seen, mu := map[string]bool{}, &sync.Mutex{}
	for _, u := range units {
		if err := conn.Export(&fakeProperties{t, u, mu, seen}, pathOf(u.name), "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("%v, %v", reply, err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(maps.Keys(seen))
	}
}

// commandOf is a command of a(sasbttttuii), with a secret among its arguments.
func commandOf(program string) []command {
	return []command{{Path: program, Arguments: []string{program, "--token=s3cret"}, PID: 812}}
}

func service(name, fragment string, dropIns []string, start string) fakeUnit {
	none := []command{}
	return fakeUnit{name, "loaded", map[string]any{
		"Unit.FragmentPath": fragment, "Unit.DropInPaths": dropIns, "Unit.UnitFileState": "enabled", "Unit.NeedDaemonReload": start == "",
		"Service.ExecStart": commandOf(start), "Service.ExecStartPre": none, "Service.ExecStartPost": none, "Service.ExecCondition": none,
		"Service.ExecReload": none, "Service.ExecStop": none, "Service.ExecStopPost": commandOf("/usr/bin/after"),
	}}
}

func ask(t *testing.T, root string) (node.SystemdUnits, string, error) {
	t.Helper()
	machine, err := hostfs.Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	tree, err := hostfs.Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	h := &node.Host{FS: tree.FS, Kernel: machine.Kernel}
	Ask(h, root)
	b, err := h.Kernel.Ask(node.Question{Kind: node.AskSystemd})
	if err != nil {
		return node.SystemdUnits{}, "", err
	}
	var v node.SystemdUnits
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v, string(b), nil
}

func TestUnitsThatSystemdHasLoaded(t *testing.T) {
	root := privateBus(t, "")
	vendor := fakeUnit{"dbus.service", "loaded", map[string]any{"Unit.FragmentPath": "/usr/lib/systemd/system/dbus.service", "Unit.DropInPaths": []string{}}}
	listener := fakeUnit{"x.socket", "loaded", map[string]any{
		"Unit.FragmentPath": "/run/systemd/generator/x.socket", "Unit.DropInPaths": []string{}, "Unit.UnitFileState": "generated", "Unit.NeedDaemonReload": false,
		"Socket.ExecStartPre": commandOf("/opt/pre"), "Socket.ExecStartPost": []command{}, "Socket.ExecStopPre": []command{}, "Socket.ExecStopPost": []command{},
	}}
	seen := serve(t, root,
		service("kubelet.service", "/etc/systemd/system/kubelet.service", []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"}, "/usr/bin/kubelet"),
		vendor, listener,
		fakeUnit{"wanted.service", "not-found", nil},
		fakeUnit{"multi-user.target", "loaded", map[string]any{"Unit.FragmentPath": "/etc/systemd/system/multi-user.target", "Unit.DropInPaths": []string{}, "Unit.UnitFileState": "static", "Unit.NeedDaemonReload": true}},
	)
	got, text, err := ask(t, root)
	if err != nil {
		t.Fatal(err)
	}
	want := node.SystemdUnits{Asked: "yes", Units: []node.LoadedUnit{
		{Name: "kubelet.service", Fragment: "/etc/systemd/system/kubelet.service", DropIns: []string{"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"}, State: "enabled", Starts: []string{"/usr/bin/after", "/usr/bin/kubelet"}},
		{Name: "x.socket", Fragment: "/run/systemd/generator/x.socket", DropIns: []string{}, State: "generated", Starts: []string{"/opt/pre"}},
		{Name: "multi-user.target", Fragment: "/etc/systemd/system/multi-user.target", DropIns: []string{}, State: "static", Starts: []string{}, Stale: true},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("an argument is in the answer: %s", text)
	}
	for _, key := range seen() {
		if strings.Contains(key, "Environment") {
			t.Errorf("%s was asked for", key)
		}
	}
	// All other questions go to the kernel.
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	Ask(h, root)
	if b, err := h.Kernel.Ask(node.Question{Kind: node.AskUname}); err != nil || !strings.Contains(string(b), "release") {
		t.Errorf("uname: %s, %v", b, err)
	}
}

func TestWhereSystemdDoesNotAnswer(t *testing.T) {
	codeOf := func(err error) node.Code {
		var e *node.Error
		if !errors.As(err, &e) {
			t.Fatalf("%v is no *node.Error", err)
		}
		return e.Code
	}
	t.Run("no bus", func(t *testing.T) {
		if _, _, err := ask(t, t.TempDir()); codeOf(err) != node.Absent {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the name of the bus leads to another socket", func(t *testing.T) {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "run/dbus"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/run/containerd/containerd.sock", filepath.Join(root, socket)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ask(t, root); codeOf(err) != node.Failed || !strings.Contains(err.Error(), "is a link and no socket") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a bus without systemd", func(t *testing.T) {
		root := privateBus(t, "")
		_, _, err := ask(t, root)
		if codeOf(err) != node.Failed || !strings.Contains(err.Error(), "org.freedesktop.DBus.Error.ServiceUnknown") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a systemd that says nothing", func(t *testing.T) {
		root := privateBus(t, "")
		serve(t, root)
		if _, _, err := ask(t, root); codeOf(err) != node.Failed || !strings.Contains(err.Error(), "it has loaded nothing") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the policy of the bus does not allow it", func(t *testing.T) {
		root := privateBus(t, `<deny send_interface="org.freedesktop.systemd1.Manager"/>`)
		serve(t, root, service("a.service", "/etc/systemd/system/a.service", []string{}, "/a"))
		if _, _, err := ask(t, root); codeOf(err) != node.Denied {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a property of another type", func(t *testing.T) {
		root := privateBus(t, "")
		serve(t, root, fakeUnit{"a.service", "loaded", map[string]any{"Unit.FragmentPath": uint32(7)}})
		if _, _, err := ask(t, root); codeOf(err) != node.Failed || !strings.Contains(err.Error(), `FragmentPath of "a.service"`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a tree has no systemd", func(t *testing.T) {
		h, err := hostfs.Tree(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if Ask(h, "/"); h.Kernel != nil {
			t.Error("a tree was given somebody to ask")
		}
	})
}
