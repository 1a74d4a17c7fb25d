package verify

// containerChecks are about containers that reach the host, and how the runtime is configured.
var containerChecks = []Check{}
