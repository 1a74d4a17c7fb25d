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
		overlayUsr,
		bindBinary,
		tmpfsLibraries,
		namespaceSbin,
		namespaceLocal,
		processFromVar,
		processDeleted,
		processDetached,
		processInMemory,
		scriptFromVar,
		scriptFromInput,
		ldPreload,
		ldSoPreload,
		unitInEtc,
		moduleRefused,
		moduleUnsigned,
		lockdownOff,
	}
}
