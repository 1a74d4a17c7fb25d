package verify

// credentialChecks are about what a reader of this disk would gain.
var credentialChecks = []Check{}
