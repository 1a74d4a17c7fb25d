package verify

// extensionChecks are about what is laid over or added to the OS image.
var extensionChecks = []Check{}
