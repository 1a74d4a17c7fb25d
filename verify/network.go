package verify

// networkChecks are about what listens on the network.
var networkChecks = []Check{}
