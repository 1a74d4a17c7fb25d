package peers

import (
	"context"
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
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// these are the facts of this machine, read once for all tests.
var these = sync.OnceValues(func() (node.Facts, error) {
	h, err := hostfs.Machine("/")
	if err != nil {
		return nil, err
	}
	return node.Gather(context.Background(), h, time.Now()), nil
})

// theirs is what another program prints. The test skips where it is not
// installed; CI installs it.
func theirs(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	out, err := exec.Command(name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%s %v: %v\n%s", name, args, err, exit.Stderr)
	}
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

func needFact[T any](t *testing.T, source node.Source[T]) (T, []node.Gap) {
	t.Helper()
	facts, err := these()
	if err != nil {
		t.Fatal(err)
	}
	v, gaps, missing := source.Of(facts)
	if missing != nil {
		t.Fatalf("%s: %s", source.Name, missing.Reason)
	}
	return v, gaps
}

func TestMountsAsFindmnt(t *testing.T) {
	var list struct {
		Filesystems []struct {
			Target string `json:"target"`
			Fstype string `json:"fstype"`
			Mount  string `json:"vfs-options"`
			Super  string `json:"fs-options"`
		} `json:"filesystems"`
	}
	out := theirs(t, "findmnt", "-N", "1", "-A", "--list", "-J", "-o", "TARGET,FSTYPE,VFS-OPTIONS,FS-OPTIONS")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	first := func(options string) string { word, _, _ := strings.Cut(options, ","); return word }
	var want []string
	for _, f := range list.Filesystems {
		want = append(want, strings.Join([]string{f.Target, f.Fstype, first(f.Mount), first(f.Super)}, " "))
	}
	mounts, _ := needFact(t, node.Mounts)
	passing, _ := needFact(t, node.PassingMounts)
	var got []string
	for _, m := range mounts {
		got = append(got, strings.Join([]string{m.Path, m.Type, m.Options[0], m.Super[0]}, " "))
	}
	// Mounts of pods and containers are counted, not listed.
	if passing.Mounts > 0 {
		before := len(want)
		want = slices.DeleteFunc(want, func(line string) bool { return !slices.Contains(got, line) })
		if before-len(want) != passing.Mounts {
			t.Errorf("findmnt has %d mounts that we have not, and we count %d", before-len(want), passing.Mounts)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounts (-findmnt +ours):\n%s", diff)
	}
}

func TestSysctlsAsSysctl(t *testing.T) {
	values, gaps := needFact(t, node.Sysctls)
	if len(gaps) > 0 {
		t.Fatalf("gaps: %v", gaps)
	}
	want, got := map[string]string{}, map[string]string{}
	for name, value := range values.Values {
		out := theirs(t, "sysctl", "-n", name)
		want[name], got[name] = strings.Join(strings.Fields(out), " "), value
	}
	if len(got) == 0 {
		t.Fatal("no kernel parameter was read")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernel parameters (-sysctl +ours):\n%s", diff)
	}
	for _, name := range values.Absent {
		if out, err := exec.Command("sysctl", "-n", name).CombinedOutput(); err == nil {
			t.Errorf("%s: absent by ours, %q by sysctl", name, out)
		}
	}
}

func TestListenersAsSS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // so that there is one whose program is known
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := theirs(t, "ss", "-Hlntp")
	want := map[string]bool{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		host, port, err := net.SplitHostPort(f[3])
		if err != nil {
			t.Fatalf("ss: %q: %v", line, err)
		}
		host, _, _ = strings.Cut(host, "%")
		network := "tcp"
		if host == "*" || strings.Contains(host, ":") {
			network = "tcp6"
		}
		if host == "*" {
			host = "::"
		}
		want[network+" "+net.JoinHostPort(host, port)] = true
	}
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	listeners, _, missing := node.Listeners.Of(node.Gather(t.Context(), h, time.Now()))
	if missing != nil {
		t.Fatal(missing.Reason)
	}
	got := map[string]bool{}
	for _, l := range listeners {
		if l.Network != "unix" {
			got[l.Network+" "+net.JoinHostPort(l.Address, strconv.Itoa(l.Port))] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listeners (-ss +ours):\n%s", diff)
	}
	here := l.Addr().(*net.TCPAddr).Port
	i := slices.IndexFunc(listeners, func(l node.Listener) bool { return l.Port == here })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if i < 0 || listeners[i].Program != exe || !strings.Contains(out, filepath.Base(exe)[:min(15, len(filepath.Base(exe)))]) {
		t.Errorf("the program of port %d is not %s by both", here, exe)
	}
}

func TestDeviceMapperAsDmsetup(t *testing.T) {
	if _, err := exec.LookPath("dmsetup"); err != nil {
		t.Skip("SKIPPED: dmsetup is not installed")
	}
	facts, err := these()
	if err != nil {
		t.Fatal(err)
	}
	verity, gaps, missing := node.Verity.Of(facts)
	out, err := exec.Command("dmsetup", "ls").CombinedOutput()
	if err != nil {
		// A kernel without device-mapper: neither program can say what it holds.
		if missing == nil && len(gaps) == 0 && len(verity.Devices) > 0 {
			t.Errorf("dmsetup: %v %s; ours: %+v", err, out, verity.Devices)
		}
		return
	}
	if missing != nil {
		t.Fatalf("dmsetup can list devices and we cannot: %s", missing.Reason)
	}
	var want, got []string
	for line := range strings.Lines(string(out)) {
		if name, _, ok := strings.Cut(line, "\t"); ok {
			want = append(want, name)
		}
	}
	for _, d := range verity.Devices {
		got = append(got, d.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("devices (-dmsetup +ours):\n%s", diff)
	}
}

func TestFilesAsStat(t *testing.T) {
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := h.ReadDir("etc", 10000)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"/etc/passwd", "/etc/shadow", "/tmp", "/run", "/proc/1", "/dev/null", "/usr/bin/passwd"}
	for _, e := range entries {
		names = append(names, "/etc/"+e.Name)
	}
	got := map[string]string{}
	var asked []string
	for _, name := range names {
		info, err := h.Lstat(name[1:])
		if node.IsAbsent(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got[name] = fmt.Sprintf("%o %d %d", info.Mode, info.UID, info.GID)
		if info.Type == node.Regular {
			got[name] += fmt.Sprint(" ", info.Size)
		}
		asked = append(asked, name)
	}
	want := map[string]string{}
	for line := range strings.Lines(theirs(t, "stat", append([]string{"--printf", `%n\t%a %u %g\t%F\t%s\n`}, asked...)...)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		want[f[0]] = f[1]
		if strings.HasPrefix(f[2], "regular") {
			want[f[0]] += " " + f[3]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-stat +ours):\n%s", diff)
	}
}

// TestVerityFilesAsLsattr asks for files that the kernel checks against a hash of
// their own: lsattr shows them by V.
func TestVerityFilesAsLsattr(t *testing.T) {
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/usr/bin/env", "/etc/passwd"} {
		out, err := exec.Command("lsattr", "-d", name).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip("SKIPPED: lsattr is not installed")
		}
		if err != nil { // a file system without attributes has no verity files
			out = nil
		}
		flags, _, _ := strings.Cut(string(out), " ")
		b, err := h.Kernel.Ask(node.Question{Kind: node.AskVerity, Of: name[1:]})
		if err != nil {
			t.Fatal(err)
		}
		var ours node.FileVerity
		if err := json.Unmarshal(b, &ours); err != nil {
			t.Fatal(err)
		}
		if ours.Enabled != strings.Contains(flags, "V") {
			t.Errorf("%s: lsattr shows %q, ours %+v", name, flags, ours)
		}
	}
}
