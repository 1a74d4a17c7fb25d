package node

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A process can keep its memory locked for ever: then nobody reads its arguments,
// environment or maps. That hides this process's and no others.
func TestProcessesWhoseMemoryIsHeld(t *testing.T) {
	const pod = "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podcda75904_5813_4bb8_8194_19333bf60fb2.slice/cri-containerd-" + someID + ".scope\n"
	for _, tt := range []struct {
		name      string
		held      int // host processes
		pods      int // processes of pods
		first     time.Duration
		gap       string // of the processes, in the first gathering
		afterward string // and in the sixth
		pending   int    // reads that have then not returned
	}{
		{"none", 0, 0, 0, "", "", 0},
		{"one", 1, 0, 3 * time.Second, "1 of 6 arguments of interpreters and kubelets could not be read: reading /proc/<pid>/cmdline: no answer in time", "1 of 6 arguments of interpreters and kubelets could not be read: reading /proc/<pid>/cmdline: no answer in time", 3},
		{"a pod cannot keep the host's from being read", 0, 30, 4 * time.Second, "", "", 4},
		{"many: no more than some reads are left behind, then none is tried", 30, 0, 4 * time.Second, "30 of 40 arguments of interpreters and kubelets could not be read: reading /proc/<pid>/cmdline: no answer in time", "30 of 30 arguments of interpreters and kubelets could not be read: reading /proc/<pid>/cmdline: no answer in time: not tried, since reads of other processes hang", 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := map[int]aProcess{}
				for pid := 10; pid < 15; pid++ {
					all[pid] = aProcess{exe: "/usr/bin/bash", cmdline: args("bash", "/home/x.sh")}
				}
				for pid := 100; pid < 100+tt.held; pid++ {
					all[pid] = aProcess{exe: "/usr/bin/python3", cmdline: args("python3", "/home/x.py")}
				}
				for pid := 500; pid < 500+tt.pods; pid++ {
					all[pid] = aProcess{exe: "/usr/bin/python3", cgroup: pod, mntns: "mnt:[4026532500]", mountinfo: containerMounts}
				}
				files := map[string]string{}
				for pid := range all {
					files[fmt.Sprintf("proc/%d/environ", pid)] = "HOME=/\x00"
					files[fmt.Sprintf("proc/%d/maps", pid)] = ""
				}
				f := &hangingFS{memHost: *procHost(flatcarMounts, all, files), release: make(chan struct{}), hangs: func(name string) bool {
					base := path.Base(name)
					return len(strings.Split(name, "/")[1]) == 3 && (base == "cmdline" || base == "environ" || base == "maps")
				}}
				h := &Host{FS: f}
				sources := []AnySource{Mounts, Processes, LoaderState, SecretEnvironment, Mappings}
				gathered := func(at time.Time) (gap string, took time.Duration) {
					began := time.Now()
					facts := gather(t.Context(), h, at, sources)
					for name, fact := range facts {
						if fact.Missing != nil {
							t.Errorf("%s is missing: %s", name, fact.Missing.Reason)
						}
					}
					list, gaps, _ := Processes.Of(facts)
					if len(list) == 0 {
						t.Error("no process was seen")
					}
					for _, g := range gaps {
						if strings.HasPrefix(g.What, "arguments") {
							gap = g.String()
						}
					}
					return gap, time.Since(began)
				}
				gap, took := gathered(noon)
				if gap != tt.gap || took != tt.first {
					t.Errorf("got %q after %v, want %q after %v", gap, took, tt.gap, tt.first)
				}
				for n := range 5 {
					gap, took = gathered(noon.Add(time.Duration(n+1) * time.Hour))
				}
				if gap != tt.afterward || took != 0 {
					t.Errorf("afterwards: got %q after %v, want %q at once", gap, took, tt.afterward)
				}
				if n := h.heldReads(); n != tt.pending {
					t.Errorf("%d reads are left behind, want %d", n, tt.pending)
				}
				close(f.release)
				synctest.Wait()
				if gap, _ = gathered(noon.Add(10 * time.Hour)); gap != "" || h.heldReads() != 0 {
					t.Errorf("after they let go: got %q, %d reads left behind", gap, h.heldReads())
				}
			})
		})
	}
}
