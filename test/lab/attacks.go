//go:build linux

package lab

// Attacks are all attacks, in the order of docs/proven.md.
func Attacks() []Attack {
	return []Attack{
		overlayUsr,
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
