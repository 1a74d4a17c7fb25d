package node

import (
	"cmp"
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
	// where it says no more. Of a list of modules they are the modules, of a
	// network's configuration the plugins.
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
	// redact reduces it to what it starts, on a node of that name; nil where the
	// content is not read. starts reads what is left.
	redact func(nodeName string) func([]byte) []byte
	starts func([]byte) (starts []string, varies bool, err error)
	digest bool
	// follow says that what a link leads to is read too. It may be any file, a
	// shadow or a token: its parser must then refuse what is not of its format, take
	// no free word out of it, and quote nothing.
	follow bool
}

var (
	hashed = content{digest: true}
	listed = content{} // may hold a credential
)

func parsed(parse func([]byte) ([]string, error)) content {
	return content{redact: func(node string) func([]byte) []byte { return reducer(parse, node) }, starts: parseReduced, digest: true}
}

func followed(parse func([]byte) ([]string, error)) content {
	how := parsed(parse)
	how.follow = true
	return how
}

// settings is followed for what may hold a credential too: it has no digest.
func settings(parse func([]byte) ([]string, error)) content {
	how := followed(parse)
	how.digest = false
	return how
}

var unitContent = content{redact: redactUnit, starts: unitStarts, digest: true, follow: true}

// definitions reads those of one source within a budget.
type definitions struct {
	h     *Host
	name  string   // of the node; "" where it is not known
	upper string   // the upper directory of an overlay on /etc, relative to the root; "" for none
	files int      // and folders, left
	bytes int64    // left to hash
	over  []string // parts of the fact that the budget did not suffice for
	gaps  []Gap
}

func newDefinitions(h *Host) *definitions {
	c := &definitions{h: h, files: maxDefinitions, bytes: maxDefinitionBytes}
	if name, err := nodeName(h); err == nil {
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
func (c *definitions) gap(part, what string, err error) {
	if err != nil && !IsAbsent(err) {
		c.gaps = append(c.gaps, GapOf(what, err).In(part))
	}
}

// spent reports whether the budget of files is used up, and says so once for
// each part of the fact that lacks something.
func (c *definitions) spent(part, dir string) bool {
	if c.files > 0 {
		return false
	}
	if !slices.Contains(c.over, part) {
		c.over = append(c.over, part)
		c.gap(part, "what is in /"+dir+" and after it", &Error{"listing", "/" + dir, TooLarge, "stopped after 5000 files and folders"})
	}
	return true
}

// folder reads the files in dir that want takes; nil takes all whose names do not
// begin with a dot.
func (c *definitions) folder(part, dir string, how content, want func(DirEntry) bool) []Definition {
	return c.tree(part, dir, 0, how, want)
}

// tree is folder with the folders in it, down to a depth.
func (c *definitions) tree(part, dir string, depth int, how content, want func(DirEntry) bool) []Definition {
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
func (c *definitions) list(part, dir string) []DirEntry {
	if c.spent(part, dir) {
		return nil
	}
	c.files--
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
func (c *definitions) file(part, name string, how content) (d Definition, ok bool) {
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
		if !how.follow {
			return d, true
		}
	}
	if info.Type != Regular {
		return d, true
	}
	understood := c.read(part, name, how, info, &d)
	at := cmp.Or(d.Target, d.Path)
	if rest, inEtc := strings.CutPrefix(at, "/etc/"); inEtc && (d.Link == "" || understood) {
		c.compare(rest, how, info, &d)
	}
	return d, true
}

// read adds what the content says and its digest. It reports whether the content
// was understood.
func (c *definitions) read(part, name string, how content, info FileInfo, d *Definition) (understood bool) {
	if how.redact != nil {
		b, err := c.h.ReadSecret(name, maxDefinitionText, how.redact(c.name))
		if err == nil {
			d.Starts, d.Varies, err = how.starts(b)
		}
		c.gap(part, "what /"+name+" starts", err)
		understood = err == nil
	}
	if !how.digest || d.Varies {
		return understood
	}
	d.Size = info.Size
	sum, err := c.digest(name, info.Size)
	c.gap(part, "the digest of /"+name, err)
	d.SHA256 = sum
	return understood
}

func (c *definitions) digest(name string, size int64) (string, error) {
	if c.bytes -= size; c.bytes < 0 {
		return "", &Error{"hashing", "/" + name, TooLarge, "stopped after 256 MiB"}
	}
	return c.h.Digest(name, maxDefinitionFile)
}

// compare tells whether a file in /etc is the image's own. A copy that cannot be
// read is none: the file counts as another then. Of one that is only listed, for
// there may be a credential in it, no digest is made, which would be evidence.
func (c *definitions) compare(rest string, how content, info FileInfo, d *Definition) {
	if c.upper != "" {
		_, err := c.h.Lstat(c.upper + "/" + rest)
		d.Upper = err == nil
	}
	for _, dir := range imageCopies {
		copied, err := c.h.Lstat(dir + rest)
		if err != nil || copied.Type != Regular || copied.Size != info.Size {
			continue
		}
		if info.Size == 0 {
			d.Image = "/" + dir + rest
			return
		}
		if how.redact == nil && !how.digest {
			continue
		}
		theirs, err := c.digest(dir+rest, copied.Size)
		if err != nil {
			continue
		}
		if own, err := c.digest("etc/"+rest, info.Size); err == nil && own == theirs {
			d.Image = "/" + dir + rest
			return
		}
	}
}
