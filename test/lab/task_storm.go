//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stormPlace is where the mounts of a storm come and go.
const stormPlace = "/run/lab-storm"

// Storm is what a scan in a storm was like.
type Storm struct {
	// Rates are how many a second there really were, by storm: an emulated machine
	// is slow, and the agent takes its part of it.
	Rates   map[string]float64 `json:"rates"`
	Seconds []float64          `json:"seconds"` // each scan took, with the start of the agent
	Stays   []float64          `json:"stays"`   // from one report of an agent that stays to the next
	How     string             `json:"how"`     // the agent that stays ended
}

// storms are the helpers that make them, by name, and what they are told.
var storms = map[string][]string{
	"mounts on the host":           {"storm-mounts", stormPlace + "/host", "500"},
	"mounts in another namespace":  {"storm-mounts", stormPlace + "/other", "500", "apart"},
	"processes that end at once":   {"storm-processes", "/usr/bin/there-is-none", "400"},
	"processes that run a program": {"storm-processes", "/usr/bin/true", "100"},
}

// storm scans so many times while mounts and processes come and go, each time with
// an agent of its own, and then with one that stays.
func storm(g *InGuest, arg string) error {
	count, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	out := Storm{Rates: map[string]float64{}}
	if err := first(os.MkdirAll(stormPlace+"/host", 0o755), os.MkdirAll(stormPlace+"/other", 0o755)); err != nil {
		return err
	}
	helpers := map[string]*helper{}
	for name, args := range storms {
		if helpers[name], err = startHelper("lab-"+args[0]+"-"+strconv.Itoa(len(helpers))+".service", initProgram, args...); err != nil {
			return err
		}
	}
	began := time.Now()
	time.Sleep(time.Second)
	for n := range count {
		report, took, err := once()
		if err != nil {
			return err
		}
		out.Seconds = append(out.Seconds, took.Seconds())
		if err := g.Save(fmt.Sprintf("reports/storm-%d.json", n), report); err != nil {
			return err
		}
	}
	if count > 1 { // what the short form leaves out
		if err := out.stays(g, count); err != nil {
			return err
		}
	}
	seconds := time.Since(began).Seconds()
	for name, h := range helpers {
		said, err := h.stop()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, said)
		}
		n, err := strconv.Atoi(said[:max(0, len(said)-1)])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out.Rates[name] = float64(n) / seconds
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return g.Save("storm.json", b)
}

// stays scans so many times with one agent, after its first.
func (s *Storm) stays(g *InGuest, count int) error {
	agent, err := startAgent("--interval", "1s")
	if err != nil {
		return err
	}
	for n := range count + 1 {
		last := time.Now()
		report, err := agent.next(time.Minute)
		if err != nil {
			return err
		}
		if n == 0 { // with the start of the agent
			continue
		}
		s.Stays = append(s.Stays, time.Since(last).Seconds())
		if err := g.Save(fmt.Sprintf("reports/storm-stays-%d.json", n-1), report); err != nil {
			return err
		}
	}
	_, s.How, err = agent.stop(syscall.SIGTERM, time.Minute)
	return err
}

// stormMounts mounts and unmounts below a folder, so many times a second, until it
// is told to stop; with a third argument in a mount namespace of its own. Many go at
// once, for the kernel waits at each unmounting until nobody looks at the mounts.
func stormMounts(args []string) {
	at := args[0]
	if len(args) > 2 {
		runtime.LockOSThread()
		if err := first(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	const closed = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	pace(args[1], func() (int, error) {
		const many = 40
		if err := unix.Mount("lab", at, "tmpfs", closed&^unix.MS_RDONLY, "size=1m"); err != nil {
			return 0, err
		}
		for i := range many - 1 {
			below := fmt.Sprintf("%s/%d", at, i)
			if err := first(unix.Mkdir(below, 0o755), unix.Mount(at, below, "", unix.MS_BIND, "")); err != nil {
				return 0, err
			}
		}
		return many, unix.Unmount(at, unix.MNT_DETACH)
	})
}

// stormProcesses starts a program so many times a second. Where there is none, a
// process is made that ends at once.
func stormProcesses(args []string) {
	pace(args[1], func() (int, error) {
		pid, err := syscall.ForkExec(args[0], args[:1], &syscall.ProcAttr{})
		if errors.Is(err, unix.ENOENT) {
			return 1, nil
		}
		if err != nil {
			return 0, err
		}
		for {
			if _, err = unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
				return 1, err
			}
		}
	})
}

// pace does something, some at a time and so many a second, until the program is
// told to stop; then it says how many there were, and ends the program.
func pace(rate string, do func() (int, error)) {
	each, err := strconv.Atoi(rate)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	told := untilTold()
	began := time.Now()
	for n := 0; ; {
		select {
		case <-told:
			fmt.Println(n)
			os.Exit(0)
		default:
		}
		did, err := do()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		n += did
		if ahead := time.Duration(n)*time.Second/time.Duration(each) - time.Since(began); ahead > 0 {
			time.Sleep(ahead)
		}
	}
}
