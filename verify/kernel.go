package verify

var kernelChecks []Check
