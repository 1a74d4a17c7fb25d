package verify

var bootChecks []Check
