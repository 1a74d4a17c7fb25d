package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// OfferedExtension is an extension of the OS image as it lies on the node.
// Offered is not merged: which ones are, the mounts say.
type OfferedExtension struct {
	Extension
	// Real is the path of the image without symbolic links; "/dev/null" switches
	// an extension off. "" for what is no file of its own (Talos), and for a link
	// that leads nowhere.
	Real string `json:"real"`
	// Kept is "file", "dir", "gone" (a link that leads nowhere) or "" (Talos).
	Kept string `json:"kept"`
	// SHA256 is that of an image file; "" for a directory and for a file whose
	// digest was not taken, which a gap explains.
	SHA256 string `json:"sha256,omitempty"`
	// Release are ID, VERSION_ID, SYSEXT_LEVEL, CONFEXT_LEVEL and ARCHITECTURE of
	// its extension-release file, as far as that can be read: of a directory, and
	// of a merged extension. Source: os-release(5), "extension-release".
	Release map[string]string `json:"release,omitempty"`
}

// Extensions are the extensions that the node offers, with the digests of their
// images.
var Extensions = Source[[]OfferedExtension]{
	Name:  "extensions",
	Doc:   "extensions of the OS image (systemd-sysext, systemd-confext, Talos), with the digests of their files",
	Scope: Cohort,
	Every: Hour,
	Read:  readExtensions,
}

const (
	// maxExtension bounds one image: the largest official ones have 400 MiB.
	maxExtension = 1 << 30
	// maxExtensions bounds what is hashed of all of them.
	maxExtensions = 2 << 30
)

func readExtensions(_ context.Context, h *Host) ([]OfferedExtension, []Gap, error) {
	out := []OfferedExtension{}
	var gaps []Gap
	left := int64(maxExtensions)
	for _, dir := range extensionDirs {
		found, err := listExtensions(h, dir.kind, dir.path)
		if err != nil {
			gaps = append(gaps, GapOf("the extensions in /"+dir.path, err))
		}
		for _, x := range found {
			o := OfferedExtension{Extension: x}
			if err := o.look(h, &left); err != nil {
				gaps = append(gaps, GapOf("the extension "+x.Path, err))
			}
			out = append(out, o)
		}
	}
	talos, err := readTalosExtensions(h)
	if err != nil {
		gaps = append(gaps, GapOf("the Talos extensions", err))
	}
	for _, x := range talos {
		out = append(out, OfferedExtension{Extension: x})
	}
	slices.SortFunc(out, func(a, b OfferedExtension) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Name, b.Name))
	})
	return out, gaps, nil
}

// look finds out what an offered extension is; left is what may still be hashed.
func (o *OfferedExtension) look(h *Host, left *int64) error {
	at, err := realPath(h, o.Path)
	if IsAbsent(err) {
		o.Kept = "gone"
		return nil
	}
	if err != nil {
		return err
	}
	o.Real = at
	if at == "/dev/null" {
		return nil
	}
	info, err := h.Lstat(at[1:])
	if err != nil {
		return err
	}
	if info.Type == Directory {
		o.Kept = "dir"
		o.Release, err = readExtensionRelease(h, at[1:], o.Kind, o.Name)
		return err
	}
	o.Kept = "file"
	if *left -= info.Size; *left < 0 {
		return &Error{"hashing", at, TooLarge, fmt.Sprintf("stopped after %d bytes of extensions", int64(maxExtensions))}
	}
	if o.SHA256, err = h.Digest(at[1:], maxExtension); err != nil {
		return err
	}
	o.Release, err = readExtensionRelease(h, "", o.Kind, o.Name)
	return err
}

// readExtensionRelease reads the extension-release file of an extension whose
// tree begins at root; "" is the host's own, which shows those that are merged.
func readExtensionRelease(h *Host, root, kind, name string) (map[string]string, error) {
	dir := map[string]string{"sysext": "usr/lib", "confext": "etc"}[kind]
	file := path.Join(root, dir, "extension-release.d", "extension-release."+name)
	b, err := h.ReadFile(file, 64<<10)
	if IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := parseOSRelease(b)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", file, err)
	}
	kept := map[string]string{}
	for _, key := range []string{"ID", "VERSION_ID", "SYSEXT_LEVEL", "CONFEXT_LEVEL", "ARCHITECTURE"} {
		if value, ok := all[key]; ok {
			kept[key] = value
		}
	}
	return kept, nil
}
