//go:build linux

package lab

import "fmt"

// verityDMInit is verityCreate on a kernel of our own that honours dm-mod.create=
// itself, as those of Container-Optimized OS and Bottlerocket do: nothing runs
// before process 1 of the root.
var verityDMInit = Shape{
	Name:    "verity-dminit",
	Like:    "Container-Optimized OS, Bottlerocket",
	What:    "erofs on dm-verity, set up by the kernel itself from dm-mod.create= on its command line",
	Series:  "6.12",
	Slow:    true,
	Build:   buildVerityDMInit,
	Up:      upStateful,
	Profile: "cos",
	Level:   3,
}

func buildVerityDMInit(b *Builder, options map[string]string) (Boot, error) {
	var err error
	if b.Kernel, err = b.Cache.OwnKernel(b.Ctx, "6.12", "testdata/dminit.config"); err != nil {
		return Boot{}, err
	}
	boot, err := buildCreate(b, options)
	if err != nil {
		return Boot{}, err
	}
	// Without /init in the initramfs the kernel mounts the root.
	if boot.Initrd, err = b.archive("empty.img", b.Tree("empty")); err != nil {
		return Boot{}, fmt.Errorf("making an empty initramfs: %w", err)
	}
	return boot, nil
}
