//go:build linux

package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// intruderUnit is the service whose processes the attacks start.
	intruderUnit = "intruder.service"
	// intruderDir is where an intruder keeps his files: /run can be written and
	// executed on most systems.
	intruderDir = "/run/intruder"
)

// intrude starts a program as a service and waits until a file of this name is
// mapped in its first process: a program that is still being loaded looks
// otherwise.
func (g *InGuest) intrude(mapped string, cmd *exec.Cmd) error {
	p, err := g.start(intruderUnit, cmd)
	if err != nil {
		return err
	}
	maps := fmt.Sprintf("/proc/%d/maps", p.Pid)
	return await("a process that maps "+mapped, func() (bool, error) {
		b, err := os.ReadFile(maps)
		return bytes.Contains(b, []byte(mapped)), err
	})
}

// expel ends all processes of the intruder's service, waits until they are gone
// and takes his files away.
func (g *InGuest) expel() error {
	group := filepath.Join("/sys/fs/cgroup/system.slice", intruderUnit)
	b, err := os.ReadFile(group + "/cgroup.procs")
	if err != nil {
		return err
	}
	if err := os.WriteFile(group+"/cgroup.kill", []byte("1"), 0); err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(b)) {
		if err := await("the end of process "+pid, func() (bool, error) {
			n, err := strconv.Atoi(pid)
			_, _ = unix.Wait4(n, nil, unix.WNOHANG, nil) // those whose parent has ended are ours to ask
			_, gone := os.Lstat("/proc/" + pid)
			return os.IsNotExist(gone), err
		}); err != nil {
			return err
		}
	}
	return first(os.Remove(group), os.RemoveAll(intruderDir))
}

// await waits until something is so.
func await(what string, so func() (bool, error)) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok, err := so(); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("waiting for %s: it did not happen within a minute", what)
}

// plant copies a file of the image to a place of the intruder's.
func plant(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return write(to, 0o755, string(b))
}

// write writes a file in a folder that need not be there.
func write(name string, mode os.FileMode, content string) error {
	return first(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), mode))
}
