package verify

import (
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

var imageAnchored = Check{
	ID:       "image-anchored",
	Rev:      1,
	Title:    "a signed boot chain fixes the OS image",
	Topic:    Immutability,
	Severity: Medium,
	Refs: imageRefs(
		Ref{sp80053, "SI-7(9)"},
		Ref{sp80053, "SC-34(2)"},
		Ref{grundschutz, "SYS.1.1.A36"},
	),
	Help: Help{
		Why: "A hash on the command line is worth what protects the command line. Without a signed boot chain root writes another image and its hash to the disk and reboots.",
		How: "Secure Boot is on and the firmware is not in setup mode; the kernel is locked down (integrity or confidentiality), so that root cannot change it while it runs; and the system's signed chain fixes the image: " +
			"it is inside the signed UKI (Talos), or its root hash is inside the signed kernel or signed boot configuration (Flatcar, Bottlerocket) and is the one that is active. " +
			"Firmware without Secure Boot, and systems whose chain fixes no image, are not held to it.",
		Remedy: map[string]string{
			"talos":        "Install the Secure Boot image of the Image Factory and enrol its keys.",
			"flatcar":      "Use a release with signed boot files (2025 and later) and turn Secure Boot on in the firmware.",
			"bottlerocket": "Use a variant for Kubernetes 1.28 or later on firmware with Secure Boot.",
			"":             "There is no remedy on this system: its boot chain does not fix the image.",
		},
	},
	ImageOnly: true,
	Judge: withBoot(func(b node.BootState) Judge {
		return onImage(func(f *imageFacts, g Given) Finding { return f.anchored(b, g) })
	}),
}

func (f *imageFacts) anchored(b node.BootState, g Given) Finding {
	anchor := g.Profile.Image.Anchor
	switch {
	case anchor == "":
		return notApplicable("not-offered", "no signed boot chain of this system is known to fix its image, whether Secure Boot is on or off")
	case b.Firmware == "":
		return unsaid("whether it was booted by UEFI firmware")
	case b.Firmware != "uefi" || b.SecureBoot == "absent":
		return notApplicable("no-uefi", "the machine was booted without UEFI, or its firmware has no Secure Boot")
	case b.SecureBoot == "off":
		return fail("secure-boot-off", "Secure Boot is off: nothing checks what the firmware starts", "SecureBoot")
	case b.SecureBoot != "on":
		return unsaid("whether Secure Boot is on")
	case b.SetupMode == "on":
		return fail("setup-mode", "the firmware is in setup mode: whoever has root can enrol keys of their own", "SetupMode")
	case b.SetupMode != "off":
		return unsaid("whether the firmware is in setup mode")
	case b.Lockdown == "none" || b.Lockdown == "absent":
		return fail("no-lockdown", fmt.Sprintf("Secure Boot is on, but kernel lockdown is %s: root can change the running kernel", b.Lockdown), "lockdown")
	case b.Lockdown != "integrity" && b.Lockdown != "confidentiality":
		return unsaid("whether the kernel is locked down")
	}
	chain := map[string]string{
		"uki":           "the signed UKI holds the image",
		"signed-kernel": "the signed kernel holds the image's root hash",
		"signed-config": "the signed boot configuration holds the image's root hash",
	}[anchor]
	finding := f.each(Finding{}, func(p part) outcome {
		// An image inside the UKI runs from memory; what is on a disk has to be
		// verified with the hash that the chain fixes.
		if p.role == store || anchor == "uki" && f.fromMemory(p) {
			return outcome{verdict: Pass}
		}
		o := f.verified(p, g)
		if o.verdict == NotApplicable {
			o = outcome{Fail, "not-in-chain", fmt.Sprintf("%s is not what the signed boot chain fixes", p.Path)}
		}
		return o
	})
	if finding.Code != "" {
		return finding
	}
	return pass("anchored", fmt.Sprintf("Secure Boot is on, lockdown is %s, and %s", b.Lockdown, chain))
}

// fromMemory reports whether a part is an image in memory, or an overlay of
// such images without an upper directory (Talos with system extensions).
func (f *imageFacts) fromMemory(p part) bool {
	if p.Type != "overlay" {
		return f.inMemory(p)
	}
	if hasUpper(p.Mount) || isComposefs(p.Mount) {
		return false
	}
	for _, dir := range lowerDirs(p.Mount) {
		if m, ok := f.under(p, dir); ok && !f.inMemory(part{m, base}) {
			return false
		}
	}
	v, missing := f.held(devices)
	if missing != nil {
		return false
	}
	inMemory := 0
	for _, l := range v.Loops {
		if f.inMemory(part{Mount: node.Mount{Device: node.Device{Kind: "loop", Name: l.Backing}}}) {
			inMemory++
		}
	}
	return inMemory >= len(lowerDirs(p.Mount))
}
