//go:build linux

package lab

import "golang.org/x/sys/unix"

// rwExt4 is an ordinary host: nothing about it is immutable.
var rwExt4 = Shape{
	Name:   "rw-ext4",
	Like:   "an ordinary host",
	What:   "a writable ext4 as the root",
	Series: "6.12",
	Build: func(b *Builder, _ map[string]string) (Boot, error) {
		t := b.Tree("root").Base(b, System{ID: "debian", Name: "an ordinary host", Version: "12"})
		image, err := b.Ext4("root.img", "ROOT", 192, t)
		return Boot{Disks: []Disk{{"root", image}}, Cmdline: "root=/dev/vda rw"}, err
	},
	Boot:    func(g *InGuest, at string) error { return mount(g.Disk("root"), at, "ext4", 0, "") },
	Up:      func(*InGuest) error { return sharedMemory() },
	Profile: "generic",
	Level:   0,
}

// squashfsPlain has an image that nothing can write through and nothing checks.
var squashfsPlain = Shape{
	Name:    "squashfs-plain",
	Like:    "an appliance, or a live medium",
	What:    "squashfs straight on a disk, without verity",
	Series:  "6.12",
	Slow:    true,
	Modules: []string{"squashfs", "overlay"},
	Build: func(b *Builder, _ map[string]string) (Boot, error) {
		image, err := b.Squashfs("root.img", b.Tree("root").Base(b, System{ID: "debian", Name: "an appliance", Version: "12"}))
		return Boot{Disks: []Disk{{"root", image}}, Cmdline: "root=/dev/vda ro"}, err
	},
	Boot:    func(g *InGuest, at string) error { return mount(g.Disk("root"), at, "squashfs", unix.MS_RDONLY, "") },
	Up:      upMemory,
	Profile: "generic",
	Level:   2,
}

// roExt4 is the ordinary host with its root read-only, which a remount ends.
var roExt4 = Shape{
	Name:    "ro-ext4",
	Like:    "an ordinary host that was set to read-only",
	What:    "an ext4 that is mounted read-only as the root",
	Series:  "6.12",
	Slow:    true,
	Build:   rwExt4.Build,
	Boot:    func(g *InGuest, at string) error { return mount(g.Disk("root"), at, "ext4", unix.MS_RDONLY, "") },
	Up:      upMemory,
	Profile: "generic",
	Level:   1,
}

// upMemory gives a read-only root what has to be writable, in memory.
func upMemory(*InGuest) error {
	const closed = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return first(
		mount("tmpfs", "/var", "tmpfs", closed, "mode=755"),
		mount("tmpfs", "/tmp", "tmpfs", closed, "mode=1777"),
		sharedMemory(),
	)
}
