package verify

var imageChecks []Check
