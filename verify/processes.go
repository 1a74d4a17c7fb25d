package verify

var processChecks []Check
