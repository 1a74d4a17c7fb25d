package verify

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// imageNode is a node as the checks of the OS image see it, put together by
// hand in the shape that the research notes describe. None of them is a
// recording.
type imageNode struct {
	profile string
	// mounts are lines of mountinfo; devices say what their major:minor numbers
	// lead to in sysfs: "dm usr", "loop /file", "disk LABEL".
	mounts  string
	devices map[string]string
	system  node.System
	verity  node.VerityState
	boot    node.BootState
	deploy  node.Deployment
	spaces  []node.MountNamespace
	// lacks are facts that could not be read, gaps those with a part missing.
	lacks map[string]node.Code
	gaps  []string
	gapIn string // the part of the fact verity that could not be read
}

// edit returns a copy of n that f has changed.
func (n imageNode) edit(f func(*imageNode)) imageNode {
	n.verity.Devices = slices.Clone(n.verity.Devices)
	for i, d := range n.verity.Devices {
		if d.Verity != nil {
			v := *d.Verity
			v.Args = slices.Clone(v.Args)
			n.verity.Devices[i].Verity = &v
		}
	}
	n.verity.Booted = slices.Clone(n.verity.Booted)
	n.verity.Loops = slices.Clone(n.verity.Loops)
	n.verity.Subvolumes = slices.Clone(n.verity.Subvolumes)
	if n.verity.Ostree != nil {
		o := *n.verity.Ostree
		n.verity.Ostree = &o
	}
	n.boot.Cmdline = slices.Clone(n.boot.Cmdline)
	if n.deploy.Ostree != nil {
		o := *n.deploy.Ostree
		n.deploy.Ostree = &o
	}
	f(&n)
	return n
}

// facts are the node's facts. The mounts pass through the real reader, so that
// layers and visibility are what it makes of the lines.
func (n imageNode) facts(t *testing.T) node.Facts {
	t.Helper()
	facts := node.Facts{
		node.OS.Name:              {Value: n.system},
		node.Mounts.Name:          {Value: mountsOf(t, n.mounts, n.devices)},
		node.Verity.Name:          {Value: n.verity},
		node.Boot.Name:            {Value: n.boot},
		node.ImageDeployment.Name: {Value: n.deploy},
		node.MountNamespaces.Name: {Value: n.spaces},
	}
	for name, code := range n.lacks {
		facts[name] = node.Fact{Missing: &node.Missing{Code: code, Reason: "reading " + name + ": " + string(code)}}
	}
	for _, name := range n.gaps {
		f := facts[name]
		f.Gaps = []node.Gap{{What: "a part", Code: node.Denied, Reason: "permission denied"}}
		facts[name] = f
	}
	if n.gapIn != "" {
		f := facts[node.Verity.Name]
		f.Gaps = []node.Gap{{Part: n.gapIn, What: n.gapIn, Code: node.Denied, Reason: "permission denied"}}
		facts[node.Verity.Name] = f
	}
	return facts
}

// judge runs the checks of the OS image. Verdicts are "verdict code" by check.
func (n imageNode) judge(t *testing.T) (verdicts map[string]string, level Level, findings []Finding) {
	t.Helper()
	p := profileNamed(t, n.profile)
	facts := n.facts(t)
	findings = Run(imageChecks, facts, Given{Profile: p, At: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)})
	verdicts = map[string]string{}
	for _, f := range findings {
		verdicts[f.Check] = f.Verdict.String() + " " + f.Code
		if f.Reason == "" {
			t.Errorf("%s: %s has no reason", f.Check, f.Code)
		}
	}
	return verdicts, LevelOf(findings, facts), findings
}

func profileNamed(t *testing.T, name string) *profiles.Profile {
	t.Helper()
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p *profiles.Profile) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no profile is called %q", name)
	}
	return all[i]
}

var blank = regexp.MustCompile(`\n+`)

// mountsOf reads lines of mountinfo as the fact mounts.
func mountsOf(t *testing.T, lines string, devices map[string]string) []node.Mount {
	t.Helper()
	files := treeOf{"proc/1/mountinfo": blank.ReplaceAllString(strings.TrimSpace(lines), "\n") + "\n"}
	for dev, what := range devices {
		dir := "sys/dev/block/" + dev
		files[dir] = "-> ../../devices/virtual/block/x" + dev
		switch kind, name, _ := strings.Cut(what, " "); kind {
		case "dm":
			files[dir+"/dm/name"] = name + "\n"
		case "loop":
			files[dir+"/loop/backing_file"] = name + "\n"
		case "disk":
			files[dir+"/uevent"] = "PARTNAME=" + name + "\n"
		default:
			t.Fatalf("device %q", what)
		}
	}
	facts := node.Gather(context.Background(), &node.Host{FS: files}, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	mounts, gaps, missing := node.Mounts.Of(facts)
	if missing != nil || len(gaps) > 0 {
		t.Fatalf("reading mounts: %v, gaps %v", missing, gaps)
	}
	return mounts
}

// treeOf is a file tree in memory, enough for the reader of mounts: files by
// name, links as "-> target".
type treeOf map[string]string

func absentFile(op, name string) error {
	return &node.Error{Op: op, Name: "/" + name, Code: node.Absent}
}

func (f treeOf) ReadFile(name string, _ int64, _ func([]byte) []byte) ([]byte, error) {
	if s, ok := f[path.Clean(name)]; ok {
		return []byte(s), nil
	}
	return nil, absentFile("reading", name)
}

func (f treeOf) Head(name string, _ int) ([]byte, error) {
	return nil, absentFile("reading the head of", name)
}
func (f treeOf) Digest(name string, _ int64) (string, error) { return "", absentFile("hashing", name) }

func (f treeOf) ReadLink(name string) (string, error) {
	if to, ok := strings.CutPrefix(f[path.Clean(name)], "-> "); ok {
		return to, nil
	}
	return "", absentFile("reading", name)
}

func (f treeOf) ReadDir(name string, _ int) ([]node.DirEntry, error) {
	return nil, absentFile("listing", name)
}
func (f treeOf) Lstat(name string) (node.FileInfo, error) {
	return node.FileInfo{}, absentFile("looking at", name)
}
func (f treeOf) Stat(name string) (node.FileInfo, error) {
	return node.FileInfo{}, absentFile("looking at", name)
}
func (f treeOf) Xattr(name, _ string) ([]byte, error) { return nil, absentFile("reading", name) }
func (f treeOf) Avoid([]string)                       {}

const (
	hashA = "1839da262570fb938be558d95db7fc3d986a0d71e1b77d40d35a3e2a1bac7dcd"
	hashB = "2a0357a89582144472ca882632611094c66babdb6486d5d7b49597638bf52b12"
)

// verityOn is a verity device as the kernel shows it to root.
func verityOn(name, hash string, on ...string) node.DMDevice {
	return node.DMDevice{
		Name: name, ReadOnly: true, On: on,
		Targets: []node.DMTarget{{Type: "verity", Status: "V"}},
		Verity: &node.VerityTarget{
			Version: 1, DataBlockSize: 4096, HashBlockSize: 4096, Algorithm: "sha256",
			RootHash: hash, Salt: "-", Status: "V", Whole: true,
		},
	}
}

func withArgs(d node.DMDevice, args ...string) node.DMDevice {
	d.Verity.Args = args
	return d
}

// withoutTables takes away what only root may read of the device-mapper.
func withoutTables(v *node.VerityState) {
	v.NoTables = &node.Missing{Code: node.Denied, Reason: "asking the kernel for device-mapper: permission denied"}
	for i := range v.Devices {
		v.Devices[i].Targets, v.Devices[i].Verity = nil, nil
	}
}

func machine(init string, release map[string]string) node.System {
	return node.System{Release: release, Init: init, PIDNamespace: "initial"}
}

func cmdline(line string) []node.Word {
	var out []node.Word
	for _, f := range strings.Fields(line) {
		k, v, valued := strings.Cut(f, "=")
		out = append(out, node.Word{Key: k, Value: v, Valued: valued})
	}
	return out
}

const pseudo = `
2 1 0:20 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
3 1 0:21 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
4 1 0:5 / /dev rw,nosuid - devtmpfs devtmpfs rw,mode=755
5 1 0:22 / /run rw,nosuid,nodev,noexec - tmpfs tmpfs rw,mode=755
`

// talos has Secure Boot off, as most nodes have.
func talos() imageNode {
	return imageNode{
		profile: "talos",
		mounts: `
1 0 7:0 / / ro,relatime - squashfs /dev/loop0 ro,errors=continue` + pseudo + `
10 1 0:30 / /system rw,relatime - tmpfs tmpfs rw
11 10 8:5 / /system/state rw,relatime - xfs /dev/sda5 rw,attr2
12 1 8:6 / /var rw,relatime - xfs /dev/sda6 rw,attr2
13 1 0:31 / /etc/cni rw,relatime - overlay overlay rw,lowerdir=/etc/cni,upperdir=/var/system/overlays/etc-cni-diff,workdir=/var/system/overlays/etc-cni-workdir
14 1 0:32 / /etc/kubernetes rw,relatime - overlay overlay rw,lowerdir=/etc/kubernetes,upperdir=/var/system/overlays/etc-kubernetes-diff,workdir=/var/system/overlays/etc-kubernetes-workdir
15 1 0:33 / /usr/libexec/kubernetes rw,relatime - overlay overlay rw,lowerdir=/usr/libexec/kubernetes,upperdir=/var/system/overlays/usr-libexec-kubernetes-diff,workdir=/var/system/overlays/usr-libexec-kubernetes-workdir
16 1 0:34 / /opt rw,relatime - overlay overlay rw,lowerdir=/opt,upperdir=/var/system/overlays/opt-diff,workdir=/var/system/overlays/opt-workdir
17 1 0:2 /usr/lib/firmware /usr/lib/firmware ro,relatime - rootfs rootfs rw
18 1 0:30 /etc/hosts /etc/hosts ro,relatime - tmpfs tmpfs rw
`,
		devices: map[string]string{"7:0": "loop /rootfs.sqsh (deleted)", "8:5": "disk STATE", "8:6": "disk EPHEMERAL"},
		system:  machine("init", map[string]string{"ID": "talos", "VERSION_ID": "v1.13.9"}),
		verity:  node.VerityState{Loops: []node.LoopDevice{{Backing: "/rootfs.sqsh (deleted)", ReadOnly: true, Mounted: []string{"/"}}}, ComposefsImage: "absent"},
		boot:    node.BootState{Firmware: "uefi", SecureBoot: "off", SetupMode: "off", Lockdown: "none", Cmdline: cmdline("talos.platform=metal slab_nomerge pti=on")},
	}
}

func talosSecureBoot() imageNode {
	return talos().edit(func(n *imageNode) { n.boot.SecureBoot, n.boot.Lockdown = "on", "confidentiality" })
}

// talosExtended has two system extensions: its root is an overlay whose lower
// directories are unmounted when it stands.
func talosExtended() imageNode {
	return talosSecureBoot().edit(func(n *imageNode) {
		n.mounts = strings.Replace(n.mounts, "1 0 7:0 / / ro,relatime - squashfs /dev/loop0 ro,errors=continue",
			"1 0 0:29 / / ro,relatime - overlay overlay ro,lowerdir=/layers/layer2:/layers/layer1:/layers/root", 1)
		n.verity.Loops = []node.LoopDevice{
			{Backing: "/rootfs.sqsh (deleted)", ReadOnly: true},
			{Backing: "/gvisor.sqsh (deleted)", ReadOnly: true},
			{Backing: "/intel-ucode.sqsh (deleted)", ReadOnly: true},
		}
		n.deploy.Extensions = []node.Extension{{Kind: "talos", Name: "gvisor", Path: "/etc/extensions.yaml"}}
	})
}

// flatcar has ext4 on /usr, one extension image, and is read by root.
func flatcar() imageNode {
	return imageNode{
		profile: "flatcar",
		mounts: `
1 0 8:9 / / rw,relatime - ext4 /dev/sda9 rw,seclabel` + pseudo + `
10 1 254:0 / /usr ro,relatime - ext4 /dev/mapper/usr ro,seclabel
11 1 8:6 / /oem rw,nodev,relatime - btrfs /dev/sda6 rw,subvolid=5,subvol=/
12 1 0:40 / /etc rw,noatime - overlay overlay rw,lowerdir=/sysroot/usr/share/flatcar/etc,upperdir=/sysroot/etc,workdir=/sysroot/.etc-work,redirect_dir=on,metacopy=off
13 1 0:41 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw
14 10 0:42 / /usr ro,relatime - overlay sysext ro,lowerdir=/run/systemd/sysext/meta/usr:/run/systemd/sysext/extensions/containerd-flatcar/usr:/usr
`,
		devices: map[string]string{"8:9": "disk ROOT", "254:0": "dm usr", "8:6": "disk OEM"},
		system:  machine("systemd", map[string]string{"ID": "flatcar", "VERSION_ID": "4593.2.5"}),
		verity: node.VerityState{
			Devices:        []node.DMDevice{verityOn("usr", hashA, "USR-A")},
			Booted:         []node.BootedHash{{Word: "verity.usrhash", Name: "usr", Hash: hashA}},
			ComposefsImage: "absent",
		},
		boot: node.BootState{Firmware: "uefi", SecureBoot: "off", SetupMode: "off", Lockdown: "none",
			Cmdline: cmdline("BOOT_IMAGE=/flatcar/vmlinuz-a mount.usr=/dev/mapper/usr verity.usr=PARTUUID=<uuid> mount.usrflags=ro verity.usrhash=" + hashA)},
		deploy: node.Deployment{Extensions: []node.Extension{{Kind: "sysext", Name: "containerd-flatcar", Path: "/etc/extensions/containerd-flatcar.raw", Link: "/usr/share/flatcar/sysext/containerd-flatcar.raw"}}},
	}
}

// bottlerocket's dm-0 shows as /dev/root, and its device-mapper device has no UUID.
func bottlerocket() imageNode {
	return imageNode{
		profile: "bottlerocket",
		mounts: `
1 0 254:0 / / ro,relatime - erofs /dev/root ro,seclabel,user_xattr,acl,cache_strategy=readaround` + pseudo + `
10 1 0:40 / /etc rw,relatime - tmpfs tmpfs rw,seclabel
11 1 259:9 / /local rw,nosuid,nodev,noatime - xfs /dev/nvme1n1p1 rw,seclabel
12 1 259:9 /var /var rw,nosuid,nodev,noatime - xfs /dev/nvme1n1p1 rw,seclabel
13 1 259:9 /opt /opt rw,nosuid,nodev,noatime - xfs /dev/nvme1n1p1 rw,seclabel
14 13 0:41 / /opt/cni rw,nosuid,nodev,noatime - overlay overlay rw,lowerdir=/usr/libexec/cni,upperdir=/var/lib/cni-plugins/.overlay/upper,workdir=/var/lib/cni-plugins/.overlay/work
15 1 0:42 / /x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules rw,nosuid,nodev,noexec,noatime - overlay overlay rw,lowerdir=/x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/modules,upperdir=/var/lib/kernel-modules/.overlay/upper,workdir=/var/lib/kernel-modules/.overlay/work
16 1 7:0 / /x86_64-bottlerocket-linux-gnu/sys-root/usr/share/licenses ro,nosuid,nodev,noexec - squashfs /dev/loop0 ro
`,
		devices: map[string]string{"254:0": "dm root", "259:9": "disk BOTTLEROCKET-DATA", "7:0": "loop /usr/share/bottlerocket/licenses.squashfs"},
		system:  machine("systemd", map[string]string{"ID": "bottlerocket", "BUILD_ID": "91632ff5", "VERSION_ID": "1.57.0"}),
		verity: node.VerityState{
			Devices: []node.DMDevice{withArgs(verityOn("root", hashA, "ROOT-A", "HASH-A"), "restart_on_corruption", "ignore_zero_blocks")},
			Booted:  []node.BootedHash{{Word: "dm-mod.create", Name: "root", Hash: hashA, Args: []string{"restart_on_corruption", "ignore_zero_blocks"}}},
		},
		boot: node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity", Cmdline: cmdline("BOOT_IMAGE=(hd0,gpt3)/vmlinuz root=/dev/dm-0 dm-mod.create=…")},
	}
}

func cos() imageNode {
	return imageNode{
		profile: "cos",
		mounts: `
1 0 254:0 / / ro,relatime - ext2 /dev/root ro
2 1 0:20 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
3 1 0:21 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
4 1 0:5 / /dev rw,nosuid,noexec,relatime - devtmpfs devtmpfs rw,mode=755
5 1 0:22 / /run rw,nosuid,nodev - tmpfs tmpfs rw,mode=755
6 1 0:23 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw
10 1 0:40 / /etc rw,relatime - overlay overlayfs rw,lowerdir=/etc,upperdir=/tmp/etc_overlay/etc,workdir=/tmp/etc_overlay/.work,uuid=on
11 1 8:8 / /usr/share/oem ro,nosuid,nodev,noexec,relatime - ext4 /dev/sda8 ro
12 1 8:1 /var /var rw,nosuid,nodev,noexec,relatime - ext4 /dev/sda1 rw,commit=30
13 12 8:1 /var/lib/containerd /var/lib/containerd rw,nosuid,nodev,relatime - ext4 /dev/sda1 rw,commit=30
14 1 8:1 /home /home rw,nosuid,nodev,noexec,relatime - ext4 /dev/sda1 rw,commit=30
15 14 8:1 /home/kubernetes/bin /home/kubernetes/bin rw,nosuid,nodev,relatime - ext4 /dev/sda1 rw,commit=30
`,
		devices: map[string]string{"254:0": "dm vroot", "8:8": "disk OEM", "8:1": "disk STATE"},
		system:  machine("systemd", map[string]string{"ID": "cos", "BUILD_ID": "18613.164.98", "VERSION_ID": "117"}),
		verity: node.VerityState{
			Devices: []node.DMDevice{verityOn("vroot", hashB, "ROOT-A")},
			Booted:  []node.BootedHash{{Word: "dm-mod.create", Name: "vroot", Hash: hashB}},
		},
		boot: node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "none", Cmdline: cmdline("/syslinux/vmlinuz.A cros_efi module.sig_enforce=1 root=/dev/dm-0")},
	}
}

// coreos has composefs, as Fedora CoreOS from 41 on.
func coreos() imageNode {
	return imageNode{
		profile: "fedora-coreos",
		mounts: `
1 0 0:39 / / ro,relatime - overlay composefs ro,seclabel,lowerdir+=/run/ostree/.private/cfsroot-lower,datadir+=/sysroot/ostree/repo/objects,redirect_dir=on,metacopy=on` + pseudo + `
10 1 252:4 / /sysroot ro,relatime - xfs /dev/vda4 rw,seclabel,prjquota
11 1 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0/etc /etc rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota
12 1 252:4 /ostree/deploy/fedora-coreos/var /var rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota
13 10 252:4 /ostree/deploy/fedora-coreos/var /sysroot/ostree/deploy/fedora-coreos/var rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota
14 1 252:3 / /boot ro,nosuid,nodev,relatime - ext4 /dev/vda3 ro,seclabel
`,
		devices: map[string]string{"252:4": "disk root", "252:3": "disk boot"},
		system:  machine("systemd", map[string]string{"ID": "fedora", "VARIANT_ID": "coreos"}),
		verity:  node.VerityState{Ostree: &node.OstreeBooted{Keys: []string{"composefs", "sysroot-ro"}, Composefs: "true", SysrootRO: "true"}, ComposefsImage: "off"},
		boot:    node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity", Cmdline: cmdline("root=UUID=<uuid> rw ostree=/ostree/boot.1/fedora-coreos/x/0")},
		deploy:  node.Deployment{Ostree: &node.OstreeDeployment{Stateroot: "fedora-coreos", Checksum: "abc", Origin: "fedora:fedora/x86_64/coreos/stable"}},
	}
}

// coreosBefore is Fedora CoreOS before composefs: / is rw and healthy.
func coreosBefore() imageNode {
	return coreos().edit(func(n *imageNode) {
		n.mounts = `
1 0 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0 / rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota` + pseudo + `
10 1 252:4 / /sysroot ro,relatime - xfs /dev/vda4 rw,seclabel,prjquota
11 1 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0/etc /etc rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota
12 1 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0/usr /usr ro,relatime - xfs /dev/vda4 rw,seclabel,prjquota
13 1 252:4 /ostree/deploy/fedora-coreos/var /var rw,relatime - xfs /dev/vda4 rw,seclabel,prjquota
14 1 252:3 / /boot ro,nosuid,nodev,relatime - ext4 /dev/vda3 ro,seclabel
`
		n.verity.Ostree = &node.OstreeBooted{}
		n.verity.ComposefsImage = "absent"
	})
}

const microosRoot = "60 1 0:29 /@/.snapshots/1/snapshot / ro,relatime shared:1 - btrfs /dev/sda2 rw,space_cache,subvolid=267,subvol=/@/.snapshots/1/snapshot"

// microos follows the mount table of a Kubic node of 2021.
func microos() imageNode {
	return imageNode{
		profile: "microos",
		mounts: microosRoot + `
22 60 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
23 60 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:5 - sysfs sysfs rw
24 60 0:5 / /dev rw,nosuid shared:10 - devtmpfs devtmpfs rw,mode=755,inode64
28 60 0:24 / /run rw,nosuid,nodev shared:13 - tmpfs tmpfs rw,mode=755,inode64
63 60 0:29 /@/root /root rw,relatime shared:2 - btrfs /dev/sda2 rw,space_cache,subvolid=260,subvol=/@/root
66 60 0:35 / /var rw,relatime shared:3 - btrfs /dev/sda3 rw,space_cache,subvolid=5,subvol=/
70 60 0:37 / /etc rw,relatime shared:4 - overlay overlay rw,lowerdir=/sysroot/etc,upperdir=/sysroot/var/lib/overlay/1/etc,workdir=/sysroot/var/lib/overlay/work-etc
34 60 0:41 / /tmp rw,nosuid,nodev shared:17 - tmpfs tmpfs rw,inode64
39 60 0:29 /@/.snapshots /.snapshots rw,relatime shared:21 - btrfs /dev/sda2 rw,space_cache,subvolid=266,subvol=/@/.snapshots
113 60 0:29 /@/usr/local /usr/local rw,relatime shared:58 - btrfs /dev/sda2 rw,space_cache,subvolid=258,subvol=/@/usr/local
`,
		system: machine("systemd", map[string]string{"ID": "opensuse-microos"}),
		verity: node.VerityState{Subvolumes: []node.MountedSubvolume{{Path: "/", ReadOnly: true}}, ComposefsImage: "absent"},
		boot:   node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity", Cmdline: cmdline("root=UUID=<uuid> security=selinux selinux=1")},
	}
}

func debian() imageNode {
	return imageNode{
		profile: "generic",
		mounts: `
1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro` + pseudo + `
10 1 0:40 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw
`,
		devices: map[string]string{"8:1": "disk sda1"},
		system:  machine("systemd", map[string]string{"ID": "debian"}),
		verity:  node.VerityState{NoTables: &node.Missing{Code: node.Denied, Reason: "asking the kernel for device-mapper: permission denied"}, ComposefsImage: "absent"},
		boot:    node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity", Cmdline: cmdline("root=UUID=<uuid> ro quiet")},
	}
}
