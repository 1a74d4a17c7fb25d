//go:build linux

package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Shape is a kind of guest: how its disks are made, how its root is set up, and
// what it looks like once it is up.
type Shape struct {
	Name string // "cos-create"
	Like string // the systems whose shape it has
	What string // how the root is made, in a sentence for docs/proven.md

	Series  string   // of the kernel, "6.12"
	Modules []string // that the initramfs loads, beside those of the disks
	Memory  int      // MiB; 0 stands for 512
	Slow    bool     // it is left out of the short form

	// Build makes the disks and says with what the guest boots. Kernel, Initrd and
	// Memory that it leaves empty are those that every guest has.
	Build func(b *Builder, options map[string]string) (Boot, error)
	// Boot runs in the initramfs and mounts the root at a folder; nil where systemd
	// or the kernel does.
	Boot func(g *InGuest, at string) error
	// Up runs in the root before its services; nil where systemd starts them.
	Up func(g *InGuest) error

	// Profile and Level are what the guest must be found to be.
	Profile string
	Level   int
}

// ShapeNamed returns the shape of this name.
func ShapeNamed(name string) (Shape, error) {
	for _, s := range Shapes() {
		if s.Name == name {
			return s, nil
		}
	}
	return Shape{}, fmt.Errorf("no shape is called %q", name)
}

// Start makes the disks of a guest, boots it and returns what left it.
func (b *Builder) Start(s Shape, plan Plan, limit time.Duration) (*Result, error) {
	boot, err := b.Prepare(s, plan.Options)
	if err != nil {
		return nil, err
	}
	plan.Shape = s.Name
	if plan.Node == "" {
		plan.Node = "guest"
	}
	return b.Run(boot, plan, limit)
}

// Prepare makes all that a guest boots with.
func (b *Builder) Prepare(s Shape, options map[string]string) (Boot, error) {
	boot, err := s.Build(b, options)
	if err != nil {
		return boot, fmt.Errorf("making the disks of %s: %w", s.Name, err)
	}
	boot.Cmdline = changed(boot.Cmdline, options["cmdline"])
	if boot.Kernel == "" {
		boot.Kernel = b.Kernel.Image()
	}
	if boot.Memory == 0 {
		boot.Memory = max(s.Memory, 512)
	}
	if boot.Initrd == "" {
		if boot.Initrd, err = b.Initramfs("initrd.img", nil, s.Modules...); err != nil {
			return boot, fmt.Errorf("making the initramfs of %s: %w", s.Name, err)
		}
	}
	return boot, nil
}

// changed is a command line after a change: words to append, and words to take
// away that have a "-" before them.
func changed(cmdline, change string) string {
	words := strings.Split(cmdline, " ")
	for _, w := range strings.Fields(change) {
		if gone, minus := strings.CutPrefix(w, "-"); minus {
			words = slices.DeleteFunc(words, func(w string) bool { return w == gone })
		} else {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}
