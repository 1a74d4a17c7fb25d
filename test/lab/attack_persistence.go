//go:build linux

package lab

import "os"

var unitInEtc = Attack{
	Name:   "unit-in-etc",
	What:   "a unit is written to /etc/systemd/system and enabled, which would start a program in /var",
	Shapes: []string{"verity-create"},
	Do: func(*InGuest) error {
		const dir = "/etc/systemd/system"
		return first(
			write(dir+"/intruder.service", 0o644, "[Service]\nExecStart=/var/lib/intruder/program\n[Install]\nWantedBy=multi-user.target\n"),
			os.Mkdir(dir+"/multi-user.target.wants", 0o755),
			os.Symlink("../intruder.service", dir+"/multi-user.target.wants/intruder.service"),
		)
	},
	Undo: func(*InGuest) error { return os.RemoveAll("/etc/systemd") },
	Changes: []Change{
		{"units-from-image", "pass none", "fail outside-image"},
	},
	Level:    3,
	Mutation: Mutation{"verify/units.go", "out := sortUnits(sorted{}, u.Units, m, places)", "out := sortUnits(sorted{}, nil, m, places)", "units-from-image"},
}
