package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// extensionChecks are about what is laid over or added to the OS image.
var extensionChecks = []Check{extensionsDeclared, etcAsShipped, writableMountsRestricted}

var extensionsDeclared = Check{
	ID: "extensions-declared", Rev: 1, Topic: Immutability, Severity: High,
	Title:     "every extension of the OS image belongs to the image or is declared",
	Refs:      imageRefs(Ref{sp80053, "CM-7(5)"}, Ref{sp80053, "CM-8(3)"}, Ref{sp80053, "SR-4"}),
	ImageOnly: true,
	Help: Help{
		Why: "An extension puts programs into /usr as if the vendor had shipped them. Its file lies on a disk that root writes, and nothing checks it when it is merged.",
		How: "Every image and folder where systemd-sysext(8) and systemd-confext(8) look, and every extension that Talos lists, must lie on the OS image itself or be one that the profile or a site overlay declares, by path and, where that is said, by the SHA-256 of its file. A link to /dev/null switches one off. What the mounts show as merged must be offered by a file.",
		Remedy: map[string]string{
			"bottlerocket": "Bottlerocket ships no extensions of this kind: find the container that wrote the file, and replace the node.",
			"flatcar":      "Remove its link or file from /etc/extensions or /var/lib/extensions, in the Butane configuration too, and run systemd-sysext refresh; or declare its path and SHA-256 in a site overlay.",
			"talos":        "Take it out of the schematic at the Image Factory and upgrade to the installer of the new one.",
			"microos":      "Remove it from /var/lib/extensions and run systemd-sysext refresh, or declare it in a site overlay.",
			"":             "Remove the extension image and run systemd-sysext refresh, or declare its path and SHA-256 in a site overlay.",
		},
	},
	Judge: On3(node.Extensions, node.Mounts, node.OS.Parts("init", "pidNamespace"), func(x []node.OfferedExtension, m []node.Mount, s node.System, g Given) Finding {
		if f, elsewhere := notTheHost(s); elsewhere {
			return f
		}
		return judgeExtensions(x, m, g)
	}),
}

func judgeExtensions(offered []node.OfferedExtension, mounts []node.Mount, g Given) Finding {
	if len(mounts) == 0 {
		return unsaid("what is mounted on it") // / always is
	}
	var bad, good, open, left []string
	names := map[string]bool{}
	for _, x := range offered {
		names[x.Kind+" "+x.Name] = true
		item := extensionText(x)
		switch place, declared := extensionPlace(x, g.Profile.Extensions.Allowed); {
		case x.Real == "/dev/null", x.Kind == "talos" && x.Name == "schematic":
			// Off; and the identity of a Talos image, which is no extension.
		case x.Kept == "gone":
			// A link that leads nowhere adds nothing; if it is merged, see below.
			delete(names, x.Kind+" "+x.Name)
		case x.Real != "" && imageMount(mountOf(mounts, x.Real)):
			good = append(good, item+" (of the image)")
		case declared && place.SHA256 != "" && x.SHA256 == "" && x.Kept == "file":
			open = append(open, item)
		case declared && place.SHA256 != "" && x.SHA256 != strings.ToLower(place.SHA256):
			bad = append(bad, item+" is not the declared file "+place.SHA256)
		case declared:
			good = append(good, item+" ("+place.Why+")")
		default:
			bad = append(bad, item+" is not declared")
		}
	}
	for _, name := range mergedExtensions(mounts) {
		if !names[name] {
			left = append(left, name+" is merged, and no file offers it any more")
		}
	}
	const undeclared = "%d extensions of the OS image are not what was declared: %s"
	switch {
	case len(bad) > 0:
		bad = append(bad, left...)
		return fail("undeclared", fmt.Sprintf(undeclared, len(bad), strings.Join(bad, "; ")), bad...)
	case len(left) > 0:
		return failUnfound("undeclared", fmt.Sprintf(undeclared, len(left), strings.Join(left, "; ")), left...)
	case len(open) > 0:
		return unknown("not-hashed", "extensions are declared with a digest and were not hashed: "+strings.Join(open, "; "), open...)
	case len(good) > 0:
		return pass("declared", fmt.Sprintf("all extensions of the OS image (%d) are of the image or declared: %s", len(good), strings.Join(good, "; ")), good...)
	}
	return pass("none", "the OS image has no extensions")
}

func extensionText(x node.OfferedExtension) string {
	text := x.Kind + " " + x.Name
	if x.Version != "" {
		text += " " + x.Version
	}
	text += " from " + x.Path
	if x.Real != "" && x.Real != x.Path {
		text += " -> " + x.Real
	}
	if len(x.SHA256) >= 12 {
		text += " sha256:" + x.SHA256[:12]
	}
	return text
}

// extensionPlace is the place that declares an extension.
func extensionPlace(x node.OfferedExtension, allowed []profiles.Place) (profiles.Place, bool) {
	paths := []string{x.Path, x.Real}
	if x.Kind == "talos" {
		paths = []string{x.Path + "/" + x.Name}
	}
	i := slices.IndexFunc(allowed, func(p profiles.Place) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return path != "" && matches(path, p.Path) })
	})
	if i < 0 {
		return profiles.Place{}, false
	}
	return allowed[i], true
}

// mergedExtensions are the extensions that lie in the overlays which systemd made
// of them, as "sysext NAME". Source: systemd's src/sysext/sysext.c, which mounts
// each at /run/systemd/sysext/extensions/NAME.
func mergedExtensions(mounts []node.Mount) []string {
	var out []string
	for _, m := range mounts {
		if m.Type != "overlay" {
			continue
		}
		for _, dir := range lowerDirs(m) {
			for _, kind := range []string{"sysext", "confext"} {
				rest, ok := strings.CutPrefix(dir, "/run/systemd/"+kind+"/extensions/")
				name, _, _ := strings.Cut(rest, "/")
				if item := kind + " " + name; ok && name != "" && !slices.Contains(out, item) {
					out = append(out, item)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
