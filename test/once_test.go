package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// counting counts what is asked of a host.
type counting struct {
	node.FS
	kernel node.KernelAPI

	mu    sync.Mutex
	asked map[string]int
}

func counted(h *node.Host) (*node.Host, *counting) {
	c := &counting{FS: h.FS, kernel: h.Kernel, asked: map[string]int{}}
	out := &node.Host{FS: c}
	if h.Kernel != nil {
		out.Kernel = c
	}
	return out, c
}

func (c *counting) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[what]++
}

func (c *counting) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	c.count("read /" + name)
	return c.FS.ReadFile(name, max, redact)
}

func (c *counting) ReadDir(name string, max int) ([]node.DirEntry, error) {
	c.count("list /" + name)
	return c.FS.ReadDir(name, max)
}

func (c *counting) Ask(q node.Question) (json.RawMessage, error) {
	c.count("ask " + q.Name())
	return c.kernel.Ask(q)
}

// again lists what was asked more than once. A digest is not counted: the host
// answers it from what it has hashed, as its own tests show. Nor is the status of a
// process that is looked at again where another of its files has vanished, which
// tells whether it ended.
func (c *counting) again() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []string{}
	for _, what := range slices.Sorted(maps.Keys(c.asked)) {
		if n := c.asked[what]; n > 1 && !processStatus.MatchString(what) {
			out = append(out, fmt.Sprintf("%s: %d times", what, n))
		}
	}
	return out
}

var processStatus = regexp.MustCompile(`^read /proc/[0-9]+(/task/[0-9]+)?/status$`)

// TestNothingIsReadTwice gathers once from this machine and from every recorded
// node.
func TestNothingIsReadTwice(t *testing.T) {
	hosts := map[string]*node.Host{}
	if live, err := hostfs.Machine("/"); err == nil {
		hosts["this machine"] = live
	} else {
		t.Logf("SKIPPED in part: this machine cannot be read: %v", err)
	}
	names, err := demo.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		hosts[name] = needNode(t, name).Host()
	}
	for name, live := range hosts {
		host, c := counted(live)
		node.Gather(t.Context(), host, theTime)
		if again := c.again(); len(again) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(again, "\n"))
		}
		if len(c.asked) < 10 {
			t.Errorf("%s: only %d things were asked", name, len(c.asked))
		}
	}
}

// TestAThousandScansLeaveNothingBehind scans a recorded node every hour for 1,000
// hours, so that what is read once an hour is read as well, and compares what the
// program holds then with what it held after the first hundred.
func TestAThousandScansLeaveNothingBehind(t *testing.T) {
	const name = "recorded-lab-flatcar"
	tape := needNode(t, name)
	for _, d := range demo.Damages() {
		if d.Node == name && d.Sound != nil {
			d.Sound(tape) // what the capture does not answer
		}
	}
	s, err := newScanner(tape.Host())
	if err != nil {
		t.Fatal(err)
	}
	scan := func(n int) {
		for range n {
			s.scan(t.Context())
			s.at = s.at.Add(time.Hour)
		}
	}
	scan(100)
	goroutines, threads, heap := runtime.NumGoroutine(), threadsOf(t), heapInUse()
	scan(900)
	got := runtime.NumGoroutine()
	for range 100 { // a reader that has answered may still be about to end
		if got <= goroutines {
			break
		}
		time.Sleep(10 * time.Millisecond)
		got = runtime.NumGoroutine()
	}
	if got > goroutines {
		t.Errorf("%d goroutines after 1,000 scans, %d after 100", got, goroutines)
	}
	// The runtime may start a few for itself; a thread a scan would be 900.
	if got := threadsOf(t); got > threads+8 {
		t.Errorf("%d threads after 1,000 scans, %d after 100", got, threads)
	}
	// 128 bytes a scan would be more.
	if got := heapInUse(); got > heap+100<<10 {
		t.Errorf("%d bytes in use after 1,000 scans, %d after 100", got, heap)
	}
}

// heapInUse is what is reachable.
func heapInUse() int64 {
	var m runtime.MemStats
	for range 2 { // what finalizers hold goes with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// threadsOf counts the threads of this process, 0 where the system has no list.
func threadsOf(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Logf("SKIPPED in part: threads cannot be counted: %v", err)
	}
	return len(tasks)
}
