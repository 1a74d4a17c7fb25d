package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var kernelChecks = []Check{kernelBranchKnown, kernelPatched, sysctlsHardened}

// patchRefs is what every check of the kernel's version is evidence for.
var patchRefs = []Ref{
	{sp80053, "SI-2"}, {sp80053, "SI-2(2)"}, {sp80053, "SA-22"},
	{sp800190, "4.4.1"}, {sp800190, "4.5.3"},
	{pciDSS, "6.3.1"}, {pciDSS, "6.3.3"}, {pciContainers, "10.1"}, {pciContainers, "10.2"},
	{iso27001, "8.8"}, {soc2, "CC7.1"}, {grundschutz, "SYS.1.1.A24"},
	{nis2, "6.6"}, {nis2, "6.10"}, {cisControls, "7.3"}, {kubernetesSTIG, "V-242443"},
}

var kernelBranchKnown = Check{
	ID:       "kernel-branch-known",
	Rev:      1,
	Title:    "the kernel's release names its branch",
	Topic:    KernelTopic,
	Severity: Medium,
	Refs:     patchRefs,
	Help: Help{
		Why: "Fixes come by branch. Whether a kernel is patched or still maintained can only be asked of one whose branch is known.",
		How: "The release that the running kernel gives (uname -r) must begin with two or three numbers. What follows is the vendor's and is quoted; vendors with a suffix such as .el9 or -generic put fixes into it that the numbers do not show.",
		Remedy: map[string]string{
			"": "Run a kernel that your distribution built: only its release can be compared with lists of fixes.",
		},
	},
	Judge: On(node.Kernel.Parts("release"), judgeKernelBranch),
}

func judgeKernelBranch(k node.KernelState, _ Given) Finding {
	if k.Release == "" {
		return unsaid("which kernel it runs")
	}
	r, err := parseRelease(k.Release)
	if err != nil {
		return unknown("unparsable", err.Error(), k.Release)
	}
	reason := fmt.Sprintf("kernel %s is of branch %s", k.Release, r.branch())
	if r.candidate != "" {
		reason += ", a release candidate (" + r.candidate[1:] + ")"
	}
	if r.suffix != "" {
		reason += fmt.Sprintf(", with the vendor's suffix %q", r.suffix)
	}
	return pass("parsed", reason, r.branch())
}

var kernelPatched = Check{
	ID:       "kernel-patched",
	Rev:      1,
	Title:    "the running kernel is at or above the patched baseline of its branch",
	Topic:    KernelTopic,
	Severity: Critical,
	Refs:     slices.Concat(patchRefs, []Ref{{sp80053, "SI-2(3)"}}),
	Help: Help{
		Why: "Containers share the node's kernel: one hole in it opens every workload. A fix counts when the patched kernel runs, not when it is installed.",
		How: "This version has no baseline of patched kernels, so the answer is unknown, for every kernel. It is never guessed from the version number alone.",
		Remedy: map[string]string{
			"talos":         "talosctl upgrade --image factory.talos.dev/metal-installer/SCHEMATIC:VERSION to the newest patch release of the line.",
			"flatcar":       "update_engine_client -update, then reboot.",
			"bottlerocket":  "apiclient update check, apiclient update apply --reboot, or replace the node by one of a newer image.",
			"fedora-coreos": "rpm-ostree upgrade --reboot, or let zincati do it. On OpenShift: update the cluster.",
			"microos":       "transactional-update dup (SL Micro: transactional-update up), then reboot.",
			"cos":           "GKE: gcloud container clusters upgrade CLUSTER --node-pool NAME. Compute Engine: recreate the machine from the newest image of its milestone.",
			"":              "Install the distribution's newest kernel and reboot.",
		},
	},
	Judge: On(node.Kernel, func(k node.KernelState, _ Given) Finding {
		if k.Release == "" {
			return unsaid("which kernel it runs")
		}
		return unknown("no-baseline", "kernel "+k.Release+" was not compared: this version has no baseline of patched kernels", k.Release)
	}),
}

// release is what the kernel calls itself: uname(2).
type release struct {
	major, minor, level int
	leveled             bool   // whether the level stood there
	candidate           string // "-rc4", or ""
	suffix              string // the vendor's
}

func (r release) branch() string { return fmt.Sprintf("%d.%d", r.major, r.minor) }

// atLeast reports whether the branch is that of a kernel or a later one.
func (r release) atLeast(major, minor int) bool {
	return r.major > major || r.major == major && r.minor >= minor
}

var releasePattern = regexp.MustCompile(`^(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,4})(?:\.(0|[1-9]\d{0,4}))?(-rc[1-9]\d?)?((?:[-+._~][!-~]*)?)$`)

// parseRelease takes a kernel's release apart: the numbers of its branch and
// level, and the vendor's suffix.
func parseRelease(s string) (release, error) {
	m := releasePattern.FindStringSubmatch(s)
	if m == nil || m[3] == "" && strings.HasPrefix(m[5], ".") { // "6.6.1x" has no level
		return release{}, fmt.Errorf("the kernel's release %.80q does not begin with a version", s)
	}
	number := func(s string) int {
		n, _ := strconv.Atoi(s) // at most five digits, or empty
		return n
	}
	return release{number(m[1]), number(m[2]), number(m[3]), m[3] != "", m[4], m[5]}, nil
}
