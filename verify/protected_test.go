package verify

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func TestLayouts(t *testing.T) {
	tests := []struct {
		name    string
		mounts  string
		devices map[string]string
		want    layout
		paths   []string
	}{
		{"an ordinary host", "1 0 8:1 / / rw - ext4 /dev/sda1 rw", nil, ordinary, []string{"/"}},
		{"a read-only root", "1 0 8:1 / / ro - ext4 /dev/sda1 rw", nil, imageRoot, []string{"/"}},
		{"squashfs is an image whatever its flags say", "1 0 7:0 / / rw - squashfs /dev/loop0 ro", nil, imageRoot, []string{"/"}},
		{"composefs brings its store", "1 0 0:39 / / ro - overlay composefs ro,lowerdir+=/run/ostree/.private/x,datadir+=/sysroot/ostree/repo/objects\n2 1 8:4 / /sysroot ro - xfs /dev/sda4 rw", nil, imageRoot, []string{"/", "/sysroot"}},
		{"composefs from elsewhere than ostree has none", "1 0 0:39 / / ro - overlay none ro,lowerdir+=/tmp/.tmpvKg9Y9,datadir+=/sysroot/composefs/objects,metacopy=on,verity=require", nil, imageRoot, []string{"/"}},
		{"ostree before composefs", "1 0 8:4 /ostree/deploy/x/deploy/y.0 / rw - xfs /dev/sda4 rw", nil, ostreeBind, []string{"/usr", "/sysroot"}},
		{"ostree in a btrfs subvolume", "1 0 0:30 /root/ostree/deploy/x/deploy/y.0 / rw - btrfs /dev/sda4 rw,subvol=/root", nil, ostreeBind, []string{"/usr", "/sysroot"}},
		{"/usr of another type", "1 0 8:9 / / rw - ext4 /dev/sda9 rw\n2 1 254:0 / /usr ro - squashfs /dev/mapper/usr ro", map[string]string{"254:0": "dm usr"}, separateUsr, []string{"/usr"}},
		{"/usr of the same type on another device", "1 0 8:9 / / rw - ext4 /dev/sda9 rw\n2 1 254:0 / /usr ro - ext4 /dev/mapper/usr ro", map[string]string{"8:9": "disk ROOT", "254:0": "dm usr"}, separateUsr, []string{"/usr"}},
		{"two btrfs have two anonymous numbers", "1 0 0:30 / / rw - btrfs /dev/sda9 rw\n2 1 0:31 / /usr ro - btrfs /dev/mapper/usr ro", nil, separateUsr, []string{"/usr"}},
		{"two mounts of one btrfs have the same", "1 0 0:30 /@ / rw - btrfs /dev/sda9 rw\n2 1 0:30 /@usr /usr ro - btrfs /dev/sda9 rw", nil, ordinary, []string{"/"}},
		{"a bind of /usr on itself, devices not known", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /usr /usr ro - ext4 /dev/sda1 rw", nil, ordinary, []string{"/"}},
		{"a tmpfs on /usr is no image", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /usr ro - tmpfs tmpfs ro", nil, ordinary, []string{"/"}},
		{"an overlay on /usr is no image", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /usr ro - overlay overlay ro,lowerdir=/x:/usr", nil, ordinary, []string{"/"}},
		{"NFS on /usr is no image", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:30 / /usr ro - nfs4 s:/usr ro", nil, ordinary, []string{"/"}},
		{"the first layer of /usr decides, not the last", "1 0 8:9 / / rw - ext4 /dev/sda9 rw\n2 1 254:0 / /usr ro - squashfs /dev/mapper/usr ro\n3 2 0:50 / /usr ro - overlay sysext ro,lowerdir=/run/systemd/sysext/meta/usr:/usr", map[string]string{"254:0": "dm usr"}, separateUsr, []string{"/usr"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			im, ok := imageOf(mountsOf(t, tt.mounts, tt.devices), &profiles.Profile{})
			if !ok {
				t.Fatal("no image was found")
			}
			if im.layout != tt.want {
				t.Errorf("got layout %d, want %d", im.layout, tt.want)
			}
			if diff := cmp.Diff(tt.paths, im.paths); diff != "" {
				t.Errorf("protected paths (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLowerDirs(t *testing.T) {
	tests := []struct {
		super []string
		want  []string
	}{
		{[]string{"ro"}, nil},
		{[]string{"ro", "lowerdir=/a:/b"}, []string{"/a", "/b"}},
		{[]string{"ro", "lowerdir+=/a", "lowerdir+=/b"}, []string{"/a", "/b"}},
		{[]string{"ro", "lowerdir=/a::/data"}, []string{"/a", "/data"}},
		{[]string{"ro", `lowerdir=/a\:b:/c`}, []string{"/a:b", "/c"}},
		{[]string{"ro", `lowerdir=/a\`}, []string{`/a\`}},
		{[]string{"ro", "lowerdir="}, nil},
	}
	for _, tt := range tests {
		got := lowerDirs(node.Mount{Super: tt.super})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.super, diff)
		}
	}
}

func TestDeclaredShadow(t *testing.T) {
	p := &profiles.Profile{Image: profiles.Image{Shadows: []profiles.Shadow{
		{Path: "/usr", Type: "overlay", Lower: []string{"/run/systemd/sysext", "/usr"}},
		{Path: "/usr/share/*", Type: "squashfs"},
		{Path: "/usr/lib/modules", Type: "overlay", Upper: true},
	}}}
	overlay := func(path string, super ...string) node.Mount {
		return node.Mount{Path: path, Type: "overlay", Options: []string{"ro"}, Super: append([]string{"ro"}, super...)}
	}
	tests := []struct {
		name  string
		mount node.Mount
		want  bool
	}{
		{"extensions over the image", overlay("/usr", "lowerdir=/run/systemd/sysext/meta/usr:/usr"), true},
		{"another directory among them", overlay("/usr", "lowerdir=/run/systemd/sysext/meta/usr:/var/x:/usr"), false},
		{"a directory that only begins like one", overlay("/usr", "lowerdir=/run/systemd/sysext-x/usr:/usr"), false},
		{"directories that are not said", overlay("/usr"), false},
		{"an upper directory that is not declared", overlay("/usr", "lowerdir=/usr", "upperdir=/x"), false},
		{"an upper directory that is", overlay("/usr/lib/modules", "lowerdir=/usr/lib/modules", "upperdir=/x"), true},
		{"another type on a declared path", node.Mount{Path: "/usr", Type: "tmpfs", Options: []string{"ro"}, Super: []string{"ro"}}, false},
		{"below a folder", node.Mount{Path: "/usr/share/licenses", Type: "squashfs", Options: []string{"ro"}, Super: []string{"ro"}}, true},
		{"the folder itself", node.Mount{Path: "/usr/share", Type: "squashfs", Options: []string{"ro"}, Super: []string{"ro"}}, false},
		{"writable where it shall not be", node.Mount{Path: "/usr", Type: "overlay", Options: []string{"rw"}, Super: []string{"rw", "lowerdir=/usr"}}, false},
	}
	for _, tt := range tests {
		if got := declaredShadow(tt.mount, p); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestCorpusMountTables reads mount tables that others have published, and those
// of our own lab, and compares layout and whether the image is read-only. Where
// a table has no sysfs beside it no device is known, and nothing more follows.
func TestCorpusMountTables(t *testing.T) {
	const corpus = "../../shared/corpus"
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("SKIPPED: the corpus is not here: %v", err)
	}
	tests := []struct {
		file     string
		layout   layout
		readOnly string // verdict and code of image-read-only
	}{
		{"fcos/mountinfo-ostree-btrfs-laptop.txt", imageRoot, "pass read-only"},
		{"generic/mountinfo-rhel-lvm.txt", ordinary, "fail writable-mount"},
		{"generic/mountinfo-tumbleweed-docker-pid1.txt", ordinary, "fail writable-mount"},
		{"generic/mountinfo-ubuntu-docker-container.txt", ordinary, "fail writable-overlay"},
		{"microos/mountinfo-kubic-pid1.txt", imageRoot, "unknown subvolume-unknown"},
		{"microos/mountinfo-kubic-host-other-pid.txt", imageRoot, "unknown subvolume-unknown"},
		{"lab/a-dmcreate-DM_INIT-squashfs/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/a-dmcreate-emul-erofs/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/b-systemd-roothash-erofs/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/b-systemd-usrhash-squashfs/before/mountinfo", separateUsr, "pass read-only"},
		{"lab/b-systemd-usrhash-squashfs/after/mountinfo", separateUsr, "pass read-only"},
		{"lab/c-initrd-erofs/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/c-initrd-squashfs/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/n-plain-squashfs-noverity/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/n-rw-ext4/before/mountinfo", ordinary, "fail writable-mount"},
		{"lab/ns-btrfs-loop-overlay-etc/mountinfo", imageRoot, "unknown subvolume-unknown"},
		{"lab/ns-erofs-loop-overlay-etc/mountinfo", imageRoot, "pass read-only"},
		{"lab/ns-squashfs-loop-overlay-etc/mountinfo", imageRoot, "pass read-only"},
		{"lab/s-cos-verity-overlay-etc/before/mountinfo", imageRoot, "pass read-only"},
		{"lab/s-microos-btrfs-ro-snapshot/before/mountinfo", imageRoot, "unknown subvolume-unknown"},
		{"lab/s-ostree-readonly-sysroot/before/mountinfo", ostreeBind, "pass read-only"},
		{"lab/s-talos-squashfs-loop-overlay/before/mountinfo", imageRoot, "pass read-only"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(corpus, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			n := imageNode{profile: "generic", mounts: string(b), system: machine("systemd", nil)}
			im, ok := imageOf(mountsOf(t, n.mounts, nil), profileNamed(t, n.profile))
			if !ok || im.layout != tt.layout {
				t.Errorf("got layout %d (found %v), want %d", im.layout, ok, tt.layout)
			}
			if verdicts, _, _ := n.judge(t); verdicts["image-read-only"] != tt.readOnly {
				t.Errorf("image-read-only: got %q, want %q", verdicts["image-read-only"], tt.readOnly)
			}
		})
	}
}

func TestImageChecksAreValid(t *testing.T) {
	if err := Validate(imageChecks); err != nil {
		t.Error(err)
	}
	for _, c := range imageChecks {
		if !c.ImageOnly {
			t.Errorf("%s says nothing about an ordinary host, and is not marked so", c.ID)
		}
	}
}
