//go:build linux

package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// confinedShape is the guest that is read with fewer rights.
const confinedShape = "verity-create"

// Confinements are the sets of rights that an agent is tried with.
func Confinements() []Confinement {
	return []Confinement{
		{Name: "two", What: "the agent's two capabilities, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, as the root user", Caps: []int{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}},
		{Name: "two-not-root", What: "the same two capabilities as another user than root", UID: 65532, Caps: []int{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}},
		{Name: "no-admin", What: "all but CAP_SYS_ADMIN, which DM_TABLE_STATUS takes", Caps: allBut(unix.CAP_SYS_ADMIN)},
		{Name: "no-ptrace", What: "all but CAP_SYS_PTRACE", Caps: allBut(unix.CAP_SYS_PTRACE)},
		{Name: "none", What: "no capability, as another user than root", UID: 65532, Caps: []int{}},
	}
}

func allBut(without int) []int {
	var caps []int
	for c := range unix.CAP_LAST_CAP + 1 {
		if c != without {
			caps = append(caps, c)
		}
	}
	return caps
}

// reportConfined runs the agent with fewer rights.
func reportConfined(g *InGuest, name string) error {
	for _, c := range Confinements() {
		if c.Name == name {
			return g.report("confined-"+name, c.wrap())
		}
	}
	return fmt.Errorf("no confinement is called %q", name)
}
