package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// AskSystemd is the question for the units that systemd has loaded. It is
// answered by package systemd through D-Bus, where a program was told to ask.
const AskSystemd = "systemd-units"

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

// LoadedUnits are the units that systemd has loaded, those that start no program
// left out.
var LoadedUnits = Source[[]LoadedUnit]{
	Name:  "loaded-units",
	Doc:   "the units that systemd has loaded, asked through D-Bus where --systemd allows it",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) ([]LoadedUnit, []Gap, error) {
		answer, err := ask[[]LoadedUnit](h, AskSystemd, "")
		if err != nil {
			return nil, nil, err
		}
		out := []LoadedUnit{}
		for _, u := range answer {
			if hasSuffix(u.Name, startsNothing) {
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
		return slices.CompactFunc(out, func(a, b LoadedUnit) bool { return compareLoaded(a, b) == 0 }), nil, nil
	},
}

func compareLoaded(a, b LoadedUnit) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Fragment, b.Fragment), slices.Compare(a.DropIns, b.DropIns), slices.Compare(a.Starts, b.Starts))
}
