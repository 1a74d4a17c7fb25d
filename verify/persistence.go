package verify

// persistenceChecks are about what starts programs again after a boot.
var persistenceChecks = []Check{}
