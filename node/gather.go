package node

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Deadline is how long one source may take. A read that takes longer is left
// behind, its fact is missing, and it is not started again until it returns.
const Deadline = 10 * time.Second

// gathering is what the sources of one call of Gather share.
type gathering struct {
	mounts    func() (*mountTable, error)
	processes func() (*processTable, error)
	kubelet   func() (*kubeletReading, error)
}

func newGathering(h *Host) *gathering {
	g := &gathering{}
	view := &Host{FS: h.FS, Kernel: h.Kernel, gathering: g}
	g.mounts = sync.OnceValues(func() (*mountTable, error) { return readMounts(view) })
	g.processes = sync.OnceValues(func() (*processTable, error) { return readProcesses(view) })
	g.kubelet = sync.OnceValues(func() (*kubeletReading, error) { return readKubelet(view) })
	return g
}

type keptFact struct {
	fact Fact
	at   time.Time
}

// Gather reads every source off the host. It cannot fail: what could not be
// read is missing in the result, with the reason. The time at is only used to
// tell which of the slower sources are due and since when a read is blocked.
func Gather(ctx context.Context, h *Host, at time.Time) Facts {
	g := newGathering(h)
	facts := Facts{}
	for _, src := range Sources() {
		facts[src.Info().Name] = gatherOne(ctx, h, g, src, at)
	}
	return facts
}

func gatherOne(ctx context.Context, h *Host, g *gathering, src AnySource, at time.Time) Fact {
	info := src.Info()
	h.mu.Lock()
	since, blocked := h.stuck[info.Name]
	kept, ok := h.kept[info.Name]
	h.mu.Unlock()
	switch {
	case blocked:
		return missing(Blocked, fmt.Sprintf("reading %s: blocked since %s", info.Name, since.UTC().Format(time.RFC3339)))
	case ok && info.Every == AtBoot, ok && info.Every == Hour && at.Sub(kept.at) < time.Hour:
		return kept.fact
	}

	done := make(chan Fact, 1)
	go func() {
		view := &Host{FS: h.FS, Kernel: h.Kernel, gathering: g, evidence: &evidence{}}
		done <- readSafely(ctx, src, view)
		h.mu.Lock()
		delete(h.stuck, info.Name)
		h.mu.Unlock()
	}()
	timer := time.NewTimer(Deadline)
	defer timer.Stop()
	select {
	case fact := <-done:
		if info.Every != Scan && fact.Missing == nil {
			h.mu.Lock()
			if h.kept == nil {
				h.kept = map[string]keptFact{}
			}
			h.kept[info.Name] = keptFact{fact, at}
			h.mu.Unlock()
		}
		return fact
	case <-timer.C:
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case fact := <-done: // it came back while we were giving up
		return fact
	default:
	}
	if ctx.Err() != nil {
		return missing(Blocked, fmt.Sprintf("reading %s: %v", info.Name, ctx.Err()))
	}
	if h.stuck == nil {
		h.stuck = map[string]time.Time{}
	}
	h.stuck[info.Name] = at
	return missing(Blocked, fmt.Sprintf("reading %s: blocked since %s", info.Name, at.UTC().Format(time.RFC3339)))
}

// readSafely reads a source and turns a panic of its parser into a missing
// fact: one hostile file must not stop the others from being read.
func readSafely(ctx context.Context, src AnySource, h *Host) (fact Fact) {
	defer func() {
		if r := recover(); r != nil {
			fact = missing(Malformed, fmt.Sprintf("reading %s: the reader broke: %v", src.Info().Name, r))
		}
	}()
	fact = src.read(ctx, h)
	fact.Evidence = h.evidence.list()
	return fact.normal()
}

func missing(code Code, reason string) Fact {
	return Fact{Missing: &Missing{code, reason}}.normal()
}
