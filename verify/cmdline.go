package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var cmdlineRefs = slices.Concat(bootRefs, []Ref{{sp80053, "CM-6(1)"}, {grundschutz, "SYS.1.1.A16"}})

var cmdlineSafe = Check{
	ID:       "cmdline-safe",
	Rev:      1,
	Title:    "no dangerous word stands on the kernel command line",
	Topic:    BootChain,
	Severity: Critical,
	Refs:     cmdlineRefs,
	Help: Help{
		Why: "One word there switches off SELinux, module signatures or CPU mitigations, opens a root shell on the console or replaces process 1, and no file of the image shows it.",
		How: "Every word of /proc/cmdline is compared with those that the profile forbids: a key with any value, a key with one value, or a key with values that begin so (init=/bin/*). Dashes and underscores in keys are the same to the kernel and to systemd. After \"--\" words go to process 1, so only those that user space reads count there. What bootconfig adds is part of /proc/cmdline.",
		Remedy: commandLineRemedy("Take the word out of", "--delete=WORD", map[string]string{
			"bottlerocket": "apiclient get settings.boot; take the word out of settings.boot.kernel-parameters or settings.boot.init-parameters with apiclient apply, then apiclient reboot.",
			"cos":          "The stock command line has no such word: recreate the machine from an unmodified image, and find what edits efi/boot/grub.cfg on the EFI partition.",
		}),
	},
	Judge: On(node.Boot.Parts("cmdline", "bootconfig"), judgeCmdlineSafe),
}

func judgeCmdlineSafe(b node.BootState, g Given) Finding {
	forbidden := g.Profile.Boot.Forbidden
	if len(forbidden) == 0 {
		return notApplicable("nothing-expected", "the profile forbids no word of the kernel command line")
	}
	if len(b.Cmdline) == 0 {
		return unsaid("its kernel command line")
	}
	var bad, whys, hidden []string
	for _, w := range b.Cmdline {
		if !inForce(w) {
			continue
		}
		for _, f := range slices.Sorted(maps.Keys(forbidden)) {
			key, _, valued := strings.Cut(f, "=")
			switch {
			case !sameKey(w.Key, key):
			case w.Redacted && valued:
				hidden = append(hidden, w.Key)
			case wordIs(w, f):
				bad = append(bad, wordText(w))
				whys = append(whys, wordText(w)+": "+forbidden[f])
			}
		}
	}
	switch {
	case len(bad) > 0:
		return fail("forbidden-word", "the kernel command line holds "+strings.Join(slices.Compact(whys), "; "), slices.Compact(bad)...)
	case len(hidden) > 0:
		return unknown("redacted", "the value of "+strings.Join(hidden, ", ")+" is a secret and was not compared", hidden...)
	}
	return pass("safe", fmt.Sprintf("none of %d words is one of the %d that are forbidden", len(b.Cmdline), len(forbidden)))
}

var cmdlineComplete = Check{
	ID:       "cmdline-complete",
	Rev:      1,
	Title:    "the kernel command line holds every word that the profile requires",
	Topic:    BootChain,
	Severity: High,
	Refs:     cmdlineRefs,
	Help: Help{
		Why: "The words that a system boots with switch on what protects it: the hash of its image, hardening of the kernel, its security module. Where one is missing the machine was booted another way than its makers meant.",
		How: "Every word that the profile requires must stand on /proc/cmdline before \"--\": a key, or a key whose last value is the required one, since the kernel obeys the last.",
		Remedy: commandLineRemedy("Add the word to", "--append=WORD", map[string]string{
			"talos":        "Boot with the arguments of the Image Factory: remove what takes the word away from the schematic's kernel arguments and upgrade to its installer.",
			"bottlerocket": "The word comes with the image: replace the node by one from an unmodified image.",
			"cos":          "The word comes with the image: recreate the machine from an unmodified image.",
		}),
	},
	Judge: On(node.Boot.Parts("cmdline", "bootconfig"), judgeCmdlineComplete),
}

func judgeCmdlineComplete(b node.BootState, g Given) Finding {
	required := g.Profile.Boot.Required
	if len(required) == 0 {
		return notApplicable("nothing-expected", "the profile requires no word on the kernel command line")
	}
	if len(b.Cmdline) == 0 {
		return unsaid("its kernel command line")
	}
	var bad, hidden []string
	for _, r := range required {
		key, _, valued := strings.Cut(r, "=")
		var last *node.Word
		for i, w := range b.Cmdline {
			if inForce(w) && sameKey(w.Key, key) {
				last = &b.Cmdline[i]
			}
		}
		switch {
		case last == nil:
			bad = append(bad, r+" is missing")
		case last.Redacted && valued:
			hidden = append(hidden, key)
		case !wordIs(*last, r):
			bad = append(bad, r+" is replaced by "+wordText(*last))
		}
	}
	switch {
	case len(bad) > 0:
		return fail("missing-word", "on the kernel command line "+strings.Join(bad, "; "), bad...)
	case len(hidden) > 0:
		return unknown("redacted", "the value of "+strings.Join(hidden, ", ")+" is a secret and was not compared", hidden...)
	}
	return pass("complete", "all required words stand on the kernel command line", required...)
}

// userSpaceKeys begin the keys of words that programs look for in the whole of
// /proc/cmdline, also behind "--". Source: kernel-command-line(7),
// dracut.cmdline(7), and the documentation of Talos, Flatcar and Ignition.
var userSpaceKeys = []string{"systemd.", "rd.", "talos.", "flatcar.", "coreos.", "ignition."}

// userSpaceWords are words that process 1 takes for a run level.
// Source: systemd(1), "Kernel command line".
var userSpaceWords = []string{"single", "s", "S", "1", "emergency", "rescue", "-b"}

// inForce reports whether somebody obeys the word where it stands.
func inForce(w node.Word) bool {
	return !w.AfterDashes || slices.Contains(userSpaceWords, w.Key) ||
		slices.ContainsFunc(userSpaceKeys, func(p string) bool { return strings.HasPrefix(w.Key, p) })
}

// sameKey compares keys as the kernel (parameq of kernel/params.c) and systemd
// (proc_cmdline_key_streq) do.
func sameKey(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// wordIs reports whether the word is what a profile names: "key" with any value
// or none, "key=value", or "key=begin*".
func wordIs(w node.Word, expected string) bool {
	key, value, valued := strings.Cut(expected, "=")
	switch begin, prefix := strings.CutSuffix(value, "*"); {
	case !sameKey(w.Key, key):
		return false
	case !valued:
		return true
	case prefix:
		return w.Valued && strings.HasPrefix(w.Value, begin)
	}
	return w.Valued && w.Value == value
}

func wordText(w node.Word) string {
	switch {
	case w.Redacted:
		return w.Key + "=<redacted>"
	case w.Valued:
		return w.Key + "=" + w.Value
	}
	return w.Key
}

// commandLineRemedy says per system how the kernel command line is changed: do
// is what to do with it ("Add x to"), karg the same as an argument of rpm-ostree
// kargs. Entries of special take the place of the general ones.
func commandLineRemedy(do, karg string, special map[string]string) map[string]string {
	remedy := map[string]string{
		"talos":         do + " customization.extraKernelArgs of the Image Factory schematic (GRUB installations: machine.install.extraKernelArgs) and upgrade to its installer: talosctl upgrade --image factory.talos.dev/metal-installer/SCHEMATIC:VERSION.",
		"flatcar":       do + " linux_append in /oem/grub.cfg, which Secure Boot does not obey, and reboot.",
		"fedora-coreos": "rpm-ostree kargs " + karg + ", then systemctl reboot; on OpenShift spec.kernelArguments of a MachineConfig.",
		"microos":       do + " GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, run transactional-update grub.cfg and reboot; with systemd-boot it is /etc/kernel/cmdline and sdbootutil update-all-entries.",
		"":              do + " the kernel command line in the boot loader's configuration and reboot.",
	}
	maps.Copy(remedy, special)
	return remedy
}
