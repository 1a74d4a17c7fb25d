package node

import (
	"cmp"
	"context"
	"slices"
)

// AskBPF is the question for the eBPF programs that the kernel has loaded:
// []BPFProgram. It needs CAP_SYS_ADMIN; no program is changed by it.
const AskBPF = "bpf-programs"

// BPFProgram is an eBPF program that the kernel has loaded. Its name is whatever
// its loader gave it, up to 15 characters. Source: bpf(2),
// BPF_PROG_GET_NEXT_ID and BPF_OBJ_GET_INFO_BY_FD.
type BPFProgram struct {
	Name string `json:"name"`
	Type string `json:"type"` // "cgroup_skb", "kprobe"; "type 99" for one that this program does not know
	Tag  string `json:"tag"`  // a digest of its instructions, 16 hexadecimal digits
	UID  uint32 `json:"uid"`  // who loaded it
}

// BPFPrograms are the eBPF programs of the kernel and the names under which
// programs and maps outlive their loaders.
type BPFPrograms struct {
	Programs []BPFProgram `json:"programs"` // nil where they could not be read
	// Pins are paths on file systems of type bpf, /sys/fs/bpf by custom; nil where
	// they could not be listed.
	Pins []string `json:"pins"`
}

const maxPins = 5000

// BPF is which eBPF programs the kernel has.
var BPF = Source[BPFPrograms]{
	Name:  "bpf",
	Doc:   "eBPF programs that the kernel has loaded, and what is pinned on file systems of type bpf",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (BPFPrograms, []Gap, error) {
		var v BPFPrograms
		programs, err := ask[[]BPFProgram](h, AskBPF, "")
		if err != nil {
			return v, nil, err
		}
		slices.SortFunc(programs, compareBPF)
		// A program for each container is as many as there are containers.
		v.Programs = slices.CompactFunc(programs, func(a, b BPFProgram) bool { return compareBPF(a, b) == 0 })
		if v.Programs == nil {
			v.Programs = []BPFProgram{}
		}
		var gaps []Gap
		if v.Pins, err = listPins(h); err != nil {
			gaps = append(gaps, GapOf("what eBPF objects are pinned", err).In("pins"))
		}
		return v, gaps, nil
	},
}

func compareBPF(a, b BPFProgram) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.UID, b.UID))
}

// listPins lists the files of all file systems of type bpf, which are pins.
func listPins(h *Host) ([]string, error) {
	table, err := h.gathering.mounts()
	if err != nil {
		return nil, err
	}
	pins := []string{}
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		entries, err := h.ReadDir(dir, maxPins)
		switch {
		case IsAbsent(err):
			return nil
		case err != nil:
			return err
		case depth > 8:
			return &Error{"listing", "/" + dir, TooLarge, "more than 8 folders deep"}
		}
		for _, e := range entries {
			at := dir + "/" + e.Name
			if e.Type == Directory {
				if err := walk(at, depth+1); err != nil {
					return err
				}
				continue
			}
			if len(pins) == maxPins {
				return &Error{"listing", "/" + dir, TooLarge, "stopped after 5000 files"}
			}
			pins = append(pins, "/"+withoutUUID(at))
		}
		return nil
	}
	for i, m := range table.mounts {
		if m.fstype != "bpf" || table.lookup(m.path) != i { // another is mounted over it
			continue
		}
		if err := walk(m.path[1:], 0); err != nil {
			return nil, err
		}
	}
	slices.Sort(pins)
	return slices.Compact(pins), nil
}
