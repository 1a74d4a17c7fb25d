package verify

import "slices"

// Checks lists every check, by topic.
func Checks() []Check {
	return slices.Concat(imageChecks, bootChecks, kernelChecks, runtimeChecks, kubeletChecks, reservationChecks, processChecks)
}
