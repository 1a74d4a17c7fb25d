package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

const (
	kubeBenchModule    = "github.com/aquasecurity/kube-bench"
	kubeBenchBenchmark = "cis-1.11" // the newest that the pinned version has

	// How long a build from nothing and one run may take on a busy machine.
	kubeBenchBuild = 9 * time.Minute
	kubeBenchRun   = 2 * time.Minute

	// Where kube-bench and what it needs lie in the tree of a node.
	kubeBenchHome = ".kube-bench"
)

// kubeBench is the real program, built from its module.
type kubeBench struct {
	program string // a file
	config  string // a folder: its cfg
	version string
}

// buildKubeBench builds kube-bench once for all tests of this package. The error
// is errNoKubeBench where its source cannot be had.
var buildKubeBench = sync.OnceValues(func() (kubeBench, error) {
	ctx, cancel := context.WithTimeout(context.Background(), kubeBenchBuild)
	defer cancel()
	goCommand := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = "kubebench"
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
		cmd.WaitDelay = 10 * time.Second
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("go %s: %w\n%s", args[0], err, exit.Stderr)
		}
		return strings.TrimSpace(string(out)), err
	}
	// Loads the source of everything that goes into it, and compiles nothing.
	if _, err := goCommand("list", "-deps", "-f", "", kubeBenchModule); err != nil {
		return kubeBench{}, fmt.Errorf("%w: %w", errNoKubeBench, err)
	}
	about, err := goCommand("list", "-m", "-f", "{{.Dir}}\t{{.Version}}", kubeBenchModule)
	if err != nil {
		return kubeBench{}, err
	}
	dir, version, _ := strings.Cut(about, "\t")
	program := filepath.Join(scratch, "kube-bench")
	// As .ci/run builds it, or the build cache has nothing for it.
	if _, err := goCommand("build", "-trimpath", "-ldflags=-s -w", "-o", program, kubeBenchModule); err != nil {
		return kubeBench{}, err
	}
	return kubeBench{program, filepath.Join(dir, "cfg"), version}, nil
})

var errNoKubeBench = errors.New("the source of kube-bench cannot be had")

// scratch is a folder that is there while the tests of this package run.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "peers"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// needKubeBench skips where kube-bench cannot be had or run.
func needKubeBench(t *testing.T) kubeBench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: kube-bench is run in a chroot, which needs root")
	}
	if _, err := staticBusybox(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	b, err := buildKubeBench()
	if errors.Is(err, errNoKubeBench) {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// staticBusybox is a busybox that runs in a tree without libraries.
func staticBusybox() (string, error) {
	name, err := exec.LookPath("busybox")
	if err != nil {
		return "", errors.New("busybox is not installed (apt: busybox-static)")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	if bytes.Contains(b, []byte("/ld-linux")) {
		return "", fmt.Errorf("%s is not linked statically (apt: busybox-static)", name)
	}
	return name, nil
}

// kubeBenchResult is what kube-bench says of one item.
type kubeBenchResult struct {
	Item   string `json:"test_number"`
	Status string `json:"status"` // PASS, FAIL, WARN or INFO
	Actual string `json:"actual_value"`
	Reason string `json:"reason"`
}

// run runs kube-bench in a tree that looks like the node on the tape, in order
// of its items.
func (b kubeBench) run(t *testing.T, tape *capture.Tape) []kubeBenchResult {
	t.Helper()
	root := t.TempDir()
	tree := newTree(t, root)
	defer tree.root.Close()
	tree.lay(tape)
	tree.equip(b, processesOf(t, tape))

	ctx, cancel := context.WithTimeout(t.Context(), kubeBenchRun)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/"+kubeBenchHome+"/kube-bench", "run", "--targets", "node", "--benchmark", kubeBenchBenchmark,
		"--config-dir", "/"+kubeBenchHome+"/cfg", "--config", "/"+kubeBenchHome+"/cfg/config.yaml", "--json")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kube-bench: %v\n%s%s", err, out, &stderr)
	}
	if b, err := tree.root.ReadFile(kubeBenchHome + "/unanswered"); err == nil {
		t.Errorf("kube-bench asked what the ps of this test does not answer:\n%s", b)
	}
	var answer struct {
		Controls []struct {
			Tests []struct {
				Results []kubeBenchResult `json:"results"`
			} `json:"tests"`
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("kube-bench printed: %v\n%s%s", err, out, &stderr)
	}
	var results []kubeBenchResult
	for _, c := range answer.Controls {
		for _, group := range c.Tests {
			results = append(results, group.Results...)
		}
	}
	if len(results) == 0 {
		t.Fatalf("kube-bench judged nothing\n%s%s", out, &stderr)
	}
	return results
}

// process is one of a node as ps shows it.
type process struct {
	pid, name, command string
}

// processesOf are the processes that a tape has the arguments of.
func processesOf(t *testing.T, tape *capture.Tape) []process {
	t.Helper()
	var out []process
	names := map[string]string{}
	for _, e := range tape.Exchanges() {
		parts := strings.Split(strings.TrimPrefix(e.What, "/"), "/")
		if e.Op != "read" || e.Err != nil || len(parts) != 3 || parts[0] != "proc" {
			continue
		}
		if _, err := strconv.Atoi(parts[1]); err != nil {
			continue
		}
		switch parts[2] {
		case "status":
			for line := range strings.Lines(e.Answer) {
				if name, is := strings.CutPrefix(line, "Name:\t"); is {
					names[parts[1]] = strings.TrimSpace(name)
				}
			}
		case "cmdline":
			if words := strings.TrimSpace(strings.ReplaceAll(e.Answer, "\x00", " ")); words != "" {
				out = append(out, process{pid: parts[1], command: words})
			}
		}
	}
	for i, p := range out {
		if out[i].name = names[p.pid]; out[i].name == "" {
			first, _, _ := strings.Cut(p.command, " ")
			out[i].name = path.Base(first)
		}
	}
	return out
}

// tree is a folder that is made to look like the root of a node. It is written
// through an os.Root: no link of a node leads out of it.
type tree struct {
	t    *testing.T
	root *os.Root
}

func newTree(t *testing.T, dir string) tree {
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree{t, root}
}

// lay makes every folder, file and link that the tape has an answer about.
// What a tape has only the attributes of is an empty file; what it has only the
// content of is root's and readable to all.
func (d tree) lay(tape *capture.Tape) {
	exchanges := tape.Exchanges()
	of := func(ops ...string) []capture.Exchange {
		var out []capture.Exchange
		for _, e := range exchanges {
			if e.Err == nil && slices.Contains(ops, e.Op) && e.What != "/" {
				e.What = strings.TrimPrefix(e.What, "/")
				out = append(out, e)
			}
		}
		// Shallow ones first, or a folder would stand where a link belongs.
		slices.SortStableFunc(out, func(a, b capture.Exchange) int {
			return strings.Count(a.What, "/") - strings.Count(b.What, "/")
		})
		return out
	}
	for _, e := range of("readlink") {
		d.within(e.What)
		target := e.Answer
		if path.IsAbs(target) { // the same within the chroot, and an os.Root follows it
			target = strings.Repeat("../", strings.Count(e.What, "/")) + strings.TrimPrefix(target, "/")
		}
		d.may(d.root.Symlink(target, e.What), "linking", e.What)
	}
	for _, e := range of("list") {
		d.folder(e.What)
		var entries []node.DirEntry
		d.must(json.Unmarshal([]byte(e.Answer), &entries))
		for _, entry := range entries {
			if entry.Type == node.Directory {
				d.folder(path.Join(e.What, entry.Name))
			}
		}
	}
	for _, e := range of("read") {
		d.within(e.What)
		d.may(d.root.WriteFile(e.What, []byte(e.Answer), 0o644), "writing", e.What)
	}
	for _, e := range of("lstat", "stat") {
		var info node.FileInfo
		d.must(json.Unmarshal([]byte(e.Answer), &info))
		if info.Type == node.Symlink {
			continue
		}
		if _, err := d.root.Stat(e.What); err != nil {
			if info.Type == node.Directory {
				d.folder(e.What)
			} else {
				d.within(e.What)
				d.may(d.root.WriteFile(e.What, nil, 0o644), "writing", e.What)
			}
		}
		if _, err := d.root.Stat(e.What); err != nil {
			continue // a link to what the tape says nothing of
		}
		d.may(d.root.Chmod(e.What, fs.FileMode(info.Mode&0o777)), "setting the mode of", e.What)
		d.may(d.root.Chown(e.What, int(info.UID), int(info.GID)), "setting the owner of", e.What)
	}
}

// equip puts kube-bench and what its audits call into the tree.
func (d tree) equip(b kubeBench, processes []process) {
	for _, name := range []string{"bin", "dev", "etc", "tmp", kubeBenchHome} {
		d.folder(name)
	}
	busybox, err := staticBusybox()
	d.must(err)
	d.copyFile(busybox, "bin/busybox", 0o755)
	for _, name := range []string{"sh", "awk", "cat", "echo", "egrep", "find", "grep", "head", "ls", "sed", "stat", "test", "tr", "uniq", "wc", "xargs"} {
		d.root.Remove("bin/" + name)
		d.must(d.root.Symlink("busybox", "bin/"+name))
	}
	d.file("dev/null", "", 0o666)
	if _, err := d.root.Stat("etc/passwd"); err != nil { // stat says the names of owners
		d.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
	}
	if _, err := d.root.Stat("etc/group"); err != nil {
		d.file("etc/group", "root:x:0:\n", 0o644)
	}
	var table strings.Builder
	for _, p := range processes {
		fmt.Fprintf(&table, "%s\t%s\t%s\n", p.name, p.pid, p.command)
	}
	d.file(kubeBenchHome+"/processes", table.String(), 0o644)
	d.root.Remove("bin/ps")
	d.file("bin/ps", psScript, 0o755)
	d.copyFile(b.program, kubeBenchHome+"/kube-bench", 0o755)
	for _, name := range []string{"config.yaml", kubeBenchBenchmark + "/config.yaml", kubeBenchBenchmark + "/node.yaml"} {
		d.folder(path.Dir(kubeBenchHome + "/cfg/" + name))
		d.copyFile(filepath.Join(b.config, name), kubeBenchHome+"/cfg/"+name, 0o644)
	}
}

// psScript answers the calls of ps that kube-bench makes as procps does, from
// the recorded processes. Another call fails the test: it must not be answered
// by nothing.
const psScript = `#!/bin/sh
table=/` + kubeBenchHome + `/processes
case "$*" in
"-C "*" -o cmd --no-headers") awk -F '\t' -v name="$2" '$1 == name {print $3; found = 1} END {exit !found}' $table ;;
"-fC "*) echo "UID PID PPID C STIME TTY TIME CMD"
	awk -F '\t' -v name="$2" '$1 == name {print "root " $2 " 1 0 00:00 ? 00:00:00 " $3; found = 1} END {exit !found}' $table ;;
"-ef") echo "UID PID PPID C STIME TTY TIME CMD"
	awk -F '\t' '{print "root " $2 " 1 0 00:00 ? 00:00:00 " $3}' $table ;;
"-fC") echo "error: list of command names must follow -C" >&2; exit 1 ;; # where no kubelet was found
*) echo "ps $*" >> /` + kubeBenchHome + `/unanswered; exit 2 ;;
esac
`

func (d tree) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// may takes the failure of what lies in the kernel's own file systems, of which
// kube-bench reads nothing: there names stand twice in ways that files cannot.
func (d tree) may(err error, doing, name string) {
	d.t.Helper()
	top, _, _ := strings.Cut(name, "/")
	if err != nil && top != "proc" && top != "sys" {
		d.t.Errorf("%s %q: %v", doing, name, err)
	}
}

// folder makes a folder, also where a link to one that is not there stands in the
// way, as /bin does for /usr/bin.
func (d tree) folder(name string) {
	for at, rest := "", name; rest != ""; {
		var next string
		next, rest, _ = strings.Cut(rest, "/")
		at = path.Join(at, next)
		to, err := d.root.Readlink(at)
		if _, gone := d.root.Stat(at); err == nil && gone != nil {
			d.folder(path.Join(path.Dir(at), to))
		}
	}
	d.may(d.root.MkdirAll(name, 0o755), "making", name)
}

func (d tree) within(name string) { d.folder(path.Dir(name)) }

func (d tree) file(name, content string, mode fs.FileMode) {
	d.t.Helper()
	d.must(d.root.WriteFile(name, []byte(content), mode))
	d.must(d.root.Chmod(name, mode))
}

func (d tree) copyFile(from, to string, mode fs.FileMode) {
	d.t.Helper()
	b, err := os.ReadFile(from)
	d.must(err)
	d.file(to, string(b), mode)
}

// TestKubeBenchSeesTheNode holds the tree and the answers of ps to what was
// recorded: a kubelet that kube-bench cannot find would make it fail for nothing.
func TestKubeBenchSeesTheNode(t *testing.T) {
	b := needKubeBench(t)
	tape := capture.New(capture.Header{Kind: capture.Composed, Node: "test"})
	tape.Content("proc/7/cmdline", "/usr/bin/kubelet\x00--config=/var/lib/kubelet/config.yaml\x00--anonymous-auth=true\x00")
	tape.Content("proc/7/status", "Name:\tkubelet\n")
	tape.Content("var/lib/kubelet/config.yaml", "authentication: {anonymous: {enabled: false}}\nreadOnlyPort: 10255\nmakeIPTablesUtilChains: true\n")
	tape.Info("var/lib/kubelet/config.yaml", node.FileInfo{Type: node.Regular, Mode: 0o600})
	tape.Info("etc/kubernetes/kubelet.conf", node.FileInfo{Type: node.Regular, Mode: 0o640, UID: 0, GID: 7})
	got := map[string]string{}
	for _, r := range b.run(t, tape) {
		got[r.Item] = r.Status
	}
	for item, want := range map[string]string{
		"4.1.5":  "FAIL", // mode
		"4.1.6":  "FAIL", // group
		"4.1.9":  "PASS", // mode of the configuration
		"4.1.10": "PASS",
		"4.2.1":  "FAIL", // the argument wins
		"4.2.3":  "FAIL", // nothing set
		"4.2.4":  "WARN", // the port is open, and the item is not scored
		"4.2.6":  "PASS", // from the file
		"4.2.7":  "PASS", // no such argument
	} {
		if got[item] != want {
			t.Errorf("%s: %s, want %s", item, got[item], want)
		}
	}
}
