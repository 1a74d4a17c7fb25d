package test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node/capture"
)

// demoDir is where composed and recorded nodes are kept.
const demoDir = "../collector/demo"

// composedNode is a node that is put together from samples. What no sample says
// is not on its tape.
type composedNode struct {
	name    string
	note    string // what a reader must know of how the samples fit together
	parts   []part
	profile string
	// level and claimed are what the samples prove and claim, why says by what.
	level, claimed int
	why            string
}

// part is what one sample gives to a node. Where take is nil it is everything
// that a source can read.
type part struct {
	sample string
	take   func(*capture.Tape, sample) error
}

// composedNodes lists the nodes. Those called "-published" rest on published
// samples alone; the others take from a lab guest of the same shape what only a
// kernel says and nobody has published.
func composedNodes() []composedNode {
	return []composedNode{{
		name: "composed-talos", profile: "talos",
		note: "Samples of Talos 1.7 to 1.13. The mount table and block devices are those of a lab guest with the shape of Talos, which has /run and /tmp without noexec and an overlay on /etc, as Talos up to 1.13 has not; /etc/os-release is the template in Talos' source, filled with the version that the kernel's build belongs to.",
		parts: []part{
			{"talos/uname-pod-1.11.6.txt", takeTalosRelease},
			{"talos/uname-pod-1.11.6.txt", nil},
			{"talos/cmdline-grub-slotA-1.7.facts.yaml", nil},
			{"lab/s-talos-squashfs-loop-overlay/before", takeLab("mountinfo", "sys-block")},
			{"talos/securitystate-table-selinux-permissive.txt", takeSELinux},
			{"talos/processes-labels-1.10.facts.yaml", takeTalosKubelet},
			{"talos/cgroups-tree-1.13.txt", takeCgroup(25408, "podruntime", "kubelet")},
		},
		level: 2, claimed: 2, why: "a squashfs cannot be written; Talos has no dm-verity, and whether Secure Boot is on is not recorded",
	}, {
		name: "composed-flatcar", profile: "flatcar",
		note: "The kernel is that of Flatcar 3374. Command line, mount table, block devices and device-mapper tables are those of one lab guest with the shape of Flatcar: systemd-veritysetup on /usr under a writable root.",
		parts: []part{
			{"flatcar/os-release-3510.3.5-lts2023.facts.yaml", nil},
			{"flatcar/uname-5.15.81.txt", nil},
			{"flatcar/dmesg-not-tainted-5.15.70.facts.yaml", takeTaint},
			{"lab/b-systemd-usrhash-squashfs/before", takeLab("cmdline", "mountinfo", "sys-block", "labprobe")},
		},
		level: 3, claimed: 3, why: "the kernel's table has one verity target over all of /usr, status V, and the root hash of the command line",
	}, {
		name: "composed-flatcar-2020", profile: "flatcar",
		note: "A release of 2020 with the kernel of its time. Command line, mount table, block devices and device-mapper tables are those of one lab guest with the shape of Flatcar.",
		parts: []part{
			{"flatcar/os-release-2605.10.0-no-sysext-level.txt", takeReleaseAbove("\nLinux ")},
			{"flatcar/os-release-2605.10.0-no-sysext-level.txt", nil},
			{"lab/b-systemd-usrhash-squashfs/before", takeLab("cmdline", "mountinfo", "sys-block", "labprobe")},
		},
		level: 3, claimed: 3, why: "as composed-flatcar: how old a release is takes nothing from what verity proves",
	}, {
		name: "composed-flatcar-published", profile: "flatcar",
		note: "The mount table is of the 3815 or 3975 line, the kernel that of 3975.2.2. Nobody has published the device-mapper table of a Flatcar node.",
		parts: []part{
			{"flatcar/os-release-3510.3.5-lts2023.facts.yaml", nil},
			{"flatcar/hostnamectl-3975.2.2-aws.txt", nil},
			{"flatcar/mount-3815-btrfs-usr-etc-overlay.facts.yaml", nil},
		},
		level: 1, claimed: 1, why: "/usr is a btrfs that was mounted with rescue=, so read-only as a whole; the device under it is not recorded, and neither is the command line that would claim a hash",
	}, {
		name: "composed-bottlerocket", profile: "bottlerocket",
		note: "The mount table of Bottlerocket is complete up to efivars; the kernel is that of an nvidia variant. Command line, block devices and device-mapper tables are those of one lab guest with an erofs root on dm-verity, whose device number the table takes over; the control group is that of the lab's kubelet under systemd.",
		parts: []part{
			{"bottlerocket/os-release-1.12.0-excerpt.txt", nil},
			{"bottlerocket/ps-tree-admin-ssh-sheltie-1.13.txt", takeSysroot},
			{"bottlerocket/uname-containerd-1.47-nvidia.facts.yaml", nil},
			{"lab/a-dmcreate-emul-erofs/before", takeLab("cmdline", "sys-block", "labprobe")},
			{"bottlerocket/findmnt-erofs-root-1.48.facts.yaml", takeMountsOn("/dev/dm-0", "253:0")},
			{"bottlerocket/kubelet-args-k8s120-887.facts.yaml", takeKubelet(1155, "/usr/bin/kubelet")},
			{"bottlerocket/kubelet-config-k8s120-887.facts.yaml", takeKubeletConfig("etc/kubernetes/kubelet/config")},
			{"lab/k8s-vm/k8s", takeLabCgroup(1155, "kubelet.service")},
		},
		level: 3, claimed: 3, why: "the kernel's table has one verity target over all of the erofs root, status V, and the root hash of the command line",
	}, {
		name: "composed-bottlerocket-published", profile: "bottlerocket",
		note: "The command line is that of a development build with kdump; nobody has published the device-mapper table of a Bottlerocket node.",
		parts: []part{
			{"bottlerocket/os-release-1.12.0-excerpt.txt", nil},
			{"bottlerocket/ps-tree-admin-ssh-sheltie-1.13.txt", takeSysroot},
			{"bottlerocket/findmnt-erofs-root-1.48.facts.yaml", nil},
			{"bottlerocket/cmdline-1.12-dev-kdump.facts.yaml", nil},
			{"bottlerocket/uname-containerd-1.47-nvidia.facts.yaml", nil},
		},
		level: 2, claimed: 2, why: "an erofs cannot be written; a root hash on the command line proves nothing about the device, which is not recorded",
	}, {
		name: "composed-cos", profile: "cos",
		note: "The mount table is that of a machine on Compute Engine with data disks and a disk over /tmp, the kernel that of milestone 93, the security modules are those of 109. Command line, block devices and device-mapper tables are those of one lab guest with the shape of COS, whose device number the table takes over; the control group is that of the lab's kubelet under systemd.",
		parts: []part{
			{"cos/os-release-117.txt", nil},
			{"cos/hostnamectl-5.10.90.txt", nil},
			{"cos/lsm-109.txt", nil},
			{"lab/s-cos-verity-overlay-etc/before", takeLab("cmdline", "sys-block", "labprobe")},
			{"cos/mount-gce-vm-initial.txt", takeMountsOn("/dev/mapper/vroot", "253:0")},
			{"cos/journal-kubelet-cmdline-gke-containerd.txt", takeJournalKubelet},
			{"lab/k8s-vm/k8s", takeLabCgroup(1142, "kubelet.service")},
		},
		level: 3, claimed: 3, why: "the kernel's table has one verity target over all of the root, status V, and the root hash of the command line",
	}, {
		name: "composed-cos-published", profile: "cos",
		note: "The command line is that of milestone 113, the security modules are those of 109, the kernel that of 93. Nobody has published the device-mapper table of a COS node.",
		parts: []part{
			{"cos/os-release-117.txt", nil},
			{"cos/hostnamectl-5.10.90.txt", nil},
			{"cos/cmdline-113-intel-tdx.txt", nil},
			{"cos/lsm-109.txt", nil},
			{"cos/mount-gce-vm-initial.txt", nil},
		},
		level: 1, claimed: 1, why: "/ is mounted read-only; what device the ext2 is on is not recorded",
	}, {
		name: "composed-fedora-coreos", profile: "fedora-coreos",
		note: "Fedora CoreOS 41 and later as far as published: the newest /etc/os-release is of 37, the kernel of 38, the mounts beside / and /usr are the documented ones of before 41, with details left out by the authors, and the command line is that of a Fedora bootc system.",
		parts: []part{
			{"fcos/os-release-37.txt", nil},
			{"fcos/hostnamectl-38.txt", nil},
			{"fcos/findmnt-root-composefs.facts.yaml", takeMounts(func(m mountLine) bool { return m.Target == "/" })},
			{"fcos/findmnt-real-docs-precomposefs.txt", takeMounts(func(m mountLine) bool { return m.Target != "/" && m.Target != "/usr" })},
			{"fcos/cmdline-fedora-bootc-41.txt", nil},
		},
		level: 2, claimed: 2, why: "composefs has no way to be written; its mount has no verity=require, which Fedora does not ship",
	}, {
		name: "composed-fedora-coreos-before-composefs", profile: "fedora-coreos",
		note: "The mount table is the documented one of Fedora CoreOS before 41, with details left out by its authors.",
		parts: []part{
			{"fcos/os-release-37.txt", nil},
			{"fcos/hostnamectl-38.txt", nil},
			{"fcos/findmnt-real-docs-precomposefs.txt", nil},
		},
		level: 1, claimed: 1, why: "/usr and /sysroot are read-only binds; / is writable by design",
	}, {
		name: "composed-rhcos", profile: "fedora-coreos",
		note: "OpenShift 4.12. The mount table is that of a lab guest which ostree-prepare-root set up, with a writable /boot, as OpenShift has not; the command line is of a first boot of 4.9; the kubelet's arguments are of 4.5, cut after the container runtime, and its executable is the one in OpenShift's unit.",
		parts: []part{
			{"rhcos/os-release-412-full.txt", nil},
			{"rhcos/hostnamectl-412.txt", nil},
			{"rhcos/lsm-412.txt", nil},
			{"rhcos/dmesg-cmdline-49.facts.yaml", nil},
			{"lab/s-ostree-readonly-sysroot/before", takeLab("mountinfo", "sys-block")},
			{"rhcos/systemctl-status-kubelet-45.txt", takeUnitKubelet},
			{"rhcos/kubelet-conf-openshift.json", takeKubeletConfig("etc/kubernetes/kubelet.conf")},
		},
		level: 1, claimed: 1, why: "/usr and /sysroot are read-only binds of a writable file system",
	}, {
		name: "composed-rhcos-composefs", profile: "fedora-coreos",
		note: "OpenShift 4.20. Of the mount table only / was published with its options.",
		parts: []part{
			{"rhcos/os-release-rhel101-coreos.txt", nil},
			{"rhcos/findmnt-lsblk-composefs-debug-pod.txt", nil},
			{"rhcos/dmesg-cmdline-49.facts.yaml", nil},
		},
		level: 2, claimed: 2, why: "composefs has no way to be written; its mount has no verity=require",
	}, {
		name: "composed-microos", profile: "microos",
		note: "The mount table is that of a Kubic node of 2021. That its snapshot has the read-only property is taken from a lab guest of the same shape, on which root remounted / writable and still could not write.",
		parts: []part{
			{"microos/os-release-20240228.txt", nil},
			{"microos/mountinfo-kubic-pid1.txt", nil},
			{"microos/docker-info-microos-2020.facts.yaml", takeUname},
			{"lab/s-microos-btrfs-ro-snapshot/before", takeSubvolume},
		},
		level: 1, claimed: 1, why: "/ is mounted read-only and its subvolume has the read-only property, which root can take away",
	}, {
		name: "composed-microos-published", profile: "microos",
		note: "The mount table is that of a Kubic node of 2021. Nobody has published the read-only property of its snapshot.",
		parts: []part{
			{"microos/os-release-20240228.txt", nil},
			{"microos/mountinfo-kubic-pid1.txt", nil},
		},
		level: 0, claimed: 1, why: "/ is mounted read-only, but the file system is writable and the property of the subvolume is not recorded",
	}}
}

// compose makes the tape of a node.
func compose(t *testing.T, all []sample, n composedNode) *capture.Tape {
	t.Helper()
	tape := capture.New(capture.Header{Kind: capture.Composed, Node: n.name, At: theTime, Program: "test/compose_test.go", Note: n.note})
	for _, p := range n.parts {
		s := partOf(t, all, p.sample)
		cite := s.name + ": " + s.Source
		if !slices.Contains(tape.Header.Sources, cite) {
			tape.Header.Sources = append(tape.Header.Sources, cite)
		}
		if p.take != nil {
			if err := p.take(tape, s); err != nil {
				t.Fatalf("%s: taking from %s: %v", n.name, p.sample, err)
			}
		} else if len(feed(tape, s)) == 0 {
			t.Fatalf("%s: no source can read %s", n.name, p.sample)
		}
	}
	return tape
}

// partOf is a sample, or a folder of the lab with what its sidecar says.
func partOf(t *testing.T, all []sample, name string) sample {
	t.Helper()
	dir, ok := strings.CutPrefix(name, "lab/")
	if !ok {
		return needSample(t, all, name)
	}
	dir, _, _ = strings.Cut(dir, "/")
	side, err := readAbout(filepath.Join(corpusDir, "lab", dir+".source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	side.Source = "own lab guest, " + side.OSVersion
	return sample{name: name, about: side}
}

// TestCompose makes the composed nodes out of the corpus. With -update it writes
// them; without, those in the repository must be what the corpus gives.
func TestCompose(t *testing.T) {
	needCorpus(t)
	all := samples(t)
	want := map[string]bool{}
	for _, n := range composedNodes() {
		t.Run(n.name, func(t *testing.T) {
			tape := compose(t, all, n)
			r := report(t, tape)
			if r.Level.Number != n.level || r.Level.Claimed != n.claimed {
				t.Errorf("got level %d, claimed %d, want %d and %d: %s; reasons: %s", r.Level.Number, r.Level.Claimed, n.level, n.claimed, n.why, strings.Join(r.Level.Reasons, "; "))
			}
			if r.Profile.Name != n.profile {
				t.Errorf("got profile %s, want %s", r.Profile.Name, n.profile)
			}
			var b bytes.Buffer
			if err := tape.Write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(demoDir, n.name+".capture")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(have), b.String()); diff != "" {
				t.Errorf("%s is not what the corpus gives; run with -update if that is meant (-file +corpus):\n%s", file, diff)
			}
		})
		want[n.name+".capture"] = true
	}
	files, err := filepath.Glob(filepath.Join(demoDir, "composed-*.capture"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[filepath.Base(f)] {
			t.Errorf("%s is made from nothing in the table of composed nodes", f)
		}
	}
}
