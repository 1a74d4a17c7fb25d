//go:build linux

package lab

// Attacks are all attacks, in the order of docs/proven.md.
func Attacks() []Attack {
	return []Attack{
		blockRead,
		blockUnread,
		ignoreCorruption,
		otherRootHash,
		linearTarget,
		reloadIgnoring,
		reloadLinear,
		remountVerity,
		remountBindVerity,
		remountSquashfs,
		remountExt4,
		overlayUsr,
		btrfsPropertyOff,
		btrfsMountWritable,
		btrfsBoth,
		ostreeUnlock,
		ostreeTransient,
		ostreeHotfix,
		sysrootWritable,
		objectsWritable,
		composefsTwice,
		composefsNotRequired,
		composefsBareImage,
		objectRefused,
		objectRead,
	}
}
