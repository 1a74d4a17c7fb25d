package main

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
)

// footprint logs once an hour what the agent itself costs the node.
func (a *agent) footprint(at time.Time) {
	if !a.measured.IsZero() && at.Sub(a.measured) < time.Hour {
		return
	}
	first := a.measured.IsZero()
	a.measured = at
	self, err := procfs.Self()
	if err != nil { // no /proc of its own: nothing to say
		a.log.Debug("the footprint cannot be read", "why", err)
		return
	}
	stat, err := self.Stat()
	if err != nil {
		a.log.Debug("the footprint cannot be read", "why", err)
		return
	}
	log := a.log.Info
	if first {
		log = a.log.Debug
	}
	log("footprint of the agent", "rss", fmt.Sprintf("%.1f MiB", float64(stat.ResidentMemory())/(1<<20)), "cpu", fmt.Sprintf("%.2f s", stat.CPUTime()), "threads", stat.NumThreads)
}
