package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var writableMountsRestricted = Check{
	ID: "writable-mounts-restricted", Rev: 1, Topic: Immutability, Severity: Medium,
	Title: "shared writable places are mounted with nosuid, nodev and noexec as the system ships them",
	Refs:  []Ref{{sp80053, "CM-7(2)"}, {sp80053, "CM-6"}, {cisCOS, "var-noexec"}, {cisControls, "10.5"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "A setuid program or a device node that somebody drops into a shared folder is a way to root, unless the mount says that neither counts there. noexec takes away the place to start from.",
		How: "Each path that the profile names must lie on a mount with the options that it names (nosuid, nodev, noexec), whatever mount that is now. Other writable file systems on disks or in memory without nosuid and nodev are counted in the reason.",
		Remedy: map[string]string{
			"flatcar":       "Unmask tmp.mount (systemctl unmask tmp.mount) and remove what mounts it anew without nosuid,nodev from /etc/fstab and the Butane configuration.",
			"fedora-coreos": "Run systemctl revert tmp.mount, and take mounts of /tmp, /run and /dev/shm out of the Butane configuration.",
			"microos":       "Give the line of the mount in /etc/fstab the options nosuid,nodev back and reboot.",
			"cos":           "Find the startup script that remounts it with exec, and recreate the machine; mount disks below /mnt/disks.",
			"talos":         "Reboot the node: Talos mounts these itself, and a privileged pod has remounted them.",
			"bottlerocket":  "Reboot the node: the image mounts these itself, and a superpowered container has remounted them.",
			"":              "mount -o remount,nosuid,nodev PATH, and the same options in /etc/fstab.",
		},
	},
	Judge: On2(node.Mounts, node.OS.Parts("init", "pidNamespace"), func(m []node.Mount, s node.System, g Given) Finding {
		if f, elsewhere := notTheHost(s); elsewhere {
			return f
		}
		return judgeRestricted(m, g)
	}),
}

func judgeRestricted(mounts []node.Mount, g Given) Finding {
	if len(mounts) == 0 {
		return unsaid("what is mounted on it") // / always is
	}
	var bad, good []string
	for _, r := range g.Profile.Extensions.Mounts {
		m := mountOf(mounts, r.Path)
		var lacks []string
		for _, option := range r.Options {
			if !slices.Contains(m.Options, option) {
				lacks = append(lacks, option)
			}
		}
		item := r.Path
		if m.Path != r.Path {
			item += " (on " + nameOf(m) + ")"
		}
		switch {
		case m.ReadOnly():
			good = append(good, item+" read-only")
		case len(lacks) > 0:
			bad = append(bad, item+" without "+strings.Join(lacks, ", "))
		default:
			good = append(good, item+" "+strings.Join(r.Options, ","))
		}
	}
	switch {
	case len(bad) > 0:
		return fail("unrestricted", "mounted without the restrictions that the system ships: "+strings.Join(bad, "; "), bad...)
	case len(good) == 0:
		return notApplicable("nothing-expected", "the profile expects no restrictions of writable mounts")
	}
	open := 0
	for _, m := range mounts {
		if m.Visible && writableExec(m) && !(slices.Contains(m.Options, "nosuid") && slices.Contains(m.Options, "nodev")) {
			open++
		}
	}
	return pass("restricted", fmt.Sprintf("mounted as the system ships it: %s; %d other writable mounts take setuid programs or devices", strings.Join(good, "; "), open), good...)
}
