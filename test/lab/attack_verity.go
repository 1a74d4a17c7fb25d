//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var blockRead = Attack{
	Name:   "block-overwritten-and-read",
	What:   "a data block of the root's disk is overwritten underneath device-mapper, and its file is read",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		if err := overwriteMarked(g); err != nil {
			return err
		}
		_, err := os.ReadFile(MarkedFile)
		switch {
		case errors.Is(err, unix.EIO):
			return nil
		case err == nil:
			return errors.New("a file with a damaged block is read as if nothing were")
		}
		return err
	},
	Changes:  []Change{{"image-verified", "pass verified", "fail corrupted"}},
	Level:    2,
	Mutation: Mutation{"verify/verified.go", "\tt := d.Verity\n\tswitch {", "\tt := d.Verity\n\tif t != nil {\n\t\tsound := *t\n\t\tsound.Status = \"V\"\n\t\tt = &sound\n\t}\n\tswitch {", "image-verified"},
}

var blockUnread = Attack{
	Name:   "block-overwritten-and-not-read",
	What:   "a data block of the root's disk is overwritten underneath device-mapper, and nobody reads it",
	Shapes: []string{"verity-create"},
	Slow:   true,
	Do:     overwriteMarked,
	Level:  3,
	Why:    "the kernel checks a block when it reads it: status V says that no bad block was read, and not that there is none. `seaworthy scan --deep` finds it",
}

// overwriteMarked writes other bytes over the first block of the marked file, on
// the disk, and has the kernel forget what it has read.
func overwriteMarked(g *InGuest) error {
	f, err := os.OpenFile(g.Disk("root"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	at, err := findMark(f)
	if err != nil {
		return err
	}
	at &^= 4095
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), at); err != nil {
		return err
	}
	return first(f.Sync(), g.Save("overwritten", strconv.AppendInt(nil, at, 10)), os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200))
}

// findMark is where on a disk the marked file begins.
func findMark(f *os.File) (int64, error) {
	const size = 1 << 20
	b := make([]byte, size+len(mark))
	for off := int64(0); ; off += size {
		n, err := f.ReadAt(b, off)
		if at := bytes.Index(b[:n], []byte(mark)); at >= 0 {
			return off + int64(at), nil
		}
		if err != nil {
			return 0, fmt.Errorf("looking for the marked file on %s: %w", f.Name(), err)
		}
	}
}

// The options of a root on dm-verity.
const (
	tableArgs = "table-args" // optional arguments at the end of its table
	tableKind = "table-kind" // what its initramfs sets up in place of what the command line says
)

var ignoreCorruption = Attack{
	Name:     "ignore-corruption",
	What:     "the table is set up with ignore_corruption, which hands out damaged blocks",
	Shapes:   []string{"verity-create"},
	Slow:     true,
	Options:  map[string]string{tableArgs: "ignore_corruption"},
	Changes:  []Change{{"image-verified", "pass verified", "fail corruption-ignored"}},
	Level:    2,
	Mutation: missIgnored,
}

// missIgnored looks for a word that no table has.
var missIgnored = Mutation{"verify/verified.go", `slices.Contains(t.Args, "ignore_corruption")`, `slices.Contains(t.Args, "ignore-corruption")`, "image-verified"}

var otherRootHash = Attack{
	Name:    "other-root-hash",
	What:    "the initramfs sets up an image whose root hash is not the one on the command line",
	Shapes:  []string{"verity-create"},
	Slow:    true,
	Options: map[string]string{tableKind: "other-hash"},
	Changes: []Change{
		{"cmdline-matches-mapping", "pass matches", "fail hash-differs"},
		{"image-verified", "pass verified", "fail hash-differs"},
	},
	Level:    2,
	Mutation: Mutation{"verify/verified.go", "case booted != t.RootHash:", "case booted > t.RootHash:", "image-verified"},
}

var linearTarget = Attack{
	Name:    "linear-under-its-name",
	What:    "the initramfs sets up a linear target, which checks nothing, under the name of the verity device",
	Shapes:  []string{"verity-create"},
	Slow:    true,
	Options: map[string]string{tableKind: "linear"},
	Changes: []Change{
		{"cmdline-matches-mapping", "pass matches", "fail not-verity"},
		{"image-verified", "pass verified", "fail not-verity"},
	},
	Level: 2,
	Mutation: Mutation{
		"verify/verified.go", `return f.notVerity(p, g, claimed, fmt.Sprintf("the device %s under %s is %s, not verity", d.Name, p.Path, targetTypes(d)))`,
		`return outcome{Pass, "", d.Name}`, "image-verified",
	},
}

var reloadIgnoring = Attack{
	Name:   "reload-ignoring-corruption",
	What:   "between two scans the running table is replaced by one with ignore_corruption",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		return reloadTable(g, func(table string) string { return table + " 1 ignore_corruption" })
	},
	Undo: func(g *InGuest) error {
		return reloadTable(g, func(table string) string { return strings.TrimSuffix(table, " 1 ignore_corruption") })
	},
	Changes:  []Change{{"image-verified", "pass verified", "fail corruption-ignored"}},
	Level:    2,
	Mutation: missIgnored,
}

var reloadLinear = Attack{
	Name:   "reload-as-linear",
	What:   "it is tried to replace the running table by a linear one, which checks nothing",
	Shapes: []string{"verity-create"},
	Do: func(g *InGuest) error {
		err := reloadTable(g, func(table string) string {
			f := strings.Fields(table)
			return fmt.Sprintf("0 %s linear %s 0", f[1], f[4])
		})
		if err == nil {
			return errors.New("the kernel replaced a verity target by a linear one")
		}
		return nil
	},
	Undo:  func(*InGuest) error { return nil },
	Level: 3,
	Why:   "the kernel refuses it: a verity target is not replaced by another type",
}

// reloadTable replaces the running table of the root by another.
func reloadTable(g *InGuest, edit func(table string) string) error {
	table, err := g.Output("dmsetup", "table", "vroot")
	if err != nil {
		return err
	}
	return first(
		g.Quiet("dmsetup", "load", "--readonly", "--table", edit(strings.TrimSpace(table)), "vroot"),
		g.Quiet("dmsetup", "resume", "vroot"),
	)
}
