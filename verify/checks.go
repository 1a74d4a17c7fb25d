package verify

import "slices"

// Checks lists every check, by topic.
func Checks() []Check {
	return slices.Concat(
		imageChecks,
		deepChecks,
		extensionChecks,
		bootChecks,
		kernelChecks,
		kernelParameterChecks,
		runtimeChecks,
		containerChecks,
		kubeletChecks,
		kubeletFormChecks,
		reservationChecks,
		sizingChecks,
		processChecks,
		inventoryChecks,
		agentChecks,
		persistenceChecks,
		credentialChecks,
		accessChecks,
		networkChecks,
		auditChecks,
		siteChecks,
	)
}
