//go:build linux

package lab

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
