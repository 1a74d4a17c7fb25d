package node

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// inventoryLimits bound one reading of an inventory.
type inventoryLimits struct {
	entries int           // names of files and folders looked at
	bytes   int64         // hashed, of files that changed
	file    int64         // size of a file that is hashed at all
	kept    int           // executables in the fact
	depth   int           // folders below each other
	folder  int           // names in one folder
	time    time.Duration // by the clock: a slow disk must not hold up other sources
}

// defaultLimits keep a reading within its share of the two seconds of processor
// time that all inventories have: SHA-256 takes 1.5 s for 512 MiB where a
// processor has no instructions for it, and 20,000 names take 0.2 s. A kubelet is
// below 128 MiB.
var defaultLimits = inventoryLimits{
	entries: 20_000, bytes: 384 << 20, file: 256 << 20, kept: 5000, depth: 32, folder: 20_000, time: Deadline * 6 / 10,
}

// passingLimits are for what everybody may fill.
var passingLimits = inventoryLimits{
	entries: 10_000, bytes: 128 << 20, file: 256 << 20, kept: 1000, depth: 32, folder: 20_000, time: Deadline * 3 / 10,
}

// walkedInventories are where readings of inventories have come to. They outlive a
// gathering. One reader of a source runs at a time, whatever becomes of those that
// wait for it, so that nothing else guards them.
type walkedInventories struct{ staying, passing walkedInventory }

// walkedInventory is what earlier readings have seen, and where the next goes on.
// The order is that of [before].
type walkedInventory struct {
	seen   map[string]seenExecutable // by path as it is on disk
	pass   int                       // number of the last reading
	cursor string                    // the next path to look at; "" for the beginning
	whole  bool                      // everything was looked at once
	more   bool                      // there are more executables than are kept
}

// seenExecutable is a file, or a folder or file that could not be read.
type seenExecutable struct {
	file   StoredExecutable
	ino    uint64
	unread error // of the file, or alone
	pass   int   // the reading that saw it last
}

// inventoryWalk is one reading.
type inventoryWalk struct {
	ctx    context.Context
	h      *Host
	table  *mountTable
	at     map[string]bool // paths that something is mounted on
	limits inventoryLimits
	into   *walkedInventory

	looked  []string
	lo, hi  string // from and before which paths are looked at; "" for no bound
	entries int
	bytes   int64
	stopped string // the path that was not looked at any more
	why     string // what bound was hit there
}

func readInventory(ctx context.Context, h *Host, roots []string, into *walkedInventory, limits inventoryLimits) (Inventory, []Gap, error) {
	table, err := h.gathering.mounts()
	if err != nil {
		return Inventory{}, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limits.time, fmt.Errorf("stopped after %v", limits.time))
	defer cancel()
	w := &inventoryWalk{ctx: ctx, h: h, table: table, at: map[string]bool{}, limits: limits, into: into}
	for _, m := range table.mounts {
		w.at[m.path] = true
	}
	if into.seen == nil {
		into.seen = map[string]seenExecutable{}
	}
	into.pass++
	looked, err := w.roots(roots)
	w.looked = looked
	if err != nil {
		return Inventory{}, nil, err
	}
	from := into.cursor
	if from == "" {
		into.more = false
	}
	if w.walk(looked, from, "") {
		into.whole = true
		if from == "" || w.walk(looked, "", from) {
			w.stopped = ""
		}
	}
	into.cursor = w.stopped
	return w.inventory(looked), w.gaps(), nil
}

// roots are those of the list that are there; links among them are followed to
// where no other root is. One that cannot be looked at is noted.
func (w *inventoryWalk) roots(list []string) ([]string, error) {
	all := slices.Concat(stayingRoots, passingRoots)
	covered := func(p string) bool {
		return slices.ContainsFunc(all, func(r string) bool { return p == r || strings.HasPrefix(p, r+"/") })
	}
	out := []string{}
	var first error
	unread := 0
	for _, root := range list {
		info, err := w.h.Lstat(root[1:])
		if err == nil && info.Type == Symlink {
			to, linkErr := realPath(w.h, root)
			if linkErr == nil && covered(to) {
				continue
			}
			if err = linkErr; err == nil {
				root = to
				info, err = w.h.Lstat(strings.TrimPrefix(root, "/"))
			}
		}
		switch {
		case IsAbsent(err):
			delete(w.into.seen, root)
		case err != nil:
			if first == nil {
				first = err
			}
			unread++
			w.into.seen[root] = seenExecutable{unread: err, pass: w.into.pass}
		case info.Type == Directory && root != "/":
			out = append(out, root)
		}
	}
	if unread == len(list) {
		return nil, first // nothing was seen at all
	}
	slices.SortFunc(out, before)
	return slices.Compact(out), nil
}

// before orders paths as they are walked: a folder before what is in it, and that
// before the next name.
func before(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

// walk looks at what is in the roots from lo and before hi, and forgets what
// earlier readings saw there and this one did not. It reports whether it came to
// its end.
func (w *inventoryWalk) walk(roots []string, lo, hi string) bool {
	w.lo, w.hi = lo, hi
	done := true
	for _, root := range roots {
		if !w.wanted(root) {
			continue
		}
		i := w.table.lookup(root)
		if i < 0 || !w.table.looksInto(i) || containerStorage(root) {
			continue
		}
		if done = w.folder(root, i, w.openAbove(root), 0); !done {
			break
		}
	}
	end := hi
	if !done {
		end = w.stopped
	}
	maps.DeleteFunc(w.into.seen, func(p string, s seenExecutable) bool {
		return s.pass != w.into.pass && (lo == "" || before(p, lo) >= 0) && (end == "" || before(p, end) < 0)
	})
	return done
}

// wanted reports whether a path, or something below it, is between the bounds.
func (w *inventoryWalk) wanted(p string) bool {
	return (w.lo == "" || before(p, w.lo) >= 0 || strings.HasPrefix(w.lo, p+"/")) && (w.hi == "" || before(p, w.hi) < 0)
}

// openAbove is the nearest folder above p that everybody may write, "" for none.
func (w *inventoryWalk) openAbove(p string) string {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if info, err := w.h.Lstat(dir[1:]); err == nil && openToAll(info) {
			return dir
		}
	}
	return ""
}

func openToAll(dir FileInfo) bool { return dir.Mode&0o002 != 0 && dir.Mode&0o1000 == 0 }

// stop notes that the reading ends before p, and why.
func (w *inventoryWalk) stop(p, why string) bool {
	w.stopped, w.why = p, why
	return false
}

// folder looks at what is in a folder on mount i; it reports false where a bound
// was hit.
func (w *inventoryWalk) folder(dir string, i int, openFolder string, depth int) bool {
	name := dir[1:]
	info, err := w.h.Lstat(name)
	if err == nil && info.Type != Directory {
		return true
	}
	var entries []DirEntry
	if err == nil {
		if openToAll(info) {
			openFolder = dir
		}
		entries, err = w.h.ReadDir(name, w.limits.folder)
	}
	if err == nil && depth == w.limits.depth && slices.ContainsFunc(entries, func(e DirEntry) bool { return e.Type == Directory }) {
		err = &Error{"listing", dir, TooLarge, fmt.Sprintf("more than %d folders below each other", w.limits.depth)}
		w.note(dir, err)
	} else if err != nil {
		w.note(dir, err)
		return true
	}
	for _, e := range entries {
		p := dir + "/" + e.Name
		if e.Type != Directory && e.Type != Regular || !w.wanted(p) {
			continue
		}
		if w.entries++; w.entries > w.limits.entries {
			return w.stop(p, fmt.Sprintf("stopped after %d names", w.limits.entries))
		}
		if w.ctx.Err() != nil {
			return w.stop(p, context.Cause(w.ctx).Error())
		}
		switch {
		case e.Type == Regular:
			if !w.file(p, i, openFolder) {
				return false
			}
		case depth < w.limits.depth && !containerStorage(p) && !w.ofAnother(p):
			on := i
			if w.at[p] {
				if on = w.table.lookup(p); on < 0 || !w.table.looksInto(on) {
					continue
				}
			}
			if !w.folder(p, on, openFolder, depth+1) {
				return false
			}
		}
	}
	return true
}

// ofAnother reports whether a folder of a staying root is one of the passing ones.
func (w *inventoryWalk) ofAnother(p string) bool {
	return w.into == &w.h.gathering.walked.staying && slices.Contains(passingRoots, p)
}

// note keeps why something could not be read. What vanished since it was listed
// is nothing.
func (w *inventoryWalk) note(p string, err error) {
	if !IsAbsent(err) {
		w.keep(p, seenExecutable{unread: err})
	}
}

func (w *inventoryWalk) keep(p string, s seenExecutable) {
	if _, there := w.into.seen[p]; !there && w.full() {
		return
	}
	s.pass = w.into.pass
	w.into.seen[p] = s
}

// full reports whether no more is kept, and notes that there is more.
func (w *inventoryWalk) full() bool {
	full := len(w.into.seen) >= w.limits.kept
	w.into.more = w.into.more || full
	return full
}

// executableBits are those for which a file is listed.
const executableBits = 0o6111

func (w *inventoryWalk) file(p string, i int, openFolder string) bool {
	name := p[1:]
	info, err := w.h.Lstat(name)
	switch {
	case err != nil:
		w.note(p, err)
		return true
	case info.Type != Regular || info.Mode&executableBits == 0:
		return true
	}
	if _, there := w.into.seen[p]; !there && w.full() {
		return true
	}
	f := StoredExecutable{Path: quoteName(p), Kind: "unread", Mode: info.Mode, UID: info.UID, GID: info.GID, Size: info.Size, OpenFolder: quoteName(openFolder)}
	was, known := w.into.seen[p]
	known = known && was.ino == info.Ino && was.file.Size == info.Size && was.file.SHA256 != ""
	if size := info.Size; !known && size <= w.limits.file && w.bytes > 0 && w.bytes+size > w.limits.bytes {
		return w.stop(p, fmt.Sprintf("stopped at a bound of %d bytes", w.limits.bytes))
	}
	// The host hashes again only what changed. A file that has the digest it had is
	// not counted, so that a large tree is read to its end in the hours after.
	sum, err := w.h.FS.Digest(name, w.limits.file)
	if err == nil && !(known && was.file.SHA256 == sum) {
		w.bytes += info.Size
	}
	f.SHA256 = sum
	if known && was.file.SHA256 == sum {
		f.Kind = was.file.Kind
	} else if head, headErr := w.h.Head(name, MaxHead); headErr == nil {
		f.Kind = kindOf(head)
	} else if err == nil {
		err = headErr
	}
	caps, capErr := readCapabilities(w.h, name)
	if f.Capabilities = caps; err == nil {
		err = capErr
	}
	if IsAbsent(err) {
		return true // it is gone
	}
	if sum != "" {
		f.Copy = w.copyOf(p, i, info, sum)
	}
	w.keep(p, seenExecutable{file: f, ino: info.Ino, unread: err})
	return true
}

// kindOf tells files by what they begin with: elf(5), execve(2).
func kindOf(head []byte) string {
	switch {
	case len(head) == 0:
		return "empty"
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return "elf"
	case bytes.HasPrefix(head, []byte("#!")):
		return "script"
	}
	return "other"
}

// copyOf is a file below that is the same.
func (w *inventoryWalk) copyOf(p string, i int, info FileInfo, sum string) string {
	for _, at := range w.table.mounts[i].layersOf(p) {
		below, err := w.h.Lstat(at[1:])
		if err != nil || below.Type != Regular || below.Size != info.Size || below.Mode != info.Mode || below.UID != info.UID || below.GID != info.GID {
			continue
		}
		if s, err := w.h.FS.Digest(at[1:], w.limits.file); err == nil && s == sum {
			return quoteName(at)
		}
	}
	return ""
}

// inventory is what is known now.
func (w *inventoryWalk) inventory(looked []string) Inventory {
	inv := Inventory{Looked: looked, Files: []StoredExecutable{}}
	var text strings.Builder
	for _, p := range slices.SortedFunc(maps.Keys(w.into.seen), before) {
		if s := w.into.seen[p]; s.file.Path != "" {
			inv.Files = append(inv.Files, s.file)
			fmt.Fprintf(&text, "%s  %s\n", s.file.SHA256, s.file.Path)
		}
	}
	w.h.evidence.add("executables in "+strings.Join(looked, ", "), []byte(text.String()))
	return inv
}

// top is the folder next to the root of the search that p is in.
func (w *inventoryWalk) top(p string) string {
	for _, root := range w.looked {
		if rest, inside := below(root, p); inside && rest != "" {
			first, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
			return quoteName(stableName(path.Join(root, first)))
		}
	}
	return quoteName(stableName(p))
}

func (w *inventoryWalk) gaps() []Gap {
	var gaps []Gap
	unread := tally{what: "folders and executables"}
	for _, p := range slices.SortedFunc(maps.Keys(w.into.seen), before) {
		if err := w.into.seen[p].unread; err != nil {
			unread.add(0, err)
		}
	}
	for _, g := range unread.gaps() {
		g.Reason = stableName(g.Reason)
		gaps = append(gaps, g)
	}
	if !w.into.whole {
		// Where it stopped differs between equal nodes; the top folders say enough.
		from := w.top(w.stopped)
		gaps = append(gaps, GapOf("what is to be run from storage that can be written, from "+from+" on,",
			&Error{"looking through", from, TooLarge, w.why + "; the next reading goes on there"}))
	}
	if w.into.more {
		gaps = append(gaps, GapOf("all that is to be run from storage that can be written",
			&Error{"looking through", "storage that can be written", TooLarge, fmt.Sprintf("more than %d executables; the rest is not listed", w.limits.kept)}))
	}
	return gaps
}
