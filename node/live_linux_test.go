package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/procfs"
)

// thisMachine is the running machine, for tests: no link is kept from leading
// anywhere.
type thisMachine struct{}

func machineError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{op, "/" + name, Failed, ""}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH), errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.ENOTDIR):
		e.Code = Absent
	case errors.Is(err, fs.ErrPermission):
		e.Code = Denied
	case errors.Is(err, syscall.EOPNOTSUPP):
		e.Code = Unsupported
	default:
		var errno syscall.Errno
		errors.As(err, &errno)
		e.Detail = errno.Error()
	}
	return e
}

func (thisMachine) ReadFile(name string, _ int64, redact func([]byte) []byte) ([]byte, error) {
	b, err := os.ReadFile("/" + name)
	if err == nil && redact != nil {
		b = redact(b)
	}
	return b, machineError("reading", name, err)
}

func (thisMachine) ReadDir(name string, _ int) ([]DirEntry, error) {
	list, err := os.ReadDir("/" + name)
	var out []DirEntry
	for _, e := range list {
		out = append(out, DirEntry{e.Name(), machineTypes[e.Type()]})
	}
	return out, machineError("listing", name, err)
}

var machineTypes = map[fs.FileMode]FileType{0: Regular, fs.ModeDir: Directory, fs.ModeSymlink: Symlink, fs.ModeSocket: Socket}

func info(op, name string, i fs.FileInfo, err error) (FileInfo, error) {
	if err != nil {
		return FileInfo{}, machineError(op, name, err)
	}
	st := i.Sys().(*syscall.Stat_t)
	return FileInfo{Type: machineTypes[i.Mode().Type()], Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Size: i.Size(), Ino: st.Ino}, nil
}

func (thisMachine) Lstat(name string) (FileInfo, error) {
	i, err := os.Lstat("/" + name)
	return info("looking at", name, i, err)
}

func (thisMachine) Stat(name string) (FileInfo, error) {
	i, err := os.Stat("/" + name)
	return info("looking at", name, i, err)
}

func (thisMachine) ReadLink(name string) (string, error) {
	to, err := os.Readlink("/" + name)
	return to, machineError("reading link", name, err)
}

func (thisMachine) Xattr(name, attr string) ([]byte, error) {
	b := make([]byte, 1024)
	n, err := syscall.Getxattr("/"+name, attr, b)
	return b[:max(n, 0)], machineError("reading attribute of", name, err)
}

func (thisMachine) Digest(name string, _ int64) (string, error) {
	b, err := os.ReadFile("/" + name)
	return fmt.Sprintf("%x", sha256.Sum256(b)), machineError("hashing", name, err)
}

func (thisMachine) Head(name string, n int) ([]byte, error) {
	b, err := os.ReadFile("/" + name)
	return b[:min(n, len(b))], machineError("reading the head of", name, err)
}

func (thisMachine) Avoid([]string) {}

func thisHost() *Host {
	h := &Host{FS: thisMachine{}}
	return &Host{FS: h.FS, gathering: newGathering(context.Background(), h, time.Time{}), evidence: &evidence{}}
}

// pidsOf are the processes that procfs sees that have memory of their own.
func pidsOf(t *testing.T) []int {
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, p := range all {
		if s, err := p.Stat(); err == nil && s.VSize > 0 {
			out = append(out, p.PID)
		}
	}
	slices.Sort(out)
	return out
}

func TestProcessesOfThisMachine(t *testing.T) {
	before := pidsOf(t)
	table, err := readProcesses(thisHost())
	if err != nil {
		t.Fatal(err)
	}
	after := pidsOf(t)
	for _, pid := range before { // what was there before and after was there meanwhile
		if _, found := table.byPID(pid); !found && slices.Contains(after, pid) {
			t.Errorf("process %d is missing", pid)
		}
	}
	for _, p := range table.processes {
		if !slices.Contains(before, p.pid) && !slices.Contains(after, p.pid) {
			if _, err := os.Stat("/proc/" + strconv.Itoa(p.pid)); err == nil {
				t.Errorf("process %d (%s) has no memory", p.pid, p.comm)
			}
			continue
		}
		peer, err := procfs.NewProc(p.pid)
		if err != nil {
			continue
		}
		s, err := peer.NewStatus()
		if err == nil && (uint64(p.uid) != s.UIDs[1] || uint64(p.gid) != s.GIDs[1] || p.capPrm != s.CapPrm) {
			t.Errorf("process %d: got uid %d gid %d capabilities %x want %d %d %x", p.pid, p.uid, p.gid, p.capPrm, s.UIDs[1], s.GIDs[1], s.CapPrm)
		}
	}
	own, found := table.byPID(os.Getpid())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !found || own.exe != exe {
		t.Errorf("this test: got %q want %q", own.exe, exe)
	}
	for _, g := range table.gaps {
		t.Log(g)
	}
}

func TestListenersOfThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("SKIPPED: no loopback: %v", err)
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "") // short enough for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	u, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	b, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := procfs.NewFS("/proc")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := peer.NetTCP() //nolint:staticcheck // the same file read by another program is the point
	if err != nil {
		t.Fatal(err)
	}
	ours, err := parseTCP("tcp", b)
	if err != nil {
		t.Fatal(err)
	}
	const listen = 10 // TCP_LISTEN
	want := map[uint64]string{}
	for _, s := range theirs {
		if s.St == listen {
			want[s.Inode] = net.JoinHostPort(s.LocalAddr.String(), strconv.Itoa(int(s.LocalPort)))
		}
	}
	got := map[uint64]string{}
	for _, s := range ours {
		got[s.inode] = net.JoinHostPort(s.address, strconv.Itoa(s.port))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("TCP (-procfs +ours):\n%s", d)
	}

	port := l.Addr().(*net.TCPAddr).Port
	here := func(s listening) bool { return s.port == port && s.address == "127.0.0.1" }
	if !slices.ContainsFunc(ours, here) {
		t.Errorf("port %d of this test is not among %+v", port, ours)
	}
	first, err := os.ReadFile("/proc/1/net/tcp")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if of1, err := parseTCP("tcp", first); err != nil || !slices.ContainsFunc(of1, here) {
		t.Skipf("SKIPPED: process 1 has another network namespace, %v", err)
	}
	all, gaps, err := Listeners.Read(t.Context(), thisHost())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(l Listener) bool {
		return l.Network == "tcp" && l.Address == "127.0.0.1" && l.Port == port && l.Program == exe
	}) {
		t.Errorf("port %d of this test, %s, is not among %+v; gaps %v", port, exe, all, gaps)
	}
}

// A real mount namespace: a tmpfs below /usr, and a folder there made read-only.
func TestRealMountNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", "mount -t tmpfs x /usr/local && mount --bind /usr/share /usr/share && mount -o remount,bind,ro /usr/share && echo ready && read x")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Skipf("SKIPPED: no mounts may be made here: %q, %v", line, err)
	}
	found, gaps, err := MountNamespaces.Read(t.Context(), thisHost())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ns := range found {
		for _, m := range ns.Mounts {
			if m.Path == "/usr/local" || m.Path == "/usr/share" {
				got = append(got, m.Path+" "+m.Root+" "+m.Options[0])
			}
		}
	}
	if d := cmp.Diff([]string{"/usr/local / rw", "/usr/share /usr/share ro"}, got); d != "" {
		t.Errorf("gaps %v (-want +got):\n%s", gaps, d)
	}
}

// A real tree: each executable with what the standard library says of it.
func TestInventoryOfThisMachine(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a/x": 0o755, "a/y": 0o644, "b/c/z": 0o700, "d": 0o644 | os.ModeSetuid} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte("#!"+name), 0o600), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
	}
	h := &Host{FS: thisMachine{}}
	if _, err := h.ReadFile("proc/1/mountinfo", 1<<20); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	view := &Host{FS: h.FS, gathering: newGathering(t.Context(), h, time.Time{}), evidence: &evidence{}}
	inv, gaps, err := readInventory(t.Context(), view, []string{dir}, &h.walked.passing, defaultLimits)
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got gaps %v, error %v", gaps, err)
	}
	var got []string
	for _, f := range inv.Files {
		got = append(got, fmt.Sprintf("%s %04o %d %s %s", strings.TrimPrefix(f.Path, dir), f.Mode, f.Size, f.Kind, f.SHA256))
	}
	want := []string{
		"/a/x 0755 5 script " + sum("#!a/x"), "/b/c/z 0700 7 script " + sum("#!b/c/z"), "/d 4644 3 script " + sum("#!d"),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// What this process has mapped, as the procfs package sees it.
func TestMappingsOfThisMachine(t *testing.T) {
	self, err := procfs.Self()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	theirs, err := self.ProcMaps()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{}
	for _, m := range theirs {
		if m.Perms.Execute && strings.HasPrefix(m.Pathname, "/") {
			want[m.Pathname] = m.Inode
		}
	}
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := parseMaps(redactMaps(b))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, m := range ours {
		got[m.path] = m.ino
	}
	if d := cmp.Diff(want, got); d != "" || len(got) == 0 {
		t.Errorf("(-procfs +ours):\n%s", d)
	}

	all, gaps, err := Mappings.Read(t.Context(), thisHost())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(m Mapping) bool { return m.Path == exe })
	if i < 0 || all[i].SHA256 != sum(string(content)) || !slices.Equal(all[i].Programs, []string{exe}) {
		t.Errorf("this test, %s, is not among %d mappings with its digest; gaps %v", exe, len(all), gaps)
	}
}

// No source breaks on a machine that is not composed.
func TestSourcesOfThisMachine(t *testing.T) {
	sources := []AnySource{Processes, MountNamespaces, RuntimeSockets, Listeners, SocketHolders, Containers, RuntimeConfig, Agents, AgentCosts}
	for name, f := range gather(t.Context(), &Host{FS: thisMachine{}}, time.Time{}, sources) {
		if f.Missing != nil && f.Missing.Code != Denied {
			t.Errorf("%s: %+v", name, f.Missing)
		}
		t.Logf("%s: %d gaps", name, len(f.Gaps))
	}
}

// hashedMachine hashes a file once, as package hostfs does while it is unchanged.
type hashedMachine struct {
	thisMachine
	sums map[string]string
}

func (m hashedMachine) Digest(name string, max int64) (string, error) {
	if s, ok := m.sums[name]; ok {
		return s, nil
	}
	s, err := m.thisMachine.Digest(name, max)
	m.sums[name] = s
	return s, err
}

// BenchmarkMappings reads the memory maps of this machine's processes, whose table
// is there already and whose executables are hashed; "files" says how many they have
// mapped, "processes" how many there are.
func BenchmarkMappings(b *testing.B) {
	h := thisHost()
	h.FS = hashedMachine{sums: map[string]string{}}
	t, err := h.gathering.processes()
	if err != nil {
		b.Skipf("SKIPPED: %v", err)
	}
	files := 0
	for b.Loop() {
		all, _, err := Mappings.Read(b.Context(), h)
		if err != nil {
			b.Fatal(err)
		}
		files = len(all)
	}
	b.ReportMetric(float64(files), "files")
	b.ReportMetric(float64(len(t.processes)), "processes")
}

// BenchmarkProcessTable reads this machine's processes; "processes" says how
// many they are.
func BenchmarkProcessTable(b *testing.B) {
	n := 0
	for b.Loop() {
		t, err := readProcesses(thisHost())
		if err != nil {
			b.Fatal(err)
		}
		n = len(t.processes)
	}
	b.ReportMetric(float64(n), "processes")
}
