package verify

// accessChecks are about how people get onto the host.
var accessChecks = []Check{}
