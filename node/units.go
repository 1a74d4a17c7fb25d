package node

import (
	"cmp"
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
)

// UnitFile is a file or a link in a folder of systemd's that can be written on
// some systems.
type UnitFile struct {
	Definition
	// Name is the file's, without what differs between equal nodes: "run-uN.service".
	Name string `json:"name"`
	// Of is the unit that a drop-in changes or that a link in its .wants, .requires
	// or .upholds starts something with; "" for a unit itself.
	Of string `json:"of,omitempty"`
	// Origin is "" for what an administrator or a program has put there, "generated"
	// for the output of a generator, "transient" for what was asked of systemd while
	// it runs (systemd-run(1), systemctl set-property).
	Origin string `json:"origin,omitempty"`
	// Manager is "user" for units of users' service managers, "" for the system's.
	Manager string `json:"manager,omitempty"`
	// Overrides is the image's unit of the same name, "" where it has none.
	Overrides string `json:"overrides,omitempty"`
}

// UnitFiles are what systemd is told from outside its vendor folders.
type UnitFiles struct {
	// Systemd is "yes" where systemd runs the host (sd_booted(3): it has made
	// /run/systemd/system), "no" where that is not there, "" where it is not known.
	Systemd string `json:"systemd"`
	// Units are services, sockets, paths, targets and all others but timers.
	Units  []UnitFile `json:"units"`
	Timers []UnitFile `json:"timers"`
	// DropIns are files in folders NAME.d, Links those in NAME.wants and its like.
	DropIns []UnitFile `json:"dropIns"`
	Links   []UnitFile `json:"links"`
	// Generators are programs that systemd starts early at boot to make units and
	// environments. Source: systemd.generator(7), systemd.environment-generator(7).
	Generators []UnitFile `json:"generators"`
}

// Units are the unit files outside systemd's vendor folders.
var Units = Source[UnitFiles]{
	Name:  "units",
	Doc:   "units, timers, drop-ins and generators of systemd outside its vendor folders, and what they start",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (UnitFiles, []Gap, error) {
		v := UnitFiles{Units: []UnitFile{}, Timers: []UnitFile{}, DropIns: []UnitFile{}, Links: []UnitFile{}, Generators: []UnitFile{}}
		c := newDefinitions(h)
		switch info, err := h.Stat("run/systemd/system"); {
		case err == nil && info.Type == Directory:
			v.Systemd = "yes"
		case IsAbsent(err) || err == nil:
			v.Systemd = "no"
		default:
			c.gap("systemd", "whether systemd runs", err)
		}
		for _, f := range unitPlaces {
			c.unitFolder(&v, f)
		}
		c.lingering(&v)
		for _, f := range generatorFolders {
			for _, d := range c.folder("generators", f.path, hashed, nil) {
				v.Generators = append(v.Generators, UnitFile{Definition: d, Name: path.Base(d.Path), Manager: f.manager})
			}
		}
		for _, list := range []*[]UnitFile{&v.Units, &v.Timers, &v.DropIns, &v.Links, &v.Generators} {
			slices.SortFunc(*list, compareUnits)
			*list = slices.CompactFunc(*list, func(a, b UnitFile) bool { return compareUnits(a, b) == 0 })
		}
		return v, c.gaps, nil
	},
}

func compareUnits(a, b UnitFile) int {
	return cmp.Or(compareDefinitions(a.Definition, b.Definition), cmp.Compare(a.Of, b.Of))
}

type unitDir struct{ path, origin, manager string }

// unitPlaces are where systemd looks for units, but for the vendor's
// /usr/lib/systemd; an earlier folder wins. Source: systemd.unit(5), "unit file
// load path", of versions up to 260.
var unitPlaces = []unitDir{
	{"etc/systemd/system.control", "", ""},
	{"run/systemd/system.control", "transient", ""},
	{"run/systemd/transient", "transient", ""},
	{"run/systemd/generator.early", "generated", ""},
	{"etc/systemd/system", "", ""},
	{"etc/systemd/system.attached", "", ""}, // portable services
	{"run/systemd/system", "", ""},
	{"run/systemd/system.attached", "", ""},
	{"run/systemd/generator", "generated", ""},
	{"usr/local/lib/systemd/system", "", ""},
	{"run/systemd/generator.late", "generated", ""},
	{"etc/systemd/user", "", "user"},
	{"run/systemd/user", "", "user"},
	{"usr/local/lib/systemd/user", "", "user"},
	{"usr/local/share/systemd/user", "", "user"},
	{"root/.config/systemd/user", "", "user"},
	{"root/.local/share/systemd/user", "", "user"},
}

// generatorFolders are where systemd looks for generators, but for the vendor's.
var generatorFolders = []unitDir{
	{path: "run/systemd/system-generators"},
	{path: "etc/systemd/system-generators"},
	{path: "usr/local/lib/systemd/system-generators"},
	{path: "run/systemd/system-environment-generators"},
	{path: "etc/systemd/system-environment-generators"},
	{path: "usr/local/lib/systemd/system-environment-generators"},
	{path: "run/systemd/user-generators", manager: "user"},
	{path: "etc/systemd/user-generators", manager: "user"},
	{path: "usr/local/lib/systemd/user-generators", manager: "user"},
	{path: "run/systemd/user-environment-generators", manager: "user"},
	{path: "etc/systemd/user-environment-generators", manager: "user"},
	{path: "usr/local/lib/systemd/user-environment-generators", manager: "user"},
}

// unitSuffixes are the kinds of units, which a name of one ends in.
var unitSuffixes = []string{
	".automount", ".device", ".mount", ".path", ".scope", ".service", ".slice", ".socket", ".swap", ".target", ".timer",
}

// startsNothing are the kinds of units that come and go with pods and sessions
// and start no program.
var startsNothing = []string{".device", ".mount", ".scope", ".slice", ".swap"}

func hasSuffix(name string, suffixes []string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// linkFolders hold links to units that are started with another.
var linkFolders = []string{".wants", ".requires", ".upholds"}

func (c *definitions) unitFolder(v *UnitFiles, f unitDir) {
	how := unitContent
	how.digest = f.origin == "" // the others are made anew at each boot, of what is elsewhere
	for _, e := range c.list("units", f.path) {
		at := f.path + "/" + e.Name
		of, kind := strings.TrimSuffix(e.Name, path.Ext(e.Name)), path.Ext(e.Name)
		switch {
		case f.origin == "transient" && hasSuffix(strings.TrimSuffix(e.Name, ".d"), startsNothing):
		case e.Type == Directory && kind == ".d":
			for _, d := range c.folder("dropIns", at, how, named(".conf")) {
				v.DropIns = append(v.DropIns, c.unit(d, f, of))
			}
		case e.Type == Directory && slices.Contains(linkFolders, kind):
			for _, d := range c.folder("links", at, how, nil) {
				v.Links = append(v.Links, c.unit(d, f, of))
			}
		case e.Type == Directory || !hasSuffix(e.Name, unitSuffixes):
		default:
			part, list := "units", &v.Units
			if kind == ".timer" {
				part, list = "timers", &v.Timers
			}
			if d, ok := c.file(part, at, how); ok {
				*list = append(*list, c.unit(d, f, ""))
			}
		}
	}
}

// passingName is what systemd makes up for a unit that was asked of it: run-u123,
// run-p812-i9120, run-r and 32 hexadecimal digits.
var passingName = regexp.MustCompile(`\brun-(?:(u)[0-9]+|(p)[0-9]+-i[0-9]+|(r)[0-9a-f]{32})\b`)

// escapedUUID is a UUID in the name of a unit. Source: systemd-escape(1).
var escapedUUID = regexp.MustCompile(`[0-9a-fA-F]{8}(\\x2d[0-9a-fA-F]{4}){3}\\x2d[0-9a-fA-F]{12}`)

func stableUnitName(name string) string {
	name = passingName.ReplaceAllString(name, "run-${1}${2}${3}N")
	return withoutUUID(escapedUUID.ReplaceAllString(name, "<uuid>"))
}

func (c *definitions) unit(d Definition, f unitDir, of string) UnitFile {
	u := UnitFile{Definition: d, Name: stableUnitName(path.Base(d.Path)), Of: stableUnitName(of), Origin: f.origin, Manager: f.manager}
	if of == "" {
		vendor := "usr/lib/systemd/system/"
		if f.manager != "" {
			vendor = "usr/lib/systemd/user/"
		}
		if _, err := c.h.Lstat(vendor + path.Base(d.Path)); err == nil {
			u.Overrides = "/" + vendor + u.Name
		}
	}
	u.Path, u.Link, u.Target = stableUnitName(d.Path), stableUnitName(d.Link), stableUnitName(d.Target)
	return u
}

// lingering reads the units of users whose service manager starts at boot.
// Source: loginctl(1), enable-linger.
func (c *definitions) lingering(v *UnitFiles) {
	for _, e := range c.list("units", "var/lib/systemd/linger") {
		if e.Name != "root" && !strings.HasPrefix(e.Name, ".") {
			c.unitFolder(v, unitDir{"home/" + e.Name + "/.config/systemd/user", "", "user"})
			c.unitFolder(v, unitDir{"home/" + e.Name + "/.local/share/systemd/user", "", "user"})
		}
	}
}
