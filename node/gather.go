package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Deadline is how long one source may take, but those of [OnDemand]. A read that takes longer is left
// behind, its fact is missing, and it is not started again until it returns; what
// it then has to say of a source that is not read at every scan is kept.
const Deadline = 10 * time.Second

const (
	// sharedDeadline is shorter, so that what waits for a shared table hears of
	// it before its own time is up.
	sharedDeadline = Deadline - time.Second

	// wholeDeadline bounds a gathering in which one source after the other hangs.
	wholeDeadline = 3 * Deadline

	// unlimited is a limit that nothing reaches.
	unlimited time.Duration = math.MaxInt64
)

// gathering is what the sources of one call of Gather share. Each table is read
// once, whether it can be read or not.
type gathering struct {
	mounts    func() (*mountTable, error)
	processes func() (*processTable, error)
	kubelet   func() (*kubeletReading, error)
	listening func() (*listeningReading, error)

	memory   memoryReader
	readings readings
	at       time.Time

	// held, peers and walked outlive the gathering.
	held   *heldSockets
	peers  *heldSockets
	walked *walkedInventories
}

func newGathering(ctx context.Context, h *Host, at time.Time) *gathering {
	g := &gathering{at: at, memory: newMemoryReader(ctx, h, at), held: &h.held, peers: &h.peers, walked: &h.walked}
	view := &Host{FS: h.FS, Kernel: h.Kernel, gathering: g}
	g.mounts = sync.OnceValues(func() (*mountTable, error) {
		return bounded(ctx, h, "the mount table", at, sharedDeadline, func() (*mountTable, error) { return readMounts(view) })
	})
	g.processes = sync.OnceValues(func() (*processTable, error) {
		return bounded(ctx, h, "the process table", at, sharedDeadline, func() (*processTable, error) { return readProcesses(view) })
	})
	g.kubelet = sync.OnceValues(func() (*kubeletReading, error) {
		return bounded(ctx, h, "the kubelet's configuration", at, sharedDeadline, func() (*kubeletReading, error) { return readKubelet(view) })
	})
	g.listening = sync.OnceValues(func() (*listeningReading, error) {
		return bounded(ctx, h, "the tables of sockets", at, sharedDeadline, func() (*listeningReading, error) { return readListening(view) })
	})
	return g
}

type keptFact struct {
	fact Fact
	at   time.Time
}

// due reports whether a fact is to be read again. What was read with gaps is
// tried again after an hour at the latest.
func (k keptFact) due(every Every, at time.Time) bool {
	if every == AtBoot && len(k.fact.Gaps) == 0 {
		return false
	}
	return at.Sub(k.at) >= time.Hour
}

// Gather reads every source off the host. It cannot fail: what could not be
// read is missing in the result, with the reason. The time at is only used to
// tell which of the slower sources are due and since when a read is blocked.
func Gather(ctx context.Context, h *Host, at time.Time) Facts {
	return gather(ctx, h, at, Sources())
}

func gather(unbounded context.Context, h *Host, at time.Time, sources []AnySource) Facts {
	ctx, cancel := context.WithTimeoutCause(unbounded, wholeDeadline, fmt.Errorf("all sources together took longer than %v", wholeDeadline))
	defer cancel()
	g := newGathering(ctx, h, at)
	facts := Facts{}
	// What walks and hashes comes later: on a slow disk it uses up the time, which
	// must not be that of what is read at every scan.
	for _, turn := range [][]Every{{Scan}, {Hour, AtBoot}, {OnDemand}} {
		for _, src := range sources {
			info := src.Info()
			switch {
			case !slices.Contains(turn, info.Every):
			case info.Every == OnDemand:
				facts[info.Name] = gatherOne(unbounded, h, g, src, at)
			default:
				facts[info.Name] = gatherOne(ctx, h, g, src, at)
			}
		}
	}
	return facts
}

func gatherOne(ctx context.Context, h *Host, g *gathering, src AnySource, at time.Time) Fact {
	info := src.Info()
	h.mu.Lock()
	kept, ok := h.kept[info.Name]
	h.mu.Unlock()
	if ok && !kept.due(info.Every, at) {
		return kept.fact
	}
	limit := Deadline
	if info.Every == OnDemand {
		limit = unlimited
	}
	fact, err := bounded(ctx, h, info.Name, at, limit, func() (Fact, error) {
		view := &Host{FS: h.FS, Kernel: h.Kernel, gathering: g, evidence: &evidence{}}
		fact := src.read(ctx, view)
		fact.Evidence = view.evidence.list()
		fact = fact.normal()
		// Here, so that what comes too late for this gathering is there for the next:
		// a slow disk would else be walked again and again, and never be known.
		if info.Every != Scan && fact.Missing == nil {
			h.keep(info.Name, keptFact{fact, at})
		}
		return fact, nil
	})
	if err != nil {
		return Fact{Missing: &Missing{codeOf(err), err.Error()}}.normal()
	}
	return fact
}

func (h *Host) keep(name string, k keptFact) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil {
		h.kept = map[string]keptFact{}
	}
	h.kept[name] = k
}

// bounded runs read in its own goroutine and waits for it until limit or the end
// of ctx. One that has not returned is not started again, in whatever
// gathering, so that a hanging file system holds one thread a reader and no
// more. A panic is an error: one hostile file must not stop the others from
// being read.
func bounded[T any](ctx context.Context, h *Host, name string, at time.Time, limit time.Duration, read func() (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	var none T
	refuse := func(detail string) (T, error) { return none, &Error{"reading", name, Blocked, detail} }
	if ctx.Err() != nil {
		return refuse("not started: " + context.Cause(ctx).Error())
	}
	h.mu.Lock()
	since, runs := h.running[name]
	if !runs {
		if h.running == nil {
			h.running = map[string]time.Time{}
		}
		h.running[name] = at
	}
	h.mu.Unlock()
	blockedSince := func(t time.Time) string { return "blocked since " + t.UTC().Format(time.RFC3339) }
	if runs {
		return refuse(blockedSince(since))
	}

	done := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("reading " + name + ": the reader broke")}
		defer func() {
			if r := recover(); r != nil {
				a = answer{err: fmt.Errorf("reading %s: the reader broke: %v", name, r)}
			}
			// Before the answer is out, so that whoever has it may ask again.
			h.mu.Lock()
			delete(h.running, name)
			h.mu.Unlock()
			done <- a
		}()
		a.v, a.err = read()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-done:
		return a.v, a.err
	case <-timer.C:
		return refuse(blockedSince(at))
	case <-ctx.Done():
		return refuse(context.Cause(ctx).Error())
	}
}
