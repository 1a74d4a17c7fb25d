//go:build linux

package lab

import "slices"

// Attacks are all attacks, in the order of docs/proven.md.
func Attacks() []Attack {
	return slices.Concat(
		mountAttacks(),
		processAttacks(),
		persistenceAttacks(),
		kernelAttacks(),
	)
}
