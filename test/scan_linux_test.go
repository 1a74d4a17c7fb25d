package test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// benchNode names the environment variable that makes this test binary process
// 1 of a small node of its own, which it describes in JSON.
const benchNode = "SEAWORTHY_BENCH_NODE"

// smallNode is a node in process, mount and network namespaces of its own on
// this machine: what the kernel answers is real.
type smallNode struct {
	Processes int // that sleep; every fifteenth holds a socket that listens
	Mounts    int // of pods
	Copies    int // processes with a copy of the mount namespace, as sandboxed services have one
	// Fresh makes every scan the first of a program, which reads what is read once an
	// hour or a boot as well.
	Fresh bool
	Facts bool   // answers with facts that an hour passes between, not with costs
	Name  string // of the host, where it is not to be this machine's
	Burnt int    // processes that came and went before each scan
}

// cost is what one scan cost the process that scanned.
type cost struct {
	CPU       time.Duration // user and system, the garbage collector's with it
	Allocs    uint64
	Bytes     uint64
	Processes int // that it saw, kernel threads with them
	Mounts    int // that it saw
}

// BenchmarkScan scans a recorded node with 300 processes beside its own: what the
// program itself costs, without what the kernel takes to answer. "steady" is what an
// agent does every minute; "first" is the first scan of a program, with all that is
// read once an hour or a boot.
func BenchmarkScan(b *testing.B) {
	stop, err := sleepers(300, 0)
	if err != nil {
		b.Fatal(err)
	}
	live, err := hostfs.Machine("/")
	if err != nil {
		stop()
		b.Skipf("SKIPPED: this machine cannot be read: %v", err)
	}
	recorder, tape := capture.Record(live)
	node.Gather(b.Context(), recorder, theTime)
	stop()
	s, err := newScanner(tape.Host())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("steady", func(b *testing.B) {
		s.scan(b.Context())
		b.ReportAllocs()
		for b.Loop() {
			s.scan(b.Context())
		}
	})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.host = tape.Host()
			s.scan(b.Context())
		}
	})
}

// BenchmarkScanOfThisMachine scans what the kernel says of real processes and
// mounts. The processor time is that of the whole scanning process: the median
// and, as other programs on the machine add to it, the smallest.
func BenchmarkScanOfThisMachine(b *testing.B) {
	b.Run("300-processes-beside-its-own", func(b *testing.B) {
		stop, err := sleepers(300, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer stop()
		s, err := newMachineScanner()
		if err != nil {
			b.Skipf("SKIPPED: this machine cannot be read: %v", err)
		}
		benchmarkScan(b, func() cost { return s.measure(b.Context()) })
	})
	for _, tt := range []struct {
		name string
		node smallNode
	}{
		{"1-process", smallNode{Processes: 1}},
		{"300-processes", smallNode{Processes: 300}},
		{"300-processes-for-the-first-time", smallNode{Processes: 300, Fresh: true}},
		{"300-processes-3000-mounts", smallNode{Processes: 300, Mounts: 3000}},
		{"300-processes-3000-mounts-10-copies-of-them", smallNode{Processes: 300, Mounts: 3000, Copies: 10}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			if os.Geteuid() != 0 {
				b.Skip("SKIPPED: this benchmark makes namespaces and mounts and needs root")
			}
			benchmarkScan(b, tt.node.start(b))
		})
	}
}

// benchmarkScan scans again and again, as an agent does.
func benchmarkScan(b *testing.B, scan func() cost) {
	scan() // fills the caches of the kernel
	var all []cost
	for b.Loop() {
		all = append(all, scan())
	}
	slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(a.CPU, b.CPU) })
	median := all[len(all)/2]
	b.ReportMetric(median.CPU.Seconds()*1000, "cpu-ms/op")
	b.ReportMetric(all[0].CPU.Seconds()*1000, "min-cpu-ms/op")
	b.ReportMetric(float64(median.Allocs), "allocs/op")
	b.ReportMetric(float64(median.Bytes), "B/op")
	b.ReportMetric(float64(median.Processes), "processes")
	b.ReportMetric(float64(median.Mounts), "mounts")
}

func newMachineScanner() (*scanner, error) {
	host, err := hostfs.Machine("/")
	if err != nil {
		return nil, err
	}
	return newScanner(host)
}

// measure scans once.
func (s *scanner) measure(ctx context.Context) cost {
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	before := cpuTime()
	facts := s.scan(ctx).Facts
	c := cost{CPU: cpuTime() - before}
	runtime.ReadMemStats(&is)
	c.Allocs, c.Bytes = is.Mallocs-was.Mallocs, is.TotalAlloc-was.TotalAlloc
	mounts, _, _ := node.Mounts.Of(facts)
	passing, _, _ := node.PassingMounts.Of(facts)
	c.Mounts = len(mounts) + passing.Mounts
	c.Processes = len(pids())
	return c
}

// pids are the processes that this process sees, kernel threads included.
func pids() []string {
	list, _ := filepath.Glob("/proc/[0-9]*")
	return list
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sleepers starts n processes that sleep until stop is called or this process
// ends, the first copies of them with a copy of its mount namespace. Every
// fifteenth holds a TCP socket that listens.
func sleepers(n, copies int) (stop func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var started []*exec.Cmd
	stop = func() {
		w.Close()
		for _, cmd := range started {
			cmd.Wait()
		}
	}
	for i := range n {
		cmd := exec.Command("cat")
		cmd.Stdin = r
		if i < copies {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		}
		if i%15 == 14 {
			socket, err := listen()
			if err != nil {
				stop()
				return nil, err
			}
			defer socket.Close()
			cmd.ExtraFiles = []*os.File{socket}
		}
		if err := cmd.Start(); err != nil {
			stop()
			return nil, err
		}
		started = append(started, cmd)
	}
	return stop, nil
}

// listen is a socket that listens on a port of its own.
func listen() (*os.File, error) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// start starts the node. The function that it returns scans it once.
func (n smallNode) start(b *testing.B) func() cost {
	ask := n.launch(b)
	return func() (c cost) {
		ask(&c)
		return c
	}
}

// launch starts the node. The function that it returns decodes its next answer.
func (n smallNode) launch(b testing.TB) func(into any) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	about, err := json.Marshal(n)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), benchNode+"="+string(about))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Skipf("SKIPPED: no namespaces may be made here: %v", err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	answers := json.NewDecoder(out)
	return func(into any) {
		b.Helper()
		if _, err := in.Write([]byte{'\n'}); err != nil {
			b.Fatal(err)
		}
		if err := answers.Decode(into); err != nil {
			b.Fatalf("the node ended: %v", err)
		}
	}
}

func runNode(about string, in io.Reader, out io.Writer) error {
	var n smallNode
	if err := json.Unmarshal([]byte(about), &n); err != nil {
		return err
	}
	return n.run(in, out)
}

// run makes this process, which is process 1 of its namespace, the node, and
// scans it for every byte of in. When it ends, the kernel ends the others.
func (n smallNode) run(in io.Reader, out io.Writer) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/var/lib", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting /var/lib: %w", err)
	}
	for i := range n.Mounts {
		dir := fmt.Sprintf("/var/lib/kubelet/pods/%08x-1e5c-4f0e-9d2a-7a3b5c6d7e8f/volumes/kubernetes.io~projected/kube-api-access-%05x", i, i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	if n.Facts { // without what others do meanwhile
		for _, dir := range []string{"/tmp", "/var/tmp", "/run", "/root", "/home", "/opt", "/usr/local", "/dev/shm"} {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil && err != syscall.ENOENT {
				return fmt.Errorf("mounting %s: %w", dir, err)
			}
		}
	}
	if n.Name != "" {
		if err := syscall.Sethostname([]byte(n.Name)); err != nil {
			return fmt.Errorf("naming the host: %w", err)
		}
	}
	if err := burn(n.Burnt); err != nil { // so that what stays has other pids too
		return err
	}
	stop, err := sleepers(n.Processes-1, n.Copies)
	if err != nil {
		return err
	}
	defer stop()
	s, err := newMachineScanner()
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	for r := bufio.NewReader(in); ; {
		if _, err := r.ReadByte(); err != nil {
			return nil // whoever started the node is done with it
		}
		if n.Fresh {
			if s, err = newMachineScanner(); err != nil {
				return err
			}
		}
		var answer any
		if n.Facts {
			if err := burn(n.Burnt); err != nil {
				return err
			}
			answer = comparable(node.Gather(context.Background(), s.host, s.at))
			s.at = s.at.Add(2 * time.Hour)
		} else {
			answer = s.measure(context.Background())
		}
		if err := e.Encode(answer); err != nil {
			return err
		}
	}
}

// burn starts so many processes and waits for their end.
func burn(n int) error {
	for range n {
		if err := exec.Command("true").Run(); err != nil {
			return err
		}
	}
	return nil
}
