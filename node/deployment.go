package node

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Deployment is how the OS image was put together and whether somebody changed
// it: layered packages, unlocked state, extensions.
type Deployment struct {
	// Ostree is the booted ostree deployment, nil on other systems.
	Ostree *OstreeDeployment `json:"ostree,omitempty"`
	// Extensions are the system extension images that are offered: systemd-sysext
	// and confext images, Talos extensions. Offered is not merged; see mounts.
	Extensions []Extension `json:"extensions"`
	// MutableExtensions are directories that make a merged extension writable
	// (/var/lib/extensions.mutable/usr). Source: systemd-sysext(8).
	MutableExtensions []string `json:"mutableExtensions"`
	// Masked are units masked under /run/systemd/system and
	// /etc/systemd/system, of those that keep an image up to date or read-only.
	Masked []string `json:"masked"`
}

// OstreeDeployment is the booted ostree deployment. Source: the target of the
// ostree= word and its .origin file, ostree-admin-unlock(1).
type OstreeDeployment struct {
	Stateroot string   `json:"stateroot"`
	Checksum  string   `json:"checksum"`
	Unlocked  []string `json:"unlocked"`  // "development", "transient", "hotfix"
	Origin    string   `json:"origin"`    // refspec or container image reference, "" for none
	Layered   []string `json:"layered"`   // requested packages
	Overrides []string `json:"overrides"` // replaced or removed packages
}

// Extension is a system extension image.
type Extension struct {
	Kind    string `json:"kind"` // "sysext", "confext", "talos"
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // of a Talos extension
	Path    string `json:"path"`              // where it is offered
	Link    string `json:"link,omitempty"`    // target, where that is a symbolic link
}

// ImageDeployment is how the OS image was put together.
var ImageDeployment = Source[Deployment]{
	Name:  "deployment",
	Doc:   "how the OS image was put together: ostree deployment, extensions, unlocked state",
	Scope: Cohort,
	Every: Scan,
	Read:  readDeployment,
}

func readDeployment(_ context.Context, h *Host) (Deployment, []Gap, error) {
	v := Deployment{Extensions: []Extension{}, MutableExtensions: []string{}, Masked: []string{}}
	var gaps []Gap
	gap := func(what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err))
		}
	}
	booted, err := findDeployment(h)
	gap("the booted ostree deployment", err)
	if booted != nil {
		v.Ostree = &OstreeDeployment{
			Stateroot: booted.stateroot, Checksum: booted.checksum,
			Unlocked: []string{}, Layered: []string{}, Overrides: []string{},
		}
		gap("the origin of the booted deployment", v.Ostree.addOrigin(h, booted))
		gap("whether the booted deployment is unlocked", v.Ostree.addUnlocked(h, booted))
	}

	for _, dir := range extensionDirs {
		found, err := listExtensions(h, dir.kind, dir.path)
		gap("the extensions in /"+dir.path, err)
		v.Extensions = append(v.Extensions, found...)
	}
	talos, err := readTalosExtensions(h)
	gap("the Talos extensions", err)
	v.Extensions = append(v.Extensions, talos...)

	mutable, err := h.ReadDir(mutableDir, 1024)
	if err != nil && !IsAbsent(err) {
		gap("the mutable extensions", err)
	}
	for _, e := range mutable {
		if !strings.HasPrefix(e.Name, ".") { // work directories of overlayfs
			v.MutableExtensions = append(v.MutableExtensions, "/"+mutableDir+"/"+e.Name)
		}
	}
	for _, unit := range guardUnits {
		for _, dir := range []string{"etc/systemd/system/", "run/systemd/system/"} {
			masked, err := isMasked(h, dir+unit)
			gap("whether "+unit+" is masked", err)
			if masked && !slices.Contains(v.Masked, unit) {
				v.Masked = append(v.Masked, unit)
			}
		}
	}
	return v, gaps, nil
}

// addOrigin reads the .origin file beside the deployment. Source: ostree's
// ostree_deployment_get_origin, and rpm-ostree's
// src/libpriv/rpmostree-origin.cxx for the groups packages and overrides.
func (d *OstreeDeployment) addOrigin(h *Host, booted *bootedDeployment) error {
	name := booted.dir() + ".origin"
	b, err := h.ReadSecret(name, 1<<20, redactOrigin)
	if IsAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := parseKeyFile(b)
	if err != nil {
		return fmt.Errorf("reading /%s: %w", name, err)
	}
	origin := groups["origin"]
	for _, key := range []string{"container-image-reference", "refspec", "baserefspec"} {
		if d.Origin = origin[key]; d.Origin != "" {
			break
		}
	}
	if state := origin["unlocked"]; state != "" && state != "none" {
		d.Unlocked = append(d.Unlocked, state)
	}
	for _, key := range []string{"requested", "requested-local", "requested-local-fileoverride"} {
		for _, item := range keyFileList(groups["packages"][key]) {
			d.Layered = append(d.Layered, packageName(item))
		}
	}
	for key, value := range groups["overrides"] {
		for _, item := range keyFileList(value) {
			d.Overrides = append(d.Overrides, packageName(item)+" ("+strings.TrimSuffix(key, "-local")+")")
		}
	}
	slices.Sort(d.Layered)
	slices.Sort(d.Overrides)
	return nil
}

// redactOrigin takes user and query out of URLs, such as custom-url=.
func redactOrigin(b []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		text := strings.TrimSuffix(line, "\n")
		out.WriteString(redactURLs(text) + line[len(text):])
	}
	return []byte(out.String())
}

// packageName is the package of "SHA256:NAME-VERSION", the form of packages from
// files.
func packageName(item string) string {
	if sum, name, ok := strings.Cut(item, ":"); ok && len(sum) == 64 && isHex(sum) {
		return name
	}
	return item
}

// addUnlocked adds the markers of ostree admin unlock. Source:
// _OSTREE_SYSROOT_DEPLOYMENT_RUNSTATE_DIR in ostree's
// src/libostree/ostree-sysroot-private.h.
func (d *OstreeDeployment) addUnlocked(h *Host, booted *bootedDeployment) error {
	entries, err := h.ReadDir("run/ostree/deployment-state/"+booted.checksum+"."+booted.serial, 1024)
	if err != nil && !IsAbsent(err) {
		return err
	}
	for _, e := range entries {
		state, ok := strings.CutPrefix(e.Name, "unlocked-")
		if ok && !slices.Contains(d.Unlocked, state) {
			d.Unlocked = append(d.Unlocked, state)
		}
	}
	slices.Sort(d.Unlocked)
	return nil
}

// extensionDirs are where systemd looks for extension images, in all versions
// of systemd-sysext(8) and systemd-confext(8).
var extensionDirs = []struct{ kind, path string }{
	{"sysext", "etc/extensions"},
	{"sysext", "run/extensions"},
	{"sysext", "var/lib/extensions"},
	{"sysext", "usr/local/lib/extensions"},
	{"sysext", "usr/lib/extensions"},
	{"confext", "run/confexts"},
	{"confext", "var/lib/confexts"},
	{"confext", "usr/local/lib/confexts"},
	{"confext", "usr/lib/confexts"},
}

// mutableDir holds the writable layers. Source: systemd-sysext(8), "mutability".
const mutableDir = "var/lib/extensions.mutable"

// listExtensions lists the images in one directory: files and links that end in
// .raw, directories, and directories of versions that end in .v.
func listExtensions(h *Host, kind, dir string) ([]Extension, error) {
	entries, err := h.ReadDir(dir, 4096)
	if IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Extension
	for _, e := range entries {
		if strings.HasPrefix(e.Name, ".") || e.Type == Regular && !strings.HasSuffix(e.Name, ".raw") {
			continue
		}
		x := Extension{Kind: kind, Path: "/" + dir + "/" + e.Name}
		x.Name = strings.TrimSuffix(strings.TrimSuffix(e.Name, ".v"), ".raw")
		if e.Type == Symlink {
			if x.Link, err = h.ReadLink(dir + "/" + e.Name); IsAbsent(err) {
				continue // removed meanwhile
			} else if err != nil {
				return out, err
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// readTalosExtensions reads the list that a Talos image carries when it was
// built with extensions.
func readTalosExtensions(h *Host) ([]Extension, error) {
	const name = "etc/extensions.yaml"
	b, err := h.readOnce(name, 1<<20, nil)
	if IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := parseTalosExtensions(b)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, err)
	}
	for i := range out {
		out[i].Path = "/" + name
	}
	return out, nil
}

// parseTalosExtensions parses /etc/extensions.yaml. The schematic that an image
// was built from stands there as an extension of its own. Source: Talos'
// pkg/machinery/extensions (Config, Layer, Metadata).
func parseTalosExtensions(b []byte) ([]Extension, error) {
	var config struct {
		Layers []struct {
			Image    string `json:"image"`
			Metadata struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"metadata"`
		} `json:"layers"`
	}
	if err := yaml.Unmarshal(b, &config); err != nil {
		return nil, fmt.Errorf("decoding extensions: %w", err)
	}
	var out []Extension
	for i, l := range config.Layers {
		if l.Metadata.Name == "" {
			return nil, fmt.Errorf("extension %d, image %.200q, has no name", i, l.Image)
		}
		out = append(out, Extension{Kind: "talos", Name: l.Metadata.Name, Version: l.Metadata.Version})
	}
	return out, nil
}

// guardUnits keep an image up to date, read-only or whole. Masked ones are a
// choice that somebody made.
var guardUnits = []string{
	"bootc-fetch-apply-updates.service",
	"bootc-fetch-apply-updates.timer",
	"health-checker.service",
	"locksmithd.service",
	"ostree-remount.service",
	"rebootmgr.service",
	"rpm-ostreed-automatic.service",
	"rpm-ostreed-automatic.timer",
	"rpm-ostreed.service",
	"transactional-update.service",
	"transactional-update.timer",
	"update-engine.service",
	"zincati.service",
}

// isMasked reports whether a unit file is a link to /dev/null or empty; both
// mask the unit, systemctl(1).
func isMasked(h *Host, name string) (bool, error) {
	info, err := h.Lstat(name)
	if IsAbsent(err) {
		return false, nil
	}
	if err != nil || info.Type != Symlink {
		return err == nil && info.Type == Regular && info.Size == 0, err
	}
	link, err := h.ReadLink(name)
	if IsAbsent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !path.IsAbs(link) {
		link = path.Join("/", path.Dir(name), link)
	}
	return path.Clean(link) == "/dev/null", nil
}
