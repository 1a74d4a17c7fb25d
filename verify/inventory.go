package verify

// inventoryChecks are about executables on writable storage and executable mappings.
var inventoryChecks = []Check{}
