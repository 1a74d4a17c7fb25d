package node

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// EtcState is how /etc differs from what the OS image brought. Names and kinds
// of differences alone: no content, and no digest of one.
type EtcState struct {
	// Defaults is the folder of the image that /etc is compared with, "" where
	// there is none.
	Defaults string `json:"defaults"`
	// Compared is how many entries of the image's folder were looked at.
	Compared int         `json:"compared"`
	Changed  []EtcChange `json:"changed"` // sorted by path
	Added    []string    `json:"added"`   // paths that the image has not; a folder stands for all in it
	Removed  []string    `json:"removed"` // paths that only the image has
}

// EtcChange is one entry that is otherwise than the image brought it.
type EtcChange struct {
	Path string `json:"path"`
	// What is "type", "mode", "owner", "link", "size" or "content".
	What string `json:"what"`
}

// etcDefaults are where systems keep the /etc that their image brought. Sources:
// ostree's docs/manual/adapting-existing.md (/usr/etc), and of Flatcar
// bootengine's initrd-setup-root.
var etcDefaults = []string{"usr/etc", "usr/share/flatcar/etc"}

// EtcDrift is how /etc differs from the image.
var EtcDrift = Source[EtcState]{
	Name:  "etc-drift",
	Doc:   "how /etc differs from what the OS image brought (/usr/etc, /usr/share/flatcar/etc): names, never contents",
	Scope: Node, // a host's own keys and names make the difference
	Every: Hour,
	Read:  readEtcDrift,
}

const (
	maxEtcEntries = 5000    // of both trees
	maxEtcDepth   = 12      // folders
	maxEtcFile    = 1 << 20 // bytes of one file that are compared
	maxEtcBytes   = 32 << 20
)

func readEtcDrift(_ context.Context, h *Host) (EtcState, []Gap, error) {
	v := EtcState{Changed: []EtcChange{}, Added: []string{}, Removed: []string{}}
	for _, dir := range etcDefaults {
		info, err := h.Lstat(dir)
		if IsAbsent(err) {
			continue
		}
		if err != nil {
			return v, nil, err
		}
		if info.Type == Directory {
			v.Defaults = "/" + dir
			break
		}
	}
	if v.Defaults == "" {
		return v, nil, nil
	}
	w := etcWalk{h: h, state: &v, unread: tally{what: "files of /etc"}}
	w.compare(v.Defaults[1:], "etc", 0)
	v.Compared = w.seen
	slices.SortFunc(v.Changed, func(a, b EtcChange) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(v.Added)
	slices.Sort(v.Removed)
	w.unread.of = w.seen
	gaps := w.unread.gaps()
	if w.stopped != nil {
		gaps = append(gaps, GapOf("the rest of /etc", w.stopped))
	}
	return v, gaps, nil
}

// etcWalk compares two trees, at most so many entries and bytes of them.
type etcWalk struct {
	h       *Host
	state   *EtcState
	seen    int
	bytes   int64
	unread  tally
	stopped error
}

func (w *etcWalk) stop(format string, args ...any) {
	if w.stopped == nil {
		w.stopped = &Error{"comparing", "/etc", TooLarge, fmt.Sprintf(format, args...)}
	}
}

// compare compares the folder ours of the image with theirs, below /etc.
func (w *etcWalk) compare(ours, theirs string, depth int) {
	if depth > maxEtcDepth {
		w.stop("stopped at a depth of %d folders", maxEtcDepth)
		return
	}
	image, err := w.h.ReadDir(ours, maxEtcEntries)
	if err != nil {
		w.unread.add(0, err)
		return
	}
	here, err := w.h.ReadDir(theirs, maxEtcEntries)
	if err != nil {
		w.unread.add(0, err)
		return
	}
	has := map[string]bool{}
	for _, e := range here {
		has[e.Name] = true
	}
	for _, e := range image {
		if w.seen++; w.seen > maxEtcEntries {
			w.stop("stopped after %d entries", maxEtcEntries)
			return
		}
		at := path.Join(theirs, e.Name)
		if !has[e.Name] {
			w.state.Removed = append(w.state.Removed, "/"+at)
			continue
		}
		delete(has, e.Name)
		what, err := w.differs(path.Join(ours, e.Name), at)
		switch {
		case IsAbsent(err): // it went meanwhile
		case err != nil:
			w.unread.add(0, err)
		case what != "":
			w.state.Changed = append(w.state.Changed, EtcChange{"/" + at, what})
		}
		if err == nil && e.Type == Directory && what != "type" {
			w.compare(path.Join(ours, e.Name), at, depth+1)
		}
	}
	for name := range has {
		w.state.Added = append(w.state.Added, "/"+path.Join(theirs, name))
	}
}

// differs says what is otherwise about one entry, "" for nothing. The content of
// a file that not everybody may read is not looked at: passwords and keys lie in
// such files, and not even their digests are anybody's business.
func (w *etcWalk) differs(ours, theirs string) (string, error) {
	a, err := w.h.Lstat(ours)
	if err != nil {
		return "", err
	}
	b, err := w.h.Lstat(theirs)
	switch {
	case err != nil:
		return "", err
	case a.Type != b.Type:
		return "type", nil
	case a.Type == Symlink:
		return w.linkDiffers(ours, theirs)
	case a.UID != b.UID || a.GID != b.GID:
		return "owner", nil
	case a.Mode != b.Mode:
		return "mode", nil
	case a.Type != Regular:
		return "", nil
	case a.Size != b.Size:
		return "size", nil
	case a.Mode&0o004 == 0 || a.Size == 0 || a.Dev == b.Dev && a.Ino == b.Ino && a.Ino != 0:
		return "", nil
	case a.Size > maxEtcFile:
		return "", &Error{"comparing", "/" + theirs, TooLarge, fmt.Sprintf("more than %d bytes", maxEtcFile)}
	}
	if w.bytes += a.Size; w.bytes > maxEtcBytes {
		w.stop("stopped after %d bytes", maxEtcBytes)
		return "", nil
	}
	one, err := w.h.Digest(ours, maxEtcFile)
	if err != nil {
		return "", err
	}
	two, err := w.h.Digest(theirs, maxEtcFile)
	if err != nil {
		return "", err
	}
	if one != two {
		return "content", nil
	}
	return "", nil
}

func (w *etcWalk) linkDiffers(ours, theirs string) (string, error) {
	a, err := w.h.ReadLink(ours)
	if err != nil {
		return "", err
	}
	b, err := w.h.ReadLink(theirs)
	if err != nil {
		return "", err
	}
	if a != b {
		return "link", nil
	}
	return "", nil
}
