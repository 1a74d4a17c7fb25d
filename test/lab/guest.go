//go:build linux

package lab

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// InGuest is the guest as the code sees it that runs in it.
type InGuest struct {
	Plan  Plan
	Shape Shape

	out  *tar.Writer // what leaves the guest, on the disk "out"
	disk *os.File

	control net.Listener // open as long as the guest is
}

// The programs of a guest.
const (
	initProgram  = "/usr/sbin/init"
	unitProgram  = "/usr/bin/lab-guest" // where process 1 is systemd
	agentProgram = "/usr/bin/seaworthy-agent"
	cliProgram   = "/usr/bin/seaworthy"
)

// guestSays begins the lines that the guest program writes to the console.
const guestSays = "LAB-"

// Guest is the main function of the program in the guest: process 1 of the
// initramfs, then of the root, or a unit under another process 1. It ends with
// the machine off.
func Guest(args []string) {
	stage := "initramfs"
	switch {
	case len(args) > 1 && args[0] != "/init": // which has the words after "--" of the command line
		stage = args[1]
	case args[0] != "/init": // the kernel mounted the root itself
		stage = "kernel"
	}
	if stage == confinedStage {
		confined(args[2:])
	}
	if tool := toolStages[stage]; tool != nil {
		tool(args[2:])
	}
	err := stageNamed(stage)
	if err != nil {
		fmt.Printf(guestSays+"FAILED %s: %v\n", stage, err)
		if b, err := exec.Command("dmesg").Output(); err == nil {
			fmt.Printf("%s\n", b[max(0, len(b)-4096):])
		}
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func stageNamed(stage string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	fmt.Println(guestSays+"STAGE", stage)
	os.Setenv("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
	switch stage {
	case "initramfs":
		return initramfs()
	case "kernel":
		// The kernel mounted /dev; on the real systems nothing there is executed.
		return first(unix.Mount("", "/dev", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NOEXEC, ""), kernelMounts(), root())
	case "root":
		return root()
	case "unit":
		return unit()
	}
	return fmt.Errorf("no stage is called %q", stage)
}

// initramfs sets the root up and hands over to the guest program in it.
func initramfs() error {
	g, err := newGuest(func() error {
		return first(
			mount("devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755"),
			kernelMounts(),
			loadModules("/lib/modules/load"),
		)
	})
	if err != nil {
		return err
	}
	const at = "/newroot"
	if err := g.Shape.Boot(g, at); err != nil {
		return fmt.Errorf("setting up the root of %s: %w", g.Shape.Name, err)
	}
	return switchRoot(at, initProgram, "root")
}

// kernelMounts mounts what a system has of the kernel's file systems beside /dev.
func kernelMounts() error {
	const closed = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return first(
		mount("proc", "/proc", "proc", closed, ""),
		mount("sysfs", "/sys", "sysfs", closed, ""),
		mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"),
		mount("securityfs", "/sys/kernel/security", "securityfs", closed, ""),
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", closed, ""),
		os.MkdirAll("/dev/pts", 0o755),
		mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=620,gid=5"),
	)
}

// root follows the plan as process 1 of the root.
func root() error {
	g, err := newGuest(nil)
	if err != nil {
		return err
	}
	err = first(
		os.WriteFile("/proc/sys/kernel/hostname", []byte(g.Plan.Node), 0o644),
		g.Shape.Up(g),
		applySysctls("/usr/lib/sysctl.d"),
		g.Quiet("ip", "link", "set", "lo", "up"),
		g.listen(),
		g.Service("sleep.service", "/usr/bin/sleep", "86400"),
	)
	if err == nil && g.Plan.Options["module"] == "unsigned" {
		err = loadUnsigned()
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", g.Shape.Name, err)
	}
	return g.follow()
}

// listen opens a socket on which process 1 listens for nobody: that of every real
// system listens on several.
func (g *InGuest) listen() (err error) {
	g.control, err = net.Listen("unix", "/run/control.sock")
	return first(err, os.Chmod("/run/control.sock", 0o600))
}

// unit follows the plan as a unit of another process 1.
func unit() error {
	g, err := newGuest(nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/kernel/hostname", []byte(g.Plan.Node), 0o644); err != nil {
		return err
	}
	return g.follow()
}

// newGuest finds the plan and its shape, after what has to be before.
func newGuest(before func() error) (*InGuest, error) {
	if before != nil {
		if err := before(); err != nil {
			return nil, err
		}
	}
	device, err := diskWith("plan")
	if err != nil {
		return nil, err
	}
	plan, err := readPlan(device)
	if err != nil {
		return nil, err
	}
	shape, err := ShapeNamed(plan.Shape)
	if err != nil {
		return nil, err
	}
	return &InGuest{Plan: plan, Shape: shape}, nil
}

// follow takes the steps of the plan, one after the other. A step that fails
// ends it, since what comes after rests on it.
func (g *InGuest) follow() error {
	device, err := diskWith("out")
	if err != nil {
		return err
	}
	if g.disk, err = os.OpenFile(device, os.O_WRONLY, 0); err != nil {
		return err
	}
	g.out = tar.NewWriter(g.disk)
	for i, s := range g.Plan.Steps {
		fmt.Printf(guestSays+"STEP %d %s %s\n", i, s.Task, s.Arg)
		began := time.Now()
		err := g.take(s)
		o := Outcome{Step: s, Seconds: time.Since(began).Seconds()}
		if err != nil {
			o.Error = err.Error()
		}
		b, _ := json.Marshal(o)
		if err := g.Save(fmt.Sprintf("steps/%03d.json", i), b); err != nil {
			return err
		}
		if o.Error != "" {
			break
		}
	}
	return first(g.out.Close(), g.disk.Sync())
}

func (g *InGuest) take(s Step) error {
	switch s.Task {
	case "report":
		return g.report(s.Arg, nil)
	case "attack", "undo":
		a, err := AttackNamed(s.Arg)
		if err != nil {
			return err
		}
		if s.Task == "attack" {
			return a.Do(g)
		}
		return a.Undo(g)
	}
	task := tasks[s.Task]
	if task == nil {
		return fmt.Errorf("no task is called %q", s.Task)
	}
	return task(g, s.Arg)
}

// report runs the real agent once and saves what it would send.
func (g *InGuest) report(name string, wrap []string) error {
	var stdout, stderr bytes.Buffer
	argv := slices.Concat(wrap, []string{agentProgram, "--once", "--collector", "-", "--interval", "1h"})
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if saved := first(g.Save("reports/"+name+".json", stdout.Bytes()), g.Save("reports/"+name+".log", stderr.Bytes())); saved != nil {
		return saved
	}
	if err != nil {
		return fmt.Errorf("running the agent: %w: %s", err, stderr.String())
	}
	return nil
}

// Save takes content out of the guest as a file with this name.
func (g *InGuest) Save(name string, content []byte) error {
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
	if err := g.out.WriteHeader(h); err != nil {
		return err
	}
	if _, err := g.out.Write(content); err != nil {
		return err
	}
	return g.out.Flush()
}

// Output runs a program and returns what it wrote.
func (g *InGuest) Output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return string(b), fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, b)
	}
	return string(b), nil
}

// Quiet runs a program for what it does.
func (g *InGuest) Quiet(name string, args ...string) error {
	_, err := g.Output(name, args...)
	return err
}

// Service starts a program as a service of the host: in a control group of its
// own below system.slice, until the guest ends or it is killed.
func (g *InGuest) Service(unit, name string, args ...string) error {
	_, err := g.start(unit, exec.Command(name, args...))
	return err
}

// start is Service for a command that was made ready, and returns its process.
func (g *InGuest) start(unit string, cmd *exec.Cmd) (*os.Process, error) {
	if err := startIn(unit, cmd); err != nil {
		return nil, err
	}
	go cmd.Wait()
	return cmd.Process, nil
}

// startIn starts a command in the control group of a service.
func startIn(unit string, cmd *exec.Cmd) error {
	group := serviceGroup(unit)
	if err := os.MkdirAll(group, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open(group, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", unit, err)
	}
	return nil
}

func serviceGroup(unit string) string { return filepath.Join("/sys/fs/cgroup/system.slice", unit) }

// diskWith returns the device of the disk with this serial number.
func diskWith(serial string) (string, error) {
	names, err := filepath.Glob("/sys/block/vd*/serial")
	if err != nil {
		return "", err
	}
	for _, n := range names {
		if b, err := os.ReadFile(n); err == nil && strings.TrimSpace(string(b)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(n)), nil
		}
	}
	return "", fmt.Errorf("no disk has the serial number %q: there are %v", serial, names)
}

// Disk is diskWith for a shape: its disks are there, or nothing works.
func (g *InGuest) Disk(serial string) string {
	d, err := diskWith(serial)
	if err != nil {
		panic(err)
	}
	return d
}

// kernelWord is the value of a word on the kernel's command line.
func kernelWord(key string) (string, error) {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	for _, word := range strings.Fields(string(b)) {
		if value, ok := strings.CutPrefix(word, key+"="); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("no %s= in %q", key, b)
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil && !errors.Is(err, unix.EROFS) {
		return err
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mounting %s %q on %s (%s): %w", fstype, source, target, data, err)
	}
	return nil
}

// loadModules loads the modules that a file lists, one path a line, in order.
func loadModules(list string) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(b)) {
		if err := loadModule(name); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading the module %s: %w", name, err)
	}
	return nil
}

// switchRoot makes at the root and executes program in it, as switch_root(8)
// does.
func switchRoot(at, program string, args ...string) error {
	for _, d := range []string{"proc", "sys", "dev", "run"} {
		if err := unix.Mount("/"+d, filepath.Join(at, d), "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving /%s into the root: %w", d, err)
		}
	}
	for _, d := range []string{"/usr", "/lib", "/lib64", "/bin", "/sbin", "/init"} { // memory
		_ = os.RemoveAll(d)
	}
	if err := unix.Chdir(at); err != nil {
		return err
	}
	if err := unix.Mount(at, "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	argv := append([]string{program}, args...)
	return fmt.Errorf("executing %s: %w", program, unix.Exec(program, argv, []string{"PATH=/usr/bin:/usr/sbin"}))
}

// applySysctls sets what the *.conf in dir say, as systemd-sysctl does.
func applySysctls(dir string) error {
	names, err := filepath.Glob(dir + "/*.conf")
	if err != nil {
		return err
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok {
				continue
			}
			err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0o644)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// first is the first error that there is. What they are of was all done: a guest that
// went wrong half-way is given up.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
