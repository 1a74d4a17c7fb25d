package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// AskSystemd is the question for the units that systemd has loaded:
// SystemdUnits. Package systemd answers it through D-Bus where a program was
// told to ask; elsewhere the answer is that nobody asked.
const AskSystemd = "systemd-units"

// SystemdUnits is what systemd itself says of its units.
type SystemdUnits struct {
	// Asked is "yes" where this installation asks systemd (--systemd), "no" where it
	// does not: D-Bus is power over the host, so that most do not.
	Asked string       `json:"asked"`
	Units []LoadedUnit `json:"units"`
}

// LoadedUnit is a unit as systemd itself has it. Source:
// org.freedesktop.systemd1(5).
type LoadedUnit struct {
	Name     string   `json:"name"`
	Fragment string   `json:"fragment"` // FragmentPath: its file, "" for none
	DropIns  []string `json:"dropIns"`  // DropInPaths
	State    string   `json:"state"`    // UnitFileState: "enabled", "static", "generated", "transient"
	Starts   []string `json:"starts"`   // the programs of its Exec settings, without arguments
	// Stale says that its files have changed since systemd read them: NeedDaemonReload.
	Stale bool `json:"stale,omitempty"`
}

// Outside reports whether a file of the unit is in none of the vendor's folders.
func (u LoadedUnit) Outside() bool {
	return slices.ContainsFunc(append([]string{u.Fragment}, u.DropIns...), func(name string) bool {
		return name != "" && !strings.HasPrefix(name, "/usr/lib/systemd/") && !strings.HasPrefix(name, "/lib/systemd/")
	})
}

// LoadedUnits are the units that systemd has loaded from a file outside the
// vendor's folders. The others come and go as they are used; those that start
// no program are left out. What systemd unloads is another matter from one node
// to the next, so that it is no fact of a cohort.
var LoadedUnits = Source[SystemdUnits]{
	Name:  "loaded-units",
	Doc:   "the units that systemd has loaded from outside its vendor folders, asked through D-Bus where --systemd allows it",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (SystemdUnits, []Gap, error) {
		answer, err := ask[SystemdUnits](h, AskSystemd, "")
		if err != nil {
			return SystemdUnits{}, nil, err
		}
		out := []LoadedUnit{}
		for _, u := range answer.Units {
			if hasSuffix(u.Name, startsNothing) || !u.Outside() {
				continue
			}
			u.Name, u.Fragment = stableUnitName(u.Name), stableUnitName(u.Fragment)
			u.DropIns = slices.Clone(u.DropIns)
			for i, d := range u.DropIns {
				u.DropIns[i] = stableUnitName(d)
			}
			out = append(out, u)
		}
		slices.SortFunc(out, compareLoaded)
		out = slices.CompactFunc(out, func(a, b LoadedUnit) bool { return compareLoaded(a, b) == 0 })
		return SystemdUnits{Asked: answer.Asked, Units: out}, nil, nil
	},
}

func compareLoaded(a, b LoadedUnit) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Fragment, b.Fragment), slices.Compare(a.DropIns, b.DropIns), slices.Compare(a.Starts, b.Starts))
}
