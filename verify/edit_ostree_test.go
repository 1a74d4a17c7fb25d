package verify

import (
	"testing"
)

// ostreeEdits change ostree, with composefs and before.
var ostreeEdits = []oneEdit{{
	name: "composefs with verity=require",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "metacopy=on", "metacopy=on,verity=require")
		n.verity.ComposefsImage = "on"
		n.verity.Ostree.ComposefsVerity = "true"
	},
	change: map[string]string{"image-verified": "pass verified"},
	level:  3,
}, {
	name: "verity=require over an image that has no fs-verity itself",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "metacopy=on", "metacopy=on,verity=require")
	},
	change: map[string]string{"image-verified": "fail image-without-fs-verity"},
	level:  2,
}, {
	name: "a deployment prepared for fs-verity and mounted without",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.verity.Ostree.ComposefsSigned = "/etc/ostree/initramfs-root-binding.key"
	},
	change: map[string]string{"image-verified": "fail fs-verity-not-required"},
	level:  2,
}, {
	name: "verity=on checks only files that have a digest",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "metacopy=on", "metacopy=on,verity=on")
	},
	level: 2,
}, {
	name: "the older form of composefs, whose source says overlay",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "overlay composefs ro,seclabel,lowerdir+=/run/ostree/.private/cfsroot-lower,datadir+=/sysroot/ostree/repo/objects",
			"overlay overlay ro,seclabel,lowerdir=/run/ostree/.private/cfsroot-lower::/sysroot/ostree/repo/objects")
	},
	level: 2,
}, {
	name: "ostree admin unlock: a /usr line on a composefs host",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 1 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=usr,upperdir=/proc/self/fd/4/upper,workdir=/proc/self/fd/4/work")
	},
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"image-unwritable":            "fail writable-overlay",
		"no-shadowed-paths":           "fail writable-overlay",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "unlocked before composefs: two lines on /usr, the last one wins",
	node: "coreos-before",
	edit: func(t *testing.T, n *imageNode) {
		n.mount("90 12 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=usr,upperdir=/var/tmp/ostree-unlock-ovl.KZ4V50/upper,workdir=/var/tmp/ostree-unlock-ovl.KZ4V50/work")
	},
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"no-shadowed-paths":           "fail writable-overlay",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "/sysroot remounted writable: the objects below composefs can be written",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) { n.remount(t, "/ /sysroot ro,", "/ /sysroot rw,") },
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0,
}, {
	name: "/boot writable is a finding on CoreOS",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ /boot ro,nosuid,nodev,relatime - ext4 /dev/vda3 ro,", "/ /boot rw,nosuid,nodev,relatime - ext4 /dev/vda3 rw,")
	},
	change: map[string]string{"no-undeclared-writable-exec": "fail undeclared"},
	level:  2,
}, {
	name: "/usr unmounted before composefs: what is left is the writable deployment",
	node: "coreos-before",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "12 1 252:4 /ostree/deploy/fedora-coreos/deploy/abc.0/usr /usr ro,relatime - xfs /dev/vda4 rw,seclabel,prjquota\n", "")
	},
	change: map[string]string{"image-read-only": "fail writable-mount"},
	level:  0,
}, {
	name: "root.transient: the upper directory is in memory, and writable all the same",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "/ / ro,relatime - overlay composefs ro,", "/ / rw,relatime - overlay composefs rw,upperdir=/run/ostree/.private/root/upper,workdir=/run/ostree/.private/root/work,")
	},
	change: map[string]string{
		"image-read-only":        "fail writable-overlay",
		"image-unwritable":       "fail writable-overlay",
		"mount-namespaces-agree": "not-applicable no-image",
	},
	level: 0,
}, {
	name: "root.transient-ro: read-only here, written in namespaces of its own",
	node: "coreos",
	edit: func(t *testing.T, n *imageNode) {
		n.remount(t, "overlay composefs ro,", "overlay composefs rw,upperdir=/run/ostree/.private/root/upper,workdir=/run/ostree/.private/root/work,")
	},
	change: map[string]string{"image-unwritable": "fail writable-overlay"},
	level:  1,
}, {
	name: "unlocked, by its marker",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) { n.deploy.Ostree.Unlocked = []string{"development"} },
	change: map[string]string{
		"image-unmodified": "fail unlocked",
	},
	level: 2,
}, {
	name: "rpm-ostree apply-live leaves \"transient\": customized, not unlocked",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.deploy.Ostree.Unlocked, n.deploy.Ostree.Layered = []string{"transient"}, []string{"tcpdump"}
	},
	change: map[string]string{
		"image-unmodified": "fail customized",
	},
	level: 2,
}, {
	name: "an origin without signature",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.deploy.Ostree.Origin = "ostree-unverified-registry:quay.io/x/y:latest"
	},
	change: map[string]string{
		"image-unmodified": "fail unverified-origin",
	},
	level: 2,
}, {
	name: "the machine-config operator pins by digest",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.deploy.Ostree.Origin = "ostree-unverified-registry:quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:" + hashA
	},
	level: 2,
}}
