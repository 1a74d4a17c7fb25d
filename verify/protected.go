package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// layout is how the OS image is laid out, told from what is mounted and never
// from the name of the system.
type layout int

const (
	// ordinary: / is a writable file system that holds everything.
	ordinary layout = iota
	// imageRoot: / itself is read-only (Talos, Bottlerocket, COS, MicroOS, and
	// Fedora CoreOS with composefs).
	imageRoot
	// ostreeBind: / is a writable bind of an ostree deployment, as on Fedora
	// CoreOS before composefs; /usr and /sysroot are read-only binds.
	ostreeBind
	// separateUsr: / is writable and /usr a file system of its own (Flatcar).
	separateUsr
)

// role is what a mount is to the OS image.
type role int

const (
	base  role = iota // it holds the image
	store             // it holds what the image is made from: /sysroot on ostree
	over              // it lies over a part of the image
)

// part is a mount that decides what the host runs.
type part struct {
	node.Mount
	role role
}

// String names the mount as findings do.
func (p part) String() string { return nameOf(p.Mount) }

func nameOf(m node.Mount) string {
	if m.Layer > 0 {
		return fmt.Sprintf("%s %s (layer %d)", m.Path, m.Type, m.Layer)
	}
	return m.Path + " " + m.Type
}

// osImage is the set of mounts that hold what the host itself runs.
type osImage struct {
	layout layout
	paths  []string // the protected paths
	// parts are the mounts that the level rests on: those that hold the
	// protected paths, every layer of them, and what lies over them undeclared.
	parts []part
	// undeclared are the mounts over protected paths that the profile does not
	// know, declared those that it does.
	undeclared, declared []part
	mounts               []node.Mount
}

// imageOf tells the OS image from the mounts. ok is false where nothing visible
// is mounted on /: that is no host's mount table.
func imageOf(mounts []node.Mount, p *profiles.Profile) (im osImage, ok bool) {
	root, ok := visible(mounts, "/")
	if !ok {
		return im, false
	}
	im.mounts = mounts
	usr := slices.IndexFunc(mounts, func(m node.Mount) bool { return m.Path == "/usr" && m.Layer == 0 })
	switch {
	case imageType(root.Type), root.ReadOnly():
		im.layout, im.paths = imageRoot, []string{"/"}
		if _, mounted := visible(mounts, "/sysroot"); isComposefs(root) && mounted {
			im.paths = append(im.paths, "/sysroot")
		}
	case strings.Contains(root.Root, "/ostree/deploy/"):
		im.layout, im.paths = ostreeBind, []string{"/usr", "/sysroot"}
	case usr >= 0 && ownDevice(mounts[usr], root):
		im.layout, im.paths = separateUsr, []string{"/usr"}
	default:
		im.layout, im.paths = ordinary, []string{"/"}
	}
	for _, path := range im.paths {
		r := base
		if path == "/sysroot" {
			r = store
		}
		m, found := layerZero(mounts, path)
		if !found {
			m, found = carrier(mounts, path)
		}
		if found {
			im.parts = append(im.parts, part{m, r})
		}
	}
	for _, m := range mounts {
		if !im.covers(m) {
			continue
		}
		if declaredShadow(m, p) {
			im.declared = append(im.declared, part{m, over})
			continue
		}
		im.undeclared = append(im.undeclared, part{m, over})
		im.parts = append(im.parts, part{m, over})
	}
	return im, true
}

// covers reports whether m lies over a part of the image: a further layer on a
// protected path, or a mount on a directory of programs below one, the lower
// layers of a stack of them included.
func (im osImage) covers(m node.Mount) bool {
	if slices.Contains(im.paths, m.Path) {
		return m.Layer > 0
	}
	if !holdsPrograms(m.Path) {
		return false
	}
	_, reached := visible(im.mounts, m.Path)
	return reached
}

// programDirs are the directories from which a host runs programs, libraries
// and kernel modules. Source: the Filesystem Hierarchy Standard 3.0, 3 and 4;
// Bottlerocket keeps its own below its target triple.
var programDirs = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/x86_64-bottlerocket-linux-gnu", "/aarch64-bottlerocket-linux-gnu",
}

// holdsPrograms reports whether an OS image has programs of its own at or below
// the path. /usr/local is the administrator's (FHS 3.0, 4.9): it is no part of
// an image, and is listed as writable where it is.
func holdsPrograms(path string) bool {
	return !below(path, "/usr/local") &&
		slices.ContainsFunc(programDirs, func(dir string) bool { return below(path, dir) })
}

// below reports whether path is dir or below it.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// matches reports whether path is what a profile's path says: itself, or, where
// that ends in "/*", something below.
func matches(path, pattern string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		return path != dir && below(path, dir)
	}
	return path == pattern
}

// placeNames reports whether one of the places says the path.
func placeNames(places []profiles.Place, p string) bool {
	return slices.ContainsFunc(places, func(place profiles.Place) bool { return matches(p, place.Path) })
}

// visible is the mount that a lookup of path ends in, where path is a mount point.
func visible(mounts []node.Mount, path string) (node.Mount, bool) {
	i := slices.IndexFunc(mounts, func(m node.Mount) bool { return m.Path == path && m.Visible })
	if i < 0 {
		return node.Mount{}, false
	}
	return mounts[i], true
}

func layerZero(mounts []node.Mount, path string) (node.Mount, bool) {
	i := slices.IndexFunc(mounts, func(m node.Mount) bool { return m.Path == path && m.Layer == 0 })
	if i < 0 {
		return node.Mount{}, false
	}
	return mounts[i], true
}

// carrier is the visible mount that path lies on.
func carrier(mounts []node.Mount, path string) (c node.Mount, ok bool) {
	for _, m := range mounts {
		if m.Visible && below(path, m.Path) && (!ok || len(m.Path) > len(c.Path)) {
			c, ok = m, true
		}
	}
	return c, ok
}

// ownDevice reports whether m is a file system of its own and no bind of
// root's. Sources are names and decide nothing; btrfs has no block device of
// its own in a mount table, so there the device behind it decides, or the name
// that btrfs itself prints.
func ownDevice(m, root node.Mount) bool {
	switch {
	case m.Type == "overlay", m.Type == "tmpfs", m.Type == "ramfs":
		return false
	case m.Device.Kind == "none" && m.Type != "btrfs":
		return false
	case m.Type != root.Type:
		return true
	case m.Device == root.Device && m.Device.Name == "":
		return m.Anon != root.Anon
	case m.Device.Kind == "unknown" || root.Device.Kind == "unknown":
		return m.Root == "/" // a bind of a directory of root's would show that directory
	}
	return m.Device != root.Device
}

// imageType reports whether the kernel has no way to write such a file system.
// Source: the kernel's Documentation/filesystems/{squashfs,erofs,cramfs,romfs,isofs}.rst.
func imageType(fstype string) bool {
	return slices.Contains([]string{"squashfs", "erofs", "cramfs", "romfs", "iso9660"}, fstype)
}

// memoryType reports whether such a file system lives in memory.
func memoryType(fstype string) bool {
	return slices.Contains([]string{"tmpfs", "ramfs", "rootfs"}, fstype)
}

// isComposefs reports whether m is a composefs root: a read-only overlay whose
// files are objects of a store. The source's name differs by version and says
// nothing. Source: ostree's man/ostree-prepare-root.xml, the kernel's
// Documentation/filesystems/overlayfs.rst on data-only layers.
func isComposefs(m node.Mount) bool {
	if m.Type != "overlay" || hasUpper(m) {
		return false
	}
	lower, ok := m.Option("lowerdir")
	if !ok {
		return false
	}
	_, data := m.Option("datadir")
	return data || strings.Contains(lower, "::") || strings.HasPrefix(lower, "/run/ostree/.private/")
}

func hasUpper(m node.Mount) bool {
	_, ok := m.Option("upperdir")
	return ok
}

// lowerDirs are the directories that an overlay shows, from the top.
func lowerDirs(m node.Mount) []string {
	joined, _ := m.Option("lowerdir")
	var dirs []string
	var dir strings.Builder
	end := func() {
		if dir.Len() > 0 {
			dirs = append(dirs, dir.String())
		}
		dir.Reset()
	}
	for i := 0; i < len(joined); i++ {
		switch {
		case joined[i] == '\\' && i+1 < len(joined): // overlayfs.rst: a colon in a name is escaped
			i++
			dir.WriteByte(joined[i])
		case joined[i] == ':':
			end()
		default:
			dir.WriteByte(joined[i])
		}
	}
	end()
	return dirs
}

// declaredShadow reports whether the profile says that the system itself mounts this.
func declaredShadow(m node.Mount, p *profiles.Profile) bool {
	return slices.ContainsFunc(p.Image.Shadows, func(s profiles.Shadow) bool {
		writable := hasUpper(m) || !m.ReadOnly() && !imageType(m.Type)
		if !matches(m.Path, s.Path) || s.Type != "" && s.Type != m.Type || writable && !s.Upper {
			return false
		}
		if len(s.Lower) == 0 {
			return true
		}
		lowers := lowerDirs(m)
		return len(lowers) > 0 && !slices.ContainsFunc(lowers, func(dir string) bool {
			return !slices.ContainsFunc(s.Lower, func(prefix string) bool { return below(dir, strings.TrimSuffix(prefix, "/")) })
		})
	})
}

// imageFacts are what the checks of the OS image rest on. Mounts are always
// needed; the state of device-mapper and its like only by some layouts, so that
// a squashfs in a mount table is proof enough where there is no more.
type imageFacts struct {
	osImage
	system   node.System
	noSystem *node.Missing
	verity   node.VerityState
	noVerity *node.Missing
	gaps     []node.Gap // of verity
	leaned   []backing  // the parts of verity that the verdict rests on
}

// backing is a part of the fact verity that a verdict can rest on alone.
type backing string

const (
	devices    backing = "device" // device-mapper, loop devices, hashes on the command line
	composefs  backing = "ostree" // what ostree says of its image
	subvolumes backing = "subvolume"
)

// held is what holds the content of the mounted file systems, or the outcome
// where that is not known. What says which part of it the verdict rests on.
func (f *imageFacts) held(what backing) (node.VerityState, *outcome) {
	f.leaned = append(f.leaned, what)
	if f.noVerity != nil {
		m := withoutFact(f.noVerity)
		return node.VerityState{}, &outcome{Unknown, m.Code, m.Reason}
	}
	return f.verity, nil
}

// onImage makes a judge of the OS image.
func onImage(judge func(*imageFacts, Given) Finding) Judge {
	return imageJudge(func(f *imageFacts) Judge {
		return On(node.Mounts, func(m []node.Mount, g Given) Finding {
			return f.on(m, g, func() Finding { return judge(f, g) })
		})
	})
}

// onImageWith makes a judge of the OS image and one more fact.
func onImageWith[A any](a node.Source[A], judge func(*imageFacts, A, Given) Finding) Judge {
	return imageJudge(func(f *imageFacts) Judge {
		return On2(node.Mounts, a, func(m []node.Mount, va A, g Given) Finding {
			return f.on(m, g, func() Finding { return judge(f, va, g) })
		})
	})
}

// withBoot makes a judge that knows the boot state as well. Every value of it
// that could not be read is empty and says so itself, so its gaps only explain
// what a judge found unsaid: lockdown takes nothing from what the command line says.
func withBoot(judge func(node.BootState) Judge) Judge {
	reads := append(judge(node.BootState{}).reads, node.Boot.Name)
	return Judge{reads, func(facts node.Facts, g Given) Finding {
		b, gaps, missing := node.Boot.Of(facts)
		if missing != nil {
			return withoutFact(missing)
		}
		finding := judge(b).decide(facts, g)
		if finding.Code == unreadCode {
			finding = withGaps(finding, gaps)
		}
		return finding
	}}
}

// imageJudge adds to a judge what it may lean on beside the facts it needs. Of
// the system it takes only what process 1 is, so that a marker path which could
// not be looked at takes nothing from what the mounts prove.
func imageJudge(needed func(*imageFacts) Judge) Judge {
	reads := append([]string{node.OS.Name, node.Verity.Name}, needed(&imageFacts{}).reads...)
	return Judge{reads, func(facts node.Facts, g Given) Finding {
		f := &imageFacts{}
		var gaps []node.Gap
		f.system, _, f.noSystem = node.OS.Of(facts)
		f.verity, gaps, f.noVerity = node.Verity.Of(facts)
		f.gaps = gaps
		finding := needed(f).decide(facts, g)
		if f.noVerity == nil {
			finding = withGaps(finding, slices.DeleteFunc(slices.Clone(gaps), func(g node.Gap) bool {
				return len(f.leaned) == 0 || g.Part != "" && !slices.Contains(f.leaned, gapIn(g))
			}))
		}
		return finding
	}}
}

// unlisted reports whether there may be devices that were not read: that one is
// not among those that were proves nothing then.
func (f *imageFacts) unlisted() bool {
	return slices.ContainsFunc(f.gaps, func(g node.Gap) bool { return g.Part == "" || g.Part == "devices" })
}

// gapIn says which of the parts of the fact verity that a verdict can rest on a
// gap is in.
func gapIn(g node.Gap) backing {
	switch g.Part {
	case "subvolumes":
		return subvolumes
	case "ostree", "composefsImage":
		return composefs
	}
	return devices
}

// on judges the image of these mounts, where they are the host's.
func (f *imageFacts) on(mounts []node.Mount, g Given, judge func() Finding) Finding {
	if finding, elsewhere := notTheHost(f.system); elsewhere {
		return finding
	}
	im, ok := imageOf(mounts, g.Profile)
	if !ok {
		return unknown("no-root", "the mount table shows nothing that is mounted on /")
	}
	f.osImage = im
	return judge()
}

// notTheHost is the finding where process 1 is not the machine's: its mounts
// are those of a container or of a sandbox and say nothing about the host.
func notTheHost(s node.System) (Finding, bool) {
	switch {
	case s.Init == "sandboxd":
		return unknown("not-the-host", "process 1 is sandboxd: Talos runs workloads in a sandbox with mounts of its own, and only its API sees the host"), true
	case s.PIDNamespace == "other":
		return unknown("not-the-host", "process 1 is that of a container or a sandbox, not the machine's: run this program in the host's PID namespace"), true
	}
	return Finding{}, false
}

// outcome is what a check came to on one part of the image.
type outcome struct {
	verdict Verdict
	code    string
	why     string
}

// each runs a check on each part: one failure fails, one unknown leaves it
// unknown. Where the image itself does not offer what is asked, neither does
// what lies over it, and the check is not applicable. The first of the worst
// gives the code and the sentence, all of them the items.
func (f *imageFacts) each(good Finding, judge func(part) outcome) Finding {
	order := []Verdict{Fail, Unknown, NotApplicable, Pass}
	worst, items := outcome{verdict: Pass}, []string{}
	for _, p := range f.parts {
		o := judge(p)
		if o.verdict == NotApplicable && p.role == base {
			return notApplicable(o.code, o.why, p.String())
		}
		switch rank, at := slices.Index(order, o.verdict), slices.Index(order, worst.verdict); {
		case rank < at:
			worst, items = o, []string{p.String()}
		case rank == at:
			items = append(items, p.String())
		}
	}
	if worst.verdict == Pass {
		return good
	}
	return Finding{Verdict: worst.verdict, Code: worst.code, Reason: worst.why, Items: items}
}

// offers reports whether systems of this profile have level n as shipped.
func (g Given) offers(n int) bool { return g.Profile.Image.Level >= n }
