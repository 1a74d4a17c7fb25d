package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var modulesFromImage = Check{
	ID: "modules-from-image", Rev: 2, Topic: BootChain, Severity: High,
	Title:     "every loaded kernel module has its file in the OS image",
	Refs:      slices.Concat(bootRefs, []Ref{{sp80053, "CM-7(5)"}, {pciDSS, "11.5.2"}, {cisBottlerocket, "1.1.1.1"}, {cisBottlerocket, "3.3.1"}}),
	ImageOnly: true,
	Help: Help{
		Why: "A module is kernel code. One that no file of the image accounts for was brought by somebody and loaded by hand, and it can hide whatever it likes.",
		How: "Each module in /proc/modules must be listed by modules.dep of the running kernel's folder, and its file, links followed, must lie on a read-only file system of the image, on an extension that is merged into it, or on a mount over it that the profile declares. From which file the kernel read a module it does not keep: a module of the same name that was loaded from elsewhere is found by its missing signature, which other checks look at.",
		Remedy: map[string]string{
			"talos":         "Bring the module as a system extension in the Image Factory schematic; unload what came otherwise by a reboot.",
			"flatcar":       "Ship the module as a system extension image for this release, and reboot to get rid of the one that was loaded by hand.",
			"bottlerocket":  "Allow modules of the image by settings.kernel.modules; reboot to get rid of one that a container brought.",
			"fedora-coreos": "Layer the module's package (rpm-ostree install) or build it into the image that the node boots, then reboot.",
			"microos":       "Install the module's package by transactional-update pkg install and reboot into the snapshot.",
			"cos":           "Install GPU drivers by cos-extensions, declare their mount in a site overlay, and recreate the machine to get rid of others.",
			"":              "Find what loads the module (modules-load.d, a privileged container), take it away and reboot.",
		},
	},
	Judge: On3(node.ModuleFiles, node.Mounts, node.OS.Parts("init", "pidNamespace"), func(f node.ModuleFolder, m []node.Mount, s node.System, g Given) Finding {
		if f, elsewhere := notTheHost(s); elsewhere {
			return f
		}
		return judgeModuleFiles(f, m, g)
	}),
}

func judgeModuleFiles(f node.ModuleFolder, mounts []node.Mount, g Given) Finding {
	switch {
	case len(mounts) == 0:
		return unsaid("what is mounted on it") // / always is
	case len(f.Loaded) == 0:
		return pass("none", "no module is loaded")
	case f.Path == "":
		return fail("no-folder", fmt.Sprintf("%d modules are loaded, and the image has no folder of modules for the running kernel", len(f.Loaded)))
	case f.List == "":
		return unsaid("which files its modules are of")
	}
	var bad []string
	for _, m := range f.Loaded {
		switch {
		case m.File == "":
			bad = append(bad, m.Name+" (in no file of "+f.Path+")")
		case !inImage(m.File, mounts, g):
			bad = append(bad, m.Name+" ("+m.File+" on "+nameOf(mountOf(mounts, m.File))+")")
		}
	}
	if len(bad) > 0 {
		return fail("outside-image", fmt.Sprintf("%d of %d loaded modules have no file in the OS image: %s", len(bad), len(f.Loaded), strings.Join(bad, "; ")), bad...)
	}
	return pass("from-image", fmt.Sprintf("all %d loaded modules have their files in %s, on %s", len(f.Loaded), f.Path, nameOf(mountOf(mounts, f.Path))))
}

// inImage reports whether a path without symbolic links lies on the image, or on
// a mount over it that the profile says the system makes itself.
func inImage(path string, mounts []node.Mount, g Given) bool {
	m := mountOf(mounts, path)
	return imageMount(m) || m.Path != "" && declaredShadow(m, g.Profile)
}

var kernelFromCurrentImage = Check{
	ID: "kernel-from-current-image", Rev: 2, Topic: KernelTopic, Severity: Medium,
	Title: "the running kernel belongs to the mounted image, and no file says that an update waits for a reboot",
	Refs:  []Ref{{sp80053, "SI-2"}, {pciContainers, "10.2"}, {cisControls, "7.3"}, {nis2, "6.6"}, {iso27001, "8.8"}},
	Help: Help{
		Why: "A fix counts when it runs. An update that was installed and waits for a reboot is shown as done by every tool that looks at files.",
		How: "The folder of modules of the running kernel's release must be in the OS image that is mounted: it is gone where packages were upgraded below a running kernel. Then no marker of a prepared update may be there: /run/ostree/staged-deployment, /run/reboot-needed, /run/reboot-required. On systems with two slots (Flatcar, COS, Bottlerocket, Talos) no file tells what is in the other slot; there it takes their own API.",
		Remedy: map[string]string{
			"fedora-coreos": "systemctl reboot boots the deployment that is staged; rpm-ostree cleanup --pending drops it. On OpenShift the machine config operator reboots the node.",
			"microos":       "Reboot into the new snapshot, or let rebootmgr or kured do it in its window.",
			"":              "Drain the node and reboot it.",
		},
	},
	Judge: On4(node.Kernel.Parts("release"), node.ModuleFiles.Parts("path", "kernel"), node.Updates, node.Mounts, judgeCurrentKernel),
}

func judgeCurrentKernel(k node.KernelState, f node.ModuleFolder, u node.UpdateState, mounts []node.Mount, g Given) Finding {
	switch {
	case k.Release == "":
		return unsaid("which kernel it runs")
	case len(mounts) == 0:
		return unsaid("what is mounted on it") // / always is
	case f.Path == "" && len(f.Loaded) == 0:
		return unknown("no-folder", "kernel "+k.Release+" has no modules, so that nothing tells which image it is of")
	case f.Path == "":
		return fail("not-of-image", "kernel "+k.Release+" runs, and there is no folder /lib/modules/"+k.Release+": the running kernel is not that of the system on disk", k.Release)
	case !g.Profile.Ordinary && !inImage(f.Path, mounts, g):
		return fail("outside-image", fmt.Sprintf("the modules of kernel %s are in %s, which is not of the OS image", k.Release, f.Path), f.Path)
	case len(u.Waiting) > 0:
		return fail("reboot-pending", fmt.Sprintf("kernel %s runs, and an update waits for a reboot: %s", k.Release, strings.Join(u.Waiting, ", ")), u.Waiting...)
	}
	return pass("current", fmt.Sprintf("kernel %s is of the image that is mounted (%s), and no file says that an update waits for a reboot", k.Release, f.Path), k.Release)
}
