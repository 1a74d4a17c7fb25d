package verify

var runtimeChecks []Check
