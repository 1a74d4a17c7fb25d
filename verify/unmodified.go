package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var imageUnmodified = Check{
	ID:       "image-unmodified",
	Rev:      1,
	Title:    "the OS image is as its vendor built it: not unlocked, layered or a developer's",
	Topic:    Immutability,
	Severity: High,
	Refs: imageRefs(
		Ref{sp80053, "CM-11"},
		Ref{sp80053, "CM-14"},
		Ref{sp80053, "CM-7(8)"},
	),
	Help: Help{
		Why: "Every one of these systems has a mode for developers. A node in that mode runs something that nobody released.",
		How: "Fails on an unlocked ostree deployment, layered, replaced or removed packages, an image pulled without signature or digest, transactional-update masked at run time (microos-rw), " +
			"a Flatcar /usr that is mounted from a plain partition, COS's cros_debug, a Bottlerocket build that calls itself dirty, and a directory that makes systemd-sysext writable. " +
			"Extensions that only add something are listed beside the level and are no fault.",
		Remedy: map[string]string{
			"fedora-coreos": "rpm-ostree reset takes layered packages and overrides out; a reboot ends a development or transient unlock.",
			"microos":       "Reboot: microos-rw masks transactional-update below /run, and that ends with the boot.",
			"flatcar":       "rmdir /var/lib/extensions.mutable/usr and reboot; replace developer images by released ones.",
			"cos":           "Recreate the node without the debug image.",
			"bottlerocket":  "Launch a node from an image that Bottlerocket published, in place of the one that was built here.",
			"":              "Install the node anew from the image that its vendor published.",
		},
	},
	ImageOnly: true,
	Judge: withBoot(func(b node.BootState) Judge {
		return onImageWith(node.ImageDeployment, func(f *imageFacts, d node.Deployment, g Given) Finding {
			return f.unmodified(b, d, g)
		})
	}),
}

func (f *imageFacts) unmodified(b node.BootState, d node.Deployment, g Given) Finding {
	var codes, items []string
	found := func(code, item string) { codes, items = append(codes, code), append(items, item) }
	if o := d.Ostree; o != nil {
		for _, how := range o.Unlocked {
			// rpm-ostree apply-live leaves "transient" behind when it merges packages.
			if how == "transient" && len(o.Layered) > 0 {
				continue
			}
			found("unlocked", "unlocked: "+how)
		}
		for _, p := range o.Layered {
			found("customized", "layered package "+p)
		}
		for _, p := range o.Overrides {
			found("customized", "override "+p)
		}
		if strings.HasPrefix(o.Origin, "ostree-unverified-") && !strings.Contains(o.Origin, "@sha256:") {
			found("unverified-origin", "origin "+o.Origin)
		}
	}
	if slices.Contains(d.Masked, "transactional-update.service") {
		// microos-rw masks it, so that no update undoes what it opened.
		found("unlocked", "masked: transactional-update.service")
	}
	for _, dir := range d.MutableExtensions {
		found("mutable-extensions", "directory "+dir)
	}
	for _, w := range b.Cmdline {
		switch {
		case w.AfterDashes:
		case w.Key == "cros_debug":
			found("developer", "cros_debug on the command line")
		case w.Key == "mount.usr" && !strings.HasPrefix(w.Value, "/dev/mapper/") && !f.usrInMemory():
			found("developer", "mount.usr="+w.Value+" on the command line: /usr without verification")
		}
	}
	if build := f.system.Release["BUILD_ID"]; strings.HasSuffix(build, "-dirty") {
		found("developer", "BUILD_ID "+build)
	}
	switch {
	case len(items) > 0:
		for _, code := range []string{"unlocked", "mutable-extensions", "developer", "unverified-origin", "customized"} {
			if slices.Contains(codes, code) {
				return fail(code, fmt.Sprintf("the image is not as its vendor built it: %s", strings.Join(items, "; ")), items...)
			}
		}
	case f.noSystem != nil:
		return withoutFact(f.noSystem) // a developer's build says so in os-release
	case f.layout == ordinary && d.Ostree == nil && g.Profile.Image.Level == 0:
		return notApplicable("no-image", "/ is writable and holds everything: there is no image that could be modified")
	}
	return pass("unmodified", "no unlocked, layered or developer state was found")
}

// usrInMemory reports whether /usr is a loop device in memory, as on Flatcar
// booted over the network.
func (f *imageFacts) usrInMemory() bool {
	return slices.ContainsFunc(f.parts, func(p part) bool { return p.Path == "/usr" && f.inMemory(p) })
}
