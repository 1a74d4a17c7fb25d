package verify

// agentChecks are about antivirus and similar agents.
var agentChecks = []Check{}
