package node

import (
	"path"
	"slices"
	"strings"
)

// Definition is a file from which something is started later: a unit, a cron
// table, a udev rule, a network plugin. Its content is never kept.
//
// The digest is of the whole file, though a line of it may hold a password that
// could be guessed from a digest: these files say what runs, they are what a
// team declares by digest, and an intruder's one looks like any other by name.
// Files that are there to hold settings or credentials have none.
type Definition struct {
	Path string `json:"path"` // as the folder is named where its reader looks for it
	// Link is the text of a symbolic link.
	Link string `json:"link,omitempty"`
	// Target is where the file is, all links followed, where that is not Path. A
	// link without it leads nowhere.
	Target string `json:"target,omitempty"`
	// Starts are the programs that it starts, without arguments: a path, or a name
	// where it says no more. Of a list of modules they are the modules, of a pod
	// the images, of a network's configuration the plugins.
	Starts []string `json:"starts,omitempty"`
	Mode   uint32   `json:"mode"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Size   int64    `json:"size,omitempty"`   // in bytes; 0 where the content differs by node
	SHA256 string   `json:"sha256,omitempty"` // in hexadecimal; "" where the content differs by node, or was not hashed
	// Varies marks a file that names an address, an identifier or the node itself,
	// so that equal nodes have unequal ones.
	Varies bool `json:"varies,omitempty"`
	// Image is the copy that the OS image keeps of a file in /etc, where it has the
	// same content.
	Image string `json:"image,omitempty"`
	// Upper marks a file in /etc that was written since the image was mounted: it
	// is in the upper directory of the overlay there.
	Upper bool `json:"upper,omitempty"`
}

const (
	maxDefinitions     = 5000
	maxDefinitionBytes = 256 << 20 // hashed by one source: half a second of one core
	maxDefinitionFile  = 128 << 20
	maxDefinitionText  = 1 << 20
)

// imageCopies are where images keep what they put into /etc: ostree(1),
// Flatcar's baselayout.
var imageCopies = []string{"usr/etc/", "usr/share/flatcar/etc/"}

// content says what is read of a definition.
type content struct {
	// parse finds what it starts; nil where the content is not read.
	parse  func([]byte) ([]string, error)
	digest bool
}

var (
	hashed = content{digest: true}
	listed = content{} // may hold a credential
)

func parsed(parse func([]byte) ([]string, error)) content { return content{parse, true} }

// collector reads the definitions of one source.
type collector struct {
	h     *Host
	name  string // of the node; "" where it is not known
	upper string // the upper directory of an overlay on /etc, relative to the root; "" for none
	files int    // left
	bytes int64  // left to hash
	gaps  []Gap
}

func newCollector(h *Host) *collector {
	c := &collector{h: h, files: maxDefinitions, bytes: maxDefinitionBytes}
	if name, err := readLine(h, "proc/sys/kernel/hostname"); err == nil {
		c.name = name
	}
	if t, err := h.gathering.mounts(); err == nil {
		if i := t.lookup("/etc"); i >= 0 && t.mounts[i].path == "/etc" && t.mounts[i].fstype == "overlay" {
			for _, o := range t.mounts[i].super {
				if dir, ok := strings.CutPrefix(o, "upperdir=/"); ok {
					c.upper = dir
				}
			}
		}
	}
	return c
}

// gap notes what could not be read of a part of the fact. Absence is none.
func (c *collector) gap(part, what string, err error) {
	if err != nil && !IsAbsent(err) {
		c.gaps = append(c.gaps, GapOf(what, err).In(part))
	}
}

// spent reports whether the budget of files is used up, and says so once.
func (c *collector) spent(part, dir string) bool {
	if c.files > 0 {
		return false
	}
	if c.files == 0 {
		c.files--
		c.gap(part, "what is in /"+dir+" and after it", &Error{"listing", "/" + dir, TooLarge, "stopped after 5000 files"})
	}
	return true
}

// folder reads the files in dir that want takes; nil takes all whose names do not
// begin with a dot.
func (c *collector) folder(part, dir string, how content, want func(DirEntry) bool) []Definition {
	return c.tree(part, dir, 0, how, want)
}

// tree is folder with the folders in it, down to a depth.
func (c *collector) tree(part, dir string, depth int, how content, want func(DirEntry) bool) []Definition {
	var out []Definition
	for _, e := range c.list(part, dir) {
		switch {
		case e.Type == Directory && depth > 0:
			out = append(out, c.tree(part, dir+"/"+e.Name, depth-1, how, want)...)
		case e.Type == Directory, want != nil && !want(e), want == nil && strings.HasPrefix(e.Name, "."):
		default:
			if d, ok := c.file(part, dir+"/"+e.Name, how); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

// list is what is in a folder; nothing in one that is not there.
func (c *collector) list(part, dir string) []DirEntry {
	if c.spent(part, dir) {
		return nil
	}
	entries, err := c.h.ReadDir(dir, maxDefinitions)
	c.gap(part, "what is in /"+dir, err)
	return entries
}

// named is a filter of folder: files with one of these endings.
func named(suffixes ...string) func(DirEntry) bool {
	return func(e DirEntry) bool {
		return !strings.HasPrefix(e.Name, ".") && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(e.Name, s) })
	}
}

// file reads one definition. ok is false where there is none: nothing, a folder,
// or one that went away.
func (c *collector) file(part, name string, how content) (d Definition, ok bool) {
	if c.spent(part, path.Dir(name)) {
		return d, false
	}
	info, err := c.h.Lstat(name)
	if err != nil {
		c.gap(part, "/"+name, err)
		return d, false
	}
	if info.Type == Directory {
		return d, false
	}
	c.files--
	d = Definition{Path: "/" + name, Mode: info.Mode, UID: info.UID, GID: info.GID}
	real, err := realPath(c.h, "/"+name)
	switch {
	case err == nil && real != d.Path:
		d.Target = real
	case err != nil:
		c.gap(part, "where /"+name+" leads to", err)
	}
	if info.Type == Symlink {
		if d.Link, err = c.h.ReadLink(name); err != nil {
			c.gap(part, "/"+name, err)
			return d, false
		}
		if d.Target == "" || d.Target == "/dev/null" {
			return d, true
		}
		if info, err = c.h.Stat(name); err != nil {
			c.gap(part, "/"+name, err)
			return d, true
		}
		d.Mode, d.UID, d.GID = info.Mode, info.UID, info.GID
		how.digest = false // it may lead to anything, a file of passwords too
	}
	if info.Type != Regular {
		return d, true
	}
	c.read(part, name, how, info, &d)
	if rest, inEtc := strings.CutPrefix(name, "etc/"); inEtc && d.Link == "" {
		c.compare(rest, info, &d)
	}
	return d, true
}

// read adds what the content says and its digest.
func (c *collector) read(part, name string, how content, info FileInfo, d *Definition) {
	if how.parse != nil {
		b, err := c.h.ReadSecret(name, maxDefinitionText, reducer(how.parse, c.name))
		if err == nil {
			d.Starts, d.Varies, err = parseReduced(b)
		}
		c.gap(part, "what /"+name+" starts", err)
	}
	if !how.digest || d.Varies {
		return
	}
	d.Size = info.Size
	sum, err := c.digest(name, info.Size)
	c.gap(part, "the digest of /"+name, err)
	d.SHA256 = sum
}

func (c *collector) digest(name string, size int64) (string, error) {
	if c.bytes -= size; c.bytes < 0 {
		return "", &Error{"hashing", "/" + name, TooLarge, "stopped after 256 MiB"}
	}
	return c.h.Digest(name, maxDefinitionFile)
}

// compare tells whether a file in /etc is the image's own.
func (c *collector) compare(rest string, info FileInfo, d *Definition) {
	if c.upper != "" {
		_, err := c.h.Lstat(c.upper + "/" + rest)
		d.Upper = err == nil
	}
	for _, dir := range imageCopies {
		copied, err := c.h.Lstat(dir + rest)
		if err != nil || copied.Type != Regular || copied.Size != info.Size {
			continue
		}
		own, err := c.digest("etc/"+rest, info.Size)
		if err != nil {
			continue // without the comparison it counts as another file
		}
		if theirs, err := c.digest(dir+rest, copied.Size); err == nil && theirs == own {
			d.Image = "/" + dir + rest
			return
		}
	}
}
