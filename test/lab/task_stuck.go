//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stuck is what scans of a guest were like with processes whose arguments,
// environment and map of memory cannot be read: who reads them waits.
type Stuck struct {
	Blocks  []string  `json:"blocks"`  // what of such a process did block a reader
	Stays   []float64 `json:"stays"`   // from one report of an agent that stays to the next
	Usage   []Usage   `json:"usage"`   // after each of these
	Stopped float64   `json:"stopped"` // so long it lived after SIGTERM
	How     string    `json:"how"`     // it ended
	Killed  float64   `json:"killed"`  // so long another lived that was killed while it waited
}

// stuck scans while so many processes hold the lock of their memory.
func stuck(g *InGuest, arg string) error {
	count, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	var out Stuck
	const at = "/run/lab-stuck"
	if err := first(
		mount("tmpfs", programPlace, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, ""),
		copyProgram(programPlace+"/python3"),
		os.MkdirAll(at, 0o755),
	); err != nil {
		return err
	}
	fuse, err := mountSilent(at, "file")
	if err != nil {
		return err
	}
	start := func(stage string) (*helper, error) {
		// "--" is where a python has its script, so that there is one to be read.
		return startHelper("stuck.service", programPlace+"/python3", stage, at+"/file")
	}
	// It answers as ever until it is told; only then a report of it is calm.
	victims := make([]*helper, count)
	for i := range victims {
		if victims[i], err = start("held-memory"); err != nil {
			return err
		}
	}
	elsewhere, err := start("arguments-elsewhere")
	if err != nil {
		return err
	}
	calm, _, err := once()
	if err != nil {
		return err
	}
	if err := g.Save("reports/stuck-calm.json", calm); err != nil {
		return err
	}
	for _, v := range victims {
		v.in.Close()
	}
	time.Sleep(2 * time.Second)
	for _, name := range []string{"cmdline", "environ", "maps", "status"} {
		if blocks(fmt.Sprintf("/proc/%d/%s", victims[0].cmd.Process.Pid, name)) {
			out.Blocks = append(out.Blocks, name)
		}
	}

	agent, err := startAgent("--interval", "1s")
	if err != nil {
		return err
	}
	for n := range 4 {
		last := time.Now()
		report, err := agent.next(time.Minute)
		if err != nil {
			return err
		}
		u, err := agent.usage()
		if err != nil {
			return err
		}
		out.Stays, out.Usage = append(out.Stays, time.Since(last).Seconds()), append(out.Usage, u)
		if err := g.Save(fmt.Sprintf("reports/stuck-stays-%d.json", n), report); err != nil {
			return err
		}
	}
	if out.Stopped, out.How, err = agent.stop(syscall.SIGTERM, time.Minute); err != nil {
		return err
	}
	if agent, err = startAgent("--interval", "1s"); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	if out.Killed, _, err = agent.stop(syscall.SIGKILL, 10*time.Second); err != nil {
		return err
	}
	if err := fuse.end(); err != nil { // lets go of the victims
		return err
	}
	for _, v := range append(victims, elsewhere) {
		if err := v.kill(); err != nil {
			return err
		}
	}
	if err := first(unix.Unmount(at, 0), unix.Unmount(programPlace, 0)); err != nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return g.Save("stuck.json", b)
}

// blocks reports whether reading a file takes longer than a second. The reader is
// left behind.
func blocks(name string) bool {
	done := make(chan struct{})
	go func() {
		_, _ = os.ReadFile(name)
		close(done)
	}()
	select {
	case <-done:
		return false
	case <-time.After(time.Second):
		return true
	}
}

// mapSilent maps the first page of a file that never answers.
func mapSilent(name string) []byte {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	b, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return b
}

// heldMemory holds the lock of its own memory once it is told. A read of it
// through /proc/self/mem faults a page in under that lock, and waits for a file
// that never answers; the next who wants to map something waits for the lock, and
// whoever comes then waits behind that one.
func heldMemory(args []string) {
	page := mapSilent(args[0])
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-untilTold()
	go func() {
		var b [1]byte
		_, _ = unix.Pread(int(mem.Fd()), b[:], int64(uintptr(unsafe.Pointer(&page[0]))))
	}()
	time.Sleep(300 * time.Millisecond)
	go func() {
		_, _ = unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	}()
	select {}
}

// argumentsElsewhere has its arguments and environment in a file that never
// answers: prctl(2), PR_SET_MM.
func argumentsElsewhere(args []string) {
	runtime.LockOSThread()
	page := mapSilent(args[0])
	at := uintptr(unsafe.Pointer(&page[0]))
	for _, set := range []struct{ what, to uintptr }{
		{unix.PR_SET_MM_ARG_START, at}, {unix.PR_SET_MM_ARG_END, at + 1024},
		{unix.PR_SET_MM_ENV_START, at + 1024}, {unix.PR_SET_MM_ENV_END, at + 2048},
	} {
		if err := unix.Prctl(unix.PR_SET_MM, set.what, set.to, 0, 0); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	<-untilTold()
	select {}
}
