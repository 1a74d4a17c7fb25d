//go:build linux

package lab

// Attacks are all attacks, in the order of docs/proven.md.
func Attacks() []Attack {
	return []Attack{
		remountVerity,
		remountBindVerity,
		remountSquashfs,
		remountExt4,
		overlayUsr,
		btrfsPropertyOff,
		btrfsMountWritable,
		btrfsBoth,
	}
}
