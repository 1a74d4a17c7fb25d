package verify

// kubeletFormChecks are about settings of the kubelet by the form in which they stand.
var kubeletFormChecks = []Check{}
