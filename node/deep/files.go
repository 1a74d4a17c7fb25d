package deep

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

const (
	// maxObjects is how many files a folder of objects may hold, and maxNested how
	// deep they may lie: such stores have two levels.
	maxObjects = 1 << 20
	maxNested  = 4
)

// walk goes through the files at or below a path, in order.
type walk struct {
	asking  *asking
	paces   *pace
	options Options
	names   *names // of a single file, which may be the image of a composefs
	bytes   int64  // of the files before
	seen    int
	result  node.DeepFiles
}

// errFound ends a walk at the first file that is not as it should be.
var errFound = errors.New("the first bad file was found")

// files proves the files with fs-verity at or below a path: what is in them comes
// to the digest that the kernel has of them, and holds what is read to. What a
// single file names as the image of a composefs is looked up among the files below
// the folders that were asked for before.
func (a *asking) files(of string) (node.DeepFiles, error) {
	w := &walk{asking: a, paces: &pace{}, options: a.options.named("/" + of), result: node.DeepFiles{Path: "/" + of}}
	w.paces.begin(a.ctx, a.options.Limit)
	defer w.paces.end()
	var err error
	idly(func() { err = w.path(of) })
	if err != nil {
		a.objects.lacks(fmt.Sprintf("not all of %s was read", w.result.Path))
	}
	if errors.Is(err, errFound) {
		err = nil
	}
	return w.result, err
}

func (w *walk) path(of string) error {
	info, err := w.asking.fs.Lstat(of)
	switch {
	case err != nil:
		return err
	case info.Type == node.Directory:
		return w.folder(of, 0)
	case info.Type != node.Regular:
		return &node.Error{Op: "reading again", Name: "/" + of, Code: node.NotRegular}
	}
	w.names = &names{known: &w.asking.objects}
	digest, err := w.file(of)
	if w.result.Digest = digest; err == nil && digest != "" {
		w.result.Names = w.names.end()
	}
	return err
}

func (w *walk) folder(of string, depth int) error {
	if depth == maxNested {
		return &node.Error{Op: "listing", Name: "/" + of, Code: node.TooLarge, Detail: fmt.Sprintf("folders in more than %d folders", maxNested)}
	}
	entries, err := w.asking.fs.ReadDir(of, maxObjects)
	if err != nil {
		return err
	}
	if w.seen += len(entries); w.seen > maxObjects {
		return &node.Error{Op: "listing", Name: w.result.Path, Code: node.TooLarge, Detail: fmt.Sprintf("more than %d entries", maxObjects)}
	}
	for _, e := range entries {
		var err error
		name := of + "/" + e.Name
		if e.Type == node.Directory {
			err = w.folder(name, depth+1)
		} else if e.Type == node.Regular {
			_, err = w.file(name)
		}
		if err != nil && !node.IsAbsent(err) { // objects that nothing uses any more are removed
			return err
		}
	}
	return nil
}

// file proves one file. One without fs-verity has nothing to be held to.
func (w *walk) file(of string) (string, error) {
	if err := w.asking.ctx.Err(); err != nil {
		return "", err
	}
	b, err := w.asking.KernelAPI.Ask(node.Question{Kind: node.AskMeasure, Of: of})
	if err != nil {
		return "", err
	}
	var m node.FileMeasure
	if err := json.Unmarshal(b, &m); err != nil {
		return "", err
	}
	if !m.Enabled {
		w.result.Without++
		return "", nil
	}
	in, err := w.asking.openFile(of)
	if err != nil {
		return "", err
	}
	defer in.Close()
	got, err := fileDigest(w.asking.ctx, in, in.Size(), m, w.paces, func(offset int64, content []byte) {
		if w.names != nil {
			w.names.add(content)
		}
		if w.options.Progress != nil {
			w.options.Progress("", w.bytes+offset+int64(len(content)), 0)
		}
	})
	w.bytes += in.Size()
	var read *readError
	switch want := m.Algorithm + ":" + m.Digest; {
	case errors.As(err, &read):
		w.result.Unreadable = &node.UnreadablePlace{Device: "/" + of, Offset: read.offset, Reason: read.err.Error()}
		return "", errFound
	case err != nil:
		return "", err
	case got != want:
		w.result.Bad = &node.BadFile{Path: "/" + of, Wanted: want, Computed: got}
		return got, errFound
	}
	w.result.Read++
	if w.names == nil {
		w.asking.objects.add(strings.TrimPrefix("/"+of, w.result.Path), got)
	}
	return got, nil
}
