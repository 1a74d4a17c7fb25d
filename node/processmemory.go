package node

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// memoryDeadline is for one read of what readMemory reads. After maxSlowReads that
	// took a quarter of it or more, no other is tried in the same gathering: the table
	// of processes must be done in time. maxHeldReads bounds those that are left
	// behind, over all gatherings.
	//
	// Processes in containers have as many slow reads of their own, and may hold half
	// of all that are left behind: no container keeps the host's processes from being
	// read.
	memoryDeadline = time.Second
	maxSlowReads   = 4
	maxHeldReads   = 8
)

// readMemory reads one of the files of a process that the kernel makes from the
// memory of the process: cmdline, environ and maps. A read of these takes the lock
// of that memory, which the process itself can hold for ever: while a page comes
// from a server that does not answer, say. What takes longer than a second is left
// behind and is an error; the other processes are read.
func (h *Host) readMemory(p *process, file string, read func(name string) ([]byte, error)) ([]byte, error) {
	name := p.dir + "/" + file
	if h.gathering == nil {
		return read(name)
	}
	return h.gathering.memory(p, name, func() ([]byte, error) { return read(name) })
}

type memoryReader func(p *process, name string, read func() ([]byte, error)) ([]byte, error)

func newMemoryReader(ctx context.Context, h *Host, at time.Time) memoryReader {
	var slowHost, slowContainers atomic.Int32
	return func(p *process, name string, read func() ([]byte, error)) ([]byte, error) {
		refusal := &Error{Op: "reading", Name: "/" + name, Code: Blocked}
		slow, most := &slowHost, maxHeldReads
		if p.container != "" {
			slow, most = &slowContainers, maxHeldReads/2
		}
		if slow.Load() >= maxSlowReads || h.heldReads() >= most {
			refusal.Detail = "not tried, since reads of other processes hang"
			return nil, refusal
		}
		watch := time.AfterFunc(memoryDeadline/4, func() { slow.Add(1) })
		defer watch.Stop()
		b, err := bounded(ctx, h, refusal.Name, at, memoryDeadline, read)
		if codeOf(err) == Blocked {
			return nil, refusal // without the time: equal nodes have equal facts
		}
		return b, err
	}
}

// heldReads counts the reads of processes that have not returned.
func (h *Host) heldReads() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for name := range h.running {
		if strings.HasPrefix(name, "/proc/") {
			n++
		}
	}
	return n
}
