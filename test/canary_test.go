package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// TestCanary plants a secret wherever one can lie (see plants), reads the whole
// node, and looks for it in the report and in the capture.
func TestCanary(t *testing.T) {
	for _, kubelet := range []string{"kubelet", "k3s", "kubelite"} {
		t.Run(kubelet, func(t *testing.T) {
			keys := newCanaryKeys(t)
			host, err := hostfs.Tree(plantAll(t, keys, kubelet))
			if err != nil {
				t.Fatal(err)
			}
			recorder, tape := capture.Record(host)
			facts := node.Gather(context.Background(), recorder, theTime)
			known, _, err := profiles.Load()
			if err != nil {
				t.Fatal(err)
			}
			profile, _ := verify.Detect(facts, known)
			reported, err := json.Marshal(verify.NewReport("test", verify.Checks(), facts, profile, theTime))
			if err != nil {
				t.Fatal(err)
			}
			var captured bytes.Buffer
			if err := tape.Write(&captured); err != nil {
				t.Fatal(err)
			}
			search(t, "report", reported, keys)
			search(t, "capture", captured.Bytes(), keys)
			wasRead(t, tape, kubelet)
		})
	}
}

// plantAll is a file tree with every plant.
func plantAll(t *testing.T, keys canaryKeys, kubelet string) string {
	t.Helper()
	root := t.TempDir()
	all := plants(keys)
	for _, p := range canaryProcesses(kubelet) {
		all = append(all, p.files()...)
		symlink(t, filepath.Join(root, fmt.Sprintf("proc/%d/exe", p.pid)), p.exe)
		symlink(t, filepath.Join(root, fmt.Sprintf("proc/%d/root", p.pid)), "/")
		ns := "mnt:[4026531841]"
		if p.container() {
			ns = "mnt:[4026532000]"
		}
		symlink(t, filepath.Join(root, fmt.Sprintf("proc/%d/ns/mnt", p.pid)), ns)
	}
	symlink(t, filepath.Join(root, "var/lib/kubelet/pki/kubelet-client-current.pem"), "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem")
	for _, p := range all {
		name := filepath.Join(root, p.path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(p.content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func symlink(t *testing.T, name, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// search looks for every form of the canary in text.
func search(t *testing.T, where string, text []byte, keys canaryKeys) {
	t.Helper()
	for _, needle := range needles(keys) {
		for line := range bytes.Lines(text) {
			if at := bytes.Index(line, []byte(needle)); at >= 0 {
				t.Errorf("the %s holds the canary as %q: %.200q in the line that begins %.120q", where, needle, line[max(0, at-80):], line)
			}
		}
	}
}

// wasRead demands that files which must be asked for their content were, so that
// a canary that was not found was not simply not looked at.
func wasRead(t *testing.T, tape *capture.Tape, kubelet string) {
	t.Helper()
	want := slices.Concat(canaryRead, map[string][]string{
		"kubelet":  {"/etc/kubernetes/kubelet.yaml", "/etc/kubernetes/kubelet.conf", "/etc/kubernetes/bootstrap-kubelet.conf"},
		"k3s":      {"/etc/rancher/k3s/config.yaml"},
		"kubelite": {"/var/snap/microk8s/current/args/kubelet"},
	}[kubelet])
	for _, e := range tape.Exchanges() {
		if e.Op == "read" && e.Err == nil {
			want = slices.DeleteFunc(want, func(p string) bool { return p == e.What })
		}
	}
	if len(want) > 0 {
		t.Errorf("these hold the canary and were not read: %s", strings.Join(want, ", "))
	}
}

// TestCanaryIsSeen holds the search to what it must find: every form of the
// canary, in text that would be a leak.
func TestCanaryIsSeen(t *testing.T) {
	keys := newCanaryKeys(t)
	for name, leak := range leaks(keys) {
		found := slices.ContainsFunc(needles(keys), func(n string) bool { return strings.Contains(leak, n) })
		if !found {
			t.Errorf("the search misses the canary %s: %.200q", name, leak)
		}
	}
}
