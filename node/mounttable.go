package node

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"sync"
)

// mountTable answers lookups in the mounts of one namespace. It is shared by the
// sources of a gathering, also by one that was left behind.
type mountTable struct {
	from     string
	bytes    []byte
	mounts   []mount
	ids      map[int]int        // mount identifier → index
	children map[mountpoint]int // index of the mount there
	root     int                // index of the mount that lookups start from, -1 without one
	layers   []int              // by index
	// passing says of each mount whether it comes and goes.
	passing func() []bool

	mu      sync.Mutex
	devices map[string]Device // major:minor → device, as far as asked
}

// mountpoint is where a mount is: on a path, in the mount that it is mounted in.
type mountpoint struct {
	parent int // mount identifier
	path   string
}

func newMountTable(from string, b []byte, mounts []mount) *mountTable {
	t := &mountTable{from: from, bytes: b, mounts: mounts, children: make(map[mountpoint]int, len(mounts)), root: -1, devices: map[string]Device{}}
	t.passing = sync.OnceValue(t.findPassing)
	index := make(map[int]int, len(mounts))
	for i, m := range mounts {
		index[m.id] = i
	}
	t.ids = index
	for i, m := range mounts {
		if _, below := index[m.parent]; m.path == "/" && (!below || m.parent == m.id) {
			if t.root < 0 {
				t.root = i
			}
			continue
		}
		t.children[mountpoint{m.parent, m.path}] = i // of two with one parent the later is on top
	}
	t.layers = layers(mounts, index)
	return t
}

// layers numbers the mounts on each path from the lowest up. The order of lines
// does not tell: a mount can be moved over a younger one. What is mounted over
// another has it among its parents, so it has more of them.
func layers(mounts []mount, index map[int]int) []int {
	depth := make([]int, len(mounts)) // number of parents and one; 0 is not known yet
	var chain []int
	for i := range mounts {
		chain = chain[:0]
		at, above := i, 0
		for {
			if depth[at] != 0 {
				above = depth[at]
				break
			}
			chain = append(chain, at)
			depth[at] = 1 // a parent that is its own child ends here
			next, ok := index[mounts[at].parent]
			if !ok || next == at {
				break
			}
			at = next
		}
		for _, j := range slices.Backward(chain) {
			above++
			depth[j] = above
		}
	}
	// Few of thousands of mounts share a path with another.
	first := make(map[string]int, len(mounts))
	stacks := map[string][]int{}
	for i, m := range mounts {
		if j, shared := first[m.path]; !shared {
			first[m.path] = i
		} else if stack := stacks[m.path]; stack == nil {
			stacks[m.path] = []int{j, i}
		} else {
			stacks[m.path] = append(stack, i)
		}
	}
	out := make([]int, len(mounts))
	for _, stack := range stacks {
		slices.SortFunc(stack, func(a, b int) int { return cmp.Or(depth[a]-depth[b], a-b) })
		for n, i := range stack {
			out[i] = n
		}
	}
	return out
}

// lookup returns the index of the mount that a lookup of the absolute path
// ends in, or -1 if the table has no root.
func (t *mountTable) lookup(p string) int {
	at := t.root
	if at < 0 {
		return -1
	}
	at = t.top(at, "/")
	for i := 1; i < len(p); {
		j := strings.IndexByte(p[i:], '/')
		if j < 0 {
			i = len(p)
		} else {
			i += j
		}
		at = t.top(at, p[:i])
		i++
	}
	return at
}

// top follows mounts that are stacked on one path.
func (t *mountTable) top(at int, p string) int {
	for range len(t.mounts) {
		next, ok := t.children[mountpoint{t.mounts[at].id, p}]
		if !ok || next == at {
			return at
		}
		at = next
	}
	return at
}

// byID is the index of the mount with this number, -1 where there is none.
func (t *mountTable) byID(id uint64) int {
	if i, ok := t.ids[int(id)]; ok && id > 0 && id < 1<<62 {
		return i
	}
	return -1
}

// layer counts the mounts on the same path below that of index i.
func (t *mountTable) layer(i int) int { return t.layers[i] }

// device follows major:minor through sysfs to a name that means something.
func (t *mountTable) device(h *Host, m mount) Device {
	if strings.HasPrefix(m.dev, "0:") && m.fstype != "btrfs" {
		return Device{Kind: "none"}
	}
	t.mu.Lock()
	d, ok := t.devices[m.dev]
	t.mu.Unlock()
	if !ok { // asked without the lock, for a read can hang
		if m.fstype == "btrfs" {
			d = t.btrfsDevice(h, m.dev)
		} else {
			d = blockDevice(h, m.dev)
		}
		t.mu.Lock()
		t.devices[m.dev] = d
		t.mu.Unlock()
	}
	return d
}

// blockDevice names the block device of a major:minor. Source: the kernel's
// Documentation/ABI/stable/sysfs-block and testing/sysfs-block-dm.
func blockDevice(h *Host, dev string) Device {
	link, err := h.ReadLink("sys/dev/block/" + dev)
	if err != nil {
		return Device{Kind: "unknown"}
	}
	return namedDevice(h, "sys/dev/block/"+dev+"/", path.Base(link))
}

// namedDevice names the block device whose folder in sysfs is dir.
func namedDevice(h *Host, dir, kernelName string) Device {
	if name, err := readLine(h, dir+"dm/name"); err == nil {
		return Device{"dm", withoutUUID(name)}
	}
	if file, err := readLine(h, dir+"loop/backing_file"); err == nil {
		return Device{"loop", withoutUUID(stableRoot(file))}
	}
	if b, err := h.readOnce(dir+"uevent", 1<<16, nil); err == nil {
		for line := range strings.Lines(string(b)) {
			if label, ok := strings.CutPrefix(strings.TrimSpace(line), "PARTNAME="); ok && label != "" {
				return Device{"disk", label}
			}
		}
	}
	return Device{"disk", kernelName}
}

// readLine returns the only line of a small file of the kernel.
func readLine(h *Host, name string) (string, error) {
	b, err := h.readOnce(name, 4096, nil)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}
