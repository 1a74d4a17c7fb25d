package node

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Swap is an area that memory is swapped to.
type Swap struct {
	Kind string `json:"kind"` // "partition", "file", or "zram" for compressed memory
	Size int64  `json:"size"` // bytes
}

// Swaps are the areas that the kernel swaps to: proc_swaps(5).
var Swaps = Source[[]Swap]{
	Name:  "swaps",
	Doc:   "areas that memory is swapped to",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) ([]Swap, []Gap, error) {
		b, err := h.ReadFile("proc/swaps", 1<<20)
		if IsAbsent(err) { // a kernel built without swap has no such file
			if _, err := h.Stat("proc/sys"); err != nil {
				return nil, nil, err
			}
			return []Swap{}, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		v, err := parseSwaps(b)
		if err != nil {
			return nil, nil, &Error{"reading", "/proc/swaps", Malformed, err.Error()}
		}
		return v, nil, nil
	},
}

// parseSwaps parses /proc/swaps: a heading, then path, type, sizes in KiB and
// priority. Source: the kernel's mm/swapfile.c, swap_show.
func parseSwaps(b []byte) ([]Swap, error) {
	out := []Swap{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		text, whole := strings.CutSuffix(line, "\n")
		f := strings.Fields(text)
		if n == 1 {
			if !whole || len(f) == 0 || f[0] != "Filename" {
				return nil, fmt.Errorf("heading %.100q is none of swaps", text)
			}
			continue
		}
		// A file that was deleted has a blank in its name.
		if !whole || len(f) < 5 || f[len(f)-4] != "partition" && f[len(f)-4] != "file" {
			return nil, fmt.Errorf("swap line %.100q: want path, type, size, used and priority", text)
		}
		kib, err := number(f[len(f)-3])
		if err != nil {
			return nil, fmt.Errorf("swap line %.100q: size: %w", text, err)
		}
		s := Swap{f[len(f)-4], int64(kib) * 1024}
		if strings.HasPrefix(path.Base(f[0]), "zram") {
			s.Kind = "zram"
		}
		out = append(out, s)
	}
	if n == 0 {
		return nil, fmt.Errorf("the list of swaps is empty: it has no heading")
	}
	slices.SortFunc(out, func(a, b Swap) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return int(min(max(a.Size-b.Size, -1), 1))
	})
	return out, nil
}
