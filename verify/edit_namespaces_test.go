package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// namespaceEdits change mount namespaces of host processes.
var namespaceEdits = []oneEdit{{
	name: "ostree admin unlock --transient in the namespace of a shell",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
			{Path: "/usr", Type: "overlay", Root: "/", Options: []string{"rw"}, Super: []string{"rw", "lowerdir=usr", "upperdir=/var/x"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail writable"},
	level:  2,
}, {
	name: "rpm-ostreed writes the store in its own namespace by design",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/rpm-ostree"}, Mounts: []node.Mount{
			{Path: "/sysroot", Type: "xfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	level: 2,
}, {
	name: "a shell in the namespace of rpm-ostreed is not by design",
	node: "coreos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash", "/usr/bin/rpm-ostree"}, Mounts: []node.Mount{
			{Path: "/sysroot", Type: "xfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail writable"},
	level:  2,
}, {
	name: "a service that sees /usr read-only as well",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/lib/systemd/systemd-resolved"}, Mounts: []node.Mount{
			{Path: "/usr/lib/modules", Type: "tmpfs", Root: "/systemd/inaccessible/dir", Source: "tmpfs", Options: []string{"ro"}, Super: []string{"rw"}},
			{Path: "/home", Type: "tmpfs", Root: "/", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	level: 3,
}, {
	name: "a service has a folder of its own where programs are looked for first",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
			{Path: "/usr/local/bin", Type: "tmpfs", Root: "/", Source: "tmpfs", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail writable"},
	level:  3,
}, {
	name: "a service has a folder of its own in the administrator's",
	node: "microos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
			{Path: "/usr/local/bin", Type: "tmpfs", Root: "/", Source: "tmpfs", Options: []string{"rw"}, Super: []string{"rw"}}}}}
	},
	level: 1,
}, {
	name: "Talos's kubelet has an image of its own as its root",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/local/bin/kubelet"}, Mounts: []node.Mount{
			{Path: "/", Type: "overlay", Root: "/", Source: "overlay", Device: node.Device{Kind: "none"}, Options: []string{"rw"}, Super: []string{"rw", "lowerdir=/var/a", "upperdir=/var/b"}}}}}
	},
	level: 2,
}, {
	name: "a shell that has the image itself writable in a namespace of its own",
	node: "coreos-before",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/bash"}, Mounts: []node.Mount{
			{Path: "/usr", Type: "xfs", Root: "/ostree/deploy/fedora-coreos/deploy/abc.0/usr", Source: "/dev/vda4", Device: node.Device{Kind: "disk", Name: "root"},
				Options: []string{"rw"}, Super: []string{"rw", "seclabel", "prjquota"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail writable"},
	level:  1,
}, {
	name: "a service that started before the extensions were merged sees the image without them",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/lib/systemd/systemd-udevd"}, Mounts: []node.Mount{
			{Path: "/usr", Type: "ext4", Root: "/", Source: "/dev/mapper/usr", Device: node.Device{Kind: "dm", Name: "usr"}, Options: []string{"ro"}, Super: []string{"ro", "seclabel"}}}}}
	},
	level: 3,
}, {
	name: "a service that sees the image where process 1 has an overlay of the system",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/sbin/init"}, Mounts: []node.Mount{
			{Path: "/usr/libexec/kubernetes", Type: "squashfs", Root: "/usr/libexec/kubernetes", Source: "/dev/loop0",
				Device: node.Device{Kind: "loop", Name: "/rootfs.sqsh (deleted)"}, Options: []string{"ro"}, Super: []string{"ro", "errors=continue"}}}}}
	},
	level: 2,
}, {
	name: "another directory of the same file system in place of /usr/bin",
	node: "talos",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/sbin/init"}, Mounts: []node.Mount{
			{Path: "/usr/bin", Type: "squashfs", Root: "/usr/share", Source: "/dev/loop0",
				Device: node.Device{Kind: "loop", Name: "/rootfs.sqsh (deleted)"}, Options: []string{"ro"}, Super: []string{"ro", "errors=continue"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail shadowed"},
	level:  2,
}, {
	name: "another file system on /usr/bin in the namespace of a service",
	node: "flatcar",
	edit: func(_ *testing.T, n *imageNode) {
		n.spaces = []node.MountNamespace{{Programs: []string{"/usr/bin/x"}, Mounts: []node.Mount{
			{Path: "/usr/bin", Type: "ext4", Root: "/bin", Device: node.Device{Kind: "disk", Name: "ROOT"}, Options: []string{"ro"}, Super: []string{"rw"}}}}}
	},
	change: map[string]string{"mount-namespaces-agree": "fail shadowed"},
	level:  3,
}}
