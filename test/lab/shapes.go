//go:build linux

package lab

// Shapes are all shapes, in the order of docs/proven.md.
func Shapes() []Shape {
	return []Shape{
		verityCreate,
		verityInitramfs,
		verityUsr,
		squashfsLoop,
		squashfsLoopExtensions,
		btrfsSnapshot,
		squashfsPlain,
		roExt4,
		ostreeSysroot,
		composefsVerity,
		composefsPlain,
		verityDMInit,
		verityUsrhash,
		verityRoothash,
		rwExt4,
	}
}
