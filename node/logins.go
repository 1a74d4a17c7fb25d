package node

import (
	"context"
	"path"
	"slices"
	"strings"
)

// LoginServiceState is what the host has to let people in over the network.
type LoginServiceState struct {
	// Programs are those of [LoginPrograms] that exist, by their real path. Sorted.
	Programs []LoginProgram `json:"programs"`
	// Units are the units of such programs that systemd would start, at boot or on
	// a connection. Sorted.
	Units []LoginUnit `json:"units"`
}

// LoginProgram is an executable that lets people in.
type LoginProgram struct {
	Name string `json:"name"` // "sshd"
	Path string `json:"path"` // all links followed
}

// LoginUnit is a unit that systemd is told to start.
type LoginUnit struct {
	Unit string `json:"unit"` // "sshd.socket"
	// Link is what enables it: "/etc/systemd/system/sockets.target.wants/sshd.socket".
	Link string `json:"link"`
	// Masked marks a unit whose file is a link to /dev/null, which takes the link's
	// effect away. Source: systemd.unit(5).
	Masked bool `json:"masked,omitempty"`
}

// LoginPrograms are where daemons have their executable that let people in,
// without leading slash. None is ever opened. That none of them is there is what
// proves a system without SSH.
var LoginPrograms = []string{
	"usr/sbin/sshd", "usr/bin/sshd", "usr/local/sbin/sshd", "usr/local/bin/sshd", "usr/lib/ssh/sshd", "opt/bin/sshd", "sbin/sshd", "bin/sshd",
	"usr/sbin/dropbear", "usr/bin/dropbear", "usr/local/sbin/dropbear", "usr/local/bin/dropbear", "opt/bin/dropbear", "sbin/dropbear", "bin/dropbear",
	"usr/sbin/tailscaled", "usr/bin/tailscaled", "usr/local/sbin/tailscaled", "usr/local/bin/tailscaled", "opt/bin/tailscaled",
	"usr/bin/teleport", "usr/local/bin/teleport", "opt/bin/teleport",
	"usr/sbin/in.telnetd", "usr/sbin/telnetd", "usr/bin/in.telnetd",
	"usr/libexec/cockpit-tls", "usr/lib/cockpit/cockpit-tls",
}

// loginUnits are the units of these programs.
var loginUnits = []string{
	"cockpit.socket", "dropbear.service", "dropbear.socket", "ssh.service", "ssh.socket", "sshd.service", "sshd.socket",
	"tailscaled.service", "telnet.socket", "teleport.service",
}

// UnitFolders are where systemd looks for units, first wins: systemd.unit(5),
// without the generators' folders. Without leading slash.
var UnitFolders = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"}

// WantFolders are those in a folder of units that start services and sockets at boot.
var WantFolders = []string{"multi-user.target.wants", "sockets.target.wants", "default.target.wants", "basic.target.wants", "sysinit.target.wants"}

// LoginServices are what lets people in over the network, found by looking.
var LoginServices = Source[LoginServiceState]{
	Name:  "login-services",
	Doc:   "programs that let people in over the network, and units that start them",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (LoginServiceState, []Gap, error) {
		v := LoginServiceState{Programs: []LoginProgram{}, Units: []LoginUnit{}}
		var gaps []Gap
		// Only a root that can be looked at can say that something is not there.
		if _, err := h.Lstat("."); err != nil {
			return v, nil, err
		}
		for _, name := range LoginPrograms {
			p, err := realPath(h, "/"+name)
			switch {
			case err == nil:
				v.Programs = append(v.Programs, LoginProgram{path.Base(name), quoteName(p)})
			case !IsAbsent(err):
				gaps = append(gaps, GapOf("/"+name, err).In("programs"))
			}
		}
		slices.SortFunc(v.Programs, func(a, b LoginProgram) int { return strings.Compare(a.Path, b.Path) })
		v.Programs = slices.Compact(v.Programs)

		for _, dir := range UnitFolders {
			for _, wants := range WantFolders {
				links, err := h.ReadDir(dir+"/"+wants, maxUnits)
				if err != nil {
					if !IsAbsent(err) {
						gaps = append(gaps, GapOf("/"+dir+"/"+wants, err).In("units"))
					}
					continue
				}
				for _, l := range links {
					if !slices.Contains(loginUnits, l.Name) {
						continue
					}
					masked, err := unitMasked(h, l.Name)
					if err != nil {
						gaps = append(gaps, GapOf("whether "+l.Name+" is masked", err).In("units"))
					}
					v.Units = append(v.Units, LoginUnit{l.Name, "/" + dir + "/" + wants + "/" + l.Name, masked})
				}
			}
		}
		slices.SortFunc(v.Units, func(a, b LoginUnit) int { return strings.Compare(a.Link, b.Link) })
		return v, gaps, nil
	},
}

const maxUnits = 1 << 14 // names in a folder of units

// unitMasked reports whether the first file of the unit that systemd finds masks it.
func unitMasked(h *Host, unit string) (bool, error) {
	for _, dir := range UnitFolders {
		name := dir + "/" + unit
		if _, err := h.Lstat(name); IsAbsent(err) {
			continue
		}
		return isMasked(h, name)
	}
	return false, nil
}
