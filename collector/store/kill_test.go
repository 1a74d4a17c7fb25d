package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// The database is for one process. The test binary is the other one.
func TestSecondCollectorIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	child, lines := startChild(t, "hold", path)
	if got := <-lines; got != "holding" {
		t.Fatalf("got %q", got)
	}
	_, err := Open(path)
	var used *InUseError
	if !errors.As(err, &used) || used.Holder.PID != child.Process.Pid || used.Holder.Where != "http://127.0.0.1:8440" {
		t.Fatalf("got %v, want that process %d at http://127.0.0.1:8440 has it", err, child.Process.Pid)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", child.Process.Pid)) || !strings.Contains(err.Error(), "at http://127.0.0.1:8440") {
		t.Errorf("the error does not say where: %v", err)
	}
	kill(t, child)
	open(t, path) // whoever held it is gone, however it went
}

// What was acknowledged before kill -9 is there afterwards.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	acknowledged := map[string]string{} // node → release
	for round := range 3 {
		child, lines := startChild(t, fmt.Sprintf("write %d", round), path)
		for range 150 {
			line, ok := <-lines
			if !ok {
				t.Fatal("the child ended by itself")
			}
			name, release, _ := strings.Cut(line, " ")
			acknowledged[name] = release
		}
		kill(t, child)
		for line := range lines { // what it acknowledged before it died
			if name, release, ok := strings.Cut(line, " "); ok {
				acknowledged[name] = release
			}
		}
	}
	s := open(t, path)
	for name, release := range acknowledged {
		d, err := s.Node(t.Context(), "prod", name)
		if err != nil {
			t.Fatal(err)
		}
		kernel, _, missing := node.Kernel.Of(d.Facts)
		if missing != nil || number(t, kernel.Release) < number(t, release) {
			t.Errorf("%s: got release %q, want at least %q, which was acknowledged", name, kernel.Release, release)
		}
		if len(d.History) < min(number(t, release)+1, MaxHistory) {
			t.Errorf("%s: got %d states, want one for each of %s changes", name, len(d.History), release)
		}
	}
}

func number(t *testing.T, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return n
}

const childEnv = "SEAWORTHY_TEST_STORE_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what, os.Getenv(childEnv+"_PATH")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func startChild(t *testing.T, what, path string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+what, childEnv+"_PATH="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := make(chan string, 1<<16)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	return cmd, lines
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = cmd.Process.Wait() // the pipe is still read to its end
}

// child is the other process: it holds the database, or writes to it with
// several goroutines and prints a line for each report that is acknowledged.
func child(what, path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	if what == "hold" {
		if err := s.Announce("http://127.0.0.1:8440"); err != nil {
			return err
		}
		fmt.Println("holding")
		select {}
	}
	round := strings.TrimPrefix(what, "write ")
	var mu sync.Mutex // lines are whole
	errs := make(chan error)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("node-%s-%d", round, w)
				if _, err := s.Put(context.Background(), report(name, fmt.Sprint(i)), time.Now()); err != nil {
					errs <- err
					return
				}
				mu.Lock()
				fmt.Println(name, i)
				mu.Unlock()
			}
		}()
	}
	return <-errs
}
