package verify

// kernelParameterChecks are about parameters of the kernel, beyond the hardening list.
var kernelParameterChecks = []Check{}
