//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// frozenPlaces are where the agent would look, were no frozen file system there.
var frozenPlaces = []string{"/opt", "/usr/local/bin", "/var/lib/rancher", "/var/lib/kubelet"}

// frozenApart is where one is mounted for another host process alone.
const frozenApart = "/usr/share"

// programPlace is where programs are put that host processes run.
const programPlace = "/mnt/disks"

// Frozen is what a scan of a guest was like whose file systems do not answer.
type Frozen struct {
	Seconds float64                  `json:"seconds"` // the scan took, with the start of the agent
	Stays   float64                  `json:"stays"`   // so did two scans of an agent that stays
	Killed  float64                  `json:"killed"`  // so long it lived after SIGKILL
	Asked   map[string][]FUSERequest `json:"asked"`   // what was asked of each file system
	Apart   string                   `json:"apart"`   // and of that in another mount namespace
	Hangs   bool                     `json:"hangs"`   // whoever looks does hang
}

// frozen scans while file systems do not answer.
func frozen(g *InGuest, _ string) error {
	out := Frozen{Asked: map[string][]FUSERequest{}}
	if err := first(
		mount("tmpfs", programPlace, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, ""),
		copyProgram(programPlace+"/kubelet"),
		os.MkdirAll("/var/lib/rancher", 0o755),
		os.MkdirAll("/var/lib/kubelet", 0o755),
	); err != nil {
		return err
	}
	kubelet, err := startHelper("kubelet.service", programPlace+"/kubelet", "idle", "--config=/var/lib/kubelet/config.yaml", "--root-dir=/var/lib/kubelet")
	if err != nil {
		return err
	}
	calm, _, err := once()
	if err != nil {
		return err
	}
	var mounted []*silentFUSE
	for _, at := range frozenPlaces {
		s, err := mountSilent(at, "")
		if err != nil {
			return err
		}
		mounted = append(mounted, s)
	}
	apart, err := startHelper("apart.service", initProgram, "frozen-apart", frozenApart)
	if err != nil {
		return err
	}
	report, took, err := once()
	if err != nil {
		return err
	}
	out.Seconds = took.Seconds()
	began := time.Now()
	agent, err := startAgent("--interval", "1s")
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := agent.next(time.Minute); err != nil {
			return err
		}
	}
	out.Stays = time.Since(began).Seconds()
	if out.Killed, _, err = agent.stop(syscall.SIGKILL, 10*time.Second); err != nil {
		return err
	}
	for _, s := range mounted {
		out.Asked[s.at] = s.unanswered()
		if s.at == frozenPlaces[0] {
			if out.Hangs, err = hangs(s); err != nil {
				return err
			}
		}
		// Nobody keeps it busy: it is gone at once, and not only out of sight.
		if err := unix.Unmount(s.at, 0); err != nil {
			return fmt.Errorf("unmounting %s after the agent: %w", s.at, err)
		}
		_ = s.end()
	}
	said, err := apart.stop()
	if err != nil {
		return fmt.Errorf("the process with a mount of its own: %w: %s", err, said)
	}
	out.Apart = strings.TrimSpace(said)
	if _, err := kubelet.stop(); err != nil {
		return err
	}
	if err := unix.Unmount(programPlace, 0); err != nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return first(g.Save("frozen.json", b), g.Save("reports/frozen-calm.json", calm), g.Save("reports/frozen.json", report))
}

// hangs looks into a frozen file system with a process of its own, which then
// hangs, and ends the daemon so that it does not for ever.
func hangs(s *silentFUSE) (bool, error) {
	cmd := exec.Command("/usr/bin/ls", s.at)
	if err := cmd.Start(); err != nil {
		return false, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	hung := false
	select {
	case <-done:
	case <-time.After(time.Second):
		hung = len(s.unanswered()) > 0
	}
	_ = s.end()
	select {
	case <-done:
		return hung, nil
	case <-time.After(10 * time.Second):
		return hung, fmt.Errorf("who looked into %s hangs although its daemon is gone", s.at)
	}
}

// frozenElsewhere has a file system that does not answer in a mount namespace of
// its own, and says what was asked of it.
func frozenElsewhere(args []string) {
	runtime.LockOSThread()
	err := first(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	var s *silentFUSE
	if err == nil {
		s, err = mountSilent(args[0], "")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-untilTold()
	b, _ := json.Marshal(s.unanswered())
	fmt.Printf("%s\n", b)
	os.Exit(0)
}

// idle does nothing until it is told to stop.
func idle([]string) {
	<-untilTold()
	os.Exit(0)
}

// copyProgram copies this program to another place and name.
func copyProgram(to string) error {
	in, err := os.Open(initProgram)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return first(err, out.Close())
}
