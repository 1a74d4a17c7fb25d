package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seaworthy/seaworthy/node/wire"
)

// TestPrograms builds both programs as they ship and tests them from outside.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "../cmd/seaworthy", "../cmd/seaworthy-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	t.Run("scripts", func(t *testing.T) { runScripts(t, dir) })
	t.Run("checks document", func(t *testing.T) { checksDocument(t, dir) })
	t.Run("agent's last report", func(t *testing.T) { agentsLastReport(t, dir) })
}

// runScripts runs the scripts in scripts/.
func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 "scripts",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
			env.Setenv("LANG", "C.UTF-8")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "proc": // this machine can be scanned
				_, err := os.Stat("/proc/self/mountinfo")
				return err == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"freeport": freeport,
			"waitfor":  waitfor,
			"take":     take,
		},
	})
}

// exits CODE PROGRAM [ARG…] runs a program that must end with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: got exit code %d, want %d", args[1], got, want)
	}
}

// freeport NAME… sets each variable to a port of the loopback that was free.
func freeport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeport NAME…")
	}
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // only after all are chosen: no two are the same
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

// waitfor URL [TEXT] waits until it answers 200, with the text in its answer where
// there is one, and ! waitfor until nothing does.
func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: [!] waitfor URL [TEXT]")
	}
	text := []byte(strings.Join(args[1:], ""))
	client := http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := client.Get(args[0])
		var body []byte
		if err == nil {
			body, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		if up := err == nil && answer.StatusCode == http.StatusOK && bytes.Contains(body, text); up != neg {
			return
		}
	}
	ts.Fatalf("waiting for %s: nothing changed in time", args[0])
}

// take ADDRESS listens there until the script ends, as another program would.
func take(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: take ADDRESS")
	}
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// checksDocument demands that what `make docs` writes is in docs.
func checksDocument(t *testing.T, dir string) {
	for file, args := range map[string][]string{
		"checks.md":                    {"checks", "-o", "markdown"},
		"standards/cis-kubernetes.md":  {"checks", "--standard", "cis-kubernetes", "-o", "markdown"},
		"standards/kubernetes-stig.md": {"checks", "--standard", "kubernetes-stig", "-o", "markdown"},
	} {
		want, err := exec.Command(filepath.Join(dir, "seaworthy"), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("docs/%s is not what the checks say: run make docs", file)
		}
	}
}

// agentsLastReport stops an agent with SIGTERM, as the kubelet does, and counts
// what arrived: a report at the start, and one more before it ends well.
func agentsLastReport(t *testing.T, dir string) {
	if runtime.GOOS != "linux" {
		t.Skip("an agent runs on Linux alone")
	}
	arrived := make(chan wire.Report, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		report, err := wire.Decode(body)
		if err != nil {
			t.Error(err)
		}
		arrived <- report
		if err := json.NewEncoder(w).Encode(wire.Ack{Received: time.Now()}); err != nil {
			t.Error(err)
		}
	}))
	defer collector.Close()

	var log bytes.Buffer
	agent := exec.CommandContext(t.Context(), filepath.Join(dir, "seaworthy-agent"), "--collector", collector.URL, "--interval", "1h", "--node", "node-7", "--cluster", "prod", "--log", "json", "--debug")
	agent.Stderr = &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	first := <-arrived
	if first.Node != "node-7" || first.Cluster != "prod" || first.Interval != time.Hour {
		t.Errorf("got a report of %s/%s every %s, want prod/node-7 every 1h", first.Cluster, first.Node, first.Interval)
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err != nil {
		t.Errorf("the agent ended with %v, want exit code 0\n%s", err, log.Bytes())
	}
	select {
	case last := <-arrived:
		if !last.At.After(first.At) {
			t.Errorf("the last report is of %s, the first of %s: want a fresh one", last.At, first.At)
		}
	default:
		t.Errorf("no last report arrived\n%s", log.Bytes())
	}
	for _, want := range []string{`"msg":"first report"`, `"msg":"footprint of the agent"`, `"msg":"stopped"`} {
		if !bytes.Contains(log.Bytes(), []byte(want)) {
			t.Errorf("the log lacks %s\n%s", want, log.Bytes())
		}
	}
}
