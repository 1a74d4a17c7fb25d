//go:build linux

package lab

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Disk is a disk of a guest. What the guest writes on it is gone with the guest,
// so that the file serves again.
type Disk struct {
	Serial string
	Path   string
}

// Boot is what a machine starts with.
type Boot struct {
	Kernel  string   // the file
	Initrd  string   // the file
	Disks   []Disk   // beside "plan" and "out"
	Cmdline string   // beside what every guest has
	Memory  int      // MiB
	More    []string // further arguments of QEMU
}

// Result is what left a guest.
type Result struct {
	Files    map[string][]byte // by name
	Outcomes []Outcome         // of the steps, in order
	Console  string
	Took     time.Duration
}

// outSize is the size of the disk that results leave the guest on.
const outSize = 256 // MiB, sparse

// boots is how often a machine is booted whose kernel dies before any program of
// ours runs. QEMU's emulation of two processors now and then loses a race with a
// kernel that patches its own code while it starts; nothing of the kind is tried
// again once our program is there.
const boots = 3

// Run boots a machine with a plan and returns what left it. It fails where a step
// failed or was not reached, with the end of the console.
func (b *Builder) Run(boot Boot, plan Plan, limit time.Duration) (*Result, error) {
	unlock, err := b.Cache.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for n := 1; ; n++ {
		r, err := b.boot(boot, plan, limit)
		if err == nil || r == nil || n == boots || !strings.Contains(r.Console, "Kernel panic") || strings.Contains(r.Console, guestSays) {
			return r, err
		}
		fmt.Printf("booting the guest %s again: its kernel died while it started\n", plan.Shape)
	}
}

// boot is Run for a machine that is booted once.
func (b *Builder) boot(boot Boot, plan Plan, limit time.Duration) (*Result, error) {
	ctx, cancel := context.WithTimeout(b.Ctx, limit)
	defer cancel()

	planDisk, outDisk, console := b.path("plan.img"), b.path("out.img"), b.path("console.log")
	content, err := plan.disk()
	if err != nil {
		return nil, err
	}
	_ = os.Remove(outDisk)
	if err := first(os.WriteFile(planDisk, content, 0o644), b.Blank(outDisk, outSize)); err != nil {
		return nil, err
	}
	args := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", fmt.Sprint(boot.Memory),
		"-nodefaults", "-no-reboot", "-nographic", "-serial", "file:" + console, "-kernel", boot.Kernel, "-initrd", boot.Initrd,
		"-append", "console=ttyS0 panic=-1 loglevel=4 " + boot.Cmdline,
	}
	for _, d := range append(slices.Clone(boot.Disks), Disk{"plan", planDisk}) {
		args = append(args, drive(d, ",snapshot=on")...)
	}
	args = append(args, drive(Disk{"out", outDisk}, "")...)
	args = append(args, boot.More...)

	began := time.Now()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.Dir)
	// The guest ends with its test, however that ends. The signal comes when the
	// thread ends that started it: prctl(2), PR_SET_PDEATHSIG.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.CombinedOutput()
	r := &Result{Files: map[string][]byte{}, Took: time.Since(began)}
	log, _ := os.ReadFile(console)
	r.Console = string(log)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("not done within %s", limit)
	}
	if err != nil {
		return r, fmt.Errorf("running the guest %s: %w: %s\n%s", plan.Shape, err, said, r.tail())
	}
	if err := r.unpack(outDisk); err != nil {
		return r, fmt.Errorf("reading what left the guest %s: %w\n%s", plan.Shape, err, r.tail())
	}
	for _, o := range r.Outcomes {
		if o.Error != "" {
			return r, fmt.Errorf("guest %s: %s %s: %s\n%s", plan.Shape, o.Task, o.Arg, o.Error, r.tail())
		}
	}
	if len(r.Outcomes) != len(plan.Steps) {
		return r, fmt.Errorf("guest %s took %d of %d steps\n%s", plan.Shape, len(r.Outcomes), len(plan.Steps), r.tail())
	}
	return r, nil
}

func drive(d Disk, more string) []string {
	return []string{
		"-drive", "file=" + d.Path + ",format=raw,if=none,id=" + d.Serial + more,
		"-device", "virtio-blk-pci,drive=" + d.Serial + ",serial=" + d.Serial,
	}
}

// unpack reads the tar on the disk that left the guest.
func (r *Result) unpack(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		r.Files[h.Name] = b
		if filepath.Dir(h.Name) == "steps" {
			var o Outcome
			if err := json.Unmarshal(b, &o); err != nil {
				return err
			}
			r.Outcomes = append(r.Outcomes, o)
		}
	}
}

// tail is the end of the console.
func (r *Result) tail() string {
	lines := strings.Split(strings.TrimSpace(r.Console), "\n")
	return "console: " + strings.Join(lines[max(0, len(lines)-25):], "\nconsole: ")
}
