//go:build linux

package lab

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// confinedStage is the argument with which the guest program gives capabilities
// up and executes another.
const confinedStage = "confined"

// Confinement are the rights that a program is left with.
type Confinement struct {
	Name string
	What string // for docs/proven.md
	UID  int
	Caps []int // CAP_*; nil stands for all
}

// wrap is the command that starts another with these rights.
func (c Confinement) wrap() []string {
	caps := "all"
	if c.Caps != nil {
		words := make([]string, len(c.Caps))
		for i, n := range c.Caps {
			words[i] = strconv.Itoa(n)
		}
		caps = "=" + strings.Join(words, ",")
	}
	return []string{initProgram, confinedStage, strconv.Itoa(c.UID), caps}
}

// confined drops what the arguments do not keep and executes the rest of them.
func confined(args []string) {
	runtime.LockOSThread()
	err := func() error {
		uid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		var keep []int
		all := args[1] == "all"
		for _, word := range strings.FieldsFunc(strings.TrimPrefix(args[1], "="), func(r rune) bool { return r == ',' }) {
			if n, err := strconv.Atoi(word); err == nil {
				keep = append(keep, n)
			}
		}
		if !all {
			if err := leave(keep); err != nil {
				return err
			}
		}
		if uid != 0 {
			if err := first(unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0), unix.Setresgid(uid, uid, uid), unix.Setresuid(uid, uid, uid)); err != nil {
				return err
			}
			if err := raise(keep); err != nil {
				return err
			}
		}
		return unix.Exec(args[2], args[2:], os.Environ())
	}()
	fmt.Fprintln(os.Stderr, "confining:", err)
	os.Exit(70)
}

// leave takes all capabilities but keep out of what a program can come to have.
func leave(keep []int) error {
	for c := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(keep, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	return nil
}

// raise makes capabilities ambient, so that a program has them that root does not
// run.
func raise(keep []int) error {
	var mask [2]uint32
	for _, c := range keep {
		mask[c/32] |= 1 << (c % 32)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{}
	for i := range data {
		data[i] = unix.CapUserData{Effective: mask[i], Permitted: mask[i], Inheritable: mask[i]}
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return fmt.Errorf("setting capabilities: %w", err)
	}
	for _, c := range keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("raising capability %d: %w", c, err)
		}
	}
	return nil
}
