//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Harmless is what an agent that stays did to its guest.
type Harmless struct {
	Seconds float64            `json:"seconds"` // for all scans
	Before  Machine            `json:"before"`  // the agent was started
	Scans   []Scanned          `json:"scans"`
	After   Machine            `json:"after"` // the agent was stopped
	Disks   map[string]Traffic `json:"disks"` // between Before and After, by name
	Stopped float64            `json:"stopped"`
	How     string             `json:"how"` // the agent ended
}

// Scanned is how things were after a scan.
type Scanned struct {
	Usage
	Cost   float64 `json:"cost"` // CPU of this scan, in units of what calibrate took then
	Memory Machine `json:"memory"`
	Bytes  int     `json:"bytes"` // of the report
}

// Machine is the memory of the whole guest, in KiB: proc_meminfo(5).
type Machine struct {
	Cache int64 `json:"cache"` // Cached and Buffers
	Slab  int64 `json:"slab"`
}

// Traffic is in sectors of 512 bytes.
type Traffic struct {
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

// harmless lets the agent scan so many times, a second apart, and saves what that
// did to the guest. Nothing leaves the guest meanwhile.
func harmless(g *InGuest, arg string) error {
	count, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	out := Harmless{Disks: map[string]Traffic{}}
	if err := first(quiet(), os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)); err != nil {
		return err
	}
	if out.Before, err = machineNow(); err != nil {
		return err
	}
	disks, err := traffic()
	if err != nil {
		return err
	}
	began := time.Now()
	agent, err := startAgent("--interval", "1s")
	if err != nil {
		return err
	}
	var last []byte
	used := 0.0
	for n := range count {
		if last, err = agent.next(time.Minute); err != nil {
			return err
		}
		// It gives its memory back once it has written its report.
		time.Sleep(250 * time.Millisecond)
		s := Scanned{Bytes: len(last)}
		if s.Usage, err = agent.usage(); err != nil {
			return err
		}
		if s.Memory, err = machineNow(); err != nil {
			return err
		}
		unit, err := calibrate()
		if err != nil {
			return err
		}
		s.Cost = (s.CPU - used) / unit
		used = s.CPU
		out.Scans = append(out.Scans, s)
		if n%100 == 99 {
			fmt.Printf(guestSays+"SCANS %d in %s\n", n+1, time.Since(began).Round(time.Second))
		}
	}
	out.Seconds = time.Since(began).Seconds()
	if out.Stopped, out.How, err = agent.stop(syscall.SIGTERM, time.Minute); err != nil {
		return err
	}
	if out.After, err = machineNow(); err != nil {
		return err
	}
	after, err := traffic()
	if err != nil {
		return err
	}
	for name, t := range after {
		out.Disks[name] = Traffic{t.Read - disks[name].Read, t.Written - disks[name].Written}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return first(g.Save("harmless.json", b), g.Save("reports/harmless.json", last))
}

// quiet waits until nothing has been written to a disk for some seconds: a file
// system that was made and mounted a moment ago goes on for a while.
func quiet() error {
	unix.Sync()
	before, err := traffic()
	for still, tries := 0, 0; err == nil && still < 3; tries++ {
		if tries == 60 {
			return fmt.Errorf("the disks are not quiet after %d seconds: %v", tries, before)
		}
		time.Sleep(time.Second)
		var now map[string]Traffic
		if now, err = traffic(); err != nil {
			break
		}
		still++
		for name, t := range now {
			if t.Written != before[name].Written {
				still = 0
			}
		}
		before = now
	}
	return err
}

// traffic is what was read from and written to every disk but the one that results
// leave on. Source: the kernel's Documentation/block/stat.rst.
func traffic() (map[string]Traffic, error) {
	results, err := diskWith("out")
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob("/sys/block/*/stat")
	if err != nil {
		return nil, err
	}
	out := map[string]Traffic{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		f := strings.Fields(string(b))
		if len(f) < 7 {
			return nil, fmt.Errorf("%s says %q", n, b)
		}
		var t Traffic
		for i, v := range map[int]*int64{2: &t.Read, 6: &t.Written} {
			if *v, err = strconv.ParseInt(f[i], 10, 64); err != nil {
				return nil, fmt.Errorf("%s says %q", n, b)
			}
		}
		if name := filepath.Base(filepath.Dir(n)); "/dev/"+name != results {
			out[name] = t
		}
	}
	return out, nil
}

func machineNow() (Machine, error) {
	f, err := fields("/proc/meminfo")
	return Machine{f["Cached"] + f["Buffers"], f["Slab"]}, err
}

// calibrate is the CPU time, in seconds, of a hundred reads of a file as those that
// scans are made of. In units of it a scan can be compared with one on another
// machine, or at another time on one that is emulated, whose clock of the CPU goes
// on while the emulator waits.
func calibrate() (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := threadTime()
	if err != nil {
		return 0, err
	}
	for range 100 {
		if _, err := os.ReadFile("/proc/self/status"); err != nil {
			return 0, err
		}
	}
	after, err := threadTime()
	return after - before, err
}

func threadTime() (float64, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return float64(t.Nano()) / 1e9, err
}
