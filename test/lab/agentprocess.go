//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// agentProcess is the real agent as a service that scans until it is stopped.
type agentProcess struct {
	cmd     *exec.Cmd
	reports chan []byte   // each line that it writes; closed when it ends
	ended   chan struct{} // closed when it is gone
	log     lockedBuffer
}

const agentService = "seaworthy-agent.service"

// startAgent starts the agent with further arguments. It writes its reports to
// this program, which keeps none of them that nobody asks for.
func startAgent(args ...string) (*agentProcess, error) {
	a := &agentProcess{reports: make(chan []byte), ended: make(chan struct{})}
	a.cmd = exec.Command(agentProgram, append([]string{"--collector", "-"}, args...)...)
	a.cmd.Stderr = &a.log
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startIn(agentService, a.cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(a.ended)
		defer func() { _ = a.cmd.Wait() }() // how it ended stands in its state
		defer close(a.reports)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			a.reports <- line
		}
	}()
	return a, nil
}

// next is the next report of the agent.
func (a *agentProcess) next(within time.Duration) ([]byte, error) {
	select {
	case line, ok := <-a.reports:
		if !ok {
			return nil, fmt.Errorf("the agent ended: %s", a.log.String())
		}
		return line, nil
	case <-time.After(within):
		return nil, fmt.Errorf("no report within %s: %s", within, a.log.String())
	}
}

// stop sends the agent a signal and says how long it then lived and how it ended.
func (a *agentProcess) stop(sig syscall.Signal, within time.Duration) (seconds float64, how string, err error) {
	began := time.Now()
	if err := a.cmd.Process.Signal(sig); err != nil {
		return 0, "", err
	}
	go func() {
		for range a.reports { // the last that it writes
		}
	}()
	select {
	case <-a.ended:
		return time.Since(began).Seconds(), a.cmd.ProcessState.String(), nil
	case <-time.After(within):
		states, _ := threadStates(a.cmd.Process.Pid)
		return 0, "", fmt.Errorf("the agent is there %s after signal %d: its threads are %s", within, sig, states)
	}
}

// once runs the agent for one report.
func once() (report []byte, took time.Duration, err error) {
	began := time.Now()
	a, err := startAgent("--once", "--interval", "1h")
	if err != nil {
		return nil, 0, err
	}
	const patience = 2 * time.Minute // what takes longer hangs, and the test says where
	report, err = a.next(patience)
	if err != nil {
		states, _ := threadStates(a.cmd.Process.Pid)
		return nil, time.Since(began), fmt.Errorf("%w; its threads: %s", err, states)
	}
	<-a.ended
	if state := a.cmd.ProcessState; !state.Success() {
		err = fmt.Errorf("the agent: %s: %s", state, a.log.String())
	}
	return report, time.Since(began), err
}

// threadStates are the states of the threads of a process, as proc_pid_stat(5)
// has them.
func threadStates(pid int) (string, error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, n := range names {
		text, err := os.ReadFile(n)
		if err != nil {
			continue // it ended
		}
		if i := bytes.LastIndexByte(text, ')'); i >= 0 && i+2 < len(text) {
			b.WriteByte(text[i+2])
		}
	}
	return b.String(), nil
}

// Usage is what a process has and has used.
type Usage struct {
	RSS     int64   `json:"rss"`  // KiB
	Anon    int64   `json:"anon"` // KiB of these that are not pages of the program's file
	Files   int     `json:"files"`
	Threads int     `json:"threads"`
	Written int64   `json:"written"` // bytes to storage: proc_pid_io(5), write_bytes
	CPU     float64 `json:"cpu"`     // seconds, of the control group that it is in
}

func (a *agentProcess) usage() (Usage, error) {
	var u Usage
	dir := fmt.Sprintf("/proc/%d/", a.cmd.Process.Pid)
	status, err := fields(dir + "status")
	if err != nil {
		return u, err
	}
	u.RSS, u.Anon, u.Threads = status["VmRSS"], status["RssAnon"], int(status["Threads"])
	transfers, err := fields(dir + "io")
	if err != nil {
		return u, err
	}
	u.Written = transfers["write_bytes"]
	files, err := os.ReadDir(dir + "fd")
	if err != nil {
		return u, err
	}
	u.Files = len(files)
	cpu, err := fields(filepath.Join(serviceGroup(agentService), "cpu.stat"))
	u.CPU = float64(cpu["usage_usec"]) / 1e6
	return u, err
}

// fields are the numbers of a file of lines "name: number" or "name number".
func fields(name string) (map[string]int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			out[strings.TrimSuffix(f[0], ":")] = n
		}
	}
	return out, nil
}

// lockedBuffer takes what a process writes while others look at it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// helper is a tool stage of the guest program that runs beside this program until
// it is told to stop.
type helper struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// startHelper starts a tool stage as a service and waits for the line with which
// it says that it is ready. The program may be a copy under another name.
func startHelper(unit, program string, args ...string) (*helper, error) {
	h := &helper{cmd: exec.Command(program, args...)}
	h.cmd.Stderr = os.Stdout
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.in, h.out = in, bufio.NewReader(out)
	if err := startIn(unit, h.cmd); err != nil {
		return nil, err
	}
	if line, err := h.out.ReadString('\n'); err != nil || line != "ready\n" {
		return nil, fmt.Errorf("%s said %q and not that it is ready: %w", unit, line, errors.Join(err, h.kill()))
	}
	return h, nil
}

// stop lets it end and returns what it then says.
func (h *helper) stop() (string, error) {
	h.in.Close()
	line, _ := h.out.ReadString('\n')
	return line, h.cmd.Wait()
}

func (h *helper) kill() error {
	err := h.cmd.Process.Kill()
	_ = h.cmd.Wait()
	return err
}

// untilTold says that a helper is ready and returns a channel that is closed when
// it must stop.
func untilTold() <-chan struct{} {
	fmt.Println("ready")
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return told
}
